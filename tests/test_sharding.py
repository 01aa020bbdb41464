"""Eight virtual devices against one.

The number of devices is fixed when JAX starts, so this file runs itself as a program with eight
of them and looks at what that prints.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
import pytest
from jax.sharding import Mesh, PartitionSpec

from aae_jax import methods, priors, training
from aae_jax.core import Batch
from aae_jax.data import Dataset, Images, Scaling
from aae_jax.methods import DataSpec
from aae_jax.program import layout
from experiments.harness.runner import use_compilation_cache

ROOT = Path(__file__).resolve().parents[1]
LAYOUTS = ((1, 1), (2, 4), (1, 8))  # (seed shards, data shards)


def config_of(seed_shards: int, data_shards: int) -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict({"model": methods.default_config("semi_supervised_aae")})
    config.update(training.default_config())
    config.update_from_flattened_dict(
        {
            "model.hidden": (6,),
            "model.discriminator_hidden": (5,),
            "model.style_dim": 2,
            "model.init": "lecun_normal",
            "model.encoder_batch_norm": "all",
            "model.input_noise": 0.3,
            "model.schedule.name": "constant",
            "data.num_labels": 24,
            "data.batch_size": 16,
            "data.labelled_batch_size": 8,
            "train.epochs": 1,
            "train.seeds": 2,
            "train.seeds_at_once": 2,
            "train.updates_per_dispatch": 1,
            "train.seed_shards": seed_shards,
            "train.data_shards": data_shards,
        }
    )
    return config


def images_of(num: int) -> Images:
    rng = np.random.default_rng(num)
    images = rng.integers(0, 256, (num, 4, 4, 1)).astype(np.uint8)
    return Images(images, (np.arange(num) % 3).astype(np.int32))


def largest_gap(ours, theirs) -> float:
    gaps = jax.tree.map(
        lambda a, b: float(np.abs(np.asarray(a) - np.asarray(b)).max()), ours, theirs
    )
    return max(jax.tree.leaves(gaps))


def fitted() -> dict:
    """Gaps between runs laid out on several devices and one on a single device."""
    dataset = Dataset("toy", "", Scaling(255), 3, images_of(48), images_of(9), images_of(12))
    results, meshes = {}, {}
    for shards in LAYOUTS:
        config = config_of(*shards)
        spec = training.data_spec(dataset, config)
        method = methods.build("semi_supervised_aae", config.model, spec=spec)
        plan = layout(config.train, (16, 8))
        meshes[shards] = None if plan.mesh is None else dict(plan.mesh.shape)
        with tempfile.TemporaryDirectory() as workdir:
            results[shards] = training.fit(
                method, dataset, config, spec=spec, workdir=Path(workdir)
            )
    single = results[1, 1]
    start = jax.jit(jax.vmap(method.init))(jax.vmap(jax.random.key)(jnp.arange(2)))
    return {
        "gaps": [largest_gap(results[shards].states, single.states) for shards in LAYOUTS[1:]],
        "moved": largest_gap(
            [jax.tree.map(lambda x, i=i: x[i], start.params) for i in range(2)],
            [state.params for state in single.states],
        ),
        "meshes": [meshes[shards] for shards in LAYOUTS],
        "curves": [results[shards].curves == single.curves for shards in LAYOUTS],
    }


def default_meshes() -> list:
    """The meshes that are chosen where nothing is asked for."""
    chosen = []
    for seeds in (1, 2, 3):
        config = config_of(0, 0)
        config.train.seeds = config.train.seeds_at_once = seeds
        plan = layout(config.train, (16, 8))
        chosen.append(dict(plan.mesh.shape))
    return chosen


def with_axis_name() -> dict:
    """Two updates under a named data axis, in every way to have one, against one device."""
    # Every device draws noise of its own, so noise is off and the priors draw one fixed code.
    one_code = {"categorical": jax.nn.one_hot(1, 3), "gaussian": jnp.array([0.5, -1.0])}
    for name, code in one_code.items():
        sampler = lambda key, num, code=code: jnp.tile(code, (num, 1))  # noqa: E731
        setattr(priors, name, lambda *_, sampler=sampler: sampler)
    model = config_of(1, 1).model
    model.input_noise = 0.0
    spec = DataSpec((4, 4, 1), 3)
    single = methods.build("semi_supervised_aae", model, spec=spec)
    shared = methods.build("semi_supervised_aae", model, spec=spec, axis_name="data")
    start = jax.jit(single.init)(jax.random.key(0))
    images, labelled = images_of(32), images_of(16)

    def batch(step):
        part = slice(16 * step, 16 * step + 16), slice(8 * step, 8 * step + 8)
        return Batch(
            jnp.asarray(images.images[part[0]] / 255, jnp.float32),
            jnp.asarray(labelled.images[part[1]] / 255, jnp.float32),
            jnp.asarray(labelled.labels[part[1]]),
        )

    def split(tree):
        return jax.tree.map(lambda x: x.reshape(8, -1, *x.shape[1:]), tree)

    def on_shards(mapped):
        """From a map over a leading axis of shards; all of them end with the same."""

        def step(state, batch, key):
            return jax.tree.map(lambda x: x[0], mapped(state, split(batch), key))

        return step

    def in_shard_map(checked):
        everywhere, shards = PartitionSpec(), PartitionSpec("data")
        return jax.jit(
            jax.shard_map(
                shared.train_step,
                mesh=Mesh(np.array(jax.devices()), ("data",)),
                in_specs=(everywhere, shards, everywhere),
                out_specs=everywhere,
                check_vma=checked,
            )
        )

    axes = {"axis_name": "data", "in_axes": (None, 0, None)}
    steps = {
        "pmap": on_shards(jax.pmap(shared.train_step, **axes)),
        "vmap": on_shards(jax.jit(jax.vmap(shared.train_step, **axes))),
        "shard_map": in_shard_map(True),
        "shard_map_unchecked": in_shard_map(False),
    }
    one_device = jax.jit(single.train_step)
    gaps, ours, theirs = dict.fromkeys(steps, 0.0), start, dict.fromkeys(steps, start)
    for i in range(2):
        ours, our_losses = one_device(ours, batch(i), jax.random.key(i))
        for name, step in steps.items():
            theirs[name], their_losses = step(theirs[name], batch(i), jax.random.key(i))
            gap = largest_gap((ours, our_losses), (theirs[name], their_losses))
            gaps[name] = max(gaps[name], gap)
    return gaps | {"moved": largest_gap(start.params, ours.params)}


def every_program() -> dict:
    return {"fit": fitted(), "default_meshes": default_meshes(), "axis_name": with_axis_name()}


@pytest.fixture(scope="module")
def on_eight_devices(cache_dir):
    flags = f"{os.environ.get('XLA_FLAGS', '')} --xla_force_host_platform_device_count=8"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, __file__], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


def test_shards_of_seeds_and_of_the_batch_train_what_one_device_trains(on_eight_devices):
    found = on_eight_devices["fit"]
    assert found["meshes"] == [
        None,
        {"seed": 2, "data": 4},
        {"seed": 1, "data": 8},
    ]
    assert max(found["gaps"]) < 1e-4
    assert found["moved"] > 0.05
    assert all(found["curves"])


def test_all_devices_are_used_where_nothing_is_asked_for(on_eight_devices):
    assert on_eight_devices["default_meshes"] == [
        {"seed": 1, "data": 8},
        {"seed": 2, "data": 4},
        {"seed": 1, "data": 8},
    ]


@pytest.mark.parametrize("transform", ["pmap", "vmap", "shard_map", "shard_map_unchecked"])
def test_the_step_under_a_named_data_axis_is_the_step_on_one_device(on_eight_devices, transform):
    found = on_eight_devices["axis_name"]
    assert found[transform] < 1e-4
    assert found["moved"] > 0.05


if __name__ == "__main__":
    assert jax.device_count() == 8
    use_compilation_cache()
    print(json.dumps(every_program()))
