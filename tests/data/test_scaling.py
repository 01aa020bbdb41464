"""Scaling: there and back, alike for NumPy, for JAX and under jit."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.data import load, make_scaling, pixel_statistics
from aae_jax.data.scaling import NAMES, Scaling
from aae_jax.errors import UserError

IMAGES = np.random.default_rng(0).integers(0, 256, (50, 3, 4, 2)).astype(np.uint8)


@pytest.mark.parametrize("name", NAMES)
def test_there_and_back(name):
    scaling = make_scaling(name, 255, IMAGES)
    seen = scaling.forward(IMAGES)
    assert seen.dtype == np.float32 and seen.shape == IMAGES.shape
    np.testing.assert_allclose(scaling.inverse(seen), IMAGES / 255, atol=1e-6)
    np.testing.assert_allclose(scaling.forward(jnp.asarray(IMAGES)), seen, atol=1e-6)
    jitted = jax.jit(Scaling.forward)(scaling, IMAGES)
    assert jitted.dtype == jnp.float32
    np.testing.assert_allclose(jitted, seen, atol=1e-6)
    np.testing.assert_allclose(jax.jit(Scaling.inverse)(scaling, jitted), IMAGES / 255, atol=1e-6)


def test_the_ranges_by_hand():
    ends = np.array([0, 4, 16], np.uint8)[:, None, None, None]
    assert make_scaling("unit", 16, ends).forward(ends).ravel().tolist() == [0, 0.25, 1]
    assert make_scaling("symmetric", 16, ends).forward(ends).ravel().tolist() == [-1, -0.5, 1]
    mean, std = np.float32(5 / 12), np.sqrt((1 / 16 + 1) / 3 - (5 / 12) ** 2)
    np.testing.assert_allclose(
        make_scaling("standardised", 16, ends).forward(ends).ravel(),
        (np.array([0, 0.25, 1]) - mean) / std,
        rtol=1e-5,
    )
    assert make_scaling("standardised", 16, ends).pixels(ends).ravel().tolist() == [0, 0.25, 1]


def test_a_set_is_standardised_by_its_training_images():
    part = load("digits", unlabelled=200, classes=(3, 1), scaling="standardised")
    mean, std = pixel_statistics(part.train.images, 16)
    np.testing.assert_array_equal(part.scaling.shift, mean)
    np.testing.assert_array_equal(part.scaling.scale, std)
    assert load("digits").scaling == Scaling(16, 0.0, 1.0)
    assert load("digits", scaling="symmetric").scaling == Scaling(16, 0.5, 0.5)


def test_another_name():
    with pytest.raises(UserError, match="must be one of unit, symmetric, standardised"):
        load("digits", scaling="tanh")


def test_pixel_statistics_match_numpy():
    images = np.random.default_rng(1).integers(0, 256, (3000, 5, 4, 3)).astype(np.uint8)
    images[:, 1, 2, 0] = 0
    images[:, 3, 3, 2] = 201
    mean, std = pixel_statistics(images, 255)
    scaled = images.astype(np.float64) / 255
    expected_std = scaled.std(axis=0)
    expected_std[1, 2, 0] = expected_std[3, 3, 2] = 1
    assert mean.dtype == std.dtype == np.float32 and mean.shape == std.shape == (5, 4, 3)
    np.testing.assert_allclose(mean, scaled.mean(axis=0), rtol=1e-6)
    np.testing.assert_allclose(std, expected_std, rtol=1e-6)
    assert std[1, 2, 0] == std[3, 3, 2] == 1


def test_pixel_statistics_of_no_images_are_refused():
    with pytest.raises(UserError, match="at least one"):
        pixel_statistics(np.zeros((0, 2, 2, 1), np.uint8), 255)
