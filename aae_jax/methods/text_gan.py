"""Text-to-image GANs (survey's slides, "Generative Adversarial Text to Image Synthesis", after Reed
et al. 2016): a DCGAN whose generator and discriminator both see the embedding φ(t) of a sentence.

Four systems by two switches: GAN; GAN-CLS (``matching_aware``: a real image with another image's
sentence counts as fake, algorithm 1); GAN-INT (``interpolation``: the generator has to please with
embeddings between two sentences' too, equation 5); and GAN-INT-CLS, both.

Phases on every mini-batch: discriminator, generator, and the style encoder S, which inverts the
generator for the transfer of styles (‖z - S(G(z, φ(t)))‖²) and of which nothing reaches the others.
The text encoder is trained beforehand (``joint_embedding``) and stays as it is:
``common.with_text_encoder`` puts it into the state that training starts from.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax import priors
from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec, Method, make_optimizers, make_text_encoder, with_parts
from aae_jax.networks import Network
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.dcgan import BATCH_NORMS, OUTPUTS, DcganEncoder, check_image_shape
from aae_jax.networks.text import TextDiscriminator, TextGenerator
from aae_jax.objectives import generator_loss
from aae_jax.optimizers import adam


def default_config() -> ml_collections.ConfigDict:
    """Reed et al.'s settings, for images of 64x64; the style encoder's network is ours."""
    return ml_collections.ConfigDict(
        {
            "matching_aware": True,  # CLS
            "interpolation": True,  # INT, at the midpoint (β = 0.5)
            "mismatched_weight": 0.5,  # of sentences of another image among the fakes
            # The authors' code averages over the sentences and half as many midpoints.
            "interpolation_weight": 0.5,
            "noise_dim": 100,
            "text_dim": 128,  # what an embedding is compressed to
            "text": {"kind": "recurrent", "width": 512, "dim": 1024},
            "generator": {
                "dense": (),
                "features": (512, 256, 128, 64),
                "kernel_size": 4,
                "batch_norm": "before_relu",
                "output": "tanh",  # or "sigmoid", "linear": by the range of the data
            },
            "discriminator": {"features": (64, 128, 256, 512), "dense": (), "kernel_size": 4},
            "style_encoder": {
                "features": (64, 128, 256),
                "dense": (512,),
                "kernel_size": 4,
                "batch_norm": "before_relu",
            },
            "init": "normal_0.02",
            "optimizers": {
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.0002, 0.5),
                "style": adam(0.0002, 0.5),
            },
            "schedule": {
                "name": "steps",
                "epochs": (100, 200, 300, 400, 500),
                "factor": 0.5,
                "constant_fraction": 0.5,  # of a "cosine" schedule
            },
        }
    )


class Networks(NamedTuple):
    """G (noise, embeddings), D (images, embeddings), S (images to noise), φ (sentences to
    embeddings), and the noise's distribution."""

    generator: Network
    discriminator: Network
    style_encoder: Network
    text_encoder: Network
    prior: priors.Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, data without captions, a weight or
            size that cannot be, an output of another range than the data's, or convolutions that do
            not fit the images.
    """
    initializer(config.init)
    output = config.generator.output
    check_choice("model.generator.output", output, tuple(OUTPUTS))
    fitting = {"unit": "sigmoid", "symmetric": "tanh"}.get(spec.scaling, "linear")
    if output not in (fitting, "linear"):
        raise UserError(
            f"model.generator.output is {output!r}, which does not end where the data lie under "
            f"data.scaling {spec.scaling!r}: set it to {fitting!r}"
        )
    for name in ("generator", "style_encoder"):
        check_choice(f"model.{name}.batch_norm", config[name].batch_norm, BATCH_NORMS)
    for name in ("generator", "discriminator", "style_encoder"):
        check_image_shape(spec.image_shape, config[name].features, f"model.{name}.features")
    for name in ("generator", "discriminator"):
        if not config[name].features:
            raise UserError(f"model.{name} has no convolutions: give it features")
    for name in ("noise_dim", "text_dim"):
        if config[name] < 1:
            raise UserError(f"model.{name} is {config[name]}; it must be at least 1")
    if not 0.0 <= config.mismatched_weight <= 1.0:
        raise UserError(
            f"model.mismatched_weight is {config.mismatched_weight}; it must lie in [0, 1]"
        )
    if config.interpolation_weight < 0.0:
        raise UserError(
            f"model.interpolation_weight is {config.interpolation_weight}; it must not be negative"
        )
    shared = {"weight_init": config.init, "axis_name": axis_name}
    generator = TextGenerator(
        text_dim=config.text_dim, image_shape=spec.image_shape, **config.generator, **shared
    )
    discriminator = TextDiscriminator(text_dim=config.text_dim, **config.discriminator, **shared)
    style_encoder = DcganEncoder(
        code_dim=config.noise_dim, head_batch_norm="", **config.style_encoder, **shared
    )
    return Networks(
        Network("generator", generator),
        Network("discriminator", discriminator),
        Network("style_encoder", style_encoder),
        make_text_encoder(config, spec, standardised=True),
        priors.gaussian(config.noise_dim),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are the noise (z [b, noise_dim],), which ``decode`` takes
    with tokens [b, t].

    Raises:
        UserError: as ``networks``.
    """
    generator, discriminator, style_encoder, text_encoder, prior = with_parts(
        networks(config, spec, axis_name), parts
    )
    rates = make_optimizers(config, spec, optimizers)
    discrimination, generation, style = (
        Phase(phase, (network.name,), rates[phase], commits=(network.name,))
        for phase, network in (
            ("discriminator", discriminator),
            ("generator", generator),
            ("style", style_encoder),
        )
    )

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key. Its text encoder is untrained."""
        images, z = jnp.zeros((1, *spec.image_shape)), jnp.zeros((1, prior.dim))
        h = jnp.zeros((1, config.text.dim))
        inputs = {
            generator: (z, h),
            discriminator: (images, h),
            style_encoder: (images,),
            text_encoder: (jnp.zeros((1, spec.caption_length), jnp.int32),),
        }
        return create_state(*init_networks(key, inputs), (discrimination, generation, style))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images`` and their ``captions`` (algorithm 1). Losses in nats; of
        the style encoder the squared error of z, summed over its dimensions."""
        keys = step_keys(key, axis_name)
        x = batch.images
        z = prior(keys("noise"), len(x))
        h = text_encoder.evaluate(state.params, state.batch_stats, batch.captions)
        # The sentence of the image before, wrong unless it is said of the same class.
        h_other = jnp.roll(h, 1, axis=0)
        wrong = (jnp.roll(batch.caption_classes, 1) != batch.caption_classes).astype(x.dtype)
        h_between = (h + h_other) / 2

        # Neither G nor z change between the first two phases: its images are computed once.
        def discriminator_objective(params, stats):
            fake, stats = generator(params, stats, z, h)
            images, said = jnp.concatenate([x, fake]), jnp.concatenate([h, h])
            if not config.matching_aware:
                (right,), stats = discriminator(params, stats, images, said)
                s_r, s_f = jnp.split(right, 2)
                return (jax.nn.softplus(-s_r) + jax.nn.softplus(s_f)).mean(), stats
            said_wrongly = jnp.concatenate([h_other, h_other])
            (right, wrongly), stats = discriminator(params, stats, images, said, said_wrongly)
            s_r, s_f = jnp.split(right, 2)
            s_w = wrongly[: len(x)]
            share = config.mismatched_weight
            fakes = share * wrong * jax.nn.softplus(s_w) + (1 - share) * jax.nn.softplus(s_f)
            return (jax.nn.softplus(-s_r) + fakes).mean(), stats

        def generator_objective(params, stats):
            def cost(stats, said):
                # The real images come along for the moments of D's batch norm alone, as many as
                # in its own phase: among more generated ones, each would look more real.
                fake, stats = generator(params, stats, z, said)
                images = jnp.concatenate([x, fake])
                (logits,), stats = discriminator(params, stats, images, jnp.concatenate([h, said]))
                return generator_loss(logits[len(x) :]).mean(), stats

            loss, stats = cost(stats, h)
            if config.interpolation:
                # G is asked for images of sentences alone, so the running moments are theirs.
                between, _ = cost(stats, h_between)
                loss += config.interpolation_weight * between
            return loss, stats

        def style_objective(params, stats):
            fake, _ = generator(params, stats, z, h)
            found, stats = style_encoder(params, stats, fake)
            return jnp.square(found - z).sum(axis=1).mean(), stats

        return play(
            state,
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            (style, style_objective),
            axis_name=axis_name,
        )

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(S(x) [b, noise_dim],), the style of images; deterministic, whatever the key."""
        return (style_encoder.evaluate(state.params, state.batch_stats, images),)

    def encode_text(state: State, captions: jax.Array) -> jax.Array:
        """φ(t) [b, dim] of tokens [b, t]."""
        return text_encoder.evaluate(state.params, state.batch_stats, captions)

    def decode(state: State, z: jax.Array, captions: jax.Array) -> jax.Array:
        """Noise [b, noise_dim] and tokens [b, t], or embeddings [b, dim] -> images [b, h, w, c]."""
        said = jnp.issubdtype(captions.dtype, jnp.integer)
        h = encode_text(state, captions) if said else captions
        return generator.evaluate(state.params, state.batch_stats, z, h)

    def discriminate(state: State, images: jax.Array, captions: jax.Array) -> jax.Array:
        """Logits [b] of "a real image, and this said of it"."""
        h = encode_text(state, captions)
        return discriminator.evaluate(state.params, state.batch_stats, images, h)[0]

    return Method(
        init,
        train_step,
        encode=encode,
        encode_text=encode_text,
        decode=decode,
        discriminate=discriminate,
    )
