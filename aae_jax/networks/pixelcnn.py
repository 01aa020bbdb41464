"""Conditional PixelCNN: the decoder of the PixelGAN autoencoder (PixelGAN, section 2).

The residual network of PixelRNN (van den Oord et al., 2016; figure 5 and table 1): a 7x7
convolution with mask A, residual blocks of three convolutions, two 1x1 convolutions. Its plain
masks leave a blind spot: to the upper right the receptive field is a wedge.
"""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import linen as nn

from aae_jax.errors import UserError
from aae_jax.networks.common import check_choice, initializer
from aae_jax.networks.conv import Conv, convolution
from aae_jax.networks.heads import Head

CONDITIONINGS = ("none", "location_invariant", "location_dependent")
SPATIAL = "spatial"  # for codes that are images, which no choice of a config makes them
_FIRST_SIZE = 7

Caches = tuple[jax.Array, ...]
Biases = tuple[jax.Array | float, ...]
Position = tuple[jax.Array, jax.Array]  # row and column


def block_dilations(num_blocks: int, dilations: Sequence[int]) -> tuple[int, ...]:
    """One dilation for each block: those given, or 1 each where there are none.

    Raises:
        UserError: the depth is negative, there are not as many as blocks, or one is below 1.
    """
    if num_blocks < 0:
        raise UserError(f"a PixelCNN cannot have {num_blocks} residual blocks: choose 0 or more")
    if not dilations:
        return (1,) * num_blocks
    if len(dilations) != num_blocks or min(dilations) < 1:
        raise UserError(
            f"model.decoder.dilations is {tuple(dilations)}, and there are {num_blocks} residual "
            "blocks: give one number of 1 or more for each, or none at all"
        )
    return tuple(dilations)


def receptive_field(num_blocks: int, dilations: Sequence[int] = ()) -> int:
    """Side of the window a pixel sees, above and to both sides: 7, and 2 per masked 3x3, each times
    its dilation."""
    return _FIRST_SIZE + 2 * sum(block_dilations(num_blocks, dilations))


def num_wide_blocks(num_blocks: int, side: int | None, dilations: Sequence[int] = ()) -> int:
    """How many of the blocks have a 3x3 convolution, for a receptive field of this side.

    The others have a 1x1 in its place. ``None`` is as large as depth and dilations give.

    Raises:
        UserError: as ``block_dilations``, or the blocks cannot give this receptive field.
    """
    steps = block_dilations(num_blocks, dilations)
    if side is None:
        return num_blocks
    sides = [_FIRST_SIZE + 2 * sum(steps[:num]) for num in range(num_blocks + 1)]
    if side not in sides:
        choices = (
            f"one of {', '.join(map(str, sides))}"
            if dilations
            else f"an odd number from {_FIRST_SIZE} to {sides[-1]}"
        )
        raise UserError(
            f"{num_blocks} residual blocks cannot give a receptive field of {side}: choose "
            f"{choices}"
        )
    return sides.index(side)


def causal_mask(shape: tuple[int, int, int, int], sees_itself: bool, num_groups: int) -> np.ndarray:
    """The mask of a kernel [rows, side, in, out] whose last row is the pixel's own.

    The pixels after this one are hidden. Both ends' features fall into ``num_groups`` successive
    groups, one for each colour; of the pixel itself a group sees the groups before it and, if
    ``sees_itself``, its own (mask B; otherwise mask A).
    """
    _, side, num_in, num_out = shape
    group_in, group_out = (np.arange(n) * num_groups // n for n in (num_in, num_out))
    mask = np.ones(shape, np.float32)
    mask[-1, side // 2 + 1 :] = 0
    mask[-1, side // 2] = group_in[:, None] < group_out[None, :] + int(sees_itself)
    return mask


class MaskedConv(nn.Module):
    """Convolution over the pixels before this one in raster order (mask B: and this one).

    The rows below the pixel are not stored: its kernel is [side // 2 + 1, side, in, features], its
    entries ``dilation`` pixels apart.
    Call: [b, h, w, in] -> [b, h, w, features], or with ``is_patch`` the kernel's window around one
    pixel [b, side // 2 + 1, side, in] -> [b, 1, 1, features]. ``bias`` is added to the learned one.
    """

    features: int
    side: int = 1
    sees_itself: bool = True
    num_groups: int = 1
    weight_init: str = "lecun_normal"
    dilation: int = 1

    @nn.compact
    def __call__(
        self, x: jax.Array, bias: jax.Array | float = 0.0, *, is_patch: bool = False
    ) -> jax.Array:
        shape = (self.side // 2 + 1, self.side, x.shape[-1], self.features)
        kernel = self.param("kernel", initializer(self.weight_init), shape)
        kernel = kernel * causal_mask(shape, self.sees_itself, self.num_groups)
        # The biases first: then one sum over the image is enough for the gradients of both, which
        # without the barrier the compiler makes two of again.
        bias = self.param("bias", nn.initializers.zeros, (self.features,)) + bias
        bias = jax.lax.optimization_barrier(bias)
        if is_patch:
            x = x.reshape(x.shape[0], 1, 1, -1) @ kernel.reshape(-1, self.features)
        elif self.side == 1:
            # Twice as fast as a convolution on a CPU; two dimensions, for the kernel's gradient.
            pixels = x.reshape(-1, x.shape[-1]) @ kernel[0, 0]
            x = pixels.reshape(*x.shape[:-1], self.features)
        else:
            x = convolution(x, kernel, padding=self.padding, dilation=self.dilation)
        return x + bias

    @property
    def padding(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows above and below, columns left and right."""
        reach = self.dilation * (self.side // 2)
        return (reach, 0), (reach, reach)


class SpatialMap(nn.Module):
    """A code to a map of the image's size: one ReLU layer, one linear layer.

    The PixelGAN paper's appendix is missing; this is what the implicit autoencoders (appendix B.1)
    do. Call: [b, d] -> [b, h, w, 1].
    """

    hidden: int
    weight_init: str = "lecun_normal"

    @nn.compact
    def __call__(self, code: jax.Array, height: int, width: int) -> jax.Array:
        init = initializer(self.weight_init)
        x = nn.relu(nn.Dense(self.hidden, kernel_init=init)(code))
        return nn.Dense(height * width, kernel_init=init)(x).reshape(-1, height, width, 1)


class PixelCNN(nn.Module):
    """p(image | code), one pixel after the other in raster order.

    A call gives the head's outputs at all pixels at once, those of a pixel from the pixels before
    it (and, with a head of ordered channels, from the channels before it within the pixel).

    Attributes:
        head: the output distribution; see ``heads``.
        num_blocks: residual blocks: 3 is the paper's shallow decoder, 12 its deep one.
        features: channels of the residual stream; the blocks work on half as many.
        receptive_field: side of the window that a pixel sees, at most 7 and twice the sum of the
            blocks' dilations (``None``: that). Where it is smaller, only the first blocks have a
            3x3 convolution.
        conditioning: "location_invariant": a linear map of the code into a vector for every
            layer, added at all places. "location_dependent": a map over space, added to all
            features of the first layer. "none": the plain PixelCNN, which takes no code.
            "spatial": the code is an image [b, h, w, d] in [0, 1]; a 7x7 convolution without a
            mask and a linear map of its outputs into a vector for every layer and place
            (van den Oord et al., Conditional Image Generation with PixelCNN Decoders, section
            2.3; the PixelGAN paper, section 4, is silent).
        map_hidden: hidden units behind the map over space.
        weight_init: paper silent; LeCun's keeps deep stacks, which nothing normalises, tame.
        dilations: of the blocks' 3x3 convolutions, one for each block; empty: 1 each. Larger ones
            widen the receptive field with as many parameters (paper silent).

    Call: images [b, h, w, c] in [0, 1], quantised to the head's levels, and codes [b, d_i]...
    (or images) -> [b, h, w, head.num_outputs].

    Raises:
        UserError: on ``init`` and calls: dilations that do not fit the blocks, a receptive field
            that these cannot give, images with other channels than the head's, too few features
            for the colours, an unknown conditioning, codes missing or not asked for.
    """

    head: Head
    num_blocks: int = 3
    features: int = 32
    receptive_field: int | None = None
    conditioning: str = "none"
    map_hidden: int = 1000
    weight_init: str = "lecun_normal"
    dilations: Sequence[int] = ()

    def setup(self) -> None:
        check_choice("conditioning", self.conditioning, (*CONDITIONINGS, SPATIAL))
        dilations = block_dilations(self.num_blocks, self.dilations)
        num_wide = num_wide_blocks(self.num_blocks, self.receptive_field, self.dilations)
        num_groups = self.head.channels if self.head.ordered_channels else 1
        half = self.features // 2
        if half < num_groups:
            raise UserError(
                f"{num_groups} ordered channels need {2 * num_groups} features or more, and "
                f"model.decoder.features is {self.features}"
            )

        def layer(
            features: int, side: int = 1, sees_itself: bool = True, dilation: int = 1
        ) -> MaskedConv:
            return MaskedConv(features, side, sees_itself, num_groups, self.weight_init, dilation)

        layers = [layer(self.features, _FIRST_SIZE, sees_itself=False)]
        for block, dilation in enumerate(dilations):
            wide = layer(half, 3, dilation=dilation) if block < num_wide else layer(half)
            layers += [layer(half), wide, layer(self.features)]
        self.layers = [*layers, layer(self.features), layer(self.head.num_outputs)]
        init = initializer(self.weight_init)
        if self.conditioning in ("location_invariant", SPATIAL):
            self.code_maps = [
                nn.Dense(layer.features, use_bias=False, kernel_init=init) for layer in self.layers
            ]
        if self.conditioning == SPATIAL:
            self.code_window = Conv(self.features, (_FIRST_SIZE, _FIRST_SIZE), kernel_init=init)
        elif self.conditioning == "location_dependent":
            self.code_map = SpatialMap(self.map_hidden, self.weight_init)

    def __call__(self, images: jax.Array, *codes: jax.Array, train: bool = False) -> jax.Array:
        del train  # nothing here behaves otherwise
        biases = self.biases(images.shape, *codes)
        return self._stack(2 * images - 1, lambda i, x: self.layers[i](x, biases[i]))

    def _stack(self, x: jax.Array, layer: Callable[[int, jax.Array], jax.Array]) -> jax.Array:
        """The network, given how its ``i``-th layer is applied."""
        x = layer(0, x)
        for i in range(1, len(self.layers) - 2, 3):
            h = x
            for j in range(i, i + 3):
                h = layer(j, nn.relu(h))
            x = x + h
        x = layer(len(self.layers) - 2, nn.relu(x))
        return layer(len(self.layers) - 1, nn.relu(x))

    def biases(self, image_shape: tuple[int, ...], *codes: jax.Array) -> Biases:
        """Every layer's adaptive bias: [b, 1, 1, features], [b, h, w, 1], [b, h, w, features], or
        0 for none."""
        _, height, width, channels = image_shape
        if channels != self.head.channels:
            raise UserError(
                f"the head is for {self.head.channels} channels, the images have {channels}"
            )
        if bool(codes) != (self.conditioning != "none"):
            needs = "needs a code" if not codes else "takes no code"
            raise UserError(f"a PixelCNN with conditioning {self.conditioning!r} {needs}")
        if not codes:
            return (0.0,) * len(self.layers)
        code = jnp.concatenate(codes, axis=-1)
        if self.conditioning == "location_invariant":
            return tuple(code_map(code)[:, None, None, :] for code_map in self.code_maps)
        if self.conditioning == SPATIAL:
            seen = nn.relu(self.code_window(2 * code - 1))
            return tuple(code_map(seen) for code_map in self.code_maps)
        return (self.code_map(code, height, width), *(0.0,) * (len(self.layers) - 1))

    # What follows is for pixelcnn_sampling.

    def fill(self, images: jax.Array, *codes: jax.Array) -> tuple[Caches, Biases]:
        """The padded inputs of all layers that look at other pixels, and the adaptive biases."""
        biases = self.biases(images.shape, *codes)
        caches = []

        def layer(i: int, x: jax.Array) -> jax.Array:
            if self.layers[i].side > 1:
                caches.append(jnp.pad(x, ((0, 0), *self.layers[i].padding, (0, 0))))
            return self.layers[i](x, biases[i])

        self._stack(2 * images - 1, layer)
        return tuple(caches), biases

    def set_pixel(self, caches: Caches, position: Position, pixel: jax.Array) -> Caches:
        """Caches with the pixel [b, 1, 1, c], in [0, 1], at ``position``."""
        return (_write(caches[0], position, _FIRST_SIZE, 2 * pixel - 1), *caches[1:])

    def at_pixel(
        self, caches: Caches, biases: Biases, position: Position
    ) -> tuple[jax.Array, Caches]:
        """Outputs [b, 1, 1, num_outputs] at ``position``, and the caches with its activations.

        The caches have to hold all pixels before this one (and the channels before the one asked
        for within it).
        """
        old, new = list(caches), []

        def layer(i: int, x: jax.Array) -> jax.Array:
            side, dilation = self.layers[i].side, self.layers[i].dilation
            if side > 1:
                cache = old.pop(0)
                # The image itself is written by set_pixel.
                cache = cache if i == 0 else _write(cache, position, side, x, dilation)
                new.append(cache)
                x = _window(cache, position, side, dilation)
            bias = biases[i]
            if isinstance(bias, jax.Array) and bias.shape[1:3] != (1, 1):
                shape = (len(bias), 1, 1, bias.shape[-1])
                bias = jax.lax.dynamic_slice(bias, (0, *position, 0), shape)
            return self.layers[i](x, bias, is_patch=True)

        return self._stack(caches[0], layer), tuple(new)


def _write(
    cache: jax.Array, position: Position, side: int, x: jax.Array, dilation: int = 1
) -> jax.Array:
    row, column = position
    reach = dilation * (side // 2)
    return jax.lax.dynamic_update_slice(cache, x, (0, row + reach, column + reach, 0))


def _window(cache: jax.Array, position: Position, side: int, dilation: int) -> jax.Array:
    """The entries that a kernel covers [b, side // 2 + 1, side, c], ``dilation`` apart."""
    rows, columns = dilation * (side // 2) + 1, dilation * (side - 1) + 1
    shape = (cache.shape[0], rows, columns, cache.shape[-1])
    return jax.lax.dynamic_slice(cache, (0, *position, 0), shape)[:, ::dilation, ::dilation]
