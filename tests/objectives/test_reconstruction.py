"""The reconstruction cost's convention."""

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.objectives import half_squared_error


def test_is_half_the_sum_over_pixels_per_image():
    # Two images of 2x3x2 pixels, off by 1 and by 2 everywhere: ½ · 12 · 1 and ½ · 12 · 4.
    images = jnp.ones((2, 2, 3, 2))
    off = jnp.array([1.0, -2.0]).reshape(2, 1, 1, 1)
    np.testing.assert_array_equal(half_squared_error(images + off, images), [6.0, 24.0])


def test_its_gradient_is_the_difference():
    rng = np.random.default_rng(0)
    a, b = jnp.asarray(rng.normal(size=(2, 3, 4, 4, 1)), jnp.float32)
    gradient = jax.grad(lambda a: half_squared_error(a, b).sum())(a)
    np.testing.assert_allclose(gradient, a - b, rtol=1e-5, atol=1e-6)
