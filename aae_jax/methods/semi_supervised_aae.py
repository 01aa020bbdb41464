"""The semi-supervised adversarial autoencoder (AAE, section 5, figure 8, A.2), and the same
without labels for clustering (section 6, A.3).

An encoder q(y, z | x) with a label head y and a style head z, a decoder p(x | y, z), and two
discriminators that match the aggregated posteriors of y and z to a categorical and a Gaussian
prior. Three phases on every mini-batch: reconstruction, regularization, classification.
"""

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_codes,
    make_decoder,
    make_encoder,
    merge,
    phase_key,
    semi_supervised_config,
)
from aae_jax.networks import Discriminator, Network, corrupt
from aae_jax.networks.common import init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error
from aae_jax.optimizers import optimizer, schedule


def clustering_config() -> ml_collections.ConfigDict:
    """The paper's settings for clustering MNIST (A.3); 16 or 30 clusters."""
    config = semi_supervised_config()
    config.hidden = config.discriminator_hidden = (3000, 3000)
    config.style_dim = 5
    config.num_categories = 30
    config.encoder_batch_norm = "all"
    config.input_noise = 0.0
    config.input_dropout = 0.2
    config.schedule.epochs = (50,)
    return config


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions; without ``spec.labelled`` there is no classification phase.

    Codes are (y [b, k] probabilities, z [b, style_dim]).

    Raises:
        UserError: for a setting that is none of its choices.
    """
    num_categories = check_codes(config, spec)
    encoder = make_encoder(config, (num_categories, config.style_dim), axis_name)
    decoder = make_decoder(config, spec, axis_name)
    label_discriminator, style_discriminator = (
        Network(name, Discriminator(config.discriminator_hidden, config.init))
        for name in ("label_discriminator", "style_discriminator")
    )
    label_prior = priors.categorical(num_categories)
    style_prior = priors.gaussian(config.style_dim, config.style_std)

    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    reconstruction = Phase(
        "reconstruction",
        ("encoder", "decoder"),
        optimizer(config.optimizers.reconstruction, factor),
        commits_batch_stats=True,
    )
    discriminator = Phase(
        "discriminator",
        ("label_discriminator", "style_discriminator"),
        optimizer(config.optimizers.discriminator, factor),
    )
    generator = Phase("generator", ("encoder",), optimizer(config.optimizers.generator, factor))
    classification = Phase(
        "classification", ("encoder",), optimizer(config.optimizers.classification, factor)
    )
    unsupervised = (reconstruction, discriminator, generator)
    phases = (*unsupervised, classification) if spec.labelled else unsupervised

    def init(key: jax.Array) -> State:
        images = jnp.zeros((1, *spec.image_shape))
        y, z = jnp.zeros((1, num_categories)), jnp.zeros((1, config.style_dim))
        networks = {
            encoder: (images,),
            decoder: (y, z),
            label_discriminator: (y,),
            style_discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def codes(params, stats, images, key):
        """q(y, z | x). The decoder and the adversary get the softmax, a continuous relaxation
        of the one-hot label (paper silent)."""
        (label_logits, z), stats = encoder(params, stats, images, key=key)
        return jax.nn.softmax(label_logits), z, stats

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        keys = jax.random.split(phase_key(key, axis_name), 7)
        num = batch.images.shape[0]
        noisy = corrupt(keys[0], batch.images, config.input_noise, config.input_dropout)

        def reconstruction_loss(params, stats):
            y, z, stats = codes(params, stats, noisy, keys[4])
            reconstructions, stats = decoder(params, stats, y, z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        def discriminators_loss(params, stats):
            y, z, _ = codes(params, stats, noisy, keys[5])
            y_real, z_real = label_prior(keys[1], num), style_prior(keys[2], num)
            d_y, _ = label_discriminator(params, stats, jnp.concatenate([y_real, y]))
            d_z, _ = style_discriminator(params, stats, jnp.concatenate([z_real, z]))
            losses = discriminator_loss(*jnp.split(d_y, 2)) + discriminator_loss(*jnp.split(d_z, 2))
            return losses.mean(), stats

        def generators_loss(params, stats):
            y, z, _ = codes(params, stats, noisy, keys[5])
            d_y, _ = label_discriminator(params, stats, y)
            d_z, _ = style_discriminator(params, stats, z)
            return (generator_loss(d_y) + generator_loss(d_z)).mean(), stats

        def classification_loss(params, stats):
            labelled = corrupt(
                keys[3], batch.labelled_images, config.input_noise, config.input_dropout
            )
            (label_logits, _), stats = encoder(params, stats, labelled, key=keys[6])
            losses = optax.softmax_cross_entropy_with_integer_labels(label_logits, batch.labels)
            return losses.mean(), stats

        # The encoder and its noise do not change between the two adversarial phases, so the
        # compiler runs its forward pass on the batch once for both.
        state, reconstruction_metrics = update(
            state, reconstruction, reconstruction_loss, axis_name
        )
        state, discriminator_metrics = update(state, discriminator, discriminators_loss, axis_name)
        state, metrics = update(state, generator, generators_loss, axis_name)
        metrics = merge(reconstruction_metrics, discriminator_metrics, metrics)
        if spec.labelled:
            state, classification_metrics = update(
                state, classification, classification_loss, axis_name
            )
            metrics = merge(metrics, classification_metrics)
        return state._replace(step=state.step + 1), metrics

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        label_logits, z = encoder.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(label_logits), z

    def classify(state: State, images: jax.Array) -> jax.Array:
        return encode(state, images)[0]

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        return decoder.evaluate(state.params, state.batch_stats, y, z)

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        label_key, style_key = jax.random.split(key)
        return decode(state, label_prior(label_key, num), style_prior(style_key, num))

    return Method(init, train_step, classify, encode, decode, sample)
