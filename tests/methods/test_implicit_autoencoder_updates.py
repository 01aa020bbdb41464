"""The implicit autoencoder's updates against NumPy."""

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.networks import dcgan
from aae_jax.optimizers import sgd
from tests.methods.numpy_dcgan import np_decoder, np_encoder, np_pairs
from tests.methods.numpy_reference import check_updates, np_discriminator, softmax, softplus

SPEC = methods.DataSpec((4, 2, 1), 3, labelled=True, updates_per_epoch=5, epochs=2)
NOISE = {"input": 0.3, "discriminator": 0.2}
TRAINS = {
    "reconstruction_discriminator": ("reconstruction_discriminator",),
    "reconstruction": ("encoder", "decoder"),
    "regularization_discriminator": ("regularization_discriminator",),
    "regularization": ("encoder",),
    "classification": ("encoder",),
}
RATES = {
    "reconstruction_discriminator": (0.05, 0.5),
    "reconstruction": (0.06, 0.9),
    "regularization_discriminator": (0.1, 0.1),
    "regularization": (0.08, 0.2),
    "classification": (0.04, 0.8),
}
ENCODER_RATE = 0.25
SCALED = RATES | {("reconstruction", "encoder"): (0.06 * ENCODER_RATE, 0.9)}


def tiny(**changes):
    config = methods.default_config("implicit_autoencoder")
    pairs = "reconstruction_discriminator"
    config.update_from_flattened_dict(
        {
            "prior": "categorical",
            "decoder_noise_dim": 2,
            "encoder_noise_dim": 2,
            "input_noise": NOISE["input"],
            "encoder_rate": ENCODER_RATE,
            "encoder.features": (2,),
            "encoder.dense": (5,),
            "encoder.batch_norm": "after_relu",
            "encoder.head_batch_norm": "shared",
            "decoder.dense": (4,),
            "decoder.features": (3,),
            f"{pairs}.features": (3,),
            f"{pairs}.dense": (4,),
            f"{pairs}.conditioning": "location_invariant",
            f"{pairs}.noise": NOISE["discriminator"],
            "discriminator_hidden": (4,),
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return methods.build("implicit_autoencoder", config, spec=SPEC)


def losses(batch, drawn, both=False, std_of_n=1.0):
    input_noise, epsilon, n, categories, *inside, labelled_noise, labelled_epsilon = drawn
    images, labelled = np.float64(batch.images), np.float64(batch.labelled_images)
    labels, real = np.asarray(batch.labels), np.eye(3)[categories.astype(int)]
    assert input_noise.shape == images.shape
    assert epsilon.shape == n.shape == (len(images), 2)
    assert len(inside) == 6  # on the images and after two layers, in both phases of the game
    targets = []

    def code(p):
        return softmax(np_encoder(p["encoder"], images + NOISE["input"] * input_noise, epsilon))

    def pairs(p, noise):
        z = code(p)
        targets.append(z)  # the first is at the parameters before the phase
        target = z if both else targets[0]
        generated = np_decoder(p["decoder"], z, std_of_n * n)
        logits = np_pairs(
            p["reconstruction_discriminator"],
            np.concatenate([images, generated]),
            np.concatenate([target, z]),
            [NOISE["discriminator"] * draw for draw in noise],
        )
        return logits[: len(images)], logits[len(images) :]

    def reconstruction_discriminator(p):
        d_real, d_fake = pairs(p, inside[:3])
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def reconstruction(p):
        d_real, d_fake = pairs(p, inside[3:])
        return (softplus(-d_fake) + both * softplus(d_real)).mean()

    def regularization_discriminator(p):
        d_real, d_fake = (
            np_discriminator(p["regularization_discriminator"], z) for z in (real, code(p))
        )
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def regularization(p):
        return softplus(-np_discriminator(p["regularization_discriminator"], code(p))).mean()

    def classification(p):
        noisy = labelled + NOISE["input"] * labelled_noise
        logits = np_encoder(p["encoder"], noisy, labelled_epsilon)
        return -np.log(softmax(logits)[np.arange(len(labels)), labels]).mean()

    return {
        "reconstruction_discriminator": reconstruction_discriminator,
        "reconstruction": reconstruction,
        "regularization_discriminator": regularization_discriminator,
        "regularization": regularization,
        "classification": classification,
    }


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [
        Batch(
            jnp.asarray(rng.uniform(size=(8, 4, 2, 1)), jnp.float32),
            jnp.asarray(rng.uniform(size=(4, 4, 2, 1)), jnp.float32),
            jnp.asarray([0, 2, 1, 2], jnp.int32),
        )
        for _ in range(2)
    ]


def test_updates_match_numpy_while_the_decoders_noise_rises(draws, batches):
    stds = iter([0.0, 0.2])

    def risen(batch, drawn):
        return losses(batch, drawn, std_of_n=next(stds))

    method = tiny(decoder_noise_rise=(0.0, 0.5))
    check_updates(method, batches, draws, risen, TRAINS, SCALED)


def test_updates_match_numpy_with_a_map_over_space(draws, batches, monkeypatch):
    monkeypatch.setattr(dcgan.PairDiscriminator, "map_hidden", 3)
    method = tiny(**{"reconstruction_discriminator.conditioning": "location_dependent"})
    check_updates(method, batches[:1], draws, losses, TRAINS, SCALED)


def test_updates_through_both_pairs_match_numpy_and_through_one_do_not(draws, batches):
    def through_both(batch, drawn):
        return losses(batch, drawn, both=True)

    method = tiny(backpropagate="both")
    check_updates(method, batches[:1], draws, through_both, TRAINS, SCALED)
    with pytest.raises(AssertionError, match="reconstruction/loss"):
        check_updates(tiny(), batches[:1], draws, through_both, TRAINS, SCALED)


class SeesRealPairsAlone(nn.Module):
    """Logits that depend on the code for images brighter than any decoder's."""

    @nn.compact
    def __call__(self, images, codes, *, train):
        weight = self.param("weight", nn.initializers.ones, (3,))
        return jnp.where(images.max(axis=(1, 2, 3)) > 2, codes @ (weight * jnp.arange(3)), 0.0)


@pytest.mark.parametrize("backpropagate", ["negative", "both"])
def test_the_positive_pair_gives_the_encoder_a_gradient_of_exactly_zero(batches, backpropagate):
    config = methods.default_config("implicit_autoencoder")
    config.update({"prior": "categorical", "backpropagate": backpropagate, "regularized": False})
    config.encoder.dense = (5,)
    config.decoder.features = (3,)
    config.decoder.dense = (4,)
    config.reconstruction_discriminator.features = (3,)
    method = methods.build(
        "implicit_autoencoder",
        config,
        spec=SPEC._replace(labelled=False),
        parts={"reconstruction_discriminator": SeesRealPairsAlone()},
        optimizers={"reconstruction": optax.trace(0.0)},  # its updates are the gradients
    )
    state = method.init(jax.random.key(0))
    bright = Batch(batches[0].images + 3.0)
    after, _ = jax.jit(method.train_step)(state, bright, jax.random.key(1))
    gradients = jax.tree.leaves(
        jax.tree.map(lambda a, b: a - b, after.params["encoder"], state.params["encoder"])
    )
    if backpropagate == "negative":
        assert all((gradient == 0).all() for gradient in gradients)
    else:
        assert max(jnp.abs(gradient).max() for gradient in gradients) > 1e-3
