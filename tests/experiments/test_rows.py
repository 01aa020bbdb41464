"""Every row of every experiment: its names, its data, and that its networks fit together.

One row of each runs from end to end in the tests beside this one.
"""

import importlib
import json

import jax
import jax.numpy as jnp
import pytest

from aae_jax import data as datasets
from aae_jax import methods
from aae_jax.core import Batch
from aae_jax.networks.common import initializer
from configs.base import PROFILES
from experiments.harness import catalogue, cli, reproduce
from experiments.harness.tables import on_named_data

# Image shape, classes and grey levels of the sets that lie on the disk.
SHAPES = {
    "mnist": ((28, 28, 1), 10, 256),
    "svhn_cropped": ((32, 32, 3), 10, 256),
    "smallnorb": ((32, 32, 1), 5, 256),
    "tfd/0": ((48, 48, 1), 7, 256),
    "celeba_48": ((48, 48, 3), 2, 256),
    "fashion_mnist": ((28, 28, 1), 10, 256),
    "cifar10": ((32, 32, 3), 10, 256),
    "cifar10_jpeg": ((32, 32, 3), 10, 256),
    "cifar100": ((32, 32, 3), 100, 256),
    "celeba_64": ((64, 64, 3), 2, 256),
    "faces_32": ((32, 32, 1), 1, 256),
    "lsun_bedroom_64": ((64, 64, 3), 1, 256),
    "edges2shoes": ((64, 128, 3), 1, 256),
    "digits": ((8, 8, 1), 10, 17),
    "captioned_digits": ((28, 28, 3), 10, 256),
    "flowers": ((64, 64, 3), 102, 256),
    "birds": ((64, 64, 3), 200, 256),
}
CAPTIONED = ("captioned_digits", "flowers", "birds")
NOWHERE = "/nonexistent"  # where no data set lies
TABLES = [name for name in catalogue.names() if hasattr(catalogue.module(name), "TABLE")]
TRACED: set = set()  # by an experiment before it
REDRAWN = [name for name in catalogue.names() if name not in TABLES]


def rows_of(name):
    return reproduce.rows_of(catalogue.module(name))


def load(name, row, profile):
    return cli.load_config(f"{catalogue.config_file(name)}:{row},{profile}")[0]


@pytest.mark.parametrize("name", TABLES)
def test_a_table_and_its_config_name_the_same_rows_and_data(name):
    module = importlib.import_module("configs." + name.replace("_", ".", 1))
    assert tuple(rows_of(name)) == module.ROWS
    for row in catalogue.module(name).TABLE.rows:
        for profile in PROFILES:
            config = load(name, row.name, profile)
            assert (config.experiment, config.row, config.profile) == (name, row.name, profile)
            if profile == "smoke":
                assert datasets.is_available(config.data.name, NOWHERE, NOWHERE)
            else:
                assert on_named_data(row, {"dataset": config.data.name})


@pytest.mark.parametrize("name", REDRAWN)
def test_what_redraws_a_table_names_rows_of_it(name):
    drawn = catalogue.module(name).DRAWS
    assert drawn in TABLES and set(rows_of(name)) <= set(rows_of(drawn))


def form(data):
    if data in SHAPES:
        return SHAPES[data]
    dataset = datasets.load(data)  # one that is made, not read
    return dataset.train.images.shape[1:], dataset.num_classes, dataset.scaling.max_value + 1


def specs(name):
    """(config, spec) of an experiment's rows and profiles, whether to trace its networks and
    whether to trace its step: of those that differ only in rates and the like, which no shape
    depends on, in how wide and deep their layers are, or in whether these are normalised, one.
    Networks are traced on every form of data, and the step with every setting of the method's
    switches, every optimizer and every form of the game on some networks."""
    found = []
    for row in rows_of(name):
        for profile in reversed(PROFILES):  # the shallower first
            config = load(name, row, profile)
            shape, classes, levels = form(config.data.name)
            if config.data.domains == "right_to_left":
                shape = (shape[0], shape[1] // 2, shape[2])
            if config.data.domains == "half_edges":
                shape = (shape[0] // 2, shape[1] // 2, shape[2])
            spec = methods.DataSpec(
                shape,
                len(config.data.classes) or classes,
                updates_per_epoch=3,
                epochs=config.train.epochs,
                labelled=config.data.labelled_batch_size > 0,
                num_levels=levels,
                scaling=config.data.scaling,
                second_shape=shape if config.data.domains else None,
            )
            if config.data.name.split("/")[0] in CAPTIONED:
                spec = spec._replace(caption_length=4, vocabulary_size=9)
            settings = json.loads(
                config.model.to_json_best_effort(), parse_float=on_or_off, parse_int=none_one_more
            )
            flat = dict(flattened(settings))
            networks = {key: value for key, value in flat.items() if not switches(key, value)}
            others = {key: value for key, value in flat.items() if switches(key, value)}
            found.append((config, spec, networks, others))
    on = {i: sum(value is True for value in row[3].values()) for i, row in enumerate(found)}
    for i in sorted(on, key=lambda i: -on[i]):
        config, spec, networks, others = found[i]
        of_networks = config.method, json.dumps(networks), spec._replace(epochs=1)
        of_step = config.method, json.dumps(others), spec.labelled
        yield config, spec, of_networks not in TRACED, of_step not in TRACED
        TRACED.update((of_networks, of_step))


def switches(key, value):
    return isinstance(value, bool) or key == "game" or key.startswith("optimizers.")


def flattened(settings, prefix=""):
    """Settings by their dotted names, without schedules, initial weights, and switches of batch
    norm."""
    for name, value in settings.items():
        if isinstance(value, dict) and name != "schedule":
            yield from flattened(value, f"{prefix}{name}.")
        elif name not in ("schedule", "init") and not (
            name == "batch_norm" and isinstance(value, bool)
        ):
            yield prefix + name, value


def on_or_off(number):
    return bool(float(number))


def none_one_more(number):
    return min(int(number), 2)


@pytest.mark.parametrize("name", TABLES)
def test_every_rows_networks_fit_its_data(name):
    for config, spec, fresh_networks, fresh_step in specs(name):
        method = methods.build(config.method, config.model, spec=spec)
        initializer(config.model.get("init", "he_normal"))
        if not (fresh_networks or fresh_step):
            continue
        images = jnp.zeros((2, *spec.image_shape))
        labelled = (images, jnp.zeros(2, jnp.int32)) if spec.labelled else ()
        words = (jnp.zeros((2, 4), jnp.int32), jnp.arange(2)) if spec.caption_length else ()
        steps = config.model.get("critic_steps", 1)
        batch = Batch(jnp.zeros((2 * steps, *spec.image_shape)), *labelled)._replace(
            **dict(zip(("captions", "caption_classes"), words))
        )
        key = jax.random.key(0)
        state = jax.eval_shape(method.init, key)
        if spec.second_shape is not None:
            batch = batch._replace(second_images=images)
        if fresh_step:
            after, losses = jax.eval_shape(method.train_step, state, batch, key)
            assert jax.tree.structure(after) == jax.tree.structure(state)
            same = jax.tree.map(lambda a, b: (a.shape, a.dtype) == (b.shape, b.dtype), after, state)
            assert all(jax.tree.leaves(same)), (config.row, config.profile)
            assert all(name.count("/") <= 1 and loss.shape == () for name, loss in losses.items())
        if method.classify is not None:
            clusters = config.model.get("num_categories", 0) or spec.num_classes
            assert jax.eval_shape(method.classify, state, images).shape == (2, clusters)
        if method.evaluate is not None:
            assert jax.eval_shape(method.evaluate, state, images).shape[0] == 2
