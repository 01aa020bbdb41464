"""State, Phase and update(): one gradient step of one objective on the networks a phase trains."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

Params = dict[str, Any]
BatchStats = dict[str, Any]
Metrics = dict[str, jax.Array]


class State(NamedTuple):
    """Everything that training changes: arrays only, so a checkpoint is nothing but arrays.

    Attributes:
        step: int32 scalar, the number of updates done.
        params: parameters by network name.
        batch_stats: running batch-norm statistics by network name (empty where there are none).
        opt_state: optimizer state by phase name; a network trained by three phases has three.
    """

    step: jax.Array
    params: Params
    batch_stats: BatchStats
    opt_state: dict[str, Any]


class Batch(NamedTuple):
    """One mini-batch; what a run does not have is ``None``.

    Attributes:
        images: [b, h, w, c] float32, unlabelled.
        labelled_images: [l, h, w, c] float32.
        labels: [l] int32, the classes of ``labelled_images``.
    """

    images: Any
    labelled_images: Any = None
    labels: Any = None


class Phase(NamedTuple):
    """One phase of a train step: which networks it trains, and with which optimizer.

    ``commits_batch_stats`` says whether the running batch-norm statistics of its forward pass are
    kept. By default no phase does; a method grants it to one, normally the reconstruction pass on
    unlabelled data, so that labelled batches do not skew the statistics.
    """

    name: str
    networks: tuple[str, ...]
    optimizer: optax.GradientTransformation
    commits_batch_stats: bool = False


LossFn = Callable[[Params, BatchStats], tuple[jax.Array, BatchStats]]


def create_state(params: Params, batch_stats: BatchStats, phases: tuple[Phase, ...]) -> State:
    """State at step 0, with one optimizer state for every phase."""
    opt_state = {p.name: p.optimizer.init({n: params[n] for n in p.networks}) for p in phases}
    return State(jnp.zeros((), jnp.int32), params, batch_stats, opt_state)


def update(
    state: State, phase: Phase, loss_fn: LossFn, axis_name: str | None = None
) -> tuple[State, Metrics]:
    """One gradient step of ``loss_fn`` on the networks that ``phase`` trains.

    Args:
        state: the state before; networks outside ``phase.networks`` are constants to the loss.
        phase: what is trained, and how.
        loss_fn: ``(params, batch_stats) -> (scalar loss, batch_stats)``, over all networks.
        axis_name: the data axis of an enclosing ``pmap`` or ``shard_map``, over which gradients
            and losses are averaged; never a seed axis.

    Returns:
        The state after, its step not advanced (a train step has several phases), and
        ``{"<phase>/loss": loss}``.
    """
    trained = {name: state.params[name] for name in phase.networks}

    def objective(trained):
        loss, batch_stats = loss_fn({**state.params, **trained}, state.batch_stats)
        # shard_map, when it checks what varies over an axis, sums the gradients of parameters
        # that do not; averaging the loss itself makes that sum the mean.
        return loss if axis_name is None else jax.lax.pmean(loss, axis_name), batch_stats

    (loss, batch_stats), grads = jax.value_and_grad(objective, has_aux=True)(trained)
    if axis_name is not None:
        grads = jax.lax.pmean(grads, axis_name)
    updates, opt_state = phase.optimizer.update(grads, state.opt_state[phase.name], trained)
    state = state._replace(
        params={**state.params, **optax.apply_updates(trained, updates)},
        batch_stats=batch_stats if phase.commits_batch_stats else state.batch_stats,
        opt_state={**state.opt_state, phase.name: opt_state},
    )
    return state, {f"{phase.name}/loss": loss}
