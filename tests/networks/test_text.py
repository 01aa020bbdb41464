"""Text encoders, and the networks that are conditioned on what they give."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.networks import Network
from aae_jax.networks.text import TextDiscriminator, TextEncoder, TextGenerator

TOKENS = jnp.asarray([[3, 1, 2, 0, 0], [1, 3, 2, 0, 0], [4, 0, 0, 0, 0]])


@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
def test_a_text_encoder_sees_words_in_their_order_and_no_filling(kind):
    encoder = Network("text_encoder", TextEncoder(5, 6, 4, kind))
    params, stats = encoder.init(jax.random.key(0), TOKENS)
    states = {"text_encoder": params}, {"text_encoder": stats}
    codes = encoder.evaluate(*states, TOKENS)
    assert codes.shape == (3, 4)
    assert jnp.abs(codes[0] - codes[1]).max() > 1e-3  # the same words in another order
    longer = jnp.pad(TOKENS, ((0, 0), (0, 3)))
    np.testing.assert_allclose(encoder.evaluate(*states, longer), codes, atol=1e-6)


def test_a_recurrent_encoder_by_hand():
    module = TextEncoder(5, 2, 3)
    params = module.init(jax.random.key(1), TOKENS, train=False)["params"]
    found = module.apply({"params": params}, TOKENS, train=False)
    p = jax.tree.map(np.float64, params)
    cell = p["GRUCell_0"]

    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    def affine(name, x):
        return x @ cell[name]["kernel"] + cell[name].get("bias", 0.0)

    for row, code in zip(np.asarray(TOKENS), found):
        h, states = np.zeros(2), []
        for word in row[row > 0]:
            x = p["Embed_0"]["embedding"][word]
            r, z = (sigmoid(affine(f"i{g}", x) + affine(f"h{g}", h)) for g in "rz")
            n = np.tanh(affine("in", x) + r * affine("hn", h))
            h = (1 - z) * n + z * h
            states.append(h)
        expected = np.mean(states, axis=0) @ p["Dense_0"]["kernel"] + p["Dense_0"]["bias"]
        np.testing.assert_allclose(code, expected, atol=1e-5)


@pytest.mark.parametrize("dense", [(), (7, 5)])
def test_generator_and_discriminator_of_texts(dense):
    generator = TextGenerator(3, (), (4, 2), (8, 8, 3), output="sigmoid")
    z, h = jnp.ones((2, 5)), jax.random.normal(jax.random.key(0), (2, 4))
    variables = generator.init(jax.random.key(0), z, h, train=False)
    images = generator.apply(variables, z, h, train=False)
    assert images.shape == (2, 8, 8, 3) and images.min() > 0 and images.max() < 1
    assert jnp.abs(images[0] - images[1]).max() > 0  # one noise, two sentences

    discriminator = TextDiscriminator(3, (4, 6), dense, weight_init="he_normal")
    images = jax.random.normal(jax.random.key(1), (2, 8, 8, 3))
    variables = discriminator.init(jax.random.key(0), images, h, train=False)
    widths = [variables["params"][f"Dense_{i}"]["bias"].size for i in range(len(dense))]
    assert tuple(widths) == dense
    (right,) = discriminator.apply(variables, images, h, train=False)
    both = discriminator.apply(variables, images, h, h[::-1], train=False)
    assert right.shape == (2,) and len(both) == 2
    np.testing.assert_allclose(both[0], right, rtol=1e-6)
    assert jnp.abs(both[1] - right).max() > 1e-6
