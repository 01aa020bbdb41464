"""A discriminator of images that hands out a hidden layer beside its logit: the learned similarity
of the VAE/GAN (survey's slides, equations 18 and 19)."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from aae_jax.networks.common import initializer
from aae_jax.networks.conv import Conv


class FeatureDiscriminator(nn.Module):
    """Images to the logit of "is real", and Dis_l(x), the output of a hidden layer.

    Every convolution halves height and width; each hidden layer is batch norm (but for the first),
    then leaky ReLU. Call: images [b, h, w, c] -> (logits [b], features [b, ...]).

    Attributes:
        features: channels of the convolutions.
        dense: widths of the dense layers before the logit.
        layer: which hidden layer Dis_l is, counted from 0 over convolutions and dense layers.
        batch_norm: whether hidden layers but the first are normalised. Real and fake images then
            have to go through as one batch.
        slope: of the leaky ReLU.
        kernel_size: of the convolutions.
    """

    features: Sequence[int]
    dense: Sequence[int]
    layer: int
    batch_norm: bool = True
    slope: float = 0.2
    kernel_size: int = 4
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, jax.Array]:
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)
        hidden: list[jax.Array] = []

        def activated(x):
            if self.batch_norm and hidden:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, axis_name=self.axis_name
                )(x)
            hidden.append(nn.leaky_relu(x, self.slope))
            return hidden[-1]

        x = images
        for features in self.features:
            x = activated(Conv(features, window, strides=2, kernel_init=init)(x))
        x = x.reshape(x.shape[0], -1)
        for width in self.dense:
            x = activated(nn.Dense(width, kernel_init=init)(x))
        return nn.Dense(1, kernel_init=init)(x)[:, 0], hidden[self.layer]
