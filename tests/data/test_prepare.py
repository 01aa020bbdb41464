"""Preparing a set: everything but the preparation itself, which needs TensorFlow, and the check of
its name, which needs neither that nor a network."""

import json
import subprocess
import sys

import pytest

from aae_jax.data import check_preparable, load, prepare
from aae_jax.data.sources import SOURCES
from aae_jax.errors import UserError
from experiments.harness import catalogue


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


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        ([], "the following arguments are required: name: --help explains the arguments"),
        (["a", "b"], "unrecognized arguments: b"),
        (["--check", "--", "a" * 5000], "'aaaaaaaaaa"),
        (["--form", "--", ""], "'' is not the name of a data set, such as mnist"),
        (["--form", "--", "'; echo; '"], "is not the name of a data set"),
        (["--form", "--", "--check"], "'--check' is not the name of a data set"),
    ],
)
def test_what_is_no_command_is_one_short_line(arguments, expected, capsys):
    assert prepare.main(arguments) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: ") and expected in line and len(line) < 200


@pytest.mark.parametrize("name", ["", "a b", "'; touch made; '", "$(touch made)", "a" * 5000])
def test_make_reads_the_name_before_it_installs_and_no_shell_reads_it(tmp_path, name):
    (tmp_path / "aae_jax").symlink_to(catalogue.ROOT / "aae_jax")
    (tmp_path / "Makefile").symlink_to(catalogue.ROOT / "Makefile")
    command = ["make", "data", f"PYTHON={sys.executable}", f"DATASET={name.replace('$', '$$')}"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 2
    lines = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(lines) == 1 and "is not the name of a data set" in lines[0]
    assert sorted(path.name for path in tmp_path.iterdir()) == ["Makefile", "aae_jax"]


def test_a_name_of_5000_letters_is_no_path(copy):
    with pytest.raises(UserError, match=r"'a{40}\.\.\.' is not the name of a data set"):
        load("a" * 5000)
    with pytest.raises(UserError, match="is not the name of a data set"):
        load("a" * 150 + "/" + "b" * 150)
