"""Convolutional encoders."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from aae_jax.networks.common import initializer


class ConvEncoder(nn.Module):
    """Images to one linear head per code, over strided 4x4 convolutions and a dense layer
    (PixelGAN, section 2.2: a convolutional inference network, which its paper does not describe).

    Every convolution halves height and width. With ``head_batch_norm`` every head is
    normalised, with one learned scale for all its entries that starts at ``head_scale``, or
    with none where that is ``None``. Call: images [b, h, w, c] -> tuple of
    [b, size], one for each entry of ``heads``.
    """

    features: Sequence[int]
    dense: int
    heads: Sequence[int]
    batch_norm: bool = True  # hidden layers
    head_batch_norm: bool = False
    weight_init: str = "he_normal"
    axis_name: str | None = None
    head_scale: float | None = 3.0  # a softmax that is neither flat nor one-hot

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array, ...]:
        init = initializer(self.weight_init)

        def normalised(x: jax.Array) -> jax.Array:
            # Decay of the running statistics: the papers are silent.
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, axis_name=self.axis_name
            )(x)

        def normalised_head(name: str, head: jax.Array) -> jax.Array:
            # One scale for all categories and no offsets: with its own of either, a category can
            # be switched off for good.
            head = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                use_bias=False,
                use_scale=False,
                axis_name=self.axis_name,
            )(head)
            if self.head_scale is None:
                return head
            return head * self.param(name, nn.initializers.constant(self.head_scale), ())

        x = 2 * images - 1
        for features in self.features:
            x = nn.Conv(
                features, (4, 4), strides=2, use_bias=not self.batch_norm, kernel_init=init
            )(x)
            x = nn.relu(normalised(x) if self.batch_norm else x)
        x = nn.Dense(self.dense, use_bias=not self.batch_norm, kernel_init=init)(
            x.reshape(x.shape[0], -1)
        )
        x = nn.relu(normalised(x) if self.batch_norm else x)
        heads = [
            nn.Dense(size, use_bias=not self.head_batch_norm, kernel_init=init)(x)
            for size in self.heads
        ]
        return tuple(
            normalised_head(f"head_scale_{i}", head) if self.head_batch_norm else head
            for i, head in enumerate(heads)
        )
