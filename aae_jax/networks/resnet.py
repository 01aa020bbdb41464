"""CycleGAN's image generator, with noise in its batch norms, and discriminators of images and of
pairs of them (Implicit Autoencoders, appendix B.2; Zhu et al. 2017, appendix 7.2); and a residual
classifier of small images."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import HIDDEN, INTERMEDIATES, initializer
from aae_jax.networks.conv import Conv, ConvTranspose
from aae_jax.networks.dcgan import OUTPUTS

LOGITS = ("patches", "image")


class ConditionalBatchNorm(nn.Module):
    """Batch norm whose γ and β each noise vector predicts linearly (B.2: "for each layer, the noise
    vector is passed through a linear layer"); without noise batch norm with a γ and β of its own.

    γ starts around 1 and β around 0, by the biases of the two linear layers and weights from
    N(0, 0.02), whatever initialises the convolutions (paper silent).
    Call: x [b, h, w, c], noise [b, d] or none -> [b, h, w, c].
    """

    axis_name: str | None = None

    @nn.compact
    def __call__(self, x: jax.Array, *noise: jax.Array, train: bool) -> jax.Array:
        own = not noise
        x = nn.BatchNorm(
            use_running_average=not train,
            momentum=0.9,  # paper silent
            use_scale=own,
            use_bias=own,
            axis_name=self.axis_name,
        )(x)
        if own:
            return x
        init, ones = initializer("normal_0.02"), nn.initializers.ones
        gamma = nn.Dense(x.shape[-1], kernel_init=init, bias_init=ones, name="gamma")(*noise)
        beta = nn.Dense(x.shape[-1], kernel_init=init, name="beta")(*noise)
        return gamma[:, None, None] * x + beta[:, None, None]


class ResnetGenerator(nn.Module):
    """Images of one domain, and noise if there is any, to images of another: ``c7s1-k, d2k, d4k``,
    residual blocks of two 3x3 convolutions each, ``u2k, uk, c7s1-c`` in Zhu et al.'s words (whose
    two halvings of the image may be fewer here).

    Reflection padding, but for the 3x3 convolutions of stride 2 and their transposes. Every layer
    but the last has (conditional) batch norm before its ReLU, where CycleGAN has instance norm.
    Call: images [b, h, w, c], noise [b, d] or none -> [b, h, w, c]; h and w divisible by 4, or by
    two to the power of ``halvings``.

    Attributes:
        features: k.
        num_blocks: residual blocks.
        output: one of ``dcgan.OUTPUTS``, by the range of the pixels.
        halvings: of height and width before the residual blocks, undone behind them.
    """

    features: int = 64
    num_blocks: int = 6
    output: str = "tanh"
    weight_init: str = "normal_0.02"
    axis_name: str | None = None
    halvings: int = 2

    @nn.compact
    def __call__(self, images: jax.Array, *noise: jax.Array, train: bool) -> jax.Array:
        init = initializer(self.weight_init)
        widths = [self.features * 2**i for i in range(self.halvings + 1)]

        def conv(x, features, size, use_bias=False):
            side = size // 2
            x = jnp.pad(x, ((0, 0), (side, side), (side, side), (0, 0)), mode="reflect")
            return Conv(
                features, (size, size), padding="VALID", use_bias=use_bias, kernel_init=init
            )(x)

        def normalised(x):
            return ConditionalBatchNorm(self.axis_name)(x, *noise, train=train)

        # Batch norm has a bias of its own.
        x = nn.relu(normalised(conv(images, widths[0], 7)))
        for features in widths[1:]:
            down = Conv(
                features,
                (3, 3),
                strides=2,
                padding=((1, 1), (1, 1)),
                use_bias=False,
                kernel_init=init,
            )
            x = nn.relu(normalised(down(x)))
        for _ in range(self.num_blocks):
            y = nn.relu(normalised(conv(x, widths[-1], 3)))
            x = x + normalised(conv(y, widths[-1], 3))
        for features in widths[-2::-1]:
            up = ConvTranspose(features, (3, 3), strides=2, use_bias=False, kernel_init=init)
            x = nn.relu(normalised(up(x)))
        return OUTPUTS[self.output](conv(x, images.shape[-1], 7, use_bias=True))


class ImageDiscriminator(nn.Module):
    """Images, or pairs of them, to logits of "is real".

    The images of a pair are concatenated along their channels, so each pixel of one meets its own
    of the other: the location-dependent conditioning of appendix B.1, for codes that are images.
    Strided 4x4 convolutions with leaky ReLU (0.2) and batch norm before it, but for the first
    layer (PatchGAN, Zhu et al. 2017, and DCGAN alike; Implicit Autoencoders: silent). Call: images
    [b, h, w, c]... -> logits [b, h', w'] of patches, or [b].

    Attributes:
        features: channels of the convolutions, each of which halves height and width.
        logits: "patches", by a further 4x4 convolution; "image", by a dense layer.
        batch_norm: whether there is any.
        noise: std of the Gaussian noise on the images and after each layer, while training.
    """

    features: Sequence[int]
    logits: str = "patches"
    batch_norm: bool = True
    noise: float = 0.0
    weight_init: str = "normal_0.02"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, *images: jax.Array, train: bool) -> jax.Array:
        init = initializer(self.weight_init)

        def noisy(x):
            if not train or self.noise == 0.0:
                return x
            return x + self.noise * jax.random.normal(self.make_rng("noise"), x.shape)

        x = noisy(jnp.concatenate(images, axis=-1))
        for i, features in enumerate(self.features):
            normalised = self.batch_norm and i > 0
            x = Conv(features, (4, 4), strides=2, use_bias=not normalised, kernel_init=init)(x)
            if normalised:
                x = nn.BatchNorm(
                    use_running_average=not train, momentum=0.9, axis_name=self.axis_name
                )(x)
            x = noisy(nn.leaky_relu(x, 0.2))
        if self.logits == "patches":
            return Conv(1, (4, 4), kernel_init=init)(x)[..., 0]
        return nn.Dense(1, kernel_init=init)(x.reshape(x.shape[0], -1))[:, 0]


def largest_of_2x2(x: jax.Array) -> jax.Array:
    """Max pooling: [b, h, w, c] -> [b, h / 2, w / 2, c]. A reduction over axes of their own
    has a mask for its gradient, which is faster on a CPU than a pooling window's."""
    b, h, w, c = x.shape
    return x.reshape(b, h // 2, 2, w // 2, 2, c).max(axis=(2, 4))


class ResnetClassifier(nn.Module):
    """Images to the logits of classes: a 3x3 convolution, stages that begin with one more and the
    largest of each 2x2 places, the mean over all places, a dense layer. Every convolution has batch
    norm and ReLU behind it; two of them and what goes around them are a residual block (He et al.
    2016). What lies beneath the last layer is sown.

    Call: images [b, h, w, c] in [0, 1] -> ([b, num_classes],), as of the encoders; every stage
    halves h and w, which must be even there.

    Attributes:
        features: channels of the first convolution, then of each stage.
        num_blocks: residual blocks of a stage.
    """

    features: Sequence[int]
    num_blocks: int
    num_classes: int
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *, train: bool) -> tuple[jax.Array]:
        init = initializer(self.weight_init)

        def layer(x, features):
            x = Conv(features, (3, 3), use_bias=False, kernel_init=init)(x)
            return nn.relu(
                nn.BatchNorm(use_running_average=not train, momentum=0.9, axis_name=self.axis_name)(
                    x
                )
            )

        x = layer(2 * images - 1, self.features[0])
        for features in self.features[1:]:
            x = largest_of_2x2(layer(x, features))
            for _ in range(self.num_blocks):
                x = x + layer(layer(x, features), features)
        x = x.mean(axis=(1, 2))
        self.sow(INTERMEDIATES, HIDDEN, x)
        return (nn.Dense(self.num_classes, kernel_init=init)(x),)


def check_generator(
    image_shape: Sequence[int], features: int, num_blocks: int, halvings: int = 2
) -> None:
    """Refuse images that the generator cannot be made for.

    Raises:
        UserError: vectors, images too small (below 8x8 with two halvings) or of a height or width
            that cannot be halved so often, no features, or a negative number of residual blocks.
    """
    size = " x ".join(map(str, image_shape))
    divisor = 2**halvings
    # The first convolution reflects 3 pixels, residual blocks see 2x2 and reflect one.
    smallest = max(4, 2 * divisor)
    if len(image_shape) != 3 or min(image_shape[:2]) < smallest:
        raise UserError(
            f"the ResNet generator needs images of at least {smallest} x {smallest} pixels, and "
            f"these are {size}: choose other data"
        )
    if image_shape[0] % divisor or image_shape[1] % divisor:
        often = {1: "once", 2: "twice"}.get(halvings, f"{halvings} times")
        raise UserError(
            f"the ResNet generator halves height and width {often}, which images of {size} do not "
            f"allow: prepare them with sides that {divisor} divides"
        )
    for name, value, least in (("features", features, 1), ("num_blocks", num_blocks, 0)):
        if value < least:
            raise UserError(f"model.generator.{name} is {value}; it must be at least {least}")
