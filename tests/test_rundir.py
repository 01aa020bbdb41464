"""Small files of a run's directory: checksums, what a kill leaves, what is no directory of ours."""

import json
import os
import subprocess
import sys

import pytest

from aae_jax import rundir
from aae_jax.errors import UserError

VALUE = {"step": 3, "metrics": {"error": 0.1 + 0.2}, "names": ("a", "b"), "none": None}


@pytest.fixture
def written(tmp_path):
    rundir.write_json(tmp_path / "result.json", VALUE)
    return tmp_path / "result.json"


def test_what_is_written_is_read_and_nothing_else_is_left(written):
    assert rundir.read_json(written) == VALUE | {"names": ["a", "b"]}
    assert os.listdir(written.parent) == ["result.json"]


def test_a_file_of_before_there_were_checksums_is_read(tmp_path):
    (tmp_path / "old.json").write_text(json.dumps(VALUE))
    assert rundir.load_json(tmp_path / "old.json")["step"] == 3


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"5", b"\xff\xfe\x00", b"{", b'"a"'])
def test_damaged_files_are_none_with_a_notice(written, content, capsys):
    written.write_bytes(content)
    assert rundir.read_json(written) is None
    assert capsys.readouterr().err.startswith(f"{written} is left out: ")


def test_a_changed_number_is_found(written, capsys):
    written.write_text(written.read_text().replace('"step": 3', '"step": 4'))
    assert rundir.read_json(written) is None
    assert "not what was written, by its checksum" in capsys.readouterr().err


def test_a_directory_in_its_place_is_none(tmp_path, capsys):
    (tmp_path / "result.json").mkdir()
    assert rundir.read_json(tmp_path / "result.json") is None
    assert capsys.readouterr().err.count("\n") == 1


def test_what_a_kill_left_is_removed_but_not_that_of_a_process_that_runs(tmp_path):
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    (tmp_path / "seed_0").mkdir()
    gone = [
        tmp_path / f".run.json.{ended.pid}",
        tmp_path / f".panel.{ended.pid}.npz",
        tmp_path / f"seed_0/.result.json.{ended.pid}",
    ]
    kept = [tmp_path / f".run.json.{os.getppid()}", tmp_path / ".vimrc.1", tmp_path / ".run.json.x"]
    for path in gone + kept:
        path.write_text("{")
    with rundir.locked(tmp_path):
        pass
    assert not any(path.exists() for path in gone)
    assert all(path.exists() for path in kept)


@pytest.fixture
def places(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    return {
        "below a file": tmp_path / "file/run",
        "a file": tmp_path / "file",
        "a long name": tmp_path / ("a" * 300),
        "below a long name": tmp_path / ("a" * 300) / "run",
        "a dangling link": tmp_path / "dangling",
        "nobody's home": "~nobody_of_that_name/run",
        "nothing": "",
    }


@pytest.mark.parametrize(
    "place",
    [
        "below a file",
        "a file",
        "a long name",
        "below a long name",
        "a dangling link",
        "nobody's home",
        "nothing",
    ],
)
def test_places_that_are_no_directory_are_refused_in_a_line(places, place, tmp_path):
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(UserError) as caught:
        rundir.usable(places[place])
    assert "\n" not in str(caught.value) and "--workdir" in str(caught.value)
    assert sorted(tmp_path.rglob("*")) == before


def test_a_directory_that_cannot_be_made_is_refused_in_a_line():
    with (
        pytest.raises(UserError, match=r"/proc/x can.*--workdir"),
        rundir.locked(rundir.Path("/proc/x")),
    ):
        pass


@pytest.mark.parametrize(
    "name", ["run.json", "record.json", ".lock", "seed_0/result.json", "seed_0/metrics.jsonl"]
)
def test_directories_in_the_place_of_files_are_named(tmp_path, name):
    (tmp_path / name).mkdir(parents=True)
    with pytest.raises(UserError, match=f"{name} is no file: move it away"):
        rundir.check_contents(tmp_path)


@pytest.mark.parametrize("name", ["seed_0", "seed_0/checkpoints", "seed_0/tensorboard"])
def test_files_in_the_place_of_directories_are_named(tmp_path, name):
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("")
    with pytest.raises(UserError, match=f"{name} is no directory: move it away"):
        rundir.check_contents(tmp_path)
