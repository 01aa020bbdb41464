"""The residual generator and critic of WGAN-GP for small images (Gulrajani et al. 2017, appendix F,
"CIFAR-10 ResNet")."""

from collections.abc import Sequence

import jax
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import initializer
from aae_jax.networks.conv import Conv
from aae_jax.networks.dcgan import OUTPUTS


def doubled(x: jax.Array) -> jax.Array:
    """[b, h, w, c] -> [b, 2 h, 2 w, c], every pixel repeated."""
    return x.repeat(2, axis=1).repeat(2, axis=2)


def halved(x: jax.Array) -> jax.Array:
    """[b, 2 h, 2 w, c] -> [b, h, w, c], the mean of four pixels."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).mean(axis=(2, 4))


class WganBlock(nn.Module):
    """(Batch norm,) ReLU, 3x3 convolution, twice, beside a skip connection; "up" doubles height and
    width before the first convolution, "down" halves them after the second.

    The skip connection is resized alike, with a 1x1 convolution unless neither size nor channels
    change. Call: [b, h, w, c] -> [b, h', w', features].

    Attributes:
        features: channels.
        resize: "up", "down" or "", neither.
        batch_norm: whether there is any.
        first: a critic's first block, of which the images go into the convolution without a ReLU
            and are halved before the skip connection's convolution.
    """

    features: int
    resize: str = ""
    batch_norm: bool = False
    first: bool = False
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        def activated(x):
            if self.batch_norm:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, axis_name=self.axis_name
                )(x)
            return nn.relu(x)

        def conv(x):
            return Conv(self.features, (3, 3), kernel_init=initializer(self.weight_init))(x)

        def skip(x):
            if not self.resize and x.shape[-1] == self.features:
                return x
            init = initializer("glorot_uniform")
            return Conv(self.features, (1, 1), kernel_init=init, name="skip")(x)

        y = x if self.first else activated(x)
        y = conv(doubled(y) if self.resize == "up" else y)
        y = conv(activated(y))
        if self.resize == "up":
            return y + skip(doubled(x))
        if self.resize == "down":
            return halved(y) + (skip(halved(x)) if self.first else halved(skip(x)))
        return y + skip(x)


class WganGenerator(nn.Module):
    """Noise to images: a dense layer to a small image, blocks that double height and width, batch
    norm, ReLU, a 3x3 convolution. Call: [b, d] -> [b, h, w, c].

    Attributes:
        features: channels of the small image and all blocks.
        num_blocks: blocks.
        image_shape: (h, w, c).
        output: one of ``dcgan.OUTPUTS``, by the range of the pixels.
    """

    features: int
    num_blocks: int
    image_shape: Sequence[int]
    output: str = "tanh"
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, noise: jax.Array, *, train: bool) -> jax.Array:
        height, width, channels = self.image_shape
        small = height >> self.num_blocks, width >> self.num_blocks, self.features
        init = initializer("glorot_uniform")
        x = nn.Dense(small[0] * small[1] * small[2], kernel_init=init)(noise).reshape(-1, *small)
        for _ in range(self.num_blocks):
            x = WganBlock(
                self.features,
                "up",
                batch_norm=True,
                weight_init=self.weight_init,
                axis_name=self.axis_name,
            )(x, train=train)
        x = nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(x)
        return OUTPUTS[self.output](Conv(channels, (3, 3), kernel_init=init)(nn.relu(x)))


class WganCritic(nn.Module):
    """Images to scores: blocks that halve height and width, blocks that do not, ReLU, the mean over
    all places, a dense layer. No batch norm, since the penalty is of every image's own slope.
    Call: [b, h, w, c] -> [b].

    Attributes:
        features: channels of all blocks.
        halvings: blocks that halve.
        num_blocks: blocks, those that halve among them.
    """

    features: int
    halvings: int
    num_blocks: int
    weight_init: str = "he_normal"

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> jax.Array:
        x = images
        for i in range(self.num_blocks):
            x = WganBlock(
                self.features,
                "down" if i < self.halvings else "",
                first=i == 0,
                weight_init=self.weight_init,
            )(x, train=train)
        x = nn.relu(x).mean(axis=(1, 2))
        return nn.Dense(1, kernel_init=initializer("glorot_uniform"))(x)[:, 0]


def check_blocks(image_shape: Sequence[int], generator: int, halvings: int, critic: int) -> None:
    """Refuse images that networks of so many blocks cannot be made for.

    Raises:
        UserError: the generator's blocks do not end at the images' size, the critic's do not
            halve them, or it has fewer blocks than halvings.
    """
    size = " x ".join(map(str, image_shape))
    for name, number in (("generator.num_blocks", generator), ("critic.halvings", halvings)):
        if len(image_shape) != 3 or any(side % 2**number for side in image_shape[:2]):
            raise UserError(
                f"model.{name} is {number}, and images of {size} cannot be halved so often: give "
                "a smaller number, or other data"
            )
    if critic < max(1, halvings):
        raise UserError(
            f"model.critic.num_blocks is {critic}; it must be at least 1 and model.critic.halvings "
            f"({halvings})"
        )
