"""What a method is: a handful of pure functions."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax

from aae_jax.core import Batch, Metrics, State


class DataSpec(NamedTuple):
    """What a method has to know of the data and the length of the run.

    Attributes:
        image_shape: (h, w, c).
        num_classes: number of label classes.
        updates_per_epoch: updates in one pass over the unlabelled set.
        epochs: length of the run, for schedules that depend on it.
        labelled: whether batches carry labelled images.
    """

    image_shape: tuple[int, int, int]
    num_classes: int
    updates_per_epoch: int = 600
    epochs: int = 1
    labelled: bool = True


class Method(NamedTuple):
    """A system as pure functions; what it does not have is ``None``.

    Attributes:
        init: key -> State.
        train_step: (State, Batch, key) -> (State, metrics): one update, all its phases.
        classify: (State, images [b, h, w, c]) -> class or cluster probabilities [b, k].
        encode: (State, images) -> the codes, a tuple of [b, d].
        decode: (State, *codes) -> images [b, h, w, c].
        sample: (State, key, num) -> images [num, h, w, c] from the prior.
    """

    init: Callable[[jax.Array], State]
    train_step: Callable[[State, Batch, jax.Array], tuple[State, Metrics]]
    classify: Callable[[State, jax.Array], jax.Array] | None = None
    encode: Callable[[State, jax.Array], tuple[jax.Array, ...]] | None = None
    decode: Callable[..., jax.Array] | None = None
    sample: Callable[[State, jax.Array, int], jax.Array] | None = None


def phase_key(key: jax.Array, axis_name: str | None) -> jax.Array:
    """The key of a train step; under ``pmap`` every device draws its own noise."""
    return key if axis_name is None else jax.random.fold_in(key, jax.lax.axis_index(axis_name))


def merge(*metrics: dict[str, Any]) -> dict[str, Any]:
    """One dict of the metrics of all phases."""
    return {name: value for part in metrics for name, value in part.items()}
