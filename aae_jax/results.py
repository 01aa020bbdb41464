"""The ledger: one JSON record per finished run, and the tables rendered from it.

A run appends one line to ``results/<experiment>.jsonl``. The tables show the *latest* record
of each row and profile, never the best one, and a run whose configuration the command line
changed stands on a line of its own, under its overrides.
"""

import fcntl
import hashlib
import json
import math
import os
import pathlib
import platform
import re
import statistics
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from importlib import metadata
from typing import Any, NamedTuple

import numpy as np

from aae_jax.errors import UserError

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
PROFILES = ("paper", "fast", "smoke")

_PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "chex", "numpy")
_COLUMNS = (
    "row",
    "profile",
    "paper",
    "ours",
    "seeds",
    "updates",
    "epochs",
    "data set",
    "device",
    "time per seed",
    "commit",
)
_SHOWN_AFTER = _COLUMNS.index("ours") + 1


class Row(NamedTuple):
    """One row of a paper's table.

    Attributes:
      name: the row's name in configs and records, such as ``mnist_100``.
      label: the row as the table shows it.
      paper: the paper's own number, (mean, standard deviation or None); None where the
        paper prints none.
      cited: the other methods the paper cites in this row: (method, mean, std or None).
    """

    name: str
    label: str
    paper: tuple[float, float | None] | None = None
    cited: tuple[tuple[str, float, float | None], ...] = ()


class Table(NamedTuple):
    """One table of a paper: its rows and what they measure.

    Attributes:
      experiment: the experiment's name, which names the ledger's file.
      title: the table's title.
      metric: the metric with its unit, as in the records: ``test_error_percent``.
      rows: the rows, in the order of the table.
      decimals: digits after the point, of the paper's numbers and ours.
      shown: further metrics of the records (names in their ``extra``) that the table shows, as
        the mean over seeds, each in a column of its own.
    """

    experiment: str
    title: str
    metric: str
    rows: tuple[Row, ...]
    decimals: int = 2
    shown: tuple[str, ...] = ()


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
        commit, dirty = source_version()
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
        "epochs": _plain(epochs),
        "dataset": dataset,
        "dataset_sha256": dataset_sha256,
        "config": _plain(config),
        "overrides": _plain(overrides),
        "device": describe_device(),
        "versions": _versions(),
        "commit": commit,
        "dirty": dirty,
        "wall_seconds": float(wall_seconds),
        "params_sha256": list(params_sha256),
    }
    if extra is not None:
        record["extra"] = {name: _per_seed(name, extra[name], seeds) for name in extra}
    return record


def params_sha256(params: Any) -> str:
    """SHA-256 over the arrays of a pytree, in the order of their key paths.

    Covers each leaf's path, dtype, shape and bytes, so it is the same for JAX and NumPy
    arrays and whatever order a dictionary was filled in.

    Raises:
      ValueError: a leaf is not an array of numbers.
    """
    import jax

    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), leaf) for path, leaf in leaves):
        array = np.asarray(leaf)
        if array.dtype.hasobject:
            raise ValueError(f"params{path} is no array of numbers but {type(leaf).__name__}")
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        digest.update(f"{path}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def source_version(root: pathlib.Path | None = None) -> tuple[str, bool | None]:
    """The checked-out commit, and whether the working tree differs from it.

    To be called when a run starts: the files may change while it trains. Untracked files
    count as a difference, since they may be source; ignored files and the ledger itself
    (``results/``) do not.

    Args:
      root: the checkout; by default the one this package stands in.

    Returns:
      (commit, dirty), or ``("unknown", None)`` without git or outside a checkout.
    """
    root = pathlib.Path(__file__).parents[1] if root is None else root
    try:
        # A package installed inside another project's checkout is not of its commit.
        top = pathlib.Path(_git(root, "rev-parse", "--show-toplevel").removesuffix("\n"))
        if top.resolve() != root.resolve():
            return "unknown", None
        commit = _git(root, "rev-parse", "HEAD").strip()
        changes = _git(root, "status", "--porcelain", "--", ".", ":(exclude)results")
    except (OSError, subprocess.SubprocessError):
        return "unknown", None
    return commit, bool(changes.strip())


def describe_device() -> str:
    """What JAX computes on: ``cpu (2 cores)``, ``NVIDIA H200 x1``."""
    import jax

    devices = jax.devices()
    if devices[0].platform == "cpu":
        # The cores this process may use, not those of the machine.
        affinity = getattr(os, "sched_getaffinity", None)
        cores = len(affinity(0)) if affinity else os.cpu_count()
        return f"cpu ({cores} core{'' if cores == 1 else 's'})"
    return f"{devices[0].device_kind} x{len(devices)}"


def append(record: Record, directory: str | os.PathLike[str]) -> bool:
    """Appends a record to ``<directory>/<experiment>.jsonl``, durably.

    The line is written at once and on disk when this returns. A last line that a crash left
    incomplete is cut off first.

    Returns:
      False, with nothing written, if the very same line is there already: a resumed run
      reports once.

    Raises:
      OSError: the line could not be written; the file is as it was.
      ValueError: the record holds a NaN or an infinity.
    """
    line = json.dumps(record, allow_nan=False, ensure_ascii=False).encode() + b"\n"
    path = pathlib.Path(directory) / f"{record['experiment']}.jsonl"
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
        known = line.rstrip(b"\n") in content.split(b"\n")
        if not known and os.write(descriptor, line) != len(line):
            os.ftruncate(descriptor, len(content))
            raise OSError(f"could not write the record to {path}: is the disk full?")
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
    _fsync_directory(path.parent)
    return not known


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


def render_table(table: Table, records: Iterable[Record]) -> str:
    """A table as GitHub Markdown: one line per row and profile, from the latest records.

    A row that was never run as configured has a line that says "not run". Records that do
    not belong to the table (a row or metric it does not have) are named below it.
    """
    records = list(records)
    names = {row.name for row in table.rows}
    ours = [r for r in records if _belongs(r, table) and r["row"] in names]
    found = latest(ours)
    shown = [name.replace("_", " ") for name in table.shown]
    columns = [*_COLUMNS[:_SHOWN_AFTER], *shown, *_COLUMNS[_SHOWN_AFTER:]]
    lines = [
        f"**{table.title}** (`{table.metric}`)",
        "",
        _line(columns),
        _line(["---"] * len(columns)),
    ]
    for row in table.rows:
        keys = sorted((key for key in found if key[0] == row.name), key=_key_order)
        if not any(overrides == "{}" for _, _, overrides in keys):
            empty = {"row": row.label, "paper": _paper_text(row, table), "ours": "not run"}
            lines.append(_line([empty.get(column, "–") for column in columns]))
        lines += [_line(_cells(table, row, found[key])) for key in keys]
    cited = [_cited_text(row, table) for row in table.rows if row.cited]
    if cited:
        lines += [
            "",
            f"The other rows of the paper's table, as it prints them: {'; '.join(cited)}.",
        ]
    others = sorted(
        {
            f"row `{r['row']}` of `{r['experiment']}` (`{r['metric']}`)"
            for r in records
            if not _belongs(r, table) or r["row"] not in names
        }
    )
    if others:
        lines += ["", f"Records that belong to no row of this table: {', '.join(others)}."]
    return "\n".join(lines) + "\n"


def render(tables: Iterable[Table], ledger_dir: str | os.PathLike[str]) -> str:
    """All tables as Markdown, each from its ledger file in `ledger_dir`.

    Raises:
      UserError: a ledger file has a malformed line.
    """
    return "\n".join(_render_from(table, ledger_dir) for table in tables)


def update_readme(
    path: str | os.PathLike[str], tables: Iterable[Table], ledger_dir: str | os.PathLike[str]
) -> bool:
    """Renders each table between its markers in a Markdown file.

    A table's markers are ``<!-- table:aae_table2 -->`` and ``<!-- /table:aae_table2 -->``;
    what stands outside them is kept as it is.

    Returns:
      Whether the file changed.

    Raises:
      UserError: a pair of markers is missing, doubled or the wrong way round, or a ledger
        file has a malformed line; the file is then unchanged.
    """
    path = pathlib.Path(path)
    before = text = path.read_text(encoding="utf-8")
    for table in tables:
        start = f"<!-- table:{table.experiment} -->"
        end = f"<!-- /table:{table.experiment} -->"
        head, *rest = text.split(start)
        if len(rest) != 1 or rest[0].count(end) != 1 or end in head:
            raise UserError(f"{path} must have {start} and, after it, {end}, each of them once")
        tail = rest[0].partition(end)[2]
        text = f"{head}{start}\n\n{_render_from(table, ledger_dir)}\n{end}{tail}"
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before


def side_by_side(table: Table, row_name: str, record: Record) -> str:
    """Plain text for the end of a run: every number the paper prints in a row, and ours.

    Raises:
      ValueError: the table has no such row.
    """
    row = next((row for row in table.rows if row.name == row_name), None)
    if row is None:
        raise ValueError(f"table {table.experiment} has no row {row_name!r}")
    lines = [(name, mean, std, "") for name, mean, std in row.cited]
    if row.paper is not None:
        lines.append(("paper", *row.paper, ""))
    count = len(record["seeds"])
    note = f"{count} seed{'' if count == 1 else 's'}, {record['dataset']}"
    lines.append((f"ours ({_profile(record)})", record["mean"], record["std"], note))
    width = max(len(name) for name, *_ in lines)
    means = [f"{mean:.{table.decimals}f}" for _, mean, _, _ in lines]
    stds = ["" if std is None else f"± {std:.{table.decimals}f}" for _, _, std, _ in lines]
    out = [f"{row.label}: {table.metric}"]
    for (name, _, _, note), mean, std in zip(lines, means, stds):
        cells = [
            name.ljust(width),
            mean.rjust(max(map(len, means))),
            std.ljust(max(map(len, stds))),
            note,
        ]
        out.append("  " + "  ".join(cells).rstrip())
    return "\n".join(out) + "\n"


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


def _plain(value: Any) -> Any:
    """`value` in the types of JSON. Never fails: a run that took hours hangs on it."""
    if hasattr(value, "to_dict"):
        value = value.to_dict()
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if hasattr(value, "tolist"):
        return _plain(value.tolist())
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if value is None or isinstance(value, (bool, int, str)):
        return value
    return getattr(value, "__qualname__", None) or str(value)


def _versions() -> dict[str, str | None]:
    versions: dict[str, str | None] = {"python": platform.python_version()}
    for package in _PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            versions[package] = None
    return versions


def _git(root: pathlib.Path, *arguments: str) -> str:
    # Without optional locks "git status" does not disturb a commit made at the same moment.
    command = ["git", "--no-optional-locks", "-C", os.fspath(root), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    return done.stdout


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


def _belongs(record: Record, table: Table) -> bool:
    return record["experiment"] == table.experiment and record["metric"] == table.metric


def _key_order(key: tuple[str, str, str]) -> tuple[int, str, bool, str]:
    _, profile, overrides = key
    rank = PROFILES.index(profile) if profile in PROFILES else len(PROFILES)
    return rank, profile, overrides != "{}", overrides


def _render_from(table: Table, ledger_dir: str | os.PathLike[str]) -> str:
    return render_table(table, read(pathlib.Path(ledger_dir) / f"{table.experiment}.jsonl"))


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(mean: float, std: float | None, decimals: int) -> str:
    spread = "" if std is None else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{spread}"


def _paper_text(row: Row, table: Table) -> str:
    return "–" if row.paper is None else _number(*row.paper, table.decimals)


def _cited_text(row: Row, table: Table) -> str:
    numbers = [f"{name} {_number(mean, std, table.decimals)}" for name, mean, std in row.cited]
    return f"{row.label}: {', '.join(numbers)}"


def _profile(record: Record) -> str:
    changes = [f"{name}={_shown(value)}" for name, value in sorted(record["overrides"].items())]
    return ", ".join([record["profile"], *changes])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def _cells(table: Table, row: Row, record: Record) -> list[str]:
    count = len(record["seeds"])
    time = _duration(record["wall_seconds"] / count)
    if count > 1:
        time += f" ({_duration(record['wall_seconds'])} in all)"
    commit = record["commit"]
    # A hash is cut to seven digits; the word "unknown" has seven letters.
    commit = commit[:7] + ("+dirty" if record["dirty"] else "")
    return [
        row.label,
        _profile(record),
        _paper_text(row, table),
        _number(record["mean"], record["std"], table.decimals),
        *(_extra_mean(record, name) for name in table.shown),
        str(count),
        f"{record['updates']:,}",
        "–" if record["epochs"] is None else f"{record['epochs']:,g}",
        record["dataset"],
        record["device"],
        time,
        commit,
    ]


def _extra_mean(record: Record, name: str) -> str:
    values = record.get("extra", {}).get(name)
    if values is None:
        return "–"
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean.is_integer() else f"{mean:.4g}"
