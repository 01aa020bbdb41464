"""Runs that are killed, terminated, extended or damaged end with the bits of an unbroken one."""

import json
import shutil
import signal
import subprocess
import time

import pytest

from experiments.aae import table2 as aae_table2
from experiments.harness import cli
from experiments.harness.catalogue import ROOT
from experiments.harness.runner import run_experiment

EPOCHS = 30


def arguments(workdir, *overrides):
    return [
        f"--config={ROOT}/configs/aae/table2.py:mnist_100,smoke",
        f"--workdir={workdir}",
        "--config.model.hidden=(8,)",
        "--config.model.discriminator_hidden=(8,)",
        "--config.train.seeds=1",
        f"--config.train.epochs={EPOCHS}",
        "--config.train.checkpoint_every=1",
        "--config.train.log_every=12",
        *overrides,
    ]


def run(workdir, *overrides):
    """The row in this process, without its figures."""
    parsed = cli.parse(arguments(workdir, *overrides))
    return run_experiment(parsed, aae_table2.TABLE, lambda finished: [])


@pytest.fixture(scope="module")
def unbroken(tmp_path_factory):
    """The workdir of a run from beginning to end."""
    workdir = tmp_path_factory.mktemp("unbroken") / "run"
    run(workdir)
    return workdir


@pytest.fixture
def finished(unbroken, tmp_path):
    """A copy of it that a test may damage, without its ledger."""
    shutil.copytree(unbroken, tmp_path / "run", ignore=shutil.ignore_patterns("aae_*.jsonl"))
    return tmp_path / "run"


def sha256(workdir):
    return json.loads((workdir / "record.json").read_text())["params_sha256"]


def log(workdir):
    return (workdir / "seed_0/metrics.jsonl").read_text()


def kept(workdir):
    directory = workdir / "seed_0/checkpoints"
    names = [path.name for path in directory.iterdir()] if directory.is_dir() else []
    return sorted(int(name) for name in names if name.isdigit())


def ledger(tmp_path):
    """The lines of the run's ledger, which lies beside it."""
    path = tmp_path / "run/aae_table2.jsonl"
    return path.read_text().splitlines() if path.exists() else []


def interrupt_after_a_checkpoint(process: subprocess.Popen, workdir, number: int) -> None:
    deadline = time.monotonic() + 240
    while not kept(workdir):
        assert process.poll() is None, process.communicate()[1][-3000:]
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)


def test_killed_and_run_again_is_unbroken(start_program, unbroken, tmp_path):
    workdir = tmp_path / "run"
    process = start_program("-m", "experiments.aae.table2", *arguments(workdir))
    interrupt_after_a_checkpoint(process, workdir, signal.SIGKILL)
    assert process.wait(timeout=60) == -signal.SIGKILL
    assert not (workdir / "seed_0/result.json").exists()
    assert kept(workdir)[-1] < 24 * EPOCHS
    assert not ledger(tmp_path)

    run(workdir)
    assert sha256(workdir) == sha256(unbroken)
    assert log(workdir) == log(unbroken)
    (record,) = ledger(tmp_path)
    assert json.loads(record)["params_sha256"] == sha256(unbroken)

    run(workdir)
    assert ledger(tmp_path) == [record]
    assert log(workdir) == log(unbroken)


def test_terminated_writes_a_checkpoint_and_goes_on(start_program, unbroken, tmp_path):
    workdir = tmp_path / "run"
    process = start_program("-m", "experiments.aae.table2", *arguments(workdir))
    interrupt_after_a_checkpoint(process, workdir, signal.SIGTERM)
    _, stderr = process.communicate(timeout=120)
    assert process.returncode == 143
    assert f"terminated: checkpoint of update {kept(workdir)[-1]} is written" in stderr
    assert "Traceback" not in stderr
    assert kept(workdir)[-1] < 24 * EPOCHS
    assert not ledger(tmp_path)

    run(workdir)
    assert sha256(workdir) == sha256(unbroken)
    assert log(workdir) == log(unbroken)


def test_a_longer_run_goes_on_from_a_shorter_one(unbroken, tmp_path):
    workdir = tmp_path / "run"
    run(workdir, f"--config.train.epochs={EPOCHS // 2}")
    assert sha256(workdir) != sha256(unbroken)
    run(workdir)
    assert sha256(workdir) == sha256(unbroken)
    assert len(ledger(tmp_path)) == 2


def test_fewer_epochs_than_are_trained_are_an_error(finished, capsys):
    before = sorted(finished.rglob("*"))
    with pytest.raises(SystemExit) as caught:
        cli.run_main(lambda: run(finished, "--config.train.epochs=2") and None)
    assert caught.value.code == 2
    errors = [line for line in capsys.readouterr().err.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1
    assert f"already trained for {EPOCHS} epochs" in errors[0]
    assert sorted(p for p in finished.rglob("*") if p.name != ".lock") == [
        p for p in before if p.name != ".lock"
    ]


@pytest.mark.parametrize("lost", [("result.json",), ("result.json", "record.json")])
def test_what_was_lost_after_the_last_checkpoint_is_made_again(finished, unbroken, lost):
    for name in lost:
        (finished / name if name == "record.json" else finished / "seed_0" / name).unlink()
    done = run(finished)
    assert sha256(finished) == sha256(unbroken)
    assert log(finished) == log(unbroken)
    assert done.record["values"] == json.loads((unbroken / "record.json").read_text())["values"]


def damage(checkpoint):
    damaged = 0
    for path in checkpoint.rglob("*"):
        if path.is_file() and path.parent.name == "d":
            path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
            damaged += 1
    assert damaged


def test_a_damaged_checkpoint_costs_an_epoch_and_no_more(finished, unbroken, capsys):
    damage(finished / "seed_0/checkpoints" / str(24 * EPOCHS))
    run(finished)
    assert f"checkpoint {24 * EPOCHS} cannot be read" in capsys.readouterr().err
    assert sha256(finished) == sha256(unbroken)
    assert log(finished) == log(unbroken)


def test_where_all_are_damaged_it_is_one_error_and_nothing_is_deleted(
    finished, run_program, tmp_path
):
    for step in kept(finished):
        damage(finished / "seed_0/checkpoints" / str(step))
    names = sorted(p.name for p in finished.rglob("*") if p.is_file() and p.name != ".lock")
    for _ in range(2):  # the second time as well
        done = run_program("-m", "experiments.aae.table2", *arguments(finished))
        assert done.returncode == 2
        assert "Traceback" not in done.stderr
        lines = done.stderr.splitlines()
        assert [line for line in lines if line.startswith("error: ")] == lines[-1:]
        assert "no readable checkpoint" in lines[-1]
        now = sorted(p.name for p in finished.rglob("*") if p.is_file() and p.name != ".lock")
        assert now == names
    assert not ledger(tmp_path)
