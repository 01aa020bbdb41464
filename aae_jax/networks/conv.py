"""Convolutions with gradients of their own, and the networks of images that are made of them.

XLA's CPU backend has a fast kernel for canonical convolutions: NHWC input, HWIO kernel. Others it
brings into that form outside of loops only, and the gradients that JAX derives are not canonical:
within ``lax.scan`` they are 20 times slower, and everywhere those of transposed convolutions and
those of gradients. Here a convolution, a transposed convolution and the gradient of a kernel are
each written canonically. They are the derivatives of

    sum(convolution(x, kernel) * y)

by y, by x and by the kernel. As this is linear in each of them, the derivatives of any of the three
functions are the other two, and gradients of gradients stay fast. On a GPU or TPU it is lax's own
convolutions and gradients, whose patterns the compilers there know.

On a CPU they have no forward-mode derivatives, and no meshes of explicit axis types.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax.networks.common import HIDDEN, INTERMEDIATES, initializer

Pair = tuple[int, int]
Sides = tuple[Pair, Pair]  # (above, below), (left, right)
Padding = str | Sequence[Pair]


def own_gradients() -> bool:
    """Whether convolutions that are traced now are the ones written here: on a CPU."""
    return jax.default_backend() == "cpu"


class _Window(NamedTuple):
    """What ties x [b, h, w, c], y [b, h', w', d] and the kernel [kh, kw, c, d] to each other."""

    size: Pair  # h, w
    kernel_size: Pair
    strides: Pair
    padding: Sides
    dilation: Pair

    def transposed_padding(self) -> Sides:
        """Of y, its entries the strides apart, for a kernel that is moved over it to give x."""

        def along(size: int, length: int, stride: int, padding: Pair, dilation: int) -> Pair:
            reach = dilation * (length - 1)
            last = (size + sum(padding) - reach - 1) // stride * stride
            return reach - padding[0], size - 1 + padding[0] - last

        rows, columns = (along(*axis) for axis in zip(*self))
        return rows, columns

    def kernel_padding(self) -> Sides:
        """Of x, over which y is moved to give the kernel: without what no window covers."""

        def along(size: int, length: int, stride: int, padding: Pair, dilation: int) -> Pair:
            left_over = (size + sum(padding) - dilation * (length - 1) - 1) % stride
            return padding[0], padding[1] - left_over

        rows, columns = (along(*axis) for axis in zip(*self))
        return rows, columns


def _canonical(
    x: jax.Array,
    kernel: jax.Array,
    strides: Pair,
    padding: Sides,
    kernel_dilation: Pair,
    x_dilation: Pair = (1, 1),
) -> jax.Array:
    if min(padding[0] + padding[1]) < 0:
        # XLA's CPU backend reads beyond the array where padding is negative.
        inner = [
            (min(0, low), min(0, high), step - 1) for (low, high), step in zip(padding, x_dilation)
        ]
        x = jax.lax.pad(x, jnp.zeros((), x.dtype), [(0, 0, 0), *inner, (0, 0, 0)])
        (above, below), (left, right) = padding
        padding = (max(0, above), max(0, below)), (max(0, left), max(0, right))
        x_dilation = 1, 1
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        strides,
        padding,
        x_dilation,
        kernel_dilation,
        ("NHWC", "HWIO", "NHWC"),
    )


# Measured: up to this many channels on both sides, a CPU takes as long for one feature as for 32.
_FEW, _MANY = 16, 32


def _slide(
    x: jax.Array, kernel: jax.Array, strides: Pair, padding: Sides, dilation: Pair
) -> jax.Array:
    """A convolution; of few features, those of neighbouring windows at once, side by side."""
    _, length, channels, features = kernel.shape
    stride, step, (left, right) = strides[1], dilation[1], padding[1]
    reach = step * (length - 1) + 1
    width = (x.shape[2] + left + right - reach) // stride + 1
    neighbours = min(-(-_MANY // features), width)
    reach_of_all = reach + stride * (neighbours - 1)
    if max(channels, features) > _FEW or reach_of_all >= neighbours * length:
        return _canonical(x, kernel, strides, padding, dilation)
    zero = jnp.zeros((), kernel.dtype)
    shifted = [
        jax.lax.pad(
            kernel,
            zero,
            [
                (0, 0, 0),
                (stride * i, stride * (neighbours - 1 - i), step - 1),
                (0, 0, 0),
                (0, 0, 0),
            ],
        )
        for i in range(neighbours)
    ]
    groups = -(-width // neighbours)
    # As much as the last group needs, of which the windows that are not asked for are cut off.
    right = reach + stride * (groups * neighbours - 1) - left - x.shape[2]
    y = _canonical(
        x,
        jnp.concatenate(shifted, axis=-1),
        (strides[0], stride * neighbours),
        (padding[0], (left, right)),
        (dilation[0], 1),
    )
    y = y.reshape(*y.shape[:3], neighbours, features)
    return y.reshape(*y.shape[:2], -1, features)[:, :, :width]


def _by_y(window: _Window, x: jax.Array, kernel: jax.Array) -> jax.Array:
    return _slide(x, kernel, window.strides, window.padding, window.dilation)


def _by_x(window: _Window, kernel: jax.Array, y: jax.Array) -> jax.Array:
    kernel = kernel[::-1, ::-1].swapaxes(2, 3)
    padding = window.transposed_padding()
    if window.strides == (1, 1):
        return _slide(y, kernel, (1, 1), padding, window.dilation)
    return _canonical(y, kernel, (1, 1), padding, window.dilation, window.strides)


def _by_kernel(window: _Window, x: jax.Array, y: jax.Array) -> jax.Array:
    # Images and channels change places: y is a kernel as large as its images, moved over x.
    x, y = x.transpose(3, 1, 2, 0), y.transpose(1, 2, 0, 3)
    kernel = _canonical(x, y, window.dilation, window.kernel_padding(), window.strides)
    return kernel.transpose(1, 2, 0, 3)


_convolve = jax.custom_vjp(_by_y, nondiff_argnums=(0,))
_transpose = jax.custom_vjp(_by_x, nondiff_argnums=(0,))
_kernel_gradient = jax.custom_vjp(_by_kernel, nondiff_argnums=(0,))


def _keep_inputs(function):
    return lambda window, a, b: (function(window, a, b), (a, b))


_convolve.defvjp(
    _keep_inputs(_convolve),
    lambda window, inputs, y: (
        _transpose(window, inputs[1], y),
        _kernel_gradient(window, inputs[0], y),
    ),
)
_transpose.defvjp(
    _keep_inputs(_transpose),
    lambda window, inputs, x: (
        _kernel_gradient(window, x, inputs[1]),
        _convolve(window, x, inputs[0]),
    ),
)
_kernel_gradient.defvjp(
    _keep_inputs(_kernel_gradient),
    lambda window, inputs, kernel: (
        _transpose(window, kernel, inputs[1]),
        _convolve(window, inputs[0], kernel),
    ),
)


def convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
) -> jax.Array:
    """Windows of ``x`` times ``kernel`` (a cross-correlation, as in all of deep learning).

    Args:
        x: [b, h, w, c].
        kernel: [kh, kw, c, d].
        strides: from window to window; one number is meant for both dimensions.
        padding: "SAME" (ceil(h / stride) windows), "VALID", or rows of zeros ((above, below),
            (left, right)); negative ones cut off.
        dilation: from one entry of the kernel to the next, within a window.

    Returns:
        [b, h', w', d]; h' = (h + padding - dilation (kh - 1) - 1) // stride + 1.
    """
    window = _window(x.shape[1:3], kernel.shape[:2], strides, padding, dilation)
    if own_gradients():
        return _convolve(window, *_varying_alike(x, kernel))
    return _canonical(x, kernel, window.strides, window.padding, window.dilation)


def transposed_convolution(
    x: jax.Array,
    kernel: jax.Array,
    strides: int | Pair = 1,
    padding: Padding = "SAME",
    dilation: int | Pair = 1,
) -> jax.Array:
    """The linear map that is transposed to a strided convolution: from its outputs to its inputs.

    ``x`` is spread out, with ``stride`` - 1 zeros between its entries, and ``kernel`` moved over
    that as it stands, as ``nn.ConvTranspose`` does; the transposed map itself has the kernel turned
    by 180 degrees, channels exchanged.

    Args:
        x: [b, h, w, c].
        kernel: [kh, kw, c, d].
        strides: of the convolution; one number is meant for both dimensions.
        padding: of the convolution, as PyTorch counts it. "SAME": the output is h stride high;
            "VALID": no padding; or rows ((above, below), (left, right)), cut off from the output
            (a negative one below adds a row, PyTorch's ``output_padding``).
        dilation: from one entry of the kernel to the next.

    Returns:
        [b, h', w', d]; h' = stride (h - 1) + dilation (kh - 1) + 1 - padding, "SAME": h stride.
    """
    strides, dilation = _pair(strides), _pair(dilation)
    kernel_size = kernel.shape[:2]
    if padding == "VALID":
        padding = (0, 0), (0, 0)
    if isinstance(padding, str):
        size = [n * stride for n, stride in zip(x.shape[1:3], strides)]
    else:
        size = [
            stride * (n - 1) + step * (length - 1) + 1 - sum(sides)
            for n, stride, step, length, sides in zip(
                x.shape[1:3], strides, dilation, kernel_size, padding
            )
        ]
    window = _window(size, kernel_size, strides, padding, dilation)
    if own_gradients():
        x, kernel = _varying_alike(x, kernel)
        return _transpose(window, kernel[::-1, ::-1].swapaxes(2, 3), x)
    padding = window.transposed_padding()
    return _canonical(x, kernel, (1, 1), padding, window.dilation, window.strides)


def _varying_alike(*arrays: jax.Array) -> list[jax.Array]:
    """The same, in ``shard_map`` of the same type: lax's functions see to that themselves, and to
    the sum over devices in the gradients of what does not vary."""
    own = [jax.typeof(array).manual_axis_type.varying for array in arrays]
    missing = [tuple(frozenset().union(*own) - axes) for axes in own]
    return [
        jax.lax.pcast(array, axes, to="varying") if axes else array
        for array, axes in zip(arrays, missing)
    ]


def _pair(value: int | Sequence[int]) -> Pair:
    first, second = (value, value) if isinstance(value, int) else value
    return first, second


def _window(
    size: Sequence[int],
    kernel_size: Sequence[int],
    strides: int | Pair,
    padding: Padding,
    dilation: int | Pair,
) -> _Window:
    strides, dilation = _pair(strides), _pair(dilation)
    if isinstance(padding, str):
        reach = [step * (k - 1) + 1 for step, k in zip(dilation, kernel_size)]
        padding = jax.lax.padtype_to_pads(size, reach, strides, padding)
    rows, columns = (_pair(side) for side in padding)
    return _Window(_pair(size), _pair(kernel_size), strides, (rows, columns), dilation)


class Conv(nn.Module):
    """``convolution`` with learned kernel [kh, kw, c, features] and bias, as ``nn.Conv`` names and
    initialises them. Call: [b, h, w, c] -> [b, h', w', features]."""

    features: int
    kernel_size: Pair
    strides: int | Pair = 1
    padding: Padding = "SAME"
    dilation: int | Pair = 1
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x = convolution(x, kernel, self.strides, self.padding, self.dilation)
        return x + self.param("bias", self.bias_init, (self.features,)) if self.use_bias else x


class ConvTranspose(nn.Module):
    """``transposed_convolution`` with learned kernel [kh, kw, c, features] and bias, as
    ``nn.ConvTranspose`` names and initialises them. Call: [b, h, w, c] -> [b, h', w', features],
    under "SAME" ``strides`` times as high and wide; otherwise see the function, for explicit
    padding is counted as PyTorch does (4x4 kernels of stride 2 double with ((1, 1), (1, 1)))."""

    features: int
    kernel_size: Pair
    strides: int | Pair = 1
    padding: Padding = "SAME"
    use_bias: bool = True
    kernel_init: nn.initializers.Initializer = nn.initializers.lecun_normal()
    bias_init: nn.initializers.Initializer = nn.initializers.zeros

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        shape = (*self.kernel_size, x.shape[-1], self.features)
        kernel = self.param("kernel", self.kernel_init, shape)
        x = transposed_convolution(x, kernel, self.strides, self.padding)
        return x + self.param("bias", self.bias_init, (self.features,)) if self.use_bias else x


class ConvEncoder(nn.Module):
    """Images to one linear head per code, over strided 4x4 convolutions and a dense layer
    (PixelGAN, section 2.2: a convolutional inference network, which its paper does not describe).

    Every convolution halves height and width. With ``head_batch_norm`` every head is
    normalised, with one learned scale for all its entries that starts at ``head_scale``, or
    with none where that is ``None``. Call: images [b, h, w, c] -> tuple of
    [b, size], one for each entry of ``heads``. What lies beneath the heads is sown.
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
            x = Conv(features, (4, 4), strides=2, use_bias=not self.batch_norm, kernel_init=init)(x)
            x = nn.relu(normalised(x) if self.batch_norm else x)
        x = nn.Dense(self.dense, use_bias=not self.batch_norm, kernel_init=init)(
            x.reshape(x.shape[0], -1)
        )
        x = nn.relu(normalised(x) if self.batch_norm else x)
        self.sow(INTERMEDIATES, HIDDEN, x)
        heads = [
            nn.Dense(size, use_bias=not self.head_batch_norm, kernel_init=init)(x)
            for size in self.heads
        ]
        return tuple(
            normalised_head(f"head_scale_{i}", head) if self.head_batch_norm else head
            for i, head in enumerate(heads)
        )
