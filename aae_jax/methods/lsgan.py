"""Least squares GAN (Mao et al. 2017, "Least squares generative adversarial networks", equation 9):
DCGAN's networks, the discriminator's output itself drawn to 1 on images and to 0 on samples, the
generator drawing it to 1."""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_convolutions,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network
from aae_jax.networks.common import init_networks, initializer
from aae_jax.networks.dcgan import DcganDecoder, ImageDiscriminator, ImageTrunk
from aae_jax.objectives import game
from aae_jax.optimizers import adam
from aae_jax.priors import Prior, uniform


def default_config() -> ml_collections.ConfigDict:
    """The paper's targets and β1; it has no networks for 32x32, and these are DCGAN's, with its
    rate."""
    return ml_collections.ConfigDict(
        {
            "noise_dim": 100,  # uniform in (-1, 1)
            "generator": {
                "dense": (),
                "features": (256, 128, 64),
                "kernel_size": 5,
                "batch_norm": "before_relu",
                "output": "tanh",  # or "sigmoid", "linear": by the range of the data
            },
            "discriminator": {
                "features": (64, 128, 256),
                "dense": (),
                "kernel_size": 5,
                "batch_norm": "before_relu",
                "leak": 0.2,
                "one_batch": False,  # real and fake images are normalised apart
                "noise": 0.0,  # std, on the images and after each layer; the paper has none
            },
            "init": "normal_0.02",
            "optimizers": {
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.0002, 0.5),
            },
            "schedule": {
                "name": "constant",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,  # of a "cosine" schedule
            },
        }
    )


class Networks(NamedTuple):
    """Generator (noise to images), discriminator of images, and the noise's distribution."""

    generator: Network
    discriminator: Network
    prior: Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices or cannot be, an output of another
            range than the data's, or convolutions that do not fit the images.
    """
    initializer(config.init)
    check_convolutions(spec, config.generator, config.discriminator)
    shared = {"weight_init": config.init, "axis_name": axis_name}
    trunk = {k: v for k, v in config.discriminator.items() if k != "one_batch"}
    return Networks(
        Network(
            "generator", DcganDecoder(image_shape=spec.image_shape, **config.generator, **shared)
        ),
        Network("discriminator", ImageDiscriminator(ImageTrunk(**trunk, **shared))),
        uniform(config.noise_dim),
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``decode`` takes noise [b, noise_dim].

    Raises:
        UserError: as ``networks``.
    """
    generator, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    losses = game("least_squares")
    discrimination = Phase(
        "discriminator", ("discriminator",), rates["discriminator"], commits=("discriminator",)
    )
    generation = Phase("generator", ("generator",), rates["generator"], commits=("generator",))

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        networks = {
            generator: (jnp.zeros((1, prior.dim)),),
            discriminator: (jnp.zeros((1, *spec.image_shape)),),
        }
        return create_state(*init_networks(key, networks), (discrimination, generation))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: the discriminator, then the generator, on noise of its
        own."""
        keys = step_keys(key, axis_name)
        x = batch.images

        def outputs(params, stats, of_phase):
            """The discriminator's, of images and of samples."""
            fake, stats = generator(params, stats, prior(keys(f"{of_phase} prior"), len(x)))
            return real_and_fake(
                discriminator,
                params,
                stats,
                (x,),
                (fake,),
                one_batch=config.discriminator.one_batch,
                key=keys(f"{of_phase} noise"),
            )

        def discriminator_objective(params, stats):
            d_real, d_fake, stats = outputs(params, stats, "discriminator")
            return losses.discriminator(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            _, d_fake, stats = outputs(params, stats, "generator")
            return losses.generator(d_fake).mean(), stats

        return play(
            state,
            (discrimination, discriminator_objective),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Noise [b, noise_dim] -> images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, z)

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """The discriminator's output [b]: 1 where it takes an image for real."""
        return discriminator.evaluate(state.params, state.batch_stats, images)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """½ (D(x) - 1)² [b, 1]: 1/8 where the discriminator cannot tell."""
        return losses.generator(discriminate(state, images))[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of noise from its distribution."""
        return decode(state, prior(key, num))

    return Method(
        init,
        train_step,
        decode=decode,
        evaluate=evaluate,
        sample=sample,
        discriminate=discriminate,
    )
