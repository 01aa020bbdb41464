"""A small PixelCNN of any kind, for the tests of its modules and its sampler."""

import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.networks import PixelCNN


@pytest.fixture
def made() -> Callable:
    """``made(head, shape, num_blocks=2, ...)``: (decoder, parameters, codes) for images of this
    shape [b, h, w, c]. All parameters are random, so that no bias can be lost unseen."""

    def make(head, shape, num_blocks=2, features=8, conditioning="location_invariant", **options):
        decoder = PixelCNN(
            head, num_blocks, features, conditioning=conditioning, map_hidden=6, **options
        )
        rng = np.random.default_rng(0)

        def normal(shape, scale):
            return jnp.asarray(rng.normal(size=shape, scale=scale), jnp.float32)

        of_code = (*shape[:3], 2) if conditioning == "spatial" else (shape[0], 2)
        codes = () if conditioning == "none" else (normal(of_code, 1.0),)
        shapes = jax.eval_shape(decoder.init, jax.random.key(0), jnp.zeros(shape), *codes)
        params = jax.tree.map(
            lambda leaf: normal(leaf.shape, max(0.3, math.prod(leaf.shape[:-1]) ** -0.5)),
            shapes["params"],
        )
        return decoder, params, codes

    return make
