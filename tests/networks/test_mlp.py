"""The fully connected networks: shapes, initialisation, batch norm, training and evaluation."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.networks import Decoder, Discriminator, Encoder, Network
from aae_jax.networks.mlp import ClusterHeads

IMAGES = jax.random.uniform(jax.random.key(0), (16, 4, 4, 1))


def made(module, *inputs):
    network = Network("n", module)
    params, stats = network.init(jax.random.key(1), *inputs)
    return network, {"n": params}, {"n": stats}


def test_shapes():
    network, params, stats = made(Encoder((8, 7), (3, 2)), IMAGES)
    y, z = network.evaluate(params, stats, IMAGES)
    assert (y.shape, z.shape) == ((16, 3), (16, 2))
    network, params, stats = made(Decoder((8, 7), (4, 4, 1)), y, z)
    assert network.evaluate(params, stats, y, z).shape == (16, 4, 4, 1)
    network, params, stats = made(Discriminator((8, 7)), z)
    assert network.evaluate(params, stats, z).shape == (16,)


def test_weights_are_gaussian_with_the_papers_deviation_and_biases_zero():
    _, params, _ = made(Encoder((1000, 1000), (10, 10)), jnp.zeros((1, 28, 28, 1)))
    layer = params["n"]["Trunk_0"]["Layer_1"]["Dense_0"]
    assert float(layer["kernel"].std()) == pytest.approx(0.01, rel=0.01)
    assert float(layer["kernel"].mean()) == pytest.approx(0, abs=1e-4)
    np.testing.assert_array_equal(layer["bias"], np.zeros(1000))


@pytest.mark.parametrize("output", ["sigmoid", "linear"])
def test_the_decoders_output_is_a_sigmoid_or_linear(output):
    codes = 50 * jax.random.normal(jax.random.key(2), (64, 5))
    module = Decoder((9,), (4, 4, 1), output=output, weight_init="lecun_normal")
    network, params, stats = made(module, codes)
    images = np.asarray(network.evaluate(params, stats, codes))
    assert (images.min() >= 0 and images.max() <= 1) == (output == "sigmoid")


def test_batch_norm_normalises_in_training_and_uses_running_statistics_in_evaluation():
    module = Encoder((8,), (3, 2), batch_norm="all", weight_init="lecun_normal")
    network, params, stats = made(module, IMAGES)
    (y, z), after = network(params, stats, IMAGES)
    for head in (y, z):  # the heads have it too
        np.testing.assert_allclose(head.mean(axis=0), 0, atol=1e-5)
        np.testing.assert_allclose(head.var(axis=0), 1, atol=1e-2)
    assert not np.allclose(network.evaluate(params, stats, IMAGES)[0], y, atol=1e-2)
    for _ in range(200):
        _, after = network(params, after, IMAGES)
    np.testing.assert_allclose(network.evaluate(params, after, IMAGES)[0], y, atol=1e-3)
    # Nothing was changed in place.
    np.testing.assert_array_equal(stats["n"]["Layer_0"]["BatchNorm_0"]["mean"], np.zeros(3))


def test_evaluation_of_one_image_does_not_depend_on_the_others():
    module = Encoder((8,), (3, 2), batch_norm="all", dropout_rate=0.5)
    network, params, stats = made(module, IMAGES)
    together = network.evaluate(params, stats, IMAGES)[0]
    alone = network.evaluate(params, stats, IMAGES[3:4])[0]
    np.testing.assert_allclose(together[3:4], alone, rtol=1e-4, atol=1e-6)


def test_logits_of_a_discriminator_are_per_example():
    codes = jax.random.normal(jax.random.key(3), (6, 2))
    network, params, stats = made(Discriminator((8,), "lecun_normal"), codes)
    jacobian = jax.jacobian(lambda c: network.evaluate(params, stats, c))(codes)
    crossed = np.asarray(jacobian)[~np.eye(6, dtype=bool)]
    np.testing.assert_array_equal(crossed, 0)
    assert np.abs(jacobian).max() > 0


def test_a_discriminators_dropout_is_in_training_and_on_hidden_layers_only():
    module = Discriminator((64,), "lecun_normal", dropout_rate=0.5)
    network, params, stats = made(module, IMAGES)
    plain = Network("n", Discriminator((64,), "lecun_normal"))
    evaluated = network.evaluate(params, stats, IMAGES)
    np.testing.assert_array_equal(evaluated, plain.evaluate(params, stats, IMAGES))
    first, _ = network(params, stats, IMAGES, key=jax.random.key(0))
    again, _ = network(params, stats, IMAGES, key=jax.random.key(0))
    other, _ = network(params, stats, IMAGES, key=jax.random.key(1))
    np.testing.assert_array_equal(first, again)
    assert not np.allclose(first, other)
    # Scaled, so that the mean over many masks is the value without.
    keys = jax.random.split(jax.random.key(2), 4000)
    drawn = jax.vmap(lambda key: network(params, stats, IMAGES, key=key)[0])(keys)
    np.testing.assert_allclose(drawn.mean(0), evaluated, atol=0.06)


def test_cluster_heads_are_weighted_by_the_label():
    y = jnp.asarray([[1.0, 0, 0], [0, 0, 1], [0.2, 0.3, 0.5]])
    network, params, stats = made(ClusterHeads(3, 2), y)
    heads = np.asarray(params["n"]["heads"])
    assert heads.shape == (3, 2)
    expected = [heads[0], heads[2], 0.2 * heads[0] + 0.3 * heads[1] + 0.5 * heads[2]]
    np.testing.assert_allclose(network.evaluate(params, stats, y), expected, rtol=1e-5)
    fixed, params, stats = made(ClusterHeads(3, 3, identity_scale=10.0), y)
    np.testing.assert_allclose(fixed.evaluate(params, stats, y), 10 * y, rtol=1e-6)
