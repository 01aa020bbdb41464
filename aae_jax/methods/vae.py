"""The variational autoencoder that the AAE is compared with (AAE, section 2.1, figures 2c and 2d):
the same encoder and decoder, with the KL divergence to the prior in place of the adversary."""

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.methods.common import DataSpec, Method, make_decoder, make_encoder, phase_key
from aae_jax.networks import corrupt
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.objectives import half_squared_error, kl_monte_carlo, kl_to_gaussian
from aae_jax.optimizers import adam, optimizer, schedule


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


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. Codes are (z [b, code_dim],): draws from q(z|x) with a key,
    its mean without one.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    check_choice("model.likelihood", config.likelihood, ("bernoulli", "gaussian"))
    dim = config.code_dim
    prior = priors.from_config(config.prior, dim)
    encoder = make_encoder(config, (dim, dim), axis_name)
    # A Bernoulli likelihood wants logits, from which the sigmoid is taken outside.
    decoder = make_decoder(config, spec, axis_name, output="linear")
    if config.likelihood == "bernoulli":
        check_choice("model.output with a Bernoulli likelihood", config.output, ("sigmoid",))
    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    phase = Phase(
        "elbo",
        ("encoder", "decoder"),
        optimizer(config.optimizers.elbo, factor),
        commits_batch_stats=True,
    )

    def reconstruction_cost(outputs, images):
        if config.likelihood == "gaussian":
            return half_squared_error(squash(outputs), images)
        costs = optax.sigmoid_binary_cross_entropy(outputs, images)
        return costs.reshape(costs.shape[0], -1).sum(-1)

    def squash(outputs):
        return jax.nn.sigmoid(outputs) if config.output == "sigmoid" else outputs

    def kl(z, mean, log_std):
        """Closed form for the Gaussian, Monte Carlo with the one draw for a mixture."""
        if config.prior.name == "gaussian":
            return kl_to_gaussian(mean, log_std, config.prior.std)
        assert prior.log_prob is not None
        return kl_monte_carlo(z, mean, log_std, prior.log_prob)

    def init(key: jax.Array) -> State:
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (jnp.zeros((1, dim)),),
        }
        return create_state(*init_networks(key, networks), (phase,))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        noise_key, code_key = jax.random.split(phase_key(key, axis_name))
        noisy = corrupt(noise_key, batch.images, config.input_noise, config.input_dropout)

        def negative_elbo(params, stats):
            (mean, log_std), stats = encoder(params, stats, noisy)
            z = mean + jnp.exp(log_std) * jax.random.normal(code_key, mean.shape)
            outputs, stats = decoder(params, stats, z)
            return (reconstruction_cost(outputs, batch.images) + kl(z, mean, log_std)).mean(), stats

        state, metrics = update(state, phase, negative_elbo, axis_name)
        return state._replace(step=state.step + 1), metrics

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        mean, log_std = encoder.evaluate(state.params, state.batch_stats, images)
        if key is None:
            return (mean,)
        return (mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        return squash(decoder.evaluate(state.params, state.batch_stats, z))

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        return half_squared_error(decode(state, *encode(state, images)), images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        return decode(state, prior(key, num))

    return Method(init, train_step, encode=encode, decode=decode, sample=sample, evaluate=evaluate)
