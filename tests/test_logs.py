"""metrics.jsonl: what of a damaged one is kept."""

import json

import pytest

from aae_jax import logs
from aae_jax.logs import Log


@pytest.fixture
def log(tmp_path):
    """A log of updates 1 to 5, closed."""
    log = Log(tmp_path, 7)
    log.cut_off(0)
    for step in range(1, 6):
        log.write(step, step / 2, {"loss": step / 3, "error": 1.0 / step})
    log.flush()
    log.close()
    return log


def steps(entries):
    return [entry["step"] for entry in entries]


def test_entries_come_back_without_their_checksums(log):
    entries = logs.read(log.path)
    assert entries[1] == {"step": 2, "epoch": 1.0, "seed": 7, "loss": 2 / 3, "error": 0.5}
    assert "crc32" in json.loads(log.path.read_text().splitlines()[1])


@pytest.mark.parametrize(
    "line", [b"", b"5", b"[]", b"null", b"{", b"\xff\xfe", b'{"loss": 1}', b'{"step": "a"}']
)
def test_a_broken_line_costs_itself_and_no_more(log, line, capsys):
    lines = log.path.read_bytes().splitlines()
    lines[2] = line
    log.path.write_bytes(b"\n".join(lines) + b"\n")
    assert steps(logs.read(log.path)) == [1, 2, 4, 5]
    assert capsys.readouterr().err == f"{log.path}, line 3 cannot be read and left out\n"


def test_a_changed_number_is_found(log, capsys):
    log.path.write_text(log.path.read_text().replace('"error": 0.5', '"error": 0.6'))
    assert steps(logs.read(log.path)) == [1, 3, 4, 5]
    assert "line 2 cannot be read" in capsys.readouterr().err


def test_many_broken_lines_are_one_notice_and_kept_beside(log, capsys):
    content = b"\xff\n5\n[]\n" + log.path.read_bytes()
    log.path.write_bytes(content)
    again = Log(log.path.parent, 7)
    again.cut_off(5)
    again.close()
    line = f"{log.path}, line 1 and 2 more cannot be read and left out\n"
    assert capsys.readouterr().err == line
    assert steps(logs.read(log.path)) == [1, 2, 3, 4, 5]
    assert (log.path.parent / "unreadable/metrics.jsonl").read_bytes() == content


def test_a_line_that_a_kill_tore_goes_without_notice(log, capsys):
    log.path.write_text(log.path.read_text()[:-5])
    assert steps(logs.read(log.path)) == [1, 2, 3, 4]
    assert capsys.readouterr().err == ""


def test_a_log_that_ends_before_its_checkpoint_says_so(log, capsys):
    log.path.write_text("".join(log.path.read_text().splitlines(keepends=True)[:2]))
    again = Log(log.path.parent, 7)
    again.cut_off(4)
    again.close()
    assert f"{log.path} ends at update 2: its curve lacks those up to 4" in capsys.readouterr().err


def test_where_the_log_is_lost_the_curve_is_its_end(log):
    end = {"error": 0.25}
    whole = log.curve(5, 2.5, end)
    assert steps(whole) == [1, 2, 3, 4, 5]
    log.path.unlink()
    assert log.curve(5, 2.5, end) == [{"step": 5, "epoch": 2.5, "seed": 7, "error": 0.25}]


def test_the_same_numbers_are_events(log):
    (events,) = (log.path.parent / "tensorboard").iterdir()
    assert events.name.startswith("events.out.tfevents.")
    content = events.read_bytes()
    assert content.count(b"loss") == content.count(b"error") == 5


def test_a_full_disk_is_an_error_and_not_a_wait(log):
    again = Log(log.path.parent, 7)
    again.cut_off(5)
    again._writer.close()
    with open("/dev/full", "wb", buffering=0) as full:
        again._writer._py_recordio_writer._writer = full
        with pytest.raises(OSError, match="No space left"):
            again.write(6, 3.0, {"loss": 1.0})
