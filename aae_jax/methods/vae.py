"""The variational autoencoder that the AAE is compared with (AAE, section 2.1, figures 2c and 2d):
the same encoder and decoder, with the KL divergence to the prior in place of the adversary."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    make_decoder,
    make_encoder,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.objectives import half_squared_error, kl_monte_carlo, kl_to_gaussian
from aae_jax.optimizers import adam


def default_config() -> ml_collections.ConfigDict:
    """Networks of the AAE (A.1). Likelihood, optimizer and rates are our choice: the paper is
    silent."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1000, 1000),
            "code_dim": 2,
            "prior": {"name": "gaussian", "std": 1.0},  # or "mixture", "swiss_roll"
            "likelihood": "bernoulli",  # or "gaussian" of variance 1: the AAE's cost
            "output": "sigmoid",
            "init": "normal_0.01",
            "encoder_batch_norm": "",
            "decoder_batch_norm": False,
            "input_noise": 0.0,
            "input_dropout": 0.0,
            "optimizers": {"elbo": adam(0.001)},
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.0,
            },
        }
    )


class Networks(NamedTuple):
    """Encoder (images to means and log standard deviations), decoder (to logits, where the
    likelihood is Bernoulli's), and the prior."""

    encoder: Network
    decoder: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    check_choice("model.likelihood", config.likelihood, ("bernoulli", "gaussian"))
    if config.likelihood == "bernoulli":
        check_choice("model.output with a Bernoulli likelihood", config.output, ("sigmoid",))
    return Networks(
        make_encoder(config, (config.code_dim, config.code_dim), axis_name),
        # A Bernoulli likelihood wants logits, from which the sigmoid is taken outside.
        make_decoder(config, spec, axis_name, output="linear"),
        priors.from_config(config.prior, config.code_dim),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z [b, code_dim],).

    Raises:
        UserError: for a setting that is none of its choices, or a prior without a density.
    """
    encoder, decoder, prior = with_parts(networks(config, spec, axis_name), parts)
    if prior.log_prob is None:
        raise UserError("the KL divergence needs the prior's density: give it a log_prob")
    log_prior = prior.log_prob
    closed_form = config.prior.name == "gaussian" and "prior" not in (parts or {})
    autoencoder = ("encoder", "decoder")
    phase = Phase(
        "elbo",
        autoencoder,
        make_optimizers(config, spec, optimizers)["elbo"],
        commits=autoencoder,
    )

    def reconstruction_cost(outputs, images):
        if config.likelihood == "gaussian":
            return half_squared_error(squash(outputs), images)
        costs = optax.sigmoid_binary_cross_entropy(outputs, images)
        return costs.reshape(costs.shape[0], -1).sum(-1)

    def squash(outputs):
        return jax.nn.sigmoid(outputs) if config.output == "sigmoid" else outputs

    def kl(z, mean, log_std):
        """Closed form for the Gaussian, Monte Carlo with the one draw for any other."""
        if closed_form:
            return kl_to_gaussian(mean, log_std, config.prior.std)
        return kl_monte_carlo(z, mean, log_std, log_prior)

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (jnp.zeros((1, config.code_dim)),),
        }
        return create_state(*init_networks(key, networks), (phase,))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: the negative variational bound, nats."""
        keys = step_keys(key, axis_name)
        noisy = corrupt(keys("input noise"), batch.images, config.input_noise, config.input_dropout)

        def negative_elbo(params, stats):
            (mean, log_std), stats = encoder(params, stats, noisy)
            z = mean + jnp.exp(log_std) * jax.random.normal(keys("code"), mean.shape)
            outputs, stats = decoder(params, stats, z)
            return (reconstruction_cost(outputs, batch.images) + kl(z, mean, log_std)).mean(), stats

        return play(state, (phase, negative_elbo), axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, code_dim],): a draw from q(z|x) with a key, its mean without one."""
        mean, log_std = encoder.evaluate(state.params, state.batch_stats, images)
        if key is None:
            return (mean,)
        return (mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> the mean of p(x | z), images [b, h, w, c]."""
        return squash(decoder.evaluate(state.params, state.batch_stats, z))

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Half the squared error of the reconstruction, summed over pixels, [b, 1]."""
        return half_squared_error(decode(state, *encode(state, images)), images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from draws of the prior."""
        return decode(state, prior(key, num))

    return Method(init, train_step, encode=encode, decode=decode, sample=sample, evaluate=evaluate)
