"""Reconstruction costs, per image."""

import jax
import jax.numpy as jnp


def half_squared_error(reconstructions: jax.Array, images: jax.Array) -> jax.Array:
    """Half the squared Euclidean distance, summed over pixels (AAE, A.2.1: "half the Euclidean
    error"); [b, ...] and [b, ...] -> [b].

    The convention matters: with the mean over pixels the paper's learning rates are hundreds of
    times too small.
    """
    squared = jnp.square(reconstructions - images)
    return 0.5 * squared.reshape(squared.shape[0], -1).sum(axis=-1)
