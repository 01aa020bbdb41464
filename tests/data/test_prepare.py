"""Preparing a set: everything but the preparation itself, which needs TensorFlow."""

import json
import subprocess
import sys

import pytest

from aae_jax.data import prepare


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
    assert done.stderr == (
        "error: '../mnist' is not the name of a data set, such as mnist or mnist/3.0.1\n"
    )


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


@pytest.mark.parametrize("name", ["mnist/3.0.2", "kmnist"])
def test_without_tensorflow(copy, name, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tensorflow", None)
    assert prepare.main([name]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error: preparing needs tensorflow, ") and message.count("\n") == 1
