"""The fully connected networks of the conditional GAN (Mirza and Osindero 2014, section 4.1)."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.networks.common import initializer
from aae_jax.networks.mlp import Maxout


class ConditionalGenerator(nn.Module):
    """Labels and noise to images: a ReLU layer for each, a joint ReLU layer, the pixels.

    Call: labels [b, k] one-hot, noise [b, d] -> images [b, h, w, c] in (0, 1).

    Attributes:
        label_hidden, noise_hidden, hidden: widths of the three layers.
        dropout_rate: of the joint layer.
    """

    image_shape: Sequence[int]
    label_hidden: int = 1000
    noise_hidden: int = 200
    hidden: int = 1200
    dropout_rate: float = 0.0
    weight_init: str = "glorot_uniform"

    @nn.compact
    def __call__(self, labels: jax.Array, noise: jax.Array, *, train: bool) -> jax.Array:
        init = initializer(self.weight_init)
        of_label = nn.relu(nn.Dense(self.label_hidden, kernel_init=init, name="label")(labels))
        of_noise = nn.relu(nn.Dense(self.noise_hidden, kernel_init=init, name="noise")(noise))
        x = jnp.concatenate([of_label, of_noise], axis=-1)
        x = nn.relu(nn.Dense(self.hidden, kernel_init=init, name="joint")(x))
        x = nn.Dropout(self.dropout_rate, deterministic=not train)(x)
        x = nn.Dense(math.prod(self.image_shape), kernel_init=init, name="pixels")(x)
        return nn.sigmoid(x).reshape(-1, *self.image_shape)


class MaxoutDiscriminator(nn.Module):
    """Images and labels to the logit of "is real": a maxout layer for each, a joint one.

    Call: images [b, h, w, c], labels [b, k] one-hot -> logits [b].

    Attributes:
        image_units, label_units, joint_units: how many units each layer has.
        image_pieces, label_pieces, joint_pieces: the linear maps of a unit.
        dropout_rate: of all three layers.
    """

    image_units: int = 240
    image_pieces: int = 5
    label_units: int = 50
    label_pieces: int = 5
    joint_units: int = 240
    joint_pieces: int = 4
    dropout_rate: float = 0.0
    weight_init: str = "glorot_uniform"

    @nn.compact
    def __call__(self, images: jax.Array, labels: jax.Array, *, train: bool) -> jax.Array:
        def dropped(x):
            return nn.Dropout(self.dropout_rate, deterministic=not train)(x)

        def maxout(units, pieces, name, *inputs):
            return dropped(Maxout(units, pieces, self.weight_init, name=name)(*inputs))

        flat = images.reshape(images.shape[0], -1)
        of_image = maxout(self.image_units, self.image_pieces, "image", flat)
        of_label = maxout(self.label_units, self.label_pieces, "label", labels)
        x = maxout(self.joint_units, self.joint_pieces, "joint", of_image, of_label)
        return nn.Dense(1, kernel_init=initializer(self.weight_init), name="logit")(x)[:, 0]
