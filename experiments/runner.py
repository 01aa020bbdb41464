"""What every experiment does around fit(): data, workdir, record, ledger, figures."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections

from aae_jax import data as datasets
from aae_jax import methods, program, results, training
from aae_jax.errors import UserError
from experiments.cli import Run

ROOT = Path(__file__).resolve().parents[1]

# What may change when a run is taken up again: both only extend it.
_EXTENDABLE = ("train.epochs", "train.seeds")


class Finished(NamedTuple):
    """A finished run, as figures see it."""

    config: ml_collections.ConfigDict
    dataset: datasets.Dataset
    method: methods.Method
    result: training.Result
    record: results.Record
    workdir: Path


def ledger_dir() -> Path:
    """Where the ledgers lie: ``results/``, or ``AAE_JAX_RESULTS_DIR``."""
    return Path(os.environ.get("AAE_JAX_RESULTS_DIR", ROOT / "results"))


def use_compilation_cache() -> None:
    """Keep compiled programs between processes."""
    from aae_jax.data import cache

    jax.config.update("jax_compilation_cache_dir", str(cache.root() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def run_experiment(
    run: Run,
    table: results.Table,
    figures: Callable[[Finished], list[Path]],
    *,
    score: training.Score = training.classification_score,
    ledger: Path | None = None,
) -> Finished:
    """Train one row to its end (or repeat what it ended with), record it, draw and print it.

    Raises:
        UserError: for data that is not there, settings that cannot be trained, or a workdir that
            holds something else.
        SystemExit: with status 143, after SIGTERM.
    """
    config, workdir = run.config, run.workdir
    dataset = datasets.load(config.data.name, unlabelled=config.data.unlabelled)
    spec = training.data_spec(dataset, config)
    program.layout(
        config.train,
        tuple(filter(None, (config.data.batch_size, config.data.labelled_batch_size))),
    )
    method = methods.build(config.method, config.model, spec=spec)
    training.check_score(method, dataset, score)
    commit, dirty = _claim(workdir, config, dataset)
    use_compilation_cache()
    print(f"{config.experiment} {config.row} ({config.profile}) on {dataset.name}, in {workdir}")

    result = training.fit(method, dataset, config, spec=spec, workdir=workdir, score=score)
    record = _record(run, table, dataset, result, commit, dirty)
    appended = results.append(record, ledger or ledger_dir())
    finished = Finished(config, dataset, method, result, record, workdir)
    pictures = figures(finished)

    print()
    print(results.side_by_side(table, config.row, record), end="")
    print(f"{result.updates} updates ({config.train.epochs} epochs) a seed, final step")
    for seed, value, sha256 in zip(record["seeds"], record["values"], record["params_sha256"]):
        print(f"  seed {seed}: {table.metric} {value:.2f}, params_sha256 {sha256}")
    for picture in pictures:
        print(f"  {picture}")
    if not appended:
        print("this result is in the ledger already")
    return finished


def _plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    return json.loads(config.to_json_best_effort())


def _without(config: dict[str, Any], fields: tuple[str, ...]) -> dict[str, Any]:
    config = json.loads(json.dumps(config))
    for field in fields:
        section, name = field.split(".")
        config[section].pop(name, None)
    return config


def _differences(old: Any, new: Any, name: str = "") -> list[str]:
    if isinstance(old, dict) and isinstance(new, dict):
        keys = sorted(old.keys() | new.keys())
        return [d for k in keys for d in _differences(old.get(k), new.get(k), f"{name}.{k}")]
    return [] if old == new else [f"{name.lstrip('.')} ({old} there, {new} here)"]


def _claim(
    workdir: Path, config: ml_collections.ConfigDict, dataset: datasets.Dataset
) -> tuple[str, bool | None]:
    """Make ``workdir`` this run's, or check that it is; returns the code's (commit, dirty).

    A run that goes on under other code than it began with counts as dirty.
    """
    path = workdir / "run.json"
    commit, dirty = results.source_version()
    mine: dict[str, Any] = {"config": _plain(config), "dataset_sha256": dataset.sha256}
    if not path.exists():
        if workdir.exists() and any(item.name != ".lock" for item in workdir.iterdir()):
            raise UserError(
                f"{workdir} is not empty and holds no run of ours: choose another --workdir"
            )
        workdir.mkdir(parents=True, exist_ok=True)
        training.write_json(path, mine | {"commit": commit, "dirty": dirty})
        return commit, dirty
    try:
        theirs = json.loads(path.read_text())
        before = {key: theirs[key] for key in mine} | {
            "config": _without(theirs["config"], _EXTENDABLE)
        }
    except (ValueError, KeyError):
        raise UserError(f"{path} cannot be read: choose another --workdir") from None
    now = mine | {"config": _without(mine["config"], _EXTENDABLE)}
    differences = _differences(before, now)
    if differences:
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        raise UserError(
            f"{workdir} holds another run, which differs in {', '.join(differences[:2])}{more}: "
            "choose another --workdir"
        )
    if theirs["commit"] != commit:
        print(
            f"note: this run began with commit {theirs['commit'][:7]} and goes on with "
            f"{commit[:7]}; if it trains on, its record says dirty",
            file=sys.stderr,
        )
        return commit, True
    return commit, bool(dirty or theirs["dirty"]) if dirty is not None else None


def _record(
    run: Run,
    table: results.Table,
    dataset: datasets.Dataset,
    result: training.Result,
    commit: str,
    dirty: bool | None,
) -> results.Record:
    """The run's record: the one it has already, if the result is that one's."""
    path = run.workdir / "record.json"
    if path.exists():
        record = json.loads(path.read_text())
        if (record["params_sha256"], record["updates"]) == (result.params_sha256, result.updates):
            return record
    config = run.config
    row = next(row for row in table.rows if row.name == config.row)
    record = results.make_record(
        experiment=config.experiment,
        row=config.row,
        profile=config.profile,
        metric=table.metric,
        paper=row.paper,
        seeds=result.seeds,
        values=result.metrics[table.metric],
        selection="final",
        updates=result.updates,
        epochs=config.train.epochs,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        config=_plain(config),
        overrides=run.overrides,
        wall_seconds=result.wall_seconds,
        params_sha256=result.params_sha256,
        extra={k: v for k, v in result.metrics.items() if k != table.metric} or None,
        commit=commit,
        dirty=dirty,
    )
    training.write_json(path, record)
    return record
