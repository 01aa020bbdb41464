"""What lies in a run's directory, and how it is written: one directory per seed, model.json."""

import contextlib
import fcntl
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ml_collections

from aae_jax.errors import UserError
from aae_jax.methods.common import DataSpec

MODEL = "model.json"
RESULT = "result.json"
LOG = "metrics.jsonl"
# What each name is in a run's directory, and in that of a seed.
_FILES = (".lock", "run.json", "record.json", MODEL), (RESULT, LOG)
_FOLDERS = ("checkpoints", "tensorboard", "unreadable")


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


def usable(name: str | Path) -> Path:
    """A directory to work in, by its name, which may begin with ``~``.

    Raises:
        UserError: as ``check_usable``, for no name, or the home of a user that there is not.
    """
    if not str(name):
        raise UserError("--workdir needs a value: write --workdir=DIR, the directory of this run")
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise UserError(f"--workdir={name}: there is no such user's home") from None
    check_usable(path)
    return path


def check_usable(path: Path) -> None:
    """Refuse a directory that cannot be made or written to. Nothing is made here.

    Raises:
        UserError: naming what stands in its way.
    """
    try:
        if path.is_dir():
            if not os.access(path, os.R_OK | os.W_OK | os.X_OK):
                raise UserError(f"{path} cannot be written to: choose another --workdir")
            return
        if os.path.lexists(path):
            raise UserError(f"{path} is not a directory: choose another --workdir")
        above = next(p for p in path.absolute().parents if os.path.lexists(p))
        if not above.is_dir() or not os.access(above, os.W_OK | os.X_OK):
            why = "cannot be written to" if above.is_dir() else "is not a directory"
            raise UserError(f"{path} cannot be made, {above} {why}: choose another --workdir")
        longest = max(len(os.fsencode(part)) for part in path.parts)
        if longest > os.pathconf(above, "PC_NAME_MAX"):
            raise UserError(f"{path} has too long a name: choose another --workdir")
    except (OSError, ValueError) as error:
        if isinstance(error, UserError):
            raise
        reason = getattr(error, "strerror", None) or error
        raise UserError(f"{path} cannot be used ({reason}): choose another --workdir") from None


def check_contents(workdir: Path) -> None:
    """Refuse a run's directory in which something else has the name of one of our files.

    Raises:
        UserError: naming what is no file, no directory or not readable.
    """
    seeds = [workdir / f"seed_{seed}" for seed in seeds_in(workdir)] if workdir.is_dir() else []
    files = [workdir / name for name in _FILES[0]]
    files += [seed / name for seed in seeds for name in _FILES[1]]
    folders = [seed / name for seed in seeds for name in _FOLDERS]
    if workdir.is_dir():
        folders += [item for item in workdir.iterdir() if seed_of(item) is not None]
    for paths, is_kind, kind in (
        (files, Path.is_file, "file"),
        (folders, Path.is_dir, "directory"),
    ):
        for path in paths:
            if not os.path.lexists(path):
                continue
            if not is_kind(path):
                raise UserError(f"{path} is no {kind}: move it away, or choose another --workdir")
            if not os.access(path, os.R_OK | os.W_OK):
                raise UserError(
                    f"{path} cannot be read and written: make it accessible, or choose another "
                    "--workdir"
                )


_LEFT_OVER = re.compile(r"\.(?:(?:run|model|record|result)\.json|panel)\.(\d+)(?:\.npz)?")


def is_left_over(path: Path) -> bool:
    """Whether a file is what a kill leaves of one that was being written."""
    return _LEFT_OVER.fullmatch(path.name) is not None


def _remove_left_overs(workdir: Path) -> None:
    """Those of processes that are no more."""
    for folder in (workdir, *(seed_directory(workdir, seed) for seed in seeds_in(workdir))):
        for path in folder.iterdir():
            match = _LEFT_OVER.fullmatch(path.name)
            if match and not _runs(int(match[1])):
                path.unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:
        return True
    return True


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Write a JSON file, with a checksum of its content as "sha256", so that a reader sees all of
    it or none."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with open(temporary, "w") as file:
        json.dump({**value, "sha256": _checksum(value)}, file, indent=1)
        file.flush()
        os.fsync(file.fileno())
    os.replace(temporary, path)


def load_json(path: Path) -> dict[str, Any]:
    """The content of a file that ``write_json`` wrote; one of before there were checksums is taken
    as it is.

    Raises:
        FileNotFoundError: there is none.
        ValueError: it cannot be read, or is not what was written; the message says which.
    """
    try:
        value = json.loads(path.read_text())
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or "no JSON"
        raise ValueError(str(reason)) from None
    if not isinstance(value, dict):
        raise ValueError("no JSON object")
    if value.pop("sha256", None) not in (None, _checksum(value)):
        raise ValueError("not what was written, by its checksum")
    return value


def read_json(path: Path) -> dict[str, Any] | None:
    """The same, None if there is none, and with a notice if it is damaged."""
    try:
        return load_json(path)
    except FileNotFoundError:
        return None
    except ValueError as error:
        print(f"{path} is left out: {error}", file=sys.stderr)
        return None


def _checksum(value: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def make(directory: Path) -> None:
    """Make a directory, and those above it.

    Raises:
        UserError: if it cannot be made.
    """
    try:
        directory.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"{directory} cannot be made ({error.strerror}): choose another --workdir"
        ) from None


@contextlib.contextmanager
def locked(workdir: Path) -> Iterator[None]:
    """One process at a time; the lock goes with its process, however that ends. What an earlier
    one left half-written is removed.

    Raises:
        UserError: if another process holds it, or the directory cannot be used.
    """
    check_usable(workdir)
    check_contents(workdir)
    make(workdir)
    try:
        lock = open(workdir / ".lock", "w")  # noqa: SIM115, closed below
    except OSError as error:
        raise UserError(
            f"{workdir / '.lock'} cannot be written ({error.strerror}): choose another --workdir"
        ) from None
    with lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise UserError(
                f"another process is training in {workdir}: wait for it, or choose another "
                "--workdir"
            ) from None
        except OSError as error:
            raise UserError(
                f"{workdir} is on a file system without locks ({error.strerror}): choose another "
                "--workdir"
            ) from None
        _remove_left_overs(workdir)
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
    try:
        spec = load_json(workdir / MODEL)["spec"]
        lengths = spec.get("updates_per_epoch"), spec.get("epochs")
    except (FileNotFoundError, ValueError, KeyError, AttributeError):
        return None
    return None if None in lengths else lengths[0] * lengths[1]
