"""From the command to the first update of a real run, with warm caches."""

import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from aae_jax import data
from benchmarks import common

GOAL = 8.0
NAME = "time to first update"
_REPEATS, _TIMEOUT = 3, 300.0


class _NotStarted(Exception):
    """The run ended before its first update; the message is its last line."""


def _seconds(directory: Path) -> float:
    metrics = directory / "run" / "seed_0" / "metrics.jsonl"
    command = [sys.executable, "-m", "experiments.aae.table2"]
    command += ["--config=configs/aae/table2.py:mnist_100,paper", f"--workdir={directory / 'run'}"]
    command += ["--config.train.log_every=1"]
    with open(directory / "output", "w+") as output:
        begin = time.monotonic()
        process = subprocess.Popen(command, cwd=common.ROOT, stdout=output, stderr=output)
        try:
            while not (metrics.exists() and b"\n" in metrics.read_bytes()):
                if process.poll() is not None or time.monotonic() - begin > _TIMEOUT:
                    output.seek(0)
                    said = output.read().strip().splitlines()
                    raise _NotStarted(said[-1] if said else f"no update in {_TIMEOUT:.0f} s")
                time.sleep(0.01)
            return time.monotonic() - begin
        finally:
            process.kill()
            process.wait()


def measure() -> str:
    if not data.is_available("mnist"):
        return common.not_run(NAME, "MNIST is not there: make data DATASET=mnist")
    times = []
    try:
        for _ in range(1 + _REPEATS):  # the first fills the caches
            with tempfile.TemporaryDirectory() as directory:
                times.append(_seconds(Path(directory)))
    except _NotStarted as error:
        return common.not_run(NAME, str(error))
    seconds = statistics.median(times[1:])
    return common.line(NAME, f"{seconds:.1f} s (the median of 3)", f"{GOAL:.0f} s", seconds <= GOAL)
