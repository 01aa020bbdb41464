"""The plain generative adversarial network (Goodfellow et al. 2014, algorithm 1; AAE, section 1.1)
of the AAE's table 1 and of the implicit autoencoders' figure 5: fully connected, on pixels or on
vectors."""

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
    check_critic_steps,
    cut,
    make_decoder,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network
from aae_jax.networks.common import check_choice, init_networks
from aae_jax.networks.mlp import Discriminator, check_pieces
from aae_jax.objectives import game
from aae_jax.optimizers import adam
from aae_jax.priors import Prior, categorical, gaussian, product, uniform


def default_config() -> ml_collections.ConfigDict:
    """Our settings: the AAE paper cites the number and gives none; Goodfellow et al. had maxout
    discriminators and gradient descent."""
    return ml_collections.ConfigDict(
        {
            "hidden": (1200, 1200),  # generator
            "discriminator_hidden": (1200, 1200),
            "noise_dim": 100,
            "noise": "uniform",  # in (-1, 1), or "gaussian"
            "num_categories": 0,  # of a one-hot noise vector before it; 0: none
            "game": "non_saturating",  # of the generator, or "minimax"
            # k of algorithm 1: an update's images are cut into so many minibatches, one for each
            # step of the discriminator.
            "critic_steps": 1,
            "dropout": 0.5,  # hidden layers of the discriminator
            "maxout_pieces": 0,  # of a discriminator of maxout units (Goodfellow et al.); 0: ReLU
            "output": "sigmoid",
            "init": "glorot_uniform",
            "decoder_batch_norm": False,
            "optimizers": {
                "discriminator": adam(0.0002, 0.5),
                "generator": adam(0.0002, 0.5),
            },
            "schedule": {
                "name": "cosine",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.5,
                "lowest": 0.0,  # of an "exponential" schedule
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
        UserError: for a setting that is none of its choices.
    """
    if config.noise_dim < 1:
        raise UserError(f"model.noise_dim is {config.noise_dim}; it must be at least 1")
    if config.num_categories < 0:
        raise UserError(
            f"model.num_categories is {config.num_categories}; it must be at least 0, and 0 is none"
        )
    check_choice("model.noise", config.noise, ("uniform", "gaussian"))
    check_choice("model.game", config.game, ("non_saturating", "minimax"))
    check_critic_steps(config.critic_steps)
    check_pieces(config.maxout_pieces)
    if not 0.0 <= config.dropout < 1.0:
        raise UserError(f"model.dropout is {config.dropout}; it must be at least 0 and below 1")
    discriminator = Discriminator(
        config.discriminator_hidden,
        config.init,
        dropout_rate=config.dropout,
        pieces=config.maxout_pieces,
    )
    prior = (uniform if config.noise == "uniform" else gaussian)(config.noise_dim)
    if config.num_categories:
        prior = product(categorical(config.num_categories), prior)
    return Networks(
        make_decoder(config, spec, axis_name, name="generator"),
        Network("discriminator", discriminator),
        prior,
    )


def build(
    config: ml_collections.ConfigDict,
    spec: DataSpec,
    axis_name: str | None = None,
    parts: Mapping[str, Any] | None = None,
    optimizers: Mapping[str, Any] | None = None,
) -> Method:
    """The method as pure functions. ``decode`` takes noise [b, num_categories + noise_dim].

    Raises:
        UserError: for a setting that is none of its choices.
    """
    generator, discriminator, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    losses = game(config.game)
    discrimination = Phase("discriminator", ("discriminator",), rates["discriminator"])
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

        def discriminator_objective(params, stats, x, step):
            noise = prior(keys(f"discriminator prior{step}"), num)
            fake, stats = generator(params, stats, noise)
            d_real, d_fake, stats = real_and_fake(
                discriminator,
                params,
                stats,
                (x,),
                (fake,),
                one_batch=True,
                key=keys(f"discriminator dropout{step}"),
            )
            return losses.discriminator(d_real, d_fake).mean(), stats

        def generator_objective(params, stats):
            fake, stats = generator(params, stats, prior(keys("generator prior"), num))
            d_fake, stats = discriminator(params, stats, fake, key=keys("generator dropout"))
            return losses.generator(d_fake).mean(), stats

        steps = [
            partial(discriminator_objective, x=x, step=f" {i}" if i else "")
            for i, x in enumerate(minibatches)
        ]
        return play(
            state,
            *((discrimination, step) for step in steps),
            (generation, generator_objective),
            axis_name=axis_name,
        )

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Noise [b, num_categories + noise_dim], as ``sample`` draws it -> images [b, h, w, c]."""
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

    return Method(
        init,
        train_step,
        decode=decode,
        evaluate=evaluate,
        sample=sample,
        discriminate=discriminate,
    )
