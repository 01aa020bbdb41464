"""WGAN-GP (Gulrajani et al. 2017, "Improved training of Wasserstein GANs", algorithm 1): several
steps of a critic f, whose slope between images and samples is held at 1 by a penalty, then one of
the generator:

    critic     f(G(z)) - f(x) + λ (‖∇f(x̂)‖₂ - 1)²,  x̂ = ε x + (1 - ε) G(z)
    generator  -f(G(z))
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections

from aae_jax.core import (
    Batch,
    Metrics,
    Phase,
    State,
    create_state,
    play,
    real_and_fake,
    step_keys,
    update,
)
from aae_jax.methods.common import (
    DataSpec,
    Method,
    check_critic_steps,
    cut,
    make_optimizers,
    with_parts,
)
from aae_jax.networks import Network
from aae_jax.networks.common import init_networks, initializer
from aae_jax.networks.dcgan import check_output
from aae_jax.networks.wgan_gp import WganCritic, WganGenerator, check_blocks
from aae_jax.objectives import game, gradient_penalty
from aae_jax.optimizers import adam
from aae_jax.priors import Prior, gaussian


def default_config() -> ml_collections.ConfigDict:
    """The paper's for CIFAR-10 without labels: the residual networks of its appendix F, λ, critic
    steps, Adam's settings and rates that fall to zero. Initial weights: its code's spread, but
    Gaussian."""
    return ml_collections.ConfigDict(
        {
            "noise_dim": 128,  # N(0, I)
            "critic_steps": 5,  # an update's images being cut into so many minibatches
            "penalty_weight": 10.0,  # λ
            "generator_batch": 128,  # samples of the generator's step; 0: as of the critic's
            "generator": {
                "features": 128,
                "num_blocks": 3,
                "output": "tanh",  # or "sigmoid", "linear": by the range of the data
            },
            "critic": {"features": 128, "halvings": 2, "num_blocks": 4},
            "init": "he_normal",  # of the 3x3 convolutions
            "optimizers": {
                "critic": adam(0.0002, 0.0, second_momentum=0.9),
                "generator": adam(0.0002, 0.0, second_momentum=0.9),
            },
            "schedule": {
                "name": "linear",
                "epochs": (),
                "factor": 0.1,
                "constant_fraction": 0.0,
            },
        }
    )


class Networks(NamedTuple):
    """Generator (noise to images), critic of images, and the noise's distribution."""

    generator: Network
    critic: Network
    prior: Prior


def networks(
    config: ml_collections.ConfigDict, spec: DataSpec, axis_name: str | None = None
) -> Networks:
    """The networks of a config.

    Raises:
        UserError: for a setting that is none of its choices, an output of another range than the
            data's, or blocks that do not fit the images.
    """
    initializer(config.init)
    check_output("model.generator.output", config.generator.output, spec.scaling)
    check_critic_steps(config.critic_steps)
    check_blocks(
        spec.image_shape,
        config.generator.num_blocks,
        config.critic.halvings,
        config.critic.num_blocks,
    )
    generator = WganGenerator(
        image_shape=spec.image_shape,
        weight_init=config.init,
        axis_name=axis_name,
        **config.generator,
    )
    return Networks(
        Network("generator", generator),
        Network("critic", WganCritic(weight_init=config.init, **config.critic)),
        gaussian(config.noise_dim),
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
    generator, critic, prior = with_parts(networks(config, spec, axis_name), parts)
    rates = make_optimizers(config, spec, optimizers)
    losses = game("wasserstein")
    criticism = Phase("critic", ("critic",), rates["critic"])
    generation = Phase("generator", ("generator",), rates["generator"], commits=("generator",))

    def init(key: jax.Array) -> State:
        """A state at step 0; a function of the key."""
        networks = {
            generator: (jnp.zeros((1, prior.dim)),),
            critic: (jnp.zeros((1, *spec.image_shape)),),
        }
        return create_state(*init_networks(key, networks), (criticism, generation))

    def train_step(state: State, batch: Batch, key: jax.Array) -> tuple[State, Metrics]:
        """One update on ``batch.images``: the critic's steps, each on a part of them, then the
        generator's. The critic's numbers are the last step's; ``critic/distance`` is the estimate
        of the Wasserstein distance."""
        keys = step_keys(key, axis_name)
        minibatches = jnp.stack(cut(batch.images, config.critic_steps))
        num = minibatches.shape[1]

        def critic_step(state, minibatch):
            x, step = minibatch
            noise_key = jax.random.fold_in(keys("critic prior"), step)
            mix_key = jax.random.fold_in(keys("mix"), step)

            def critic_objective(params, stats):
                fake, _ = generator(params, stats, prior(noise_key, num))
                f_real, f_fake, stats = real_and_fake(
                    critic, params, stats, (x,), (fake,), one_batch=True
                )
                distance = -losses.discriminator(f_real, f_fake).mean()
                mix = jax.random.uniform(mix_key, (num,))
                penalty = gradient_penalty(
                    lambda between: critic(params, stats, between)[0], x, fake, mix
                ).mean()
                parts = {"distance": distance, "penalty": penalty}
                return config.penalty_weight * penalty - distance, stats, parts

            return update(state, criticism, critic_objective, axis_name)

        def generator_objective(params, stats):
            noise = prior(keys("generator prior"), config.generator_batch or num)
            fake, stats = generator(params, stats, noise)
            f_fake, stats = critic(params, stats, fake)
            return losses.generator(f_fake).mean(), stats

        state, of_steps = jax.lax.scan(
            critic_step, state, (minibatches, jnp.arange(config.critic_steps))
        )
        state, of_generator = play(state, (generation, generator_objective), axis_name=axis_name)
        return state, jax.tree.map(lambda steps: steps[-1], of_steps) | of_generator

    def decode(state: State, z: jax.Array) -> jax.Array:
        """Noise [b, noise_dim] -> images [b, h, w, c]."""
        return generator.evaluate(state.params, state.batch_stats, z)

    def discriminate(state: State, images: jax.Array) -> jax.Array:
        """The critic's scores f(x) [b], known up to a constant."""
        return critic.evaluate(state.params, state.batch_stats, images)

    def evaluate(state: State, images: jax.Array) -> jax.Array:
        """-f(x) [b, 1]: its difference between held-out and training images is how far the critic
        has learnt the latter by heart (the paper's figure 5)."""
        return -discriminate(state, images)[:, None]

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
