"""metrics.jsonl: what of a damaged one is kept."""

import json
import sys
import types

import pytest

from aae_jax import logs
from aae_jax.errors import UserError
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
    writer = again._sinks[0]._writer
    writer.close()
    with open("/dev/full", "wb", buffering=0) as full:
        writer._py_recordio_writer._writer = full
        with pytest.raises(OSError, match="No space left"):
            again.write(6, 3.0, {"loss": 1.0})


class FakeRun:
    """A run of wandb, which like the real one remembers its steps by its id."""

    kept: dict[str, dict] = {}  # noqa: RUF012

    def __init__(self, id, **options):
        self.options, self.logged, self.finished = options, self.kept.setdefault(id, {}), False

    @property
    def step(self):
        return max(self.logged, default=0)

    def log(self, numbers, step):
        self.logged.setdefault(step, {}).update(numbers)

    def finish(self):
        self.finished = True


@pytest.fixture
def wandb(monkeypatch):
    """The runs that were begun."""
    begun: list[FakeRun] = []
    module = types.ModuleType("wandb")
    module.__spec__ = types.SimpleNamespace()
    module.init = lambda **options: begun.append(FakeRun(**options)) or begun[-1]
    monkeypatch.setattr(FakeRun, "kept", {})
    monkeypatch.setitem(sys.modules, "wandb", module)
    return begun


def test_wandb_gets_the_numbers_and_no_step_twice(tmp_path, wandb):
    logs.check_logger("wandb")
    for first, last in ((1, 4), (3, 5)):  # killed after step 4, and taken up after step 2
        log = Log(tmp_path, 7, "wandb")
        log.cut_off(first - 1)
        for step in range(first, last + 1):
            log.write(step, step / 2, {"loss": 1.0 / step})
            log.write(step, step / 2, {"error": 2.0})
        log.flush()
        log.close()
    assert len(wandb) == 2 and all(run.finished for run in wandb)
    assert wandb[0].logged is wandb[1].logged
    assert sorted(wandb[1].logged) == [1, 2, 3, 4, 5]
    assert wandb[1].logged[5] == {"epoch": 2.5, "loss": 0.2, "error": 2.0}
    assert wandb[0].options["resume"] == "allow" and "seed 7" in wandb[0].options["name"]
    assert steps(logs.read(log.path)) == [1, 1, 2, 2, 3, 3, 4, 4, 5, 5]


def test_a_logger_that_cannot_be_had_is_one_sentence(tmp_path, monkeypatch, wandb, toy_fit):
    def fail(**options):
        raise RuntimeError("no API key\nmore")

    monkeypatch.setattr(sys.modules["wandb"], "init", fail)
    with pytest.raises(UserError, match=r"^wandb cannot begin \(no API key\): run `wandb login`"):
        Log(tmp_path, 7, "wandb").cut_off(0)
    with pytest.raises(UserError, match=r"^train.logger is 'wandbb': it can be empty, or wandb$"):
        toy_fit({"train.logger": "wandbb"})
    monkeypatch.setattr(logs.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(UserError, match="which is not installed: `pip install wandb`, or leave"):
        toy_fit({"train.logger": "wandb"})
    assert not (tmp_path / "workdir").exists()
