"""Input corruption, and images that are moved."""

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.networks import corrupt
from aae_jax.networks.common import moved

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


def test_every_image_is_moved_by_some_pixels_and_half_are_mirrored():
    rng = np.random.default_rng(0)
    images = rng.uniform(0.1, 1.0, (300, 4, 5, 2)).astype(np.float32)
    found = np.asarray(moved(jax.random.key(0), jnp.asarray(images), 1, True))
    padded = np.pad(images, ((0, 0), (1, 1), (1, 1), (0, 0)))
    mirrored = np.pad(images[:, :, ::-1], ((0, 0), (1, 1), (1, 1), (0, 0)))
    seen = np.zeros((2, 3, 3), int)
    for i, image in enumerate(found):
        seen += [
            [
                [np.array_equal(image, p[i, r : r + 4, c : c + 5]) for c in range(3)]
                for r in range(3)
            ]
            for p in (padded, mirrored)
        ]
    assert seen.sum() == 300  # each is one of the 18 moves
    np.testing.assert_allclose(seen / 300, 1 / 18, atol=0.05)
    only = np.asarray(moved(jax.random.key(0), jnp.asarray(images), 0, True))
    assert all(np.array_equal(a, b) or np.array_equal(a, b[:, ::-1]) for a, b in zip(only, images))
