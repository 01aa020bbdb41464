"""Optimizers and schedules from a config; whatever follows from epochs is derived here."""

import ml_collections
import optax

from aae_jax.errors import UserError


def sgd(learning_rate: float, momentum: float) -> ml_collections.ConfigDict:
    """Config of gradient descent with momentum."""
    return ml_collections.ConfigDict(
        {"name": "sgd", "learning_rate": learning_rate, "momentum": momentum}
    )


def adam(learning_rate: float, b1: float = 0.9, epsilon: float = 1e-8) -> ml_collections.ConfigDict:
    """Config of Adam; ``momentum`` is its β1, and ``epsilon`` what it adds to the root of the mean
    squared gradient: steps shrink with gradients far below it."""
    return ml_collections.ConfigDict(
        {"name": "adam", "learning_rate": learning_rate, "momentum": b1, "epsilon": epsilon}
    )


def schedule(
    config: ml_collections.ConfigDict, updates_per_epoch: int, epochs: int
) -> optax.Schedule:
    """Factor on every learning rate, as a function of the update.

    ``config.name`` is "steps" (times ``config.factor`` after each epoch in ``config.epochs``),
    "cosine" (constant for the first ``config.constant_fraction`` of the run, then to zero) or
    "constant".

    Raises:
        UserError: for an unknown name, or a constant fraction outside [0, 1).
    """
    if config.name == "steps":
        boundaries = {int(epoch * updates_per_epoch): config.factor for epoch in config.epochs}
        return optax.piecewise_constant_schedule(1.0, boundaries)
    if config.name == "cosine":
        if not 0.0 <= config.constant_fraction < 1.0:
            raise UserError(
                f"schedule.constant_fraction is {config.constant_fraction}; it must be at least 0 "
                "and less than 1"
            )
        total = max(1, updates_per_epoch * epochs)
        constant = int(config.constant_fraction * total)
        return optax.join_schedules(
            [optax.constant_schedule(1.0), optax.cosine_decay_schedule(1.0, total - constant)],
            [constant],
        )
    if config.name == "constant":
        return optax.constant_schedule(1.0)
    raise UserError(f"unknown schedule {config.name!r}: choose steps, cosine or constant")


def optimizer(
    config: ml_collections.ConfigDict, factor: optax.Schedule
) -> optax.GradientTransformation:
    """Optimizer of one phase, its learning rate ``config.learning_rate * factor(update)``.

    Raises:
        UserError: for an unknown ``config.name``, or an epsilon that is not positive.
    """

    def learning_rate(count):
        return config.learning_rate * factor(count)

    if config.name == "sgd":
        return optax.sgd(learning_rate, momentum=config.momentum)
    if config.name == "adam":
        epsilon = config.get("epsilon", 1e-8)  # not there where gradient descent was overridden
        if epsilon <= 0:
            raise UserError(f"Adam's epsilon is {epsilon}; it must be positive")
        return optax.adam(learning_rate, b1=config.momentum, eps=epsilon)
    raise UserError(f"unknown optimizer {config.name!r}: choose sgd or adam")
