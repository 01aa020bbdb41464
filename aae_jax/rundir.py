"""What lies in a run's directory, and how it is written: one directory per seed, model.json."""

import contextlib
import fcntl
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_collections

from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec

MODEL = "model.json"
RESULT = "result.json"


def seed_directory(workdir: Path, seed: int) -> Path:
    """``<workdir>/seed_<seed>``, which holds ``checkpoints/``, ``metrics.jsonl``, ``tensorboard/``
    and, at the end, ``result.json``, however the seeds are dispatched."""
    return workdir / f"seed_{seed}"


def seed_of(directory: Path) -> int | None:
    """The seed that a directory is named after, if it is one of ``seed_directory``."""
    match = re.fullmatch(r"seed_(-?\d+)", directory.name)
    return int(match[1]) if match else None


def seeds_in(workdir: Path) -> list[int]:
    """The seeds that have a directory in a run's."""
    found = (seed_of(item) for item in workdir.iterdir() if item.is_dir())
    return sorted(seed for seed in found if seed is not None)


def write_json(path: Path, value: Any) -> None:
    """Write a JSON file so that a reader sees all of it or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        json.dump(value, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def read_json(path: Path) -> Any:
    """The content of a JSON file, None if there is none or it cannot be read."""
    try:
        return json.loads(path.read_text())
    except (OSError, ValueError):
        return None


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its process, however that ends.

    Raises:
        UserError: if another process holds it.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    with open(workdir / ".lock", "w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            raise UserError(
                f"another process is training in {workdir}: wait for it, or choose another "
                "--workdir"
            ) from None
        yield


def write_model(
    workdir: Path, config: ml_collections.ConfigDict, spec: DataSpec, own: tuple[str, ...]
) -> None:
    """Write down what a run's method is built from, so that it can be built without the data.

    Args:
        workdir: the run's directory.
        config: its ``method`` and ``model``, where they are there, name and set the method.
        spec: what it was built with.
        own: names of the parts of one's own in it, which cannot be written down.
    """
    model = config.get("model", ml_collections.ConfigDict())
    described = {
        "method": config.get("method"),
        "model": json.loads(model.to_json_best_effort()),
        "spec": spec._asdict(),
        "own": own,
    }
    write_json(workdir / MODEL, described)


def updates_of(workdir: Path) -> int | None:
    """The length of the run that ``workdir`` was last trained for, None if nothing says so."""
    spec = (read_json(workdir / MODEL) or {}).get("spec", {})
    lengths = spec.get("updates_per_epoch"), spec.get("epochs")
    return None if None in lengths else lengths[0] * lengths[1]
