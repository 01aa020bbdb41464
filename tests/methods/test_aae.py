"""The AAE with its three posteriors: steps against NumPy, and what encode draws."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_decoder,
    np_discriminator,
    np_half_squared_error,
    np_heads,
    np_tree,
    softplus,
)

SPEC = methods.DataSpec((2, 3, 1), 3)
TRAINS = {
    "reconstruction": ("encoder", "decoder"),
    "discriminator": ("discriminator",),
    "generator": ("encoder",),
}
RATES = {"reconstruction": (0.2, 0.9), "discriminator": (0.5, 0.1), "generator": (0.4, 0.2)}


def tiny(posterior, **changes):
    config = methods.default_config("aae")
    config.update(
        hidden=(5, 4),
        discriminator_hidden=(4, 3),
        code_dim=2,
        noise_dim=3,
        posterior=posterior,
        prior={"name": "gaussian", "std": 2.0},
        init="lecun_normal",
        optimizers={phase: sgd(*rates) for phase, rates in RATES.items()},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return methods.build("aae", config, spec=SPEC)


def np_code(posterior, params, images, noise):
    if posterior == "universal":
        images = np.concatenate([images.reshape(len(images), -1), noise], axis=1)
    outputs = np_heads(params["encoder"], images)
    if posterior == "gaussian":
        mean, log_std = outputs
        return mean + np.exp(log_std) * noise
    return outputs[0]


def losses(posterior):
    def make(batch, drawn):
        images = np.float64(batch.images)
        if posterior == "deterministic":
            ((first, second), (real,)) = (None, None), drawn
        else:
            real, first, second, third = drawn
            # One sample of q(z|x) for the discriminator and its generator, another for the decoder.
            np.testing.assert_array_equal(third, second)
            assert not np.allclose(first, second)
            assert first.shape == (6, 3 if posterior == "universal" else 2)
        assert real.shape == (6, 2)

        def reconstruction(p):
            z = np_code(posterior, p, images, first)
            return np_half_squared_error(np_decoder(p["decoder"], z), images).mean()

        def fake(p):
            return np_discriminator(p["discriminator"], np_code(posterior, p, images, second))

        def discriminator(p):
            true = np_discriminator(p["discriminator"], 2.0 * real)  # the prior's std is 2
            return (softplus(-true) + softplus(fake(p))).mean()

        return {
            "reconstruction": reconstruction,
            "discriminator": discriminator,
            "generator": lambda p: softplus(-fake(p)).mean(),
        }

    return make


@pytest.mark.parametrize("posterior", ["deterministic", "gaussian", "universal"])
def test_updates_match_numpy(draws, tiny_batches, posterior):
    method = tiny(posterior)
    state, params = check_updates(method, tiny_batches, draws, losses(posterior), TRAINS, RATES)
    images = tiny_batches[0].images
    (z,) = method.encode(state, images)
    expected = np_code(
        posterior,
        params,
        np.float64(images),
        np.zeros((6, 3))[:, : 3 if posterior == "universal" else 2],
    )
    np.testing.assert_allclose(z, expected, rtol=1e-3, atol=1e-4)
    decoded = np_decoder(params["decoder"], expected)
    np.testing.assert_allclose(
        method.decode(state, z), decoded.reshape(6, 2, 3, 1), rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        method.evaluate(state, images)[:, 0],
        np_half_squared_error(decoded, np.float64(images)),
        rtol=1e-3,
    )


@pytest.fixture(scope="module")
def images():
    return jax.random.uniform(jax.random.key(9), (4, 2, 3, 1))


def test_a_deterministic_encode_ignores_the_key(images):
    method = tiny("deterministic")
    state = method.init(jax.random.key(0))
    (plain,), (keyed,) = (
        method.encode(state, images),
        method.encode(state, images, jax.random.key(1)),
    )
    assert plain.shape == (4, 2)
    np.testing.assert_array_equal(plain, keyed)


def test_gaussian_draws_have_the_mean_and_deviation_of_the_heads(images):
    method = tiny("gaussian")
    state = method.init(jax.random.key(0))
    mean, log_std = np_heads(np_tree(state.params)["encoder"], np.float64(images))
    (without_key,) = method.encode(state, images)
    np.testing.assert_allclose(without_key, mean, rtol=1e-4, atol=1e-6)
    keys = jax.random.split(jax.random.key(1), 20_000)
    (z,) = jax.vmap(lambda key: method.encode(state, images, key))(keys)
    np.testing.assert_allclose(z.mean(0), mean, atol=5 * np.exp(log_std).max() / np.sqrt(20_000))
    np.testing.assert_allclose(z.std(0), np.exp(log_std), rtol=0.03)
    assert abs(np.exp(log_std) - 1).max() > 0.1  # a wrong head would show
    first, second = np.asarray(z)[:, 0, 0], np.asarray(z)[:, 1, 1]
    assert abs(np.corrcoef(first, second)[0, 1]) < 0.03  # images do not share their noise


def test_the_universal_approximators_noise_enters_beside_the_image(images):
    method = tiny("universal")
    state = method.init(jax.random.key(0))
    params = np_tree(state.params)
    kernel = params["encoder"]["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"]
    assert kernel.shape == (6 + 3, 5)
    (without_key,) = method.encode(state, images)
    at_zero = np.concatenate([np.float64(images).reshape(4, -1), np.zeros((4, 3))], axis=1)
    np.testing.assert_allclose(
        without_key, np_heads(params["encoder"], at_zero)[0], rtol=1e-4, atol=1e-6
    )
    (drawn,), (other,) = (method.encode(state, images, jax.random.key(k)) for k in (1, 2))
    assert not np.allclose(drawn, without_key) and not np.allclose(drawn, other)
    # Without the weights of the noise, and only so, the key says nothing.
    encoder = jax.tree.map(jnp.asarray, state.params["encoder"])
    encoder["Trunk_0"]["Layer_0"]["Dense_0"]["kernel"] = jnp.asarray(kernel).at[6:].set(0.0)
    deaf = state._replace(params={**state.params, "encoder": encoder})
    np.testing.assert_allclose(
        method.encode(deaf, images, jax.random.key(1))[0], without_key, rtol=1e-4, atol=1e-6
    )


def test_samples_are_the_decoded_prior(draws):
    method = tiny("deterministic", prior={"name": "mixture", "std": 1.0})
    state = method.init(jax.random.key(0))
    draws.clear()
    images = method.sample(state, jax.random.key(3), 7)
    assert images.shape == (7, 2, 3, 1)
    labels, offsets = draws
    codes = [(1.4 + 0.5 * a, 0.1 * b) for a, b in np.asarray(offsets)]
    angles = 2 * np.pi * np.asarray(labels) / 10
    turned = [
        (a * np.cos(t) - b * np.sin(t), a * np.sin(t) + b * np.cos(t))
        for (a, b), t in zip(codes, angles)
    ]
    np.testing.assert_allclose(
        images, method.decode(state, jnp.asarray(turned, jnp.float32)), atol=1e-5
    )


def test_input_noise_is_on_the_encoders_input_in_training_only(tiny_batches):
    quiet, noisy = tiny("deterministic"), tiny("deterministic", input_noise=0.5)
    state, batch = quiet.init(jax.random.key(0)), tiny_batches[0]
    np.testing.assert_array_equal(
        quiet.encode(state, batch.images)[0], noisy.encode(state, batch.images)[0]
    )
    costs = [
        float(m.train_step(state, batch, jax.random.key(k))[1]["reconstruction/loss"])
        for m, k in ((quiet, 0), (quiet, 1), (noisy, 0), (noisy, 1))
    ]
    assert costs[0] == costs[1]
    assert len(set(costs)) == 3


def test_the_papers_settings():
    config = methods.default_config("aae")  # A.1
    assert (config.hidden, config.discriminator_hidden) == ((1000, 1000), (1000, 1000))
    assert (config.code_dim, config.prior.name, config.prior.std) == (8, "gaussian", 5.0)
    assert (config.init, config.output, config.posterior) == (
        "normal_0.01",
        "sigmoid",
        "deterministic",
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"posterior": "normal"}, "unknown model.posterior 'normal'.*'universal'"),
        ({"prior": {"name": "mixture", "std": 1.0}, "code_dim": 3}, "mixture prior is 2-D"),
        ({"output": "relu"}, "unknown model.output 'relu'"),
        ({"encoder_batch_norm": "heads"}, "unknown model.encoder_batch_norm 'heads'"),
    ],
)
def test_settings_that_cannot_be(changes, expected):
    with pytest.raises(UserError, match=expected):
        tiny(**{"posterior": "deterministic"} | changes)
