"""What spreading an update over devices costs: the AAE's step of table 2 over 1, 2, 4 and 8 virtual
devices of one CPU. They share its cores, so this is the overhead and no speed.

    python -m benchmarks.scaling        # all
    python -m benchmarks.scaling 4      # one process, of four devices
"""

import json
import os
import subprocess
import sys
import time

NAME = "AAE step on virtual devices"
DEVICES = (1, 2, 4, 8)
_BATCH, _UPDATES, _ROUNDS = 128, 20, 5


def updates_per_second(num_devices: int) -> float:
    """The best of a few chunks of updates, in this process, which has that many devices."""
    import jax
    import jax.numpy as jnp
    import numpy as np

    from aae_jax import data, methods, program, training

    if jax.device_count() != num_devices:
        raise SystemExit(f"JAX has {jax.device_count()} devices: set JAX_NUM_CPU_DEVICES")
    config = training.default_config()
    config.data.update(batch_size=_BATCH, labelled_batch_size=_BATCH)
    config.train.data_shards = num_devices
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (4096, 28, 28, 1), np.uint8)
    part = data.Images(images, rng.integers(0, 10, 4096).astype(np.int32))
    dataset = data.Dataset("noise", "0" * 64, data.Scaling(255), 10, part, part, part)
    spec = training.data_spec(dataset, config)
    method = methods.build("semi_supervised_aae", spec=spec)
    mesh = program.layout(config.train, (_BATCH,)).mesh(1)
    arrays = program.place(program.device_data(dataset), mesh)
    run = program.make_program(method, spec, (_BATCH, _BATCH), dataset.scaling, arrays, mesh)
    keys = program.place(jax.vmap(jax.random.key)(jnp.arange(1)), mesh, "seed")
    states = run.load(run.init(keys))
    labelled = jnp.arange(4096)[None]
    order = program.place(run.epoch_order(keys, 0, labelled), mesh, "seed")
    best = 0.0
    for _ in range(1 + _ROUNDS):
        started = time.perf_counter()
        states, metrics = run.advance(states, arrays, order, keys, _UPDATES)
        jax.block_until_ready(metrics)
        best = max(best, _UPDATES / (time.perf_counter() - started))
    return best


def measure() -> str:
    """A line: updates a second by number of devices."""
    found = {}
    for num in DEVICES:
        environment = os.environ | {"JAX_PLATFORMS": "cpu", "JAX_NUM_CPU_DEVICES": str(num)}
        command = [sys.executable, "-m", "benchmarks.scaling", str(num)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{NAME}: {done.stderr.strip().splitlines()[-1]}")
        found[num] = json.loads(done.stdout.splitlines()[-1])
    rates = ", ".join(f"{num}: {rate:.1f}" for num, rate in found.items())
    overhead = " ".join(f"{found[1] / found[num]:.2f}" for num in DEVICES[1:])
    return f"{NAME}: updates a second by devices {rates} (times slower than one: {overhead})"


if __name__ == "__main__":
    if len(sys.argv) > 1:
        print(json.dumps(updates_per_second(int(sys.argv[1]))))
    else:
        print(measure())
