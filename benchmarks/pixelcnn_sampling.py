"""Cached sampling from a deep PixelCNN: against whole passes, and its cost by image size."""

import functools
import math
import statistics
import time

import jax
import jax.numpy as jnp

from aae_jax.networks import PixelCNN, make_head
from aae_jax.networks import pixelcnn_sampling as sampling
from benchmarks import common

SPEED_GOAL, EXPONENT_GOAL = 50.0, 1.2
_IMAGES, _BLOCKS, _FEATURES, _CODE = 64, 12, 32, 10
_SIDE, _SIDES = 28, (8, 16, 28, 32)
_ROUNDS, _NAIVE_DRAWS = 5, 4


class Sampler:
    """An untrained decoder of binary images; what it draws does not change the time it takes."""

    def __init__(self) -> None:
        head = make_head("bernoulli", channels=1, data_levels=2)
        self.decoder = PixelCNN(head, _BLOCKS, _FEATURES, conditioning="location_invariant")
        self.code = jax.nn.one_hot(jnp.arange(_IMAGES) % _CODE, _CODE)
        init = jax.jit(self.decoder.init)
        self.params = init(jax.random.key(0), jnp.zeros(self.shape(8)), self.code)["params"]
        self.key = jax.random.key(1)

    def shape(self, side: int) -> tuple[int, int, int, int]:
        return _IMAGES, side, side, 1

    def sample(self, side: int) -> jax.Array:
        """All images, side x side."""
        return sampling.sample(
            self.decoder, self.params, self.key, self.shape(side), self.code
        ).block_until_ready()

    def draw_naively(self, side: int, num: int) -> jax.Array:
        """Their first ``num`` pixels, by a pass over the whole images for each."""
        levels = jnp.zeros(self.shape(side), jnp.int32)
        for i in range(num):
            levels = sampling.naive_step(
                self.decoder, self.params, self.key, levels, i, self.code
            ).block_until_ready()
        return levels


def main() -> None:
    sampler = functools.cache(Sampler)

    def prepare() -> bool:
        """Compile; whether both ways draw the same first pixels."""
        for side in _SIDES:
            sampler().sample(side)
        cached = sampler().sample(_SIDE)[:, 0, :_NAIVE_DRAWS]
        naive = sampler().draw_naively(_SIDE, _NAIVE_DRAWS)[:, 0, :_NAIVE_DRAWS]
        return bool((cached == naive).all())

    def seconds(side: int) -> float:
        begin = time.perf_counter()
        sampler().sample(side)
        return time.perf_counter() - begin

    def naive_seconds() -> float:
        """Scaled from a few pixels to all."""
        begin = time.perf_counter()
        sampler().draw_naively(_SIDE, _NAIVE_DRAWS)
        return (time.perf_counter() - begin) * _SIDE**2 / _NAIVE_DRAWS

    common.serve({"prepare": prepare, "seconds": seconds, "naive_seconds": naive_seconds})


def measure() -> str:
    naive, cached = [], []
    by_side: dict[int, list[float]] = {side: [] for side in _SIDES}
    with common.Worker("benchmarks.pixelcnn_sampling") as worker:
        if not worker.ask("prepare"):
            raise SystemExit("PixelCNN sampling: cached and naive sampling draw different pixels")
        for _ in range(_ROUNDS):
            cached.append(worker.ask("seconds", _SIDE))
            naive.append(worker.ask("naive_seconds"))
        for _ in range(_ROUNDS):
            for side in _SIDES:
                by_side[side].append(worker.ask("seconds", side))
    ratio = statistics.median(b / a for a, b in zip(cached, naive))
    a, b = (statistics.median(seconds) for seconds in (cached, naive))
    speed = (
        f"{ratio:.0f} times as fast as a whole pass a pixel ({a:.2f} s and {b:.0f} s for {_IMAGES} "
        f"images of {_SIDE}x{_SIDE}, {_BLOCKS} blocks of {_FEATURES} features; the latter scaled "
        f"from {_NAIVE_DRAWS} of {_SIDE**2} pixels)"
    )
    medians = {side: statistics.median(seconds) for side, seconds in by_side.items()}
    # The slope of log time against the log of the number of pixels: 1 is linear, 2 the square.
    pixels = [math.log(side**2) for side in _SIDES]
    times = [math.log(seconds) for seconds in medians.values()]
    exponent = statistics.linear_regression(pixels, times).slope
    costs = ", ".join(
        f"{side}x{side} {1e3 * seconds / _IMAGES:.2f} ms" for side, seconds in medians.items()
    )
    cost = f"(pixels)^{exponent:.2f} ({costs})"
    return "\n".join(
        [
            common.line("PixelCNN sampling", speed, f"{SPEED_GOAL:.0f}", ratio >= SPEED_GOAL),
            common.line(
                "PixelCNN cost an image",
                cost,
                f"exponent {EXPONENT_GOAL}",
                exponent <= EXPONENT_GOAL,
            ),
        ]
    )


if __name__ == "__main__":
    main()
