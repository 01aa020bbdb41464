"""This suite's train step against the same step in PyTorch, eager."""

import importlib.util
import statistics
import tempfile
from pathlib import Path

from benchmarks import common

GOAL = 1.3
NAME = "train step"
_ROUNDS, _STEPS = 7, 30
_CHECKED_STEPS, _TOLERANCE = 3, 1e-4


def check(ours: common.Worker, torchs: common.Worker) -> float:
    """The largest relative difference of the losses of the first steps, from the same parameters,
    batches and prior samples, without noise.

    Raises:
      SystemExit: it is above 1e-4: the two do not compute the same.
    """
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "example.npz")
        expected = ours.ask("write_example", path, _CHECKED_STEPS)
        losses = torchs.ask("losses_of_example", path, _CHECKED_STEPS)
    pairs = [pair for rows in zip(expected, losses, strict=True) for pair in zip(*rows)]
    difference = max(abs(a - b) / max(1.0, abs(a)) for a, b in pairs)
    if not difference <= _TOLERANCE:
        raise SystemExit(f"{NAME}: the two sides differ: losses {expected} and {losses}")
    return difference


def measure() -> str:
    if importlib.util.find_spec("torch") is None:
        return common.not_run(
            NAME, "PyTorch is missing: pip install -r benchmarks/requirements.txt"
        )
    with (
        common.Worker("benchmarks.jax_worker") as ours,
        common.Worker("benchmarks.torch_worker") as torchs,
    ):
        difference = check(ours, torchs)
        ours.ask("prepare", _STEPS)
        # PyTorch in the settings that suit it best here; ours as it comes.
        settings = [
            (threads, fused)
            for threads in sorted({1, common.num_cores()})
            for fused in (False, True)
        ]
        for setting in settings:
            torchs.ask("seconds_per_step", 3, *setting)
        trials = {setting: torchs.ask("seconds_per_step", 10, *setting) for setting in settings}
        threads, fused = min(trials, key=lambda setting: trials[setting])
        our_seconds, torch_seconds = [], []
        for _ in range(_ROUNDS):
            our_seconds.append(ours.ask("seconds_per_step", _STEPS))
            torch_seconds.append(torchs.ask("seconds_per_step", _STEPS, threads, fused))
        idle = max(ours.idle_load, torchs.idle_load)
    ratio = statistics.median(b / a for a, b in zip(our_seconds, torch_seconds))
    a, b = (1e3 * statistics.median(seconds) for seconds in (our_seconds, torch_seconds))
    measured = (
        f"{ratio:.2f} times as fast as PyTorch ({a:.1f} ms and {b:.1f} ms; PyTorch with {threads} "
        f"threads{', fused SGD' if fused else ''}; losses agree to {difference:.0e}; the waiting "
        f"side used {idle:.1%} of a core)"
    )
    return common.line(NAME, measured, f"{GOAL} times", ratio >= GOAL)
