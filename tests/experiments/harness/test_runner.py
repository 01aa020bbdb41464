"""What an experiment does around training: to its process, its record and the ledger."""

import json
import os
import platform
import subprocess
import sys

import pytest

from aae_jax import data as datasets
from aae_jax import training
from experiments.aae import table1
from experiments.harness import catalogue, cli, ledger, runner

DIGITS = datasets.load("digits")

FAULTS_AT_EACH_USE = """
import resource
import numpy as np
from experiments.harness import runner
if {keep}:
    runner.keep_freed_memory()
for _ in range(3):
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    np.ones(16 << 20)
    print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="a setting of glibc's malloc")
def test_memory_that_was_freed_is_used_again_without_page_faults():
    def faults(keep: bool) -> list[int]:
        command = [sys.executable, "-c", FAULTS_AT_EACH_USE.format(keep=keep)]
        environment = {k: v for k, v in os.environ.items() if k != "GLIBC_TUNABLES"}
        done = subprocess.run(command, check=True, capture_output=True, text=True, env=environment)
        return [int(line) for line in done.stdout.split()]

    assert min(faults(keep=False)) > 100
    assert max(faults(keep=True)[1:]) < 10


@pytest.fixture
def report(tmp_path, capsys):
    """``report("parzen.num_samples=7", names=(...))``: report a training that is stubbed; how often
    it was measured, the record and what was printed."""
    measured = []

    def call(*changes, profile="smoke", dataset=DIGITS, sha="a", seeds=1, values=None, **options):
        names = options.get("names", ("parzen_nats", "sigma"))
        spec = f"{catalogue.config_file('aae_table1')}:mnist_10k,{profile}"
        overrides = [f"--config.{change}" for change in (f"train.seeds={seeds}", *changes)]
        config, changed = cli.load_config(spec, overrides)
        run = cli.Run(config, changed, tmp_path / "run")
        run.workdir.mkdir(exist_ok=True)
        metrics = {"test_reconstruction": [3.0] * seeds}
        numbers = tuple(range(seeds))
        seconds = 1.0 + len(measured)
        result = training.Result(
            numbers, metrics, [[]] * seeds, [sha] * seeds, [()] * seeds, 24, seconds
        )
        trained = runner.Trained(config, dataset, None, result, run.workdir, "c0ffee", False)

        def measure(_, *judges):
            assert judges == (("judge",) if "by" in options else ())
            measured.append(names)
            value = float(len(measured)) if values is None else values
            return {name: [value] * seeds for name in options.get("measured", names)}

        announced = runner.Measure(names, measure, options.get("by"))
        finished = runner.report(run, table1.TABLE, trained, lambda _: [], measure=announced)
        return len(measured), finished.record, capsys.readouterr().out

    return call


def test_what_was_measured_is_repeated(report):
    first, again = report(), report()
    assert (first[0], again[0]) == (1, 1)
    assert again[1] == first[1]
    assert "already in" in again[2] and "sigma 1" in again[2]


def test_training_a_judge_is_no_part_of_a_rows_time(report, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(runner.time, "monotonic", lambda: now[0])

    def trained_for_an_hour(_):
        now[0] += 3600
        return "judge"

    times, record, _ = report(by=trained_for_an_hour)
    assert times == 1 and record["wall_seconds"] == 1.0


@pytest.mark.parametrize(
    ("changes", "options"),
    [
        (["parzen.num_samples=1500"], {}),
        ([], {"names": ("parzen_nats", "sigma", "standard_error_nats")}),
        ([], {"sha": "b"}),
    ],
)
def test_what_is_asked_anew_is_measured_anew(report, changes, options):
    report()
    times, record, printed = report(*changes, **options)
    assert times == 2 and record["values"] == [2.0]
    assert "recorded in" in printed
    assert report(*changes, **options)[0] == 2


@pytest.mark.parametrize(
    "damage",
    [
        lambda record: record.pop("extra"),
        lambda record: record.update(extra=None),
        lambda record: record.pop("params_sha256"),
        lambda record: record["config"]["parzen"].update(num_sigmas=3),
    ],
)
def test_a_record_that_says_less_is_measured_anew(report, tmp_path, damage):
    report()
    path = tmp_path / "run/record.json"
    record = json.loads(path.read_text())
    damage(record)
    path.write_text(json.dumps(record))
    assert report()[0] == 2


def test_a_record_of_before_a_field_is_still_the_runs(report, tmp_path):
    _, record, _ = report()
    path = tmp_path / "run/record.json"
    del record["config"]["train"]["first_seed"]  # nor had it a checksum
    path.write_text(json.dumps(record))
    assert report()[:2] == (1, record)


def test_a_smoke_run_is_recorded_beside_itself_and_without_the_papers_numbers(report, tmp_path):
    _, record, printed = report()
    assert ledger.read(tmp_path / "run/aae_table1.jsonl") == [record]
    assert not (tmp_path / "results").exists()
    assert "the paper's numbers are of mnist" in printed and "340" not in printed


def test_a_record_that_was_changed_is_measured_anew_and_stands_once(report, tmp_path):
    _, record, _ = report(measured=("parzen_nats", "sigma"))
    path = tmp_path / "run/record.json"
    path.write_text(path.read_text().replace('"updates": 24', '"updates": 25'))
    times, again, printed = report(values=1.0)
    assert times == 2
    assert again["values"] == record["values"]
    assert "already in" in printed
    assert ledger.read(tmp_path / "run/aae_table1.jsonl") == [record]


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"null", b"\xff\x00", b"{"])
def test_a_record_that_is_none_is_measured_anew(report, tmp_path, content):
    report()
    (tmp_path / "run/record.json").write_bytes(content)
    assert report()[0] == 2


def test_fewer_seeds_again_are_recorded_once(report, tmp_path):
    first = report(values=1.0)[1]
    report(seeds=2, values=1.0)
    assert report(values=1.0)[1]["seeds"] == [0]
    found = ledger.read(tmp_path / "run/aae_table1.jsonl")
    assert [record["seeds"] for record in found] == [[0], [0, 1]]
    assert found[0] == first


@pytest.mark.parametrize("platforms", ["cuda", "cpuu"])
def test_a_device_that_is_not_there_is_one_line(run_program, tmp_path, platforms):
    done = run_program(
        *("-m", "experiments.aae.table2", "--config=configs/aae/table2.py:mnist_100,smoke"),
        f"--workdir={tmp_path / 'run'}",
        JAX_PLATFORMS=platforms,
    )
    assert (done.returncode, done.stdout) == (2, "")
    lines = [line for line in done.stderr.splitlines() if line.startswith("error: ")]
    assert len(lines) == 1 and f"JAX_PLATFORMS={platforms}" in lines[0]
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("changes", "data", "tracked"),
    [
        ((), "mnist/3.0.1", True),
        ((), "kmnist/3.0.1", False),
        (("model.code_dim=7",), "mnist/3.0.1", False),
    ],
)
def test_the_ledger_that_is_tracked_has_rows_as_configured_only(
    report, tmp_path, changes, data, tracked
):
    _, record, _ = report(*changes, profile="fast", dataset=DIGITS._replace(name=data))
    folder = tmp_path / ("results" if tracked else "run")
    assert ledger.read(folder / "aae_table1.jsonl") == [record]
    assert (tmp_path / "results").exists() == tracked


def test_a_measure_measures_what_it_announces(report):
    with pytest.raises(ValueError, match=r"measured .*'sigma'.*, announced .*'nmi'"):
        report(names=("parzen_nats", "nmi"), measured=("parzen_nats", "sigma"))
