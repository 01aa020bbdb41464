"""The AAE whose adversary knows labels (AAE, section 2.3, figures 3 and 4): each class of a
partly labelled set is to fill its own part of the prior.

The discriminator gets a one-hot vector with one class more than there are labels, which stands
for "unlabelled", beside the code.
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


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions. Codes are (z [b, code_dim],); ``classify`` gives p(y | z)
    under the prior, whose parts the classes were assigned to.

    Raises:
        UserError: for a prior without as many classes as the data, or without labelled batches.
    """
    prior = priors.from_config(config.prior, config.code_dim)
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
    encoder = make_encoder(config, (config.code_dim,), axis_name)
    decoder = make_decoder(config, spec, axis_name)
    discriminator = Network(
        "discriminator", Discriminator(config.discriminator_hidden, config.init)
    )

    phases = autoencoder_phases(config, spec)
    reconstruction, discrimination, generation = phases

    def init(key: jax.Array) -> State:
        z = jnp.zeros((1, config.code_dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (z,),
            discriminator: (switched(z, jnp.zeros(1, jnp.int32)),),
        }
        return create_state(*init_networks(key, networks), phases)

    def switched(z, classes):
        """The discriminator's input: code and one-hot switch, whose last entry is "unlabelled"."""
        return jnp.concatenate([z, jax.nn.one_hot(classes, unlabelled + 1)], axis=-1)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        noise_key, prior_key, class_key = jax.random.split(phase_key(key, axis_name), 3)
        images = jnp.concatenate([batch.images, batch.labelled_images])
        noisy = corrupt(noise_key, images, config.input_noise, config.input_dropout)
        num = batch.images.shape[0]
        classes = jnp.concatenate([jnp.full(num, unlabelled), batch.labels])
        # Unlabelled images play against the whole prior, labelled ones against their class's part.
        positives = jnp.concatenate([prior(prior_key, num), sample_class(class_key, batch.labels)])

        def reconstruction_loss(params, stats):
            (z,), stats = encoder(params, stats, noisy)
            reconstructions, stats = decoder(params, stats, z)
            return half_squared_error(reconstructions, images).mean(), stats

        def discriminator_objective(params, stats):
            (z,), _ = encoder(params, stats, noisy)
            real, _ = discriminator(params, stats, switched(positives, classes))
            fake, _ = discriminator(params, stats, switched(z, classes))
            return discriminator_loss(real, fake).mean(), stats

        def generator_objective(params, stats):
            (z,), _ = encoder(params, stats, noisy)
            fake, _ = discriminator(params, stats, switched(z, classes))
            return generator_loss(fake).mean(), stats

        state, first = update(state, reconstruction, reconstruction_loss, axis_name)
        state, second = update(state, discrimination, discriminator_objective, axis_name)
        state, third = update(state, generation, generator_objective, axis_name)
        return state._replace(step=state.step + 1), merge(first, second, third)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        return encoder.evaluate(state.params, state.batch_stats, images)

    def classify(state: State, images: jax.Array) -> jax.Array:
        assert prior.class_log_prob is not None
        return jax.nn.softmax(prior.class_log_prob(*encode(state, images)))

    def decode(state: State, z: jax.Array) -> jax.Array:
        return decoder.evaluate(state.params, state.batch_stats, z)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        return decode(state, prior(key, num))

    return Method(init, train_step, classify, encode, decode, sample)
