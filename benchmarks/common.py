"""Worker processes that take turns, and the line that a benchmark prints."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]


def num_cores() -> int:
    return len(os.sched_getaffinity(0))


def line(name: str, measured: str, goal: str, met: bool) -> str:
    return f"{name}: {measured}; goal {goal}: {'met' if met else 'NOT met'}"


def not_run(name: str, reason: str) -> str:
    return f"{name}: not run ({reason})"


class Worker:
    """A Python process that answers requests, and sleeps in a read between them.

    Every side of a comparison lives in a process of its own, but only the one that was asked
    last runs: the others' requests are answered before.

    Attributes:
      idle_load: the largest share of one core that the process used while it waited; thread pools
        that spin would slow the other side down.
    """

    def __init__(self, module: str, *arguments: str, cores: int | None = None):
        """``python -m module arguments``, on the first ``cores`` of this process's cores (None: on
        all of them)."""
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *arguments],
            cwd=ROOT,
            env=os.environ | {"JAX_PLATFORMS": "cpu"},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        if cores is not None:
            # At once: the threads that it starts later stay where it is.
            allowed = sorted(os.sched_getaffinity(0))[:cores]
            os.sched_setaffinity(self._process.pid, allowed)
        self._module = module
        self.idle_load = 0.0
        self._last: dict[str, Any] | None = None

    def ask(self, function: str, *arguments: Any) -> Any:
        """The worker's ``function(*arguments)``; JSON values.

        Raises:
          RuntimeError: the worker died; what it said is on stderr.
        """
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps([function, *arguments]) + "\n")
        self._process.stdin.flush()
        text = self._process.stdout.readline()
        if not text:
            raise RuntimeError(f"{self._module} died")
        reply = json.loads(text)
        if self._last is not None and reply["began"] - self._last["ended"] > 0.1:
            used = reply["cpu_began"] - self._last["cpu_ended"]
            self.idle_load = max(self.idle_load, used / (reply["began"] - self._last["ended"]))
        self._last = reply
        return reply["value"]

    def __enter__(self) -> "Worker":
        return self

    def __exit__(self, *_: object) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()


def serve(functions: dict[str, Callable[..., Any]]) -> None:
    """The worker's side: answer requests until the pipe is closed."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # whatever else is printed goes to stderr
    for text in sys.stdin:
        name, *arguments = json.loads(text)
        began, cpu_began = time.monotonic(), time.process_time()
        value = functions[name](*arguments)
        reply = {"value": value, "began": began, "cpu_began": cpu_began}
        reply |= {"ended": time.monotonic(), "cpu_ended": time.process_time()}
        replies.write(json.dumps(reply) + "\n")
        replies.flush()
