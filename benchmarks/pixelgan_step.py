"""PixelGAN's ``fast`` step against lax's own convolutions, and several seeds of it."""

import statistics

from benchmarks import common
from benchmarks.steps import largest_difference

NAME = "PixelGAN fast step"
GOAL, SEEDS_GOAL = 1.5, 1.1
_ROUNDS, _STEPS, _SEEDS = 7, 20, 2
_CHECKED, _TOLERANCE = 3, 1e-3


def against_lax() -> str:
    """One update a dispatch on both sides, as runs were before they scanned, and ours within a
    scan, as a run has it now; the goal is of the latter.

    Raises:
      SystemExit: the sides do not compute the same.
    """
    with (
        common.Worker("benchmarks.pixelgan_worker", "own") as own,
        common.Worker("benchmarks.pixelgan_worker", "lax") as lax,
    ):
        losses = own.ask("prepare", False, _STEPS)
        for others in (own.ask("prepare", True, _STEPS), lax.ask("prepare", False, _STEPS)):
            if not largest_difference(losses[:_CHECKED], others[:_CHECKED]) <= _TOLERANCE:
                raise SystemExit(f"{NAME}: the two sides differ: losses {losses} and {others}")
        rounds = [
            (
                own.ask("seconds_per_step", False, _STEPS),
                own.ask("seconds_per_step", True, _STEPS),
                lax.ask("seconds_per_step", False, _STEPS),
            )
            for _ in range(_ROUNDS)
        ]
    stepwise = statistics.median(c / a for a, _, c in rounds)
    scanned = statistics.median(c / b for _, b, c in rounds)
    a, b, c = (1e3 * statistics.median(column) for column in zip(*rounds))
    measured = (
        f"{stepwise:.2f} times as fast as with lax's convolutions and gradients, and "
        f"{scanned:.2f} times in a scan ({a:.0f} ms, {b:.0f} ms and {c:.0f} ms)"
    )
    return common.line(NAME, measured, f"{GOAL} times in a scan", scanned >= GOAL)


def of_seeds() -> str:
    """Several seeds: each its own scan, one after the other; the same by ``lax.map``; by ``vmap``,
    which makes grouped convolutions of them."""
    ways = ("in turn", "lax.map", "vmap")
    with common.Worker("benchmarks.pixelgan_worker", "own") as worker:
        worker.ask("prepare_seeds", _SEEDS, _STEPS)
        rounds = [
            [worker.ask("seconds_of_seeds", way, _STEPS) for way in ways] for _ in range(_ROUNDS)
        ]
    mapped = statistics.median(b / a for a, b, _ in rounds)
    batched = statistics.median(c / a for a, _, c in rounds)
    times = ", ".join(
        f"{way} {1e3 * statistics.median(column):.0f} ms" for way, column in zip(ways, zip(*rounds))
    )
    measured = (
        f"{_SEEDS} seeds by lax.map take {mapped:.2f} times as long as in turn, by vmap "
        f"{batched:.2f} times (an update of all: {times})"
    )
    goal = f"lax.map {SEEDS_GOAL} times"
    return common.line("PixelGAN seeds", measured, goal, mapped <= SEEDS_GOAL)


def measure() -> str:
    return f"{against_lax()}\n{of_seeds()}"
