"""The ledger's records and its file."""

import concurrent.futures
import fcntl
import json
import math
import os
import types

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from ledger_records import record

from aae_jax.errors import UserError
from experiments.harness import ledger, provenance


def made(**changes):
    arguments = {
        "experiment": "aae_table2",
        "row": "mnist_100",
        "profile": "fast",
        "metric": "test_error_percent",
        "paper": (1.9, 0.1),
        "seeds": range(3),
        "values": np.asarray([1.0, 2.0, 4.0], np.float32),
        "selection": "final",
        "updates": np.int64(500),
        "epochs": 10,
        "dataset": "mnist:3.0.1",
        "dataset_sha256": "ab",
        "config": {"train": {"epochs": 10}},
        "overrides": {},
        "wall_seconds": 12.5,
        "params_sha256": ["a", "b", "c"],
        "commit": "c0ffee",
        "dirty": False,
    }
    return ledger.make_record(**(arguments | changes))


# --- make_record ---------------------------------------------------------------------------


def test_record_has_the_keys_in_their_order_and_survives_json():
    made_record = made()
    assert tuple(made_record) == ledger.KEYS
    assert json.loads(json.dumps(made_record, allow_nan=False)) == made_record
    assert made_record["seeds"] == [0, 1, 2]
    assert made_record["updates"] == 500
    assert made_record["paper"] == {"mean": 1.9, "std": 0.1}
    assert (made_record["commit"], made_record["dirty"]) == ("c0ffee", False)


def test_record_mean_and_std_over_seeds():
    made_record = made()
    assert made_record["values"] == [1.0, 2.0, 4.0]
    assert made_record["mean"] == pytest.approx(7 / 3)
    assert made_record["std"] == pytest.approx(np.std([1.0, 2.0, 4.0], ddof=1))


def test_record_of_one_seed_has_no_std():
    made_record = made(seeds=[7], values=[1.5], params_sha256=["a"])
    assert (made_record["mean"], made_record["std"]) == (1.5, None)


@pytest.mark.parametrize(
    ("paper", "expected"),
    [
        (None, None),
        ((1.9, None), {"mean": 1.9, "std": None}),
        ({"mean": 340, "std": 2}, {"mean": 340.0, "std": 2.0}),
    ],
)
def test_record_paper(paper, expected):
    assert made(paper=paper)["paper"] == expected


def test_record_config_becomes_plain_json():
    config = ml_collections.ConfigDict(
        {
            "hidden": (10, 5),
            "rate": np.float32(0.5),
            "clip": math.inf,
            "act": jnp.tanh,
            "none": None,
        }
    )
    config.double = config.get_ref("rate") * 2
    plain = made(config=config, overrides={"hidden": (10, 5)})
    assert plain["config"]["hidden"] == [10, 5]
    assert plain["config"]["rate"] == 0.5
    assert plain["config"]["double"] == 1.0
    assert plain["config"]["clip"] == "inf"
    assert plain["config"]["act"] == "tanh"
    assert plain["config"]["none"] is None
    assert plain["overrides"] == {"hidden": [10, 5]}
    json.dumps(plain, allow_nan=False)


def test_record_extra_metrics_come_last():
    made_record = made(extra={"nmi": np.ones(3)})
    assert tuple(made_record) == (*ledger.KEYS, "extra")
    assert made_record["extra"] == {"nmi": [1.0, 1.0, 1.0]}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"values": [1.0, 2.0]}, "test_error_percent has 2 values for 3 seeds"),
        ({"params_sha256": ["a"]}, "params_sha256 has 1 entries, seeds 3"),
        ({"seeds": [0, 0, 1]}, "different"),
        ({"seeds": [], "values": [], "params_sha256": []}, "one or more"),
        ({"selection": "best_test"}, "final, best_validation"),
        ({"wall_seconds": math.nan}, "wall_seconds"),
        ({"wall_seconds": -1.0}, "wall_seconds"),
        ({"experiment": "../aae"}, "letters, digits and underscores"),
        ({"extra": {"nmi": [1.0]}}, "nmi has 1 values for 3 seeds"),
    ],
)
def test_record_refuses_inconsistent_arguments(changes, message):
    with pytest.raises(ValueError, match=message) as caught:
        made(**changes)
    assert not isinstance(caught.value, UserError)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_record_refuses_a_diverged_run(bad):
    with pytest.raises(UserError, match=r"test_error_percent is not finite for seed 1: "):
        made(values=[1.0, bad, 2.0])
    with pytest.raises(UserError, match="nmi is not finite for seed 2"):
        made(extra={"nmi": [1.0, 1.0, bad]})


def test_record_device_and_versions():
    made_record = made()
    assert made_record["versions"]["jax"] == jax.__version__
    assert made_record["versions"]["numpy"] == np.__version__
    assert next(iter(made_record["versions"])) == "python"
    assert set(made_record["versions"]) >= {"jaxlib", "flax", "optax", "orbax-checkpoint", "chex"}
    if jax.default_backend() == "cpu":
        cores = len(os.sched_getaffinity(0))
        assert made_record["device"] == f"cpu ({cores} core{'s' if cores > 1 else ''})"


def test_record_asks_git_only_without_a_commit(monkeypatch):
    monkeypatch.setattr(provenance, "source_version", lambda: ("f00", True))
    assert (made(commit=None, dirty=None)["commit"], made(commit=None)["dirty"]) == ("f00", True)
    assert made(commit="unknown", dirty=None)["dirty"] is None


# --- append and read -----------------------------------------------------------------------


def test_append_and_read_round_trip(tmp_path):
    directory = tmp_path / "new" / "results"
    first, second = record(), record(row="mnist_1000", dataset="δ")
    assert ledger.append(first, directory)
    assert ledger.append(second, directory)
    path = directory / "aae_table2.jsonl"
    assert path.read_text().count("\n") == 2
    assert ledger.read(path) == [first, second]
    assert tuple(ledger.read(path)[0]) == ledger.KEYS


def test_append_reports_a_record_once(tmp_path):
    assert ledger.append(record(), tmp_path)
    assert ledger.append(record(epochs=7), tmp_path)
    content = (tmp_path / "aae_table2.jsonl").read_bytes()
    assert not ledger.append(record(), tmp_path)
    # Measured again, by another machine: the same result.
    assert not ledger.append(record(wall_seconds=1.0, commit="other", device="cpu"), tmp_path)
    assert (tmp_path / "aae_table2.jsonl").read_bytes() == content


def folder_is_a_file(folder):
    folder.write_text("")


def above_is_a_file(folder):
    folder.parent.mkdir(exist_ok=True)
    folder.parent.rmdir()
    folder.parent.write_text("")


def ledger_is_a_directory(folder):
    (folder / "aae_table2.jsonl").mkdir(parents=True)


def link_to_nowhere(folder):
    folder.mkdir()
    (folder / "aae_table2.jsonl").symlink_to(folder / "nowhere")


@pytest.mark.parametrize(
    "spoil", [folder_is_a_file, above_is_a_file, ledger_is_a_directory, link_to_nowhere]
)
def test_a_ledger_that_cannot_be_appended_to_is_found_before_training(tmp_path, spoil):
    folder = tmp_path / "a/results" if spoil is above_is_a_file else tmp_path / "results"
    spoil(folder)
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(
        UserError, match=r"the ledger .*aae_table2.jsonl cannot be written: .* is no"
    ):
        ledger.check(folder, "aae_table2")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_full_disk_is_found_before_training(tmp_path, monkeypatch):
    ledger.check(tmp_path / "new/results", "aae_table2")
    ledger.append(record(), tmp_path)
    ledger.check(tmp_path, "aae_table2")
    there = os.statvfs(tmp_path)
    full = types.SimpleNamespace(f_flag=0, f_bavail=0, f_frsize=there.f_frsize)
    monkeypatch.setattr(os, "statvfs", lambda path: full)
    with pytest.raises(UserError, match="the disk is full"):
        ledger.check(tmp_path, "aae_table2")
    read_only = types.SimpleNamespace(f_flag=os.ST_RDONLY, f_bavail=10**9, f_frsize=4096)
    monkeypatch.setattr(os, "statvfs", lambda path: read_only)
    with pytest.raises(UserError, match="writable"):
        ledger.check(tmp_path, "aae_table2")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["aae_table2.jsonl"]


@pytest.mark.parametrize("before", [[], [record(row="mnist_1000")]])
def test_append_cuts_off_a_torn_line(tmp_path, before):
    path = tmp_path / "aae_table2.jsonl"
    for item in before:
        ledger.append(item, tmp_path)
    with path.open("a") as file:
        file.write(json.dumps(record())[:-40])
    assert ledger.append(record(), tmp_path)
    assert ledger.read(path) == [*before, record()]


def test_append_keeps_a_whole_line_that_lacks_only_its_newline(tmp_path):
    path = tmp_path / "aae_table2.jsonl"
    path.write_text(json.dumps(record()))
    assert not ledger.append(record(), tmp_path)
    assert ledger.append(record(row="mnist_1000"), tmp_path)
    assert ledger.read(path) == [record(), record(row="mnist_1000")]


def test_append_from_several_runs_at_once(tmp_path):
    (tmp_path / "aae_table2.jsonl").write_text('{"torn": ')
    items = [record(row=f"row_{i}") for i in range(16)]
    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        assert all(pool.map(lambda item: ledger.append(item, tmp_path), items))
        assert not any(pool.map(lambda item: ledger.append(item, tmp_path), items))
    found = ledger.read(tmp_path / "aae_table2.jsonl")
    assert sorted(r["row"] for r in found) == sorted(r["row"] for r in items)


def test_append_waits_for_a_run_that_is_writing(tmp_path):
    path = tmp_path / "aae_table2.jsonl"
    with concurrent.futures.ThreadPoolExecutor(1) as pool, path.open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        other.write('{"half": ')
        other.flush()
        waiting = pool.submit(ledger.append, record(), tmp_path)
        with pytest.raises(concurrent.futures.TimeoutError):
            waiting.result(timeout=0.2)
        assert path.read_text() == '{"half": '
        fcntl.flock(other, fcntl.LOCK_UN)
        assert waiting.result(timeout=5)
    assert ledger.read(path) == [record()]


def test_append_is_one_durable_write(tmp_path, monkeypatch):
    calls = []
    write, fsync = os.write, os.fsync
    monkeypatch.setattr(os, "write", lambda fd, data: calls.append("write") or write(fd, data))
    monkeypatch.setattr(os, "fsync", lambda fd: calls.append("fsync") or fsync(fd))
    ledger.append(record(), tmp_path)
    assert calls == ["write", "fsync", "fsync"]


def test_append_undoes_a_short_write(tmp_path, monkeypatch):
    ledger.append(record(), tmp_path)
    write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: write(fd, data[:10]))
    with pytest.raises(OSError, match="disk full"):
        ledger.append(record(row="mnist_1000"), tmp_path)
    assert ledger.read(tmp_path / "aae_table2.jsonl") == [record()]


def test_append_refuses_what_is_no_json(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        ledger.append(record(mean=math.nan), tmp_path)
    assert not list(tmp_path.iterdir())


def test_read_of_a_missing_file(tmp_path):
    assert ledger.read(tmp_path / "none.jsonl") == []


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"experiment": "a', "not JSON"),
        ("", "not JSON"),
        ("<<<<<<< HEAD", "not JSON"),
        (json.dumps(record(mean=math.nan)), "not JSON"),
        ("[1]", "not a record, it has no 'experiment'"),
        (
            json.dumps({k: v for k, v in record().items() if k != "mean"}),
            "not a record, it has no 'mean'",
        ),
    ],
)
def test_read_names_file_and_line_of_a_malformed_line(tmp_path, line, message):
    path = tmp_path / "aae_table2.jsonl"
    path.write_text(json.dumps(record()) + "\n" + line + "\n" + json.dumps(record()) + "\n")
    with pytest.raises(UserError) as caught:
        ledger.read(path)
    assert f"{path}, line 2: {message}" in str(caught.value)
    assert "\n" not in str(caught.value)


# --- latest ----------------------------------------------------------------------------


def test_latest_is_the_last_and_not_the_best():
    best, last = record(mean=1.0), record(mean=9.0)
    smoke = record(profile="smoke")
    assert ledger.latest([best, smoke, last]) == {
        ("mnist_100", "fast", "{}"): last,
        ("mnist_100", "smoke", "{}"): smoke,
    }


def test_latest_keeps_overridden_runs_apart():
    plain = record()
    first = record(overrides={"a": 1, "b": 2}, mean=1.0)
    second = record(overrides={"b": 2, "a": 1}, mean=2.0)
    found = ledger.latest([plain, first, second])
    assert list(found.values()) == [plain, second]
