"""Dimension reduction with the AAE (AAE, section 7, figures 10 and 11): the representation is the
cluster head of the label, plus the style, in n dimensions.

As in the semi-supervised AAE two adversaries shape label and style; the decoder sees only their
sum W_C y + z. The heads W_C are learned with a cost on those that lie closer together than a
threshold, or fixed.
"""

import jax
import jax.numpy as jnp
import ml_collections
import optax

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, update
from aae_jax.errors import UserError
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
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.networks.mlp import ClusterHeads
from aae_jax.objectives import discriminator_loss, generator_loss, half_squared_error
from aae_jax.objectives.distance import head_distance_cost
from aae_jax.optimizers import optimizer, schedule, sgd


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


def build(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Method:
    """The method as pure functions; without ``spec.labelled`` there is no classification phase.

    Codes are (y [b, k] probabilities, z [b, n]); the representation is ``embed(state, y, z)``
    [b, n], and ``state.params["cluster_heads"]["heads"]`` holds W_C [k, n].

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
    encoder = make_encoder(config, (num_categories, dim), axis_name)
    decoder = make_decoder(config, spec, axis_name)
    label_discriminator, style_discriminator = (
        Network(name, Discriminator(config.discriminator_hidden, config.init))
        for name in ("label_discriminator", "style_discriminator")
    )
    scale = config.head_scale if config.heads == "fixed" else 0.0
    cluster_heads = Network("cluster_heads", ClusterHeads(num_categories, dim, scale))
    label_prior = priors.categorical(num_categories)
    style_prior = priors.gaussian(dim, config.style_std)

    factor = schedule(config.schedule, spec.updates_per_epoch, spec.epochs)
    learns_heads = config.heads == "learned"
    reconstruction = Phase(
        "reconstruction",
        ("encoder", "decoder", "cluster_heads") if learns_heads else ("encoder", "decoder"),
        optimizer(config.optimizers.reconstruction, factor),
        commits_batch_stats=True,
    )
    separation = Phase("heads", ("cluster_heads",), optimizer(config.optimizers.heads, factor))
    discrimination = Phase(
        "discriminator",
        ("label_discriminator", "style_discriminator"),
        optimizer(config.optimizers.discriminator, factor),
    )
    generation = Phase("generator", ("encoder",), optimizer(config.optimizers.generator, factor))
    classification = Phase(
        "classification", ("encoder",), optimizer(config.optimizers.classification, factor)
    )
    phases = (
        reconstruction,
        *((separation,) if learns_heads else ()),
        discrimination,
        generation,
        *((classification,) if spec.labelled else ()),
    )

    def init(key: jax.Array) -> State:
        images = jnp.zeros((1, *spec.image_shape))
        y, z = jnp.zeros((1, num_categories)), jnp.zeros((1, dim))
        networks = {
            encoder: (images,),
            decoder: (z,),
            label_discriminator: (y,),
            style_discriminator: (z,),
            cluster_heads: (y,),
        }
        return create_state(*init_networks(key, networks), phases)

    def codes(params, stats, images, key):
        (label_logits, z), stats = encoder(params, stats, images, key=key)
        return jax.nn.softmax(label_logits), z, stats

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        keys = jax.random.split(phase_key(key, axis_name), 7)
        num = batch.images.shape[0]
        noisy = corrupt(keys[0], batch.images, config.input_noise, config.input_dropout)

        def reconstruction_loss(params, stats):
            y, z, stats = codes(params, stats, noisy, keys[4])
            head, stats = cluster_heads(params, stats, y)
            reconstructions, stats = decoder(params, stats, head + z)
            return half_squared_error(reconstructions, batch.images).mean(), stats

        def heads_loss(params, stats):
            cost = head_distance_cost(params["cluster_heads"]["heads"], config.head_threshold)
            return config.head_weight * cost, stats

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

        losses = {
            "reconstruction": reconstruction_loss,
            "heads": heads_loss,
            "discriminator": discriminators_loss,
            "generator": generators_loss,
            "classification": classification_loss,
        }
        metrics: Metrics = {}
        for phase in phases:
            state, phase_metrics = update(state, phase, losses[phase.name], axis_name)
            metrics = merge(metrics, phase_metrics)
        return state._replace(step=state.step + 1), metrics

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, jax.Array]:
        label_logits, z = encoder.evaluate(state.params, state.batch_stats, images)
        return jax.nn.softmax(label_logits), z

    def classify(state: State, images: jax.Array) -> jax.Array:
        return encode(state, images)[0]

    def embed(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        return cluster_heads.evaluate(state.params, state.batch_stats, y) + z

    def decode(state: State, y: jax.Array, z: jax.Array) -> jax.Array:
        return decoder.evaluate(state.params, state.batch_stats, embed(state, y, z))

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        label_key, style_key = jax.random.split(key)
        return decode(state, label_prior(label_key, num), style_prior(style_key, num))

    return Method(init, train_step, classify, encode, decode, sample, embed=embed)
