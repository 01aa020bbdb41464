"""PixelGAN's step of table 1's MNIST row with 100 labels, profile ``fast``: on this suite's
convolutions or lax's, and of several seeds."""

import sys
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import linen as nn

from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.networks import conv, pixelcnn
from aae_jax.networks.common import initializer
from benchmarks import common, problem
from benchmarks.steps import Steps
from configs.pixelgan import table1


class _LaxsMaskedConv(pixelcnn.MaskedConv):
    """What one writes without an eye to a CPU, and what this suite had: the 1x1 ones as a product
    over all four dimensions, the biases added one after the other."""

    @nn.compact
    def __call__(
        self, x: jax.Array, bias: jax.Array | float = 0.0, *, is_patch: bool = False
    ) -> jax.Array:
        shape = (self.side // 2 + 1, self.side, x.shape[-1], self.features)
        kernel = self.param("kernel", initializer(self.weight_init), shape)
        kernel = kernel * pixelcnn.causal_mask(shape, self.sees_itself, self.num_groups)
        own_bias = self.param("bias", nn.initializers.zeros, (self.features,))
        if self.side == 1:
            x = x @ kernel[0, 0]
        else:
            x = conv.convolution(x, kernel, padding=self.padding, dilation=self.dilation)
        return x + own_bias + bias


def make_step() -> tuple[methods.Method, Callable[[Any, Any, Any], Any]]:
    """(The method, (state, number of the update, seed) -> (state, losses)); always one batch."""
    config = table1.get_config("mnist_100,fast")
    size, labelled_size = config.data.batch_size, config.data.labelled_batch_size
    updates = problem.NUM_IMAGES // size
    shape = (problem.SIDE, problem.SIDE, 1)
    spec = methods.DataSpec(
        shape, problem.NUM_CLASSES, updates_per_epoch=updates, epochs=config.train.epochs
    )
    method = methods.build(config.method, config.model, spec=spec)
    levels, labels = problem.images_and_labels(size + labelled_size)
    images = jnp.asarray(levels, jnp.float32) / 255
    batch = Batch(images[:size], images[size:], jnp.asarray(labels[size:]))

    def step(state: Any, i: Any, seed: Any) -> Any:
        key = jax.random.fold_in(jax.random.key(seed), i)
        state, metrics = method.train_step(state, batch, key)
        losses = [metrics[name] for name in sorted(metrics) if name.endswith("/loss")]
        return state, jnp.stack(losses)

    return method, step


class _Way:
    """States of several seeds and how they advance by ``num`` updates."""

    def __init__(self, states: Any, advance: Callable[[Any, int], Any]):
        self._states, self._advance = states, advance

    def run(self, num: int) -> None:
        self._states = jax.block_until_ready(self._advance(self._states, num))


def main(side: str) -> None:
    if side == "lax":
        conv.own_gradients = lambda: False  # type: ignore[assignment]
        pixelcnn.MaskedConv = _LaxsMaskedConv  # type: ignore[misc]
    method, step = make_step()
    steps: dict[bool, Steps] = {}
    ways: dict[str, _Way] = {}

    def initial(seed: int) -> Any:
        return jax.jit(method.init)(jax.random.key(seed))

    def prepare(scanned: bool, num: int) -> list[list[float]]:
        """Losses of the first steps."""
        steps[scanned] = Steps(lambda state, i: step(state, i, 0), initial(0), scanned)
        return steps[scanned].run(num)

    def prepare_seeds(num_seeds: int, num: int) -> None:
        """Seeds in turn, by ``lax.map`` of whole scans, and by ``vmap``."""
        seeds = jnp.arange(num_seeds)
        stacked = jax.tree.map(lambda *x: jnp.stack(x), *map(initial, range(num_seeds)))

        def scan(state: Any, seed: Any, num: int) -> Any:
            return jax.lax.scan(lambda state, i: step(state, i, seed), state, jnp.arange(num))

        # One jitted scan serves every seed, as in a run.
        alone = jax.jit(scan, static_argnums=2, donate_argnums=0)
        mapped = jax.jit(
            lambda states, num: jax.lax.map(
                lambda pair: scan(pair[0], pair[1], num), (states, seeds)
            ),
            static_argnums=1,
            donate_argnums=0,
        )
        batched = jax.jit(
            lambda states, num: jax.vmap(scan, (0, 0, None))(states, seeds, num),
            static_argnums=1,
            donate_argnums=0,
        )
        ways["in turn"] = _Way(
            [initial(seed) for seed in range(num_seeds)],
            lambda states, num: [alone(state, i, num)[0] for i, state in enumerate(states)],
        )
        ways["lax.map"] = _Way(stacked, lambda states, num: mapped(states, num)[0])
        ways["vmap"] = _Way(
            jax.tree.map(jnp.copy, stacked), lambda states, num: batched(states, num)[0]
        )
        for way in ways.values():
            way.run(num)

    def seconds_per_step(scanned: bool, num: int) -> float:
        begin = time.perf_counter()
        steps[scanned].run(num)
        return (time.perf_counter() - begin) / num

    def seconds_of_seeds(way: str, num: int) -> float:
        begin = time.perf_counter()
        ways[way].run(num)
        return (time.perf_counter() - begin) / num

    common.serve(
        {
            "prepare": prepare,
            "prepare_seeds": prepare_seeds,
            "seconds_per_step": seconds_per_step,
            "seconds_of_seeds": seconds_of_seeds,
        }
    )


if __name__ == "__main__":
    main(sys.argv[1])
