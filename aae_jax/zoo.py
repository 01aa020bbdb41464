"""load(): a trained model, out of its run's directory or by its name in the zoo, without data.

The zoo are the files in ``weights/``, one model each, named ``<method>/<row>``: ``names()``. Each
is at most 2 MB. Where float16 is more, the adversaries are left out, and then numbers become
integers of fewer and fewer bits, as long as the score keeps; a model that is too large even so has
no file. ``python -m experiments.harness.publish`` makes them of finished runs.
"""

import difflib
from pathlib import Path
from typing import Any

import jax
import ml_collections

from aae_jax import methods, published, rundir
from aae_jax.checkpoints import Checkpoints
from aae_jax.core import State
from aae_jax.errors import UserError
from aae_jax.methods import DataSpec, Method

WEIGHTS = Path(__file__).parent / "weights"


def names() -> list[str]:
    """The models of the zoo: ``<method>/<row>``."""
    return sorted(f"{path.parent.name}/{path.stem}" for path in WEIGHTS.glob("*/*.npz"))


def about(name: str | Path) -> dict[str, Any]:
    """What a model of the zoo, by its name or file, says of itself.

    Returns:
        "record", that of the run of all its seeds; "seed", which of them it is; "metric" and
        "score", what this file was measured to have; "form", how its numbers are kept; "without",
        the networks that were left out; "curves", what was followed in training, by metric and
        seed; "model", what the method is built from; "version", of
        aae_jax.

    Raises:
        UserError: there is no such model, or its file is damaged.
    """
    return published.read_about(_file(name))


def load(
    source: str | Path, seed: int | None = None, *, method: Method | None = None
) -> tuple[Method, State]:
    """A method and a trained state: a model of the zoo, or the newest state of one of a run's
    seeds, trained to its end or not.

    ::

        method, state = aae_jax.load("clustering_aae/mnist_30")
        method, state = aae_jax.load("runs/aae_table2/mnist_100-fast")
        images = method.sample(state, jax.random.key(0), 100)

    Images are as the method sees them: of a run with ``data.scaling`` "symmetric" or
    "standardised" a data set's ``scaling.inverse`` makes pixels in [0, 1] of them.

    A zoo model without adversaries has no ``discriminate`` and no ``features``; trained on, its
    adversaries begin anew, as do the optimizers of every zoo model.

    Args:
        source: a name of ``names()``, or a file of the same form; or a ``workdir`` of ``fit``, or
            one of its ``seed_<n>`` directories. Nothing in it is changed, and it may be in use. A
            directory of that name comes before the zoo.
        seed: which seed's model, by default 0; of a ``seed_<n>`` directory or a file it is that
            one's.
        method: what was trained, where ``fit`` was given a method of one's own, or one that was
            built with ``parts`` or ``optimizers``; by default it is built from what the run wrote
            down.

    Raises:
        UserError: if there is no such model or directory, no run or checkpoint in it, or not that
            seed; if a file is damaged; if this version does not know the method or one of its
            settings, or makes another model of them.
    """
    directory = Path(source).expanduser()
    if not directory.is_dir():
        return _from_file(source, seed, method)
    return _from_run(directory, seed or 0, method)


def _file(name: str | Path) -> Path:
    path = Path(name).expanduser()
    if path.is_file():
        return path
    if str(name) in names():
        return WEIGHTS / f"{name}.npz"
    near = difflib.get_close_matches(str(name), names(), 3, 0.5)
    if not near:  # the row alone, or the method
        near = [known for known in names() if str(name) in known.split("/")]
    hint = f"did you mean {' or '.join(near)}?" if near else f"there are {', '.join(names())}"
    raise UserError(
        f"{name} is no directory: give the --workdir of a run, or the name of a model of the zoo "
        f"({hint})"
    )


def _from_file(name: str | Path, seed: int | None, method: Method | None) -> tuple[Method, State]:
    path = _file(name)
    described, arrays = published.read(path)
    version = described.get("version")
    if seed not in (None, described.get("seed")):
        raise UserError(f"{name} holds seed {described.get('seed')} alone: leave seed out")
    try:
        without = tuple(described["without"])
        if method is None:
            method = _build(described["model"])
        fresh = jax.jit(method.init)(jax.random.key(0))
        state = published.filled_in(fresh, arrays, described["step"], without)
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(
            f"{name} was written by aae_jax {version}, which made another model of it than this "
            f"version does ({error}): install that one"
        ) from None
    if without:
        method = method._replace(discriminate=None, features=None)
    return method, jax.device_put(state)


def _from_run(directory: Path, seed: int, method: Method | None) -> tuple[Method, State]:
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
        name, own = described["method"], described["own"]
        if name is None or own:
            what = f"with {', '.join(own)} of one's own" if own else "by a method of one's own"
            raise UserError(
                f"{directory} was trained {what}: build the method and call "
                "load(..., method=method)"
            )
        return _build(described)
    except (KeyError, TypeError) as error:
        raise UserError(f"{path} was written by another version: {error}") from None


def _build(described: dict[str, Any]) -> Method:
    spec = DataSpec(**{key: _plain(value) for key, value in described["spec"].items()})
    return methods.build(described["method"], config_of(described["model"]), spec=spec)


def _plain(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def config_of(saved: dict[str, Any]) -> ml_collections.ConfigDict:
    """A saved model section, its lists the tuples that they were."""
    return ml_collections.ConfigDict(
        {
            key: config_of(value) if isinstance(value, dict) else _plain(value)
            for key, value in saved.items()
        }
    )
