"""``make collect FROM=...``: the records of runs elsewhere, into the ledgers of this checkout.

    python -m experiments.harness.collect runs/ /mnt/node3/results

Ledgers (``*.jsonl``) are looked for below the directories named. Taken are the records of papers'
rows as configured, of each ledger the latest; groups of seeds that ran apart are joined into one
record once all are there. Either all are taken or, where one is in doubt, none.
"""

import collections
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, ledger, workdir
from experiments.harness.ledger import Record
from experiments.harness.runner import is_row

# In which seeds of one row ran: all else is the same in every group.
_GROUP = {"train.seeds", "train.first_seed"}


def found(places: Sequence[Path]) -> list[tuple[Path, Record]]:
    """The records of our experiments below directories, or in ledgers, with the file of each.

    Raises:
        UserError: a place that there is not, without a ledger, or a line that is no record.
    """
    known = set(catalogue.names())
    records = []
    for place in places:
        if not place.exists():
            raise UserError(f"{place} is not there: name a directory of runs or of ledgers")
        files = sorted(place.rglob("*.jsonl")) if place.is_dir() else [place]
        ledgers = [file for file in files if file.stem in known]
        if not ledgers:
            raise UserError(f"{place} holds no ledger: runs write one, named after the experiment")
        for file in ledgers:
            records += [(file, record) for record in ledger.latest(ledger.read(file)).values()]
    return records


def rows_among(records: Sequence[tuple[Path, Record]]) -> list[tuple[Path, Record]]:
    """Those that are of a row as configured, at its data, but for which of its seeds ran.

    Raises:
        UserError: one of them is of code that differed from its commit.
    """
    rows = []
    for file, record in records:
        of_table = {row.name: row for row in catalogue.module(record["experiment"]).TABLE.rows}
        as_configured = record | {
            "overrides": {k: v for k, v in record["overrides"].items() if k not in _GROUP}
        }
        row = of_table.get(record["row"])
        if row is None or not is_row(row, as_configured):
            continue
        if record["dirty"] is not False:
            raise UserError(
                f"{file}: the record of {_name(record)} is dirty, its code was no commit: run it "
                "again from a clean checkout, or remove the line"
            )
        rows.append((file, record))
    return rows


def joined(records: Sequence[tuple[Path, Record]]) -> tuple[list[Record], list[str]]:
    """The records, groups of one row's seeds as one record of all of them; and a line for each row
    of which seeds are missing.

    Raises:
        UserError: two different records of one row, a seed that ran twice with different results,
            or groups that differ in more than their seeds.
    """
    groups: dict[tuple[str, str, str], list[tuple[Path, Record]]] = collections.defaultdict(list)
    whole = []
    for file, record in records:
        key = record["experiment"], record["row"], record["profile"]
        if record["overrides"]:
            groups[key].append((file, record))
        else:
            whole.append((key, file, record))
    of_rows: dict[tuple[str, str, str], Record] = {}
    incomplete = []
    for key, parts in groups.items():
        of_seed = _by_seed(parts)
        missing = [seed for seed in _configured(key) if seed not in of_seed]
        if missing:
            lacking = f"seed{'s' if len(missing) > 1 else ''} {', '.join(map(str, missing))}"
            incomplete.append(f"{_name(parts[0][1])}: not taken, it lacks {lacking}")
        else:
            of_rows[key] = _of_all([of_seed[seed] for seed in _configured(key)])
    for key, file, record in whole:
        other = of_rows.setdefault(key, record)
        if not ledger.same_result(other, record):
            raise UserError(
                f"{file}: there are two different records of {_name(record)}: remove one of them"
            )
    return list(of_rows.values()), incomplete


def _configured(key: tuple[str, str, str]) -> range:
    """The seeds that a row is configured to have."""
    experiment, row, profile = key
    config, _ = cli.load_config(f"{catalogue.config_file(experiment)}:{row},{profile}")
    return range(config.train.first_seed, config.train.first_seed + config.train.seeds)


def _by_seed(parts: list[tuple[Path, Record]]) -> dict[int, tuple[Record, int]]:
    """Where each seed lies, as (record, place)."""
    of_seed: dict[int, tuple[Record, int]] = {}
    first_file, first = parts[0]
    for file, part in parts:
        for name in ("commit", "dataset_sha256", "updates", "selection", "versions", "metric"):
            if part[name] != first[name]:
                raise UserError(
                    f"{file}: {_name(part)} differs from {first_file} in its {name}: run both "
                    "from one commit, on the same data and versions"
                )
        if changed := _changes(first["config"], part["config"]):
            raise UserError(
                f"{file}: {_name(part)} differs from {first_file} in config.{changed}: run both "
                "with the same settings"
            )
        if set(part.get("extra") or ()) != set(first.get("extra") or ()):
            raise UserError(
                f"{file}: {_name(part)} and {first_file} measured different things: "
                "run both again, which repeats the measurement alone"
            )
        for i, seed in enumerate(part["seeds"]):
            other, j = of_seed.setdefault(seed, (part, i))
            if other["params_sha256"][j] != part["params_sha256"][i]:
                raise UserError(
                    f"{file}: seed {seed} of {_name(part)} ran twice, with different results: "
                    "remove one of the records"
                )
    return of_seed


def _of_all(parts: list[tuple[Record, int]]) -> Record:
    """One record of all seeds of a row, which lie in several, as (record, place)."""
    records = {id(record): record for record, _ in parts}.values()
    first = parts[0][0]
    values = [record["values"][i] for record, i in parts]
    record = first | {
        "seeds": [record["seeds"][i] for record, i in parts],
        "values": values,
        "mean": statistics.fmean(values),
        "std": statistics.stdev(values) if len(values) > 1 else None,
        "config": first["config"]
        | {
            "train": first["config"]["train"]
            | {"seeds": len(parts), "first_seed": parts[0][0]["seeds"][parts[0][1]]}
        },
        "overrides": {},
        "device": "; ".join(dict.fromkeys(record["device"] for record in records)),
        "wall_seconds": sum(record["wall_seconds"] for record in records),
        "params_sha256": [record["params_sha256"][i] for record, i in parts],
    }
    if "extra" in first:
        names = first["extra"]
        record["extra"] = {name: [part["extra"][name][i] for part, i in parts] for name in names}
    return record


def _changes(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first field in which two configs differ, but for which seeds; "" if they do not."""
    here, there = dict(workdir.fields(one)), dict(workdir.fields(other))
    for name in sorted((here.keys() | there.keys()) - _GROUP):
        if here.get(name) != there.get(name):
            return name
    return ""


def _name(record: Record) -> str:
    return f"{record['experiment']} {record['row']} ({record['profile']})"


def main(argv: list[str] | None = None) -> None:
    parser = cli.Parser(prog="python -m experiments.harness.collect")
    parser.add_argument("places", nargs="*", type=Path, help="directories of runs, or ledgers")
    places = parser.parse_args(argv).places
    if not places:
        raise UserError('collect from where? make collect FROM="runs /mnt/node3/results"')
    records = found(places)
    rows = rows_among(records)
    new, incomplete = joined(rows)
    for record in new:
        ledger.check(ledger.directory(), record["experiment"])
    for record in new:
        appended = ledger.append(record, ledger.directory())
        print(f"{_name(record)}: {'taken' if appended else 'there already'}")
    for line in incomplete:
        print(line)
    if left := len(records) - len(rows):
        print(f"left out: {left} of smoke, overrides or other data")


if __name__ == "__main__":
    cli.run_main(main)
