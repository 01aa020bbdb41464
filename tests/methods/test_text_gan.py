"""Text-to-image GANs: updates of all four variants against NumPy, and what is refused."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.methods import common
from aae_jax.networks.text import TextEncoder
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    conv,
    dense,
    normalised,
    sigmoid,
    softplus,
    transposed_conv,
)

SPEC = methods.DataSpec((4, 4, 1), caption_length=3, vocabulary_size=6)
TRAINS = {
    "discriminator": ("discriminator",),
    "generator": ("generator",),
    "style": ("style_encoder",),
}
RATES = {"discriminator": (0.05, 0.3), "generator": (0.06, 0.5), "style": (0.02, 0.1)}
SHARE, BETWEEN = 0.4, 0.7
TEXT = {"kind": "convolutional", "width": 4, "dim": 3}


def tiny(spec=SPEC, **changes):
    config = methods.default_config("text_gan")
    config.update_from_flattened_dict(
        {
            "mismatched_weight": SHARE,
            "interpolation_weight": BETWEEN,
            "noise_dim": 2,
            "text_dim": 2,
            "generator.features": (3,),
            "generator.output": "sigmoid",
            "discriminator.features": (3, 2),
            "style_encoder.features": (2,),
            "style_encoder.dense": (4,),
            "init": "he_normal",
        }
        | {f"text.{name}": value for name, value in TEXT.items()}
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("text_gan", config, spec=spec)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [
        Batch(
            jnp.asarray(rng.uniform(size=(6, 4, 4, 1)), jnp.float32),
            captions=jnp.asarray(rng.integers(1, 6, (6, 3)), jnp.int32),
            # The fourth is of the class of the third: its sentence is no wrong one.
            caption_classes=jnp.asarray([0, 1, 2, 2, 3, 4], jnp.int32),
        )
        for _ in range(2)
    ]


def leaky(x):
    return np.where(x > 0, x, 0.2 * x)


def np_generator(p, z, h):
    decoder = p["DcganDecoder_0"]
    x = dense(decoder["Dense_0"], np.concatenate([z, leaky(dense(p["text"], h))], axis=1))
    x = np.maximum(normalised(decoder["_Activation_0"]["BatchNorm_0"], x), 0)
    return sigmoid(transposed_conv(decoder["ConvTranspose_0"], x.reshape(len(x), 2, 2, 3)))


def np_discriminator(p, images, *codes):
    x = leaky(conv(p["Conv_0"], images))
    x = leaky(normalised(p["BatchNorm_0"], conv(p["Conv_1"], x)))
    x = x.reshape(len(x), -1)  # one place is left
    found = []
    for h in codes:
        mixed = dense(p["mix"], np.concatenate([x, leaky(dense(p["text"], h))], axis=1))
        found.append(dense(p["head"], leaky(mixed))[:, 0])
    return found


def np_style_encoder(p, images):
    x = conv(p["Conv_0"], images)
    x = np.maximum(normalised(p["_Activation_0"]["BatchNorm_0"], x), 0)
    x = dense(p["Dense_0"], x.reshape(len(x), -1))
    x = np.maximum(normalised(p["_Activation_1"]["BatchNorm_0"], x), 0)
    return dense(p["Dense_1"], x)


def losses_of(matching_aware, interpolation):
    encoder = TextEncoder(SPEC.vocabulary_size, **TEXT)

    def losses(batch, drawn):
        (z,) = drawn
        x, num, known = np.float64(batch.images), len(batch.images), []
        classes = np.asarray(batch.caption_classes)
        wrong = np.roll(classes, 1) != classes
        assert wrong.sum() == 5

        def codes(p):
            """h, and that of the image before; the text encoder never changes."""
            if not known:
                params = {"params": jax.tree.map(jnp.float32, p["text_encoder"])}
                h = np.float64(encoder.apply(params, batch.captions, train=False))
                h -= h.mean(axis=1, keepdims=True)
                known.append(h / np.sqrt(np.square(h).mean(axis=1, keepdims=True) + 1e-6))
            return known[0], np.roll(known[0], 1, axis=0)

        def discriminator(p):
            h, other = codes(p)
            images = np.concatenate([x, np_generator(p["generator"], z, h)])
            right, wrongly = np_discriminator(
                p["discriminator"], images, np.concatenate([h, h]), np.concatenate([other, other])
            )
            s_r, s_f, s_w = right[:num], right[num:], wrongly[:num]
            if not matching_aware:
                return (softplus(-s_r) + softplus(s_f)).mean()
            fakes = SHARE * wrong * softplus(s_w) + (1 - SHARE) * softplus(s_f)
            return (softplus(-s_r) + fakes).mean()

        def generator(p):
            h, other = codes(p)
            parts = []
            for code in [h, (h + other) / 2][: 1 + interpolation]:
                images = np.concatenate([x, np_generator(p["generator"], z, code)])
                (logits,) = np_discriminator(p["discriminator"], images, np.concatenate([h, code]))
                parts.append(softplus(-logits[num:]).mean())
            return parts[0] + sum(BETWEEN * part for part in parts[1:])

        def style(p):
            found = np_style_encoder(
                p["style_encoder"], np_generator(p["generator"], z, codes(p)[0])
            )
            return np.square(found - z).sum(axis=1).mean()

        return {"discriminator": discriminator, "generator": generator, "style": style}

    return losses


@pytest.mark.parametrize(
    ("matching_aware", "interpolation"),
    [(False, False), (True, False), (False, True), (True, True)],
)
def test_updates_match_numpy(matching_aware, interpolation, draws, batches):
    method = tiny(matching_aware=matching_aware, interpolation=interpolation)
    some = batches if matching_aware and interpolation else batches[:1]
    losses = losses_of(matching_aware, interpolation)
    state, _ = check_updates(method, some, draws, losses, TRAINS, RATES)
    assert "text_encoder" in state.params and "text_encoder" not in TRAINS


def test_running_moments_are_of_sentences_and_not_of_what_lies_between(batches):
    states = [
        method.train_step(method.init(jax.random.key(0)), batches[0], jax.random.key(1))[0]
        for method in (tiny(), tiny(interpolation=False))
    ]
    between, without = (state.batch_stats["generator"] for state in states)
    assert jax.tree.leaves(without)
    chex.assert_trees_all_close(between, without, rtol=1e-5)


def test_a_variant_is_not_another(draws, batches):
    with pytest.raises(AssertionError, match="discriminator/loss"):
        losses = losses_of(True, False)
        check_updates(tiny(matching_aware=False), batches[:1], draws, losses, TRAINS, RATES)


def test_training_starts_from_a_trained_text_encoder():
    method = tiny()
    state = method.init(jax.random.key(0))
    trained = jax.tree.map(lambda x: x + 1, state.params["text_encoder"])
    started = common.with_text_encoder(method, trained).init(jax.random.key(0))
    jax.tree.map(np.testing.assert_array_equal, started.params["text_encoder"], trained)
    for name in ("generator", "discriminator", "style_encoder"):
        jax.tree.map(np.testing.assert_array_equal, started.params[name], state.params[name])
    other = tiny(**{"text.width": 5}).init(jax.random.key(0)).params["text_encoder"]
    with pytest.raises(UserError, match="of another form") as error:
        common.with_text_encoder(method, other)
    assert "\n" not in str(error.value)


def test_images_follow_noise_and_sentences(batches):
    method = tiny()
    state, tokens = method.init(jax.random.key(0)), batches[0].captions
    z = jax.random.normal(jax.random.key(1), (6, 2))
    images = method.decode(state, z, tokens)
    assert images.shape == (6, 4, 4, 1)
    of_codes = method.decode(state, z, method.encode_text(state, tokens))
    np.testing.assert_allclose(images, of_codes, rtol=1e-6)
    assert jnp.abs(method.decode(state, z, tokens[::-1]) - images).max() > 1e-4
    assert method.encode(state, images)[0].shape == (6, 2)
    assert method.discriminate(state, images, tokens).shape == (6,)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"noise_dim": 0}, "model.noise_dim is 0"),
        ({"mismatched_weight": 1.5}, r"mismatched_weight is 1.5; it must lie in \[0, 1\]"),
        ({"interpolation_weight": -1.0}, "interpolation_weight is -1.0"),
        ({"generator.features": ()}, "model.generator has no convolutions"),
        ({"discriminator.features": (2, 2, 2)}, "model.discriminator.features has 3 convolutions"),
        ({"generator.output": "tanh"}, "set it to 'sigmoid'"),
        ({"text.kind": "words"}, "unknown model.text.kind"),
        ({"spec": methods.DataSpec((4, 4, 1))}, "needs images with captions"),
    ],
)
def test_bad_settings_are_one_line(changes, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(**changes)
    assert "\n" not in str(error.value)
