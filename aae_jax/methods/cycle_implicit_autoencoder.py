"""The cycle implicit autoencoder (Implicit Autoencoders, section 3, figure 7): an autoencoder of
the images of one domain whose code is an image of a second domain, without any pairs. An encoder
ẑ = f(x, ε) and a decoder x̂ = g(ẑ, n), both implicit distributions.

Phases on every mini-batch: a discriminator of (x, ẑ) against (x̂, ẑ), the adversarial
cycle-consistency cost; a discriminator of the second domain's images against ẑ, the adversarial
regularization cost; then encoder and decoder on the sum of what either costs them, as CycleGAN's.

What the paper argues with are other costs of reconstruction: CycleGAN's L1, with which the cycle is
an adversarial autoencoder, and the matching of the marginals x and x̂.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    gaussian_noise,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network, initializer
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.networks.resnet import LOGITS, ImageDiscriminator, ResnetGenerator, check_generator
from aae_jax.objectives import discriminator_loss, generator_loss
from aae_jax.optimizers import adam

RECONSTRUCTIONS = ("adversarial", "l1", "marginal")


def default_config() -> ml_collections.ConfigDict:
    """CycleGAN's generators (appendix B.2) with the noise of figure 8; the rest, the
    discriminators too, is CycleGAN's or ours: paper silent."""

    def discriminator() -> dict[str, Any]:
        return {
            "features": (64, 128, 256),
            "logits": "patches",  # or "image"
            "batch_norm": True,
            "noise": 0.0,  # std, on the images and between the layers
        }

    return ml_collections.ConfigDict(
        {
            "decoder_noise_dim": 100,  # of n ~ N(0, I); 0: deterministic
            "encoder_noise_dim": 0,  # of ε ~ N(0, I); 0: deterministic
            "reconstruction": "adversarial",  # (x, ẑ) against (x̂, ẑ); or "marginal", "l1"
            "reconstruction_weight": 1.0,  # against the regularization cost's 1; CycleGAN's L1: 10
            "generator": {"features": 64, "num_blocks": 6},  # CycleGAN's, of 128x128 images
            "reconstruction_discriminator": discriminator(),
            "regularization_discriminator": discriminator(),
            "one_batch": True,  # real and fake, in either discriminator, or one after the other
            "init": "normal_0.02",
            "optimizers": {
                "reconstruction_discriminator": adam(0.0002, 0.5),
                "regularization_discriminator": adam(0.0002, 0.5),
                "autoencoder": adam(0.0002, 0.5),
            },
            "schedule": {
                "name": "cosine",  # CycleGAN's falls linearly over its second half
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
            },
        }
    )


class Networks(NamedTuple):
    """Encoder (images, ε), decoder (codes, n), the discriminators of pairs (x, ẑ), or of x alone,
    and of codes, which are images."""

    encoder: Network
    decoder: Network
    reconstruction_discriminator: Network
    regularization_discriminator: Network


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for data of one domain, or of two with images of different shapes, images that
            the generator cannot be made for, noise of a negative size, or a setting that is none of
            its choices.
    """
    initializer(config.init)
    check_choice("model.reconstruction", config.reconstruction, RECONSTRUCTIONS)
    if spec.second_shape is None:
        raise UserError(
            "a cycle needs a second domain, on whose images the codes are to be modelled: set "
            "data.domains, or give DataSpec(second_shape=...)"
        )
    if tuple(spec.second_shape) != tuple(spec.image_shape):
        first, second = (" x ".join(map(str, s)) for s in (spec.image_shape, spec.second_shape))
        raise UserError(
            f"the images of the two domains are {first} and {second}: give them one shape"
        )
    check_generator(spec.image_shape, config.generator.features, config.generator.num_blocks)
    for name in ("decoder_noise_dim", "encoder_noise_dim"):
        if config[name] < 0:
            raise UserError(
                f"model.{name} is {config[name]}; it must be at least 0, and 0 is deterministic"
            )
    if config.reconstruction_weight <= 0:
        raise UserError(
            f"model.reconstruction_weight is {config.reconstruction_weight}; it must be positive"
        )
    for name in ("reconstruction_discriminator", "regularization_discriminator"):
        check_choice(f"model.{name}.logits", config[name].logits, LOGITS)
        if not config[name].features:
            raise UserError(f"model.{name}.features is empty: give it at least one convolution")
    shared = {"weight_init": config.init, "axis_name": axis_name}
    # Both domains lie where the data's scaling puts them.
    output = {"unit": "sigmoid", "symmetric": "tanh"}.get(spec.scaling, "linear")

    def generator(name: str) -> Network:
        return Network(name, ResnetGenerator(**config.generator, output=output, **shared))

    def discriminator(name: str) -> Network:
        return Network(name, ImageDiscriminator(**config[name], **shared))

    return Networks(
        generator("encoder"),
        generator("decoder"),
        discriminator("reconstruction_discriminator"),
        discriminator("regularization_discriminator"),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. Codes are (z [b, h, w, c],): images of the second domain.

    Raises:
        UserError: as ``networks``.
    """
    encoder, decoder, reconstruction_discriminator, regularization_discriminator = with_parts(
        networks(config, spec, axis_name), parts
    )
    rates = make_optimizers(config, spec, optimizers)
    adversarial = config.reconstruction != "l1"
    reconstruction_game, regularization_game = (
        Phase(name, (name,), rates[name], commits=(name,))
        for name in ("reconstruction_discriminator", "regularization_discriminator")
    )
    both = ("encoder", "decoder")
    autoencoding = Phase("autoencoder", both, rates["autoencoder"], commits=both)

    def compared(images: jax.Array, codes: jax.Array) -> tuple[jax.Array, ...]:
        """What the reconstruction GAN looks at."""
        return (images,) if config.reconstruction == "marginal" else (images, codes)

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        images = jnp.zeros((1, *spec.image_shape))
        networks = {
            encoder: (images, *gaussian_noise(None, 1, config.encoder_noise_dim)),
            decoder: (images, *gaussian_noise(None, 1, config.decoder_noise_dim)),
            regularization_discriminator: (images,),
        }
        phases: tuple[Phase, ...] = (regularization_game, autoencoding)
        if adversarial:
            networks[reconstruction_discriminator] = compared(images, images)
            phases = (reconstruction_game, *phases)
        return create_state(*init_networks(key, networks), phases)

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images`` and ``batch.second_images``, which are no pairs: the
        discriminators of either game, then encoder and decoder. Losses in nats, but for the L1 cost
        (mean over pixels)."""
        keys = step_keys(key, axis_name)
        x, z, num = batch.images, batch.second_images, batch.images.shape[0]
        epsilon = gaussian_noise(keys("encoder noise"), num, config.encoder_noise_dim)
        n = gaussian_noise(keys("decoder noise"), num, config.decoder_noise_dim)

        # Encoder, decoder and their noise do not change before the last phase, so the compiler
        # runs their forward pass once for all.
        def autoencode(params, stats):
            """ẑ = f(x, ε) and x̂ = g(ẑ, n)."""
            z_hat, stats = encoder(params, stats, x, *epsilon)
            x_hat, stats = decoder(params, stats, z_hat, *n)
            return z_hat, x_hat, stats

        def discriminate_pairs(params, stats, z_hat, x_hat, phase):
            """The logits of (x, ẑ) and of (x̂, ẑ)."""
            # The positive pair's code is a constant: "a more stable target" (appendix B.1).
            return real_and_fake(
                reconstruction_discriminator,
                params,
                stats,
                compared(x, jax.lax.stop_gradient(z_hat)),
                compared(x_hat, z_hat),
                one_batch=config.one_batch,
                key=keys(f"{phase} reconstruction discriminator noise"),
            )

        def discriminate_codes(params, stats, z_hat, phase):
            """The logits of z and of ẑ."""
            return real_and_fake(
                regularization_discriminator,
                params,
                stats,
                (z,),
                (z_hat,),
                one_batch=config.one_batch,
                key=keys(f"{phase} regularization discriminator noise"),
            )

        def reconstruction_discriminator_loss(params, stats):
            z_hat, x_hat, stats = autoencode(params, stats)
            d_real, d_fake, stats = discriminate_pairs(params, stats, z_hat, x_hat, "its own")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def regularization_discriminator_loss(params, stats):
            z_hat, _, stats = autoencode(params, stats)
            d_real, d_fake, stats = discriminate_codes(params, stats, z_hat, "its own")
            return discriminator_loss(d_real, d_fake).mean(), stats

        def autoencoder_loss(params, stats):
            z_hat, x_hat, stats = autoencode(params, stats)
            if adversarial:
                _, d_fake, stats = discriminate_pairs(params, stats, z_hat, x_hat, "autoencoder")
                reconstruction = generator_loss(d_fake).mean()
            else:
                reconstruction = jnp.abs(x_hat - x).mean()
            _, d_fake, stats = discriminate_codes(params, stats, z_hat, "autoencoder")
            regularization = generator_loss(d_fake).mean()
            loss = config.reconstruction_weight * reconstruction + regularization
            return loss, stats, {"reconstruction": reconstruction, "regularization": regularization}

        moves = [
            (regularization_game, regularization_discriminator_loss),
            (autoencoding, autoencoder_loss),
        ]
        if adversarial:
            moves.insert(0, (reconstruction_game, reconstruction_discriminator_loss))
        return play(state, *moves, axis_name=axis_name)

    def encode(
        state: State, images: jax.Array, key: jax.Array | None = None
    ) -> tuple[jax.Array, ...]:
        """(z [b, h, w, c],), images of the second domain: with a key a draw from q(z | x) by ε, the
        same ε under the same key; without one ε is zero."""
        num, dim = images.shape[0], config.encoder_noise_dim
        epsilon = gaussian_noise(key, num, dim)
        return (encoder.evaluate(state.params, state.batch_stats, images, *epsilon),)

    def decode(state: State, z: jax.Array, key: jax.Array | None = None) -> jax.Array:
        """Codes, images of the second domain, -> images of the first [b, h, w, c]: with a key a
        draw from p(x | z) by n, the same n under the same key; without one n is zero."""
        num, dim = z.shape[0], config.decoder_noise_dim
        n = gaussian_noise(key, num, dim)
        return decoder.evaluate(state.params, state.batch_stats, z, *n)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """Squared error of the reconstruction with ε and n zero, mean over pixels, [b, 1]."""
        errors = jnp.square(decode(state, *encode(state, images)) - images)
        return errors.reshape(images.shape[0], -1).mean(axis=1, keepdims=True)

    def discriminate(state: State, z: jax.Array) -> jax.Array:
        """Logits [b] of "is an image of the second domain", the mean over patches."""
        logits = regularization_discriminator.evaluate(state.params, state.batch_stats, z)
        return logits.reshape(z.shape[0], -1).mean(axis=1)

    return Method(
        init,
        train_step,
        encode=encode,
        decode=decode,
        evaluate=evaluate,
        discriminate=discriminate,
    )
