"""Dimension reduction with the AAE (AAE, section 7, figures 10 and 11): the representation is the
cluster head of the label, plus the style, in n dimensions.

As in the semi-supervised AAE two adversaries shape label and style; the decoder sees only their
sum W_C y + z. The heads W_C are learned with a cost on those that lie closer together than a
threshold, or fixed.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
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
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.networks.mlp import ClusterHeads
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error
from aae_jax.objectives.distance import head_distance_cost
from aae_jax.optimizers import sgd


def default_config() -> ml_collections.ConfigDict:
    """The semi-supervised AAE's settings (A.2.1) in two dimensions: for section 7 the paper gives
    next to nothing."""
    config = semi_supervised_config()
    config.style_dim = 2  # n, of the representation too
    config.heads = "learned"  # or "fixed": head_scale times the identity (figure 11d)
    config.head_scale = 10.0
    config.head_threshold = 1.0  # η; public code has 1 for 10 heads, 2 for 20
    config.head_weight = 1.0
    config.optimizers.heads = sgd(0.1, 0.9)
    return config


class Networks(NamedTuple):
    """Those of the semi-supervised AAE, with a decoder of the representation, and the heads W_C."""

    encoder: Network
    decoder: Network
    label_discriminator: Network
    style_discriminator: Network
    cluster_heads: Network
    label_prior: priors.Prior
    style_prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, or fixed heads that do not fit.
    """
    check_choice("model.heads", config.heads, ("learned", "fixed"))
    num_categories, dim = check_codes(config, spec), config.style_dim
    if config.heads == "fixed" and config.head_scale == 0:
        raise UserError("model.head_scale is 0: fixed heads would be one and the same")
    if config.heads == "fixed" and dim != num_categories:
        raise UserError(
            f"fixed heads are the identity times a number, so model.style_dim ({dim}) must be the "
            f"number of categories ({num_categories})"
        )
    scale = config.head_scale if config.heads == "fixed" else 0.0
    return Networks(
        make_encoder(config, (num_categories, dim), axis_name),
        make_decoder(config, spec, axis_name),
        make_discriminator(config, "label_discriminator"),
        make_discriminator(config, "style_discriminator"),
        Network("cluster_heads", ClusterHeads(num_categories, dim, scale)),
        priors.categorical(num_categories),
        priors.gaussian(dim, config.style_std),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions; without ``spec.labelled`` there is no classification phase.

    Codes are (y [b, k] probabilities, z [b, n]); the representation is ``embed(state, y, z)``
    [b, n], and ``state.params["cluster_heads"]["heads"]`` holds W_C [k, n].

    Raises:
        UserError: for a setting that is none of its choices, or fixed heads that do not fit.
    """
    parts_ = with_parts(networks(config, spec, axis_name), parts)
    encoder, decoder, label_discriminator, style_discriminator, cluster_heads = parts_[:5]
    label_prior, style_prior = parts_[5:]
    rates = make_optimizers(config, spec, optimizers)
    learns_heads = config.heads == "learned"
    autoencoder = ("encoder", "decoder")
    reconstruction = Phase(
        "reconstruction",
        (*autoencoder, "cluster_heads") if learns_heads else autoencoder,
        rates["reconstruction"],
        commits=autoencoder,
    )
    separation = Phase("heads", ("cluster_heads",), rates["heads"])
    discriminators = ("label_discriminator", "style_discriminator")
    discrimination = Phase("discriminator", discriminators, rates["discriminator"])
    generation = Phase("generator", ("encoder",), rates["generator"])
    classification = Phase("classification", ("encoder",), rates["classification"])
    phases = (
        reconstruction,
        *((separation,) if learns_heads else ()),
        discrimination,
        generation,
        *((classification,) if spec.labelled else ()),
    )

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        y, z = jnp.zeros((1, label_prior.dim)), jnp.zeros((1, style_prior.dim))
        networks = {
            encoder: (jnp.zeros((1, *spec.image_shape)),),
            decoder: (z,),
            label_discriminator: (y,),
            style_discriminator: (z,),
            cluster_heads: (y,),
        }
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update: reconstruction, the cost on close heads, discriminators and generator, and,
        if there are labels, classification on ``batch.labelled_images``."""
        keys = step_keys(key, axis_name)
        num = batch.images.shape[0]
        noisy = corrupt(keys("input noise"), batch.images, config.input_noise, config.input_dropout)
        y_real, z_real = (
            label_prior(keys("label prior"), num),
            style_prior(keys("style prior"), num),
        )

        def codes(params, stats, phase):
            (logits, z), stats = encoder(params, stats, noisy, key=keys(f"{phase} encoder"))
            return jax.nn.softmax(logits), z, stats

        def reconstruction_loss(params, stats):
            y, z, stats = codes(params, stats, "reconstruction")
            head, stats = cluster_heads(params, stats, y)
            reconstructions, stats = decoder(params, stats, head + z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        def heads_loss(params, stats):
            cost = head_distance_cost(params["cluster_heads"]["heads"], config.head_threshold)
            return config.head_weight * cost, stats

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

        losses = {
            reconstruction: reconstruction_loss,
            separation: heads_loss,
            discrimination: discriminators_loss,
            generation: generator_objective,
            classification: classification_loss,
        }
        return play(state, *((phase, losses[phase]) for phase in phases), axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        """(y [b, k] probabilities, z [b, n]); deterministic, whatever the key."""
        logits, z = encoder.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(logits), z

    def classify(state: State, images: jax.Array) -> jax.Array:
        """q(y | x) [b, k]: of classes, or of clusters."""
        return encode(state, images)[0]

    def embed(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        """The representation W_C y + z, [b, n]."""
        return cluster_heads.evaluate(state.params, state.batch_stats, y) + z

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        """Labels [b, k], one-hot or probabilities, and styles [b, n] -> images [b, h, w, c]."""
        return decoder.evaluate(state.params, state.batch_stats, embed(state, y, z))

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of labels and styles from their priors."""
        label_key, style_key = jax.random.split(key)
        return decode(state, label_prior(label_key, num), style_prior(style_key, num))

    def discriminate(state: State, y: jax.Array, z: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Logits [b] of "drawn from the prior" for labels [b, k] and for styles [b, n]."""
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
        embed=embed,
        discriminate=discriminate,
    )
