"""State, Phase and the two ways of playing: the only machinery of a train step."""

import contextlib
import zlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from aae_jax.errors import UserError

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
        images: [b, h, w, c] float32, unlabelled; in [0, 1] (``uint8`` levels are divided by 255
            first), or scaled as ``DataSpec.scaling`` says.
        labelled_images: [l, h, w, c] float32, in the same range.
        labels: [l] int32 in 0..num_classes - 1, the classes of ``labelled_images``.
        second_images: [b, h, w, c] float32 of a second domain, in the same range: not the
            counterparts of ``images``, which nobody has.
        captions: [b, t] int32, a sentence for each of ``images``, words as their places in the
            vocabulary, filled up with 0.
        caption_classes: [b] int32; what is said of an image of a class holds for all of that class.
    """

    images: Any
    labelled_images: Any = None
    labels: Any = None
    second_images: Any = None
    captions: Any = None
    caption_classes: Any = None


class Phase(NamedTuple):
    """One phase of a train step: which networks it trains, and with which optimizer.

    Attributes:
        name: of its loss, ``<name>/loss``, and of its optimizer's state.
        networks: the names of the networks that it trains; all others are constants to it.
        optimizer: any optax transformation. It is told the update's number as the extra argument
            ``step``, which ``optimizers.scale_by_rate`` follows, so that several passes in one
            update do not hurry a schedule.
        commits: the names of the networks whose running batch-norm statistics, as its forward
            pass leaves them, are kept. By default none: a method grants it to the pass whose
            inputs the statistics shall describe. A discriminator with batch norm keeps its own.
    """

    name: str
    networks: tuple[str, ...]
    optimizer: optax.GradientTransformation
    commits: tuple[str, ...] = ()


# (params, batch_stats) of all networks -> (loss, batch_stats after the forward pass), and, if it
# likes, a dict of further scalars to follow: D(x), D(G(z)), the parts of the loss.
Loss = Callable[[Params, BatchStats], Any]


def named_key(key: jax.Array, name: str) -> jax.Array:
    """A key for one purpose, a function of ``key`` and the purpose's name alone."""
    return jax.random.fold_in(key, zlib.crc32(name.encode()) & 0x7FFFFFFF)


def step_keys(key: jax.Array, axis_name: str | None = None) -> Callable[[str], jax.Array]:
    """The keys of one update, by purpose: ``keys("input noise")``.

    Under ``pmap`` or ``shard_map`` over ``axis_name`` every device draws its own.
    """
    if axis_name is not None:
        key = jax.random.fold_in(key, jax.lax.axis_index(axis_name))
    return lambda name: named_key(key, name)


def create_state(params: Params, batch_stats: BatchStats, phases: Sequence[Phase]) -> State:
    """State at step 0, with one optimizer state for every phase.

    Raises:
        UserError: two phases of one name, or a phase that trains or commits what is no network.
    """
    names = [phase.name for phase in phases]
    if len(set(names)) < len(names):
        raise UserError(f"phases need names of their own, and these are {', '.join(names)}")
    for phase in phases:
        unknown = [name for name in (*phase.networks, *phase.commits) if name not in params]
        if unknown:
            raise UserError(
                f"phase '{phase.name}' names a network {unknown[0]!r}: there are "
                f"{', '.join(map(repr, params))}"
            )
    opt_state = {p.name: p.optimizer.init({n: params[n] for n in p.networks}) for p in phases}
    return State(jnp.zeros((), jnp.int32), params, batch_stats, opt_state)


def play(
    state: State, *moves: tuple[Phase, Loss], axis_name: str | None = None
) -> tuple[State, Metrics]:
    """One update: the phases one after the other, each at the state that the one before left.

    Args:
        state: the state before.
        moves: pairs of a phase and its loss.
        axis_name: the data axis of an enclosing ``pmap`` or ``shard_map``, over which gradients
            and losses are averaged; never a seed axis.

    Returns:
        The state after, its step advanced by one, and for each phase ``<phase>/loss``, at the
        parameters before the phase, and ``<phase>/<name>`` for what else its loss returned.
    """
    metrics: Metrics = {}
    for phase, loss in moves:
        state, of_phase = update(state, phase, loss, axis_name)
        metrics |= of_phase
    return state._replace(step=state.step + 1), metrics


def play_together(
    state: State,
    losses: Loss,
    *moves: tuple[Phase, Mapping[str, Any]],
    axis_name: str | None = None,
) -> tuple[State, Metrics]:
    """One update in which all gradients are taken at one state, and then applied together.

    The losses share a forward pass, and every phase minimises a sum of its own of them.

    Args:
        state: the state before.
        losses: as a phase's loss, but it returns a dict of named losses in the loss's place.
        moves: pairs of a phase and its weights of the losses by name: ``{"reconstruction": gamma,
            "gan": -1.0}``; losses that are not named do not count.
        axis_name: as in ``play``.

    Returns:
        The state after, its step advanced by one, and ``<phase>/loss`` (its sum) for each phase,
        ``<loss>`` for each of the losses and ``<name>`` for what else was returned.

    Raises:
        UserError: a weight of a loss that there is not.
    """
    metrics: Metrics = {}
    changed: dict[str, list[Any]] = {}
    after = state
    for phase, weights in moves:

        def weighted(params, stats, phase=phase, weights=weights):
            values, stats, *more = losses(params, stats)
            unknown = [name for name in weights if name not in values]
            if unknown:
                raise UserError(
                    f"phase '{phase.name}' weighs a loss {unknown[0]!r}: there are "
                    f"{', '.join(map(repr, values))}"
                )
            total = sum(weight * values[name] for name, weight in weights.items())
            return total, stats, (values | more[0] if more else values)

        # Each phase traces the forward pass anew, at one and the same state: the compiler runs it
        # once, and leaves out the backward passes of losses that a phase does not weigh.
        value, stats, more, updates, opt_state = _step(state, phase, weighted, axis_name)
        finite = {f"{phase.name}/{k}": more.pop(k) for k in [*more] if k.startswith(GRADIENTS)}
        metrics |= {f"{phase.name}/loss": value} | finite | more
        after = _commit(after, phase, stats, opt_state)
        for name, step in updates.items():
            changed.setdefault(name, []).append(step)
    params = dict(state.params)
    for name, steps in changed.items():
        for step in steps:
            params[name] = optax.apply_updates(params[name], step)
    return after._replace(params=params, step=state.step + 1), metrics


def update(
    state: State, phase: Phase, loss: Loss, axis_name: str | None = None
) -> tuple[State, Metrics]:
    """One gradient step of ``loss`` on the networks that ``phase`` trains; ``play`` for a single
    phase, without advancing the step."""
    value, stats, more, updates, opt_state = _step(state, phase, loss, axis_name)
    trained = {name: state.params[name] for name in phase.networks}
    state = _commit(state, phase, stats, opt_state)._replace(
        params={**state.params, **optax.apply_updates(trained, updates)}
    )
    return state, {
        f"{phase.name}/loss": value,
        **{f"{phase.name}/{name}": metric for name, metric in more.items()},
    }


GRADIENTS = "gradients of"
_watched: list[bool] = []


@contextlib.contextmanager
def gradients_watched() -> Iterator[None]:
    """What is traced inside says whether its gradients are finite, to explain a run that diverged:
    among an update's metrics are ``<phase>/gradients of/<network>``, 1 where they are."""
    _watched.append(True)
    try:
        yield
    finally:
        _watched.pop()


def all_finite(tree: Any) -> jax.Array:
    """Whether every number of a tree's arrays is finite."""
    return jnp.array([jnp.isfinite(x).all() for x in jax.tree.leaves(tree)], bool).all()


def real_and_fake(
    discriminator: Any,
    params: Params,
    batch_stats: BatchStats,
    real: tuple[jax.Array, ...],
    fake: tuple[jax.Array, ...],
    *,
    one_batch: bool,
    key: jax.Array | None = None,
) -> tuple[jax.Array, jax.Array, BatchStats]:
    """Logits of real and of fake inputs, and the batch statistics after.

    Args:
        discriminator: the network; its inputs are a tuple: (z,), (x, y), (x, text).
        params, batch_stats: of all networks.
        real, fake: the inputs, arrays of equal trailing shapes.
        one_batch: whether both go through the discriminator as one batch or as one after the
            other. With batch norm these are two different networks: apart, batch norm directly
            before the last layer gives both the same mean logit, and nothing is learnt.
        key: of dropout and noise within the discriminator; as two batches each has its own.
    """
    if one_batch:
        both = [jnp.concatenate(pair) for pair in zip(real, fake, strict=True)]
        logits, batch_stats = discriminator(params, batch_stats, *both, key=key)
        real_logits, fake_logits = jnp.split(logits, [real[0].shape[0]])
        return real_logits, fake_logits, batch_stats
    keys = [None if key is None else named_key(key, name) for name in ("real", "fake")]
    real_logits, batch_stats = discriminator(params, batch_stats, *real, key=keys[0])
    fake_logits, batch_stats = discriminator(params, batch_stats, *fake, key=keys[1])
    return real_logits, fake_logits, batch_stats


def _step(state: State, phase: Phase, loss: Loss, axis_name: str | None) -> tuple[Any, ...]:
    """(loss, batch statistics, further metrics, updates of the phase's networks, its optimizer's
    state)."""
    trained = {name: state.params[name] for name in phase.networks}

    def objective(trained):
        value, batch_stats, *more = loss({**state.params, **trained}, state.batch_stats)
        metrics = more[0] if more else {}
        # shard_map, when it checks what varies over an axis, sums the gradients of parameters
        # that do not; averaging the loss itself makes that sum the mean.
        if axis_name is not None:
            value, metrics = jax.lax.pmean((value, metrics), axis_name)
        return value, (batch_stats, metrics)

    (value, (batch_stats, metrics)), grads = jax.value_and_grad(objective, has_aux=True)(trained)
    if axis_name is not None:
        grads = jax.lax.pmean(grads, axis_name)
    if _watched:
        finite = {f"{GRADIENTS}/{name}": all_finite(grads[name]) for name in phase.networks}
        metrics = finite | metrics
    optimizer = optax.with_extra_args_support(phase.optimizer)
    updates, opt_state = optimizer.update(
        grads, state.opt_state[phase.name], trained, step=state.step
    )
    return value, batch_stats, metrics, updates, opt_state


def _commit(state: State, phase: Phase, batch_stats: BatchStats, opt_state: Any) -> State:
    kept = {name: batch_stats[name] for name in phase.commits}
    return state._replace(
        batch_stats={**state.batch_stats, **kept},
        opt_state={**state.opt_state, phase.name: opt_state},
    )
