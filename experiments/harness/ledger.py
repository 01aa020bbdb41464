"""The ledger: one JSON record per finished run, a line of ``results/<experiment>.jsonl``."""

import fcntl
import json
import math
import os
import pathlib
import re
import statistics
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from aae_jax.errors import UserError
from experiments.harness import provenance
from experiments.harness.catalogue import ROOT

Record = dict[str, Any]

KEYS = (
    "experiment",
    "row",
    "profile",
    "metric",
    "paper",
    "seeds",
    "values",
    "mean",
    "std",
    "selection",
    "updates",
    "epochs",
    "dataset",
    "dataset_sha256",
    "config",
    "overrides",
    "device",
    "versions",
    "commit",
    "dirty",
    "wall_seconds",
    "params_sha256",
)
"""The keys of a record, in order; ``extra`` may follow."""

SELECTIONS = ("final", "best_validation")
_SPACE = 64 * 1024  # bytes; a record has a few thousand


def directory() -> pathlib.Path:
    """Where the ledgers lie: ``results/``, or ``AAE_JAX_RESULTS_DIR``."""
    return pathlib.Path(os.environ.get("AAE_JAX_RESULTS_DIR", ROOT / "results"))


def make_record(
    *,
    experiment: str,
    row: str,
    profile: str,
    metric: str,
    paper: Mapping[str, float | None] | tuple[float, float | None] | None,
    seeds: Sequence[int],
    values: Sequence[float],
    selection: str,
    updates: int,
    epochs: float | None,
    dataset: str,
    dataset_sha256: str | None,
    config: Any,
    overrides: Mapping[str, Any],
    wall_seconds: float,
    params_sha256: Sequence[str],
    extra: Mapping[str, Sequence[float]] | None = None,
    commit: str | None = None,
    dirty: bool | None = None,
) -> Record:
    """The record of a finished run, with the keys of ``KEYS`` in their order.

    Fills in ``mean``, ``std`` (n − 1 in the denominator; None for one seed), ``device`` and
    ``versions``, and makes ``config`` and ``overrides`` plain JSON.

    Args:
      experiment: the experiment's name: letters, digits and underscores.
      row: the row of the table.
      profile: ``paper``, ``fast`` or ``smoke``.
      metric: the metric with its unit: ``test_error_percent``, ``parzen_nats``.
      paper: the paper's number, as ``{"mean": ..., "std": ...}`` or (mean, std), or None.
      seeds: the seeds of the run.
      values: the metric, one value per seed.
      selection: ``final``, or ``best_validation`` where a validation set chose the step.
      updates: number of parameter updates per seed.
      epochs: passes over the unlabelled set; None where the data has no end.
      dataset: the data set's name and version, as the tables shall show it.
      dataset_sha256: hash of the data set's arrays, or None.
      config: the resolved config, a ``ConfigDict`` or a mapping.
      overrides: what the command line changed, dotted names to values.
      wall_seconds: duration of the whole run, all seeds together.
      params_sha256: hash of the final parameters, one per seed.
      extra: further metrics, each with one value per seed.
      commit: the commit that was checked out when the run began, from ``source_version``,
        which is asked now if this is None.
      dirty: whether the checkout then differed from that commit; goes with `commit`.

    Raises:
      UserError: a value is not finite: the run diverged.
      ValueError: the lists do not have one entry per seed, or an argument is out of range.
    """
    if not re.fullmatch(r"\w+", experiment, flags=re.ASCII):
        raise ValueError(f"experiment must be letters, digits and underscores, got {experiment!r}")
    if selection not in SELECTIONS:
        raise ValueError(f"selection must be one of {', '.join(SELECTIONS)}, got {selection!r}")
    if not math.isfinite(wall_seconds) or wall_seconds < 0:
        raise ValueError(f"wall_seconds must be finite and not negative, got {wall_seconds}")
    seeds = [int(seed) for seed in seeds]
    if not seeds or len(set(seeds)) != len(seeds):
        raise ValueError(f"seeds must be one or more different integers, got {seeds}")
    if len(params_sha256) != len(seeds):
        raise ValueError(f"params_sha256 has {len(params_sha256)} entries, seeds {len(seeds)}")
    numbers = _per_seed(metric, values, seeds)
    if commit is None:
        commit, dirty = provenance.source_version()
    record = {
        "experiment": experiment,
        "row": row,
        "profile": profile,
        "metric": metric,
        "paper": _paper(paper),
        "seeds": seeds,
        "values": numbers,
        "mean": statistics.fmean(numbers),
        "std": statistics.stdev(numbers) if len(numbers) > 1 else None,
        "selection": selection,
        "updates": int(updates),
        "epochs": plain(epochs),
        "dataset": dataset,
        "dataset_sha256": dataset_sha256,
        "config": plain(config),
        "overrides": plain(overrides),
        "device": provenance.describe_device(),
        "versions": provenance.versions(),
        "commit": commit,
        "dirty": dirty,
        "wall_seconds": float(wall_seconds),
        "params_sha256": list(params_sha256),
    }
    if extra is not None:
        record["extra"] = {name: _per_seed(name, extra[name], seeds) for name in extra}
    return record


def append(record: Record, folder: str | os.PathLike[str]) -> bool:
    """Appends a record to ``<folder>/<experiment>.jsonl``, durably.

    The line is written at once and on disk when this returns. A last line that a crash left
    incomplete is cut off first.

    Returns:
      False, with nothing written, if the record is there already, whatever it says of time, device
      and code: a result is recorded once.

    Raises:
      OSError: the line could not be written; the file is as it was.
      ValueError: the record holds a NaN or an infinity.
    """
    line = json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    path = pathlib.Path(folder) / f"{record['experiment']}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        # Held until the descriptor closes: what looks torn may be another run's line.
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        content = path.read_bytes()
        complete, _, torn = content.rpartition(b"\n")
        if torn and _is_record(torn):
            # Only the newline is missing.
            os.write(descriptor, b"\n")
            content += b"\n"
        elif torn:
            content = complete + b"\n" if complete else b""
            os.ftruncate(descriptor, len(content))
        known = _what(record) in map(_what, _records(content))
        if not known and os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, len(content))
            raise OSError(f"could not write the record to {path}: is the disk full?")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _fsync_directory(path.parent)
    return not known


_CIRCUMSTANCES = ("paper", "config", "device", "versions", "commit", "dirty", "wall_seconds")


def _what(record: Record) -> Record:
    """What a record says of its result."""
    return {key: value for key, value in plain(record).items() if key not in _CIRCUMSTANCES}


def same_result(one: Record, other: Record) -> bool:
    """Whether two records say the same of a result, whatever they say of time, device and code."""
    return _what(one) == _what(other)


def _records(content: bytes) -> Iterator[Record]:
    """The lines of a ledger that are records."""
    for line in content.split(b"\n"):
        if _is_record(line):
            yield json.loads(line)


def check(folder: str | os.PathLike[str], experiment: str) -> None:
    """Refuse a ledger that could not be appended to. Nothing is written.

    Raises:
      UserError: naming what stands in its way.
    """
    path = pathlib.Path(folder).absolute() / f"{experiment}.jsonl"
    try:
        there = next(p for p in (path, *path.parents) if os.path.lexists(p))
        if not there.is_dir() if there != path else not there.is_file():
            raise UserError(
                f"the ledger {path} cannot be written: {there} is no "
                f"{'file' if there == path else 'directory'}; move it away, or set "
                "AAE_JAX_RESULTS_DIR"
            )
        usable = os.access(there, os.W_OK | (os.R_OK if there == path else os.X_OK))
        space = os.statvfs(there)
    except OSError as error:
        raise UserError(f"the ledger {path} cannot be written: {error.strerror}") from None
    if not usable or space.f_flag & os.ST_RDONLY:
        raise UserError(
            f"the ledger {path} cannot be written: make {there} writable, or set "
            "AAE_JAX_RESULTS_DIR"
        )
    if space.f_bavail * space.f_frsize < _SPACE:
        raise UserError(f"the ledger {path} cannot be written: the disk is full, make room")


def read(path: str | os.PathLike[str]) -> list[Record]:
    """Reads a ledger file, oldest record first; a file that does not exist has none.

    Raises:
      UserError: a line is not a record, with the file and the line number.
    """
    try:
        lines = pathlib.Path(path).read_bytes().split(b"\n")
    except FileNotFoundError:
        return []
    if not lines[-1]:
        lines.pop()
    records = []
    for number, line in enumerate(lines, start=1):
        try:
            record = json.loads(line, parse_constant=_refuse_constant)
        except ValueError:
            raise UserError(
                f"{os.fspath(path)}, line {number}: not JSON: mend or remove the line"
            ) from None
        missing = _missing_keys(record)
        if missing:
            raise UserError(
                f"{os.fspath(path)}, line {number}: not a record, it has no "
                f"'{missing[0]}': mend or remove the line"
            )
        records.append(record)
    return records


def latest(records: Iterable[Record]) -> dict[tuple[str, str, str], Record]:
    """The latest record, in the order given, of each row, profile and set of overrides.

    The key is (row, profile, the overrides as canonical JSON); a run as configured has
    ``"{}"``, so that one with overrides never stands in for it.
    """
    found = {}
    for record in records:
        overrides = json.dumps(record["overrides"], sort_keys=True, ensure_ascii=False)
        found[record["row"], record["profile"], overrides] = record
    return found


def _per_seed(name: str, values: Sequence[float], seeds: Sequence[int]) -> list[float]:
    numbers = [float(value) for value in values]
    if len(numbers) != len(seeds):
        raise ValueError(f"{name} has {len(numbers)} values for {len(seeds)} seeds")
    bad = [seed for seed, number in zip(seeds, numbers) if not math.isfinite(number)]
    if bad:
        raise UserError(
            f"{name} is not finite for seed {', '.join(map(str, bad))}: the run diverged, "
            "so it has no record; lower the learning rate"
        )
    return numbers


def _paper(paper: Any) -> dict[str, float | None] | None:
    if paper is None:
        return None
    mean, std = (paper["mean"], paper["std"]) if isinstance(paper, Mapping) else paper
    return {"mean": float(mean), "std": None if std is None else float(std)}


def plain(value: Any) -> Any:
    """`value` in the types of JSON. Never fails: a run that took hours hangs on it."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if hasattr(value, "tolist"):
        return plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return getattr(value, "__qualname__", None) or str(value)


def _fsync_directory(directory: pathlib.Path) -> None:
    # A new file outlives a power cut only when its directory entry is on disk too.
    descriptor = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _missing_keys(record: Any) -> list[str]:
    return [key for key in KEYS if not isinstance(record, dict) or key not in record]


def _is_record(line: bytes) -> bool:
    try:
        return not _missing_keys(json.loads(line))
    except ValueError:
        return False
