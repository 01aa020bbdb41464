"""The implicit autoencoder: who changes in which phase, the four cases, a toy that it must solve,
and settings that it refuses."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import data, methods
from aae_jax.core import Batch, named_key
from aae_jax.data import toys
from aae_jax.errors import UserError
from aae_jax.optimizers import adam, sgd

SPEC = methods.DataSpec((4, 4, 1), 3, labelled=False)
PHASES = {
    "reconstruction_discriminator": {"reconstruction_discriminator"},
    "reconstruction": {"encoder", "decoder"},
    "regularization_discriminator": {"regularization_discriminator"},
    "regularization": {"encoder"},
    "classification": {"encoder"},
}


def tiny(spec=SPEC, optimizers=None, **changes):
    config = methods.default_config("implicit_autoencoder")
    config.update_from_flattened_dict(
        {
            "code_dim": 2,
            "decoder_noise_dim": 3,
            "encoder.dense": (6,),
            "decoder.dense": (5,),
            "decoder.features": (4,),
            "reconstruction_discriminator.features": (3,),
            "reconstruction_discriminator.dense": (4,),
            "reconstruction_discriminator.conditioning": "location_invariant",
            "discriminator_hidden": (4,),
        }
        | changes
    )
    return methods.build("implicit_autoencoder", config, spec=spec, optimizers=optimizers)


@pytest.fixture(scope="module")
def images():
    return jnp.asarray(np.random.default_rng(0).uniform(size=(6, 4, 4, 1)), jnp.float32)


@pytest.mark.parametrize("phase", PHASES)
def test_a_phase_changes_its_own_networks_only(phase, images):
    still = {other: optax.set_to_zero() for other in PHASES if other != phase}
    method = tiny(SPEC._replace(labelled=True), still, prior="categorical")
    state = method.init(jax.random.key(0))
    batch = Batch(images, images[:3], jnp.asarray([0, 1, 2]))
    after, _ = jax.jit(method.train_step)(state, batch, jax.random.key(1))
    changed = {
        name
        for name, before in state.params.items()
        if not all(
            map(jnp.array_equal, jax.tree.leaves(before), jax.tree.leaves(after.params[name]))
        )
    }
    assert changed == PHASES[phase]


def test_the_decoder_is_trained_alone_at_first(images):
    spec = SPEC._replace(updates_per_epoch=10, epochs=4)
    method = tiny(spec, regularized=False, decoder_alone=0.25, backpropagate="both")
    state = jax.jit(method.init)(jax.random.key(0))
    for step, changes in ((9, False), (10, True)):
        at = state._replace(step=jnp.int32(step))
        after, _ = jax.jit(method.train_step)(at, Batch(images), jax.random.key(1))
        same = jax.tree.map(jnp.array_equal, state.params["encoder"], after.params["encoder"])
        assert all(jax.tree.leaves(same)) != changes


@pytest.mark.parametrize("noise", [0, 3])
@pytest.mark.parametrize("regularized", [False, True])
def test_the_four_cases(noise, regularized, images):
    method = tiny(decoder_noise_dim=noise, regularized=regularized)
    state, metrics = jax.jit(method.train_step)(
        method.init(jax.random.key(0)), Batch(images), jax.random.key(1)
    )
    of_code = {"regularization_discriminator/loss", "regularization/loss"}
    of_pairs = {"reconstruction_discriminator/loss", "reconstruction/loss"}
    assert set(metrics) == (of_pairs | of_code if regularized else of_pairs)
    assert (method.sample is None) == (method.discriminate is None) == (not regularized)
    (z,) = method.encode(state, images)
    first, again, other = (method.decode(state, z, jax.random.key(key)) for key in (1, 1, 2))
    np.testing.assert_array_equal(first, again)
    assert bool(jnp.array_equal(first, other)) == (noise == 0)
    assert method.evaluate(state, images).shape == (6, 1)
    if regularized:
        assert method.sample(state, jax.random.key(0), 5).shape == (5, 4, 4, 1)


def test_a_stochastic_encoder_draws_its_codes(images):
    method = tiny(encoder_noise_dim=4)
    state = method.init(jax.random.key(0))
    (mean,), (first,), (other,) = (
        method.encode(state, images, key) for key in (None, jax.random.key(1), jax.random.key(2))
    )
    assert not jnp.allclose(first, other) and not jnp.allclose(first, mean)
    assert method.classify is None  # a Gaussian code


@pytest.fixture(scope="module")
def ring():
    """A method and its state after 1,500 updates on seven Gaussians on a ring."""
    config = methods.default_config("implicit_autoencoder")
    config.update_from_flattened_dict(
        {
            "prior": "categorical",
            "decoder_noise_dim": 10,
            "encoder_rate": 0.05,
            "encoder.dense": (64,),
            "encoder.head_batch_norm": "shared",
            "decoder.dense": (64, 64),
            "decoder.features": (),
            "decoder.batch_norm": "",
            "decoder.output": "linear",
            "reconstruction_discriminator.features": (),
            "reconstruction_discriminator.dense": (64, 64),
            "reconstruction_discriminator.batch_norm": "",
            "reconstruction_discriminator.conditioning": "location_invariant",
            "discriminator_hidden": (64,),
        }
    )
    with config.unlocked():
        for game, rates in (
            ("reconstruction", adam(0.001, 0.5)),
            ("regularization", sgd(0.1, 0.1)),
        ):
            config.optimizers[game] = config.optimizers[f"{game}_discriminator"] = rates
    spec = methods.DataSpec((2,), 7, labelled=False)
    method = methods.build("implicit_autoencoder", config, spec=spec)
    points = jnp.asarray(data.load("toys/ring7").train.images)

    def update(state, key):
        index = jax.random.randint(named_key(key, "batch"), (128,), 0, len(points))
        return method.train_step(state, Batch(points[index]), key)

    keys = jax.random.split(jax.random.key(1), 1500)
    train = jax.jit(lambda state: jax.lax.scan(update, state, keys)[0])
    return method, train(method.init(jax.random.key(0)))


def test_every_mode_of_a_mixture_is_found_by_a_category_of_its_own(ring):
    method, state = ring
    codes = np.repeat(np.arange(7), 300)
    samples = method.decode(state, jnp.eye(7)[codes], jax.random.key(2))
    distances = np.linalg.norm(
        np.asarray(samples)[:, None] - toys.ring_means("toys/ring7"), axis=-1
    )
    nearest = distances.argmin(axis=1)
    counts = np.zeros((7, 7))
    np.add.at(counts, (codes, nearest), 1)
    assert set(counts.argmax(axis=1)) == set(range(7))  # all modes, each of one category
    assert counts.max(axis=1).min() > 0.95 * 300
    assert (distances.min(axis=1) < 3 * toys.ring_std("toys/ring7")).mean() > 0.85


def test_the_encoder_clusters_the_mixture(ring):
    method, state = ring
    test = data.load("toys/ring7").test
    clusters = np.asarray(method.classify(state, jnp.asarray(test.images))).argmax(axis=1)
    counts = np.zeros((7, 7))
    np.add.at(counts, (clusters, test.labels), 1)
    assert counts.max(axis=1).sum() > 0.98 * len(test.labels)


@pytest.mark.parametrize(
    ("changes", "labelled", "message"),
    [
        ({"decoder_noise_dim": -1}, False, "decoder_noise_dim is -1; it must be at least 0"),
        ({"encoder_noise_dim": -2}, False, "encoder_noise_dim is -2; it must be at least 0"),
        ({"prior": "categorical", "num_categories": 4}, True, "3 classes, not a categorical one"),
        ({}, True, "3 classes, not a gaussian one of 2"),
        ({"prior": "uniform"}, False, "unknown model.prior"),
        ({"code_dim": 0}, False, "code_dim is 0"),
        ({"prior_std": 0.0}, False, "prior_std is 0.0"),
        ({"backpropagate": "positive"}, False, "unknown model.backpropagate"),
        ({"encoder.features": (2, 2, 2)}, False, "encoder.features has 3 convolutions"),
        ({"reconstruction_discriminator.one_batch": False}, False, "one mean logit"),
        (
            {
                "reconstruction_discriminator.features": (),
                "reconstruction_discriminator.conditioning": "location_dependent",
            },
            False,
            "which a vector has not",
        ),
        (
            {
                "reconstruction_discriminator.features": (),
                "reconstruction_discriminator.dense": (),
            },
            False,
            "no layer that the code could enter",
        ),
        ({"decoder_alone": 0.5}, False, "model.decoder_alone needs the length of the run"),
        ({"decoder_noise_rise": (0.5,)}, False, "model.decoder_noise_rise is .0.5,.: give the two"),
        ({"encoder.head_batch_norm": "all"}, False, "unknown model.encoder.head_batch_norm"),
        ({"decoder.output": "relu"}, False, "unknown model.decoder.output"),
        ({"decoder.output": "tanh"}, False, "does not end where the data lie.*'sigmoid'"),
    ],
)
def test_bad_settings_are_one_line(changes, labelled, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(SPEC._replace(labelled=labelled), **changes)
    assert "\n" not in str(error.value)
