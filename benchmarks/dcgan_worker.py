"""A DCGAN's step, and a critic's with a gradient penalty, on this suite's convolutions or lax's."""

import sys
import time
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax import linen as nn

from aae_jax.networks import conv
from aae_jax.objectives.gan import (
    discriminator_loss,
    generator_loss,
    gradient_penalty,
    wasserstein_critic_loss,
)
from benchmarks import common
from benchmarks.steps import Steps

BATCH, NOISE, SIDE, NUM_BATCHES = 64, 64, 28, 8
RATE, DECAYS, PENALTY, EPSILON, MOMENTUM, SLOPE = 2e-4, (0.5, 0.999), 10.0, 1e-5, 0.9, 0.2
_WEIGHTS = nn.initializers.normal(0.02)
_leaky = partial(nn.leaky_relu, negative_slope=SLOPE)
# Batch norm in training, without its running statistics, which nothing here reads.
_BatchNorm = partial(nn.BatchNorm, use_running_average=False, momentum=MOMENTUM, epsilon=EPSILON)


class Generator(nn.Module):
    """Noise [b, 64] to images [b, 28, 28, 1]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (1024, 7 * 7 * 128):
            x = nn.Dense(features, use_bias=False, kernel_init=_WEIGHTS)(x)
            x = nn.relu(_BatchNorm()(x))
        x = x.reshape(-1, 7, 7, 128)
        x = conv.ConvTranspose(64, (4, 4), 2, use_bias=False, kernel_init=_WEIGHTS)(x)
        x = nn.relu(_BatchNorm()(x))
        return nn.sigmoid(conv.ConvTranspose(1, (4, 4), 2, kernel_init=_WEIGHTS)(x))


class Discriminator(nn.Module):
    """Images [b, 28, 28, 1] to logits [b]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        x = _leaky(conv.Conv(64, (4, 4), 2, kernel_init=_WEIGHTS)(x))
        x = conv.Conv(128, (4, 4), 2, use_bias=False, kernel_init=_WEIGHTS)(x)
        x = _leaky(_BatchNorm()(x)).reshape(x.shape[0], -1)
        x = nn.Dense(1024, use_bias=False, kernel_init=_WEIGHTS)(x)
        return nn.Dense(1, kernel_init=_WEIGHTS)(_leaky(_BatchNorm()(x)))[:, 0]


class Critic(nn.Module):
    """The same without batch norm and without the wide dense layer: what a gradient penalty is
    put on, [b, 28, 28, 1] to scores [b]."""

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        for features in (64, 128):
            x = _leaky(conv.Conv(features, (4, 4), 2, kernel_init=_WEIGHTS)(x))
        return nn.Dense(1, kernel_init=_WEIGHTS)(x.reshape(x.shape[0], -1))[:, 0]


def _apply(module: nn.Module, params: Any, x: jax.Array) -> Any:
    return module.apply({"params": params}, x, mutable=["batch_stats"])[0]


def batches() -> tuple[np.ndarray, np.ndarray]:
    """(Images in [0, 1], a fifth of the pixels lit, and noise) of a few batches."""
    generator = np.random.default_rng(0)
    images = generator.random((NUM_BATCHES, BATCH, SIDE, SIDE, 1), np.float32)
    images[generator.random(images.shape, np.float32) > 0.2] = 0
    return images, generator.standard_normal((NUM_BATCHES, BATCH, NOISE), np.float32)


_OPTIMIZER = optax.adam(RATE, *DECAYS)


def adversarial_step(state: Any, batch: Any) -> Any:
    """The discriminator's update, real and fake one after the other, then the generator's."""
    params, optimizers = state
    images, noise = batch
    generate, discriminate = (partial(_apply, module) for module in (Generator(), Discriminator()))
    # One forward pass of the generator serves both updates.
    fake, pull_back = jax.vjp(lambda generator: generate(generator, noise), params["generator"])

    def discriminator_objective(discriminator: Any) -> jax.Array:
        real_logits, fake_logits = (discriminate(discriminator, x) for x in (images, fake))
        return discriminator_loss(real_logits, fake_logits).mean()

    loss, gradients = jax.value_and_grad(discriminator_objective)(params["discriminator"])
    params, optimizers = _updated(params, optimizers, "discriminator", gradients)

    def generator_objective(fake: jax.Array) -> jax.Array:
        return generator_loss(discriminate(params["discriminator"], fake)).mean()

    other_loss, slopes = jax.value_and_grad(generator_objective)(fake)
    (gradients,) = pull_back(slopes)
    return _updated(params, optimizers, "generator", gradients), jnp.stack([loss, other_loss])


def penalty_step(state: Any, batch: Any) -> Any:
    """A Wasserstein critic's update under a gradient penalty; the fakes are other images."""
    params, optimizers = state
    real, _ = batch
    fake = real[::-1, ::-1]

    def objective(critic: Any) -> jax.Array:
        scores = partial(_apply, Critic(), critic)
        penalty = gradient_penalty(scores, real, fake, jnp.linspace(0, 1, BATCH))
        losses = wasserstein_critic_loss(scores(real), scores(fake))
        return (losses + PENALTY * penalty).mean()

    loss, gradients = jax.value_and_grad(objective)(params["critic"])
    return _updated(params, optimizers, "critic", gradients), loss[None]


def _updated(params: Any, optimizers: Any, name: str, gradients: Any) -> Any:
    updates, optimizer = _OPTIMIZER.update(gradients, optimizers[name])
    trained = optax.apply_updates(params[name], updates)
    return {**params, name: trained}, {**optimizers, name: optimizer}


def initial_params() -> dict[str, Any]:
    images, noise = jnp.zeros((2, SIDE, SIDE, 1)), jnp.zeros((2, NOISE))
    modules = {
        "generator": (Generator(), noise),
        "discriminator": (Discriminator(), images),
        "critic": (Critic(), images),
    }
    return {
        name: jax.jit(module.init)(jax.random.key(i), inputs)["params"]
        for i, (name, (module, inputs)) in enumerate(modules.items())
    }


_STEPS = {"adversarial": adversarial_step, "penalty": penalty_step}


def make_steps(name: str, scanned: bool) -> Steps:
    params = initial_params()
    state = params, {name: _OPTIMIZER.init(tree) for name, tree in params.items()}
    arrays = [jnp.asarray(array) for array in batches()]

    def at(state: Any, i: Any) -> Any:
        return _STEPS[name](state, [array[i % NUM_BATCHES] for array in arrays])

    return Steps(at, state, scanned)


def main(side: str) -> None:
    conv.own_gradients = lambda: side == "own"  # type: ignore[assignment]
    steps: dict[tuple[str, bool], Steps] = {}

    def prepare(name: str, scanned: bool, num: int) -> list[list[float]]:
        """Losses of the first steps."""
        steps[name, scanned] = make_steps(name, scanned)
        return steps[name, scanned].run(num)

    def seconds_per_step(name: str, scanned: bool, num: int) -> float:
        begin = time.perf_counter()
        steps[name, scanned].run(num)
        return (time.perf_counter() - begin) / num

    def write_params(path: str) -> None:
        arrays = jax.tree_util.tree_leaves_with_path(initial_params())
        named = {"/".join(key.key for key in keys): np.asarray(leaf) for keys, leaf in arrays}
        np.savez(path, allow_pickle=False, **named)

    common.serve(
        {"prepare": prepare, "seconds_per_step": seconds_per_step, "write_params": write_params}
    )


if __name__ == "__main__":
    main(sys.argv[1])
