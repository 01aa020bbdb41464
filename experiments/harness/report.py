"""``make report``: one folder of static HTML, rendered from ledgers and the runs beside them.

    python -m experiments.harness.report [--to DIR] [DIR ...]

Every paper's tables with ours beside; each row with its curve, pictures, config, record and
command; and for models with a 2-D code a page where the pointer moves in it. Without a DIR it is of
the ledgers in ``results/``, with curves and pictures from ``runs/`` as far as they are there and
from the zoo; of DIRs it is of the ledgers and finished runs in them alone. The folder needs no
server and no network.
"""

import hashlib
import json
import math
import os
import re
import shlex
import shutil
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import aae_jax
from aae_jax import logs, rundir, zoo
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, ledger, manifolds, report_pages, rescore
from experiments.harness.pages import tables
from experiments.harness.report_pages import Page, Picture, Section
from experiments.harness.tables import Row, Table

DEFAULT = Path("report")
_MARK = ".aae_jax_report"
_PICTURES = (".png", ".gif")
_POINTS = 300  # of a curve
_WEB = Path(__file__).parent / "web"

Run = tuple[ledger.Record, Path]


def write(to: Path = DEFAULT, sources: Sequence[Path] = ()) -> Path:
    """Write the report into a folder, which is made anew; returns its first page.

    Raises:
        UserError: there is no record, a ledger or record is broken, or the folder holds something
            else.
    """
    _check_free(to)
    found = list(sources) or _default_runs()
    runs = _runs(found, strict=bool(sources))
    ledgers = list(sources) or [ledger.directory()]
    records = [record for folder in ledgers for record in _of_ledgers(folder)]
    if sources:
        records += [record for record, _ in runs]
    if not records:
        where = ", ".join(map(str, ledgers))
        raise UserError(
            f"{where}: no ledger (*.jsonl) and no finished run there, so there is nothing to "
            "report: name a directory of runs, RUNS=DIR, or train a row first"
        )
    temporary = to.with_name(f".{to.name}.{os.getpid()}")
    shutil.rmtree(temporary, ignore_errors=True)
    try:
        _write(temporary, records, runs, sources)
        shutil.rmtree(to, ignore_errors=True)
        os.replace(temporary, to)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return to / "index.html"


def _check_free(to: Path) -> None:
    rundir.check_usable(to)
    if to.is_dir() and any(to.iterdir()) and not (to / _MARK).exists():
        raise UserError(f"{to} is not empty and holds no report: choose another folder by --to")


def _default_runs() -> list[Path]:
    folder = Path(os.environ.get("AAE_JAX_RUNS_DIR", catalogue.ROOT / "runs"))
    return [folder] if folder.is_dir() else []


def _of_ledgers(folder: Path) -> list[ledger.Record]:
    """The records of all ledgers in a folder, or below it where runs lie."""
    if not folder.is_dir():
        raise UserError(f"{folder} is no directory: name one with ledgers or runs in it")
    return [r for path in sorted(folder.rglob("*.jsonl")) if path.name != rundir.LOG
            for r in ledger.read(path)]  # fmt: skip


def _runs(folders: Iterable[Path], strict: bool) -> list[Run]:
    """Finished runs in folders, by their records; broken ones are refused where ``strict``, or left
    out with a notice."""
    found = []
    for folder in folders:
        if not folder.is_dir():
            raise UserError(f"{folder} is no directory: name one with ledgers or runs in it")
        for path in sorted(folder.rglob("record.json")):
            try:
                record = rundir.load_json(path)
                if missing := [key for key in ledger.KEYS if key not in record]:
                    raise ValueError(f"it has no '{missing[0]}'")
            except ValueError as error:
                if strict:
                    raise UserError(
                        f"{path} is no record ({error}): run its command again, or move it away"
                    ) from None
                print(f"{path} is left out: {error}", file=sys.stderr)
                continue
            found.append((record, path.parent))
    return found


def _write(
    to: Path, records: list[ledger.Record], runs: list[Run], sources: Sequence[Path]
) -> None:
    for folder in ("rows", "images", "manifolds", "notes"):
        (to / folder).mkdir(parents=True)
    (to / _MARK).write_text(aae_jax.__version__ + "\n")
    for name in ("report.css", "report.js"):
        shutil.copy(_WEB / name, to / name)
    directories = {_identity(record): directory for record, directory in runs}
    models = {_identity(zoo.about(name)["record"]): name for name in zoo.names()}
    sections = _sections(to, records, directories, models, with_docs=not sources)
    for section in sections:
        for _, pages in section.rows:
            for page in pages:
                (to / f"rows/{page.name}.html").write_text(report_pages.row_page(page))
    others = [] if sources else [_zoo(to, models), *_notes(to)]
    where = ", ".join(str(source) for source in sources) or "the ledgers in results/"
    text = report_pages.index(sections, others, f"Rendered from {where}.")
    (to / "index.html").write_text(text)


def _identity(record: ledger.Record) -> tuple[str, ...]:
    overrides = json.dumps(record["overrides"], sort_keys=True)
    return (record["experiment"], record["row"], record["profile"], overrides,
            *record["params_sha256"])  # fmt: skip


def _sections(
    to: Path,
    records: list[ledger.Record],
    directories: dict[tuple[str, ...], Path],
    models: dict[tuple[str, ...], str],
    with_docs: bool,
) -> list[Section]:
    """All tables, with a page for the latest record of each row, profile and overrides; without
    the docs only those of which there is a record."""
    known = {(table.experiment, table.metric): table for table in tables()}
    places = re.findall(r"<!-- table:(\w+) -->", (catalogue.ROOT / "docs/results.md").read_text())
    known = dict(sorted(known.items(), key=lambda item: (places + [item[0][0]]).index(item[0][0])))
    by_table: dict[tuple[str, str], list[ledger.Record]] = {key: [] for key in known}
    for record in records:
        by_table.setdefault((record["experiment"], record["metric"]), []).append(record)
    pictures = _docs_pictures(to) if with_docs else {}
    sections = []
    for key, own in by_table.items():
        table = known.get(key) or Table(key[0], key[0], key[1], ())
        names = {row.name for row in table.rows}
        strangers = dict.fromkeys(r["row"] for r in own if r["row"] not in names)
        rows = [*table.rows, *(Row(name, name, data="") for name in strangers)]
        latest = ledger.latest(own)
        found = []
        for row in rows:
            mine = [record for (name, *_), record in latest.items() if name == row.name]
            pages = tuple(_page(to, table, row, r, directories, models) for r in mine)
            if pages or with_docs:
                found.append((row, pages))
        if found:
            experiment = table.experiment
            paper, own_pictures = _paper(experiment), tuple(pictures.get(experiment, ()))
            sections.append(Section(paper, table, tuple(found), own_pictures, with_docs))
    return sections


def _paper(experiment: str) -> str:
    """The paper of an experiment, as the docstring of its folder has it."""
    if experiment not in catalogue.names():
        return "Other records"
    package = sys.modules[catalogue.module(experiment).__name__.rpartition(".")[0]]
    return re.split(r"[:.,]", package.__doc__ or experiment)[0].removesuffix(" (Makhzani et al")


def _page(
    to: Path,
    table: Table,
    row: Row,
    record: ledger.Record,
    directories: dict[tuple[str, ...], Path],
    models: dict[tuple[str, ...], str],
) -> Page:
    identity = _identity(record)
    name = "-".join(re.sub(r"\W", "_", part) for part in identity[:3])
    if record["overrides"]:
        name += f"-{hashlib.sha256(identity[3].encode()).hexdigest()[:8]}"
    directory, model = directories.get(identity), models.get(identity, "")
    curves: dict[str, dict[str, list[list[float]]]] = {}
    if directory is not None:
        curves = _curves(record, directory)
    elif model:
        curves = zoo.about(model)["curves"]
    return Page(
        name,
        table,
        row,
        record,
        curves,
        () if directory is None else tuple(_run_pictures(to, directory, name)),
        command(record),
        _manifold(to, record, directory, model, name, row.label),
        model,
    )


def command(record: ledger.Record) -> str:
    """What trains a record's run, as it was."""
    overrides = {key: value for key, value in record["overrides"].items() if key != "train.seeds"}
    changes = " ".join(
        f"--config.{key}={shlex.quote(_argument(value))}" for key, value in overrides.items()
    )
    arguments = f" ARGS={shlex.quote(changes)}" if changes else ""
    experiment, seeds = record["experiment"], len(record["seeds"])
    if experiment not in catalogue.names():
        return f"# {experiment} has no target: its config, below, says what it was"
    return (
        f"make reproduce-{catalogue.target(experiment)} PROFILE={record['profile']} "
        f"ROWS={record['row']} SEEDS={seeds}{arguments}"
    )


def _argument(value: Any) -> str:
    if isinstance(value, list):
        return "(" + "".join(f"{_argument(item)}," for item in value) + ")"
    return str(value)


def _curves(record: ledger.Record, directory: Path) -> dict[str, Any]:
    """What was followed, the record's metric first, thinned out: {metric: {seed: [[step, y]]}}."""
    found: dict[str, dict[str, list[list[float]]]] = {record["metric"]: {}}
    for seed in record["seeds"]:
        for entry in logs.read(rundir.seed_directory(directory, seed) / rundir.LOG):
            for name, value in entry.items():
                if name not in ("step", "epoch", "seed") and math.isfinite(value):
                    own = found.setdefault(name, {}).setdefault(str(seed), [])
                    own.append([entry["step"], float(f"{value:.6g}")])
    return {
        name: {seed: _thinned(points) for seed, points in of_seed.items()}
        for name, of_seed in found.items()
        if of_seed
    }


def _thinned(points: list[list[float]]) -> list[list[float]]:
    every = math.ceil(len(points) / _POINTS)
    return points[::-1][::every][::-1]


def curves_of_evaluators(record: ledger.Record, directory: Path) -> dict[str, Any]:
    """The same, of the record's own metrics alone."""
    names = {record["metric"], *(record.get("extra") or {})}
    return {name: of for name, of in _curves(record, directory).items() if name in names}


def _run_pictures(to: Path, directory: Path, name: str) -> Iterable[Picture]:
    for path in sorted(directory.iterdir()):
        if path.suffix in _PICTURES and path.is_file():
            copy = f"images/{name}-{path.name}"
            shutil.copy(path, to / copy)
            yield Picture(copy, path.stem.replace("_", " "))


def _docs_pictures(to: Path) -> dict[str, list[Picture]]:
    """The pictures that stand below each table in docs/results.md, by experiment."""
    text = (catalogue.ROOT / "docs/results.md").read_text()
    found: dict[str, list[Picture]] = {}
    for match in re.finditer(r"<!-- /table:(\w+) -->(.*?)(?=<!-- table:|\n#|\Z)", text, re.DOTALL):
        for alt, file in re.findall(r"!\[([^\]]*)\]\(images/([^)]+)\)", match[2]):
            shutil.copy(catalogue.ROOT / "docs/images" / file, to / "images" / file)
            found.setdefault(match[1], []).append(Picture(f"images/{file}", alt))
    return found


def _zoo(to: Path, models: dict[tuple[str, ...], str]) -> tuple[str, str]:
    """The page of the zoo, and the manifolds of its models that no row has: (file, title)."""
    shown = []
    for identity, name in models.items():
        about = zoo.about(name)
        page = "-".join(re.sub(r"\W", "_", part) for part in identity[:3])
        if not (to / f"manifolds/{page}.html").exists():
            page = _manifold(to, about["record"], None, name, f"zoo-{page}", name)
        shown.append((name, about, (zoo.WEIGHTS / f"{name}.npz").stat().st_size, page))
    (to / "zoo.html").write_text(report_pages.zoo_page(shown))
    return "zoo.html", "The zoo"


def _notes(to: Path) -> list[tuple[str, str]]:
    """The notes of what was tried, as pages: (file, title)."""
    found = []
    for path in sorted((catalogue.ROOT / "docs/notes").glob("*.md")):
        text = path.read_text()
        title = re.search(r"^# (.*)$", text, re.MULTILINE)
        name = title[1] if title else path.stem
        for file in re.findall(r"\]\((?:\.\./)?images/([^)]+)\)", text):
            shutil.copy(catalogue.ROOT / "docs/images" / file, to / "images" / file)
        (to / f"notes/{path.stem}.html").write_text(report_pages.notes_page(name, text))
        found.append((f"notes/{path.stem}.html", name))
    return found


def _manifold(
    to: Path, record: ledger.Record, directory: Path | None, model: str, name: str, label: str
) -> str:
    """The manifold's page of a row whose decoder has 2-D codes, "" where there is none."""
    if record["experiment"] not in catalogue.names() or (directory is None and not model):
        return ""
    try:
        method, state = aae_jax.load(model or str(directory), None if model else record["seeds"][0])
        config = rescore.config_of(record)
    except UserError as error:
        print(f"{label}: no manifold, {error}", file=sys.stderr)
        return ""
    if model:
        described = zoo.about(model)["model"]
    else:
        assert directory is not None
        described = rundir.load_json(directory / rundir.MODEL)
    shape = tuple(described["spec"]["image_shape"])
    labels = manifolds.plane_of(method, state, shape)
    if labels is None:
        return ""
    found = manifolds.manifold(method, state, config, labels)
    sprites = manifolds.save(found, to / "manifolds", name)
    points = [[round(x, 3), round(y, 3), int(k)] for x, y, k in found.points.tolist()]
    text = report_pages.manifold_page(
        f"{label}: the manifold of its 2-D code", found.limit, manifolds.SIDE, sprites, points
    )
    (to / f"manifolds/{name}.html").write_text(text)
    return name


def main(arguments: Sequence[str]) -> None:
    parser = cli.Parser(prog="report", description=__doc__)
    parser.add_argument("sources", nargs="*", type=Path, metavar="DIR")
    parser.add_argument("--to", type=Path, default=DEFAULT)
    given = parser.parse_args(arguments)
    print(write(given.to, given.sources))


if __name__ == "__main__":
    cli.run_main(lambda: main(sys.argv[1:]))
