"""What every experiment does around fit(): data, workdir, record, ledger, figures."""

import ctypes
import hashlib
import os
import platform
import shlex
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import ml_collections

from aae_jax import data as datasets
from aae_jax import methods, processes, program, rundir, training
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluator, classification
from aae_jax.evaluators import check as check_evaluators
from configs.base import check_row
from experiments.harness import catalogue, provenance, workdir
from experiments.harness import ledger as ledgers
from experiments.harness.cli import Run
from experiments.harness.tables import Row, Table, on_named_data, side_by_side


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


class Followed(Exception):
    """Training is done, and the rest is the leading process's."""


class Measure(NamedTuple):
    """What is measured once, at the end of a run.

    Attributes:
        names: the metrics, by which a record is known to hold them already.
        of: measures them, one value per seed.
        by: what it measures with, a judge, which it is given too; trained if it is not there. Many
            rows share one, so its training is no part of a row's time.
    """

    names: tuple[str, ...]
    of: Callable[..., dict[str, list[float]]]
    by: Callable[[Trained], Any] | None = None


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


def check_devices() -> None:
    """Refuse to start without a device.

    Raises:
        UserError: there is none that JAX is told to use.
    """
    try:
        jax.process_count()
    except (RuntimeError, AssertionError) as error:  # the latter without a plugin for CUDA
        platforms = os.environ.get("JAX_PLATFORMS", "")
        reason = (str(error).splitlines() or ["none of this kind"])[0]
        raise UserError(
            f"JAX finds no device{f' for JAX_PLATFORMS={platforms}' if platforms else ''} "
            f"({reason}): unset JAX_PLATFORMS or set it to cpu"
        ) from None


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
    check_is_of(run, table)
    trained = train(run, evaluators=evaluators, check=check, ledger=ledger)
    return report(run, table, trained, figures, measure=measure, ledger=ledger)


def check_is_of(run: Run, table: Table) -> None:
    """Refuse another experiment's config, before it is trained.

    Raises:
        UserError: its experiment or row is not the table's.
    """
    config = run.config
    if config.experiment != table.experiment:
        raise UserError(
            f"this config is of {config.experiment}, and the program of {table.experiment}: name "
            f"{table.experiment}'s config, or start {config.experiment}'s program"
        )
    check_row(table.experiment, config.row, [row.name for row in table.rows])


def train(
    run: Run,
    *,
    evaluators: Sequence[Evaluator] = (classification(),),
    check: Callable[[ml_collections.ConfigDict, datasets.Dataset], None] | None = None,
    ledger: Path | None = None,
    complete: Callable[[methods.Method, datasets.Dataset], methods.Method] | None = None,
) -> Trained:
    """The training half of ``run_experiment``; ``complete`` makes of the method what is trained,
    where it needs what takes work: a network trained beforehand.

    Raises:
        Rehearsed: in a rehearsal, where training would begin.
    """
    config = run.config
    check_devices()
    dataset = datasets.load(
        config.data.name,
        unlabelled=config.data.unlabelled,
        classes=config.data.classes,
        scaling=config.data.scaling,
        domains=config.data.domains,
    )
    datasets.require_test(dataset)
    spec = training.data_spec(dataset, config)
    program.layout(
        config.train,
        tuple(filter(None, (config.data.batch_size, config.data.labelled_batch_size))),
    )
    method = methods.build(config.method, config.model, spec=spec)
    program.check_memory(method)
    if check is not None:
        check(config, dataset)
    check_evaluators(evaluators, method, dataset)
    as_configured = config.profile != "smoke" and not run.overrides
    for folder in (run.workdir, ledger, ledgers.directory() if as_configured else None):
        if folder is not None:
            ledgers.check(folder, config.experiment)
    if run.rehearsal:
        workdir.check_claim(run, dataset)
        raise Rehearsed
    processes.same(
        config=workdir.plain(config),
        commit=provenance.source_version()[0],
        data=dataset.sha256,
    )
    commit, dirty = processes.first(lambda: workdir.claim(run, dataset)) or ("", None)
    use_compilation_cache()
    keep_freed_memory()
    print(
        f"{config.experiment} {config.row} ({config.profile}) on {dataset.name}, in {run.workdir}"
    )
    if complete is not None:
        method = complete(method, dataset)
    try:
        result = training.fit(
            method, dataset, config, spec=spec, workdir=run.workdir, evaluators=evaluators
        )
    except training.Diverged as error:
        raise UserError(f"{error}{_gentler(run, error.phases)}") from None
    return Trained(config, dataset, method, result, run.workdir, commit, dirty)


def _gentler(run: Run, phases: tuple[str, ...]) -> str:
    """The command that trains a row with lower rates of some phases, as part of a sentence."""
    config, rates = run.config, dict(run.overrides)
    if not phases or config.experiment not in catalogue.names():
        return ""
    for phase in phases:
        rate = config.model.optimizers[phase].learning_rate
        rates[f"model.optimizers.{phase}.learning_rate"] = float(f"{rate / 10:.3g}")
    changes = " ".join(
        f"--config.{name}={shlex.quote(str(value).replace(' ', ''))}"
        for name, value in rates.items()
    )
    return (
        f". Such as: make reproduce-{catalogue.target(config.experiment)} "
        f'PROFILE={config.profile} ROWS={config.row} ARGS="{changes}"'
    )


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
    claimed for where ``trained.dataset`` joins a number of them that may grow. Of several
    processes the leading one alone does it.

    Raises:
        Followed: in another process.
    """
    if not processes.leads():
        raise Followed
    with processes.alone():
        return _report(run, table, trained, figures, measure, ledger, claimed_for)


def _report(
    run: Run,
    table: Table,
    trained: Trained,
    figures: Figures,
    measure: Measure | None,
    ledger: Path | None,
    claimed_for: datasets.Dataset | None,
) -> Finished:
    config, result = run.config, trained.result
    if run.workdir != trained.workdir:
        workdir.claim(run, claimed_for or trained.dataset)
    record = _record(run, table, trained, measure)
    row = next(row for row in table.rows if row.name == config.row)
    tracked = is_row(row, record)
    folder = ledger or (ledgers.directory() if tracked else run.workdir)
    appended = ledgers.append(record, folder)
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
            extra = record.get("extra") or {}
            shown = [f"{k} {extra[k][i]:.4g}" for k in measure.names if k != table.metric]
            print(f"    {', '.join(shown)}")
    for picture in pictures:
        print(f"  {picture}")
    print(f"{'recorded in' if appended else 'already in'} {folder / config.experiment}.jsonl")
    return finished


def _standing_record(run: Run, trained: Trained, asked: set[str]) -> ledgers.Record | None:
    """The record that the workdir has already, if it is of this result and this config and holds
    all the metrics that are asked for."""
    result = trained.result
    try:
        record = rundir.read_json(run.workdir / "record.json") or {}
        known = {record["metric"], *(record.get("extra") or {})}
        same = (
            record["params_sha256"] == result.params_sha256
            and record["updates"] == result.updates
            and record["overrides"] == ledgers.plain(run.overrides)
            and not workdir.changed_fields(record["config"], run)
            and asked <= known
        )
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
    return record if same else None


def _record(run: Run, table: Table, trained: Trained, measure: Measure | None) -> ledgers.Record:
    """The run's record: the one it has already, if nothing new was asked for."""
    config, result, dataset = run.config, trained.result, trained.dataset
    metrics = dict(result.metrics)
    standing = _standing_record(run, trained, {*metrics, *(measure.names if measure else ())})
    if standing is not None:
        return standing
    row = next(row for row in table.rows if row.name == config.row)
    judges = (measure.by(trained),) if measure is not None and measure.by is not None else ()
    started = time.monotonic()
    if measure is not None:
        measured = measure.of(trained, *judges)
        if set(measured) != set(measure.names):
            raise ValueError(f"measured {sorted(measured)}, announced {sorted(measure.names)}")
        metrics |= measured
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
        config=workdir.plain(config),
        overrides=run.overrides,
        wall_seconds=result.wall_seconds + time.monotonic() - started,
        params_sha256=result.params_sha256,
        extra={k: v for k, v in metrics.items() if k != table.metric} or None,
        commit=trained.commit,
        dirty=trained.dirty,
    )
    rundir.write_json(run.workdir / "record.json", record)
    return record


def is_row(row: Row, record: ledgers.Record) -> bool:
    """Whether a record is of a row of the table as the paper's number is: at its data set, in a
    profile of its own, with nothing changed on the command line."""
    return record["profile"] != "smoke" and not record["overrides"] and on_named_data(row, record)
