"""Evaluators: what they see, when they run, how often anything is computed, what they refuse."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import evaluators, training
from aae_jax.core import State, named_key
from aae_jax.data import Images
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluator, classification, clustering, cost
from aae_jax.methods import Method


def counting_method():
    """A method whose parameter is the number of updates, and whose functions show it."""

    def init(key):
        return State(
            jnp.zeros((), jnp.int32), {"n": {"w": jnp.zeros(2)}}, {"n": {}}, {"p": jnp.ones(1)}
        )

    def train_step(state, batch, key):
        step = state.step + 1
        params = {"n": {"w": jnp.full(2, step, jnp.float32)}}
        return state._replace(step=step, params=params), {"only/loss": 1.0, "only/share": 0.25}

    def classify(state, images):
        calls.append("classify")
        return jnp.tile(jax.nn.one_hot(0, 3), (images.shape[0], 1))

    def evaluate(state, images):
        calls.append("evaluate")
        return images.reshape(images.shape[0], -1) * state.params["n"]["w"][0]

    def sample(state, key, num):
        calls.append("sample")
        return jax.random.uniform(key, (num, 4, 4, 1)) + state.params["n"]["w"][0]

    calls = []
    method = Method(init, train_step, classify=classify, evaluate=evaluate, sample=sample)
    return method, calls


@pytest.fixture
def counted(toy_fit):
    """``fit`` of that method: (result, calls)."""

    def run(changes=None, **options):
        method, calls = counting_method()
        changes = {"train.checkpoint_every": 100} | (changes or {})
        result = toy_fit(changes, wrap=lambda _: method, **options)
        return result, calls

    return run


# What they see.


def test_errors_are_those_of_both_held_out_splits(counted, toy_dataset):
    result, _ = counted({"train.epochs": 1})
    for name in ("validation", "test"):
        expected = 100 * np.mean(getattr(toy_dataset, name).labels != 0)
        assert result.metrics[f"{name}_error_percent"] == pytest.approx([expected])


def test_outputs_are_of_all_images_in_order_whatever_the_blocks(counted, toy_dataset):
    seen = {}

    def look(evaluation):
        for split in ("train", "validation", "test"):
            seen[split] = evaluation.outputs("evaluate", split)
        return ()

    counted({"train.epochs": 1, "train.evaluation_batch_size": 7}, evaluators=(Evaluator(look),))
    for split, found in seen.items():
        images = getattr(toy_dataset, split).images
        expected = 6 * (images.reshape(len(images), -1) / 255)
        np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_an_evaluation_is_of_its_own_step_though_training_went_on(counted):
    seen = []

    def look(evaluation):
        if not evaluation.made_up:
            w = float(evaluation.state.params["n"]["w"][0])
            images = evaluation.call("sample", evaluation.key("look"), 5)
            (cheapest,) = np.unique(np.floor(images))
            seen.append((evaluation.step, w, cheapest, evaluation.outputs("evaluate", "test")))
        return ()

    result, _ = counted({"train.epochs": 3}, evaluators=(Evaluator(look),))
    assert [entry[:3] for entry in seen] == [(6, 6.0, 6.0), (12, 12.0, 12.0), (18, 18.0, 18.0)]
    np.testing.assert_allclose(seen[2][3], 3 * seen[0][3], rtol=1e-5)
    assert result.metrics == {}
    assert result.curves == [[]]


def test_a_key_is_a_function_of_seed_and_purpose(counted):
    keys = []

    def look(evaluation):
        keys.append((evaluation.seed, jax.random.key_data(evaluation.key("parzen")).tolist()))
        return ()

    counted({"train.seeds": 2, "train.epochs": 2}, evaluators=(Evaluator(look),))
    expected = [
        (seed, jax.random.key_data(named_key(jax.random.key(seed), "parzen")).tolist())
        for seed in (0, 0, 0, 1, 1)  # the first before training
    ]
    assert keys == expected


# When, and how often.


def test_each_has_a_cadence_of_its_own_and_all_run_at_the_end(counted):
    result, _ = counted(
        {"train.epochs": 5, "train.evaluate_every": 2},
        evaluators=(classification(), cost("gap", every=3)),
    )
    found = [
        (entry["epoch"], "test_error_percent" in entry, "test_gap" in entry)
        for entry in result.curves[0]
    ]
    assert found == [(2, True, False), (3, False, True), (4, True, False), (5, True, True)]


def test_what_two_evaluators_need_is_computed_once(toy_fit, toy_dataset):
    method, _ = counting_method()
    ran = []

    def classify(state, images):
        jax.debug.callback(lambda: ran.append(1))
        return method.classify(state, images)

    def other(evaluation):
        yield "other", float(evaluation.outputs("classify", "test").sum())

    toy_fit(
        {"train.epochs": 2, "train.seeds": 2, "train.evaluation_batch_size": 100},
        evaluators=(classification(), Evaluator(other)),
        wrap=lambda _: method._replace(classify=classify),
    )
    jax.effects_barrier()
    assert len(ran) == 2 * 2 * 2  # epochs, seeds and splits


@pytest.mark.parametrize("at_once", [1, 2])
def test_a_function_is_compiled_once_in_a_run(counted, at_once):
    def samples(evaluation):
        yield "mean", float(np.mean(evaluation.call("sample", evaluation.key("samples"), 3)))

    _, calls = counted(
        {
            "train.epochs": 3,
            "train.seeds": 2,
            "train.seeds_at_once": at_once,
            "train.evaluation_batch_size": 18,
        },
        evaluators=(classification(), Evaluator(samples)),
    )
    # Before training once for each split; then once for each size of a block: 18 images of the
    # validation set and of the test set, and 6 that the test set has over.
    assert calls.count("classify") == 2 + 2
    assert calls.count("sample") == 1 + 1


def test_a_finished_run_is_looked_at_by_a_new_evaluator_without_training(counted):
    first, _ = counted()
    again, calls = counted(evaluators=(classification(), cost("gap")))
    assert again.params_sha256 == first.params_sha256
    assert again.metrics["test_error_percent"] == first.metrics["test_error_percent"]
    assert again.metrics["test_gap"][0] > 0
    _, calls = counted(evaluators=(classification(), cost("gap")))
    assert len(calls) == 4  # the look before training, and no more


def test_a_new_evaluator_does_not_take_a_trained_seed_back(counted, tmp_path, capfd):
    both = (classification(), cost("gap"))
    changes = {"train.checkpoint_every": 1, "train.seeds_at_once": 2, "train.seeds": 2}
    counted(changes | {"train.seeds": 1}, evaluators=both)
    counted(changes | {"train.epochs": 1, "train.first_seed": 1, "train.seeds": 1})
    capfd.readouterr()
    result, _ = counted(changes, evaluators=(*both, cost("other")))
    shown = capfd.readouterr().err
    assert "seed 1:" in shown and "seed 0:" not in shown and "seeds 0" not in shown
    assert result.metrics["test_other"] == result.metrics["test_gap"]
    assert min(result.metrics["test_gap"]) > 0


# What is refused, before training.


def without(dataset, *names):
    return dataset._replace(
        **{name: Images(dataset.test.images[:0], dataset.test.labels[:0]) for name in names}
    )


@pytest.mark.parametrize(
    ("missing", "follow", "message"),
    [
        (("validation",), clustering(), r"named on validation images: lower data\.unlabelled"),
        (("test",), clustering(), "toy has no test images to measure clusters on"),
        (("validation", "test"), classification(), "toy has neither validation nor test images"),
        (("validation", "test"), cost("gap"), "toy has neither validation nor test images"),
    ],
)
def test_missing_splits_are_refused_before_training(
    toy_fit, toy_dataset, toy_config, tmp_path, missing, follow, message
):
    config, dataset = toy_config(), without(toy_dataset, *missing)
    spec = training.data_spec(dataset, config)
    with pytest.raises(UserError, match=message):
        training.fit(
            counting_method()[0],
            dataset,
            config,
            spec=spec,
            workdir=tmp_path / "workdir",
            evaluators=(follow,),
        )
    assert not (tmp_path / "workdir").exists()


def test_without_a_test_split_the_validation_set_is_followed(toy_dataset, toy_config, tmp_path):
    config, dataset = toy_config({"train.epochs": 1}), without(toy_dataset, "test")
    result = training.fit(
        counting_method()[0],
        dataset,
        config,
        spec=training.data_spec(dataset, config),
        workdir=tmp_path / "workdir",
    )
    assert set(result.metrics) == {"validation_error_percent"}


@pytest.mark.parametrize(
    ("follow", "message"),
    [
        ((classification(), classification()), "two evaluators follow 'validation_error_percent'"),
        ((cost("gap"),), "cannot be scored by 'evaluate', which it does not have"),
    ],
)
def test_evaluators_that_cannot_be_had_are_refused(toy_dataset, follow, message):
    method = counting_method()[0]._replace(evaluate=None)
    with pytest.raises(UserError, match=message):
        evaluators.check(follow, method, toy_dataset)


def test_more_clusters_than_validation_images_are_refused(toy_dataset):
    method = counting_method()[0]._replace(classify=lambda state, x: jnp.zeros((x.shape[0], 19)))
    with pytest.raises(UserError, match="19 clusters cannot be named by 18 validation images"):
        evaluators.check((clustering(),), method, toy_dataset)


def test_metrics_that_are_no_losses_are_logged_too(counted, tmp_path):
    counted({"train.epochs": 1})
    assert '"only/share": 0.25' in (tmp_path / "workdir/seed_0/metrics.jsonl").read_text()


def test_the_default_is_the_error_the_cost_or_nothing(toy_fit):
    method, _ = counting_method()
    for i, (kept, names) in enumerate(
        (
            (method, {"validation_error_percent", "test_error_percent"}),
            (method._replace(classify=None), {"validation_cost", "test_cost"}),
            (method._replace(classify=None, evaluate=None), set()),
        )
    ):
        result = toy_fit({"train.epochs": 1}, wrap=lambda _, kept=kept: kept, workdir=str(i))
        assert set(result.metrics) == names
