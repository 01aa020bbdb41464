"""The PixelGAN autoencoder's updates against NumPy, its PixelCNN written out anew."""

import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_discriminator,
    np_heads,
    softmax,
    softplus,
)

SPEC = methods.DataSpec((3, 2, 1), 3, num_levels=2, labelled=True)
NOISE = 0.3
TRAINS = {
    "reconstruction": ("encoder", "decoder"),
    "discriminator": ("discriminator",),
    "generator": ("encoder",),
    "classification": ("encoder",),
}
RATES = {
    "reconstruction": (0.2, 0.9),
    "discriminator": (0.5, 0.1),
    "generator": (0.4, 0.2),
    "classification": (0.3, 0.8),
}


def tiny(conditioning, **changes):
    config = methods.default_config("pixelgan")
    config.update_from_flattened_dict(
        {
            "encoder": "mlp",
            "encoder_hidden": (5,),
            "discriminator_hidden": (4,),
            "encoder_batch_norm": False,
            "input_noise": NOISE,
            "decoder.num_blocks": 1,
            "decoder.features": 4,
            "decoder.conditioning": conditioning,
            "schedule.name": "constant",
        }
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    config.update(changes)
    return methods.build("pixelgan", config, spec=SPEC)


def masked_conv(params, x, sees_itself):
    """[b, h, w, in] -> [b, h, w, out]: every pixel from those above it and to its left."""
    kernel = params["kernel"]
    rows, side = kernel.shape[:2]
    height, width = x.shape[1:3]
    out = np.zeros((*x.shape[:3], kernel.shape[3])) + params["bias"]
    for row, column in np.ndindex(rows, side):
        down, right = row - (rows - 1), column - side // 2
        if down == 0 and (right > 0 or (right == 0 and not sees_itself)):
            continue
        for i, j in np.ndindex(height, width):
            if 0 <= i + down < height and 0 <= j + right < width:
                out[:, i, j] += x[:, i + down, j + right] @ kernel[row, column]
    return out


def np_pixelcnn(params, levels, z):
    """Logits [b, h, w, 1] of level 1: a 7x7 mask A, one block of 1x1, 3x3 and 1x1, two 1x1."""
    spatial = "code_map" in params

    def layer(i, x, sees_itself=True):
        x = masked_conv(params[f"layers_{i}"], x, sees_itself)
        if not spatial:
            return x + (z @ params[f"code_maps_{i}"]["kernel"])[:, None, None]
        if i:
            return x
        hidden, out = params["code_map"]["Dense_0"], params["code_map"]["Dense_1"]
        h = np.maximum(z @ hidden["kernel"] + hidden["bias"], 0)
        return x + (h @ out["kernel"] + out["bias"]).reshape(*x.shape[:3], 1)

    def relu(x):
        return np.maximum(x, 0)

    x = layer(0, 2.0 * levels - 1.0, sees_itself=False)
    x = x + layer(3, relu(layer(2, relu(layer(1, relu(x))))))
    return layer(5, relu(layer(4, relu(x))))


def losses(batch, drawn):
    noise, categories, labelled_noise = drawn
    images, labelled = np.float64(batch.images), np.float64(batch.labelled_images)
    labels, real = np.asarray(batch.labels), np.eye(3)[categories.astype(int)]
    levels = (images >= 0.5).astype(np.float64)  # binarised at 0.5
    assert noise.shape == images.shape
    assert labelled_noise.shape == labelled.shape

    def code(p):
        return softmax(np_heads(p["encoder"], images + NOISE * noise)[0])

    def reconstruction(p):
        logits = np_pixelcnn(p["decoder"], levels, code(p))
        return softplus(np.where(levels == 1, -logits, logits)).sum(axis=(1, 2, 3)).mean()

    def discriminator(p):
        d_real, d_fake = (np_discriminator(p["discriminator"], z) for z in (real, code(p)))
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def classification(p):
        logits = np_heads(p["encoder"], labelled + NOISE * labelled_noise)[0]
        return -np.log(softmax(logits)[np.arange(len(labels)), labels]).mean()

    return {
        "reconstruction": reconstruction,
        "discriminator": discriminator,
        "generator": lambda p: softplus(-np_discriminator(p["discriminator"], code(p))).mean(),
        "classification": classification,
    }


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [
        Batch(
            jnp.asarray(rng.uniform(size=(5, 3, 2, 1)), jnp.float32),
            jnp.asarray(rng.uniform(size=(4, 3, 2, 1)), jnp.float32),
            jnp.asarray([0, 2, 1, 2], jnp.int32),
        )
        for _ in range(2)
    ]


def test_updates_match_numpy(draws, batches):
    method = tiny("location_invariant", head_batch_norm=False)
    check_updates(method, batches, draws, losses, TRAINS, RATES)


def test_updates_match_numpy_with_a_map_over_space(draws, batches, monkeypatch):
    from aae_jax.networks import pixelcnn

    monkeypatch.setattr(pixelcnn.PixelCNN, "map_hidden", 3)
    with pytest.warns(UserWarning, match="location-invariant"):
        method = tiny("location_dependent", head_batch_norm=False)
    check_updates(method, batches[:1], draws, losses, TRAINS, RATES)


def test_classification_is_of_these_labels_and_of_no_permutation_of_them(draws, batches):
    method = tiny("location_invariant", head_batch_norm=False)
    permuted = batches[0]._replace(labels=jnp.asarray([1, 0, 2, 0], jnp.int32))

    def of_the_others(batch, drawn):
        return losses(batch._replace(labels=permuted.labels), drawn)

    with pytest.raises(AssertionError, match="classification/loss"):
        check_updates(method, batches[:1], draws, of_the_others, TRAINS, RATES)
