"""load(): a trained model out of its run's directory, without the data it was trained on."""

from pathlib import Path
from typing import Any

import jax
import ml_collections

from aae_jax import methods, rundir
from aae_jax.checkpoints import Checkpoints
from aae_jax.core import State
from aae_jax.errors import UserError
from aae_jax.methods import DataSpec, Method


def load(
    run_directory: str | Path, seed: int = 0, *, method: Method | None = None
) -> tuple[Method, State]:
    """A run's method and the newest state of one of its seeds, trained to its end or not.

    ::

        method, state = aae_jax.load("runs/aae_table2/mnist_100-fast")
        images = method.sample(state, jax.random.key(0), 100)

    Images are as the method sees them: of a run with ``data.scaling`` "symmetric" or
    "standardised" a data set's ``scaling.inverse`` makes pixels in [0, 1] of them.

    Args:
        run_directory: a ``workdir`` of ``fit``, or one of its ``seed_<n>`` directories. Nothing in
            it is changed, and it may be in use.
        seed: which seed's model; of a ``seed_<n>`` directory it is that one's.
        method: what was trained, where ``fit`` was given a method of one's own, or one that was
            built with ``parts`` or ``optimizers``; by default it is built from what the run wrote
            down.

    Raises:
        UserError: if there is no such directory, no run or checkpoint in it, or not that seed; if
            this version does not know the method or one of its settings, or makes another model of
            them.
    """
    directory = Path(run_directory).expanduser()
    if not directory.is_dir():
        raise UserError(f"{directory} is no directory: give the --workdir of a run")
    if (of_directory := rundir.seed_of(directory)) is not None:
        directory, seed = directory.absolute().parent, of_directory
    seeds = rundir.seeds_in(directory)
    if not seeds:
        raise UserError(
            f"{directory} holds no run: give a directory with seed_0 in it, as --workdir was"
        )
    if seed not in seeds:
        raise UserError(f"{directory} has no seed {seed}: it has {', '.join(map(str, seeds))}")
    if method is None:
        method = _built(directory)
    checkpoints = Checkpoints(rundir.seed_directory(directory, seed) / "checkpoints")
    try:
        template = jax.eval_shape(method.init, jax.random.key(0))
        restored = checkpoints.restore(template, set_aside=False)
    finally:
        checkpoints.close()
    if restored is None:
        raise UserError(
            f"seed {seed} of {directory} has no checkpoint yet: the first is written after "
            "train.checkpoint_every epochs"
        )
    return method, jax.device_put(restored[0])


def _built(directory: Path) -> Method:
    """The method that a run wrote down."""
    path = directory / rundir.MODEL
    described = rundir.read_json(path)
    if described is None:
        raise UserError(
            f"{path} is missing or cannot be read, so nothing says what was trained: build the "
            "method and call load(..., method=method)"
        )
    try:
        name, model, own = described["method"], described["model"], described["own"]
        if name is None or own:
            what = f"with {', '.join(own)} of one's own" if own else "by a method of one's own"
            raise UserError(
                f"{directory} was trained {what}: build the method and call "
                "load(..., method=method)"
            )
        spec = DataSpec(**{key: _plain(value) for key, value in described["spec"].items()})
        return methods.build(name, _config(model), spec=spec)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} was written by another version: {error}") from None


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def _config(saved: dict[str, Any]) -> ml_collections.ConfigDict:
    """A saved model section, its lists the tuples that they were."""
    return ml_collections.ConfigDict(
        {
            key: _config(value) if isinstance(value, dict) else _plain(value)
            for key, value in saved.items()
        }
    )
