"""The tables of the papers, rendered from the ledger.

A table shows the *latest* record of each row and profile, never the best one, and a run whose
configuration the command line changed stands on a line of its own, under its overrides.
"""

import json
import os
import pathlib
import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from aae_jax.errors import UserError
from experiments.harness.ledger import Record, latest, read

PROFILES = ("paper", "fast", "smoke")

_COLUMNS = ("row", "profile", "paper", "ours", "seeds", "updates", "time per seed")


class Row(NamedTuple):
    """One row of a paper's table.

    Attributes:
      name: the row's name in configs and records, such as ``mnist_100``.
      label: the row as the table shows it.
      paper: the paper's own number, (mean, standard deviation or None); None where the
        paper prints none.
      cited: the other methods the paper cites in this row: (method, mean, std or None).
      data: the data set that the paper's numbers are of, by the name that configs have for it.
      note: a sentence that a reader of our number must know.
    """

    name: str
    label: str
    paper: tuple[float, float | None] | None = None
    cited: tuple[tuple[str, float, float | None], ...] = ()
    data: str = "mnist"
    note: str = ""


class Table(NamedTuple):
    """One table of a paper: its rows and what they measure.

    Attributes:
      experiment: the experiment's name, which names the ledger's file.
      title: the table's title.
      metric: the metric with its unit, as in the records: ``test_error_percent``.
      rows: the rows, in the order of the table.
      decimals: digits after the point, of the paper's numbers and ours.
      shown: further metrics of the records (names in their ``extra``) that stand below the table,
        as the mean over seeds.
      selection: one of them by which a seed can be chosen without labels: below the table stands
        the number of the seed where it is lowest, beside the mean over all and never instead.
    """

    experiment: str
    title: str
    metric: str
    rows: tuple[Row, ...]
    decimals: int = 2
    shown: tuple[str, ...] = ()
    selection: str = ""


def on_named_data(row: Row, record: Record) -> bool:
    """Whether a record is of the data set that the row's numbers are of, in whatever version, and
    whichever of its classes or folds."""
    name = record["dataset"]
    return name == row.data or name.startswith((f"{row.data}/", f"{row.data},"))


def render_table(table: Table, records: Iterable[Record]) -> str:
    """A table as GitHub Markdown: one line per row and profile, from the latest records; below it
    the rows' notes and, folded up, the rest of what the records say.

    A row that was never run as configured has a line that says "not run", and the paper's number
    stands only beside one of its own data set. Records that do not belong to the table (a row or
    metric it does not have) are named below it.
    """
    records = list(records)
    names = {row.name for row in table.rows}
    found = latest(r for r in records if _belongs(r, table) and r["row"] in names)
    lines = [
        f"**{table.title}** (`{table.metric}`)",
        "",
        _line(_COLUMNS),
        _line(["---"] * len(_COLUMNS)),
    ]
    details = []
    for row in table.rows:
        keys = sorted((key for key in found if key[0] == row.name), key=_key_order)
        if not any(overrides == "{}" for _, _, overrides in keys):
            empty = {"row": row.label, "paper": paper_text(row, table), "ours": "not run"}
            lines.append(_line([empty.get(column, "–") for column in _COLUMNS]))
        lines += [_line(cells(table, row, found[key])) for key in keys]
        details += [f"- {_details(table, row, found[key])}" for key in keys]
    notes = [f"- {row.label}: {row.note}" for row in table.rows if row.note]
    if notes:
        lines += ["", *notes]
    if details:
        lines += ["", *_folded("Data sets, devices, commits and further metrics", details)]
    cited = [f"- {_cited_text(row, table)}" for row in table.rows if row.cited]
    if cited:
        lines += ["", *_folded("The other rows of the paper's table, as it prints them", cited)]
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


def render_from(table: Table, ledger_dir: str | os.PathLike[str]) -> str:
    """``render_table`` from the table's ledger file in ``ledger_dir``.

    Raises:
      UserError: the file has a malformed line.
    """
    return render_table(table, read(pathlib.Path(ledger_dir) / f"{table.experiment}.jsonl"))


class Headline(NamedTuple):
    """One line of the short table: a row's latest record of one profile, without overrides.

    Attributes:
      experiment: whose table.
      row: the row's name.
      label: the line's own words, with what is measured and its unit.
      profile: ``fast`` or ``paper``.
    """

    experiment: str
    row: str
    label: str
    profile: str = "fast"


def render_headline(
    entries: Iterable[Headline], tables: Iterable[Table], ledger_dir: str | os.PathLike[str]
) -> str:
    """The short table as GitHub Markdown.

    Raises:
      UserError: a ledger file has a malformed line.
      ValueError: an entry names a table or row that there is not.
    """
    known = {table.experiment: table for table in tables}
    columns = ["", "paper", "ours", "profile", "seeds", "updates"]
    lines = [_line(columns), _line(["---"] * len(columns))]
    for entry in entries:
        if entry.experiment not in known:
            raise ValueError(f"there is no table {entry.experiment!r}")
        table = known[entry.experiment]
        row = _row(table, entry.row)
        records = read(pathlib.Path(ledger_dir) / f"{table.experiment}.jsonl")
        record = latest(records).get((row.name, entry.profile, "{}"))
        if record is None or not on_named_data(row, record):
            lines.append(_line([entry.label, paper_text(row, table), "not run", "–", "–", "–"]))
            continue
        _, profile, paper, ours, seeds, updates, _ = cells(table, row, record)
        lines.append(_line([entry.label, paper, ours, profile, seeds, updates]))
    return "\n".join(lines) + "\n"


def update_page(path: str | os.PathLike[str], parts: Mapping[str, str]) -> bool:
    """Replaces what stands between markers of a Markdown file.

    The markers of the part "headline" are ``<!-- headline -->`` and ``<!-- /headline -->``; what
    stands outside them is kept as it is.

    Returns:
      Whether the file changed.

    Raises:
      UserError: a pair of markers is missing, doubled or the wrong way round; the file is then
        unchanged.
    """
    path = pathlib.Path(path)
    before = text = path.read_text(encoding="utf-8")
    for name, part in parts.items():
        start, end = f"<!-- {name} -->", f"<!-- /{name} -->"
        head, *rest = text.split(start)
        if len(rest) != 1 or rest[0].count(end) != 1 or end in head:
            raise UserError(f"{path} must have {start} and, after it, {end}, each of them once")
        tail = rest[0].partition(end)[2]
        text = f"{head}{start}\n\n{part}\n{end}{tail}"
    if text != before:
        path.write_text(text, encoding="utf-8")
    return text != before


def side_by_side(table: Table, row_name: str, record: Record) -> str:
    """Plain text for the end of a run: every number the paper prints in a row, and ours; ours alone
    where it is of another data set.

    Raises:
      ValueError: the table has no such row.
    """
    row = _row(table, row_name)
    lines = [(name, mean, std, "") for name, mean, std in row.cited]
    if row.paper is not None:
        lines.append(("paper", *row.paper, ""))
    hidden = bool(lines) and not on_named_data(row, record)
    if hidden:
        lines = []
    count = len(record["seeds"])
    note = f"{count} seed{'' if count == 1 else 's'}, {record['dataset']}"
    lines.append((f"ours ({profile_of(record)})", record["mean"], record["std"], note))
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
    if hidden:
        out.append(f"  the paper's numbers are of {row.data}, so none stands beside this one")
    return "\n".join(out) + "\n"


def _row(table: Table, name: str) -> Row:
    row = next((row for row in table.rows if row.name == name), None)
    if row is None:
        raise ValueError(f"table {table.experiment} has no row {name!r}")
    return row


def _belongs(record: Record, table: Table) -> bool:
    return record["experiment"] == table.experiment and record["metric"] == table.metric


def _key_order(key: tuple[str, str, str]) -> tuple[int, str, bool, str]:
    _, profile, overrides = key
    rank = PROFILES.index(profile) if profile in PROFILES else len(PROFILES)
    return rank, profile, overrides != "{}", overrides


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _number(mean: float, std: float | None, decimals: int) -> str:
    spread = "" if std is None else f" ± {std:.{decimals}f}"
    return f"{mean:.{decimals}f}{spread}"


def paper_text(row: Row, table: Table) -> str:
    return "–" if row.paper is None else _number(*row.paper, table.decimals)


def _cited_text(row: Row, table: Table) -> str:
    numbers = [f"{name} {_number(mean, std, table.decimals)}" for name, mean, std in row.cited]
    return f"{row.label}: {', '.join(numbers)}"


def profile_of(record: Record) -> str:
    changes = [f"{name}={_shown(value)}" for name, value in sorted(record["overrides"].items())]
    return ", ".join([record["profile"], *changes])


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def duration(seconds: float) -> str:
    """A time in words: ``9.5 s``, ``12 min 3 s``, ``2 h 19 min``."""
    if seconds < 59.5:
        return f"{seconds:.0f} s" if seconds >= 9.95 else f"{seconds:.1f} s"
    if round(seconds) < 3600:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    hours, minutes = divmod(round(seconds / 60), 60)
    return f"{hours} h {minutes} min"


def _folded(summary: str, lines: Sequence[str]) -> list[str]:
    return [f"<details><summary>{summary}</summary>", "", *lines, "", "</details>"]


def cells(table: Table, row: Row, record: Record) -> list[str]:
    count = len(record["seeds"])
    return [
        row.label,
        profile_of(record),
        paper_text(row, table) if on_named_data(row, record) else "–",
        _number(record["mean"], record["std"], table.decimals),
        str(count),
        f"{record['updates']:,}",
        duration(record["wall_seconds"] / count),
    ]


def _details(table: Table, row: Row, record: Record) -> str:
    extra = record.get("extra") or {}
    shown = [f"{n.replace('_', ' ')} {_mean(extra[n])}" for n in table.shown if n in extra]
    if table.selection in extra and len(record["values"]) > 1:
        lowest = min(zip(extra[table.selection], record["values"]))[1]
        name = table.selection.replace("_", " ")
        chosen = f"of the seed with the lowest {name}, without labels"
        shown.append(f"{_number(lowest, None, table.decimals)} {chosen}")
    commit = record["commit"]
    # A hash is cut to seven digits; the word "unknown" has seven letters.
    commit = commit[:7] + ("+dirty" if record["dirty"] else "")
    facts = [
        record["dataset"],
        *([] if record["epochs"] is None else [f"{record['epochs']:,g} epochs"]),
        record["device"],
        f"{duration(record['wall_seconds'])} in all",
        f"commit {commit}",
    ]
    return f"{row.label}, {profile_of(record)}: {'; '.join([*shown, ', '.join(facts)])}"


def _mean(values: Sequence[float]) -> str:
    mean = statistics.fmean(values)
    return f"{mean:,.0f}" if mean.is_integer() else f"{mean:.4g}"
