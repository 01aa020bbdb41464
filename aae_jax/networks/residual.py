"""The networks of the adversarial autoencoder with a learned prior (Wang et al. 2019, tables A.1 to
A.3): residual encoder and decoder, code generator, and an image discriminator that hands out what
the perceptual loss compares and what Q reads."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import initializer
from aae_jax.networks.conv import Conv, ConvTranspose
from aae_jax.networks.dcgan import OUTPUTS, ImageTrunk

DIRECTIONS = ("down", "same", "up")


class ResidualBlock(nn.Module):
    """Two convolutions with ReLUs, the skip connection added, a last ReLU (table A.2).

    "down" halves height and width by the stride of its first 3x3 convolution, "up" doubles them by
    a 4x4 transposed one. Where the skip connection has to change its shape it is a 1x1 convolution,
    strided, or of pixels that are repeated (paper silent). Call: [b, h, w, c] ->
    [b, h', w', features].

    Attributes:
        features: channels.
        direction: one of ``DIRECTIONS``.
        batch_norm: whether both convolutions are normalised before what follows them; the table
            has none.
    """

    features: int
    direction: str = "same"
    batch_norm: bool = False
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        init = initializer(self.weight_init)

        def normalised(x):
            if not self.batch_norm:
                return x
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, axis_name=self.axis_name
            )(x)

        if self.direction == "up":
            y = ConvTranspose(self.features, (4, 4), strides=2, kernel_init=init)(x)
        else:
            strides = 2 if self.direction == "down" else 1
            y = Conv(self.features, (3, 3), strides=strides, kernel_init=init)(x)
        y = nn.relu(normalised(y))
        y = nn.relu(normalised(Conv(self.features, (3, 3), kernel_init=init)(y)))
        if self.direction != "same" or x.shape[-1] != self.features:
            strides = 2 if self.direction == "down" else 1
            x = Conv(self.features, (1, 1), strides=strides, kernel_init=init, name="skip")(x)
            if self.direction == "up":
                x = x.repeat(2, axis=1).repeat(2, axis=2)
        return nn.relu(x + y)


class ResidualEncoder(nn.Module):
    """Images to a code (table A.1): a 3x3 convolution of stride 2, a residual block, blocks that
    halve height and width, the mean over what is left of the image, a dense layer with batch norm
    and a linear one.

    The table averages over 4x4 places of an image that its strides have made 2x2: over all that
    there are, here. Call: images [b, h, w, c] -> [b, code_dim].

    Attributes:
        features: channels of the first convolution and the first block, then of each further block.
        code_dim: width of the output.
        hidden: width of the dense layer; twice the code's in the table.
        batch_norm: of the blocks.
    """

    features: Sequence[int]
    code_dim: int
    hidden: int
    batch_norm: bool = False
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        init, first = initializer(self.weight_init), self.features[0]
        x = nn.relu(Conv(first, (3, 3), strides=2, kernel_init=init)(images))
        for features, direction in ((first, "same"), *((f, "down") for f in self.features[1:])):
            x = ResidualBlock(
                features, direction, self.batch_norm, self.weight_init, self.axis_name
            )(x, train=train)
        x = nn.Dense(self.hidden, use_bias=False, kernel_init=init)(x.mean(axis=(1, 2)))
        x = nn.relu(
            nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
        )
        return nn.Dense(self.code_dim, kernel_init=init)(x)


class ResidualDecoder(nn.Module):
    """A code to images (table A.1): a dense layer to a small image with batch norm (the table's
    transposed convolution of a single place), blocks that double height and width, a 3x3
    convolution.

    The small image is what the doublings leave of the image's size: 4x4 for 32x32 and the table's
    three blocks. Call: codes [b, d] -> [b, h, w, c].

    Attributes:
        features: channels of the small image, then of each block.
        image_shape: (h, w, c).
        output: one of ``dcgan.OUTPUTS``, by the range of the pixels.
        batch_norm: of the blocks.
    """

    features: Sequence[int]
    image_shape: Sequence[int]
    output: str = "tanh"
    batch_norm: bool = False
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, codes: jax.Array, *, train: bool) -> jax.Array:
        init = initializer(self.weight_init)
        height, width, channels = self.image_shape
        shrunk = 2 ** (len(self.features) - 1)
        small = (height // shrunk, width // shrunk, self.features[0])
        x = nn.Dense(small[0] * small[1] * small[2], use_bias=False, kernel_init=init)(codes)
        x = nn.relu(
            nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(
                x.reshape(-1, *small)
            )
        )
        for features in self.features[1:]:
            x = ResidualBlock(features, "up", self.batch_norm, self.weight_init, self.axis_name)(
                x, train=train
            )
        return OUTPUTS[self.output](Conv(channels, (3, 3), kernel_init=init)(x))


class CodeGenerator(nn.Module):
    """Noise, and what the prior is conditioned on, to a code (table A.2): a dense layer of twice
    the noise's width with batch norm and ReLU, and a dense layer with batch norm.

    A label or an embedding is a further input beside the noise, whose width the hidden layer does
    not count. Call: noise [b, n], conditions [b, k]... -> [b, code_dim].
    """

    code_dim: int
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, noise: jax.Array, *conditions: jax.Array, train: bool) -> jax.Array:
        init = initializer(self.weight_init)

        def normalised(x):
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, axis_name=self.axis_name
            )(x)

        x = jnp.concatenate([noise, *conditions], axis=-1)
        x = nn.Dense(2 * noise.shape[-1], use_bias=False, kernel_init=init)(x)
        x = nn.relu(normalised(x))
        return normalised(nn.Dense(self.code_dim, use_bias=False, kernel_init=init)(x))


class PerceptualDiscriminator(nn.Module):
    """Images, and what they are conditioned on, to the logit of "is real", the last convolution's
    activations and the last hidden layer's (table A.3: Q is another last layer above the same
    ones). Call: images [b, h, w, c], conditions [b, k]... -> (logits [b], [b, h', w', c'], [b, d]).

    Attributes:
        trunk: all layers but the last; it must have a convolution.
    """

    trunk: ImageTrunk

    def setup(self):
        self.head = nn.Dense(1, kernel_init=initializer(self.trunk.weight_init))

    def __call__(
        self, images: jax.Array, *conditions: jax.Array, train: bool
    ) -> tuple[jax.Array, jax.Array, jax.Array]:
        layers = self.trunk.layers(images, *conditions, train=train)
        top = layers[-1].reshape(images.shape[0], -1)
        return self.head(top)[:, 0], layers[len(self.trunk.features) - 1], top


def check_residual(
    image_shape: Sequence[int], encoder: Sequence[int], decoder: Sequence[int]
) -> None:
    """Refuse images that these residual networks cannot be made for.

    Args:
        image_shape: (h, w, c).
        encoder, decoder: their ``features``.

    Raises:
        UserError: no features, vectors, images of which the encoder's strides leave nothing, or
            whose height or width the decoder's blocks cannot have doubled to.
    """
    size = " x ".join(map(str, image_shape))
    for name, features in (("encoder", encoder), ("decoder", decoder)):
        if not features:
            raise UserError(f"model.{name}.features is empty; give it at least one width")
    if len(image_shape) != 3 or min(image_shape[:2]) < 2 ** len(encoder):
        raise UserError(
            f"model.encoder.features has {len(encoder)} strides, each of which halves height and "
            f"width: images of {size} do not allow it, give it fewer"
        )
    shrunk = 2 ** (len(decoder) - 1)
    if image_shape[0] % shrunk or image_shape[1] % shrunk:
        raise UserError(
            f"model.decoder.features has {len(decoder) - 1} blocks, each of which doubles height "
            f"and width: they do not end at images of {size}, give it fewer"
        )
