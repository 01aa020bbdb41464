"""Input corruption."""

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.networks import corrupt

IMAGES = jnp.full((100, 10, 10, 1), 0.5)


def test_nothing_asked_for_is_nothing_done():
    np.testing.assert_array_equal(corrupt(jax.random.key(0), IMAGES), IMAGES)


def test_noise_has_the_deviation_asked_for():
    noise = np.asarray(corrupt(jax.random.key(0), IMAGES, noise_std=0.3)) - 0.5
    np.testing.assert_allclose([noise.mean(), noise.std()], [0, 0.3], atol=0.01)


def test_dropout_zeroes_a_fifth_and_keeps_the_mean():
    dropped = np.asarray(corrupt(jax.random.key(0), IMAGES, dropout_rate=0.2))
    np.testing.assert_allclose((dropped == 0).mean(), 0.2, atol=0.015)
    np.testing.assert_allclose(dropped[dropped != 0], 0.5 / 0.8, rtol=1e-6)


def test_is_a_function_of_the_key():
    first, again, other = (corrupt(jax.random.key(k), IMAGES, 0.3, 0.2) for k in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
    assert first.dtype == IMAGES.dtype
