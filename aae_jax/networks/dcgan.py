"""Strided convolutions, transposed ones and dense layers: the encoder, the decoder and the
discriminator of pairs of the implicit autoencoders (Implicit Autoencoders, appendix B.1, tables 1
to 3), and the discriminators of images of DCGAN, InfoGAN and the conditional DCGAN. Without
convolutions all of them are fully connected, for vectors."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import check_choice, initializer
from aae_jax.networks.conv import Conv, ConvTranspose

BATCH_NORMS = ("", "before_relu", "after_relu")
HEAD_BATCH_NORMS = ("", "free", "shared", "fixed")
CONDITIONINGS = ("location_dependent", "location_invariant", "dense")
OUTPUTS = {"sigmoid": nn.sigmoid, "tanh": jnp.tanh, "linear": lambda x: x}


class _Activation(nn.Module):
    """ReLU, leaky where it has a leak; batch norm before it, after it (as the tables have it) or
    not at all; then, while training, Gaussian noise."""

    batch_norm: str
    noise: float = 0.0
    axis_name: str | None = None
    leak: float = 0.0

    @nn.compact
    def __call__(self, x: jax.Array, *, train: bool) -> jax.Array:
        def normalised(x):
            # Decay of the running statistics: the paper is silent.
            return nn.BatchNorm(
                use_running_average=not train, momentum=0.9, axis_name=self.axis_name
            )(x)

        x = normalised(x) if self.batch_norm == "before_relu" else x
        x = nn.leaky_relu(x, self.leak) if self.leak else nn.relu(x)
        x = normalised(x) if self.batch_norm == "after_relu" else x
        return _noisy(self, x, self.noise, train)


def _noisy(module: nn.Module, x: jax.Array, std: float, train: bool) -> jax.Array:
    if not train or std == 0.0:
        return x
    return x + std * jax.random.normal(module.make_rng("noise"), x.shape)


class DcganEncoder(nn.Module):
    """Images and noise to a code, f(x, ε).

    Every convolution halves height and width. ε, if there is any, joins the input of the first
    dense layer (paper silent). Call: images [b, h, w, c], noise [b, d]... -> [b, code_dim].

    Attributes:
        features: channels of the convolutions; none of them: fully connected.
        dense: widths of the dense layers before the last.
        code_dim: width of the last.
        kernel_size: of the convolutions.
        batch_norm: of all layers but the last, one of ``BATCH_NORMS``.
        head_batch_norm: of the last layer: "free", each entry with a scale and an offset of its own
            (the tables); "shared", one learned scale for all and no offsets, so that no category
            can be switched off; "fixed", the same but not learned; or "", none.
        head_scale: what the shared scale starts from, or the fixed one is: a softmax that is
            neither flat nor one-hot.
    """

    features: Sequence[int]
    dense: Sequence[int]
    code_dim: int
    kernel_size: int = 4
    batch_norm: str = "after_relu"
    head_batch_norm: str = "free"
    head_scale: float = 3.0
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, images: jax.Array, *noise: jax.Array, train: bool) -> jax.Array:
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)

        def activated(x):
            return _Activation(self.batch_norm, axis_name=self.axis_name)(x, train=train)

        x = images
        for features in self.features:
            x = activated(Conv(features, window, strides=2, kernel_init=init)(x))
        x = jnp.concatenate([x.reshape(x.shape[0], -1), *noise], axis=-1)
        for width in self.dense:
            x = activated(nn.Dense(width, kernel_init=init)(x))
        free = self.head_batch_norm == "free"
        x = nn.Dense(self.code_dim, use_bias=not self.head_batch_norm, kernel_init=init)(x)
        if self.head_batch_norm:
            x = nn.BatchNorm(
                use_running_average=not train,
                momentum=0.9,
                use_bias=free,
                use_scale=free,
                axis_name=self.axis_name,
            )(x)
        if self.head_batch_norm == "shared":
            x = x * self.param("head_scale", nn.initializers.constant(self.head_scale), ())
        if self.head_batch_norm == "fixed":
            x = self.head_scale * x
        return x


class DcganDecoder(nn.Module):
    """A code and noise to images, g(ẑ, n).

    Dense layers, the last of them to ``features[0]`` channels of an image so small that the
    transposed convolutions, each of which doubles height and width, end at the images' size; no
    ``features``: dense layers up to the pixels. Call: code and noise [b, d]... -> [b, h, w, c].

    Attributes:
        dense: widths of the dense layers before the small image.
        features: channels of the small image, and of all transposed convolutions but the last.
        image_shape: (h, w, c), or (d,) of vectors.
        output: one of ``OUTPUTS``, by the range of the pixels.
        kernel_size, batch_norm: as of the encoder; the output layer has no batch norm.
    """

    dense: Sequence[int]
    features: Sequence[int]
    image_shape: Sequence[int]
    output: str = "sigmoid"
    kernel_size: int = 4
    batch_norm: str = "after_relu"
    weight_init: str = "he_normal"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, *codes: jax.Array, train: bool) -> jax.Array:
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)

        def activated(x):
            return _Activation(self.batch_norm, axis_name=self.axis_name)(x, train=train)

        x = jnp.concatenate(codes, axis=-1)
        for width in self.dense:
            x = activated(nn.Dense(width, kernel_init=init)(x))
        if not self.features:
            x = nn.Dense(math.prod(self.image_shape), kernel_init=init)(x)
            return OUTPUTS[self.output](x).reshape(-1, *self.image_shape)
        height, width, channels = self.image_shape
        shrunk = 2 ** len(self.features)
        small = (height // shrunk, width // shrunk, self.features[0])
        x = activated(nn.Dense(math.prod(small), kernel_init=init)(x)).reshape(-1, *small)
        for features in self.features[1:]:
            x = activated(ConvTranspose(features, window, strides=2, kernel_init=init)(x))
        return OUTPUTS[self.output](ConvTranspose(channels, window, strides=2, kernel_init=init)(x))


class PairDiscriminator(nn.Module):
    """Pairs (x, z) to the logit of "is real", one layer's bias adapted to the code, in the paper
    the first's (appendix B.1); images alone where no codes are given.

    "location_dependent": a map of the first layer's height and width by one hidden layer of 1000
    ReLU units, the same for all channels. "location_invariant": a linear map of the code to the
    first layer's channels, the same everywhere; with dense layers alone that is the code as a
    further input. "dense", which the paper has not: the same of the first dense layer, where the
    convolutions have made something of the image. Call: images [b, h, w, c] or [b, d], codes
    [b, k] or none -> logits [b].

    Attributes:
        features: channels of the convolutions; none of them: fully connected.
        dense: widths of the dense layers before the logit.
        noise: std of the Gaussian noise on the images and after each layer but the last, while
            training.
        conditioning: one of ``CONDITIONINGS``.
        map_hidden: units of the location-dependent map.
        code_noise: std of the Gaussian noise on the codes, while training.
        kernel_size, batch_norm: as of the encoder. Batch norm directly before the logit
            ("after_relu") needs real and fake pairs in one batch: apart, both would have the same
            mean logit.
    """

    features: Sequence[int]
    dense: Sequence[int]
    conditioning: str = "location_dependent"
    noise: float = 0.0
    kernel_size: int = 4
    batch_norm: str = "after_relu"
    weight_init: str = "he_normal"
    axis_name: str | None = None
    map_hidden: int = 1000
    code_noise: float = 0.0

    @nn.compact
    def __call__(
        self, images: jax.Array, codes: jax.Array | None = None, *, train: bool
    ) -> jax.Array:
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)

        def adapted(x):
            """The layer x that the code enters, before its ReLU, with the code's bias."""
            if self.conditioning == "location_dependent":
                hidden = nn.relu(nn.Dense(self.map_hidden, kernel_init=init, name="map_0")(codes))
                height, width = x.shape[1:3]
                bias = nn.Dense(height * width, kernel_init=init, name="map_1")(hidden)
                return x + bias.reshape(-1, height, width, 1)
            bias = nn.Dense(x.shape[-1], use_bias=False, kernel_init=init, name="map_0")(codes)
            return x + bias.reshape(-1, *(1,) * (x.ndim - 2), x.shape[-1])

        def activated(x, i):
            x = adapted(x) if i == joined and codes is not None else x
            return _Activation(self.batch_norm, self.noise, self.axis_name)(x, train=train)

        joined = len(self.features) if self.conditioning == "dense" else 0  # the layer's number
        if codes is not None:
            codes = _noisy(self, codes, self.code_noise, train)
        x = _noisy(self, images, self.noise, train)
        for i, features in enumerate(self.features):
            x = activated(Conv(features, window, strides=2, kernel_init=init)(x), i)
        x = x.reshape(x.shape[0], -1)
        for i, width in enumerate(self.dense, start=len(self.features)):
            x = activated(nn.Dense(width, kernel_init=init)(x), i)
        return nn.Dense(1, kernel_init=init)(x)[:, 0]


class ImageTrunk(nn.Module):
    """Images, and what they are conditioned on, to what lies beneath a discriminator's logit.

    Convolutions that halve height and width, then dense layers; the first layer has no batch norm
    (DCGAN). A condition joins every layer by a linear map of it to the layer's channels, as if it
    were concatenated to what the layer sees. Call: images [b, h, w, c], conditions [b, k]... ->
    the last layer's activations, flat, [b, d]; ``layers`` gives those of all layers.

    Attributes:
        features: channels of the convolutions.
        dense: widths of the dense layers.
        kernel_size, batch_norm: as of the encoder.
        leak: of the ReLUs, 0 for none.
        noise: std of the Gaussian noise on the images and after each layer, while training.
    """

    features: Sequence[int]
    dense: Sequence[int] = ()
    kernel_size: int = 4
    batch_norm: str = "before_relu"
    leak: float = 0.2
    noise: float = 0.0
    weight_init: str = "normal_0.02"
    axis_name: str | None = None

    @nn.compact
    def layers(
        self, images: jax.Array, *conditions: jax.Array, train: bool
    ) -> tuple[jax.Array, ...]:
        """The activations of all layers: [b, h, w, c] of the convolutions, [b, d] of the others."""
        init, window = initializer(self.weight_init), (self.kernel_size, self.kernel_size)
        found: list[jax.Array] = []

        def activated(x):
            for condition in conditions:
                bias = nn.Dense(x.shape[-1], use_bias=False, kernel_init=init)(condition)
                x = x + bias.reshape(-1, *(1,) * (x.ndim - 2), x.shape[-1])
            batch_norm = self.batch_norm if found else ""
            x = _Activation(batch_norm, self.noise, self.axis_name, self.leak)(x, train=train)
            found.append(x)
            return x

        x = _noisy(self, images, self.noise, train)
        for features in self.features:
            x = activated(Conv(features, window, strides=2, kernel_init=init)(x))
        x = x.reshape(x.shape[0], -1)
        for width in self.dense:
            x = activated(nn.Dense(width, kernel_init=init)(x))
        return tuple(found)

    def __call__(self, images: jax.Array, *conditions: jax.Array, train: bool) -> jax.Array:
        last = self.layers(images, *conditions, train=train)[-1]
        return last.reshape(last.shape[0], -1)


class ImageDiscriminator(nn.Module):
    """A trunk and the logit of "is real". Call: images [b, h, w, c], conditions [b, k]... ->
    logits [b]; ``layers`` as of the trunk."""

    trunk: ImageTrunk

    def setup(self):
        self.head = nn.Dense(1, kernel_init=initializer(self.trunk.weight_init))

    def __call__(self, images: jax.Array, *conditions: jax.Array, train: bool) -> jax.Array:
        return self.head(self.trunk(images, *conditions, train=train))[:, 0]

    def layers(
        self, images: jax.Array, *conditions: jax.Array, train: bool
    ) -> tuple[jax.Array, ...]:
        """The activations of all of the trunk's layers."""
        return self.trunk.layers(images, *conditions, train=train)


def max_pooled(x: jax.Array, size: int) -> jax.Array:
    """The largest activations [b, size, size, c] of a grid's cells in [b, h, w, c]; cells overlap
    by a row or column where they do not divide it, and what is smaller stays as it is."""

    def along(x: jax.Array, axis: int) -> jax.Array:
        length, cells = x.shape[axis], min(size, x.shape[axis])
        edges = [(i * length // cells, -(-(i + 1) * length // cells)) for i in range(cells)]
        parts = [jax.lax.slice_in_dim(x, a, b, axis=axis).max(axis=axis) for a, b in edges]
        return jnp.stack(parts, axis=axis)

    return along(along(x, 1), 2)


class Recognition(nn.Module):
    """InfoGAN's Q above the trunk that it shares: features [b, d] -> one linear head [b, size] for
    each entry of ``heads``, over a hidden layer."""

    hidden: int
    heads: Sequence[int]
    batch_norm: str = "before_relu"
    leak: float = 0.1
    weight_init: str = "normal_0.02"
    axis_name: str | None = None

    @nn.compact
    def __call__(self, features: jax.Array, *, train: bool) -> tuple[jax.Array, ...]:
        init = initializer(self.weight_init)
        x = nn.Dense(self.hidden, kernel_init=init)(features)
        x = _Activation(self.batch_norm, axis_name=self.axis_name, leak=self.leak)(x, train=train)
        return tuple(nn.Dense(size, kernel_init=init)(x) for size in self.heads)


def check_image_shape(image_shape: Sequence[int], features: Sequence[int], field: str) -> None:
    """Refuse images that these strided convolutions cannot be made for.

    Raises:
        UserError: naming the config's ``field`` with the channels.
    """
    if not features:
        return
    shrunk = 2 ** len(features)
    if len(image_shape) != 3 or image_shape[0] % shrunk or image_shape[1] % shrunk:
        raise UserError(
            f"{field} has {len(features)} convolutions, each of which halves height and width: "
            f"images of {' x '.join(map(str, image_shape))} do not allow it, give it fewer"
        )


def check_output(field: str, output: str, scaling: str) -> None:
    """Refuse a last layer that does not end where the data lie.

    Raises:
        UserError: naming the config's ``field``.
    """
    check_choice(field, output, tuple(OUTPUTS))
    fitting = {"unit": "sigmoid", "symmetric": "tanh"}.get(scaling, "linear")
    if output not in (fitting, "linear"):
        raise UserError(
            f"{field} is {output!r}, which does not end where the data lie under data.scaling "
            f"{scaling!r}: set it to {fitting!r}"
        )


def check_discriminator(where: str, settings: Mapping[str, Any]) -> None:
    """Refuse a discriminator that the code could not enter or that could not learn.

    Args:
        where: the section of the config.
        settings: its ``features``, ``dense``, ``batch_norm``, ``one_batch`` and, of pairs,
            ``conditioning``.

    Raises:
        UserError: no layer, or none of the kind that the conditioning is of, or batch norm directly
            before the logit with real and fake apart.
    """
    if not settings["features"] and not settings["dense"]:
        raise UserError(
            f"{where} has no layer that the code could enter: give it features or dense"
        )
    if not settings["dense"] and settings.get("conditioning") == "dense":
        raise UserError(
            f"{where} has no dense layer that the code could enter: give it dense, or a "
            "conditioning by location"
        )
    if not settings["features"] and settings.get("conditioning") == "location_dependent":
        raise UserError(
            "a location-dependent conditioning is a map over the first convolution's height and "
            f"width, which a vector has not: set {where}.conditioning to 'location_invariant'"
        )
    if settings["batch_norm"] == "after_relu" and not settings["one_batch"]:
        raise UserError(
            "batch norm directly before the discriminator's last layer gives real and fake pairs "
            f"one mean logit where they are normalised apart: set {where}.one_batch to true, or "
            "its batch_norm to 'before_relu'"
        )
