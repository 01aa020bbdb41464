"""What every experiment does around fit(): data, workdir, record, ledger, figures."""

import ctypes
import hashlib
import json
import os
import platform
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections

from aae_jax import data as datasets
from aae_jax import methods, program, training
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluator, classification
from aae_jax.evaluators import check as check_evaluators
from aae_jax.rundir import write_json
from experiments.harness import ledger as ledgers
from experiments.harness import provenance
from experiments.harness.cli import Run
from experiments.harness.tables import Table, side_by_side

# What may change when a run is taken up again: both only extend it.
_EXTENDABLE = ("train.epochs", "train.seeds")


class Trained(NamedTuple):
    """A run whose training is done.

    ``commit`` and ``dirty`` tell which code trained it.
    """

    config: ml_collections.ConfigDict
    dataset: datasets.Dataset
    method: methods.Method
    result: training.Result
    workdir: Path
    commit: str
    dirty: bool | None


class Finished(NamedTuple):
    """A finished run, as figures see it."""

    config: ml_collections.ConfigDict
    dataset: datasets.Dataset
    method: methods.Method
    result: training.Result
    record: ledgers.Record
    workdir: Path


class Rehearsed(Exception):
    """A rehearsal found nothing wrong."""


Measure = Callable[[Trained], dict[str, list[float]]]
Figures = Callable[[Finished], list[Path]]


def use_compilation_cache() -> None:
    """Keep compiled programs between processes."""
    from aae_jax.data import cache

    jax.config.update("jax_compilation_cache_dir", str(cache.root() / "xla"))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.2)


def keep_freed_memory() -> None:
    """Let glibc keep what is freed, up to 2 GB, instead of handing it back to the system.

    XLA's CPU client allocates its scratch memory anew for every step; where that comes from mmap
    each of its pages faults each time, a third of the time of a PixelGAN autoencoder's step. Beyond
    64 MB that takes ``GLIBC_TUNABLES=glibc.malloc.arena_max=1`` too, before the process starts (the
    Makefile has it).
    """
    if platform.libc_ver()[0] == "glibc":
        mmap_max, trim_threshold, top_pad = -4, -1, -2  # malloc.h
        libc = ctypes.CDLL(None)
        libc.mallopt(mmap_max, 0)
        libc.mallopt(trim_threshold, 2**31 - 1)
        libc.mallopt(top_pad, 2**28)


def workdir(config: ml_collections.ConfigDict, overrides: dict[str, Any]) -> Path:
    """``runs/<experiment>/<row>-<profile>``, with a mark of the overrides that are more than a
    longer run or more seeds, so that every setting has a directory of its own.
    ``AAE_JAX_RUNS_DIR`` moves ``runs/``."""
    marked = {k: v for k, v in overrides.items() if k not in _EXTENDABLE}
    mark = hashlib.sha256(json.dumps(marked, sort_keys=True, default=list).encode()).hexdigest()
    suffix = f"-{mark[:8]}" if marked else ""
    runs = Path(os.environ.get("AAE_JAX_RUNS_DIR", "runs"))
    return runs / config.experiment / f"{config.row}-{config.profile}{suffix}"


def run_experiment(
    run: Run,
    table: Table,
    figures: Figures,
    *,
    evaluators: Sequence[Evaluator] = (classification(),),
    measure: Measure | None = None,
    check: Callable[[ml_collections.ConfigDict, datasets.Dataset], None] | None = None,
    ledger: Path | None = None,
) -> Finished:
    """Train one row to its end (or repeat what it ended with), record it, draw and print it.

    Args:
        run: the command line.
        table: the table of which the row is one.
        figures: draws the pictures of a finished run.
        evaluators: what is followed during training.
        measure: further metrics, measured once at the end.
        check: looks for settings that ``measure`` cannot have, before any training.
        ledger: where the record goes.

    Raises:
        UserError: for data that is not there, settings that cannot be trained, or a workdir that
            holds something else.
        SystemExit: with status 143, after SIGTERM.
    """
    trained = train(run, evaluators=evaluators, check=check)
    return report(run, table, trained, figures, measure=measure, ledger=ledger)


def train(
    run: Run,
    *,
    evaluators: Sequence[Evaluator] = (classification(),),
    check: Callable[[ml_collections.ConfigDict, datasets.Dataset], None] | None = None,
) -> Trained:
    """The training half of ``run_experiment``.

    Raises:
        Rehearsed: in a rehearsal, where training would begin.
    """
    config = run.config
    dataset = datasets.load(
        config.data.name,
        unlabelled=config.data.unlabelled,
        classes=config.data.classes,
        scaling=config.data.scaling,
    )
    datasets.require_test(dataset)
    spec = training.data_spec(dataset, config)
    program.layout(
        config.train,
        tuple(filter(None, (config.data.batch_size, config.data.labelled_batch_size))),
    )
    method = methods.build(config.method, config.model, spec=spec)
    check_evaluators(evaluators, method, dataset)
    if check is not None:
        check(config, dataset)
    if run.rehearsal:
        _check_claim(run.workdir, config, dataset)
        raise Rehearsed
    commit, dirty = _claim(run.workdir, config, dataset)
    use_compilation_cache()
    keep_freed_memory()
    print(
        f"{config.experiment} {config.row} ({config.profile}) on {dataset.name}, in {run.workdir}"
    )
    result = training.fit(
        method, dataset, config, spec=spec, workdir=run.workdir, evaluators=evaluators
    )
    return Trained(config, dataset, method, result, run.workdir, commit, dirty)


def joined(parts: list[Trained]) -> Trained:
    """Runs over different folds of one data set as one, a seed each; config and method are the
    first's, and the data set carries the names and the digest of all."""
    first, *others = parts
    if not others:
        return first
    digests = "".join(part.dataset.sha256 for part in parts)
    dataset = first.dataset._replace(
        name=f"{first.dataset.name.split('/')[0]}, {len(parts)} folds",
        sha256=hashlib.sha256(digests.encode()).hexdigest(),
    )
    results = [part.result for part in parts]
    result = training.Result(
        seeds=tuple(seed for r in results for seed in r.seeds),
        metrics={
            name: [value for r in results for value in r.metrics[name]]
            for name in first.result.metrics
        },
        curves=[curve for r in results for curve in r.curves],
        params_sha256=[sha256 for r in results for sha256 in r.params_sha256],
        states=[state for r in results for state in r.states],
        updates=first.result.updates,
        wall_seconds=sum(r.wall_seconds for r in results),
    )
    dirty = [part.dirty for part in parts]
    return first._replace(
        dataset=dataset, result=result, dirty=None if None in dirty else any(dirty)
    )


def report(
    run: Run,
    table: Table,
    trained: Trained,
    figures: Figures,
    *,
    measure: Measure | None = None,
    ledger: Path | None = None,
    claimed_for: datasets.Dataset | None = None,
) -> Finished:
    """The other half: measure, record, draw and print what was trained, be it by this run or by
    another whose training this row shares. ``claimed_for`` is the data set that the workdir is
    claimed for where ``trained.dataset`` joins a number of them that may grow."""
    config, result = run.config, trained.result
    if run.workdir != trained.workdir:
        _claim(run.workdir, config, claimed_for or trained.dataset)
    record = _record(run, table, trained, measure)
    appended = ledgers.append(record, ledger or ledgers.directory())
    finished = Finished(config, trained.dataset, trained.method, result, record, run.workdir)
    pictures = figures(finished)

    print()
    print(side_by_side(table, config.row, record), end="")
    print(f"{result.updates} updates ({config.train.epochs} epochs) a seed, final step")
    for i, (seed, value) in enumerate(zip(record["seeds"], record["values"])):
        print(
            f"  seed {seed}: {table.metric} {value:.{table.decimals}f}, "
            f"params_sha256 {record['params_sha256'][i]}"
        )
        if measure is not None:
            print("    " + ", ".join(f"{k} {v[i]:.4g}" for k, v in record["extra"].items()))
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
    commit, dirty = provenance.source_version()
    theirs = _check_claim(workdir, config, dataset)
    if theirs is None:
        workdir.mkdir(parents=True, exist_ok=True)
        mine = _claims(config, dataset) | {"commit": commit, "dirty": dirty}
        write_json(workdir / "run.json", mine)
        return commit, dirty
    if theirs["commit"] != commit:
        print(
            f"note: this run began with commit {theirs['commit'][:7]} and goes on with "
            f"{commit[:7]}; if it trains on, its record says dirty",
            file=sys.stderr,
        )
        return commit, True
    return commit, bool(dirty or theirs["dirty"]) if dirty is not None else None


def _claims(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> dict[str, Any]:
    return {"config": _plain(config), "dataset_sha256": dataset.sha256}


def _check_claim(
    workdir: Path, config: ml_collections.ConfigDict, dataset: datasets.Dataset
) -> dict[str, Any] | None:
    """What the ``run.json`` of this run says, None if there is none yet.

    Raises:
        UserError: if ``workdir`` holds anything else.
    """
    path, mine = workdir / "run.json", _claims(config, dataset)
    if not path.exists():
        if workdir.exists() and any(item.name != ".lock" for item in workdir.iterdir()):
            raise UserError(
                f"{workdir} is not empty and holds no run of ours: choose another --workdir"
            )
        return None
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
    return theirs


def _record(run: Run, table: Table, trained: Trained, measure: Measure | None) -> ledgers.Record:
    """The run's record: the one it has already, if the result is that one's."""
    path, result, dataset = run.workdir / "record.json", trained.result, trained.dataset
    if path.exists():
        record = json.loads(path.read_text())
        if (record["params_sha256"], record["updates"]) == (result.params_sha256, result.updates):
            return record
    config = run.config
    row = next(row for row in table.rows if row.name == config.row)
    metrics = dict(result.metrics)
    started = time.monotonic()
    if measure is not None:
        metrics |= measure(trained)
    record = ledgers.make_record(
        experiment=config.experiment,
        row=config.row,
        profile=config.profile,
        metric=table.metric,
        paper=row.paper,
        seeds=result.seeds,
        values=metrics[table.metric],
        selection="final",
        updates=result.updates,
        epochs=config.train.epochs,
        dataset=dataset.name,
        dataset_sha256=dataset.sha256,
        config=_plain(config),
        overrides=run.overrides,
        wall_seconds=result.wall_seconds + time.monotonic() - started,
        params_sha256=result.params_sha256,
        extra={k: v for k, v in metrics.items() if k != table.metric} or None,
        commit=trained.commit,
        dirty=trained.dirty,
    )
    write_json(path, record)
    return record
