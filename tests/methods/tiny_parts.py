"""Networks of a GAN that are small enough for references by hand: linen modules and, beside them,
the same in NumPy."""

import math
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from aae_jax.networks.conv import Conv
from tests.methods.numpy_reference import conv, dense

SHAPE = (4, 2, 1)


class Generator(nn.Module):
    """One dense layer and tanh."""

    image_shape: Sequence[int] = SHAPE

    @nn.compact
    def __call__(self, noise, *, train):
        x = nn.Dense(math.prod(self.image_shape))(noise)
        return jnp.tanh(x).reshape(-1, *self.image_shape)


def np_generator(params, z):
    return np.tanh(dense(params["Dense_0"], z)).reshape(len(z), *SHAPE)


class Autoencoder(nn.Module):
    """A code of three entries, tanh in between."""

    @nn.compact
    def __call__(self, images, *, train):
        code = jnp.tanh(nn.Dense(3)(images.reshape(images.shape[0], -1)))
        return nn.Dense(math.prod(images.shape[1:]))(code).reshape(images.shape)


def np_autoencoder(params, x):
    code = np.tanh(dense(params["Dense_0"], x.reshape(len(x), -1)))
    return dense(params["Dense_1"], code).reshape(x.shape)


class Critic(nn.Module):
    """A convolution, ReLU, a dense layer."""

    @nn.compact
    def __call__(self, images, *, train):
        x = nn.relu(Conv(3, (4, 4), strides=2)(images))
        return nn.Dense(1)(x.reshape(x.shape[0], -1))[:, 0]


def np_critic(params, x):
    hidden = np.maximum(conv(params["Conv_0"], x), 0)
    return dense(params["Dense_0"], hidden.reshape(len(x), -1))[:, 0]


def np_slopes(params, x):
    """The critic's gradient by the images, [b, d]: the convolution is a matrix [d, hidden], whose
    rows are what it makes of single pixels."""
    pixels = np.eye(math.prod(SHAPE)).reshape(-1, *SHAPE)
    matrix = conv({"kernel": params["Conv_0"]["kernel"], "bias": 0.0}, pixels).reshape(
        len(pixels), -1
    )
    active = conv(params["Conv_0"], x).reshape(len(x), -1) > 0
    return (active * params["Dense_0"]["kernel"][:, 0]) @ matrix.T
