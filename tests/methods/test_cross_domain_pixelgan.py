"""Mappings between domains with any decoder: updates against NumPy and against PixelGAN's, who
changes in which phase, and settings that are refused."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.networks import Encoder
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_decoder,
    np_discriminator,
    np_heads,
    sigmoid,
    softmax,
    softplus,
)
from tests.methods.test_cycle_implicit_autoencoder_updates import correlate, padded

IMAGES = methods.DataSpec((4, 4, 1), 3, num_levels=2, second_shape=(4, 4, 1))
LABELS = methods.DataSpec((4, 4, 1), 3, num_levels=2, labelled=True)
NOISE = 0.3
RATES = {
    "reconstruction": (0.05, 0.9),
    "discriminator": (0.5, 0.1),
    "generator": (0.4, 0.2),
    "classification": (0.3, 0.8),
}
TRAINS = {
    "reconstruction": ("encoder", "decoder"),
    "discriminator": ("discriminator",),
    "generator": ("encoder",),
    "classification": ("encoder",),
}


def tiny(spec, decoder="pixelcnn", parts=None, **changes):
    config = methods.default_config("cross_domain_pixelgan")
    config.update_from_flattened_dict(
        {
            "second_domain": "labels" if spec.second_shape is None else "images",
            "decoder.name": decoder,
            "decoder.num_blocks": 1,
            "decoder.features": 4,
            "decoder.hidden": (5,),
            "generator.features": 2,
            "generator.num_blocks": 1,
            "image_discriminator.features": (2, 2),
            "encoder_features": (3,),
            "encoder_dense": 4,
            "discriminator_hidden": (4,),
            "input_noise": NOISE,
            "schedule.name": "constant",
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("cross_domain_pixelgan", config, spec=spec, parts=parts)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)

    def uniform(num):
        return jnp.asarray(rng.uniform(size=(num, 4, 4, 1)), jnp.float32)

    labels = jnp.asarray([0, 2, 1, 2], jnp.int32)
    return [Batch(uniform(5), uniform(4), labels, second_images=uniform(5)) for _ in range(2)]


class ToImages(nn.Module):
    """Images to images, by one layer and a sigmoid."""

    @nn.compact
    def __call__(self, images, *, train):
        flat = images.reshape(len(images), -1)
        return nn.sigmoid(nn.Dense(flat.shape[1])(flat)).reshape(images.shape)


class ToPatches(nn.Module):
    """Images to logits [b, 2], by two layers."""

    @nn.compact
    def __call__(self, images, *, train):
        hidden = nn.relu(nn.Dense(3)(images.reshape(len(images), -1)))
        return nn.Dense(2)(hidden)


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def np_to_images(params, images):
    return sigmoid(dense(params["Dense_0"], images.reshape(len(images), -1))).reshape(images.shape)


def np_to_patches(params, images):
    hidden = np.maximum(dense(params["Dense_0"], images.reshape(len(images), -1)), 0)
    return dense(params["Dense_1"], hidden)


def np_pixelcnn(params, levels, y):
    """Logits [b, h, w, 1] of level 1, under a code that is an image: every layer has a bias at
    every place, from the code around it."""

    def relu(x):
        return np.maximum(x, 0)

    seen = relu(correlate(padded(2 * y - 1, 3, 3), params["code_window"]))

    def layer(i, x):
        own = params[f"layers_{i}"]
        rows, side = own["kernel"].shape[:2]
        square = np.zeros((side, side, *own["kernel"].shape[2:]))
        square[:rows] = own["kernel"]
        square[rows - 1, side // 2 + 1 :] = 0
        square[rows - 1, side // 2] *= i > 0  # the first layer does not see the pixel itself
        x = correlate(padded(x, side // 2, side // 2), {"kernel": square})
        return x + own["bias"] + seen @ params[f"code_maps_{i}"]["kernel"]

    x = layer(0, 2.0 * levels - 1.0)
    x = x + layer(3, relu(layer(2, relu(layer(1, relu(x))))))
    return layer(5, relu(layer(4, relu(x))))


def losses_to_images(decoder):
    def losses(batch, drawn):
        (noise,) = drawn
        x, y = np.float64(batch.images), np.float64(batch.second_images)
        levels = (x >= 0.5).astype(np.float64)
        assert noise.shape == x.shape

        def mapped(p):
            return np_to_images(p["encoder"], x + NOISE * noise)

        def reconstruction(p):
            if decoder == "deterministic":
                x_hat = np_to_images(p["decoder"], mapped(p))
                return 0.5 * np.square(x_hat - x).sum(axis=(1, 2, 3)).mean()
            logits = np_pixelcnn(p["decoder"], levels, mapped(p))
            return softplus(np.where(levels == 1, -logits, logits)).sum(axis=(1, 2, 3)).mean()

        def discriminator(p):
            d_real, d_fake = (np_to_patches(p["discriminator"], z) for z in (y, mapped(p)))
            return (softplus(-d_real) + softplus(d_fake)).mean()

        def generator(p):
            return softplus(-np_to_patches(p["discriminator"], mapped(p))).mean()

        own = {"discriminator": discriminator, "generator": generator}
        return own if decoder == "none" else {"reconstruction": reconstruction, **own}

    return losses


def trained(*phases):
    return {phase: TRAINS[phase] for phase in phases}


@pytest.mark.parametrize("decoder", ["pixelcnn", "deterministic", "none"])
def test_updates_to_images_match_numpy(draws, batches, decoder):
    parts = {"encoder": ToImages(), "discriminator": ToPatches()}
    if decoder == "deterministic":
        parts["decoder"] = ToImages()
    method = tiny(IMAGES, decoder, parts, **{"decoder.head": "bernoulli"})
    phases = ("reconstruction", "discriminator", "generator")[decoder == "none" :]
    draws.clear()  # the parts were tried
    batches = batches[:1] if decoder == "pixelcnn" else batches
    check_updates(method, batches, draws, losses_to_images(decoder), trained(*phases), RATES)


def losses_to_labels(decoder):
    def losses(batch, drawn):
        categories, noise, labelled_noise = drawn
        x, labelled = np.float64(batch.images), np.float64(batch.labelled_images)
        labels, y = np.asarray(batch.labels), np.eye(3)[categories.astype(int)]

        def mapped(p):
            return softmax(np_heads(p["encoder"], x + NOISE * noise)[0])

        def reconstruction(p):
            x_hat = np_decoder(p["decoder"], mapped(p))
            return 0.5 * np.square(x_hat - x.reshape(len(x), -1)).sum(axis=1).mean()

        def discriminator(p):
            d_real, d_fake = (np_discriminator(p["discriminator"], z) for z in (y, mapped(p)))
            return (softplus(-d_real) + softplus(d_fake)).mean()

        def generator(p):
            return softplus(-np_discriminator(p["discriminator"], mapped(p))).mean()

        def classification(p):
            logits = np_heads(p["encoder"], labelled + NOISE * labelled_noise)[0]
            return -np.log(softmax(logits)[np.arange(len(labels)), labels]).mean()

        own = {
            "discriminator": discriminator,
            "generator": generator,
            "classification": classification,
        }
        return own if decoder == "none" else {"reconstruction": reconstruction, **own}

    return losses


@pytest.mark.parametrize("decoder", ["deterministic", "none"])
def test_updates_to_labels_match_numpy(draws, batches, decoder):
    parts = {"encoder": Encoder((5,), (3,), weight_init="he_normal")}
    method = tiny(LABELS, decoder, parts)
    phases = tuple(TRAINS)[decoder == "none" :]
    draws.clear()
    check_updates(method, batches, draws, losses_to_labels(decoder), trained(*phases), RATES)


def test_to_labels_with_a_pixelcnn_it_is_the_semi_supervised_pixelgan_autoencoder(batches):
    ours = tiny(LABELS)
    config = methods.default_config("pixelgan")
    config.update_from_flattened_dict(
        {
            "encoder_features": (3,),
            "encoder_dense": 4,
            "discriminator_hidden": (4,),
            "input_noise": NOISE,
            "decoder.num_blocks": 1,
            "decoder.features": 4,
            "decoder.head": "categorical",
            "schedule.name": "constant",
        }
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    theirs = methods.build("pixelgan", config, spec=LABELS)
    states = [jax.jit(method.init)(jax.random.key(0)) for method in (ours, theirs)]
    jax.tree.map(np.testing.assert_array_equal, states[0].params, states[1].params)
    for i, batch in enumerate(batches):
        pairs = [
            jax.jit(method.train_step)(state, batch, jax.random.key(i))
            for method, state in zip((ours, theirs), states)
        ]
        states = [state for state, _ in pairs]
        assert set(pairs[0][1]) == set(pairs[1][1]) == {f"{phase}/loss" for phase in TRAINS}
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5), *[m for _, m in pairs]
        )
    for ours_, theirs_ in zip(states[0][1:3], states[1][1:3]):  # parameters and statistics
        jax.tree.map(
            lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-6), ours_, theirs_
        )
    np.testing.assert_allclose(
        ours.classify(states[0], batches[0].images),
        theirs.classify(states[1], batches[0].images),
        rtol=1e-4,
    )


@pytest.mark.parametrize(
    ("spec", "decoder"),
    [(IMAGES, "pixelcnn"), (IMAGES, "deterministic"), (IMAGES, "none"), (LABELS, "none")],
)
def test_every_network_keeps_the_statistics_of_one_pass(spec, decoder, batches):
    method = tiny(spec, decoder)
    state = jax.jit(method.init)(jax.random.key(0))
    after, _ = jax.jit(method.train_step)(state, batches[0], jax.random.key(1))
    normalised = {name for name, stats in state.batch_stats.items() if stats}
    assert "encoder" in normalised and ("discriminator" in normalised) == (spec is IMAGES)
    for name in normalised:
        before, now = (jax.tree.leaves(s.batch_stats[name]) for s in (state, after))
        assert not any(map(np.array_equal, before, now)), name


def test_what_a_mapping_has_follows_its_decoder_and_its_second_domain(batches):
    x = batches[0].images
    for spec, shape in ((IMAGES, (5, 4, 4, 1)), (LABELS, (5, 3))):
        for decoder in ("pixelcnn", "deterministic", "none"):
            method = tiny(spec, decoder)
            state = jax.jit(method.init)(jax.random.key(0))
            (y,) = method.encode(state, x)
            assert y.shape == shape and 0 <= y.min() <= y.max() <= 1
            assert not np.array_equal(y, method.encode(state, x, jax.random.key(1))[0])
            assert method.discriminate(state, y).shape == (5,)
            assert (method.classify is None) == (spec is IMAGES)
            assert (method.decode is None) == (method.evaluate is None) == (decoder == "none")
            assert (method.log_prob is None) == (decoder != "pixelcnn")
            if decoder == "none":
                continue
            key = (jax.random.key(0),) if decoder == "pixelcnn" else ()
            made = method.decode(state, y, *key)
            assert made.shape == x.shape
            expected = (
                -method.log_prob(state, x, y)
                if decoder == "pixelcnn"
                else 0.5 * jnp.square(made - x).sum(axis=(1, 2, 3))
            )
            np.testing.assert_allclose(method.evaluate(state, x)[:, 0], expected, rtol=1e-5)


@pytest.mark.parametrize(
    ("spec", "changes", "message"),
    [
        (IMAGES._replace(second_shape=None), {"second_domain": "images"}, "needs a second domain"),
        (IMAGES._replace(second_shape=(4, 4, 3)), {}, "are 4 x 4 x 1 and 4 x 4 x 3: give them one"),
        (IMAGES._replace(second_shape=(2, 2, 1)), {}, "are 4 x 4 x 1 and 2 x 2 x 1: give them one"),
        (
            IMAGES._replace(image_shape=(7, 6, 1), second_shape=(7, 6, 1)),
            {},
            "images of 7 x 6 x 1 do not allow: prepare them with sides that 2 divides",
        ),
        (IMAGES._replace(labelled=True), {}, "labels are no pairs of images"),
        (IMAGES, {"second_domain": "labels"}, "second domain, and model.second_domain is 'labels'"),
        (LABELS._replace(num_classes=1), {}, "at least 2 classes, and the data have 1"),
        (LABELS, {"head_scale": 0.0}, "head_scale is 0.0; it must be positive"),
        (LABELS._replace(scaling="symmetric"), {}, "data.scaling is 'symmetric'"),
        (IMAGES, {"second_domain": "sounds"}, "unknown model.second_domain 'sounds'"),
        (IMAGES, {"decoder.name": "vae"}, "unknown model.decoder.name 'vae'"),
        (IMAGES, {"image_discriminator.logits": "pixels"}, "unknown model.image_discriminator"),
        (IMAGES, {"image_discriminator.features": ()}, "features is empty"),
        (IMAGES, {"decoder.num_levels": 5}, "cannot have 5 levels on data of 2"),
        (IMAGES, {"init": "zeros"}, "unknown weight init"),
    ],
)
def test_bad_settings_are_one_line(spec, changes, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(spec, **changes)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("decoder", "message"),
    [("none", "has no part 'decoder' to replace"), ("pixelcnn", "'decoder' must be a PixelCNN")],
)
def test_a_decoder_of_ones_own_must_be_of_the_configs_kind(decoder, message):
    with pytest.raises(UserError, match=message):
        tiny(IMAGES, decoder, {"decoder": ToImages()})


def test_batches_without_the_second_domain_are_refused(batches):
    method = tiny(IMAGES)
    for second, message in (
        (None, "built for two domains and got images of one"),
        (batches[0].second_images[:, :2], r"second_images have shape \(5, 2, 4, 1\)"),
    ):
        with pytest.raises(UserError, match=message):
            method.check(batches[0]._replace(second_images=second))
