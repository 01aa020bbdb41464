"""Parts of InfoGAN's bound on the mutual information of codes and images, per example, in nats.

E[log Q(c | x)] + H(c) is at most I(c; G(z, c)) (the survey's equations 8 to 11): each function
gives log Q(c | x) + H(c) of an example, whose mean over codes from their prior is the bound.
"""

import math

import jax
import jax.numpy as jnp


def categorical_information(logits: jax.Array, codes: jax.Array) -> jax.Array:
    """log Q(c | x) + log k for k equally probable categories: log k where Q is sure and right, 0
    where it says nothing.

    Args:
        logits: [b, k], Q's.
        codes: [b, k], one-hot.

    Returns:
        [b], nats.
    """
    return (codes * jax.nn.log_softmax(logits)).sum(axis=-1) + math.log(codes.shape[-1])


def uniform_information(means: jax.Array, codes: jax.Array, std: float) -> jax.Array:
    """log N(c | mean, std²) + log 2, summed over codes c that are uniform in (-1, 1).

    With a std of 1 it is never positive: a bound below zero that says nothing of how much there
    is, while its gradient is that of the squared error.

    Args:
        means: [b, d], Q's.
        codes: [b, d].
        std: Q's fixed standard deviation.

    Returns:
        [b], nats.
    """
    log_q = -0.5 * jnp.square((codes - means) / std) - math.log(std * math.sqrt(2 * math.pi))
    return (log_q + math.log(2.0)).sum(axis=-1)
