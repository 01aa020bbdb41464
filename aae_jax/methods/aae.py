"""The adversarial autoencoder (AAE, section 2, figure 1, A.1) with any prior and the three
posteriors of section 2.

Two phases on every mini-batch: reconstruction, then regularization, in which first the
discriminator and then its generator, the encoder, is trained.
"""

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax import priors
from aae_jax.core import Batch, Metrics, State, create_state, update
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    autoencoder_phases,
    make_decoder,
    make_encoder,
    merge,
    phase_key,
)
from aae_jax.networks import Discriminator, Network, corrupt
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error

POSTERIORS = ("deterministic", "gaussian", "universal")


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. Codes are (z [b, code_dim],).

    ``encode`` takes an optional key: with it codes are draws from q(z|x), without it they are the
    Gaussian posterior's mean, or the universal approximator's output at noise zero.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    check_choice("model.posterior", config.posterior, POSTERIORS)
    if config.posterior == "universal" and config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
    dim = config.code_dim
    prior = priors.from_config(config.prior, dim)
    heads = (dim, dim) if config.posterior == "gaussian" else (dim,)
    encoder = make_encoder(config, heads, axis_name)
    decoder = make_decoder(config, spec, axis_name)
    discriminator = Network(
        "discriminator", Discriminator(config.discriminator_hidden, config.init)
    )

    phases = autoencoder_phases(config, spec)
    reconstruction, discrimination, generation = phases

    def encoder_input(images, key):
        """Images, and for the universal approximator the noise η beside them (section 2)."""
        if config.posterior != "universal":
            return images
        flat = images.reshape(images.shape[0], -1)
        shape = (flat.shape[0], config.noise_dim)
        noise = jnp.zeros(shape) if key is None else jax.random.normal(key, shape)
        return jnp.concatenate([flat, noise], axis=-1)

    def draw(outputs, key):
        """A code from the encoder's outputs; the Gaussian's by reparametrisation."""
        if config.posterior != "gaussian" or key is None:
            return outputs[0]
        mean, log_std = outputs
        return mean + jnp.exp(log_std) * jax.random.normal(key, mean.shape)

    def posterior(params, stats, images, key):
        noise_key, code_key = jax.random.split(key)
        outputs, stats = encoder(params, stats, encoder_input(images, noise_key))
        return draw(outputs, code_key), stats

    def init(key: jax.Array) -> State:
        images = encoder_input(jnp.zeros((1, *spec.image_shape)), None)
        z = jnp.zeros((1, dim))
        networks = {encoder: (images,), decoder: (z,), discriminator: (z,)}
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        input_key, first_key, second_key, prior_key = jax.random.split(phase_key(key, axis_name), 4)
        num = batch.images.shape[0]
        noisy = corrupt(input_key, batch.images, config.input_noise, config.input_dropout)

        def reconstruction_loss(params, stats):
            z, stats = posterior(params, stats, noisy, first_key)
            reconstructions, stats = decoder(params, stats, z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        def discriminator_objective(params, stats):
            z, _ = posterior(params, stats, noisy, second_key)
            logits, _ = discriminator(params, stats, jnp.concatenate([prior(prior_key, num), z]))
            return discriminator_loss(*jnp.split(logits, 2)).mean(), stats

        def generator_objective(params, stats):
            z, _ = posterior(params, stats, noisy, second_key)
            logits, _ = discriminator(params, stats, z)
            return generator_loss(logits).mean(), stats

        state, first = update(state, reconstruction, reconstruction_loss, axis_name)
        state, second = update(state, discrimination, discriminator_objective, axis_name)
        state, third = update(state, generation, generator_objective, axis_name)
        return state._replace(step=state.step + 1), merge(first, second, third)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        noise_key, code_key = (None, None) if key is None else jax.random.split(key)
        inputs = encoder_input(images, noise_key)
        outputs = encoder.evaluate(state.params, state.batch_stats, inputs)
        return (draw(outputs, code_key),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        return decoder.evaluate(state.params, state.batch_stats, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        return half_squared_error(decode(state, *encode(state, images)), images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        return decode(state, prior(key, num))

    return Method(init, train_step, encode=encode, decode=decode, sample=sample, evaluate=evaluate)
