"""``make fuzz``: kills, bad values, damaged files, hostile surroundings, and a table of verdicts.

Bounded in number and time, and a function of its seed. What was tried is kept, a line of JSON
each, and not tried again: stopped and started anew it goes on. Exit status 1 if anything went
wrong.

    make fuzz FUZZ="--kills=100 --inputs=500 --minutes=60"
"""

import argparse
import collections
import functools
import importlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

os.environ.setdefault("JAX_PLATFORMS", "cpu")
os.environ.setdefault("MPLBACKEND", "agg")
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "")
    + " --xla_backend_optimization_level=0 --xla_llvm_disable_expensive_passes=true"
)

import fuzzing
import surroundings

# What a child shall not have to import.
PRELOADED = ("orbax.checkpoint", "tensorboardX", "matplotlib.pyplot", "sklearn.datasets")
KINDS = ("kills", "values", "files", "data", "surroundings")


Case = tuple[str, str, Callable[[Path], Any]]


def cases(folder: Path, seed: int, kinds: Collection[str]) -> list[Case]:
    """(kind, name, what tries it in a directory of its own and returns its verdict), shuffled."""
    found: list[Case] = []

    def add(kind: str, name: str, attempt: Callable[..., Any], *arguments: Any) -> None:
        found.append((kind, name, functools.partial(attempt, *arguments)))

    if {"kills", "files"} & set(kinds):
        truth = fuzzing.unbroken(folder, fuzzing.in_child)
        half = folder / "half"
        fuzzing.in_child(fuzzing.arguments(half, fuzzing.EPOCHS // 2))
    if "kills" in kinds:
        for i in range(1000):
            name = f"series {seed}-{i}"
            add("kills", name, fuzzing.kill_series, name, truth)
    if "files" in kinds:
        finished = folder / f"unbroken-{fuzzing.EPOCHS}-1"
        for which, whole in (("finished", finished), ("half", half)):
            for path, damage in fuzzing.damages(whole):
                case = (whole, path, damage, truth, fuzzing.in_child)
                add("files", f"{which} {path} {damage}", fuzzing.damage_verdict, *case)
    if "values" in kinds:
        for spec, field, bad in fuzzing.values():
            add("values", f"{spec} {field}={bad}", fuzzing.value_verdict, spec, field, bad)
    if "data" in kinds:
        whole = folder / "data"
        sha256 = fuzzing.write_data(whole)
        for path in sorted(path for path in whole.rglob("*") if path.is_file()):
            name = str(path.relative_to(whole))
            for damage in fuzzing.DAMAGES:
                add("data", f"{name} {damage}", fuzzing.data_verdict, whole, name, damage, sha256)
    if "surroundings" in kinds:
        for name in surroundings.SURROUNDINGS:
            add("surroundings", name, surroundings.surroundings_verdict, name)
        for size in surroundings.FULL_DISK:
            add("surroundings", f"disk of {size} MB", surroundings.full_disk_verdict, size)
        for tenth in range(1, 21, 2):
            name = f"interrupt after {tenth / 10} s"
            add("surroundings", name, surroundings.interrupted_import, tenth / 10)
    random.Random(seed).shuffle(found)
    # Values and data come last: they start JAX in this process, which then should not fork.
    return sorted(found, key=lambda case: case[0] in ("values", "data"))


def table(results: list[dict[str, Any]]) -> str:
    """Tried, well answered and not, a line a kind."""
    lines = [f"{'':14}{'tried':>8}{'good':>8}{'bad':>8}"]
    for kind in KINDS:
        of_kind = [r for r in results if r["kind"] == kind]
        tried = sum(r["tried"] for r in of_kind)
        bad = sum(r["verdict"] != "good" for r in of_kind)
        lines.append(f"{kind:14}{tried:8}{tried - bad:8}{bad:8}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make fuzz")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kills", type=int, default=100, help="at least so many kills")
    parser.add_argument("--inputs", type=int, default=500, help="at most so many values and files")
    parser.add_argument("--minutes", type=float, default=60.0, help="no new case after them")
    parser.add_argument("--only", choices=KINDS, help="one kind of case")
    parser.add_argument("--results", type=Path, help="default: runs/fuzz-SEED.jsonl")
    options = parser.parse_args()
    path = options.results or fuzzing.ROOT / "runs" / f"fuzz-{options.seed}.jsonl"
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text().splitlines() if path.exists() else []
    results = [json.loads(line) for line in lines]
    known = {(r["kind"], r["name"]) for r in results}
    counts: collections.Counter[str] = collections.Counter()
    for result in results:
        counts[result["kind"]] += result["tried"]
    for module in PRELOADED:
        importlib.import_module(module)
    deadline = time.monotonic() + 60 * options.minutes
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        for variable, name in (
            ("AAE_JAX_CACHE_DIR", "cache"),
            ("AAE_JAX_RESULTS_DIR", "results"),
            ("AAE_JAX_RUNS_DIR", "runs"),
        ):
            os.environ[variable] = str(folder / name)
        kinds = (options.only,) if options.only else KINDS
        for kind, name, attempt in cases(folder, options.seed, kinds):
            if time.monotonic() > deadline:
                print("out of time: run it again to go on", file=sys.stderr)
                break
            if (kind, name) in known:
                continue
            if counts[kind] >= {"kills": options.kills}.get(kind, options.inputs):
                continue
            with tempfile.TemporaryDirectory(dir=folder) as own:
                verdict = attempt(Path(own))
            tried, verdict = verdict if isinstance(verdict, tuple) else (1, verdict)
            if verdict.startswith("not tried"):
                continue
            counts[kind] += tried
            results.append({"kind": kind, "name": name, "tried": tried, "verdict": verdict})
            with open(path, "a") as file:
                file.write(json.dumps(results[-1]) + "\n")
            if verdict != "good":
                print(f"{kind}: {name}: {verdict}", flush=True)
    print(table(results))
    return int(any(result["verdict"] != "good" for result in results))


if __name__ == "__main__":
    sys.exit(main())
