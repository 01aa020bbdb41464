"""Ancestral sampling from a PixelCNN, each pixel at the cost of that pixel alone.

The inputs of every layer that looks at other pixels are kept; one pixel after the other its own
activations are computed from the few kept ones that its kernels cover, as matrix products. (A whole
pass per pixel costs the square of the number of pixels.)
"""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from aae_jax.errors import UserError
from aae_jax.networks.heads import Head, to_images
from aae_jax.networks.pixelcnn import PixelCNN


def sample(
    decoder: PixelCNN, params: Any, key: jax.Array, shape: tuple[int, ...], *codes: jax.Array
) -> jax.Array:
    """Images drawn from p(image | code).

    Args:
        decoder, params: the module and its parameters.
        key: the samples are a function of it; pixel by pixel it is folded with the position.
        shape: (b, h, w, c).
        codes: [b, d_i] each, as in the module's call.

    Returns:
        Levels [b, h, w, c], int32; ``heads.to_images`` makes images of them.
    """
    return inpaint(decoder, params, key, jnp.zeros(shape, jnp.int32), 0, *codes)


@partial(jax.jit, static_argnames=("decoder", "given_rows"))
def inpaint(
    decoder: PixelCNN,
    params: Any,
    key: jax.Array,
    levels: jax.Array,
    given_rows: int,
    *codes: jax.Array,
) -> jax.Array:
    """As ``sample``, with the first ``given_rows`` rows of ``levels`` [b, h, w, c] given.

    Raises:
        UserError: more rows are given than the images have.
    """
    batch, height, width, channels = levels.shape
    if not 0 <= given_rows <= height:
        raise UserError(f"{given_rows} of {height} rows cannot be given")
    head, variables = decoder.head, {"params": params}
    num_draws = _draws_per_pixel(head)
    images = to_images(levels, head.num_levels)
    caches, biases = decoder.apply(variables, images, *codes, method="fill")

    # The samples are only written in the loop: reading them too would make XLA copy them all.
    def step(carry, index):
        caches, pixel = carry
        position = jnp.divmod(index // num_draws, width)
        outputs, caches = decoder.apply(variables, caches, biases, position, method="at_pixel")
        pixel = _draw(head, key, index, outputs, pixel)
        image = to_images(pixel, head.num_levels)
        caches = decoder.apply(variables, caches, position, image, method="set_pixel")
        return (caches, pixel), pixel

    indices = jnp.arange(given_rows * width * num_draws, height * width * num_draws)
    pixel = jnp.zeros((batch, 1, 1, channels), jnp.int32)
    _, drawn = jax.lax.scan(step, (caches, pixel), indices)
    drawn = drawn[num_draws - 1 :: num_draws].reshape(-1, width, batch, channels)
    return jnp.concatenate([levels[:, :given_rows], drawn.transpose(2, 0, 1, 3)], axis=1)


def num_steps(head: Head, height: int, width: int) -> int:
    """Draws in an image: one a pixel, or one a channel where the head has ordered channels."""
    return height * width * _draws_per_pixel(head)


@partial(jax.jit, static_argnames=("decoder",))
def naive_step(
    decoder: PixelCNN,
    params: Any,
    key: jax.Array,
    levels: jax.Array,
    index: int | jax.Array,
    *codes: jax.Array,
) -> jax.Array:
    """Draw number ``index`` by a pass over the whole images: what ``sample`` must equal.

    Called from Python for 0 to ``num_steps`` - 1, from levels [b, h, w, c] of any value.
    """
    head = decoder.head
    images = to_images(levels, head.num_levels)
    outputs: Any = decoder.apply({"params": params}, images, *codes)
    row, column = jnp.divmod(index // _draws_per_pixel(head), levels.shape[2])
    here = jnp.ix_(jnp.arange(len(levels)), row[None], column[None])
    return levels.at[here].set(_draw(head, key, index, outputs[here], levels[here]))


def _draws_per_pixel(head: Head) -> int:
    return head.channels if head.ordered_channels else 1


def _draw(
    head: Head, key: jax.Array, index: int | jax.Array, outputs: jax.Array, pixel: jax.Array
) -> jax.Array:
    """The pixel [b, 1, 1, c] after draw number ``index``.

    The channels after the drawn one take values too, which the next draws replace.
    """
    drawn = head.sample(jax.random.fold_in(key, index), outputs)
    return jnp.where(jnp.arange(head.channels) >= index % _draws_per_pixel(head), drawn, pixel)
