"""The convolutional encoder: its shapes, and its normalised heads."""

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax.networks import Network
from aae_jax.networks.conv import ConvEncoder

IMAGES = jax.random.uniform(jax.random.key(0), (32, 8, 8, 1))


def made(**settings):
    network = Network("n", ConvEncoder((4, 6), 5, (3, 2), **settings))
    params, stats = network.init(jax.random.key(1), IMAGES)
    return network, {"n": params}, {"n": stats}


def test_shapes_and_statistics():
    network, params, stats = made()
    outputs, after = network(params, stats, IMAGES)
    assert [output.shape for output in outputs] == [(32, 3), (32, 2)]
    assert jax.tree.map(jnp.shape, after) == jax.tree.map(jnp.shape, stats)
    assert "BatchNorm_0" in after["n"]
    kernels = [params["n"][f"Conv_{i}"]["kernel"].shape for i in (0, 1)]
    assert kernels == [(4, 4, 1, 4), (4, 4, 4, 6)]
    network, params, stats = made(batch_norm=False)
    assert stats == {"n": {}}


def test_normalised_heads_share_one_scale_and_have_no_offset():
    network, params, stats = made(head_batch_norm=True)
    for scale in (3.0, 1.5):  # 3 is where it starts
        outputs, _ = network(params, stats, IMAGES)
        for output in outputs:
            np.testing.assert_allclose(output.mean(axis=0), 0, atol=1e-5)
            np.testing.assert_allclose(output.std(axis=0), scale, rtol=1e-2)
        for i in (0, 1):
            assert params["n"][f"head_scale_{i}"].shape == ()
            params["n"][f"head_scale_{i}"] = jnp.asarray(1.5)
