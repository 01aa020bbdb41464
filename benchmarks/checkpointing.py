"""What a checkpoint in every epoch costs: the AAE of table 2, 600 updates an epoch, 60 MB of state.

Counted is all the time until a checkpoint is written, though training goes on for most of it: an
upper bound, which the seconds that training does wait for stand beside.
"""

import pathlib
import statistics
import tempfile
import time

from benchmarks import common

NAME = "a checkpoint every epoch"
GOAL = 3.0  # percent
_BATCH, _UPDATES, _TIMED, _ROUNDS = 100, 600, 20, 5


def measure() -> str:
    """The medians over rounds of some updates and a checkpoint in turn."""
    import jax
    import jax.numpy as jnp

    from aae_jax import Batch, methods
    from aae_jax.checkpoints import Checkpoints

    spec = methods.DataSpec((28, 28, 1), 10, updates_per_epoch=_UPDATES, epochs=1)
    method = methods.build("semi_supervised_aae", spec=spec)
    state, step = method.init(jax.random.key(0)), jax.jit(method.train_step)
    images = jax.random.uniform(jax.random.key(1), (_BATCH, 28, 28, 1))
    batch = Batch(images, images, jnp.arange(_BATCH) % 10)
    key = jax.random.key(2)
    jax.block_until_ready(step(state, batch, key))
    updates, waits, writes = [], [], []
    with tempfile.TemporaryDirectory() as folder:
        checkpoints = Checkpoints(pathlib.Path(folder))
        for i in range(_ROUNDS):
            started = time.perf_counter()
            for _ in range(_TIMED):
                state, _ = step(state, batch, key)
            jax.block_until_ready(state)
            trained = time.perf_counter()
            checkpoints.save(i + 1, state, 0.0)
            waits.append(time.perf_counter() - trained)
            checkpoints.wait()
            writes.append(time.perf_counter() - trained)
            updates.append((trained - started) / _TIMED)
        checkpoints.close()
    epoch = _UPDATES * statistics.median(updates)
    cost, waited = (100 * statistics.median(times) / epoch for times in (writes, waits))
    measured = f"at most {cost:.2f} % of an epoch's {epoch:.0f} s, which waits for {waited:.2f} %"
    return common.line(NAME, measured, f"at most {GOAL:g} %", cost <= GOAL)
