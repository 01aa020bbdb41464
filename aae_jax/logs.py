"""What a run says while it trains: metrics.jsonl, TensorBoard events, the progress bar."""

import json
import os
import shutil
import sys
from collections.abc import Iterable
from pathlib import Path
from typing import Any


class Log:
    """The metrics.jsonl of one seed, and the same numbers as TensorBoard events.

    Every line has "step", "epoch", "seed" and either the means of the train step's metrics since
    the line before, or what the evaluators found.
    """

    def __init__(self, directory: Path, seed: int):
        self.path = directory / "metrics.jsonl"
        self.events = directory / "tensorboard"
        self.seed = seed
        self._file: Any = None
        self._writer: Any = None

    def cut_off(self, step: int) -> None:
        """Forget what lies past ``step``, and get ready to write on from there."""
        from tensorboardX import SummaryWriter

        self.path.parent.mkdir(parents=True, exist_ok=True)
        entries = [entry for entry in self._read() if entry["step"] <= step]
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
        os.replace(temporary, self.path)
        self._file = open(self.path, "a")  # noqa: SIM115, closed by close()
        # An event file cannot be cut, but it can be written anew.
        shutil.rmtree(self.events, ignore_errors=True)
        self._writer = SummaryWriter(str(self.events))
        for entry in entries:
            self._event(entry)

    def _read(self) -> list[dict[str, Any]]:
        if not self.path.exists():
            return []
        entries = []
        for line in self.path.read_text().splitlines():
            try:
                entries.append(json.loads(line))
            except json.JSONDecodeError:  # the line that a kill tore
                break
        return entries

    def _event(self, entry: dict[str, Any]) -> None:
        for name, value in entry.items():
            if name not in ("step", "epoch", "seed"):
                self._writer.add_scalar(name, value, entry["step"])

    def write(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """One line, and one event for each value."""
        entry = {"step": step, "epoch": epoch, "seed": self.seed}
        entry |= {name: float(value) for name, value in values.items()}
        self._file.write(json.dumps(entry) + "\n")
        self._file.flush()
        self._event(entry)

    def curve(self, names: Iterable[str]) -> list[dict[str, float]]:
        """The evaluations: entries that hold any of the names. What an evaluator of a slower
        cadence follows is missing in some of them."""
        wanted = set(names)
        return [entry for entry in self._read() if wanted & set(entry)]

    def flush(self) -> None:
        """Return when everything is on disk."""
        if self._file is not None:
            self._file.flush()
            os.fsync(self._file.fileno())
            self._writer.flush()

    def close(self) -> None:
        """Let go; nothing can be written afterwards."""
        if self._file is not None:
            self._file.close()
            self._writer.close()


def progress_bar(name: str, unit: str, total: int, **options: Any):
    """A tqdm bar on stderr; where that is no terminal, a line a minute."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 60.0
    return tqdm(total=total, desc=name, unit=f" {unit}", mininterval=interval, **options)
