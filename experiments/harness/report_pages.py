"""The pages of the report as HTML text: what stands on them, nothing of where it comes from."""

import html
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from experiments.harness import ledger
from experiments.harness.tables import (
    Row,
    Table,
    cells,
    duration,
    on_named_data,
    paper_text,
    profile_of,
)

Curves = Mapping[str, Mapping[str, Sequence[Sequence[float]]]]  # by metric, then by seed: (step, y)

_COLUMNS = ("row", "profile", "paper", "ours", "seeds", "updates", "time per seed")

_NUMBER = dict.fromkeys(("paper", "ours"), ' class="number"')


class Picture(NamedTuple):
    """A file of the report, from its root, and what it shows."""

    path: str
    caption: str


class Page(NamedTuple):
    """What is shown of one record.

    Attributes:
        name: of its file, without ``.html``.
        table, row: where it belongs.
        record: the record.
        curves: what was followed in training; empty where nothing is known.
        pictures: of its run.
        command: what trains it.
        manifold: the name of its manifold's page; "" without one.
        zoo: the name by which ``aae_jax.load`` knows its model; "" if it does not.
    """

    name: str
    table: Table
    row: Row
    record: ledger.Record
    curves: Curves
    pictures: tuple[Picture, ...]
    command: str
    manifold: str = ""
    zoo: str = ""


class Section(NamedTuple):
    """A paper's table: for each of its rows the pages of its records, perhaps none; where it is
    ``complete``, rows that were not run as configured say so."""

    paper: str
    table: Table
    rows: tuple[tuple[Row, tuple[Page, ...]], ...]
    pictures: tuple[Picture, ...]
    complete: bool


def escape(text: Any) -> str:
    return html.escape(str(text), quote=True)


def document(title: str, body: str, up: str = "") -> str:
    """A whole page; ``up`` leads from it to the report's root."""
    home = f'<nav><a href="{up}index.html">All tables</a></nav>' if up else ""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n"
        f'<link rel="icon" href="data:,">\n<link rel="stylesheet" href="{up}report.css">\n'
        f"</head>\n<body>\n{home}\n{body}\n"
        f'<script src="{up}report.js"></script>\n</body>\n</html>\n'
    )


def index(sections: Sequence[Section], others: Sequence[tuple[str, str]], source: str) -> str:
    """The first page: all tables, filterable.

    Args:
        sections: the tables, those of a paper together.
        others: (file, title) of further pages.
        source: where the records are from, in words.
    """
    papers = list(dict.fromkeys(section.paper for section in sections))
    pages = [page for section in sections for _, found in section.rows for page in found]
    profiles = sorted({page.record["profile"] for page in pages})
    body = [
        "<h1>aae_jax: the papers’ numbers, and ours</h1>",
        f"<p>{escape(source)} A row’s name leads to its curve, pictures, config, record and "
        "command. ± is the standard deviation over seeds; the number is that of the last step, of "
        "the latest run, never the best.</p>",
        "<nav>" + " ".join(f'<a href="{f}">{escape(t)}</a>' for f, t in others) + "</nav>",
        '<div class="controls">',
        '<input type="search" id="search" placeholder="Filter rows, such as: mnist 100" '
        'aria-label="Filter rows">',
        _choice("paper", "all papers", papers),
        _choice("profile", "all profiles", profiles),
        _choice("run", "run or not", ["run", "not run"]),
        '<small id="count"></small>',
        "</div>",
    ]
    for paper in papers:
        body.append(f'<h2 data-heading="{escape(paper)}">{escape(paper)}</h2>')
        body += [_section(section) for section in sections if section.paper == paper]
    return document("aae_jax: report", "\n".join(body))


def _choice(name: str, everything: str, values: Iterable[str]) -> str:
    options = "".join(f"<option>{escape(value)}</option>" for value in values)
    return (
        f'<select data-filter="{name}" aria-label="{name}"><option value="">{everything}</option>'
        f"{options}</select>"
    )


def _section(section: Section) -> str:
    table = section.table
    lines = []
    for row, pages in section.rows:
        if section.complete and not any(not page.record["overrides"] for page in pages):
            empty = {"row": escape(row.label), "paper": paper_text(row, table), "ours": "not run"}
            lines.append(_line([empty.get(column, "–") for column in _COLUMNS], "", "not run"))
        for page in pages:
            shown = [escape(cell) for cell in cells(table, row, page.record)]
            shown[0] = f'<a href="rows/{page.name}.html">{shown[0]}</a>'
            if page.manifold:
                shown[0] += f' <small><a href="manifolds/{page.manifold}.html">manifold</a></small>'
            lines.append(_line(shown, page.record["profile"], "run"))
    head = "".join(f"<th>{column}</th>" for column in _COLUMNS)
    notes = [f"<li>{escape(r.label)}: {escape(r.note)}</li>" for r, _ in section.rows if r.note]
    below = f"<ul>{''.join(notes)}</ul>" if notes else ""
    if section.pictures:
        below += f"<details><summary>Pictures</summary>{figures(section.pictures)}</details>"
    return (
        f'<section data-table="{table.experiment}" data-paper="{escape(section.paper)}" '
        f'data-text="{escape(f"{section.paper} {table.title} {table.metric}")}">'
        f"<h3>{escape(table.title)} <code>{escape(table.metric)}</code></h3>"
        f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
        f"{below}</section>"
    )


def _line(shown: Sequence[str], profile: str, run: str) -> str:
    inside = "".join(
        f'<td data-label="{column}"{_NUMBER.get(column, "")}>{cell}</td>'
        for column, cell in zip(_COLUMNS, shown)
    )
    return f'<tr data-profile="{escape(profile)}" data-run="{run}">{inside}</tr>'


def figures(pictures: Sequence[Picture], up: str = "") -> str:
    return "".join(
        f'<figure><img src="{up}{escape(p.path)}" alt="{escape(p.caption)}" loading="lazy">'
        f"<figcaption>{escape(p.caption)}</figcaption></figure>"
        for p in pictures
    )


def row_page(page: Page) -> str:
    """The page of one record."""
    table, row, record = page.table, page.row, page.record
    shown = dict(zip(_COLUMNS, cells(table, row, record)))
    body = [
        f"<h1>{escape(row.label)}</h1>",
        f"<p>{escape(table.title)}, <code>{escape(table.metric)}</code>, profile "
        f"{escape(profile_of(record))}</p>",
        '<table class="rows"><thead><tr><th>whose</th><th>number</th></tr></thead><tbody>',
        _pair("ours", shown["ours"]),
        _pair("paper", shown["paper"]),
    ]
    if on_named_data(row, record):
        only = Row("", "", None)
        for name, mean, std in row.cited:
            number = paper_text(only._replace(paper=(mean, std)), table)
            body.append(_pair(f"{name}, as the paper prints it", number))
    body.append("</tbody></table>")
    if not on_named_data(row, record):
        body.append(
            f"<p>The paper’s numbers are of {row.data}, so none stands beside this one.</p>"
        )
    if row.note:
        body.append(f"<p>{escape(row.note)}</p>")
    if page.manifold:
        body.append(
            f'<p><a href="../manifolds/{page.manifold}.html">Move through its 2-D code</a></p>'
        )
    body += ["<h2>Curve</h2>", _chart(page), "<h2>Pictures</h2>"]
    body.append(
        figures(page.pictures, "../") or "<p class=soft>The run’s directory is not here.</p>"
    )
    commit = record["commit"]
    body += [
        "<h2>Command</h2>",
        f"<pre>{escape(page.command)}</pre>",
        f"<p>It ran at commit <code>{escape(commit)}</code>"
        f"{' with changes' if record['dirty'] else ''}.</p>",
    ]
    if page.zoo:
        code = f'method, state = aae_jax.load("{page.zoo}")'
        body.append(f"<p>Its model is in the zoo:</p><pre>{escape(code)}</pre>")
    body += ["<h2>Record</h2>", _record_table(record), "<h2>Config</h2>"]
    config = json.dumps(record["config"], indent=2, ensure_ascii=False)
    body.append(f"<details><summary>All fields</summary><pre>{escape(config)}</pre></details>")
    return document(f"{row.label}: {table.title}", "\n".join(body), up="../")


def _pair(name: str, value: str) -> str:
    return (
        f'<tr><td data-label="whose">{escape(name)}</td>'
        f'<td data-label="number" class="number">{escape(value)}</td></tr>'
    )


def _record_table(record: ledger.Record) -> str:
    metrics = {record["metric"]: record["values"], **(record.get("extra") or {})}
    head = "".join(f"<th>seed {seed}</th>" for seed in record["seeds"])
    lines = [
        f"<tr><td>{escape(name)}</td>{''.join(f'<td>{value:.6g}</td>' for value in values)}</tr>"
        for name, values in metrics.items()
    ]
    facts = {
        "data set": record["dataset"],
        "its SHA-256": record["dataset_sha256"],
        "updates": f"{record['updates']:,}",
        "epochs": record["epochs"],
        "selection": record["selection"],
        "time, all seeds": duration(record["wall_seconds"]),
        "device": record["device"],
        "versions": ", ".join(f"{name} {v}" for name, v in record["versions"].items() if v),
        "overrides": json.dumps(record["overrides"], ensure_ascii=False),
        "SHA-256 of the parameters": ", ".join(record["params_sha256"]),
    }
    said = "".join(f"<tr><td>{k}</td><td>{escape(v)}</td></tr>" for k, v in facts.items())
    return (
        f'<div class="wide"><table><thead><tr><th></th>{head}</tr></thead>'
        f"<tbody>{''.join(lines)}</tbody></table></div>"
        f"<details><summary>Data, device, versions, checksums</summary>"
        f'<table class="facts"><tbody>{said}</tbody></table></details>'
    )


def _chart(page: Page) -> str:
    if not page.curves:
        return "<p class=soft>No log of its training is here.</p>"
    record = page.record
    paper = page.row.paper if on_named_data(page.row, record) else None
    data = {
        "series": page.curves,
        "metric": record["metric"],
        "paper": None if paper is None else paper[0],
    }
    options = "".join(f"<option>{escape(name)}</option>" for name in page.curves)
    return (
        f'<div class="chart"><div class="controls" style="position: static"><select '
        f'aria-label="metric">{options}</select>'
        '<label><input type="checkbox"> logarithmic</label></div>'
        f'<svg role="img" aria-label="curve"></svg><p class="legend"></p>{_json(data)}</div>'
    )


def manifold_page(
    title: str, limit: float, side: int, sprites: Sequence[str], points: Sequence[Sequence[float]]
) -> str:
    """A plane of 2-D codes and the decoder's answer where the pointer is."""
    data = {"limit": limit, "side": side, "sprites": list(sprites), "points": points}
    label = ""
    if len(sprites) > 1:
        options = "".join(f"<option>{k}</option>" for k in range(len(sprites)))
        label = f"<label>label <select>{options}</select></label>"
    dots = (
        "Dots are the codes of test images, a colour a class."
        if points
        else "The data is not here, so no codes of test images are shown."
    )
    body = (
        f"<h1>{escape(title)}</h1><p>Move the pointer over the code’s plane: the picture is "
        f"what the decoder makes of the nearest of {side} × {side} codes. {dots}</p>"
        f'<div class="manifold"><div class="plane"><svg></svg></div><div>{label}'
        '<div class="answer" role="img" aria-label="what the decoder makes of this code"></div>'
        f'<p class="said"></p></div>{_json(data)}</div>'
    )
    return document(title, body, up="../")


def zoo_page(models: Sequence[tuple[str, dict[str, Any], int, str]]) -> str:
    """The zoo: (name, what it says of itself, bytes, the page of its manifold or "")."""
    columns = ("model", "metric", "score", "recorded", "kept as", "size")
    lines = []
    for name, about, size, page in models:
        record = about["record"]
        recorded = record["values"][record["seeds"].index(about["seed"])]
        first = f"<code>{escape(name)}</code>"
        if page:
            first += f' <a href="manifolds/{page}.html">manifold</a>'
        form = about["form"] + (", without adversaries" if about["without"] else "")
        shown = (first, f"{about['metric']}, {record['dataset']}", f"{about['score']:.4g}",
                 f"{recorded:.4g}", form, f"{size / 1e6:.2f} MB")  # fmt: skip
        cells_of = (f'<td data-label="{c}">{v}</td>' for c, v in zip(columns, shown))
        lines.append(f"<tr>{''.join(cells_of)}</tr>")
    head = "".join(f"<th>{column}</th>" for column in columns)
    body = (
        "<h1>The zoo</h1><p>Models in the package, without data or training: "
        '<code>method, state = aae_jax.load("…")</code>. The score is that of the file, measured '
        "when it was made, beside what the run had recorded of the same seed.</p>"
        f'<table class="rows"><thead><tr>{head}</tr></thead><tbody>{"".join(lines)}</tbody></table>'
    )
    return document("The zoo", f'<nav><a href="index.html">All tables</a></nav>{body}')


def _json(data: Any) -> str:
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("</", "<\\/")
    return f'<script type="application/json">{text}</script>'


def notes_page(title: str, markdown: str) -> str:
    """A page of Markdown; pictures of ``docs/images`` are the report's, other links lose their
    goal."""
    from markdown_it import MarkdownIt  # which only the report needs

    text = re.sub(r"\]\((?:\.\./)?images/", "](../images/", markdown)
    text = re.sub(r"(?<!!)\[([^\]]+)\]\((?!https?:)[^)]*\)", r"\1", text)
    rendered = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    rendered = rendered.replace("<table>", '<div class="wide"><table>')
    return document(title, rendered.replace("</table>", "</table></div>"), up="../")
