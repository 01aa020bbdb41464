"""Samplers p(z): each factory returns ``sample(key, num) -> codes [num, dim]``, float32."""

from collections.abc import Callable

import jax

Sampler = Callable[[jax.Array, int], jax.Array]


def gaussian(dim: int, std: float = 1.0) -> Sampler:
    """N(0, std² I) in ``dim`` dimensions."""
    return lambda key, num: std * jax.random.normal(key, (num, dim))


def categorical(num_categories: int) -> Sampler:
    """Cat(y) with equal probabilities, as one-hot vectors (AAE, section 5)."""

    def sample(key: jax.Array, num: int) -> jax.Array:
        return jax.nn.one_hot(jax.random.randint(key, (num,), 0, num_categories), num_categories)

    return sample
