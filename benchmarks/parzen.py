"""Parzen-window log-likelihoods: the share of the matrix-product peak, and scikit-learn's."""

import statistics

from benchmarks import common
from benchmarks.parzen_worker import DIM

NAME = "Parzen"
_IMAGES, _MANY_SAMPLES, _FEW_SAMPLES = 10_000, 10_000_000, 10_000
_GOALS = {"fraction": 0.6, "minutes": 30.0, "gigabytes": 1.5, "ratio": 10.0}
_ROUNDS, _GEMMS, _SAMPLES = 5, 5, 16_000
_SKLEARN_IMAGES, _SKLEARN_ROUNDS, _TOLERANCE = 500, 3, 1e-3


def kernel() -> str:
    """The kernel's share of the peak, the time of 10 million samples from it, and its memory."""
    flops = 2 * DIM * _IMAGES  # a sample
    fractions, rates = [], []
    with common.Worker("benchmarks.parzen_worker") as worker:
        worker.ask("kernel_seconds", _SAMPLES, _IMAGES)
        for _ in range(_ROUNDS):
            peak = worker.ask("gemm_flops", _GEMMS)
            seconds = worker.ask("kernel_seconds", _SAMPLES, _IMAGES)
            rates.append(_SAMPLES / seconds)
            fractions.append(flops * rates[-1] / peak)
        gigabytes = worker.ask("peak_gigabytes")
    fraction = statistics.median(fractions)
    minutes = _MANY_SAMPLES / statistics.median(rates) / 60
    measured = (
        f"{fraction:.2f} of the GEMM peak, {minutes:.0f} minutes for {_MANY_SAMPLES:,} samples x "
        f"{_IMAGES:,} images x {DIM} (extrapolated from {_SAMPLES:,} samples), {gigabytes:.2f} GB "
        "of memory at most"
    )
    goal = "{fraction} of the peak, {minutes:.0f} minutes, {gigabytes} GB".format(**_GOALS)
    met = (
        fraction >= _GOALS["fraction"]
        and minutes <= _GOALS["minutes"]
        and gigabytes <= _GOALS["gigabytes"]
    )
    return common.line(f"{NAME} kernel", measured, goal, met)


def against_sklearn() -> str:
    """Ours against ``KernelDensity`` at 10,000 samples and as many images.

    Raises:
      SystemExit: the two do not compute the same.
    """
    with (
        common.Worker("benchmarks.parzen_worker") as ours,
        common.Worker("benchmarks.parzen_worker") as sklearns,
    ):
        ours.ask("seconds_and_nats", "ours", _FEW_SAMPLES, _IMAGES)
        sklearns.ask("seconds_and_nats", "sklearn", 10, 10)
        pairs = [
            (
                ours.ask("seconds_and_nats", "ours", _FEW_SAMPLES, _IMAGES),
                sklearns.ask("seconds_and_nats", "sklearn", _FEW_SAMPLES, _SKLEARN_IMAGES),
            )
            for _ in range(_SKLEARN_ROUNDS)
        ]
    (_, our_nats), (_, sklearn_nats) = pairs[0]
    difference = abs(our_nats - sklearn_nats)
    if not difference <= _TOLERANCE:
        raise SystemExit(f"{NAME}: the two sides differ: {our_nats} and {sklearn_nats} nats")
    scale = _IMAGES / _SKLEARN_IMAGES
    ratio = statistics.median(scale * b / a for (a, _), (b, _) in pairs)
    a, b = (statistics.median(side[0] for side in sides) for sides in zip(*pairs))
    measured = (
        f"{ratio:.0f} times as fast as scikit-learn at {_FEW_SAMPLES:,} samples x {_IMAGES:,} "
        f"images x {DIM} ({a:.1f} s and {scale * b:.0f} s, its time scaled up from "
        f"{_SKLEARN_IMAGES} images; means agree to {difference:.0e} nats)"
    )
    return common.line(NAME, measured, f"{_GOALS['ratio']:.0f} times", ratio >= _GOALS["ratio"])


def measure() -> str:
    return f"{kernel()}\n{against_sklearn()}"
