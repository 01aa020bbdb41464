"""The supervised AAE (AAE, section 4, figure 6): the decoder is told the label, so that the code
is left with the style.

Labels are needed for every image; the batches are the labelled ones.
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
    aae_config,
    autoencoder_phases,
    make_decoder,
    make_discriminator,
    make_encoder,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error


def default_config() -> ml_collections.ConfigDict:
    """A 15-D Gaussian style (figure 7); everything else is the AAE's (paper silent)."""
    config = aae_config()
    config.code_dim = 15
    config.prior.std = 1.0
    del config.posterior, config.noise_dim  # deterministic
    return config


class Networks(NamedTuple):
    """Encoder of the style, decoder of label and style, discriminator of styles, their prior."""

    encoder: Network
    decoder: Network
    discriminator: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: without labelled batches, or for a prior that does not fit.
    """
    if not spec.labelled:
        raise UserError("the supervised AAE needs data.labelled_batch_size > 0")
    return Networks(
        make_encoder(config, (config.code_dim,), axis_name),
        make_decoder(config, spec, axis_name),
        make_discriminator(config),
        priors.from_config(config.prior, config.code_dim),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``encode`` gives (z [b, code_dim],), ``decode`` takes
    (y [b, num_classes] one-hot, z).

    Raises:
        UserError: without labelled batches, or for a setting that is none of its choices.
    """
    encoder, decoder, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    phases = autoencoder_phases(make_optimizers(config, spec, optimizers))
    reconstruction, discrimination, generation = phases

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        y, z = jnp.zeros((1, spec.num_classes)), jnp.zeros((1, config.code_dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (y, z),
            discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.labelled_images`` and their labels: reconstruction, discriminator,
        generator."""
        keys = step_keys(key, axis_name)
        images, y = batch.labelled_images, jax.nn.one_hot(batch.labels, spec.num_classes)
        noisy = corrupt(keys("input noise"), images, config.input_noise, config.input_dropout)
        real = prior(keys("prior"), images.shape[0])

        def reconstruction_loss(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            reconstructions, stats = decoder(params, stats, y, z)
            return half_squared_error(reconstructions, images).mean(), stats

        def discriminator_objective(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            d_real, d_fake, stats = real_and_fake(
                discriminator, params, stats, (real,), (z,), one_batch=True
            )
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            (z,), stats = encoder(params, stats, noisy)
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
        """(z [b, code_dim],), the style; the posterior is deterministic, whatever the key."""
        return encoder.evaluate(state.params, state.batch_stats, images)

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        """One-hot labels [b, num_classes] and styles [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, y, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """The cost under every label, [b, num_classes]: only the true one reconstructs well."""
        (z,) = encode(state, images)

        def cost(y):
            reconstructions = decode(state, jnp.broadcast_to(y, (z.shape[0], y.size)), z)
            return half_squared_error(reconstructions, images)

        return jax.vmap(cost, out_axes=1)(jnp.eye(spec.num_classes))

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of labels and styles from their priors."""
        label_key, style_key = jax.random.split(key)
        y = priors.categorical(spec.num_classes)(label_key, num)
        return decode(state, y, prior(style_key, num))

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        """Logits [b] of "drawn from the prior" for styles [b, code_dim]."""
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
