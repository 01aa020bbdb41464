"""fit(): batches, dispatch, seeds, errors, and what it leaves in its directory."""

import json
import os
import shutil
import signal
from typing import NamedTuple

import chex
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from aae_jax import core, methods, rundir, training
from aae_jax.checkpoints import Checkpoints
from aae_jax.core import Phase, State, create_state, named_key, play, play_together
from aae_jax.data import Images, labelled_subset, make_scaling
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluator, classification, clustering
from aae_jax.methods import DataSpec, Method
from aae_jax.program import device_data, is_resident, layout, make_program, scale, streamed


def program_of(dataset, config, method=None):
    spec = training.data_spec(dataset, config)
    method = method or methods.build(config.method, config.model, spec=spec)
    data = device_data(dataset)
    sizes = (config.data.batch_size, config.data.labelled_batch_size)
    return make_program(method, spec, sizes, dataset.scaling, data), data, spec


def seed_keys(*seeds):
    return jax.vmap(jax.random.key)(jnp.asarray(seeds))


def walk(program, data, spec, index, keys, updates):
    """(states, losses [updates, s, m]), one update at a time, without any of fit()."""
    states, losses = program.load(program.init(keys)), []
    for step in range(updates):
        if step % spec.updates_per_epoch == 0:
            order = program.epoch_order(keys, step // spec.updates_per_epoch, index)
        states, loss = program.advance(states, data, order, keys, 1)
        losses.append(np.asarray(loss)[0])
    return states, np.stack(losses)


# Batches.


@pytest.fixture
def epoch_order(toy_dataset, toy_config):
    """The epoch order for seeds 0 and 1 with as many labels as a labelled batch holds."""
    config = toy_config({"data.num_labels": 6, "data.batch_size": 8})
    program, _, spec = program_of(toy_dataset, config)
    assert spec.updates_per_epoch == 7  # 60 // 8, the last 4 images sit the epoch out
    index = np.stack([labelled_subset(toy_dataset.train.labels, 6, 3, seed) for seed in (0, 1)])

    def order(epoch):
        found = program.epoch_order(seed_keys(0, 1), epoch, jnp.asarray(index))
        return jax.tree.map(np.asarray, found)

    return order, index


def test_with_as_many_labels_as_a_batch_every_labelled_batch_is_the_subset(epoch_order):
    order, index = epoch_order
    for seed in (0, 1):
        drawn = order(3)["labelled"][seed].reshape(7, 6)
        expected = np.tile(np.sort(index[seed]), (7, 1))
        np.testing.assert_array_equal(np.sort(drawn, axis=1), expected)
        assert len({tuple(batch) for batch in drawn}) > 1  # shuffled anew on every pass


def test_an_epoch_visits_every_image_at_most_once(epoch_order):
    order, _ = epoch_order
    images = order(0)["images"]
    assert images.shape == (2, 56)
    for seed in (0, 1):
        assert len(np.unique(images[seed])) == 56
        assert 0 <= images[seed].min() <= images[seed].max() < 60


def test_the_order_differs_between_epochs_and_seeds_and_repeats(epoch_order):
    order, _ = epoch_order
    first, second, again = order(0)["images"], order(1)["images"], order(0)["images"]
    assert not np.array_equal(first[0], second[0])
    assert not np.array_equal(first[0], first[1])
    np.testing.assert_array_equal(first, again)


def test_labelled_batches_go_through_the_whole_subset(toy_dataset, toy_config):
    config = toy_config({"data.num_labels": 30, "data.labelled_batch_size": 10})
    program, _, _ = program_of(toy_dataset, config)
    index = labelled_subset(toy_dataset.train.labels, 30, 3, 0)
    drawn = program.epoch_order(seed_keys(0), 0, jnp.asarray(index[None]))["labelled"][0]
    np.testing.assert_array_equal(np.sort(drawn.reshape(2, 30)), np.tile(np.sort(index), (2, 1)))


class Recorder:
    """A method that learns nothing; its state and losses are what a test wants to see."""

    def __init__(self, loss=lambda state, batch: 1.0, param=lambda step: 0.0):
        self.loss, self.param = loss, param

    def method(self):
        def init(key):
            mark = jax.random.uniform(key)
            params = {"n": {"w": jnp.zeros(2), "mark": mark}}
            return State(jnp.zeros((), jnp.int32), params, {"n": {}}, {})

        def train_step(state, batch, key):
            loss = jnp.float32(self.loss(state, batch))
            step = state.step + 1
            params = {"n": {**state.params["n"], "w": jnp.full(2, self.param(step), jnp.float32)}}
            return state._replace(step=step, params=params), {"only/loss": loss}

        def classify(state, images):
            return jnp.tile(jnp.arange(3.0), (images.shape[0], 1))

        return Method(init, train_step, classify)


def test_batches_are_scaled_images_with_their_own_labels(toy_dataset, toy_config):
    config = toy_config()
    images, labels = toy_dataset.train.images / 255, toy_dataset.train.labels

    def distance(state, batch):
        # 0 if each labelled image is found among those of its label, and each image at all.
        gaps = jnp.abs(batch.labelled_images[:, None] - images[None]).max(axis=(2, 3, 4))
        wrong = jnp.where(batch.labels[:, None] == labels[None], gaps, jnp.inf).min(axis=1)
        unseen = jnp.abs(batch.images[:, None] - images[None]).max(axis=(2, 3, 4)).min(axis=1)
        return wrong.max() + unseen.max()

    program, data, spec = program_of(toy_dataset, config, Recorder(distance).method())
    index = jnp.asarray(labelled_subset(labels, 12, 3, 0))[None]
    _, losses = walk(program, data, spec, index, seed_keys(0), 6)
    np.testing.assert_allclose(losses, 0, atol=1e-6)


def test_a_second_domain_is_drawn_by_a_permutation_of_its_own(toy_dataset, toy_config):
    images = np.arange(25, dtype=np.uint8)[:, None, None, None] + np.zeros((1, 2, 3, 1), np.uint8)
    two = toy_dataset._replace(second=Images(images, np.zeros(25, np.int32)))
    config = toy_config({"data.batch_size": 10})

    def mean(state, batch):
        return batch.images.mean() if batch.second_images is None else batch.second_images.mean()

    program, data, spec = program_of(two, config, Recorder(mean).method())
    assert spec.second_shape == (2, 3, 1)
    keys, index = seed_keys(0, 1), jnp.tile(jnp.arange(12), (2, 1))
    order = program.epoch_order(keys, 0, index)
    assert order["second"].shape == (2, 60)  # six batches, from two and a half passes over 25
    for seed in (0, 1):
        passes = np.asarray(order["second"][seed, :50]).reshape(2, 25)
        np.testing.assert_array_equal(np.sort(passes, axis=1), np.tile(np.arange(25), (2, 1)))
        assert not np.array_equal(*passes)
    assert not np.array_equal(order["second"][0], order["second"][1])
    _, seen = program.advance(program.init(keys), data, order, keys, 2)
    drawn = np.asarray(order["second"]).reshape(2, 6, 10)[:, :2].mean(axis=2).T / 255
    np.testing.assert_allclose(seen[..., 0], drawn, rtol=1e-5)

    # What else is drawn does not notice it.
    alone, _, spec = program_of(toy_dataset, config, Recorder(mean).method())
    assert spec.second_shape is None
    without = alone.epoch_order(keys, 0, index)
    assert set(order) - set(without) == {"second"}
    for name in without:
        np.testing.assert_array_equal(without[name], order[name])


def test_standardised_images_have_no_mean_and_unit_deviation(toy_dataset):
    scaling = make_scaling("standardised", 255, toy_dataset.train.images)
    data = device_data(toy_dataset._replace(scaling=scaling))
    images = scale(data["images"], data, scaling)
    np.testing.assert_allclose(images.mean(axis=0), 0, atol=1e-5)
    np.testing.assert_allclose(images.std(axis=0), 1, rtol=1e-3)


def test_data_are_an_argument_and_not_part_of_the_program(toy_dataset, toy_config):
    mean = Recorder(lambda state, batch: batch.images.mean() + batch.labels.mean()).method()
    program, data, _ = program_of(toy_dataset, toy_config(), mean)
    keys, index = seed_keys(0), jnp.asarray(labelled_subset(toy_dataset.train.labels, 12, 3, 0))
    order = program.epoch_order(keys, 0, index[None])
    _, own = program.advance(program.init(keys), data, order, keys, 1)
    other = {"images": 255 - data["images"], "labels": data["labels"] * 0 + 7}
    _, changed = program.advance(program.init(keys), other, order, keys, 1)
    labels = data["labels"][order["labelled"][0, :6]]
    images = data["images"][order["images"][0, :10]] / 255
    np.testing.assert_allclose(own[0, 0, 0], images.mean() + labels.mean(), rtol=1e-5)
    np.testing.assert_allclose(changed[0, 0, 0], 1 - images.mean() + 7, rtol=1e-5)


def test_a_larger_set_makes_no_larger_program(toy_dataset, toy_config):
    def size(repeats):
        train = jax.tree.map(lambda x: np.repeat(x, repeats, axis=0), toy_dataset.train)
        dataset = toy_dataset._replace(train=train)
        program, data, _ = program_of(dataset, toy_config(), Recorder().method())
        keys, index = seed_keys(0), jnp.arange(12)[None]
        order = jax.eval_shape(program.epoch_order, keys, 0, index)
        states = jax.eval_shape(program.init, keys)
        return len(program.advance.lower(states, data, order, keys, 1).as_text())

    small, large = size(1), size(50)
    assert large - small < 200  # a few digits in shapes, for 47,000 bytes of images


# One program, however it is dispatched.


@pytest.fixture
def results(toy_fit):
    """One run of two seeds, dispatched in two ways."""
    return {
        (updates, at_once): toy_fit(
            {"train.seeds": 2, "train.log_every": updates, "train.seeds_at_once": at_once},
            workdir=f"{updates}-{at_once}",
        )
        for updates, at_once in ((1, 1), (3, 2))
    }


def test_scanned_updates_and_seeds_at_once_are_stepwise_and_sequential_ones(results):
    plain, other = results[1, 1], results[3, 2]
    assert other.seeds == plain.seeds == (0, 1)
    for ours, theirs in zip(plain.states, other.states):
        chex.assert_trees_all_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert [[e["step"] for e in curve] for curve in other.curves] == [[6, 12]] * 2
    chex.assert_trees_all_close(plain.metrics, other.metrics, atol=1e-4)
    # The seeds are runs of their own.
    assert not np.allclose(
        plain.states[0].params["decoder"]["Layer_0"]["Dense_0"]["kernel"],
        plain.states[1].params["decoder"]["Layer_0"]["Dense_0"]["kernel"],
    )
    assert len(set(plain.params_sha256)) == 2


@pytest.mark.parametrize("updates", [1, 3])
def test_a_run_traces_its_step_once_and_no_more(toy_fit, updates):
    traced = []

    def count(state, batch):
        traced.append(1)
        return 1.0

    toy_fit(
        {"train.epochs": 4, "train.seeds": 2, "train.log_every": updates},
        wrap=lambda method: Recorder(count).method(),
    )
    assert len(traced) == 1  # for the names of the losses and for the program


def test_evaluation_and_log_cadence(toy_fit, tmp_path):
    result = toy_fit(
        {"train.epochs": 5, "train.evaluate_every": 2, "train.log_every": 4},
        wrap=lambda method: Recorder().method(),
    )
    assert [(e["step"], e["epoch"]) for e in result.curves[0]] == [(12, 2), (24, 4), (30, 5)]
    lines = (tmp_path / "workdir/seed_0/metrics.jsonl").read_text().splitlines()
    steps = [e["step"] for e in map(json.loads, lines) if "only/loss" in e]
    assert steps == [4, 6, 10, 12, 16, 18, 22, 24, 28, 30]
    assert result.updates == 30


# Without labels.


def test_without_labelled_batches_there_is_no_classification(toy_fit, tmp_path):
    changes = {"data.labelled_batch_size": 0, "data.num_labels": 0, "model.num_categories": 4}
    result = toy_fit(changes | {"train.epochs": 1}, evaluators=(clustering(),))
    assert set(result.metrics) == {
        "test_error_percent",
        "test_error_log_odds_percent",
        "test_error_majority_percent",
        "test_error_hungarian_percent",
        "nmi",
        "clusters_in_use",
    }
    assert set(result.states[0].opt_state) == {"reconstruction", "discriminator", "generator"}
    assert "classification" not in (tmp_path / "workdir/seed_0/metrics.jsonl").read_text()


# Losses and parameters that are not finite.


def kept_checkpoints(directory):
    return Checkpoints(directory / "checkpoints").steps()


def test_a_diverging_phase_is_named_with_its_seed_and_step(
    toy_fit, toy_dataset, toy_config, tmp_path
):
    changes = {
        "model.optimizers.reconstruction.learning_rate": 1e9,
        "model.output": "linear",
        "model.encoder_batch_norm": "",  # it would keep the codes in bounds
        "train.epochs": 20,
        "train.checkpoint_every": 1,
        "train.first_seed": 3,
    }
    program, data, spec = program_of(toy_dataset, toy_config(changes))
    index = jnp.asarray(labelled_subset(toy_dataset.train.labels, 12, 3, 3))[None]
    _, losses = walk(program, data, spec, index, seed_keys(3), 60)
    losses = losses[:, 0]
    bad = ~np.isfinite(losses)
    step = int(np.argmax(bad.any(axis=1))) + 1
    assert bad.any()
    # The phase that was the first of that update, in the order in which they run.
    ran = ("reconstruction", "discriminator", "generator", "classification")
    phase = next(p for p in ran if bad[step - 1, program.metric_names.index(f"{p}/loss")])

    with pytest.raises(UserError) as caught:
        toy_fit(changes)
    message = str(caught.value)
    assert f"for seed 3 at update {step}:" in message
    assert f"phase '{phase}'" in message
    # What came first, by a replay, and the phase at fault, whatever the loss that surfaced.
    assert "came first" in message
    assert "lower the learning rate of reconstruction" in message
    assert "reconstruction" in caught.value.phases
    assert "in a run of its own with another --workdir" in message
    assert all(kept < step for kept in kept_checkpoints(tmp_path / "workdir/seed_3"))
    assert not (tmp_path / "workdir/seed_3/result.json").exists()


@pytest.mark.parametrize("at_once", [1, 2])
@pytest.mark.parametrize("updates", [1, 3])
def test_the_first_bad_loss_is_found_inside_a_chunk(toy_fit, tmp_path, at_once, updates):
    marks = [float(jax.random.uniform(named_key(jax.random.key(s), "init"))) for s in (0, 1)]
    threshold = sum(marks) / 2
    bad_seed = int(np.argmax(marks))

    def loss(state, batch):
        bad = (state.step == 13) & (state.params["n"]["mark"] > threshold)  # the 14th update
        return jnp.where(bad, jnp.nan, 1.0)

    with pytest.raises(
        UserError, match=f"phase 'only' became nan for seed {bad_seed} at update 14:"
    ):
        toy_fit(
            {
                "train.epochs": 5,
                "train.seeds": 2,
                "train.seeds_at_once": at_once,
                "train.log_every": updates,
                "train.checkpoint_every": 1,
            },
            wrap=lambda method: Recorder(loss).method(),
        )
    assert kept_checkpoints(tmp_path / "workdir" / f"seed_{bad_seed}") == [6, 12]


def test_parameters_that_are_not_finite_are_refused_even_where_losses_are(toy_fit, tmp_path):
    recorder = Recorder(param=lambda step: jnp.where(step >= 8, jnp.inf, 0.0))
    message = r"parameters became infinite.* seed 0 at update 12: at update 8 the parameters of n"
    with pytest.raises(UserError, match=message):
        toy_fit(
            {"train.epochs": 5, "train.checkpoint_every": 1},
            wrap=lambda method: recorder.method(),
        )
    assert kept_checkpoints(tmp_path / "workdir/seed_0") == [6]


class Bad(NamedTuple):
    """A method of two networks and two phases, of which the second has bad gradients."""

    at: int
    together: bool = False

    def method(self):
        first = Phase("first", ("a",), optax.sgd(0.1))
        second = Phase("second", ("b",), optax.sgd(0.1))

        def init(key):
            params = {"a": {"w": jnp.ones(2)}, "b": {"w": jnp.ones(2)}}
            return create_state(params, {"a": {}, "b": {}}, (first, second))

        def train_step(state, batch, key):
            def of_a(params, stats):
                return jnp.square(params["a"]["w"]).sum() + 0 * params["b"]["w"].sum(), stats

            def of_b(params, stats):
                # The root's value is finite at 0, and its gradient is not.
                here = jnp.where(state.step + 1 == self.at, 0.0, 1.0)
                return jnp.sqrt(here * jnp.square(params["b"]["w"])).sum(), stats

            if self.together:

                def losses(params, stats):
                    return {"a": of_a(params, stats)[0], "b": of_b(params, stats)[0]}, stats

                return play_together(state, losses, (first, {"a": 1.0}), (second, {"b": 1.0}))
            return play(state, (first, of_a), (second, of_b))

        return Method(init, train_step, lambda state, images: jnp.ones((images.shape[0], 3)))


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("at_once", [1, 2])
def test_gradients_that_are_not_finite_are_told_from_the_loss_they_spoil(
    toy_fit, tmp_path, at_once, together
):
    with pytest.raises(training.Diverged) as caught:
        toy_fit(
            {"train.seeds": at_once, "train.seeds_at_once": at_once, "train.epochs": 4},
            wrap=lambda method: Bad(8, together).method(),
        )
    assert caught.value.phases == ("second",)
    message = str(caught.value)
    assert "the loss of phase 'first' became nan for seed 0 at update 9: at update 8 " in message
    assert "the gradients of b in phase 'second' came first, then the parameters of b" in message
    assert "checkpoints" not in message  # there are none yet
    assert core._watched == []


def test_watched_gradients_change_no_update(toy_dataset, toy_config):
    config = toy_config()
    program, data, spec = program_of(toy_dataset, config)
    index = jnp.asarray(labelled_subset(toy_dataset.train.labels, 12, 3, 0))[None]
    plain, _ = walk(program, data, spec, index, seed_keys(0), 2)
    with core.gradients_watched():
        watched, _, _ = program_of(toy_dataset, config)
        other, values = walk(watched, data, spec, index, seed_keys(0), 2)
    chex.assert_trees_all_close(plain, other, rtol=1e-6)
    more = [name for name in watched.metric_names if core.GRADIENTS in name]
    assert "reconstruction/gradients of/encoder" in more
    assert set(watched.metric_names) - set(more) == set(program.metric_names)
    assert (values[:, 0, [watched.metric_names.index(name) for name in more]] == 1).all()


# The directory.


def untrainable(method):
    def train_step(state, batch, key):
        raise AssertionError("trained again")

    return method._replace(train_step=train_step)


def test_a_finished_run_is_repeated_without_training(toy_fit):
    first = toy_fit()
    again = toy_fit(wrap=untrainable)
    assert again.params_sha256 == first.params_sha256
    assert again.metrics == first.metrics
    assert again.curves == first.curves
    assert again.wall_seconds == first.wall_seconds
    chex.assert_trees_all_equal(again.states, first.states)


def test_a_run_without_its_result_scores_its_last_checkpoint_again(toy_fit, tmp_path):
    first = toy_fit()
    (tmp_path / "workdir/seed_0/result.json").unlink()
    again = toy_fit()
    assert again.params_sha256 == first.params_sha256
    assert again.metrics == first.metrics
    assert again.curves == first.curves


def test_more_epochs_extend_and_fewer_are_refused(toy_fit):
    toy_fit({"train.epochs": 2})
    extended = toy_fit({"train.epochs": 4})
    assert extended.params_sha256 == toy_fit({"train.epochs": 4}, workdir="b").params_sha256
    with pytest.raises(UserError, match=r"trained for 4 epochs.*train\.epochs"):
        toy_fit({"train.epochs": 3})


def test_more_seeds_extend(toy_fit):
    one = toy_fit({"train.seeds": 1})
    two = toy_fit({"train.seeds": 2})
    assert two.params_sha256[:1] == one.params_sha256
    assert two.curves[0] == one.curves[0]


def test_a_result_of_other_parameters_is_made_anew(toy_fit, tmp_path, capsys):
    first = toy_fit()
    path = tmp_path / "workdir/seed_0/result.json"
    result = rundir.load_json(path)
    rundir.write_json(path, result | {"params_sha256": "0" * 64, "metrics": {"nonsense": 1.0}})
    again = toy_fit()
    assert "is of other parameters than the checkpoint of update 12" in capsys.readouterr().err
    assert (again.params_sha256, again.metrics) == (first.params_sha256, first.metrics)
    assert rundir.load_json(path)["params_sha256"] == first.params_sha256[0]


@pytest.mark.parametrize("content", [b"", b"[]", b"5", b"null", b"{}", b'{"step": 12}', b"\xff"])
def test_a_damaged_result_is_made_anew(toy_fit, tmp_path, content):
    first = toy_fit()
    (tmp_path / "workdir/seed_0/result.json").write_bytes(content)
    (tmp_path / "workdir/model.json").write_bytes(content)
    again = toy_fit()
    assert (again.params_sha256, again.metrics) == (first.params_sha256, first.metrics)


@pytest.mark.parametrize(
    ("name", "is_file"),
    [("metrics.jsonl", False), ("checkpoints", True), ("tensorboard", True)],
)
def test_an_extension_that_cannot_be_leaves_the_finished_run_alone(
    toy_fit, tmp_path, name, is_file
):
    toy_fit({"train.epochs": 2})
    path = tmp_path / "workdir/seed_0" / name
    path.rename(tmp_path / "away")
    path.write_text("") if is_file else path.mkdir()
    before = files(tmp_path / "workdir")
    with pytest.raises(UserError, match=f"{name} is no .*: move it away"):
        toy_fit({"train.epochs": 4})
    assert files(tmp_path / "workdir") == before


def test_a_curve_goes_on_behind_a_broken_line(toy_fit, tmp_path, capsys):
    whole = toy_fit({"train.epochs": 3})
    path = tmp_path / "workdir/seed_0/metrics.jsonl"
    lines = path.read_text().splitlines()
    lines[1] = lines[1][:10]
    path.write_text("\n".join(lines) + "\n")
    again = toy_fit({"train.epochs": 3})
    assert "metrics.jsonl, line 2 cannot be read" in capsys.readouterr().err
    assert again.curves[0][-1] == whole.curves[0][-1]
    assert len(again.curves[0]) >= 2


def signalling(number):
    """An evaluator that sends this process a signal."""

    def evaluate(evaluation):
        if not evaluation.made_up:
            os.kill(os.getpid(), number)
        yield from classification().evaluate(evaluation)

    return Evaluator(evaluate)


TERMINATING = signalling(signal.SIGTERM)


def test_a_result_stands_until_a_longer_runs_replaces_it(toy_fit, tmp_path):
    toy_fit({"train.epochs": 2})
    before = (tmp_path / "workdir/seed_0/result.json").read_text()
    with pytest.raises(SystemExit):
        toy_fit({"train.epochs": 9}, evaluators=(TERMINATING,))
    assert kept_checkpoints(tmp_path / "workdir/seed_0")[-1] > 12
    assert (tmp_path / "workdir/seed_0/result.json").read_text() == before
    extended = toy_fit({"train.epochs": 4})
    assert extended.params_sha256 == toy_fit({"train.epochs": 4}, workdir="b").params_sha256


def files(directory):
    return {path: path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_a_schedule_that_spans_the_run_is_not_extended(toy_fit, tmp_path):
    cosine = {"model.schedule.name": "cosine", "model.schedule.constant_fraction": 0.5}
    whole = toy_fit(cosine | {"train.epochs": 2})
    before = files(tmp_path / "workdir")
    message = "was begun for 2 epochs, and its schedule spans the run, .* of 4 would be"
    with pytest.raises(UserError, match=message):
        toy_fit(cosine | {"train.epochs": 4})
    assert files(tmp_path / "workdir") == before
    # More seeds of the same length are what they would have been.
    more = toy_fit(cosine | {"train.epochs": 2, "train.seeds": 2})
    assert more.params_sha256[:1] == whole.params_sha256


def test_a_schedule_that_spans_the_run_is_not_changed_half_way(toy_fit, tmp_path):
    cosine = {"model.schedule.name": "cosine"}
    with pytest.raises(SystemExit):
        toy_fit(cosine | {"train.epochs": 6}, evaluators=(TERMINATING,))
    for epochs in (3, 9):
        with pytest.raises(UserError, match="was begun for 6 epochs, and its schedule spans"):
            toy_fit(cosine | {"train.epochs": epochs})
    whole = toy_fit(cosine | {"train.epochs": 6}, workdir="whole")
    assert toy_fit(cosine | {"train.epochs": 6}).params_sha256 == whole.params_sha256


def test_a_seed_has_its_own_directory_however_it_is_dispatched(toy_fit, tmp_path):
    alone = toy_fit({"train.seeds": 3, "train.epochs": 3}, workdir="alone")
    toy_fit({"train.seeds": 1, "train.epochs": 1})
    toy_fit({"train.seeds": 3, "train.seeds_at_once": 3, "train.epochs": 2})
    mixed = toy_fit({"train.seeds": 3, "train.seeds_at_once": 2, "train.epochs": 3})
    assert sorted(path.name for path in (tmp_path / "workdir").iterdir()) == [
        ".lock",
        "model.json",
        "seed_0",
        "seed_1",
        "seed_2",
    ]
    for ours, theirs in zip(mixed.states, alone.states, strict=True):
        chex.assert_trees_all_close(ours, theirs, rtol=1e-4, atol=1e-5)
    for seed in range(3):
        log = (tmp_path / f"workdir/seed_{seed}/metrics.jsonl").read_text().splitlines()
        other = (tmp_path / f"alone/seed_{seed}/metrics.jsonl").read_text().splitlines()
        entries = [[json.loads(line) for line in lines] for lines in (log, other)]
        for entry in entries[0] + entries[1]:
            del entry["crc32"]  # of numbers that are the same to rounding only
        chex.assert_trees_all_close(*entries, rtol=1e-3, atol=1e-3)
        assert {entry["seed"] for entry in entries[0]} == {seed}


def test_seeds_of_one_program_that_a_kill_left_apart_go_on_together(toy_fit, tmp_path, capfd):
    changes = {
        "train.seeds": 2,
        "train.seeds_at_once": 2,
        "train.epochs": 4,
        "train.checkpoint_every": 1,
    }
    whole = toy_fit(changes, workdir="whole")
    toy_fit(changes)
    # Killed while the last checkpoints were written: that of seed 1 is not there.
    for seed in (0, 1):
        (tmp_path / f"workdir/seed_{seed}/result.json").unlink()
    shutil.rmtree(tmp_path / "workdir/seed_1/checkpoints/24")
    capfd.readouterr()
    again = toy_fit(changes)
    assert "seeds 0, 1:" in capfd.readouterr().err
    assert again.params_sha256 == whole.params_sha256
    for seed in (0, 1):
        assert kept_checkpoints(tmp_path / f"workdir/seed_{seed}") == [18, 24]
        log = f"seed_{seed}/metrics.jsonl"
        assert (tmp_path / "workdir" / log).read_text() == (tmp_path / "whole" / log).read_text()


def test_a_terminated_run_keeps_a_checkpoint_and_goes_on(toy_fit, tmp_path, capsys):
    whole = toy_fit({"train.epochs": 6}, workdir="whole")

    handler = signal.getsignal(signal.SIGTERM)
    with pytest.raises(SystemExit) as caught:
        toy_fit({"train.epochs": 6}, evaluators=(TERMINATING,))
    assert caught.value.code == 143
    assert signal.getsignal(signal.SIGTERM) == handler
    (step,) = kept_checkpoints(tmp_path / "workdir/seed_0")
    assert step == 9  # the chunk that was on its way when update 6 was looked at
    assert f"checkpoint of update {step} is written" in capsys.readouterr().err
    assert toy_fit({"train.epochs": 6}).params_sha256 == whole.params_sha256
    log = [(tmp_path / name / "seed_0/metrics.jsonl").read_text() for name in ("whole", "workdir")]
    assert log[0] == log[1]


def test_an_interrupted_run_keeps_a_checkpoint_and_goes_on(toy_fit, tmp_path):
    whole = toy_fit({"train.epochs": 6}, workdir="whole")
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt, match="interrupted: checkpoint of update 9 is written"):
        toy_fit({"train.epochs": 6}, evaluators=(signalling(signal.SIGINT),))
    assert signal.getsignal(signal.SIGINT) == handler
    assert kept_checkpoints(tmp_path / "workdir/seed_0") == [9]
    assert toy_fit({"train.epochs": 6}).params_sha256 == whole.params_sha256


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_at_the_end_is_not_forgotten(toy_fit, tmp_path, number, capsys):
    ended = KeyboardInterrupt if number == signal.SIGINT else SystemExit
    with pytest.raises(ended) as caught:
        toy_fit({"train.epochs": 1}, evaluators=(signalling(number),))
    assert "seed 0 is trained" in f"{caught.value} {capsys.readouterr().err}"
    assert (tmp_path / "workdir/seed_0/result.json").exists()
    toy_fit({"train.epochs": 1}, wrap=untrainable)


def test_an_interrupt_that_is_ignored_stays_so(toy_fit):
    handler = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        toy_fit({"train.epochs": 1}, evaluators=(signalling(signal.SIGINT),))
        assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGINT, handler)


def test_a_signal_at_the_end_of_one_seed_stops_before_the_next(toy_fit, tmp_path):
    handler = signal.signal(signal.SIGTERM, lambda *_: None)
    try:
        with pytest.raises(SystemExit) as caught:
            changes = {"train.epochs": 1, "train.seeds": 2}
            toy_fit(changes, evaluators=(TERMINATING,))
    finally:
        signal.signal(signal.SIGTERM, handler)
    assert caught.value.code == 143
    assert not (tmp_path / "workdir/seed_1/result.json").exists()


# Settings that cannot be trained.


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("data.batch_size", 61, "data.batch_size is 61, but there are only 60 images"),
        ("data.labelled_batch_size", 13, "labelled_batch_size is 13, but there are only 12"),
        ("data.batch_size", 0, "data.batch_size is 0; it must be at least 1"),
        ("train.epochs", 0, "train.epochs is 0; it must be at least 1"),
        ("train.seeds", 0, "train.seeds is 0; it must be at least 1"),
        ("train.log_every", 0, "train.log_every is 0"),
        ("data.num_labels", 61, "must be between 0"),
        ("data.num_labels", 59, "class 2 has 20 examples|class . has"),
    ],
)
def test_settings_that_cannot_be_trained_are_refused(
    toy_dataset, toy_config, field, value, message
):
    if field == "data.num_labels" and value == 59:
        labels = np.where(np.arange(60) < 2, toy_dataset.train.labels, 0).astype(np.int32)
        toy_dataset = toy_dataset._replace(train=toy_dataset.train._replace(labels=labels))
    with pytest.raises(UserError, match=message):
        training.data_spec(toy_dataset, toy_config({field: value}))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"train.seeds": 3, "train.seeds_at_once": 3, "train.seed_shards": 2}, "do not divide"),
        ({"train.seeds": 3, "train.seeds_at_once": 2, "train.seed_shards": 2}, "do not divide"),
        ({"train.data_shards": 4}, "batches of 10 and 6 images do not divide over 4"),
        ({"train.data_shards": 2}, "need more than the 1 devices"),
    ],
)
def test_layouts_that_do_not_fit_are_refused(toy_config, changes, message):
    if jax.device_count() > 1:
        changes = changes | {"train.data_shards": 2 * jax.device_count()}
    config = toy_config(changes)
    with pytest.raises(UserError, match=message):
        layout(config.train, (10, 6))


def test_the_default_on_a_cpu_is_one_seed_at_a_time(toy_config):
    plan = layout(toy_config({"train.seeds_at_once": 0, "train.seeds": 5}).train, (10, 6))
    assert (plan.seeds_at_once, plan.mesh(1)) == (1, None)


def test_data_spec_counts_updates_of_the_unlabelled_set(toy_dataset, toy_config):
    spec = training.data_spec(toy_dataset, toy_config({"data.batch_size": 8}))
    expected = DataSpec((4, 4, 1), 3, updates_per_epoch=7, epochs=2, labelled=True, num_images=60)
    assert spec == expected


@pytest.mark.parametrize("seeds_at_once", [1, 2])
def test_a_set_that_stays_on_the_host_trains_to_the_same_bits(toy_fit, seeds_at_once):
    """Labels and two seeds; stopped after an epoch and taken up again."""
    changes = {"train.seeds": 2, "train.seeds_at_once": seeds_at_once, "train.log_every": 4}
    resident = toy_fit(changes, workdir="resident")
    on_host = changes | {"train.resident_share": 0.0, "train.checkpoint_every": 1}
    toy_fit(on_host | {"train.epochs": 1}, workdir="streamed")
    result = toy_fit(on_host, workdir="streamed")
    assert result.params_sha256 == resident.params_sha256
    assert result.metrics == resident.metrics


def test_what_updates_take_of_a_set_on_the_host():
    """Two seeds, five updates an epoch of which the second and third are taken; a second domain."""
    rng = np.random.default_rng(0)
    data = {
        "images": np.arange(100),
        "labels": np.arange(100) % 7,
        "second_images": 1000 + np.arange(30),
        "shift": np.zeros(3),
    }
    sizes = {"images": 4, "labelled": 3, "second": 4}
    order = {name: rng.integers(0, 30, (2, 5 * size)) for name, size in sizes.items()}
    taken, places = streamed(data, order, (4, 3), 1, 2)
    assert len(taken["images"]) == len(taken["labels"]) == 2 * 2 * (4 + 3)
    assert len(taken["second_images"]) == 2 * 2 * 4 and len(taken["shift"]) == 3
    for name, source in (("images", "images"), ("labelled", "labels"), ("second", "second_images")):
        entries = slice(sizes[name], 3 * sizes[name])
        seen = taken[source][places[name][:, entries]]
        np.testing.assert_array_equal(seen, data[source][order[name][:, entries]])


def test_which_sets_lie_on_the_device():
    arrays = {"images": np.zeros((10, 4), np.uint8)}
    assert is_resident(arrays, 0.5) and not is_resident(arrays, 0.0)
