"""The tables of the papers, rendered from the ledger.

A table shows the *latest* record of each row and profile, never the best one, and a run whose
configuration the command line changed stands on a line of its own, under its overrides.
"""

import json
import os
import pathlib
import statistics
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from aae_jax.errors import UserError
from experiments.harness.ledger import Record, latest, read

PROFILES = ("paper", "fast", "smoke")

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


def duration(seconds: float) -> str:
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def _cells(table: Table, row: Row, record: Record) -> list[str]:
    count = len(record["seeds"])
    time = duration(record["wall_seconds"] / count)
    if count > 1:
        time += f" ({duration(record['wall_seconds'])} in all)"
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
