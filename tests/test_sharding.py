"""Four virtual devices against one.

The number of devices is fixed when JAX starts, so this file runs itself as a program with four
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
LAYOUTS = {  # (seed shards, data shards)
    "semi_supervised_aae": ((1, 1), (2, 2)),
    "pixelgan": ((1, 1), (1, 2)),
}
TRANSFORMS = {
    "semi_supervised_aae": ("pmap", "vmap", "shard_map", "shard_map_unchecked"),
    "pixelgan": ("pmap", "shard_map"),
}
MODELS = {
    "semi_supervised_aae": {
        "hidden": (6,),
        "discriminator_hidden": (5,),
        "style_dim": 2,
        "init": "lecun_normal",
        "encoder_batch_norm": "all",
        "schedule.name": "constant",
    },
    "pixelgan": {
        "encoder_features": (2, 3),
        "encoder_dense": 5,
        "discriminator_hidden": (5,),
        "decoder.num_blocks": 1,
        "decoder.features": 2,
        "schedule.name": "constant",
    },
}


def config_of(name: str, seed_shards: int, data_shards: int) -> ml_collections.ConfigDict:
    config = ml_collections.ConfigDict({"model": methods.default_config(name)})
    config.update(training.default_config())
    config.update_from_flattened_dict(
        {f"model.{field}": value for field, value in MODELS[name].items()}
        | {
            "data.num_labels": 24,
            "data.batch_size": 16,
            "data.labelled_batch_size": 8,
            "train.epochs": 1,
            "train.seeds": 2,
            "train.seeds_at_once": 2,
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


def fitted(name: str, layouts: tuple[tuple[int, int], ...]) -> dict:
    """Gaps between runs laid out on several devices and one on a single device."""
    dataset = Dataset("toy", "", Scaling(255), 3, images_of(48), images_of(9), images_of(12))
    results, meshes = {}, {}
    for shards in layouts:
        config = config_of(name, *shards)
        spec = training.data_spec(dataset, config)
        method = methods.build(name, config.model, spec=spec)
        mesh = layout(config.train, (16, 8)).mesh(2)
        meshes[shards] = None if mesh is None else dict(mesh.shape)
        with tempfile.TemporaryDirectory() as workdir:
            results[shards] = training.fit(
                method, dataset, config, spec=spec, workdir=Path(workdir)
            )
    single = results[1, 1]
    start = jax.jit(jax.vmap(method.init))(jax.vmap(jax.random.key)(jnp.arange(2)))
    return {
        "gaps": [largest_gap(results[shards].states, single.states) for shards in layouts[1:]],
        "moved": largest_gap(
            [jax.tree.map(lambda x, i=i: x[i], start.params) for i in range(2)],
            [state.params for state in single.states],
        ),
        "meshes": [meshes[shards] for shards in layouts],
        "curves": [results[shards].curves == single.curves for shards in layouts],
    }


def default_meshes() -> list:
    """The meshes that are chosen where nothing is asked for."""
    chosen = []
    for seeds in (1, 2, 3):
        config = config_of("semi_supervised_aae", 0, 0)
        config.train.seeds = config.train.seeds_at_once = seeds
        chosen.append(dict(layout(config.train, (16, 8)).mesh(seeds).shape))
    return chosen


def uneven_meshes() -> list:
    """Those of 4, 2 and 1 seeds of a run that has four devices for four seeds."""
    config = config_of("semi_supervised_aae", 4, 1)
    config.train.seeds = config.train.seeds_at_once = 4
    plan = layout(config.train, (16, 8))
    return [mesh and dict(mesh.shape) for mesh in map(plan.mesh, (4, 2, 1))]


def with_axis_name(name: str) -> dict:
    """Two updates under a named data axis, in every way to have one, against one device."""

    # Every device draws noise of its own, so noise is off and the priors draw one fixed code.
    def always(code):
        return priors.Prior(len(code), lambda key, num: jnp.tile(jnp.asarray(code), (num, 1)))

    label, style = always([0.0, 1.0, 0.0]), always([0.5, -1.0])
    parts = {
        "semi_supervised_aae": {"label_prior": label, "style_prior": style},
        "pixelgan": {"prior": label},
    }[name]
    model = config_of(name, 1, 1).model
    model.input_noise = 0.0
    spec = DataSpec((4, 4, 1), 3, labelled=True)
    single = methods.build(name, model, spec=spec, parts=parts)
    shared = methods.build(name, model, spec=spec, parts=parts, axis_name="data")
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
        return jax.tree.map(lambda x: x.reshape(2, -1, *x.shape[1:]), tree)

    copies = []

    def on_shards(mapped, copied=False):
        """From a map over a leading axis of shards; all of them end with the same."""

        def step(state, batch, key):
            if copied:
                state = jax.tree.map(lambda x: np.stack([np.asarray(x)] * 2), state)
            found = mapped(state, split(batch), key)
            copies.append(largest_gap(*[jax.tree.map(lambda x, i=i: x[i], found) for i in (0, 1)]))
            return jax.tree.map(lambda x: x[0], found)

        return step

    def in_shard_map(checked):
        everywhere, shards = PartitionSpec(), PartitionSpec("data")
        return jax.jit(
            jax.shard_map(
                shared.train_step,
                mesh=Mesh(np.array(jax.devices()[:2]), ("data",)),
                in_specs=(everywhere, shards, everywhere),
                out_specs=everywhere,
                check_vma=checked,
            )
        )

    steps = {
        "pmap": on_shards(shared.pmapped(), copied=True),
        "vmap": on_shards(
            jax.jit(jax.vmap(shared.train_step, axis_name="data", in_axes=(None, 0, None)))
        ),
        "shard_map": in_shard_map(True),
        "shard_map_unchecked": in_shard_map(False),
    }
    steps = {kind: steps[kind] for kind in TRANSFORMS[name]}
    one_device = jax.jit(single.train_step)
    gaps, ours, theirs = dict.fromkeys(steps, 0.0), start, dict.fromkeys(steps, start)
    for i in range(2):
        ours, our_losses = one_device(ours, batch(i), jax.random.key(i))
        for kind, step in steps.items():
            theirs[kind], their_losses = step(theirs[kind], batch(i), jax.random.key(i))
            gap = largest_gap((ours, our_losses), (theirs[kind], their_losses))
            gaps[kind] = max(gaps[kind], gap)
    return gaps | {"moved": largest_gap(start.params, ours.params), "copies": max(copies)}


def every_program() -> dict:
    return {
        "fit": {name: fitted(name, layouts) for name, layouts in LAYOUTS.items()},
        "default_meshes": default_meshes(),
        "uneven_meshes": uneven_meshes(),
        "axis_name": {name: with_axis_name(name) for name in MODELS},
    }


@pytest.fixture(scope="module")
def on_four_devices(cache_dir):
    flags = " ".join(
        (
            os.environ.get("XLA_FLAGS", ""),
            "--xla_force_host_platform_device_count=4",
            # On a busy machine a virtual device may wait long for the others.
            "--xla_cpu_collective_call_warn_stuck_timeout_seconds=300",
            "--xla_cpu_collective_call_terminate_timeout_seconds=900",
        )
    )
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XLA_FLAGS": flags}
    done = subprocess.run(
        [sys.executable, __file__], cwd=ROOT, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.parametrize("name", MODELS)
def test_shards_of_seeds_and_of_the_batch_train_what_one_device_trains(on_four_devices, name):
    found = on_four_devices["fit"][name]
    first, *others = found["meshes"]
    assert first is None
    assert others == [{"seed": seeds, "data": data} for seeds, data in LAYOUTS[name][1:]]
    assert max(found["gaps"]) < 1e-4
    assert found["moved"] > 0.02
    assert all(found["curves"])


def test_all_devices_are_used_where_nothing_is_asked_for(on_four_devices):
    assert on_four_devices["default_meshes"] == [
        {"seed": 1, "data": 4},
        {"seed": 2, "data": 2},
        {"seed": 1, "data": 4},
    ]


def test_seeds_that_are_left_over_lie_on_fewer_devices(on_four_devices):
    assert on_four_devices["uneven_meshes"] == [
        {"seed": 4, "data": 1},
        {"seed": 2, "data": 1},
        None,
    ]


@pytest.mark.parametrize(
    ("name", "transform"), [(name, kind) for name, kinds in TRANSFORMS.items() for kind in kinds]
)
def test_the_step_under_a_named_data_axis_is_the_step_on_one_device(
    on_four_devices, name, transform
):
    found = on_four_devices["axis_name"][name]
    assert found[transform] < 1e-4
    assert found["copies"] == 0
    assert found["moved"] > 0.02


if __name__ == "__main__":
    assert jax.device_count() == 4
    use_compilation_cache()
    print(json.dumps(every_program()))
