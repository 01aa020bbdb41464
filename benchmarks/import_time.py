"""What ``import aae_jax`` adds to ``import jax``."""

import statistics
import subprocess
import sys
import time

from benchmarks import common

GOAL = 0.4
NAME = "import"
_ROUNDS = 7


def _seconds(statement: str) -> float:
    begin = time.perf_counter()
    subprocess.run([sys.executable, "-c", statement], cwd=common.ROOT, check=True)
    return time.perf_counter() - begin


def measure() -> str:
    statements = ("import jax", "import jax, aae_jax")
    for statement in statements:
        _seconds(statement)
    times = [[_seconds(statement) for statement in statements] for _ in range(_ROUNDS)]
    jax, both = (statistics.median(column) for column in zip(*times))
    measured = f"{both - jax:.2f} s more than jax alone ({both:.2f} s and {jax:.2f} s)"
    return common.line(NAME, measured, f"{GOAL} s", both - jax <= GOAL)
