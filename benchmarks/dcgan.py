"""A DCGAN's step against lax's own convolutions, against PyTorch and within a scan; a gradient
penalty's step."""

import importlib.util
import statistics
import tempfile
from collections.abc import Callable
from pathlib import Path

from benchmarks import common
from benchmarks.steps import largest_difference

NAME = "DCGAN step"
LAX_GOAL, TORCH_GOAL, SCAN_GOAL, PENALTY_GOAL = 2.0, 0.9, 1.1, 3.0
_ROUNDS, _STEPS, _CHECKED = 5, 6, 2
# Adam's first steps are the gradient's sign, whose rounding two sides do not share.
_TOLERANCE = 1e-3


def _agree(name: str, ours: list[list[float]], theirs: list[list[float]]) -> None:
    if not largest_difference(ours[:_CHECKED], theirs[:_CHECKED]) <= _TOLERANCE:
        raise SystemExit(f"{name}: the two sides differ: losses {ours} and {theirs}")


def _alternate(*sides: Callable[[], float]) -> list[list[float]]:
    """The seconds of each, several times in turn."""
    return [list(column) for column in zip(*([side() for side in sides] for _ in range(_ROUNDS)))]


def _ratio(ours: list[float], theirs: list[float]) -> float:
    return statistics.median(b / a for a, b in zip(ours, theirs))


def _milliseconds(*columns: list[float]) -> str:
    return " and ".join(f"{1e3 * statistics.median(column):.0f} ms" for column in columns)


def against_lax() -> str:
    """The step, within a scan too, and the penalty's.

    Raises:
      SystemExit: the sides do not compute the same.
    """
    with (
        common.Worker("benchmarks.dcgan_worker", "own") as own,
        common.Worker("benchmarks.dcgan_worker", "lax") as lax,
    ):
        for step in ("penalty", "adversarial"):
            losses = own.ask("prepare", step, False, _STEPS)
            _agree(f"{NAME} ({step})", losses, lax.ask("prepare", step, False, _STEPS))
        _agree(f"{NAME} in a scan", losses, own.ask("prepare", "adversarial", True, _STEPS))

        def side(worker: common.Worker, step: str, scanned: bool = False) -> Callable[[], float]:
            return lambda: worker.ask("seconds_per_step", step, scanned, _STEPS)

        stepwise, scanned, laxs = _alternate(
            side(own, "adversarial"), side(own, "adversarial", True), side(lax, "adversarial")
        )
        penalty, laxs_penalty = _alternate(side(own, "penalty"), side(lax, "penalty"))
    ratio, scan = _ratio(stepwise, laxs), _ratio(stepwise, scanned)
    by_penalty = _ratio(penalty, laxs_penalty)
    return "\n".join(
        [
            common.line(
                NAME,
                f"{ratio:.2f} times as fast as with lax's convolutions and gradients "
                f"({_milliseconds(stepwise, laxs)})",
                f"{LAX_GOAL} times",
                ratio >= LAX_GOAL,
            ),
            common.line(
                f"{NAME} in a scan",
                f"{scan:.2f} times as long as on its own ({_milliseconds(scanned, stepwise)})",
                f"{SCAN_GOAL} times",
                scan <= SCAN_GOAL,
            ),
            common.line(
                "gradient penalty step",
                f"{by_penalty:.2f} times as fast as with lax's, of a critic of two strided "
                f"convolutions and one linear unit ({_milliseconds(penalty, laxs_penalty)})",
                f"{PENALTY_GOAL} times",
                by_penalty >= PENALTY_GOAL,
            ),
        ]
    )


def against_torch(cores: int) -> str:
    """The step on so many cores, PyTorch in the settings that suit it best.

    Raises:
      SystemExit: the two do not compute the same.
    """
    name = f"{NAME}, {cores} core{'s' if cores > 1 else ''}"
    settings = [
        (channels_last, fused) for channels_last in (False, True) for fused in (False, True)
    ]
    with (
        tempfile.TemporaryDirectory() as directory,
        common.Worker("benchmarks.dcgan_worker", "own", cores=cores) as ours,
        common.Worker("benchmarks.dcgan_torch_worker", cores=cores) as torchs,
    ):
        path = str(Path(directory) / "params.npz")
        ours.ask("write_params", path)
        losses = ours.ask("prepare", "adversarial", False, _STEPS)
        for setting in settings:
            _agree(name, losses, torchs.ask("prepare", path, *setting, _STEPS))
        trials = {setting: torchs.ask("seconds_per_step", *setting, _STEPS) for setting in settings}
        channels_last, fused = min(trials, key=lambda setting: trials[setting])
        our_seconds, torch_seconds = _alternate(
            lambda: ours.ask("seconds_per_step", "adversarial", False, _STEPS),
            lambda: torchs.ask("seconds_per_step", channels_last, fused, _STEPS),
        )
        idle = max(ours.idle_load, torchs.idle_load)
    ratio = _ratio(our_seconds, torch_seconds)
    measured = (
        f"{ratio:.2f} times as fast as PyTorch ({_milliseconds(our_seconds, torch_seconds)}; "
        f"PyTorch with {'channels last' if channels_last else 'channels first'}"
        f"{', fused Adam' if fused else ''}; the waiting side used {idle:.1%} of a core)"
    )
    return common.line(name, measured, f"{TORCH_GOAL} times", ratio >= TORCH_GOAL)


def measure() -> str:
    lines = [against_lax()]
    if importlib.util.find_spec("torch") is None:
        reason = "PyTorch is missing: pip install -r benchmarks/requirements.txt"
        lines.append(common.not_run(f"{NAME} against PyTorch", reason))
    else:
        lines += [against_torch(cores) for cores in sorted({1, common.num_cores()})]
    return "\n".join(lines)
