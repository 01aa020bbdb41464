"""The adversarial autoencoder (AAE, section 2, figure 1, A.1) with any prior and the three
posteriors of section 2.

Two phases on every mini-batch: reconstruction, then regularization, in which first the
discriminator and then its generator, the encoder, is trained.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax import priors
from aae_jax.core import Batch, Metrics, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    autoencoder_phases,
    make_decoder,
    make_discriminator,
    make_encoder,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error

POSTERIORS = ("deterministic", "gaussian", "universal")


class Networks(NamedTuple):
    """Encoder (images, and for the universal approximator noise, to a tuple of heads), decoder,
    discriminator of codes, and the prior that codes are to follow."""

    encoder: Network
    decoder: Network
    discriminator: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    check_choice("model.posterior", config.posterior, POSTERIORS)
    if config.posterior == "universal" and config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
    dim = config.code_dim
    heads = (dim, dim) if config.posterior == "gaussian" else (dim,)
    return Networks(
        make_encoder(config, heads, axis_name),
        make_decoder(config, spec, axis_name),
        make_discriminator(config),
        priors.from_config(config.prior, dim),
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
        UserError: for a setting that is none of its choices.
    """
    encoder, decoder, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    phases = autoencoder_phases(make_optimizers(config, spec, optimizers))
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

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = encoder_input(jnp.zeros((1, *spec.image_shape)), None)
        z = jnp.zeros((1, config.code_dim))
        networks = {encoder: (images,), decoder: (z,), discriminator: (z,)}
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: reconstruction, discriminator, generator."""
        keys = step_keys(key, axis_name)
        noisy = corrupt(keys("input noise"), batch.images, config.input_noise, config.input_dropout)
        real = prior(keys("prior"), batch.images.shape[0])

        def posterior(params, stats, phase):
            inputs = encoder_input(noisy, keys(f"{phase} encoder noise"))
            outputs, stats = encoder(params, stats, inputs)
            return draw(outputs, keys(f"{phase} code")), stats

        def reconstruction_loss(params, stats):
            z, stats = posterior(params, stats, "reconstruction")
            reconstructions, stats = decoder(params, stats, z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        def discriminator_objective(params, stats):
            z, stats = posterior(params, stats, "adversarial")
            d_real, d_fake, stats = real_and_fake(
                discriminator, params, stats, (real,), (z,), one_batch=True
            )
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            z, stats = posterior(params, stats, "adversarial")
            d_fake, stats = discriminator(params, stats, z)
            return generator_loss(d_fake).mean(), stats

        return play(
            state,
            (reconstruction, reconstruction_loss),
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, code_dim],): with a key draws from q(z|x), without one the Gaussian posterior's
        mean, or the universal approximator's output at noise zero."""
        noise_key, code_key = (None, None) if key is None else jax.random.split(key)
        inputs = encoder_input(images, noise_key)
        return (draw(encoder.evaluate(state.params, state.batch_stats, inputs), code_key),)

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Half the squared error of the reconstruction, summed over pixels, [b, 1]."""
        return half_squared_error(decode(state, *encode(state, images)), images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from draws of the prior."""
        return decode(state, prior(key, num))

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        """Logits [b] of "drawn from the prior" for codes [b, code_dim]."""
        return discriminator.evaluate(state.params, state.batch_stats, z)

    return Method(
        init,
        train_step,
        encode=encode,
        decode=decode,
        evaluate=evaluate,
        sample=sample,
        discriminate=discriminate,
    )
