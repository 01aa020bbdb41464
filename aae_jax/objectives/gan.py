"""The adversarial game on logits (AAE, section 1.1), per example, in nats."""

import jax


def discriminator_loss(real_logits: jax.Array, fake_logits: jax.Array) -> jax.Array:
    """-log D(real) - log(1 - D(fake)) for logits of shape [b] each; returns [b].

    The two terms are added, not averaged: a discriminator that cannot tell costs 2 log 2.
    """
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def generator_loss(fake_logits: jax.Array) -> jax.Array:
    """The non-saturating -log D(fake) for logits of shape [b]; returns [b].

    The AAE's equation has log(1 - D(fake)), minimised; like Goodfellow et al. (2014, section 3)
    we maximise log D(fake) instead, whose gradient does not vanish early on (paper silent).
    """
    return jax.nn.softplus(-fake_logits)
