"""Commands for a queue, and the records that its jobs bring back."""

import json
import subprocess

import pytest
from ledger_records import record

from aae_jax.errors import UserError
from experiments.harness import collect, ledger, rows

CONFIG = {"model": {"rate": 0.1}, "train": {"seeds": 3, "first_seed": 0, "epochs": 5}}


def part(first, *values, **changes):
    """The record of some of a row's seeds."""
    seeds = list(range(first, first + len(values)))
    overrides = {"train.seeds": len(seeds)} | ({"train.first_seed": first} if first else {})
    config = CONFIG | {"train": CONFIG["train"] | {"seeds": len(seeds), "first_seed": first}}
    return record(
        seeds=seeds,
        values=list(values),
        params_sha256=[f"of {seed}" for seed in seeds],
        overrides=overrides,
        config=config,
        wall_seconds=10.0 * len(seeds),
        extra={"clusters": [float(seed) for seed in seeds]},
        **changes,
    )


@pytest.fixture
def jobs(tmp_path):
    """``jobs(record, ...)``: each in a ledger of its own, below one directory."""

    def make(*records):
        for i, one in enumerate(records):
            ledger.append(one, tmp_path / "jobs" / f"{i:02}")
        return [str(tmp_path / "jobs")]

    return make


def written():
    return ledger.read(ledger.directory() / "aae_table2.jsonl")


def test_a_command_a_row_and_a_command_a_seed():
    ledger.append(record(seeds=[0], values=[2.0], params_sha256=["aa"]), ledger.directory())
    whole = list(rows.commands(["aae_table2"], "fast"))
    assert len(whole) == len(rows.rows_of(rows.catalogue.module("aae_table2")))
    assert whole[0].startswith("make reproduce-table2-aae PROFILE=fast ROWS=mnist_100  # about ")
    split = [c for c in rows.commands(["aae_table2"], "fast", 1) if "ROWS=mnist_100 " in c]
    commands, times = zip(*(command.split("  # ") for command in split))
    start = "make reproduce-table2-aae PROFILE=fast ROWS=mnist_100 SEEDS=1"
    assert commands == (
        start,
        f"{start} ARGS=--config.train.first_seed=1",
        f"{start} ARGS=--config.train.first_seed=2",
    )
    assert all("1 seed" in time for time in times)
    two = [c for c in rows.commands(["aae_table2"], "fast", 2) if "ROWS=mnist_100 " in c]
    assert "SEEDS=2  #" in two[0] and "SEEDS=1 ARGS=--config.train.first_seed=2" in two[1]
    # To a shell, what stands behind is a comment.
    done = subprocess.run(["sh", "-c", f"echo {whole[0]}"], capture_output=True, text=True)
    assert done.stdout.rstrip().endswith("ROWS=mnist_100")
    # What draws another's runs trains nothing.
    assert "pixelgan_fig8" not in rows.trained("pixelgan")
    with pytest.raises(UserError, match="did you mean 'pixelgan'"):
        rows.trained("pixlgan")
    with pytest.raises(UserError, match="SEEDS is 'x'"):
        rows.main(["--seeds=x"])


def test_groups_of_seeds_are_one_record(jobs, capsys):
    places = jobs(part(1, 3.0, 5.0), part(0, 1.0))
    collect.main(places)
    (found,) = written()
    assert found["seeds"] == [0, 1, 2] and found["values"] == [1.0, 3.0, 5.0]
    assert (found["mean"], found["std"], found["wall_seconds"]) == (3.0, 2.0, 30.0)
    assert found["overrides"] == {} and found["config"] == CONFIG
    assert found["params_sha256"] == ["of 0", "of 1", "of 2"]
    assert found["extra"] == {"clusters": [0.0, 1.0, 2.0]}
    assert "mnist_100 (fast): taken" in capsys.readouterr().out
    collect.main(places)  # a second time
    assert written() == [found]
    assert "there already" in capsys.readouterr().out


def test_the_rest_is_left_where_it_is(jobs, capsys):
    changed = record(overrides={"train.epochs": 1})
    places = jobs(part(0, 1.0), part(2, 2.0), record(profile="smoke"), changed)
    collect.main(places)
    assert not written()
    out = capsys.readouterr().out
    assert "not taken, it lacks seed 1\n" in out
    assert "left out: 2" in out


@pytest.mark.parametrize(
    ("records", "message"),
    [
        ([record(dirty=True)], "dirty"),
        ([record(dirty=None)], "dirty"),
        ([record(), record(values=[2.0, 4.0])], "two different records"),
        ([part(0, 1.0, 2.0), part(1, 2.0, 3.0) | {"params_sha256": ["x", "y"]}], "ran twice"),
        ([part(0, 1.0), part(1, 2.0, 3.0, commit="f" * 16)], "differs .* in its commit"),
        (
            [part(0, 1.0), part(1, 2.0, 3.0) | {"config": {"model": {"rate": 0.2}}}],
            r"differs .* in config\.model\.rate",
        ),
        ([part(0, 1.0), part(1, 2.0, 3.0) | {"extra": {}}], "different things"),
    ],
)
def test_what_is_in_doubt_is_refused_and_nothing_taken(jobs, records, message):
    with pytest.raises(UserError, match=message):
        collect.main(jobs(record(row="mnist_1000"), *records))
    assert not written()


def test_places_without_records(tmp_path):
    with pytest.raises(UserError, match="FROM="):
        collect.main([])
    with pytest.raises(UserError, match="is not there"):
        collect.main([str(tmp_path / "nowhere")])
    with pytest.raises(UserError, match="holds no ledger"):
        collect.main([str(tmp_path)])
    (tmp_path / "aae_table2.jsonl").write_text(json.dumps(record()) + "\n{broken\n")
    with pytest.raises(UserError, match=r"aae_table2\.jsonl, line 2: not JSON"):
        collect.main([str(tmp_path)])
    assert not written()
