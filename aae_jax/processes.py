"""One run in several processes, one a host, on JAX's distributed runtime.

Every process runs the same program. What it computes is spread over the devices of all; the first
one, the leader, alone reads and writes the run's directory, and tells the others what they have to
know. With one process all of this is nothing.
"""

import contextlib
import json
import os
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import jax
import numpy as np
from jax.sharding import Sharding

from aae_jax.errors import UserError

HEARTBEAT = 40  # seconds without a sign of life after which a process counts as dead
_DAYS = 7 * 24 * 3600


class Lost(UserError):
    """Another process of the run has ended."""


_alone: list[bool] = []


def count() -> int:
    """How many processes there are; one inside ``alone``."""
    return 1 if _alone else jax.process_count()


def leads() -> bool:
    """Whether this process is the one that reads and writes."""
    return jax.process_index() == 0


def devices() -> list[jax.Device]:
    """The devices that a computation is spread over."""
    return jax.local_devices() if _alone else jax.devices()


@contextlib.contextmanager
def alone() -> Iterator[None]:
    """Inside, this process computes on its own devices, and the others have no part in it."""
    _alone.append(True)
    try:
        yield
    finally:
        _alone.pop()


def start(timeout: float = 300.0) -> None:
    """Join the other processes of the run; to be called before anything is computed.

    On TPU pods, under SLURM and Open MPI, JAX finds out by itself who they are; elsewhere
    ``JAX_COORDINATOR_ADDRESS`` (host:port of the first one), ``JAX_NUM_PROCESSES`` and
    ``JAX_PROCESS_ID`` (from 0) say it.

    Args:
        timeout: seconds that are waited for the others; then the process exits with status 2.

    Raises:
        UserError: nobody says who the processes are, or what is said makes no sense.
    """
    given: dict[str, Any] = {}
    for name, argument in (("NUM_PROCESSES", "num_processes"), ("PROCESS_ID", "process_id")):
        text = os.environ.get(f"JAX_{name}")
        if text is not None:
            if not text.isdecimal():
                raise UserError(f"JAX_{name} is {text!r}; it must be a number")
            given[argument] = int(text)

    def give_up() -> None:
        print(
            f"error: not all processes of the run were there within {timeout:g} s: start the same "
            "command on every host",
            file=sys.stderr,
            flush=True,
        )
        os._exit(2)

    # The runtime's own timeout aborts the process with a dump of its stack.
    watch = threading.Timer(timeout, give_up)
    watch.daemon = True
    watch.start()
    # It would take SIGTERM for itself; training has its own way to end on it.
    jax.config.update("jax_enable_preemption_service", False)
    try:
        jax.distributed.initialize(
            **given,
            initialization_timeout=int(timeout) + 60,
            heartbeat_timeout_seconds=HEARTBEAT,
            shutdown_timeout_seconds=_DAYS,  # the leader measures and draws at the end
        )
    except (ValueError, TypeError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise UserError(
            f"the processes of the run are not known ({reason}): set JAX_COORDINATOR_ADDRESS, "
            "JAX_NUM_PROCESSES and JAX_PROCESS_ID, or start without DISTRIBUTED"
        ) from None
    finally:
        watch.cancel()


def texts(text: str) -> list[str]:
    """A text from every process, in their order, known to all."""
    from jax.experimental import multihost_utils

    if count() == 1:
        return [text]
    own = np.frombuffer(text.encode(), np.uint8)
    with survived():
        sizes = multihost_utils.process_allgather(np.asarray([len(own)]))[:, 0]
        padded = np.zeros(max(1, int(sizes.max())), np.uint8)
        padded[: len(own)] = own
        rows = multihost_utils.process_allgather(padded)
    return [bytes(row[:size]).decode() for row, size in zip(rows, sizes)]


def tell(value: Any = None) -> Any:
    """The leader's ``value``, plain JSON, to all."""
    return json.loads(texts(json.dumps(value) if leads() else "")[0]) if count() > 1 else value


def tell_arrays(tree: Any) -> Any:
    """The leader's host arrays to all; the others give any of the same form."""
    from jax.experimental import multihost_utils

    if count() == 1:
        return tree
    with survived():
        return multihost_utils.broadcast_one_to_all(tree)


def together(function: Callable[[], Any]) -> Any:
    """``function()`` in every process; what one refuses is refused by all.

    Raises:
        UserError: as the function of any process.
    """
    if count() == 1:
        return function()
    result, refusal = None, ""
    try:
        result = function()
    except UserError as error:
        refusal = str(error)
    for process, text in enumerate(texts(refusal)):
        if text:
            where = "" if process == jax.process_index() else f"process {process}: "
            raise UserError(f"{where}{text}")
    return result


def first(function: Callable[[], Any]) -> Any:
    """``function()`` in the leader alone, whose result it has; the others have None.

    Raises:
        UserError: in all processes, as the function.
    """
    return together(function if leads() else lambda: None)


def same(**facts: Any) -> None:
    """Refuse processes of which one has another fact (plain JSON) than the leader.

    Raises:
        UserError: in all processes, naming the first such fact and its process.
    """
    if count() == 1:
        return
    theirs = [json.loads(text) for text in texts(json.dumps(facts))]
    for process, found in enumerate(theirs):
        for name, value in theirs[0].items():
            if found.get(name) != value:
                raise UserError(
                    f"process {process} has {name} {found.get(name)}, and process 0 {value}: start "
                    "the same command from the same commit on every host"
                )


def agreed(number: int) -> int:
    """The largest of all processes' numbers."""
    from jax.experimental import multihost_utils

    if count() == 1:
        return number
    with survived():
        return int(multihost_utils.process_allgather(np.asarray([number])).max())


def spread(array: Any, sharding: Sharding) -> jax.Array:
    """An array that every process has as a whole, onto the devices of all."""
    if isinstance(array, jax.Array) and not array.is_fully_addressable:
        return jax.device_put(array, sharding)
    if jax.dtypes.issubdtype(array.dtype, jax.dtypes.prng_key):
        data = spread(jax.random.key_data(array), sharding)
        return jax.random.wrap_key_data(data, impl=jax.random.key_impl(array))
    host = np.asarray(array)
    return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])


def fetch(tree: Any) -> Any:
    """Arrays on the devices of all, as host arrays in every process."""
    from jax.experimental import multihost_utils

    if count() == 1:
        return jax.device_get(tree)
    with survived():
        return multihost_utils.process_allgather(tree, tiled=True)


@contextlib.contextmanager
def survived() -> Iterator[None]:
    """Turns what the runtime raises where another process is gone into one line.

    Raises:
        Lost: in the place of the runtime's error.
    """
    try:
        yield
    except jax.errors.JaxRuntimeError as error:
        if count() == 1 or "RESOURCE_EXHAUSTED" in str(error):
            raise
        raise Lost(
            "another process of the run has ended or cannot be reached: see what it says, then "
            "start the same command on every host again, which goes on from the last checkpoint"
        ) from error
