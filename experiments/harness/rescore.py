"""The score of a model of the zoo, by the rule by which its run was scored.

The model is laid out as a run that is trained and not yet scored, and the experiment's own program
does the rest, on the data.
"""

import contextlib
import io
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import ml_collections
import numpy as np

import aae_jax
from aae_jax import rundir, zoo
from aae_jax.checkpoints import Checkpoints
from aae_jax.core import State
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, judge, ledger, provenance, workdir
from experiments.harness.tables import Table

_KEPT_PERCENT = 2.0


def config_of(record: ledger.Record, seed: int | None = None) -> ml_collections.ConfigDict:
    """The config of a record, with what it does not say at the row's default; of one seed alone
    where that is given.

    Raises:
        UserError: this version has no such experiment or row.
    """
    name = record["experiment"]
    if name not in catalogue.names():
        raise UserError(f"this version has no experiment {name}: use the one that ran it")
    spec = f"{catalogue.config_file(name)}:{record['row']},{record['profile']}"
    config, _ = cli.load_config(spec)
    with config.unlocked(), config.ignore_type():
        config.update(zoo.config_of(record["config"]))
        if seed is not None:
            config.train.seeds, config.train.first_seed = 1, seed
    return config


def score(record: ledger.Record, seed: int, state: State) -> ledger.Record:
    """The record that a state would have had in the end of a record's run, of one seed.

    Raises:
        UserError: the data is not there, or is other data than it was scored on.
    """
    module = catalogue.module(record["experiment"])
    with tempfile.TemporaryDirectory() as folder:
        config = config_of(record, seed)
        run = cli.Run(config, {"train.seeds": 1}, Path(folder) / "run")
        _lay_out(run, record, state)
        with _judges_of_the_zoo(config, Path(folder)), contextlib.redirect_stdout(io.StringIO()):
            return module.run(run).record


def score_of_file(name: str | Path) -> ledger.Record:
    """The same, of a model of the zoo."""
    about = zoo.about(name)
    _, state = aae_jax.load(name)
    return score(about["record"], about["seed"], state)


def table_of(record: ledger.Record) -> Table:
    """The table that a record's row is in."""
    return catalogue.module(record["experiment"]).TABLE


def keeps(found: float, recorded: float, table: Table, std: float | None = None) -> bool:
    """Whether two scores are one: they differ by at most 2 %, by a tenth of the standard deviation
    over seeds, or by half of the last digit that the table shows."""
    spread = 0.0 if std is None else std / 10
    digit = 0.5 * 10.0**-table.decimals
    return abs(found - recorded) <= max(abs(recorded) * _KEPT_PERCENT / 100, spread, digit)


def _lay_out(run: cli.Run, record: dict[str, Any], state: State) -> None:
    """Write a run's directory in which a state is the last checkpoint."""
    rundir.make(run.workdir)
    commit, dirty = provenance.source_version()
    claimed = {
        "config": workdir.plain(run.config),
        "dataset_sha256": record["dataset_sha256"],
        "commit": commit,
        "dirty": dirty,
    }
    rundir.write_json(run.workdir / "run.json", claimed)
    folder = rundir.seed_directory(run.workdir, run.config.train.first_seed)
    checkpoints = Checkpoints(folder / "checkpoints")
    try:
        checkpoints.save(int(state.step), jax.tree.map(np.asarray, state), 0.0)
    finally:
        checkpoints.close()


@contextlib.contextmanager
def _judges_of_the_zoo(config: ml_collections.ConfigDict, folder: Path) -> Iterator[None]:
    """Inside, the judge of the config's data is the zoo's, where it has one."""
    experiment, row = judge.KEPT.get(config.data.name, ("", ""))
    name = f"supervised_mlp/{row}"
    if not row or config.experiment == experiment or name not in zoo.names():
        yield
        return
    about = zoo.about(name)
    of_judge = config_of(about["record"])
    before = os.environ.get("AAE_JAX_RUNS_DIR")
    os.environ["AAE_JAX_RUNS_DIR"] = str(folder / "runs")
    try:
        run = cli.Run(of_judge, {}, workdir.derive(of_judge, {}))
        _lay_out(run, about["record"], aae_jax.load(name)[1])
        yield
    finally:
        os.environ.pop("AAE_JAX_RUNS_DIR")
        if before is not None:
            os.environ["AAE_JAX_RUNS_DIR"] = before
