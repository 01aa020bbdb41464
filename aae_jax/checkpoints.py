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


def state_sha256(params: Any, batch_stats: Any) -> str:
    """SHA-256 over the arrays of parameters and batch statistics, in the order of their key paths.

    Covers each leaf's path, dtype, shape and bytes, so it is the same for JAX and NumPy
    arrays and whatever order a dictionary was filled in. Without batch norm it is the hash of the
    parameters alone.

    Raises:
        ValueError: a leaf is not an array of numbers.
    """
    digest = hashlib.sha256()
    for prefix, tree in (("", params), ("batch_stats", batch_stats)):
        leaves, _ = jax.tree_util.tree_flatten_with_path(tree)
        for path, leaf in sorted((jax.tree_util.keystr(path), leaf) for path, leaf in leaves):
            array = np.asarray(leaf)
            if array.dtype.hasobject:
                where = (prefix or "params") + path
                raise ValueError(f"{where} is no array of numbers but {type(leaf).__name__}")
            if not array.dtype.isnative:
                array = array.astype(array.dtype.newbyteorder("="))
            digest.update(f"{prefix}{path}\0{array.dtype.name}\0{array.shape}\0".encode())
            digest.update(array.tobytes())
    return digest.hexdigest()


def named_leaves(state: State) -> dict[str, np.ndarray]:
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
    """The checkpoints of one run under ``directory``, each a whole position in the run.

    Reading neither makes the directory nor changes what is in it, except that ``restore`` sets
    damaged checkpoints aside where it is told to.
    """

    def __init__(self, directory: Path):
        import orbax.checkpoint as ocp  # slow to import, and only training needs it
        from etils import epath

        self._ocp, self._path = ocp, epath.Path
        self.directory = directory.absolute()
        self._reader = ocp.StandardCheckpointHandler()
        self._opened: Any = None

    @property
    def _manager(self) -> Any:
        if self._opened is None:
            several: dict[str, Any] = {}
            if jax.process_count() > 1:  # of which this one alone saves
                own = jax.process_index()
                several["create"] = False
                several["multiprocessing_options"] = self._ocp.options.MultiprocessingOptions(
                    primary_host=own, active_processes={own}
                )
                self.directory.mkdir(parents=True, exist_ok=True)
            options = self._ocp.CheckpointManagerOptions(
                max_to_keep=KEPT, cleanup_tmp_directories=True, **several
            )
            self._opened = self._ocp.CheckpointManager(self.directory, options=options)
        return self._opened

    def steps(self) -> list[int]:
        """The steps that are kept, ascending."""
        if not self.directory.is_dir():
            return []
        names = (item.name for item in self.directory.iterdir() if item.is_dir())
        return sorted(int(name) for name in names if name.isascii() and name.isdigit())

    def save(self, step: int, state: State, wall_seconds: float) -> None:
        """Commit ``state`` as the checkpoint of ``step``: atomic, written in the background.

        Raises:
            UserError: this or an earlier one cannot be written.
        """
        leaves = named_leaves(state)
        tree = {
            "state": leaves,
            "sha256": _digest(leaves),
            "wall_seconds": np.asarray(wall_seconds),
        }
        with self._writing():
            self._manager.save(step, args=self._ocp.args.StandardSave(tree))

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Turns whatever the layers below raise where a disk is full into one line."""
        try:
            with _quiet_asyncio():
                yield
        except Exception as error:
            raise UserError(
                f"the checkpoint cannot be written in {self.directory} ({_reason(error)}): make "
                "room, then run the same command again, which goes on from the one before it"
            ) from error

    def restore(
        self, template: State, *, newest: int | None = None, set_aside: bool = True
    ) -> tuple[State, float] | None:
        """The newest readable checkpoint as (state of host arrays, seconds trained so far).

        One that cannot be read, or whose arrays are not those that were saved, is left out with a
        notice, and the one before it is taken.

        Args:
            template: a state of the same structure, shapes and dtypes (or ShapeDtypeStructs).
            newest: the newest step to take.
            set_aside: whether what cannot be read is moved to ``unreadable/`` beside the others,
                so that training can save its step again.

        Returns:
            None if there is no checkpoint at all.

        Raises:
            UserError: if there are checkpoints and all of them are of another structure or none
                is readable; both leave everything where it is.
        """
        unreadable: dict[int, str] = {}
        other: UserError | None = None
        for step in reversed(self.steps()):
            if newest is not None and step > newest:
                continue
            try:
                with _quiet_asyncio():
                    restored = self._read(step, template)
            except UserError as error:
                # Of another model; or what is left of a damaged one looks like that.
                other = other or error
                unreadable[step] = "its arrays are not this model's"
                continue
            except Exception as error:
                unreadable[step] = _reason(error)
                continue
            for damaged, reason in unreadable.items():
                print(
                    f"checkpoint {damaged} cannot be read ({reason[:120]}): going on from {step}",
                    file=sys.stderr,
                )
                if set_aside:
                    self._set_aside(damaged)
            return restored
        if other is not None:
            raise other
        if unreadable:
            step, reason = next(iter(unreadable.items()))
            raise UserError(
                f"no readable checkpoint among those kept in {self.directory} (that of update "
                f"{step}: {reason[:120]}): bring them back from a copy, or choose another --workdir"
            )
        return None

    def _read(self, step: int, template: State) -> tuple[State, float]:
        path = self._path(self.directory / str(step) / "default")
        leaves, treedef = jax.tree_util.tree_flatten_with_path(template)
        expected = {
            jax.tree_util.keystr(name, simple=True, separator="."): leaf for name, leaf in leaves
        }
        if not path.is_dir():
            raise ValueError("it has lost its directory default/")
        tree = self._reader.metadata(path).tree
        if not tree or "state" not in tree:
            raise ValueError("it does not say which arrays it holds")
        stored = tree["state"]
        if difference := difference_of(stored, expected):
            raise UserError(
                f"the checkpoint of update {step} in {self.directory} is another model's: "
                f"{difference}; use the settings it was trained with, or another --workdir"
            )
        arrays = {name: np.zeros(leaf.shape, leaf.dtype) for name, leaf in expected.items()}
        wanted = {"state": arrays, "sha256": np.zeros(32, np.uint8), "wall_seconds": np.zeros(())}
        tree = self._reader.restore(path, args=self._ocp.args.StandardRestore(wanted))
        found = {name: np.asarray(leaf) for name, leaf in tree["state"].items()}
        if not np.array_equal(_digest(found), np.asarray(tree["sha256"])):
            raise ValueError("its arrays do not have the checksum that was saved with them")
        state = jax.tree_util.tree_unflatten(treedef, [found[name] for name in expected])
        return state, float(tree["wall_seconds"])

    def _set_aside(self, step: int) -> None:
        target = self.directory.parent / "unreadable" / str(step)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(target, ignore_errors=True)
        shutil.move(self.directory / str(step), target)

    def forget_after(self, step: int) -> None:
        """Delete the checkpoints of later steps, which training from ``step`` will save again."""
        for later in self.steps():
            if later > step:
                self._manager.delete(later)

    def wait(self) -> None:
        """Return when everything that was saved is on disk.

        Raises:
            UserError: it cannot be written.
        """
        if self._opened is not None:
            with self._writing():
                self._opened.wait_until_finished()

    def close(self) -> None:
        """Wait, and let go; nothing can be saved afterwards.

        Raises:
            UserError: what was saved cannot be written.
        """
        try:
            self.wait()
        finally:
            if self._opened is not None:
                with contextlib.suppress(Exception):  # what it has to say was said by wait()
                    self._opened.close()
            self._reader.close()


def _reason(error: BaseException) -> str:
    """The first line of an error, or of what it comes from where it has none of its own."""
    for link in (error, error.__cause__, error.__context__):
        if link is not None and (lines := str(link).strip().splitlines()):
            return lines[0][:120]
    return type(error).__name__


def difference_of(stored: dict[str, Any], expected: dict[str, Any]) -> str:
    """The first array in which two states differ, as part of a sentence; "" if they do not."""
    for name in sorted(stored.keys() | expected.keys()):
        if name not in stored:
            return f"it has no {name}, which is {_form(expected[name])} here"
        if name not in expected:
            return f"it has {name}, {_form(stored[name])}, which is not here"
        if _form(stored[name]) != _form(expected[name]):
            return f"{name} is {_form(stored[name])} there and {_form(expected[name])} here"
    return ""


def _form(array: Any) -> str:
    shape = " x ".join(map(str, array.shape)) or "a scalar"
    return f"{shape} of {np.dtype(array.dtype).name}"
