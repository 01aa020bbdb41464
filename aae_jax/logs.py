"""What a run says while it trains: metrics.jsonl, TensorBoard events, the progress bar."""

import json
import os
import shutil
import sys
import time
import zlib
from pathlib import Path
from typing import Any

_FLUSH_SECONDS = 30


def read(path: Path, keep_damaged: Path | None = None) -> list[dict[str, Any]]:
    """The entries of a ``metrics.jsonl``, none if there is no such file.

    A line that cannot be read, or is not what was written, is left out with a notice; but for the
    last, which a kill may have torn.

    Args:
        path: the file.
        keep_damaged: where a copy of a file with such lines goes.
    """
    entries, bad = [], []
    lines = path.read_bytes().splitlines() if path.exists() else []
    for number, line in enumerate(lines, start=1):
        try:
            entry = json.loads(line)
            if not isinstance(entry, dict) or not isinstance(entry["step"], int):
                raise ValueError
            # There are none in logs of before there were checksums.
            if entry.pop("crc32", None) not in (None, _checksum(entry)):
                raise ValueError
            entries.append(entry)
        except (ValueError, KeyError, RecursionError):
            bad.append(number)
    if bad[:1] not in ([], [len(lines)]):
        which = f"line {bad[0]}" + (f" and {len(bad) - 1} more" if bad[1:] else "")
        print(f"{path}, {which} cannot be read and left out", file=sys.stderr)
        if keep_damaged is not None:
            keep_damaged.parent.mkdir(exist_ok=True)
            shutil.copy(path, keep_damaged)
    return entries


def _checksum(entry: dict[str, Any]) -> int:
    return zlib.crc32(json.dumps(entry).encode())


def _line(entry: dict[str, Any]) -> str:
    return json.dumps({**entry, "crc32": _checksum(entry)}) + "\n"


class Log:
    """The metrics.jsonl of one seed, and the same numbers as TensorBoard events.

    Every line has "step", "epoch", "seed", either the means of the train step's metrics since the
    line before or what the evaluators found, and a checksum of these, "crc32".
    """

    def __init__(self, directory: Path, seed: int):
        self.path = directory / "metrics.jsonl"
        self.events = directory / "tensorboard"
        self.seed = seed
        self._file: Any = None
        self._writer: Any = None

    def cut_off(self, step: int) -> None:
        """Forget what lies past ``step``, and get ready to write on from there."""
        # Not SummaryWriter, whose thread dies of a full disk, and its close() then waits for it.
        from tensorboardX.event_file_writer import EventsWriter

        self.path.parent.mkdir(parents=True, exist_ok=True)
        damaged = self.path.parent / "unreadable" / self.path.name
        entries = [entry for entry in read(self.path, damaged) if entry["step"] <= step]
        last = entries[-1]["step"] if entries else 0
        if last < step:
            print(
                f"{self.path} ends at update {last}: its curve lacks those up to {step}",
                file=sys.stderr,
            )
        temporary = self.path.with_suffix(".tmp")
        temporary.write_text("".join(map(_line, entries)))
        os.replace(temporary, self.path)
        self._file = open(self.path, "a")  # noqa: SIM115, closed by close()
        # An event file cannot be cut, but it can be written anew.
        shutil.rmtree(self.events, ignore_errors=True)
        self.events.mkdir()
        self._writer, self._flushed = EventsWriter(str(self.events / "events")), time.monotonic()
        for entry in entries:
            self._event(entry)

    def _event(self, entry: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in entry.items():
            if name not in ("step", "epoch", "seed"):
                summary = scalar(name, value)
                event = Event(wall_time=time.time(), step=entry["step"], summary=summary)
                self._writer.write_event(event)
        if time.monotonic() > self._flushed + _FLUSH_SECONDS:
            self._writer.flush()
            self._flushed = time.monotonic()

    def write(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """One line, and one event for each value."""
        entry = {"step": step, "epoch": epoch, "seed": self.seed}
        entry |= {name: float(value) for name, value in values.items()}
        self._file.write(_line(entry))
        self._file.flush()
        self._event(entry)

    def curve(self, step: int, epoch: float, metrics: dict[str, float]) -> list[dict[str, float]]:
        """The evaluations: entries that hold any of what was found in the end, at ``step``. What an
        evaluator of a slower cadence follows is missing in some of them. Where the log has been
        lost there is the end alone."""
        found = [entry for entry in read(self.path) if set(metrics) & set(entry)]
        if metrics and (not found or found[-1]["step"] < step):
            found.append({"step": step, "epoch": epoch, "seed": self.seed, **metrics})
        return found

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
