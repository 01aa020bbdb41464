"""What a run says while it trains: metrics.jsonl, TensorBoard, other loggers, the progress bar."""

import hashlib
import importlib.util
import json
import os
import shutil
import sys
import time
import zlib
from pathlib import Path
from typing import Any, Protocol

from aae_jax.errors import UserError

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


class Sink(Protocol):
    """Where the entries of a log go besides."""

    def begin(self, entries: list[dict[str, Any]]) -> None:
        """Get ready for entries after these, which are all that count of what was before."""

    def write(self, entry: dict[str, Any]) -> None:
        """One entry: "step", "epoch", "seed", and numbers by name."""

    def flush(self) -> None:
        """Return when everything is handed over."""

    def close(self) -> None:
        """Let go."""


def _numbers(entry: dict[str, Any]) -> dict[str, float]:
    return {name: value for name, value in entry.items() if name not in ("step", "epoch", "seed")}


class TensorBoard:
    """Event files in a directory."""

    def __init__(self, directory: Path):
        self.directory = directory
        self._writer: Any = None

    def begin(self, entries: list[dict[str, Any]]) -> None:
        # Not SummaryWriter, whose thread dies of a full disk, and its close() then waits for it.
        from tensorboardX.event_file_writer import EventsWriter

        # An event file cannot be cut, but it can be written anew.
        shutil.rmtree(self.directory, ignore_errors=True)
        self.directory.mkdir()
        self._writer = EventsWriter(str(self.directory / "events"))
        self._flushed = time.monotonic()
        for entry in entries:
            self.write(entry)

    def write(self, entry: dict[str, Any]) -> None:
        from tensorboardX.proto.event_pb2 import Event
        from tensorboardX.summary import scalar

        for name, value in _numbers(entry).items():
            summary = scalar(name, value)
            event = Event(wall_time=time.time(), step=entry["step"], summary=summary)
            self._writer.write_event(event)
        if time.monotonic() > self._flushed + _FLUSH_SECONDS:
            self.flush()
            self._flushed = time.monotonic()

    def flush(self) -> None:
        self._writer.flush()

    def close(self) -> None:
        self._writer.close()


class WandB:
    """A run of Weights & Biases for each seed, grouped by the run's directory. What it had before a
    kill it keeps: the same numbers come again, and those of earlier steps it leaves out."""

    def __init__(self, directory: Path, seed: int):
        self.directory, self.seed = directory.absolute(), seed
        self._run: Any = None

    def begin(self, entries: list[dict[str, Any]]) -> None:
        import wandb

        workdir = self.directory.parent
        try:
            self._run = wandb.init(
                project="aae_jax",
                group=f"{workdir.parent.name}/{workdir.name}",
                name=f"{workdir.name}, seed {self.seed}",
                id=hashlib.sha256(os.fsencode(self.directory)).hexdigest()[:16],
                resume="allow",
                dir=str(self.directory),
                reinit="create_new",
            )
        except Exception as error:  # of the network, the account or the disk
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise UserError(
                f"wandb cannot begin ({reason}): run `wandb login`, set WANDB_MODE=offline, or "
                "leave train.logger empty"
            ) from None
        for entry in entries:
            self.write(entry)

    def write(self, entry: dict[str, Any]) -> None:
        if entry["step"] >= self._run.step:
            self._run.log(_numbers(entry) | {"epoch": entry["epoch"]}, step=entry["step"])

    def flush(self) -> None:
        pass  # it hands over by itself

    def close(self) -> None:
        self._run.finish()


LOGGERS = {"wandb": WandB}


def check_logger(name: str) -> None:
    """Refuse a ``train.logger`` that cannot be had.

    Raises:
        UserError: there is none of that name, or it is not installed.
    """
    if not name:
        return
    if name not in LOGGERS:
        raise UserError(f"train.logger is {name!r}: it can be empty, or {', '.join(LOGGERS)}")
    if importlib.util.find_spec(name) is None:
        raise UserError(
            f"train.logger is {name!r}, which is not installed: `pip install {name}`, or leave "
            "train.logger empty"
        )


class Log:
    """The metrics.jsonl of one seed, and the same numbers as TensorBoard events and, if asked for,
    in a further logger.

    Every line has "step", "epoch", "seed", either the means of the train step's metrics since the
    line before or what the evaluators found, and a checksum of these, "crc32".
    """

    def __init__(self, directory: Path, seed: int, logger: str = ""):
        self.path = directory / "metrics.jsonl"
        self.seed = seed
        self._sinks: list[Sink] = [TensorBoard(directory / "tensorboard")]
        if logger:
            self._sinks.append(LOGGERS[logger](directory, seed))
        self._file: Any = None

    def cut_off(self, step: int) -> None:
        """Forget what lies past ``step``, and get ready to write on from there."""
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
        for sink in self._sinks:
            sink.begin(entries)
        self._file = open(self.path, "a")  # noqa: SIM115, closed by close()

    def write(self, step: int, epoch: float, values: dict[str, float]) -> None:
        """One line, and the same for each sink."""
        entry = {"step": step, "epoch": epoch, "seed": self.seed}
        entry |= {name: float(value) for name, value in values.items()}
        self._file.write(_line(entry))
        self._file.flush()
        for sink in self._sinks:
            sink.write(entry)

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
            for sink in self._sinks:
                sink.flush()

    def close(self) -> None:
        """Let go; nothing can be written afterwards."""
        if self._file is not None:
            self._file.close()
            for sink in self._sinks:
                sink.close()


def progress_bar(name: str, unit: str, total: int, **options: Any):
    """A tqdm bar on stderr; where that is no terminal, a line a minute."""
    from tqdm import tqdm

    interval = 0.5 if sys.stderr.isatty() else 60.0
    return tqdm(total=total, desc=name, unit=f" {unit}", mininterval=interval, **options)
