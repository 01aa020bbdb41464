"""Likelihoods per image and their units."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.networks.heads import Bernoulli, Categorical
from aae_jax.objectives import bits_per_dimension, log_likelihood


def test_is_the_sum_over_pixels_and_channels():
    head = Categorical(4, channels=3)
    outputs = jax.random.normal(jax.random.key(0), (2, 3, 5, 12))
    levels = jax.random.randint(jax.random.key(1), (2, 3, 5, 3), 0, 4)
    log_probs = np.log(jax.nn.softmax(outputs.reshape(2, 3, 5, 3, 4)))
    picked = np.take_along_axis(log_probs, np.asarray(levels)[..., None], axis=-1)
    result = log_likelihood(head, outputs, levels)
    np.testing.assert_allclose(result, picked.sum((1, 2, 3, 4)), rtol=1e-5)


@pytest.mark.parametrize(("head", "bits"), [(Bernoulli(), 1), (Categorical(256, 3), 8)])
def test_a_network_that_knows_nothing_needs_the_datas_own_bits(head, bits):
    levels = jnp.ones((2, 3, 5, head.channels), jnp.int32)
    nats = log_likelihood(head, jnp.zeros((2, 3, 5, head.num_outputs)), levels)
    np.testing.assert_allclose(nats, -15 * head.channels * bits * np.log(2), rtol=1e-5)
    np.testing.assert_allclose(bits_per_dimension(nats, levels.shape[1:]), bits, rtol=1e-5)
