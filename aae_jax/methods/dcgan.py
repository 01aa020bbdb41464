"""DCGAN (Radford et al. 2016): the GAN's game with strided convolutions, batch norm and leaky ReLUs
in the place of the MLPs. Without batch norm and with k steps of the discriminator it is the
convolutional GAN of Goodfellow et al. 2014."""

from collections.abc import Mapping
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import Batch, Metrics, Phase, State, create_state, play, real_and_fake, step_keys
from aae_jax.errors import UserError
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_convolutions,
    check_critic_steps,
    cut,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network
from aae_jax.networks.common import check_choice, init_networks, initializer
from aae_jax.networks.dcgan import DcganDecoder, ImageDiscriminator, ImageTrunk, max_pooled
from aae_jax.objectives import game
from aae_jax.optimizers import adam
from aae_jax.priors import Prior, uniform

FEATURE_GRID = 4  # to which the layers are max-pooled where they are features


def default_config() -> ml_collections.ConfigDict:
    """The paper's optimizers, initial weights and leak; the discriminator is that of its SVHN
    experiment (32x32), the generator its mirror image."""
    return ml_collections.ConfigDict(
        {
            "noise_dim": 100,  # uniform in (-1, 1)
            "game": "non_saturating",  # of the generator, or "minimax"
            "critic_steps": 1,  # k, an update's images being cut into so many minibatches
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
                "constant_fraction": 0.5,
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
    check_choice("model.game", config.game, ("non_saturating", "minimax"))
    check_critic_steps(config.critic_steps)
    if config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
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
    losses = game(config.game)
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
        """One update on ``batch.images``: k steps of the discriminator, each on a part of them,
        then the generator, each on noise of its own. The discriminator's loss is the last
        step's."""
        keys = step_keys(key, axis_name)
        minibatches = cut(batch.images, config.critic_steps)
        num = minibatches[0].shape[0]

        def logits(params, stats, x, pass_):
            """The discriminator's, of real and of generated images."""
            fake, stats = generator(params, stats, prior(keys(f"{pass_} prior"), num))
            return real_and_fake(
                discriminator,
                params,
                stats,
                (x,),
                (fake,),
                one_batch=config.discriminator.one_batch,
                key=keys(f"{pass_} noise"),
            )

        def discriminator_objective(params, stats, x, step):
            d_real, d_fake, stats = logits(params, stats, x, f"discriminator {step}")
            return losses.discriminator(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            _, d_fake, stats = logits(params, stats, minibatches[-1], "generator")
            return losses.generator(d_fake).mean(), stats

        steps = [partial(discriminator_objective, x=x, step=i) for i, x in enumerate(minibatches)]
        return play(
            state,
            *((discrimination, step) for step in steps),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Noise [b, noise_dim] -> images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, z)

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """Logits [b] of "is real"."""
        return discriminator.evaluate(state.params, state.batch_stats, images)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """-log D(x) in nats [b, 1]: log 2 where the discriminator cannot tell."""
        return jax.nn.softplus(-discriminate(state, images))[:, None]

    def sample(state: State, key: jax.Array, num: int) -> jax.Array:
        """Images [num, h, w, c] of noise from its distribution."""
        return decode(state, prior(key, num))

    def features(state: State, images: jax.Array) -> jax.Array:
        """The discriminator's layers, convolutions max-pooled to a 4x4 grid, flat, side by side:
        [b, n] (section 5.1)."""
        variables = {
            "params": state.params["discriminator"],
            "batch_stats": state.batch_stats["discriminator"],
        }
        layers: Any = discriminator.module.apply(variables, images, train=False, method="layers")
        pooled = [max_pooled(x, FEATURE_GRID) if x.ndim == 4 else x for x in layers]
        return jnp.concatenate([x.reshape(x.shape[0], -1) for x in pooled], axis=-1)

    return Method(
        init,
        train_step,
        decode=decode,
        evaluate=evaluate,
        sample=sample,
        discriminate=discriminate,
        features=features if hasattr(discriminator.module, "layers") else None,
    )
