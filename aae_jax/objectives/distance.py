"""The cost on cluster heads that lie too close together (AAE, section 7)."""

import jax
import jax.numpy as jnp


def head_distance_cost(heads: jax.Array, threshold: float) -> jax.Array:
    """Sum over every two heads [k, n] of max(0, threshold - their Euclidean distance); scalar.

    "If the Euclidean distance is larger than a threshold, the cost function is zero, and if it is
    smaller, the cost function linearly penalizes the distance."
    """
    first, second = jnp.triu_indices(heads.shape[0], k=1)
    squared = jnp.square(heads[first] - heads[second]).sum(axis=-1)
    # The square root's gradient at zero is infinite; heads start apart, but may meet.
    distances = jnp.sqrt(jnp.maximum(squared, 1e-12))
    return jnp.maximum(0.0, threshold - distances).sum()
