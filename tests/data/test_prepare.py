"""Preparing a set: everything but the preparation itself, which needs TensorFlow, and the check of
its name, which needs neither that nor a network."""

import json
import subprocess
import sys

import pytest

from aae_jax.data import check_preparable, load, prepare
from aae_jax.data.sources import SOURCES
from aae_jax.errors import UserError


@pytest.fixture
def copy(tmp_path, monkeypatch):
    """A data directory whose only content is the description of an array_record copy."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    (folder / "dataset_info.json").write_text(json.dumps({"fileFormat": "array_record"}))
    return folder


def test_prepare_needs_neither_jax_nor_the_package():
    code = (
        "import runpy, sys; sys.modules['jax'] = sys.modules['aae_jax'] = None\n"
        "sys.argv = ['prepare.py', '../mnist']\n"
        f"runpy.run_path({prepare.__file__!r}, run_name='__main__')"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 2
    assert done.stderr == "error: '../mnist' is not the name of a data set, such as mnist\n"


@pytest.mark.parametrize("name", ["mnist", "mnist/3.0.1"])
def test_copy_that_is_there_already(copy, name, capsys):
    assert prepare.main([name]) == 0
    assert capsys.readouterr().out == f"{name} is already prepared in {copy}\n"


def test_copy_beside_one_in_another_format(copy, capsys):
    beside = copy.parents[1] / "array_record" / "mnist" / "3.0.1"
    beside.parent.mkdir(parents=True)
    copy.rename(beside)
    copy.mkdir()
    (copy / "dataset_info.json").write_text(json.dumps({"fileFormat": "tfrecord"}))
    assert prepare.main(["mnist"]) == 0
    assert str(beside) in capsys.readouterr().out


@pytest.mark.parametrize("name", ["kmnist", "emnist/letters/3.1.0"])
def test_without_tensorflow(copy, name, monkeypatch, capsys):
    prepare.check_name(name, copy)  # imports what would not be imported whole without it
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert prepare.main([name]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: preparing needs tensorflow, ") and message.count("\n") == 1


NAMES = {
    "mnits": "neither TFDS nor .* has an image set called mnits: did you mean mnist?$",
    "fashon_mnist/3.0.1": "did you mean fashion_mnist?$",
    "svhn": "did you mean svhn_cropped?$",
    "Cifar10": "did you mean cifar10?$",
    "CIFAR-10": "'CIFAR-10' is not the name of a data set, such as cifar10$",
    "digit": "did you mean digits?$",
    "my_facez": "did you mean my_faces?$",
    "my_faces": r"my_faces has no version of my_faces in array_record files \(there is 1.0.0\)",
    "qqqqqqqq": "called qqqqqqqq: docs/own_data.md shows how to write your own$",
    "emnist": "emnist comes in 6 forms, .* write, for instance, emnist/byclass$",
    "emnist/leters": "write, for instance, emnist/letters$",
    "mnist/letters": "mnist comes in one form only: write mnist, not mnist/letters$",
    "kmnist/9.9.9": "kmnist has no version 9.9.9: there is 3.0.1$",
}


@pytest.mark.parametrize("name", NAMES)
def test_names_that_nothing_has(copy, name, capsys):
    """Found by ``load`` and by the command that runs before TensorFlow is installed."""
    own = copy.parents[1] / "my_faces" / "1.0.0"
    own.mkdir(parents=True)
    (own / "dataset_info.json").write_text(json.dumps({"fileFormat": "tfrecord"}))
    for check in (check_preparable, load):
        with pytest.raises(UserError, match=NAMES[name].replace("?$", r"\?$")) as caught:
            check(name)
        assert "\n" not in str(caught.value)
    assert prepare.main([name, "--check"]) == 2
    assert capsys.readouterr().err == f"error: {caught.value}\n"


@pytest.mark.parametrize("name", ["kmnist", "kmnist/3.0.1", "emnist/letters/3.1.0"])
def test_names_that_tfds_knows(copy, name, capsys):
    check_preparable(name)
    assert prepare.main([name, "--check"]) == 0
    assert capsys.readouterr().err == ""


def test_names_are_not_looked_up_where_tfds_is_not_installed(copy, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorflow_datasets", None)
    assert prepare.main(["mnits", "--check"]) == 0
    assert prepare.main(["mnits/", "--check"]) == 2


def test_what_needs_no_preparing(copy, capsys):
    assert set(prepare.UNPREPARED) == set(SOURCES)
    for name in SOURCES:
        assert prepare.main([name, "--check"]) == 2
    assert "digits is loaded as it is" in capsys.readouterr().err
    check_preparable("digits")
    with pytest.raises(UserError, match=r"ask its authors for TFD_48x48\.mat"):
        check_preparable("tfd/0")
