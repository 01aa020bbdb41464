"""One of several processes, or a single one, that trains as the test of processes says:

    python tests/processes_program.py '[["run", "a", 2], ["differ"], ...]' WORKDIR

Says which task it begins; what it found lies in WORKDIR/found-PROCESS.json, for a pipe that nobody
reads would stop it."""

import json
import os
import sys
from pathlib import Path

import jax
import numpy as np

from aae_jax import data, methods, processes, training
from experiments.harness import cli
from experiments.harness.runner import use_compilation_cache


def run(workdir: Path, epochs: int) -> dict:
    """A tiny AAE on digits, two seeds over four devices."""
    config = training.default_config()
    config.data.update(name="digits", batch_size=200, num_labels=40, labelled_batch_size=20)
    config.train.update(epochs=epochs, seeds=2, seeds_at_once=2, log_every=2, checkpoint_every=1)
    config.train.update(seed_shards=2, data_shards=2)
    model = methods.default_config("semi_supervised_aae")
    model.update(hidden=(6,), discriminator_hidden=(5,), style_dim=2, init="lecun_normal")
    model.schedule.name = "constant"
    dataset = data.load("digits")
    spec = training.data_spec(dataset, config)
    method = methods.build("semi_supervised_aae", model, spec=spec)
    result = training.fit(method, dataset, config, spec=spec, workdir=workdir)
    leaves = [jax.tree.leaves(state.params) for state in result.states]
    return {
        "params": [np.concatenate([np.ravel(x) for x in seed]).tolist() for seed in leaves],
        "error": result.metrics["test_error_percent"],
        "updates": result.updates,
    }


def main() -> None:
    tasks, folder = json.loads(sys.argv[1]), Path(sys.argv[2])
    use_compilation_cache()
    if "JAX_PROCESS_ID" in os.environ:
        processes.start(float(os.environ.get("TIMEOUT", 120)))
    every = []
    for task in tasks:
        print(json.dumps({"begins": task}), flush=True)
        if task[0] == "run":
            found = run(folder / task[1], task[2])
        elif task[0] == "differ":
            found = refused(lambda: processes.same(epochs=3 + jax.process_index()))
        elif task[0] == "refuse":  # the second process alone, then the first alone
            found = [refused(lambda i=i: processes.together(lambda: refuse(i))) for i in (1, 0)]
        every.append(found)
        (folder / f"found-{jax.process_index()}.json").write_text(json.dumps(every))


def refuse(process: int) -> None:
    if jax.process_index() == process:
        raise processes.UserError(f"no disk in {process}")


def refused(function) -> str:
    try:
        function()
    except processes.UserError as error:
        return str(error)
    return ""


if __name__ == "__main__":
    cli.run_main(main)
