"""The flipped implicit autoencoder: its updates against NumPy, who changes in which phase, what a
trained model offers, and settings that it refuses."""

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.errors import UserError
from aae_jax.methods.common import noise_rise
from aae_jax.optimizers import sgd, spans_run
from tests.methods.numpy_dcgan import np_decoder, np_encoder, np_head, np_pairs, np_trunk
from tests.methods.numpy_reference import check_updates, dense, softmax, softplus

METHOD = "flipped_implicit_autoencoder"
SPEC = methods.DataSpec((4, 2, 1), 3, updates_per_epoch=5, epochs=2)
TRAINS = {
    "regularization_discriminator": ("discriminator",),
    "regularization": ("generator",),
    "reconstruction_discriminator": ("reconstruction_discriminator",),
    "reconstruction": ("generator", "recognition"),
}
RATES = {
    "regularization_discriminator": (0.1, 0.1),
    "regularization": (0.08, 0.2),
    "reconstruction_discriminator": (0.05, 0.5),
    "reconstruction": (0.02, 0.9),
}
GENERATOR_RATE = 0.25
SCALED = RATES | {("reconstruction", "generator"): (0.02 * GENERATOR_RATE, 0.9)}
NOISE = {"input": 0.3, "images": 0.2, "pairs": 0.1, "codes": 0.15}
RISE = (0.0, 0.5)  # of 10 updates
SHARED = {
    "recognition.shares_trunk": True,
    "recognition.features": (),
    "reconstruction_discriminator.conditioning": "dense",
}
SHARING = TRAINS | {
    "regularization_discriminator": ("discriminator", "trunk"),
    "reconstruction": ("generator", "recognition", "trunk"),
}


def settings(**changes):
    config = methods.default_config(METHOD)
    config.update_from_flattened_dict(
        {
            "generator_noise_dim": 2,
            "recognition_noise_dim": 2,
            "input_noise": NOISE["input"],
            "generator_rate": GENERATOR_RATE,
            "generator.dense": (3,),
            "generator.features": (3,),
            "recognition.features": (2,),
            "recognition.dense": (4,),
            "recognition.head_batch_norm": "shared",
            "discriminator.features": (2,),
            "discriminator.dense": (3,),
            "discriminator.noise": NOISE["images"],
            "reconstruction_discriminator.features": (2,),
            "reconstruction_discriminator.dense": (3,),
            "reconstruction_discriminator.noise": NOISE["pairs"],
            "reconstruction_discriminator.code_noise": NOISE["codes"],
        }
        | changes
    )
    with config.unlocked():
        for phase, rates in RATES.items():
            config.optimizers[phase] = sgd(*rates)
    return config


def tiny(spec=SPEC, optimizers=None, **changes):
    return methods.build(METHOD, settings(**changes), spec=spec, optimizers=optimizers)


@pytest.fixture(scope="module")
def batches():
    rng = np.random.default_rng(0)
    return [Batch(jnp.asarray(rng.uniform(size=(5, 4, 2, 1)), jnp.float32)) for _ in range(2)]


def losses(batch, drawn, step=0, both=False, shares=False, apart=False):
    """``apart``: images by the moments of their own kind, without noise inside the trunk."""
    categories, n, epsilon, *drawn = drawn
    if apart:
        inside_images = [0.0] * 3, [0.0] * 3
    else:
        inside_images, drawn = (drawn[:3], drawn[3:6]), drawn[6:]
    images, z = np.float64(batch.images), np.eye(3)[categories.astype(int)]
    n, epsilon = min(step / 5, 1.0) * n, min(step / 5, 1.0) * epsilon
    first_x = []

    def scaled(draws, where):
        return [NOISE[where] * draw for draw in draws]

    def generated(p, z=z):
        return np_decoder(p["generator"], z, n)

    def discriminate_images(p, z, noise):
        seen, noise = np.concatenate([images, generated(p, z)]), scaled(noise, "images")
        if shares:
            parts = np.split(seen, 2) if apart else [seen]
            features = np.concatenate([np_trunk(p["trunk"], part, noise, apart) for part in parts])
            logits = dense(p["discriminator"]["Layer_0"]["Dense_0"], features)[:, 0]
        else:
            logits = np_pairs(p["discriminator"], seen, None, noise)
        return logits[: len(images)], logits[len(images) :]

    def regularization_discriminator(p, z=z):
        d_real, d_fake = discriminate_images(p, z, inside_images[0])
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def regularization(p, z=z):
        return softplus(-discriminate_images(p, z, inside_images[1])[1]).mean()

    def outputs(p, x, input_noise, inside_images):
        noisy = x + NOISE["input"] * input_noise
        if not shares:
            return np_encoder(p["recognition"], noisy, epsilon)
        if apart:
            features = np_trunk(p["trunk"], noisy, [0.0] * 3, before_relu=True)
            return np_head(p["recognition"], features, epsilon)
        both = np.concatenate([images, noisy])
        features = np_trunk(p["trunk"], both, scaled(inside_images, "images"))[len(images) :]
        return np_head(p["recognition"], features, epsilon)

    def pairs(p, drawn):
        input_noise, *inside_images, on_codes = drawn[:-3]
        x = generated(p)
        target = x if both else first_x[0]
        codes = softmax(outputs(p, x, input_noise, inside_images))
        logits = np_pairs(
            p["reconstruction_discriminator"],
            np.concatenate([target, x]),
            np.concatenate([z, codes]) + NOISE["codes"] * on_codes,
            scaled(drawn[-3:], "pairs"),
            joined="dense" if shares else "conv",
        )
        return logits[: len(z)], logits[len(z) :]

    def reconstruction_discriminator(p):
        first_x.append(generated(p))  # at the parameters that the phase finds
        d_real, d_fake = pairs(p, drawn[: len(drawn) // 2])
        return (softplus(-d_real) + softplus(d_fake)).mean()

    def reconstruction(p):
        d_real, d_fake = pairs(p, drawn[len(drawn) // 2 :])
        return (softplus(-d_fake) + both * softplus(d_real)).mean()

    return {
        "regularization_discriminator": regularization_discriminator,
        "regularization": regularization,
        "reconstruction_discriminator": reconstruction_discriminator,
        "reconstruction": reconstruction,
    }


def test_updates_match_numpy_while_both_noises_rise(draws, batches):
    steps = iter(range(10))

    def risen(batch, drawn):
        return losses(batch, drawn, step=next(steps))

    method = tiny(recognition_noise_rise=RISE, generator_noise_rise=RISE)
    check_updates(method, batches, draws, risen, TRAINS, SCALED)
    config = settings(recognition_noise_rise=(0.1, 0.6))
    assert spans_run(config) and not spans_run(settings())
    assert spans_run(settings(generator_noise_rise=RISE))
    std = noise_rise((0.1, 0.6), SPEC, "recognition_noise_rise")
    stds = [std(step) for step in (0, 1, 3, 6, 9)]
    np.testing.assert_allclose(stds, [0, 0, 0.4, 1, 1], rtol=1e-6)


def test_updates_through_both_pairs_match_numpy(draws, batches):
    def full_noise(batch, drawn):
        return losses(batch, drawn, step=10, both=True)

    check_updates(tiny(backpropagate="both"), batches[:1], draws, full_noise, TRAINS, SCALED)


@pytest.mark.parametrize("apart", [False, True])
def test_updates_of_a_shared_trunk_match_numpy(draws, batches, apart):
    def on_a_trunk(batch, drawn):
        return losses(batch, drawn, step=10, shares=True, apart=apart)

    changes = SHARED
    if apart:
        changes = SHARED | {
            "discriminator.one_batch": False,
            "discriminator.batch_norm": "before_relu",
            "discriminator.noise": 0.0,
        }
    check_updates(tiny(**changes), batches[:1], draws, on_a_trunk, SHARING, SCALED)


def test_a_shared_trunk_keeps_the_statistics_of_its_own_game(batches):
    """Those that the reconstruction phases see are not kept: they do not change what is."""
    later = ("regularization", "reconstruction_discriminator", "reconstruction")
    kept, before = [], None
    for still in ({}, {phase: optax.set_to_zero() for phase in later}):
        method = tiny(optimizers=still, **SHARED)
        state = method.init(jax.random.key(0))
        after, _ = jax.jit(method.train_step)(state, batches[0], jax.random.key(1))
        kept.append(after.batch_stats["trunk"])
        before = state.batch_stats["trunk"]
    chex.assert_trees_all_equal(*kept)
    assert not jnp.array_equal(*map(jnp.concatenate, map(jax.tree.leaves, (kept[0], before))))
    images = batches[0].images
    assert method.discriminate(after, images).shape == (5,)
    np.testing.assert_allclose(method.classify(after, images).sum(axis=1), 1, rtol=1e-5)


def infogan_losses(batch, drawn, prior):
    z, n, *drawn = drawn
    z = np.eye(3)[z.astype(int)] if prior == "categorical" else z
    adversarial = losses(batch, [np.zeros(5), n, np.zeros((5, 0)), *drawn], step=10)

    def images_phase(phase):
        """The phases of images do not know where z is from."""
        return lambda p: adversarial[phase](p, z)

    def reconstruction(p):
        x = np_decoder(p["generator"], z, n) + NOISE["input"] * drawn[6]
        outputs = np_encoder(p["recognition"], x, np.zeros((5, 0)))
        if prior == "categorical":
            return -np.log((softmax(outputs) * z).sum(axis=1)).mean()
        mean, log_std = np.split(outputs, 2, axis=1)
        std = np.exp(log_std) + 0.01
        squares = 0.5 * np.square((z - mean) / std)
        return (squares + np.log(std) + 0.5 * np.log(2 * np.pi)).sum(axis=1).mean()

    return {
        "regularization_discriminator": images_phase("regularization_discriminator"),
        "regularization": images_phase("regularization"),
        "reconstruction": reconstruction,
    }


@pytest.mark.parametrize("prior", ["categorical", "gaussian"])
def test_an_infogans_updates_match_numpy(prior, draws, batches):
    method = tiny(prior=prior, code_dim=3, reconstruction="likelihood", recognition_noise_dim=0)
    trains = {k: v for k, v in TRAINS.items() if k != "reconstruction_discriminator"}
    check_updates(method, batches[:1], draws, lambda *a: infogan_losses(*a, prior), trains, SCALED)


@pytest.mark.parametrize("phase", TRAINS)
def test_a_phase_changes_its_own_networks_only(phase, batches):
    still = {other: optax.set_to_zero() for other in TRAINS if other != phase}
    method = tiny(optimizers=still)
    state = method.init(jax.random.key(0))
    after, _ = jax.jit(method.train_step)(state, batches[0], jax.random.key(1))
    changed = {
        name
        for name, before in state.params.items()
        if not all(
            map(jnp.array_equal, jax.tree.leaves(before), jax.tree.leaves(after.params[name]))
        )
    }
    assert changed == set(TRAINS[phase])


def test_what_a_trained_model_offers(batches):
    images, key, other = batches[0].images, jax.random.key(1), jax.random.key(2)
    method = tiny()
    state = method.init(jax.random.key(0))
    (z,), (drawn,), (again,) = (method.encode(state, images, k) for k in (None, key, key))
    np.testing.assert_allclose(z.sum(axis=1), 1, rtol=1e-5)
    np.testing.assert_array_equal(method.classify(state, images), z)
    np.testing.assert_array_equal(drawn, again)
    assert not jnp.allclose(drawn, z)
    assert not jnp.allclose(method.decode(state, z, key), method.decode(state, z, other))
    assert method.sample(state, key, 5).shape == (5, 4, 2, 1)
    assert method.evaluate(state, images).shape == (5, 1)
    assert method.discriminate(state, images).shape == (5,)
    changes = {"prior": "gaussian", "code_dim": 2, "reconstruction": "likelihood"}
    infogan = tiny(recognition_noise_dim=0, generator_noise_dim=0, **changes)
    state = infogan.init(jax.random.key(0))
    assert infogan.classify is None and "reconstruction_discriminator" not in state.params
    (mean,), (drawn,) = infogan.encode(state, images), infogan.encode(state, images, key)
    assert mean.shape == (5, 2) and not jnp.allclose(mean, drawn)
    np.testing.assert_array_equal(
        infogan.decode(state, mean, key), infogan.decode(state, mean, other)
    )


@pytest.mark.parametrize(
    ("changes", "spec", "message"),
    [
        ({"generator_noise_dim": -1}, SPEC, "generator_noise_dim is -1; it must be at least 0"),
        ({"recognition_noise_dim": -1}, SPEC, "recognition_noise_dim is -1; it must be"),
        (
            {"recognition_noise_rise": (0.0, 1.5)},
            SPEC,
            "recognition_noise_rise.*1.5.*it must be at most 1",
        ),
        (
            {"recognition_noise_rise": (0.0, 0.5)},
            SPEC._replace(epochs=None),
            "needs the length of the run",
        ),
        ({"recognition_noise_rise": (0.6, 0.5)}, SPEC, "the lower first"),
        ({"reconstruction": "likelihood"}, SPEC, "recognition_noise_dim to 0"),
        ({"reconstruction": "l2"}, SPEC, "unknown model.reconstruction"),
        ({}, SPEC._replace(labelled=True), "has no use for labels"),
        ({"prior": "gaussian", "code_dim": 0}, SPEC, "code_dim is 0"),
        ({"prior": "uniform"}, SPEC, "unknown model.prior"),
        ({"prior_std": 0.0}, SPEC, "prior_std is 0.0"),
        ({"generator.output": "tanh"}, SPEC, "generator.output is 'tanh'.*'sigmoid'"),
        ({"discriminator.one_batch": False}, SPEC, "one mean logit.*model.discriminator.one"),
        (
            {
                "reconstruction_discriminator.features": (),
                "reconstruction_discriminator.conditioning": "location_dependent",
            },
            SPEC,
            "which a vector has not",
        ),
        ({"recognition.features": (2, 2)}, SPEC, "recognition.features has 2 convolutions"),
        ({"recognition.shares_trunk": True}, SPEC, "set model.recognition.features to ()"),
        (SHARED | {"reconstruction_discriminator.dense": ()}, SPEC, "no dense layer that the code"),
    ],
)
def test_bad_settings_are_one_line(changes, spec, message):
    with pytest.raises(UserError, match=message) as error:
        tiny(spec, **changes)
    assert "\n" not in str(error.value)
