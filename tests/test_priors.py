"""Samples from p(z): shapes, moments, and the key as the only randomness."""

import jax
import numpy as np
import pytest

from aae_jax import priors


@pytest.mark.parametrize("std", [1.0, 5.0])
def test_gaussian_has_the_standard_deviation_asked_for(std):
    samples = np.asarray(priors.gaussian(3, std)(jax.random.key(0), 20_000))
    assert samples.shape == (20_000, 3)
    assert samples.dtype == np.float32
    np.testing.assert_allclose(samples.mean(axis=0), 0, atol=0.04 * std)
    np.testing.assert_allclose(np.cov(samples.T), std**2 * np.eye(3), atol=0.05 * std**2)


def test_categorical_is_one_hot_and_uniform():
    samples = np.asarray(priors.categorical(5)(jax.random.key(1), 20_000))
    assert samples.shape == (20_000, 5)
    assert samples.dtype == np.float32
    np.testing.assert_array_equal(np.sort(samples, axis=1), np.tile([0, 0, 0, 0, 1], (20_000, 1)))
    np.testing.assert_allclose(samples.mean(axis=0), 0.2, atol=0.015)


@pytest.mark.parametrize("sampler", [priors.gaussian(2), priors.categorical(4)])
def test_samples_are_a_function_of_the_key(sampler):
    first, again, other = (sampler(jax.random.key(k), 50) for k in (3, 3, 4))
    np.testing.assert_array_equal(first, again)
    assert not np.array_equal(first, other)
