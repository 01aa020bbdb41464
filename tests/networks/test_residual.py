"""The learned priors' networks: the sizes of tables A.1 to A.3, and what a block computes."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.networks.dcgan import ImageTrunk
from aae_jax.networks.residual import (
    CodeGenerator,
    PerceptualDiscriminator,
    ResidualBlock,
    ResidualDecoder,
    ResidualEncoder,
    check_residual,
)


def shapes(module, *inputs):
    """(shapes of the outputs, of the parameters) without computing either."""
    made = jax.eval_shape(
        lambda: module.init_with_output({"params": jax.random.key(0)}, *inputs, train=False)
    )
    return jax.tree.map(lambda leaf: leaf.shape, (made[0], made[1]["params"]))


def test_the_tables_sizes():
    images, codes = jnp.zeros((2, 32, 32, 3)), jnp.zeros((2, 64))
    code, encoder = shapes(ResidualEncoder((64, 128, 256, 512), 64, 128), images)
    assert code == (2, 64)
    assert encoder["Conv_0"]["kernel"] == (3, 3, 3, 64)
    assert encoder["Dense_0"]["kernel"] == (512, 128)  # 2 x code size, batch norm, no bias
    assert encoder["Dense_1"] == {"kernel": (128, 64), "bias": (64,)}
    made, decoder = shapes(ResidualDecoder((512, 256, 128, 64), (32, 32, 3)), codes)
    assert made == (2, 32, 32, 3)
    assert decoder["Dense_0"]["kernel"] == (64, 4 * 4 * 512)
    assert decoder["ResidualBlock_0"]["ConvTranspose_0"]["kernel"] == (4, 4, 512, 256)
    assert decoder["Conv_0"]["kernel"] == (3, 3, 64, 3)
    code, generator = shapes(CodeGenerator(64), jnp.zeros((2, 54)), jnp.zeros((2, 10)))
    assert code == (2, 64)
    assert generator["Dense_0"]["kernel"] == (64, 108)  # 2 x noise size
    trunk = ImageTrunk((64, 128, 256), (1000,))
    (logits, features, top), discriminator = shapes(PerceptualDiscriminator(trunk), images)
    assert (logits, features, top) == ((2,), (2, 4, 4, 256), (2, 1000))
    assert discriminator["head"]["kernel"] == (1000, 1)


@pytest.mark.parametrize(("direction", "size"), [("down", 2), ("same", 4), ("up", 8)])
def test_a_block_without_its_residual_is_its_skip_connection(direction, size):
    x = jax.random.normal(jax.random.key(0), (1, 4, 4, 2))
    block = ResidualBlock(2, direction)
    params = block.init({"params": jax.random.key(1)}, x, train=False)["params"]
    silent = {k: v if k == "skip" else jax.tree.map(jnp.zeros_like, v) for k, v in params.items()}
    y = block.apply({"params": silent}, x, train=False)
    assert y.shape == (1, size, size, 2)
    if direction == "same":
        expected = x
    else:
        assert params["skip"]["kernel"].shape == (1, 1, 2, 2)
        expected = x @ params["skip"]["kernel"][0, 0]
        expected = expected[:, ::2, ::2] if direction == "down" else expected
    if direction == "up":
        expected = expected.repeat(2, axis=1).repeat(2, axis=2)
    np.testing.assert_allclose(y, np.maximum(expected, 0), rtol=1e-5, atol=1e-6)


def test_images_that_do_not_fit():
    check_residual((28, 28, 1), (64, 128, 256, 512), (512, 256, 128))
    for shape, decoder, message in (
        ((8, 8, 1), (4, 4), "has 4 strides"),
        ((28, 28, 1), (8, 8, 8, 8), "has 3 blocks"),
        ((5,), (4,), "images of 5 do not allow"),
    ):
        with pytest.raises(UserError, match=message):
            check_residual(shape, (64, 128, 256, 512), decoder)
