"""The AAE whose adversary knows labels (AAE, section 2.3, figures 3 and 4): each class of a
partly labelled set is to fill its own part of the prior.

The discriminator gets a one-hot vector with one class more than there are labels, which stands
for "unlabelled", beside the code.
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
from aae_jax.optimizers import adam


def default_config() -> ml_collections.ConfigDict:
    """The AAE's networks with a 2-D mixture as the prior. The paper gives no other setting; under
    the gradient descent of A.2.1 the classes do not find their parts, so this is Adam."""
    config = aae_config()
    config.init = "he_normal"
    config.optimizers.reconstruction = adam(0.001)
    config.optimizers.generator = adam(0.001, 0.5)
    config.optimizers.discriminator = adam(0.0005, 0.5)
    config.code_dim = 2
    config.prior.name = "mixture"
    config.prior.std = 1.0
    del config.posterior, config.noise_dim  # deterministic
    return config


class Networks(NamedTuple):
    """Encoder, decoder, discriminator of (code, one-hot switch), and a prior made of classes."""

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
    """The method as pure functions. Codes are (z [b, code_dim],); ``classify`` gives p(y | z)
    under the prior, whose parts the classes were assigned to.

    Raises:
        UserError: a prior without a part for each class, or no labelled batches.
    """
    encoder, decoder, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    if prior.num_classes != spec.num_classes:
        raise UserError(
            f"prior {config.prior.name!r} has {prior.num_classes} classes and the data "
            f"{spec.num_classes}: label-informed regularization needs a part of the prior for "
            "each class"
        )
    if not spec.labelled:
        raise UserError("label-informed regularization needs data.labelled_batch_size > 0")
    assert prior.sample_class is not None
    sample_class, unlabelled = prior.sample_class, prior.num_classes
    phases = autoencoder_phases(make_optimizers(config, spec, optimizers))
    reconstruction, discrimination, generation = phases

    def switch(classes):
        """One-hot; the last entry is "unlabelled"."""
        return jax.nn.one_hot(classes, unlabelled + 1)

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        z = jnp.zeros((1, config.code_dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (z,),
            discriminator: (z, switch(jnp.zeros(1, jnp.int32))),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on unlabelled and labelled images together: reconstruction, discriminator,
        generator."""
        keys = step_keys(key, axis_name)
        images = jnp.concatenate([batch.images, batch.labelled_images])
        noisy = corrupt(keys("input noise"), images, config.input_noise, config.input_dropout)
        num = batch.images.shape[0]
        switches = switch(jnp.concatenate([jnp.full(num, unlabelled), batch.labels]))
        # Unlabelled images play against the whole prior, labelled ones against their class's part.
        real = jnp.concatenate(
            [prior(keys("prior"), num), sample_class(keys("class prior"), batch.labels)]
        )

        def reconstruction_loss(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            reconstructions, stats = decoder(params, stats, z)
            return half_squared_error(reconstructions, images).mean(), stats

        def discriminator_objective(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            d_real, d_fake, stats = real_and_fake(
                discriminator, params, stats, (real, switches), (z, switches), one_batch=False
            )
            return discriminator_loss(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            d_fake, stats = discriminator(params, stats, z, switches)
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
        """(z [b, code_dim],); the posterior is deterministic, whatever the key."""
        return encoder.evaluate(state.params, state.batch_stats, images)

    def classify(state: State, images: jax.Array) -> jax.Array:
        """p(y | z) [b, num_classes]: in whose part of the prior the code lies."""
        assert prior.class_log_prob is not None
        return jax.nn.softmax(prior.class_log_prob(*encode(state, images)))

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Codes [b, code_dim] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, z)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] decoded from draws of the whole prior."""
        return decode(state, prior(key, num))

    def discriminate(
        state: State, z: jax.Array, classes: jax.Array | int = unlabelled
    ) -> jax.Array:
        """Logits [b] of "drawn from the prior" for codes [b, code_dim], or, with classes [b], of
        "drawn from the class's part of it"."""
        switches = switch(jnp.broadcast_to(jnp.asarray(classes), z.shape[:1]))
        return discriminator.evaluate(state.params, state.batch_stats, z, switches)

    return Method(
        init,
        train_step,
        classify=classify,
        encode=encode,
        decode=decode,
        sample=sample,
        discriminate=discriminate,
    )
