"""Inception v3 of 2015-12-05, whose classes the Inception score and whose last features the FID are
of (Szegedy et al. 2016; Salimans et al. 2016; Heusel et al. 2017).

It is the graph that both were published with, not the one of later releases: 1008 outputs without a
bias, average pools that leave padding out of the mean, a max pool in the last block, images resized
as TensorFlow 1 did. Weights are a dict of float32 arrays, by layer: ``<layer>/kernel``
[h, w, c, d], ``<layer>/scale`` and ``<layer>/offset`` [d], into which batch norm is folded, and
``logits/kernel`` [2048, 1008]. Layers are named as in PyTorch's ports. ``inception_weights`` makes,
keeps and checks them.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

SIZE = 299  # pixels of a side
NUM_FEATURES, NUM_CLASSES = 2048, 1008
EPSILON = 1e-3  # of batch norm

Weights = Mapping[str, Any]


class Layer(NamedTuple):
    """A convolution, batch norm and ReLU. Attributes: name within its block; channels; height and
    width of the kernel; stride; padding."""

    name: str
    features: int
    size: tuple[int, int] = (1, 1)
    strides: int = 1
    padding: str = "SAME"


class Both(NamedTuple):
    """Two layers of one input, side by side."""

    first: Layer
    second: Layer


class Pool(NamedTuple):
    """3x3 windows. Attributes: whether their largest value is taken or the mean of what lies within
    the image; stride; padding."""

    largest: bool
    strides: int = 1
    padding: str = "SAME"


Step = Layer | Both | Pool
Branch = tuple[Step, ...]
_MEAN = Pool(False)
_HALVE = Pool(True, 2, "VALID")


def _square(name: str, features: int, side: int, strides: int = 1) -> Layer:
    return Layer(name, features, (side, side), strides, "SAME" if strides == 1 else "VALID")


def _a(pooled: int) -> tuple[Branch, ...]:
    return (
        (_square("branch1x1", 64, 1),),
        (_square("branch5x5_1", 48, 1), _square("branch5x5_2", 64, 5)),
        (
            _square("branch3x3dbl_1", 64, 1),
            _square("branch3x3dbl_2", 96, 3),
            _square("branch3x3dbl_3", 96, 3),
        ),
        (_MEAN, _square("branch_pool", pooled, 1)),
    )


def _c(width: int) -> tuple[Branch, ...]:
    row, column = (1, 7), (7, 1)
    return (
        (_square("branch1x1", 192, 1),),
        (
            _square("branch7x7_1", width, 1),
            Layer("branch7x7_2", width, row),
            Layer("branch7x7_3", 192, column),
        ),
        (
            _square("branch7x7dbl_1", width, 1),
            Layer("branch7x7dbl_2", width, column),
            Layer("branch7x7dbl_3", width, row),
            Layer("branch7x7dbl_4", width, column),
            Layer("branch7x7dbl_5", 192, row),
        ),
        (_MEAN, _square("branch_pool", 192, 1)),
    )


def _e(pool: Pool) -> tuple[Branch, ...]:
    def both(name: str) -> Both:
        return Both(Layer(f"{name}a", 384, (1, 3)), Layer(f"{name}b", 384, (3, 1)))

    return (
        (_square("branch1x1", 320, 1),),
        (_square("branch3x3_1", 384, 1), both("branch3x3_2")),
        (
            _square("branch3x3dbl_1", 448, 1),
            _square("branch3x3dbl_2", 384, 3),
            both("branch3x3dbl_3"),
        ),
        (pool, _square("branch_pool", 192, 1)),
    )


STEM: Branch = (
    _square("Conv2d_1a_3x3", 32, 3, strides=2),
    Layer("Conv2d_2a_3x3", 32, (3, 3), padding="VALID"),
    _square("Conv2d_2b_3x3", 64, 3),
    _HALVE,
    Layer("Conv2d_3b_1x1", 80, padding="VALID"),
    Layer("Conv2d_4a_3x3", 192, (3, 3), padding="VALID"),
    _HALVE,
)
BLOCKS: dict[str, tuple[Branch, ...]] = {
    "Mixed_5b": _a(32),
    "Mixed_5c": _a(64),
    "Mixed_5d": _a(64),
    "Mixed_6a": (
        (_square("branch3x3", 384, 3, strides=2),),
        (
            _square("branch3x3dbl_1", 64, 1),
            _square("branch3x3dbl_2", 96, 3),
            _square("branch3x3dbl_3", 96, 3, strides=2),
        ),
        (_HALVE,),
    ),
    "Mixed_6b": _c(128),
    "Mixed_6c": _c(160),
    "Mixed_6d": _c(160),
    "Mixed_6e": _c(192),
    "Mixed_7a": (
        (_square("branch3x3_1", 192, 1), _square("branch3x3_2", 320, 3, strides=2)),
        (
            _square("branch7x7x3_1", 192, 1),
            Layer("branch7x7x3_2", 192, (1, 7)),
            Layer("branch7x7x3_3", 192, (7, 1)),
            _square("branch7x7x3_4", 192, 3, strides=2),
        ),
        (_HALVE,),
    ),
    "Mixed_7b": _e(_MEAN),
    "Mixed_7c": _e(Pool(True)),
}
# What is called by its number of channels elsewhere: the mean over all places behind these.
MILESTONES = {"MaxPool_1": 64, "MaxPool_2": 192, "Mixed_6e": 768, "Mixed_7c": NUM_FEATURES}


def _walk(branch: Branch, x: Any, layer: Callable, pool: Callable, beside: Callable) -> Any:
    """A branch's steps, one after the other, by whatever a layer, a pool and a pair do."""
    for step in branch:
        if isinstance(step, Both):
            x = beside([layer(step.first, x), layer(step.second, x)])
        else:
            x = layer(step, x) if isinstance(step, Layer) else pool(step, x)
    return x


def kernel_shapes() -> dict[str, tuple[int, int, int, int]]:
    """Of every convolution by its layer's name, in the order of the graph."""
    shapes: dict[str, tuple[int, int, int, int]] = {}

    def of(block: str) -> Callable[[Layer, int], int]:
        def layer(layer: Layer, channels: int) -> int:
            shapes[block + layer.name] = (*layer.size, channels, layer.features)
            return layer.features

        return layer

    channels = _walk(STEM, 3, of(""), lambda _, x: x, sum)
    for block, branches in BLOCKS.items():
        layer = of(f"{block}.")
        channels = sum([_walk(branch, channels, layer, lambda _, x: x, sum) for branch in branches])
    assert channels == NUM_FEATURES
    return shapes


def resized(images: jax.Array, size: int = SIZE) -> jax.Array:
    """[b, h, w, c] -> [b, size, size, c], bilinearly between the pixels at ``out * in / size`` and
    the next, TensorFlow 1's ``resize_bilinear`` without aligned corners: it does not blur where it
    shrinks, and pixels' corners, not their centres, lie on the grid."""

    def along(x: jax.Array, axis: int) -> jax.Array:
        length = x.shape[axis]
        place = jnp.arange(size, dtype=jnp.float32) * jnp.float32(length / size)
        low = place.astype(jnp.int32)
        share = (place - low).reshape(-1, *(1,) * (x.ndim - axis - 1))
        below, above = x.take(low, axis), x.take(jnp.minimum(low + 1, length - 1), axis)
        return below + (above - below) * share

    return along(along(images, 2), 1)


def _windows(x: jax.Array, initial: float, combine: Callable, pool: Pool) -> jax.Array:
    strides = (1, pool.strides, pool.strides, 1)
    return lax.reduce_window(x, initial, combine, (1, 3, 3, 1), strides, pool.padding)


def _pool(pool: Pool, x: jax.Array) -> jax.Array:
    if pool.largest:
        return _windows(x, -jnp.inf, lax.max, pool)
    inside = _windows(jnp.ones((1, *x.shape[1:3], 1)), 0.0, lax.add, pool)
    return _windows(x, 0.0, lax.add, pool) / inside


def activations(weights: Weights, images: jax.Array) -> Iterator[tuple[str, jax.Array]]:
    """(name, [b, h, w, c]) behind the two max pools ("MaxPool_1", "MaxPool_2") and every block, of
    images [b, h, w, 3] in (x - 128) / 128."""

    def of(block: str) -> Callable[[Layer, jax.Array], jax.Array]:
        def layer(layer: Layer, x: jax.Array) -> jax.Array:
            name = block + layer.name
            x = lax.conv_general_dilated(
                x,
                weights[f"{name}/kernel"],
                (layer.strides, layer.strides),
                layer.padding,
                dimension_numbers=("NHWC", "HWIO", "NHWC"),
            )
            return jax.nn.relu(x * weights[f"{name}/scale"] + weights[f"{name}/offset"])

        return layer

    def beside(parts: list[jax.Array]) -> jax.Array:
        return jnp.concatenate(parts, axis=-1)

    x, pools = images, 0
    for step in STEM:
        x = _walk((step,), x, of(""), _pool, beside)
        if isinstance(step, Pool):
            pools += 1
            yield f"MaxPool_{pools}", x
    for block, branches in BLOCKS.items():
        layer = of(f"{block}.")
        x = beside([_walk(branch, x, layer, _pool, beside) for branch in branches])
        yield block, x


def features(weights: Weights, images: jax.Array) -> jax.Array:
    """The last pool [b, 2048] of images [b, 299, 299, 3] in (x - 128) / 128."""
    *_, (_, last) = activations(weights, images)
    return last.mean(axis=(1, 2))


def describe(weights: Weights, images: jax.Array) -> tuple[jax.Array, jax.Array]:
    """(probabilities [b, 1008], the last pool [b, 2048]) of images [b, h, w, c] in [0, 1], in
    colour or grey, which are rounded to the 256 levels that files of images hold."""
    levels = jnp.round(255.0 * jnp.clip(images, 0.0, 1.0))
    levels = jnp.broadcast_to(levels, (*levels.shape[:3], 3))
    found = features(weights, (resized(levels) - 128.0) / 128.0)
    return jax.nn.softmax(found @ weights["logits/kernel"]), found
