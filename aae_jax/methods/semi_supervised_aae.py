"""The semi-supervised adversarial autoencoder (AAE, section 5, figure 8, A.2), and the same
without labels for clustering (section 6, A.3).

An encoder q(y, z | x) with a label head y and a style head z, a decoder p(x | y, z), and two
discriminators that match the aggregated posteriors of y and z to a categorical and a Gaussian
prior. Three phases on every mini-batch: reconstruction, regularization, classification.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_codes,
    make_decoder,
    make_discriminator,
    make_encoder,
    make_optimizers,
    semi_supervised_config,
    with_parts,
)
from aae_jax.networks import Network, corrupt
from aae_jax.networks.common import init_networks
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error


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


class Networks(NamedTuple):
    """Encoder (images to label logits and style), decoder (label, style), a discriminator for
    either code, and their priors."""

    encoder: Network
    decoder: Network
    label_discriminator: Network
    style_discriminator: Network
    label_prior: priors.Prior
    style_prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices.
    """
    num_categories = check_codes(config, spec)
    return Networks(
        make_encoder(config, (num_categories, config.style_dim), axis_name),
        make_decoder(config, spec, axis_name),
        make_discriminator(config, "label_discriminator"),
        make_discriminator(config, "style_discriminator"),
        priors.categorical(num_categories),
        priors.gaussian(config.style_dim, config.style_std),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions; without ``spec.labelled`` there is no classification phase.

    Codes are (y [b, k] probabilities, z [b, style_dim]).

    Raises:
        UserError: for a setting that is none of its choices.
    """
    encoder, decoder, label_discriminator, style_discriminator, label_prior, style_prior = (
        with_parts(networks(config, spec, axis_name), parts)
    )
    rates = make_optimizers(config, spec, optimizers)
    autoencoder = ("encoder", "decoder")
    discriminators = ("label_discriminator", "style_discriminator")
    reconstruction = Phase(
        "reconstruction", autoencoder, rates["reconstruction"], commits=autoencoder
    )
    discrimination = Phase("discriminator", discriminators, rates["discriminator"])
    generation = Phase("generator", ("encoder",), rates["generator"])
    classification = Phase("classification", ("encoder",), rates["classification"])
    unsupervised = (reconstruction, discrimination, generation)
    phases = (*unsupervised, classification) if spec.labelled else unsupervised

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        y, z = jnp.zeros((1, label_prior.dim)), jnp.zeros((1, style_prior.dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (y, z),
            label_discriminator: (y,),
            style_discriminator: (z,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update: reconstruction, discriminators and generator on ``batch.images``, and, if
        there are labels, classification on ``batch.labelled_images``."""
        keys = step_keys(key, axis_name)
        num = batch.images.shape[0]
        noisy = corrupt(keys("input noise"), batch.images, config.input_noise, config.input_dropout)
        y_real, z_real = (
            label_prior(keys("label prior"), num),
            style_prior(keys("style prior"), num),
        )

        def codes(params, stats, phase):
            """q(y, z | x). The decoder and the adversary get the softmax, a continuous relaxation
            of the one-hot label (paper silent)."""
            (logits, z), stats = encoder(params, stats, noisy, key=keys(f"{phase} encoder"))
            return jax.nn.softmax(logits), z, stats

        def reconstruction_loss(params, stats):
            y, z, stats = codes(params, stats, "reconstruction")
            reconstructions, stats = decoder(params, stats, y, z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        # The encoder and its noise do not change between the two adversarial phases, so the
        # compiler runs its forward pass on the batch once for both.
        def discriminators_loss(params, stats):
            y, z, stats = codes(params, stats, "adversarial")
            *d_y, stats = real_and_fake(
                label_discriminator, params, stats, (y_real,), (y,), one_batch=True
            )
            *d_z, stats = real_and_fake(
                style_discriminator, params, stats, (z_real,), (z,), one_batch=True
            )
            return (discriminator_loss(*d_y) + discriminator_loss(*d_z)).mean(), stats

        def generator_objective(params, stats):
            y, z, stats = codes(params, stats, "adversarial")
            d_y, stats = label_discriminator(params, stats, y)
            d_z, stats = style_discriminator(params, stats, z)
            return (generator_loss(d_y) + generator_loss(d_z)).mean(), stats

        def classification_loss(params, stats):
            labelled = corrupt(
                keys("labelled input noise"),
                batch.labelled_images,
                config.input_noise,
                config.input_dropout,
            )
            (logits, _), stats = encoder(
                params, stats, labelled, key=keys("classification encoder")
            )
            losses = optax.softmax_cross_entropy_with_integer_labels(logits, batch.labels)
            return losses.mean(), stats

        moves = [
            (reconstruction, reconstruction_loss),
            (discrimination, discriminators_loss),
            (generation, generator_objective),
        ]
        if spec.labelled:
            moves.append((classification, classification_loss))
        return play(state, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """(y [b, k] probabilities, z [b, style_dim]); deterministic, whatever the key."""
        logits, z = encoder.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(logits), z

    def classify(state: State, images: jax.Array) -> jax.Array:
        """q(y | x) [b, k]: of classes, or of clusters."""
        return encode(state, images)[0]

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        """Labels [b, k], one-hot or probabilities, and styles [b, style_dim] -> images."""
        return decoder.evaluate(state.params, state.batch_stats, y, z)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Half the squared error of an image's reconstruction, summed over pixels [b, 1]."""
        return half_squared_error(decode(state, *encode(state, images)), images)[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of labels and styles from their priors."""
        label_key, style_key = jax.random.split(key)
        return decode(state, label_prior(label_key, num), style_prior(style_key, num))

    def discriminate(state: State, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits [b] of "drawn from the prior" for labels [b, k] and for styles [b, style_dim]."""
        params, stats = state.params, state.batch_stats
        return (
            label_discriminator.evaluate(params, stats, y),
            style_discriminator.evaluate(params, stats, z),
        )

    return Method(
        init,
        train_step,
        classify=classify,
        encode=encode,
        decode=decode,
        sample=sample,
        evaluate=evaluate,
        discriminate=discriminate,
    )
