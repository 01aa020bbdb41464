"""Likelihoods of images under an autoregressive decoder, per image."""

import math

import jax

from aae_jax.networks.heads import Head


def log_likelihood(head: Head, outputs: jax.Array, levels: jax.Array) -> jax.Array:
    """log p(x | z) in nats, summed over pixels and channels (PixelGAN, equation 1).

    Args:
        head: the output distribution.
        outputs: [b, h, w, head.num_outputs], a causal network's outputs on these images.
        levels: [b, h, w, head.channels], integers from 0 to head.num_levels - 1.

    Returns:
        [b].
    """
    return head.log_prob(outputs, levels).sum(axis=(1, 2))


def bits_per_dimension(log_likelihoods: jax.Array, image_shape: tuple[int, ...]) -> jax.Array:
    """Log-likelihoods in nats per image -> bits per pixel and channel, the lower the better."""
    return -log_likelihoods / (math.prod(image_shape) * math.log(2))
