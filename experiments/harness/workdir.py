"""The directory of a run: what it is called, and whose it is.

``run.json`` in it says which config on which data began the run. Another run is refused; one that
is longer or has more seeds goes on in it.
"""

import hashlib
import json
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_collections

from aae_jax import data as datasets
from aae_jax import methods, rundir, training
from aae_jax.errors import UserError
from aae_jax.optimizers import spans_run
from experiments.harness import provenance
from experiments.harness.cli import Run

_NAMES = ("experiment", "row", "profile", "method")
# What training follows from; the sections beside them say how a trained run is measured.
_TRAINING = (*_NAMES, "model", "data", "train")
_ABSENT = "absent"
# How work is dispatched, now or formerly, changes no result beyond float rounding, nor does where
# numbers are shown.
_DISPATCH = {
    f"train.{name}"
    for name in ("updates_per_dispatch", "seeds_at_once", "seed_shards", "data_shards", "logger")
}
# Fields that have another name or form now, and what became of their values.
_RENAMED = {
    "data.standardise": ("data.scaling", {False: "unit", True: "standardised"}),
}


def extendable(config: ml_collections.ConfigDict) -> tuple[str, ...]:
    """The fields that may change when a run is taken up again: more seeds, and more epochs where
    the schedule does not span the run."""
    return ("train.seeds",) if spans_run(config.model) else ("train.epochs", "train.seeds")


def derive(config: ml_collections.ConfigDict, overrides: dict[str, Any]) -> Path:
    """``runs/<experiment>/<row>-<profile>``, with a mark of the overrides that are more than an
    extension, so that every setting has a directory of its own. ``AAE_JAX_RUNS_DIR`` moves
    ``runs/``."""
    marked = {k: v for k, v in overrides.items() if k not in extendable(config)}
    mark = hashlib.sha256(json.dumps(marked, sort_keys=True, default=list).encode()).hexdigest()
    suffix = f"-{mark[:8]}" if marked else ""
    runs = Path(os.environ.get("AAE_JAX_RUNS_DIR", "runs"))
    return runs / config.experiment / f"{config.row}-{config.profile}{suffix}"


def plain(config: ml_collections.ConfigDict) -> dict[str, Any]:
    """A config in the types of JSON."""
    return json.loads(config.to_json_best_effort())


def changed_fields(before: dict[str, Any], run: Run) -> dict[str, tuple[Any, Any]]:
    """The fields in which an earlier config, as JSON, differs from a run's: (then, now) by dotted
    name.

    A field that one of the two does not have means its default: the method's or that of training,
    else the row's own. So a field that is new leaves earlier runs what they were. How work is
    dispatched to devices is no difference.
    """
    then, now = dict(fields(before)), dict(fields(plain(run.config)))
    for old, (new, values) in _RENAMED.items():
        if old in then and old not in now:
            then.setdefault(new, values[then.pop(old)])
    defaults = dict(fields(plain(training.default_config())))
    defaults |= fields({"model": plain(methods.default_config(run.config.method))})
    changed = {}
    for name in sorted((then.keys() | now.keys()) - _DISPATCH):
        row_default = now.get(name, _ABSENT) if name not in run.overrides else _ABSENT
        default = defaults.get(name, row_default)
        pair = then.get(name, default), now.get(name, default)
        if pair[0] != pair[1]:
            changed[name] = then.get(name, _ABSENT), now.get(name, _ABSENT)
    return changed


def claim(run: Run, dataset: datasets.Dataset) -> tuple[str, bool | None]:
    """Make ``run.workdir`` this run's, or check that it is; returns the code's (commit, dirty).

    A run that goes on under other code than it began with counts as dirty.

    Raises:
        UserError: as ``check_claim``.
    """
    commit, dirty = provenance.source_version()
    theirs = check_claim(run, dataset)
    if theirs is None:
        mine = {"config": plain(run.config), "dataset_sha256": dataset.sha256}
        with rundir.locked(run.workdir):
            rundir.write_json(run.workdir / "run.json", mine | {"commit": commit, "dirty": dirty})
        return commit, dirty
    if theirs["commit"] != commit:
        print(
            f"note: this run began with commit {theirs['commit'][:7]} and goes on with "
            f"{commit[:7]}; if it trains on, its record says dirty",
            file=sys.stderr,
        )
        return commit, True
    return commit, bool(dirty or theirs["dirty"]) if dirty is not None else None


def check_claim(run: Run, dataset: datasets.Dataset) -> dict[str, Any] | None:
    """What the ``run.json`` of a workdir says if it is this run's, None if there is none yet.

    Raises:
        UserError: the workdir holds anything else, or a run that this one would have to extend
            although its schedule spans the run.
    """
    workdir, path = run.workdir, run.workdir / "run.json"
    rundir.check_usable(workdir)
    rundir.check_contents(workdir)
    if not path.exists():
        items = workdir.iterdir() if workdir.exists() else ()
        if any(item.name != ".lock" and not rundir.is_left_over(item) for item in items):
            raise UserError(
                f"{workdir} is not empty and holds no run of ours: choose another --workdir"
            )
        return None
    try:
        theirs = rundir.load_json(path)
        before, sha256, commit, _ = (
            theirs[k] for k in ("config", "dataset_sha256", "commit", "dirty")
        )
        changed = changed_fields(before, run)
        if not isinstance(commit, str):
            raise TypeError("no commit")
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        reason = error if isinstance(error, ValueError) else "not what a run writes"
        raise UserError(
            f"{path} cannot be read ({reason}): bring it back from a copy, or choose another "
            "--workdir"
        ) from None
    epochs = changed.pop("train.epochs", None)
    differences = [
        f"config.{name} ({then} there, {now} here)"
        for name, (then, now) in changed.items()
        if name.split(".")[0] in _TRAINING and name not in extendable(run.config)
    ]
    if sha256 != dataset.sha256:
        differences.append(f"dataset_sha256 ({sha256} there, {dataset.sha256} here)")
    if differences:
        more = f" and {len(differences) - 2} more" if len(differences) > 2 else ""
        raise UserError(
            f"{workdir} holds another run, which differs in {', '.join(differences[:2])}{more}: "
            "choose another --workdir"
        )
    if epochs is not None and spans_run(run.config.model):
        raise UserError(
            f"{workdir} holds a run of {epochs[0]} epochs whose schedule spans them, so one of "
            f"{epochs[1]} cannot go on from it: choose another --workdir"
        )
    return theirs


def fields(config: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every field of a plain config that is not a section: its dotted name and its value."""
    for key, value in config.items():
        if isinstance(value, dict):
            yield from fields(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value
