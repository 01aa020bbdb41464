"""Trained models as single files, small enough to be handed on: reduced arrays and their record.

A file is an npz of the parameters as float16 or, where these are too large, as integers with a
scale for each output channel; of the batch statistics as they are; and of ``about``, JSON that says
what the method is built from, how it was trained and what it scored. A checksum covers all of it.
"""

import hashlib
import json
import os
import zipfile
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aae_jax.checkpoints import difference_of, named_leaves
from aae_jax.core import State
from aae_jax.errors import UserError

FORMAT = 1
LARGEST = 2_000_000  # bytes of a file
_ABOUT = "about"
_SCALE = "scale."


def reduced(leaves: dict[str, np.ndarray], levels: int = 0) -> dict[str, np.ndarray]:
    """Arrays as a file holds them.

    Args:
        leaves: float32 arrays by name; those named "params..." are reduced.
        levels: 0 for float16; otherwise matrices and kernels become integers in
            [-levels, levels], a scale (its name begins with "scale.") for each index of their last
            axis, and vectors float16.

    Raises:
        UserError: a number that is beyond float16.
    """
    found = {}
    for name, leaf in leaves.items():
        if not name.startswith("params."):
            found[name] = leaf
        elif levels and leaf.ndim > 1:
            scale = np.abs(leaf).max(axis=tuple(range(leaf.ndim - 1))) / levels
            scale = np.where(scale > 0, scale, 1).astype(np.float32)
            found[name] = np.rint(leaf / scale).astype(np.int8)
            found[_SCALE + name] = scale
        else:
            with np.errstate(over="ignore"):
                found[name] = leaf.astype(np.float16)
            if not np.isfinite(found[name]).all():
                raise UserError(
                    f"{name} has numbers beyond float16, of up to {np.abs(leaf).max():.3g}, so "
                    "this model cannot be made smaller: publish another seed or row"
                )
    return found


def restored(arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    """What ``reduced`` was given, as far as it is kept: float32 arrays by name."""
    found = {}
    for name, array in arrays.items():
        if not name.startswith(_SCALE):
            scale = arrays.get(_SCALE + name)
            found[name] = array.astype(np.float32) * (np.float32(1) if scale is None else scale)
    return found


def weights_of(state: State, without: tuple[str, ...] = ()) -> dict[str, np.ndarray]:
    """The parameters and batch statistics of a state by name, but for networks ``without``."""
    left_out = tuple(f"{part}.{name}." for part in ("params", "batch_stats") for name in without)
    return {
        name: np.asarray(leaf)
        for name, leaf in named_leaves(state._replace(opt_state={})).items()
        if name != "step" and not name.startswith(left_out)
    }


def write(path: Path, about: dict[str, Any], arrays: dict[str, np.ndarray]) -> int:
    """Write a file, all of it or nothing; returns its size in bytes."""
    about = {**about, "format": FORMAT}
    about["sha256"] = _sha256(about, arrays)
    text = np.frombuffer(json.dumps(about).encode(), np.uint8)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    path.parent.mkdir(parents=True, exist_ok=True)
    # An npz, but by LZMA: integers of few bits come nearer to their entropy than by deflate.
    with zipfile.ZipFile(temporary, "w", zipfile.ZIP_LZMA) as archive:
        for name, array in {_ABOUT: text, **arrays}.items():
            with archive.open(f"{name}.npy", "w") as file:
                np.lib.format.write_array(file, np.asarray(array), allow_pickle=False)
    os.replace(temporary, path)
    return path.stat().st_size


def read_about(path: Path) -> dict[str, Any]:
    """What a file says of its model, without a look at the arrays.

    Raises:
        UserError: as ``read``.
    """
    return _open(path, arrays=False)[0]


def read(path: Path) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    """What a file says of its model, and its arrays as ``restored`` makes them.

    Raises:
        UserError: it cannot be read, is damaged, or of another version's format.
    """
    about, arrays = _open(path, arrays=True)
    return about, restored(arrays)


def _open(path: Path, arrays: bool) -> tuple[dict[str, Any], dict[str, np.ndarray]]:
    try:
        with np.load(path, allow_pickle=False) as saved:
            about = json.loads(saved[_ABOUT].tobytes())
            form = about.pop("format")
            stored = {name: saved[name] for name in saved.files if name != _ABOUT and arrays}
    except Exception as error:  # numpy, zipfile and zlib have many for a bad file
        reason = getattr(error, "strerror", None) or "it is damaged"
        raise UserError(
            f"{path} cannot be read ({reason}): bring it back from a copy, or install aae_jax anew"
        ) from None
    if form != FORMAT:
        raise UserError(
            f"{path} was written by aae_jax {about.get('version')} in format {form}, and this "
            f"version reads format {FORMAT}: install that one"
        )
    sha256 = about.pop("sha256", None)
    if arrays and sha256 != _sha256({**about, "format": form}, stored):
        raise UserError(
            f"{path} is damaged: it is not what was written, by its checksum; bring it back from a "
            "copy, or install aae_jax anew"
        )
    return about, stored


def _sha256(about: dict[str, Any], arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name in sorted(arrays):
        digest.update(f"{name}{arrays[name].dtype}{arrays[name].shape}".encode())
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def filled_in(
    fresh: State, arrays: dict[str, np.ndarray], step: int, without: tuple[str, ...]
) -> State:
    """A state of a file's arrays; networks that are left out, and the optimizers, are ``fresh``.

    Raises:
        ValueError: the arrays are another model's; the message is part of a sentence.
    """
    kept = weights_of(fresh, without)
    if difference := difference_of(arrays, kept):
        raise ValueError(difference)
    leaves, treedef = jax.tree_util.tree_flatten_with_path(fresh)
    values = [
        arrays.get(jax.tree_util.keystr(path, simple=True, separator="."), leaf)
        for path, leaf in leaves
    ]
    state = jax.tree_util.tree_unflatten(treedef, values)
    return state._replace(step=np.asarray(step, np.int32))
