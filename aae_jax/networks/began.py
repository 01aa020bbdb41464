"""BEGAN's generator and its discriminator, an autoencoder whose decoder has the generator's form
(Berthelot et al. 2017, figure 1)."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import initializer
from aae_jax.networks.conv import Conv


class BeganDecoder(nn.Module):
    """A code to images: a dense layer to a small image, two 3x3 convolutions with ELUs at every
    size, nearest neighbours repeated in between, and a last convolution without a nonlinearity.
    Call: [b, d] -> [b, h, w, c].

    Attributes:
        features: channels n of all convolutions but the last.
        halvings: how often the image's height and width are halved to give the small image's.
        image_shape: (h, w, c).
    """

    features: int
    halvings: int
    image_shape: Sequence[int]
    weight_init: str = "glorot_uniform"

    @nn.compact
    def __call__(self, codes: jax.Array, *, train: bool) -> jax.Array:
        init, n = initializer(self.weight_init), self.features
        height, width, channels = self.image_shape
        small = height >> self.halvings, width >> self.halvings, n
        x = nn.Dense(small[0] * small[1] * n, kernel_init=init)(codes).reshape(-1, *small)
        for i in range(self.halvings + 1):
            x = x.repeat(2, axis=1).repeat(2, axis=2) if i else x
            for _ in range(2):
                x = nn.elu(Conv(n, (3, 3), kernel_init=init)(x))
        return Conv(channels, (3, 3), kernel_init=init)(x)


class BeganAutoencoder(nn.Module):
    """Images to themselves through a code: two 3x3 convolutions with ELUs at every size, channels
    that grow by n with each halving (by the stride of the convolution that makes it), two linear
    layers around the code, and a decoder. Call: [b, h, w, c] -> [b, h, w, c].

    Attributes:
        code_dim: entries h of the code.
        features, halvings, image_shape: as of the decoder.
    """

    code_dim: int
    features: int
    halvings: int
    image_shape: Sequence[int]
    weight_init: str = "glorot_uniform"

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        init, n = initializer(self.weight_init), self.features
        x = nn.elu(Conv(n, (3, 3), kernel_init=init)(images))
        for i in range(self.halvings + 1):
            for _ in range(2):
                x = nn.elu(Conv((i + 1) * n, (3, 3), kernel_init=init)(x))
            if i < self.halvings:
                x = nn.elu(Conv((i + 2) * n, (3, 3), strides=2, kernel_init=init)(x))
        code = nn.Dense(self.code_dim, kernel_init=init)(x.reshape(x.shape[0], -1))
        decoder = BeganDecoder(n, self.halvings, self.image_shape, self.weight_init)
        return decoder(code, train=train)


def check_halvings(image_shape: Sequence[int], halvings: int) -> None:
    """Refuse images that cannot be halved so often.

    Raises:
        UserError: naming the setting.
    """
    if len(image_shape) != 3 or any(side % 2**halvings for side in image_shape[:2]):
        raise UserError(
            f"model.halvings is {halvings}, and images of {' x '.join(map(str, image_shape))} "
            "cannot be halved so often: give a smaller number, or other data"
        )
