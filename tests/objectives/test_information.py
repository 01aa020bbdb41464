"""The parts of InfoGAN's bound by hand."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.objectives import categorical_information, uniform_information


def test_a_categorical_code_by_hand():
    logits = jnp.log(jnp.array([[0.5, 0.25, 0.25], [1 / 3, 1 / 3, 1 / 3], [1.0, 1e-30, 1e-30]]))
    codes = jnp.eye(3)[jnp.array([1, 2, 0])]
    expected = [np.log(0.25) + np.log(3), 0.0, np.log(3)]
    np.testing.assert_allclose(categorical_information(logits, codes), expected, atol=1e-6)


def test_uniform_codes_by_hand():
    means, codes = jnp.array([[0.5, 0.0]]), jnp.array([[1.0, -0.5]])
    # Both are half off, at a std of 0.5 one deviation.
    of_one = -0.5 - np.log(0.5 * np.sqrt(2 * np.pi)) + np.log(2)
    np.testing.assert_allclose(uniform_information(means, codes, 0.5), [2 * of_one], rtol=1e-6)
    gradient = jax.grad(lambda m: uniform_information(m, codes, 0.5).sum())(means)
    np.testing.assert_allclose(gradient, (codes - means) / 0.25, rtol=1e-6)


def test_a_wide_gaussian_bounds_below_zero():
    codes = jnp.zeros((1, 1))
    assert float(uniform_information(codes, codes, 1.0)[0]) == pytest.approx(np.log(2) - 0.9189385)
    assert float(uniform_information(codes, codes, 0.1)[0]) > 2
