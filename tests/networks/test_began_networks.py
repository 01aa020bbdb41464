"""BEGAN's decoder and autoencoder against NumPy."""

import jax
import numpy as np

from aae_jax.networks.began import BeganAutoencoder, BeganDecoder
from tests.methods.numpy_reference import dense, moved_off_zero, np_tree


def conv3(params, x, strides=1):
    """3x3 windows; of stride 2 they begin at the image's edge and end one beyond it."""
    before = 1 if strides == 1 else 0
    x = np.pad(x, ((0, 0), (before, 1), (before, 1), (0, 0)))
    height, width = x.shape[1] - 2, x.shape[2] - 2
    out = sum(
        x[:, i : i + height, j : j + width] @ params["kernel"][i, j] for i, j in np.ndindex(3, 3)
    )
    return out[:, ::strides, ::strides] + params["bias"]


def elu(x):
    return np.where(x > 0, x, np.expm1(np.minimum(x, 0)))


def np_decoder(params, codes):
    x = dense(params["Dense_0"], codes).reshape(-1, 2, 2, 3)
    for i in range(4):
        x = x.repeat(2, axis=1).repeat(2, axis=2) if i == 2 else x
        x = elu(conv3(params[f"Conv_{i}"], x))
    return conv3(params["Conv_4"], x)


def np_autoencoder(params, x):
    strides = [1, 1, 1, 2, 1, 1]  # from 3 channels to 6
    for i, stride in enumerate(strides):
        x = elu(conv3(params[f"Conv_{i}"], x, stride))
    codes = dense(params["Dense_0"], x.reshape(len(x), -1))
    return np_decoder(params["BeganDecoder_0"], codes)


def check(module, reference, inputs):
    params = moved_off_zero(module.init(jax.random.key(0), inputs, train=False)["params"])
    found = module.apply({"params": params}, inputs, train=True)
    assert found.shape == (2, 4, 4, 1)
    expected = reference(np_tree(params), np.float64(inputs))
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_the_decoder():
    check(BeganDecoder(3, 1, (4, 4, 1)), np_decoder, jax.random.normal(jax.random.key(1), (2, 5)))


def test_the_autoencoder():
    images = jax.random.normal(jax.random.key(1), (2, 4, 4, 1))
    check(BeganAutoencoder(5, 3, 1, (4, 4, 1)), np_autoencoder, images)
