"""The VAE that the AAE is compared with: the bound against NumPy."""

import jax
import numpy as np
import pytest
import scipy.special

from aae_jax import methods
from aae_jax.errors import UserError
from aae_jax.optimizers import sgd
from tests.methods.numpy_reference import (
    check_updates,
    np_decoder,
    np_half_squared_error,
    np_heads,
    np_tree,
)

SPEC = methods.DataSpec((2, 3, 1), 3, labelled=False)
TRAINS = {"elbo": ("encoder", "decoder")}
RATES = {"elbo": (0.05, 0.9)}


def tiny(likelihood="bernoulli", prior="gaussian", **changes):
    config = methods.default_config("vae")
    config.update(
        hidden=(5, 4),
        code_dim=2,
        prior={"name": prior, "std": 2.0},
        likelihood=likelihood,
        init="lecun_normal",
        optimizers={"elbo": sgd(*RATES["elbo"])},
        schedule={"name": "constant"},
    )
    config.update(changes)
    return methods.build("vae", config, spec=SPEC)


def np_log_prior(prior, z):
    if prior == "gaussian":
        return (-0.5 * (z / 2) ** 2 - np.log(2 * np.sqrt(2 * np.pi))).sum(1)
    angles = 2 * np.pi * np.arange(10) / 10
    radial = np.stack([np.cos(angles), np.sin(angles)])
    along, across = z @ radial - 1.4, z @ np.stack([-radial[1], radial[0]])
    terms = -0.5 * (along / 0.5) ** 2 - 0.5 * (across / 0.1) ** 2 - np.log(2 * np.pi * 0.5 * 0.1)
    return scipy.special.logsumexp(terms, axis=1) - np.log(10)


def losses(likelihood, prior):
    def make(batch, drawn):
        images, (noise,) = np.float64(batch.images), drawn
        flat = images.reshape(6, -1)

        def elbo(p):
            mean, log_std = np_heads(p["encoder"], images)
            z = mean + np.exp(log_std) * noise
            decoded = np_decoder(p["decoder"], z)
            if likelihood == "gaussian":
                cost = np_half_squared_error(decoded, images)
            else:
                cost = -(flat * np.log(decoded) + (1 - flat) * np.log(1 - decoded)).sum(1)
            if prior == "gaussian":  # in closed form, its std 2
                variance = np.exp(2 * log_std)
                kl = ((variance + mean**2) / 8 - 0.5 - log_std + np.log(2)).sum(1)
            else:
                log_q = -0.5 * noise**2 - log_std - 0.5 * np.log(2 * np.pi)
                kl = log_q.sum(1) - np_log_prior(prior, z)
            return (cost + kl).mean()

        return {"elbo": elbo}

    return make


@pytest.mark.parametrize(
    ("likelihood", "prior"),
    [("bernoulli", "gaussian"), ("gaussian", "gaussian"), ("bernoulli", "mixture")],
)
def test_updates_match_numpy(draws, tiny_batches, likelihood, prior):
    method = tiny(likelihood, prior)
    state, params = check_updates(
        method, tiny_batches, draws, losses(likelihood, prior), TRAINS, RATES, rtol=3e-4
    )
    images = tiny_batches[0].images
    mean, _ = np_heads(params["encoder"], np.float64(images))
    (z,) = method.encode(state, images)
    np.testing.assert_allclose(z, mean, rtol=1e-3, atol=1e-4)
    decoded = np_decoder(params["decoder"], mean)  # squashed, whatever the likelihood
    np.testing.assert_allclose(
        np.asarray(method.decode(state, z)).reshape(6, -1), decoded, rtol=1e-3, atol=1e-4
    )
    np.testing.assert_allclose(
        method.evaluate(state, images)[:, 0],
        np_half_squared_error(decoded, np.float64(images)),
        rtol=1e-3,
    )


def test_draws_have_the_mean_and_deviation_of_the_heads(tiny_batches):
    method, images = tiny(), tiny_batches[0].images
    state = method.init(jax.random.key(0))
    mean, log_std = np_heads(np_tree(state.params)["encoder"], np.float64(images))
    keys = jax.random.split(jax.random.key(1), 20_000)
    (z,) = jax.vmap(lambda key: method.encode(state, images, key))(keys)
    np.testing.assert_allclose(z.mean(0), mean, atol=0.06)
    np.testing.assert_allclose(z.std(0), np.exp(log_std), rtol=0.03)


def test_a_linear_output_is_for_a_gaussian_likelihood(draws, tiny_batches):
    method = tiny("gaussian", output="linear")
    state = method.init(jax.random.key(0))
    (z,) = method.encode(state, tiny_batches[0].images)
    linear = np_decoder(np_tree(state.params)["decoder"], np.float64(z), output=lambda x: x)
    np.testing.assert_allclose(
        np.asarray(method.decode(state, z)).reshape(6, -1), linear, rtol=1e-3, atol=1e-5
    )
    with pytest.raises(UserError, match="with a Bernoulli likelihood 'linear'"):
        tiny("bernoulli", output="linear")
    with pytest.raises(UserError, match=r"unknown model\.likelihood 'laplace'"):
        tiny("laplace")
