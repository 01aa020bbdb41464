"""The decoded cache: each split decoded once, then memory-mapped and checked at every load.

Under ``<cache>/data/<set>/<version>/`` a split is two ``.npy`` files and one ``.json`` with their
shapes and SHA-256. The ``.json`` is written last: where there is none, there is no cached split.
"""

import contextlib
import hashlib
import json
import os
import time
import uuid
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aae_jax.errors import UserError


class Split(NamedTuple):
    """One decoded split and the hex SHA-256 of the bytes of either array."""

    images: np.ndarray  # uint8 [n, h, w, c]
    labels: np.ndarray  # int32 [n]
    num_classes: int
    images_sha256: str
    labels_sha256: str


class DamagedCacheError(Exception):
    """A cached split is not what was written; the message says what is wrong with it."""


def root(cache_dir: str | None = None) -> Path:
    """``cache_dir``, else ``$AAE_JAX_CACHE_DIR``, else ``${XDG_CACHE_HOME:-~/.cache}/aae_jax``."""
    chosen = cache_dir or os.environ.get("AAE_JAX_CACHE_DIR")
    if not chosen:
        chosen = os.path.join(os.environ.get("XDG_CACHE_HOME") or "~/.cache", "aae_jax")
    return Path(chosen).expanduser()


def holds(folder: Path, split: str) -> bool:
    """Whether all three files of the split are there (their content is not looked at)."""
    return all(path.is_file() for path in _paths(folder, split))


def sha256(array: np.ndarray) -> str:
    """Hex SHA-256 of the bytes of a C-contiguous array."""
    return hashlib.sha256(array.data.cast("B")).hexdigest()


def read(folder: Path, split: str, origin: str | None = None) -> Split | None:
    """Memory-maps a cached split after checking every byte of it; None if it is not there, or if
    it says that it was decoded from another ``origin`` than the one given.

    Raises:
      DamagedCacheError: if a file is unreadable or does not match its recorded checksum.
    """
    if not holds(folder, split):
        return None
    images_path, labels_path, record_path = _paths(folder, split)
    try:
        record = json.loads(record_path.read_text())
        if record.pop("sha256", None) not in (None, _checksum(record)):
            raise ValueError("it does not match its checksum")
        if origin is not None and record.get("origin") not in (None, origin):
            return None
        images, images_sha256 = _map(images_path, "uint8", record["images"])
        labels, labels_sha256 = _map(labels_path, "int32", record["labels"])
        return Split(images, labels, int(record["num_classes"]), images_sha256, labels_sha256)
    except (OSError, EOFError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedCacheError(f"{record_path.name}: {error}") from error


def write(
    folder: Path,
    split: str,
    shape: tuple[int, int, int, int],
    num_classes: int,
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
    origin: str | None = None,
) -> None:
    """Writes a split from ``batches`` of (uint8 [b, h, w, c], int32 [b]) that add up to ``shape``.
    ``origin`` says what it was decoded from.

    Nothing appears under the split's own names before it is complete and on the disk; of several
    processes writing the same split the last one wins.

    Raises:
      UserError: if the directory cannot be written. Errors of ``batches`` pass through.
    """
    paths = _paths(folder, split)
    suffix = f".{uuid.uuid4().hex}.tmp"
    unfinished = [path.with_name(path.name + suffix) for path in paths]
    batches = iter(batches)
    try:
        try:
            folder.mkdir(parents=True, exist_ok=True)
            _remove_left_overs(folder)
            images_sha256, labels = _write_images(unfinished[0], shape, batches)
            with open(unfinished[1], "wb") as file:
                np.save(file, labels)
                _flush(file)
            record = {
                "split": split,
                "num_classes": num_classes,
                "origin": origin,
                "images": {"shape": list(shape), "sha256": images_sha256},
                "labels": {"shape": [shape[0]], "sha256": sha256(labels)},
            }
            with open(unfinished[2], "wb") as file:
                signed = {**record, "sha256": _checksum(record)}
                file.write(json.dumps(signed, indent=2).encode() + b"\n")
                _flush(file)
            for temporary, path in zip(unfinished, paths, strict=True):
                os.replace(temporary, path)
        finally:
            for temporary in unfinished:
                temporary.unlink(missing_ok=True)
    except OSError as error:
        raise UserError(
            f"cannot write the decoded cache under {folder} ({error.strerror or error}): "
            "set AAE_JAX_CACHE_DIR to a directory that can be written"
        ) from error


def _paths(folder: Path, split: str) -> tuple[Path, Path, Path]:
    return (
        folder / f"{split}.images.npy",
        folder / f"{split}.labels.npy",
        folder / f"{split}.json",
    )


def _checksum(record: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(record, sort_keys=True).encode()).hexdigest()


def _remove_left_overs(folder: Path) -> None:
    """What a kill left half-written; what has grown within the hour may be another process's."""
    for path in folder.glob("*.tmp"):
        with contextlib.suppress(FileNotFoundError):
            if path.stat().st_mtime < time.time() - 3600:
                path.unlink()


def _map(path: Path, dtype: str, expected: dict[str, Any]) -> tuple[np.ndarray, str]:
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    if list(array.shape) != expected["shape"] or array.dtype != np.dtype(dtype):
        raise ValueError(f"{path.name} holds {array.dtype} {list(array.shape)}")
    digest = sha256(array)
    if digest != expected["sha256"]:
        raise ValueError(f"{path.name} does not match its checksum")
    return array, digest


def _write_images(
    path: Path,
    shape: tuple[int, int, int, int],
    batches: Iterable[tuple[np.ndarray, np.ndarray]],
) -> tuple[str, np.ndarray]:
    """Streams the images into one ``.npy`` file; returns their SHA-256 and all labels."""
    # Plain writes, not a writable memory map: a full disk is then an error and not a crash.
    digest, labels = hashlib.sha256(), []
    with open(path, "wb") as file:
        header = {"descr": "|u1", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(file, header)
        for images, batch_labels in batches:
            content = np.ascontiguousarray(images, np.uint8).tobytes()
            digest.update(content)
            file.write(content)
            labels.append(batch_labels.astype(np.int32))
        _flush(file)
    return digest.hexdigest(), np.concatenate(labels)


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())
