"""``make fuzz``: kills, bad values, damaged files, hostile surroundings, and a table of verdicts.

Bounded in number and time, and a function of its seed. What was tried is kept, a line of JSON
each, and not tried again: stopped and started anew it goes on. Exit status 1 if anything went
wrong.

    make fuzz FUZZ="--kills=100 --inputs=500 --minutes=60"
"""

import argparse
import collections
import importlib
import json
import os
import random
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
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


def cases(folder: Path, seed: int) -> Iterator[tuple[str, str, Callable[[Path], Any]]]:
    """(kind, name, what tries it in a directory of its own and returns its verdict), shuffled."""
    truth = fuzzing.unbroken(folder, fuzzing.in_child)
    workdir = folder / f"unbroken-{fuzzing.EPOCHS}-1"
    half = folder / "half"
    fuzzing.in_child(fuzzing.arguments(half, fuzzing.EPOCHS // 2))
    fuzzing.write_data(folder / "data")
    found: list[tuple[str, str, Callable[[Path], Any]]] = []
    for i in range(1000):
        name = f"series {seed}-{i}"
        found.append(("kills", name, lambda f, n=name: fuzzing.kill_series(n, f, truth)))
    for spec, field, bad in fuzzing.values():
        name = f"{spec} {field}={bad}"
        found.append(("values", name, lambda f, a=(spec, field, bad): fuzzing.value_verdict(*a, f)))
    for which, whole in (("finished", workdir), ("half", half)):
        for path, damage in fuzzing.damages(whole):
            found.append(
                (
                    "files",
                    f"{which} {path} {damage}",
                    lambda f, a=(whole, path, damage): fuzzing.damage_verdict(
                        *a, f, truth, fuzzing.in_child
                    ),
                )
            )
    from aae_jax import data

    sha256 = fuzzing.load_data(folder / "data", data)
    for path in sorted((folder / "data").rglob("*")):
        for damage in fuzzing.DAMAGES if path.is_file() else ():
            name = str(path.relative_to(folder / "data"))
            found.append(
                (
                    "data",
                    f"{name} {damage}",
                    lambda f, a=(folder / "data", name, damage): fuzzing.data_verdict(
                        *a, f, sha256
                    ),
                )
            )
    for name in surroundings.SURROUNDINGS:
        found.append(
            ("surroundings", name, lambda f, n=name: surroundings.surroundings_verdict(n, f))
        )
    for size in surroundings.FULL_DISK:
        found.append(
            (
                "surroundings",
                f"disk of {size} MB",
                lambda f, s=size: surroundings.full_disk_verdict(s, f),
            )
        )
    for tenth in range(1, 21, 2):
        found.append(
            (
                "surroundings",
                f"interrupt after {tenth / 10} s",
                lambda f, t=tenth: surroundings.interrupted_import(t / 10, f),
            )
        )
    random.Random(seed).shuffle(found)
    yield from found


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
        # Values come last: they start JAX in this process, which then should not fork.
        rank = {"values": 1}
        all_cases = sorted(cases(folder, options.seed), key=lambda case: rank.get(case[0], 0))
        for kind, name, attempt in all_cases:
            if time.monotonic() > deadline:
                print("out of time: run it again to go on", file=sys.stderr)
                break
            if (kind, name) in known or options.only not in (None, kind):
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
