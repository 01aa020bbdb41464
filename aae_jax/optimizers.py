"""Optimizers and schedules from a config; whatever follows from epochs is derived here."""

import jax
import ml_collections
import optax

from aae_jax.errors import UserError


def sgd(learning_rate: float, momentum: float) -> ml_collections.ConfigDict:
    """Config of gradient descent with momentum."""
    return ml_collections.ConfigDict(
        {"name": "sgd", "learning_rate": learning_rate, "momentum": momentum}
    )


def adam(
    learning_rate: float,
    b1: float = 0.9,
    epsilon: float = 1e-8,
    second_momentum: float | None = None,
) -> ml_collections.ConfigDict:
    """Config of Adam; ``momentum`` is its β1, ``second_momentum`` its β2 (0.999 where it is not
    among the fields), and ``epsilon`` what it adds to the root of the mean squared gradient: steps
    shrink with gradients far below it."""
    config = ml_collections.ConfigDict(
        {"name": "adam", "learning_rate": learning_rate, "momentum": b1, "epsilon": epsilon}
    )
    if second_momentum is not None:
        config.second_momentum = second_momentum
    return config


def rising_sgd(
    learning_rate: float, momentum: float, final_momentum: float, momentum_updates: int
) -> ml_collections.ConfigDict:
    """Config of gradient descent whose momentum rises linearly over so many updates."""
    config = sgd(learning_rate, momentum)
    config.final_momentum, config.momentum_updates = final_momentum, momentum_updates
    return config


def rmsprop(learning_rate: float, decay: float = 0.9) -> ml_collections.ConfigDict:
    """Config of RMSProp; ``decay`` is that of the mean squared gradient."""
    return ml_collections.ConfigDict(
        {"name": "rmsprop", "learning_rate": learning_rate, "decay": decay}
    )


def schedule(
    config: ml_collections.ConfigDict, updates_per_epoch: int | None, epochs: int | None
) -> optax.Schedule:
    """Factor on every learning rate, as a function of the update.

    ``config.name`` is "steps" (times ``config.factor`` after each epoch in ``config.epochs``),
    "cosine" or "linear" (constant for the first ``config.constant_fraction`` of the run, then to
    zero),
    "exponential" (times ``config.factor`` after every update, down to ``config.lowest``) or
    "constant". Where the length that a schedule needs is not known (``None``), the rates stay
    constant: nothing ends a training whose end nobody named.

    Raises:
        UserError: for an unknown name, or a constant fraction outside [0, 1).
    """
    if config.name == "steps":
        if updates_per_epoch is None:
            return optax.constant_schedule(1.0)
        boundaries = {int(epoch * updates_per_epoch): config.factor for epoch in config.epochs}
        return optax.piecewise_constant_schedule(1.0, boundaries)
    if config.name in ("cosine", "linear"):
        if not 0.0 <= config.constant_fraction < 1.0:
            raise UserError(
                f"schedule.constant_fraction is {config.constant_fraction}; it must be at least 0 "
                "and less than 1"
            )
        if updates_per_epoch is None or epochs is None:
            return optax.constant_schedule(1.0)
        total = max(1, updates_per_epoch * epochs)
        constant = int(config.constant_fraction * total)
        fall = (
            optax.cosine_decay_schedule(1.0, total - constant)
            if config.name == "cosine"
            else optax.linear_schedule(1.0, 0.0, total - constant)
        )
        return optax.join_schedules([optax.constant_schedule(1.0), fall], [constant])
    if config.name == "exponential":
        lowest = config.get("lowest", 0.0)
        if not 0.0 < config.factor <= 1.0 or not 0.0 <= lowest <= 1.0:
            raise UserError(
                f"an exponential schedule falls: schedule.factor is {config.factor} and "
                f"schedule.lowest {lowest}, which must be above 0 and at least 0, and at most 1"
            )
        return optax.exponential_decay(1.0, 1, config.factor, end_value=lowest)
    if config.name == "constant":
        return optax.constant_schedule(1.0)
    raise UserError(
        f"unknown schedule {config.name!r}: choose steps, cosine, linear, exponential or constant"
    )


def spans_run(model: ml_collections.ConfigDict) -> bool:
    """Whether what a method does at an update depends on how long the run will be, so that no run
    can be extended to what a longer one would have been."""
    spanning = ("schedule", "cosine"), ("schedule", "linear"), ("head_scale", "ramp")
    sections = {k: v for k, v in model.items() if isinstance(v, ml_collections.ConfigDict)}
    named = (sections.get(section, {}).get("name") == name for section, name in spanning)
    return (
        any(named)
        or any(any(value) for name, value in model.items() if name.endswith("noise_rise"))
        or bool(model.get("decoder_alone", 0))
    )


def ramp(start: float, end: float, updates: int) -> optax.Schedule:
    """From ``start`` to ``end`` by a constant factor an update, over the first ``updates``; then
    it stays."""
    return optax.exponential_decay(start, max(1, updates), end / start, end_value=end)


def scale_by_rate(rate: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """Times -rate(step): the end of a chain, which makes a descent of it.

    Unlike ``optax.scale_by_learning_rate`` it counts nothing itself but follows the extra argument
    ``step`` of ``update``, the number of the train step: five critic passes in one step are at one
    rate, and none of them brings the next decay nearer.
    """

    def init(params):
        return optax.EmptyState()

    def update(updates, state, params=None, *, step, **_):
        return optax.tree.scale(-1 * rate(step), updates), state

    return optax.GradientTransformationExtraArgs(init, update)


def trace_by_step(momentum: optax.Schedule) -> optax.GradientTransformationExtraArgs:
    """``optax.trace`` whose decay follows the extra argument ``step`` of ``update``, as
    ``scale_by_rate`` does."""

    def init(params):
        return optax.TraceState(optax.tree.zeros_like(params))

    def update(updates, state, params=None, *, step, **_):
        decay = momentum(step)
        trace = jax.tree.map(lambda g, t: g + decay * t, updates, state.trace)
        return trace, optax.TraceState(trace)

    return optax.GradientTransformationExtraArgs(init, update)


def scale_network(name: str, factor: float) -> optax.GradientTransformation:
    """Times ``factor`` for one network of those that a phase trains, behind its optimizer: a rate
    of its own."""

    def update(updates, params=None):
        return {**updates, name: optax.tree.scale(factor, updates[name])}

    return optax.stateless(update)


def optimizer(
    config: ml_collections.ConfigDict, factor: optax.Schedule
) -> optax.GradientTransformationExtraArgs:
    """Optimizer of one phase, its learning rate ``config.learning_rate * factor(step)``.

    Raises:
        UserError: for an unknown ``config.name``, or an epsilon that is not positive.
    """
    rate = scale_by_rate(lambda step: config.learning_rate * factor(step))
    if config.name == "sgd" and "final_momentum" in config:
        if config.momentum_updates < 1:
            raise UserError(f"momentum_updates is {config.momentum_updates}; it must be at least 1")
        momentum = optax.linear_schedule(
            config.momentum, config.final_momentum, config.momentum_updates
        )
        return optax.chain(trace_by_step(momentum), rate)
    if config.name == "sgd":
        return optax.chain(optax.trace(decay=config.momentum), rate)
    if config.name == "adam":
        epsilon = config.get("epsilon", 1e-8)  # not there where gradient descent was overridden
        if epsilon <= 0:
            raise UserError(f"Adam's epsilon is {epsilon}; it must be positive")
        b2 = config.get("second_momentum", 0.999)
        return optax.chain(optax.scale_by_adam(b1=config.momentum, b2=b2, eps=epsilon), rate)
    if config.name == "rmsprop":
        return optax.chain(optax.scale_by_rms(decay=config.get("decay", 0.9)), rate)
    raise UserError(f"unknown optimizer {config.name!r}: choose sgd, adam or rmsprop")
