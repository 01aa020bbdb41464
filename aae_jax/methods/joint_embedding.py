"""The text encoder of the text-to-image GANs: a structured joint embedding, symmetric in images and
sentences (survey's slides, equations 3 to 5), trained before the GAN against an image encoder."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_optimizers, make_text_encoder, with_parts
from aae_jax.networks import Network
from aae_jax.networks.common import init_networks, initializer
from aae_jax.networks.conv import ConvEncoder
from aae_jax.networks.dcgan import check_image_shape
from aae_jax.objectives.matching import joint_embedding_loss
from aae_jax.optimizers import adam


def default_config() -> ml_collections.ConfigDict:
    """1024 dimensions as in the paper; networks, optimizer and rates are ours: the slides are
    silent, and the paper's image encoder was a GoogLeNet trained on ImageNet."""
    return ml_collections.ConfigDict(
        {
            "text": {
                "kind": "recurrent",  # or "convolutional", over words
                "width": 512,
                "dim": 1024,  # of φ(v) and ψ(t)
            },
            "image": {"features": (64, 128, 256), "dense": 1024},
            "init": "he_normal",
            "optimizers": {"matching": adam(0.0004)},
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
            },
        }
    )


class Networks(NamedTuple):
    """φ, of images, and ψ, of sentences."""

    image_encoder: Network
    text_encoder: Network


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, data without captions, or convolutions
            that do not fit the images.
    """
    initializer(config.init)
    check_image_shape(spec.image_shape, config.image.features, "model.image.features")
    if config.image.dense < 1:
        raise UserError(f"model.image.dense is {config.image.dense}; it must be at least 1")
    image_encoder = ConvEncoder(
        config.image.features,
        config.image.dense,
        (config.text.dim,),
        weight_init=config.init,
        axis_name=axis_name,
    )
    return Networks(Network("image_encoder", image_encoder), make_text_encoder(config, spec))


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``encode`` gives (φ(v),), ``encode_text`` ψ(t).

    Raises:
        UserError: as ``networks``.
    """
    image_encoder, text_encoder = with_parts(networks(config, spec, axis_name), parts)
    both = ("image_encoder", "text_encoder")
    phase = Phase(
        "matching", both, make_optimizers(config, spec, optimizers)["matching"], commits=both
    )

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        inputs = {
            image_encoder: (jnp.zeros((1, *spec.image_shape)),),
            text_encoder: (jnp.zeros((1, spec.caption_length), jnp.int32),),
        }
        return create_state(*init_networks(key, inputs), (phase,))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images`` and their ``captions``, of ``caption_classes`` y."""

        def matching(params, stats):
            (image_codes,), stats = image_encoder(params, stats, batch.images)
            text_codes, stats = text_encoder(params, stats, batch.captions)
            losses = joint_embedding_loss(image_codes, text_codes, batch.caption_classes)
            return losses.mean(), stats

        return play(state, (phase, matching), axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(φ(v) [b, dim],); deterministic, whatever the key."""
        return image_encoder.evaluate(state.params, state.batch_stats, images)

    def encode_text(state: State, captions: jax.Array) -> jax.Array:
        """ψ(t) [b, dim] of tokens [b, t]."""
        return text_encoder.evaluate(state.params, state.batch_stats, captions)

    return Method(init, train_step, encode=encode, encode_text=encode_text)
