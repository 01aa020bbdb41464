"""Adversarial games on logits (AAE, section 1.1), per example, in nats where they are likelihoods.

A game is a pair of losses. The discriminator's adds its two terms, not their mean: one that cannot
tell real from fake costs 2 log 2 in the first two games.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from aae_jax.errors import UserError


def discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """-log D(real) - log(1 - D(fake)) for logits of shape [b] each; returns [b], nats."""
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def generator_loss(fake_logits: jax.Array) -> jax.Array:
    """The non-saturating -log D(fake) for logits of shape [b]; returns [b], nats.

    The AAE's equation has log(1 - D(fake)), minimised; like Goodfellow et al. (2014, section 3)
    we maximise log D(fake) instead, whose gradient does not vanish early on (paper silent).
    """
    return jax.nn.softplus(-fake_logits)


def minimax_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """log(1 - D(fake)), the value of the game that the generator minimises (Goodfellow et al. 2014,
    equation 1); [b] -> [b], nats, never positive."""
    return -jax.nn.softplus(fake_logits)


def least_squares_discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """½ (D(real) - 1)² + ½ D(fake)², D being the output itself, without a sigmoid (Mao et al. 2017,
    equation 9: targets a = 0, b = 1); [b], [b] -> [b]."""
    return 0.5 * (jnp.square(real_logits - 1.0) + jnp.square(fake_logits))


def least_squares_generator_loss(fake_logits: jax.Array) -> jax.Array:
    """½ (D(fake) - 1)² (Mao et al. 2017, equation 9: target c = 1); [b] -> [b]."""
    return 0.5 * jnp.square(fake_logits - 1.0)


def wasserstein_critic_loss(real_scores: jax.Array, fake_scores: jax.Array) -> jax.Array:
    """f(fake) - f(real), minus the estimate of the Wasserstein distance if f is 1-Lipschitz
    (Arjovsky et al. 2017, equation 2); [b], [b] -> [b]. To be joined by ``gradient_penalty``."""
    return fake_scores - real_scores


def wasserstein_generator_loss(fake_scores: jax.Array) -> jax.Array:
    """-f(fake); [b] -> [b]."""
    return -fake_scores


def gradient_penalty(
    critic: Callable[[jax.Array], jax.Array], real: jax.Array, fake: jax.Array, mix: jax.Array
) -> jax.Array:
    """(‖∇f(x̂)‖₂ - 1)² at x̂ = mix · real + (1 - mix) · fake (Gulrajani et al. 2017, equation 3),
    without its weight λ.

    Args:
        critic: inputs [b, ...] -> scores [b]; an example's score must depend on that example
            alone, so a critic with batch norm has no such penalty.
        real, fake: [b, ...].
        mix: [b], uniform in [0, 1), one for each example.

    Returns:
        [b].
    """
    mix = mix.reshape(-1, *(1,) * (real.ndim - 1))
    between = mix * real + (1.0 - mix) * fake
    slopes = jax.grad(lambda x: critic(x).sum())(between)
    # The root's gradient is infinite at zero, where a flat critic stands.
    squared = jnp.square(slopes.reshape(slopes.shape[0], -1)).sum(axis=-1)
    norms = jnp.sqrt(jnp.maximum(squared, 1e-12))
    return jnp.square(norms - 1.0)


class Game(NamedTuple):
    """Both sides' losses: (real logits [b], fake logits [b]) -> [b] and fake logits [b] -> [b]."""

    discriminator: Callable[[jax.Array, jax.Array], jax.Array]
    generator: Callable[[jax.Array], jax.Array]


GAMES = {
    "non_saturating": Game(discriminator_loss, generator_loss),
    "minimax": Game(discriminator_loss, minimax_generator_loss),
    "least_squares": Game(least_squares_discriminator_loss, least_squares_generator_loss),
    "wasserstein": Game(wasserstein_critic_loss, wasserstein_generator_loss),
}


def game(name: str) -> Game:
    """The game of that name.

    Raises:
        UserError: for an unknown name; the message lists the known ones.
    """
    if name not in GAMES:
        raise UserError(f"unknown game {name!r}: choose one of {', '.join(GAMES)}")
    return GAMES[name]
