"""Checkpoints of a State: orbax, arrays only, the last two kept, verified when read."""

import contextlib
import hashlib
import logging
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np

from aae_jax.core import State
from aae_jax.errors import UserError

KEPT = 2


def params_sha256(params: Any) -> str:
    """SHA-256 over the arrays of a pytree, in the order of their key paths.

    Covers each leaf's path, dtype, shape and bytes, so it is the same for JAX and NumPy
    arrays and whatever order a dictionary was filled in.

    Raises:
      ValueError: a leaf is not an array of numbers.
    """
    leaves, _ = jax.tree_util.tree_flatten_with_path(params)
    digest = hashlib.sha256()
    for path, leaf in sorted((jax.tree_util.keystr(path), leaf) for path, leaf in leaves):
        array = np.asarray(leaf)
        if array.dtype.hasobject:
            raise ValueError(f"params{path} is no array of numbers but {type(leaf).__name__}")
        if not array.dtype.isnative:
            array = array.astype(array.dtype.newbyteorder("="))
        digest.update(f"{path}\0{array.dtype.name}\0{array.shape}\0".encode())
        digest.update(array.tobytes())
    return digest.hexdigest()


def _named_leaves(state: State) -> dict[str, np.ndarray]:
    """The state's arrays on the host, by their path: "params.encoder.Trunk_0...."."""
    leaves = jax.tree_util.tree_leaves_with_path(jax.device_get(state))
    return {jax.tree_util.keystr(path, simple=True, separator="."): leaf for path, leaf in leaves}


def _digest(leaves: dict[str, np.ndarray]) -> np.ndarray:
    digest = hashlib.sha256()
    for name in sorted(leaves):
        digest.update(f"{name}{leaves[name].dtype}{leaves[name].shape}".encode())
        digest.update(np.ascontiguousarray(leaves[name]).data)
    return np.frombuffer(digest.digest(), np.uint8)


def _ignore_closed_loop(unraisable) -> None:
    if "Event loop is closed" not in str(unraisable.exc_value):
        sys.__unraisablehook__(unraisable)


@contextlib.contextmanager
def _quiet_asyncio() -> Iterator[None]:
    """A failed read leaves tasks behind, and threads that report to an event loop that is gone:
    keep their tracebacks off standard error, also after the failure itself was reported."""
    logger, hook = logging.getLogger("asyncio"), sys.unraisablehook
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    sys.unraisablehook = _ignore_closed_loop
    yield
    sys.unraisablehook = hook
    logger.setLevel(level)


class Checkpoints:
    """The checkpoints of one run under ``directory``, each a whole position in the run."""

    def __init__(self, directory: Path):
        import orbax.checkpoint as ocp  # slow to import, and only training needs it

        self._ocp = ocp
        self.directory = directory.absolute()
        options = ocp.CheckpointManagerOptions(max_to_keep=KEPT, cleanup_tmp_directories=True)
        self._manager = ocp.CheckpointManager(self.directory, options=options)

    def save(self, step: int, state: State, wall_seconds: float) -> None:
        """Commit ``state`` as the checkpoint of ``step``: atomic, written in the background."""
        leaves = _named_leaves(state)
        tree = {
            "state": leaves,
            "sha256": _digest(leaves),
            "wall_seconds": np.asarray(wall_seconds),
        }
        self._manager.save(step, args=self._ocp.args.StandardSave(tree))

    def restore(self, template: State) -> tuple[State, float] | None:
        """The newest readable checkpoint as (state of host arrays, seconds trained so far).

        A checkpoint that cannot be read, or whose arrays are not those that were saved, is moved
        to ``unreadable/`` beside the others, with a notice, and the one before it is taken.

        Args:
            template: a state of the same structure, shapes and dtypes (or ShapeDtypeStructs).

        Returns:
            None if there is no checkpoint at all.

        Raises:
            UserError: if there are checkpoints, but none is readable.
        """
        unreadable: dict[int, str] = {}
        for step in sorted(self._manager.all_steps(), reverse=True):
            try:
                with _quiet_asyncio():
                    restored = self._read(step, template)
            except Exception as error:
                unreadable[step] = (str(error).strip().splitlines() or [type(error).__name__])[0]
                continue
            for damaged, reason in unreadable.items():
                print(
                    f"checkpoint {damaged} cannot be read ({reason[:120]}): going on from {step}",
                    file=sys.stderr,
                )
                self._set_aside(damaged)
            return restored
        if unreadable:
            raise UserError(
                f"no readable checkpoint among those kept in {self.directory}: train into another "
                "--workdir, or delete this one to start again"
            )
        return None

    def _read(self, step: int, template: State) -> tuple[State, float]:
        paths, treedef = jax.tree_util.tree_flatten_with_path(template)
        names = [jax.tree_util.keystr(path, simple=True, separator=".") for path, _ in paths]
        tree: dict[str, Any] = self._manager.restore(
            step, args=self._ocp.args.StandardRestore(self._host_template(names, paths))
        )
        leaves = {name: np.asarray(leaf) for name, leaf in tree["state"].items()}
        for name, (_, expected) in zip(names, paths):
            if (leaves[name].shape, leaves[name].dtype) != (expected.shape, expected.dtype):
                raise ValueError(f"{name} is {leaves[name].shape}, not {expected.shape}")
        if not np.array_equal(_digest(leaves), np.asarray(tree["sha256"])):
            raise ValueError("its arrays do not have the checksum that was saved with them")
        state = jax.tree_util.tree_unflatten(treedef, [leaves[name] for name in names])
        return state, float(tree["wall_seconds"])

    @staticmethod
    def _host_template(names, paths) -> dict[str, Any]:
        return {
            "state": {
                name: np.zeros(leaf.shape, leaf.dtype) for name, (_, leaf) in zip(names, paths)
            },
            "sha256": np.zeros(32, np.uint8),
            "wall_seconds": np.zeros(()),
        }

    def _set_aside(self, step: int) -> None:
        target = self.directory.parent / "unreadable" / str(step)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(self.directory / str(step), target)
        self._manager.reload()

    def wait(self) -> None:
        """Return when everything that was saved is on disk."""
        self._manager.wait_until_finished()

    def close(self) -> None:
        """Wait, and let go; nothing can be saved afterwards."""
        self.wait()
        self._manager.close()
