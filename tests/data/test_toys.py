"""Toys: points around a circle, and that a set of vectors goes the way of images."""

import jax
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.data import Scaling, is_available, load
from aae_jax.data.toys import ring_means, ring_std
from aae_jax.errors import UserError


def test_ring():
    ring = load("toys/ring", unlabelled=9_000)
    assert is_available("toys/ring") and ring.name == "toys/ring"
    assert (ring.scaling, ring.num_classes) == (Scaling(1, 0.0, 1.0), 8)
    assert [split.images.shape for split in ring[4:7]] == [(9_000, 2), (1_000, 2), (2_000, 2)]
    assert all(split.images.dtype == np.float32 for split in ring[4:7])
    for split in ring[4:7]:
        points, labels = split.images.astype(float), split.labels
        assert np.bincount(labels).min() > len(labels) / 10
        modes = 2 * np.exp(2j * np.pi * labels / 8)
        offsets = points - np.stack([modes.real, modes.imag], axis=1)
        np.testing.assert_allclose(offsets.std(axis=0), 0.02, rtol=0.06)
        np.testing.assert_allclose(offsets.mean(axis=0), 0, atol=0.003)
    assert len(np.unique(np.concatenate([ring.train.images, ring.test.images]), axis=0)) > 10_900


def test_the_ring_is_the_same_everywhere():
    assert load("toys/ring").sha256 == (
        "87c79062d7340bdf90eec13fcef9d3442d30d15b9ef0741131900598472b9a6b"
    )


def test_ring_of_seven():
    ring = load("toys/ring7")
    assert (ring.name, ring.num_classes, len(ring.train.labels)) == ("toys/ring7", 7, 10_000)
    means = ring_means("toys/ring7")
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 2)
    np.testing.assert_allclose(means[1], [2 * np.cos(2 * np.pi / 7), 2 * np.sin(2 * np.pi / 7)])
    offsets = ring.train.images - means[ring.train.labels]
    np.testing.assert_allclose(offsets.std(axis=0), ring_std("toys/ring7"), rtol=0.05)
    assert ring_std("toys/ring7") == 0.1


def test_classes_of_the_ring():
    two = load("toys/ring", classes=(4, 0))
    assert two.num_classes == 2
    assert (two.train.images[two.train.labels == 0, 0] < -1.8).all()


def test_vectors_are_not_scaled():
    points = load("toys/ring").test.images
    np.testing.assert_array_equal(load("toys/ring").scaling.forward(points), points)
    for scaling in ("symmetric", "standardised"):
        with pytest.raises(UserError, match="vectors are not scaled: leave it at unit"):
            load("toys/ring", scaling=scaling)


@pytest.mark.parametrize("name", ["toys", "toys/rings"])
def test_toys_that_are_none(name):
    with pytest.raises(UserError, match="there is toys/ring"):
        load(name)


def test_an_autoencoder_takes_vectors():
    ring = load("toys/ring")
    config = methods.default_config("aae")
    with config.unlocked():
        config.hidden = config.discriminator_hidden = (16,)
        config.code_dim, config.output, config.init = 2, "linear", "he_normal"
        config.optimizers.reconstruction.update(name="adam", learning_rate=0.01)
    aae = methods.build("aae", config, spec=methods.DataSpec((2,), ring.num_classes))
    state, step = aae.init(jax.random.key(0)), jax.jit(aae.train_step)
    points = ring.scaling.forward(ring.train.images[:500])
    before = aae.evaluate(state, points).mean()
    for update in range(100):
        state, _ = step(state, Batch(points), jax.random.key(update))
    assert aae.evaluate(state, points).mean() < before / 2
    assert aae.sample(state, jax.random.key(0), 5).shape == (5, 2)
