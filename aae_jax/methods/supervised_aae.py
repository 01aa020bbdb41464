"""The supervised AAE (AAE, section 4, figure 6): the decoder is told the label, so that the code
is left with the style.

Labels are needed for every image; the batches are the labelled ones.
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
    aae_config,
    autoencoder_phases,
    make_decoder,
    make_encoder,
    merge,
    phase_key,
)
from aae_jax.networks import Discriminator, Network, corrupt
from aae_jax.networks.common import init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error


def default_config() -> ml_collections.ConfigDict:
    """A 15-D Gaussian style (figure 7); everything else is the AAE's (paper silent)."""
    config = aae_config()
    config.code_dim = 15
    config.prior.std = 1.0
    del config.posterior, config.noise_dim  # deterministic
    return config


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. ``encode`` gives (z [b, code_dim],), ``decode`` takes
    (y [b, num_classes] one-hot, z).

    Raises:
        UserError: without labelled batches, or for a prior that does not fit.
    """
    if not spec.labelled:
        raise UserError("the supervised AAE needs data.labelled_batch_size > 0")
    prior = priors.from_config(config.prior, config.code_dim)
    encoder = make_encoder(config, (config.code_dim,), axis_name)
    decoder = make_decoder(config, spec, axis_name)
    discriminator = Network(
        "discriminator", Discriminator(config.discriminator_hidden, config.init)
    )

    phases = autoencoder_phases(config, spec)
    reconstruction, discrimination, generation = phases

    def init(key: jax.Array) -> State:
        y, z = jnp.zeros((1, spec.num_classes)), jnp.zeros((1, config.code_dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (y, z),
            discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        noise_key, prior_key = jax.random.split(phase_key(key, axis_name))
        images, y = batch.labelled_images, jax.nn.one_hot(batch.labels, spec.num_classes)
        noisy = corrupt(noise_key, images, config.input_noise, config.input_dropout)

        def reconstruction_loss(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            reconstructions, stats = decoder(params, stats, y, z)
            return half_squared_error(reconstructions, images).mean(), stats

        def discriminator_objective(params, stats):
            (z,), _ = encoder(params, stats, noisy)
            positives = prior(prior_key, z.shape[0])
            logits, _ = discriminator(params, stats, jnp.concatenate([positives, z]))
            return discriminator_loss(*jnp.split(logits, 2)).mean(), stats

        def generator_objective(params, stats):
            (z,), _ = encoder(params, stats, noisy)
            logits, _ = discriminator(params, stats, z)
            return generator_loss(logits).mean(), stats

        state, first = update(state, reconstruction, reconstruction_loss, axis_name)
        state, second = update(state, discrimination, discriminator_objective, axis_name)
        state, third = update(state, generation, generator_objective, axis_name)
        return state._replace(step=state.step + 1), merge(first, second, third)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        return encoder.evaluate(state.params, state.batch_stats, images)

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        return decoder.evaluate(state.params, state.batch_stats, y, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """The cost under every label, [b, num_classes]: only the true one reconstructs well."""
        (z,) = encode(state, images)

        def cost(y):
            reconstructions = decode(state, jnp.broadcast_to(y, (z.shape[0], y.size)), z)
            return half_squared_error(reconstructions, images)

        return jax.vmap(cost, out_axes=1)(jnp.eye(spec.num_classes))

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        label_key, style_key = jax.random.split(key)
        y = priors.categorical(spec.num_classes)(label_key, num)
        return decode(state, y, prior(style_key, num))

    return Method(init, train_step, encode=encode, decode=decode, sample=sample, evaluate=evaluate)
