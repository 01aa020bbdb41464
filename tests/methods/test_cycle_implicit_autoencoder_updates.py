"""The cycle implicit autoencoder's updates against NumPy, its networks written out anew."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import check_updates, softplus

SPEC = methods.DataSpec((8, 8, 1), scaling="symmetric", second_shape=(8, 8, 1))
NOISE = 0.1  # inside the discriminators
WEIGHT = 3.0
TRAINS = {
    "reconstruction_discriminator": ("reconstruction_discriminator",),
    "regularization_discriminator": ("regularization_discriminator",),
    "autoencoder": ("encoder", "decoder"),
}
RATES = {
    "reconstruction_discriminator": (0.05, 0.5),
    "regularization_discriminator": (0.1, 0.1),
    "autoencoder": (0.06, 0.9),
}


def tiny(**changes):
    config = methods.default_config("cycle_implicit_autoencoder")
    config.update_from_flattened_dict(
        {
            "decoder_noise_dim": 2,
            "encoder_noise_dim": 0,
            "reconstruction_weight": WEIGHT,
            "generator.features": 1,
            "generator.num_blocks": 1,
            "init": "he_normal",
        }
        | {
            f"{name}_discriminator.{field}": value
            for name in ("reconstruction", "regularization")
            for field, value in {"features": (2, 3), "noise": NOISE}.items()
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("cycle_implicit_autoencoder", config, spec=SPEC)


def losses_alone(method):
    """Without the parts of a loss, which the reference does not return."""

    def train_step(state, batch, key):
        state, metrics = method.train_step(state, batch, key)
        if "autoencoder/loss" in metrics:
            total = WEIGHT * metrics["autoencoder/reconstruction"]
            total += metrics["autoencoder/regularization"]
            np.testing.assert_allclose(metrics["autoencoder/loss"], total, rtol=1e-5)
        return state, {k: v for k, v in metrics.items() if k.endswith("/loss")}

    return method._replace(train_step=train_step)


def correlate(x, params, stride=1):
    """``kernel`` moved over x, which is padded already."""
    kernel = params["kernel"]
    height, width = ((n - k) // stride + 1 for n, k in zip(x.shape[1:3], kernel.shape))
    out = np.zeros((len(x), height, width, kernel.shape[3])) + params.get("bias", 0.0)
    for i, j in np.ndindex(*kernel.shape[:2]):
        out += (
            x[:, i : i + stride * height : stride, j : j + stride * width : stride] @ kernel[i, j]
        )
    return out


def padded(x, before, after, mode="constant"):
    return np.pad(x, ((0, 0), (before, after), (before, after), (0, 0)), mode=mode)


def spread(x):
    """With zeros between the pixels, one row and column more before them than behind."""
    out = np.zeros((len(x), 2 * x.shape[1] - 1, 2 * x.shape[2] - 1, x.shape[3]))
    out[:, ::2, ::2] = x
    return padded(out, 2, 1)


def standardised(x):
    return (x - x.mean(axis=(0, 1, 2))) / np.sqrt(x.var(axis=(0, 1, 2)) + 1e-5)


def dense(params, x):
    return x @ params["kernel"] + params["bias"]


def np_generator(params, images, noise=None):
    layers = iter(range(100))

    def normalised(x):
        p = params[f"ConditionalBatchNorm_{next(layers)}"]
        if noise is None:
            return standardised(x) * p["BatchNorm_0"]["scale"] + p["BatchNorm_0"]["bias"]
        assert "BatchNorm_0" not in p
        gamma, beta = (dense(p[name], noise)[:, None, None] for name in ("gamma", "beta"))
        return gamma * standardised(x) + beta

    def relu(x):
        return np.maximum(x, 0)

    blocks = sum(name.startswith("Conv_") for name in params) - 4
    x = relu(normalised(correlate(padded(images, 3, 3, "reflect"), params["Conv_0"])))
    for i in (1, 2):
        x = relu(normalised(correlate(padded(x, 1, 1), params[f"Conv_{i}"], stride=2)))
    for i in range(3, 3 + blocks, 2):
        y = relu(normalised(correlate(padded(x, 1, 1, "reflect"), params[f"Conv_{i}"])))
        x = x + normalised(correlate(padded(y, 1, 1, "reflect"), params[f"Conv_{i + 1}"]))
    for i in (0, 1):
        x = relu(normalised(correlate(spread(x), params[f"ConvTranspose_{i}"])))
    return np.tanh(correlate(padded(x, 3, 3, "reflect"), params[f"Conv_{3 + blocks}"]))


def np_discriminator(params, images, noise):
    """Logits [b, 2, 2] of images or of pairs, beside one another in their channels."""

    def leaky(x):
        return np.where(x > 0, x, 0.2 * x)

    of_images, *of_layers = (NOISE * draw for draw in noise)
    x = correlate(padded(images + of_images, 1, 1), params["Conv_0"], stride=2)
    x = leaky(x) + of_layers[0]
    x = standardised(correlate(padded(x, 1, 1), params["Conv_1"], stride=2))
    x = leaky(x * params["BatchNorm_0"]["scale"] + params["BatchNorm_0"]["bias"]) + of_layers[1]
    return correlate(padded(x, 1, 2), params["Conv_2"])[..., 0]


def losses(batch, drawn, compared="pairs", noisy="decoder"):
    noise, *inside = drawn
    x, z = np.float64(batch.images), np.float64(batch.second_images)
    assert noise.shape == (len(x), 2)
    assert len(inside) == (6 if compared == "l1" else 12)  # three a pass through a discriminator
    epsilon, n = (noise, None) if noisy == "encoder" else (None, noise)
    targets = []

    def autoencode(p):
        z_hat = np_generator(p["encoder"], x, epsilon)
        targets.append(z_hat)  # the first is at the parameters before the phase
        return z_hat, np_generator(p["decoder"], z_hat, n)

    def game(p, name, real, fake, draws):
        both = np.concatenate([real, fake])
        return np.split(np_discriminator(p[f"{name}_discriminator"], both, draws), 2)

    def pairs(p, z_hat, x_hat, draws):
        real, fake = (x, targets[0]), (x_hat, z_hat)
        if compared == "marginal":
            real, fake = real[:1], fake[:1]
        real, fake = (np.concatenate(part, axis=-1) for part in (real, fake))
        return game(p, "reconstruction", real, fake, draws)

    def reconstruction_discriminator(p):
        d_real, d_fake = pairs(p, *autoencode(p), inside[:3])
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def regularization_discriminator(p):
        own = inside[:3] if compared == "l1" else inside[3:6]
        d_real, d_fake = game(p, "regularization", z, autoencode(p)[0], own)
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def autoencoder(p):
        z_hat, x_hat = autoencode(p)
        if compared == "l1":
            reconstruction = np.abs(x_hat - x).mean()
        else:
            reconstruction = softplus(-pairs(p, z_hat, x_hat, inside[6:9])[1]).mean()
        _, d_code = game(p, "regularization", z, z_hat, inside[-3:])
        return WEIGHT * reconstruction + softplus(-d_code).mean()

    found = {
        "regularization_discriminator": regularization_discriminator,
        "autoencoder": autoencoder,
    }
    if compared == "l1":
        return found
    return {"reconstruction_discriminator": reconstruction_discriminator, **found}


@pytest.fixture(scope="module")
def batch():
    x, z = np.random.default_rng(0).uniform(-1, 1, size=(2, 3, 8, 8, 1))
    return Batch(jnp.asarray(x, jnp.float32), second_images=jnp.asarray(z, jnp.float32))


def test_updates_match_numpy(draws, batch):
    check_updates(losses_alone(tiny()), [batch], draws, losses, TRAINS, RATES)


@pytest.mark.parametrize("reconstruction", ["marginal", "l1"])
def test_updates_of_what_the_paper_argues_with_match_numpy(draws, batch, reconstruction):
    """With a stochastic encoder and a deterministic decoder, as in figure 9."""

    def compared(batch, drawn):
        return losses(batch, drawn, reconstruction, noisy="encoder")

    changes = {"encoder_noise_dim": 2, "decoder_noise_dim": 0, "generator.num_blocks": 0}
    method = tiny(reconstruction=reconstruction, **changes)
    trains = dict(TRAINS)
    if reconstruction == "l1":
        del trains["reconstruction_discriminator"]
    check_updates(losses_alone(method), [batch], draws, compared, trains, RATES)


class SeesRealPairsAlone(nn.Module):
    """Logits, of all pairs of a batch as batch norm's are, that depend on the codes beside images
    brighter than any decoder's."""

    @nn.compact
    def __call__(self, images, codes, *, train):
        weight = self.param("weight", nn.initializers.ones, (8, 8, 1))
        bright = images.max(axis=(1, 2, 3)) > 2
        seen = jnp.where(bright, (codes * weight).sum(axis=(1, 2, 3)), 0.0)
        return jnp.full(len(images), 1.0) * seen.mean()


class SeesNothing(nn.Module):
    """Logits of zero."""

    @nn.compact
    def __call__(self, images, *, train):
        return 0.0 * images.sum(axis=(1, 2, 3)) * self.param("weight", nn.initializers.ones, ())


def test_the_positive_pair_gives_encoder_and_decoder_a_gradient_of_exactly_zero(batch):
    config = methods.default_config("cycle_implicit_autoencoder")
    config.generator.update(features=1, num_blocks=0)
    method = methods.build(
        "cycle_implicit_autoencoder",
        config,
        spec=SPEC,
        parts={
            "reconstruction_discriminator": SeesRealPairsAlone(),
            "regularization_discriminator": SeesNothing(),
        },
        optimizers={"autoencoder": optax.trace(0.0)},  # its updates are the gradients
    )
    state = method.init(jax.random.key(0))
    bright = batch._replace(images=batch.images + 30.0)
    after, metrics = jax.jit(method.train_step)(state, bright, jax.random.key(1))
    for name in ("encoder", "decoder"):
        same = jax.tree.map(jnp.array_equal, after.params[name], state.params[name])
        assert all(map(bool, jax.tree.leaves(same))), name
    # The discriminator does see the pairs.
    assert abs(metrics["reconstruction_discriminator/loss"] - 2 * np.log(2)) > 1e-4
