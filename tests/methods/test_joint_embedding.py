"""The structured joint embedding retrieves on a toy, and refuses what it cannot be."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError

SPEC = methods.DataSpec((4, 4, 3), caption_length=4, vocabulary_size=9)


def tiny(kind="recurrent", spec=SPEC, **changes):
    config = methods.default_config("joint_embedding")
    config.update_from_flattened_dict(
        {"text.kind": kind, "text.width": 8, "text.dim": 8, "image.features": (8,)}
        | {"image.dense": 16}
        | changes
    )
    config.optimizers.matching.learning_rate = 0.01
    return methods.build("joint_embedding", config, spec=spec)


def toy(rng, num):
    """Images of one colour on another, by position; "colour on ground", the colours words 1 to 3,
    the grounds words 4 to 6, in either order of speaking (word 7 turns it round)."""
    colour, ground = rng.integers(3, size=(2, num))
    images = 0.8 * np.eye(3)[ground][:, None, None] * np.ones((num, 4, 4, 1))
    images[:, 1:3, 1:3] = np.eye(3)[colour][:, None, None]
    images += rng.uniform(0, 0.2, images.shape)
    plain = np.stack([1 + colour, 4 + ground, 0 * colour, 0 * colour], axis=1)
    turned = np.stack([4 + ground, 7 + 0 * colour, 1 + colour, 0 * colour], axis=1)
    captions = np.where(rng.uniform(size=(num, 1)) < 0.5, plain, turned)
    return (
        jnp.asarray(np.clip(images, 0, 1), jnp.float32),
        jnp.asarray(captions, jnp.int32),
        jnp.asarray(3 * colour + ground, jnp.int32),
    )


@pytest.mark.parametrize("kind", ["recurrent", "convolutional"])
def test_a_toys_images_and_sentences_find_each_other(kind):
    method, rng = tiny(kind), np.random.default_rng(0)
    state, step = jax.jit(method.init)(jax.random.key(0)), jax.jit(method.train_step)
    for i in range(150):
        images, captions, classes = toy(rng, 32)
        batch = Batch(images, captions=captions, caption_classes=classes)
        state, metrics = step(state, batch, jax.random.key(i))
    assert metrics["matching/loss"] < 0.3
    images, captions, classes = toy(np.random.default_rng(1), 60)
    (v,), t = method.encode(state, images), method.encode_text(state, captions)
    for scores in (v @ t.T, t @ v.T):
        assert (classes[scores.argmax(axis=1)] == classes).mean() > 0.9


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"kind": "bag"}, "unknown model.text.kind 'bag'"),
        ({"text.dim": 0}, "model.text.dim is 0"),
        ({"image.dense": 0}, "model.image.dense is 0"),
        ({"image.features": (2, 2, 2)}, "model.image.features has 3 convolutions"),
        ({"spec": methods.DataSpec((4, 4, 3))}, "needs images with captions"),
    ],
)
def test_bad_settings_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(**changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"captions": None}, "got no Batch.captions"),
        ({"caption_classes": None}, "got no Batch.caption_classes"),
        ({"captions": jnp.zeros((2, 3), jnp.int32)}, r"shape \(2, 3\).*\(2, 4\)"),
        ({"captions": jnp.zeros((2, 4))}, "type float32: give integers"),
        ({"captions": jnp.full((2, 4), 9)}, r"lie in 9..9: words are 0..8"),
    ],
)
def test_captions_that_do_not_fit_are_one_line(change, message):
    batch = Batch(
        jnp.ones((2, 4, 4, 3)),
        captions=jnp.ones((2, 4), jnp.int32),
        caption_classes=jnp.zeros(2, jnp.int32),
    )
    method = tiny()
    method.check(batch)
    with pytest.raises(UserError, match=message):
        method.check(batch._replace(**change))
