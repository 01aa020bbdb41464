"""load(): what was trained comes back without its data, and where it cannot it says why."""

import json
import shutil
import time

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import aae_jax
from aae_jax import methods, rundir, training
from aae_jax.core import Batch
from aae_jax.errors import UserError


@pytest.fixture(scope="module")
def workdir(tmp_path_factory):
    return tmp_path_factory.mktemp("zoo") / "run"


@pytest.fixture
def trained(workdir, toy_dataset, toy_config):
    """(workdir, the result, the method) of a run of two seeds, trained once for all tests."""
    config = toy_config({"train.seeds": 2, "train.epochs": 1})
    spec = training.data_spec(toy_dataset, config)
    method = methods.build(config.method, config.model, spec=spec)
    result = training.fit(method, toy_dataset, config, spec=spec, workdir=workdir)
    return workdir, result, method


def files(directory):
    return sorted((path, path.stat().st_mtime_ns) for path in directory.rglob("*"))


@pytest.mark.parametrize("seed", [0, 1])
def test_the_state_comes_back_with_a_method_that_samples_and_classifies(trained, toy_dataset, seed):
    directory, result, original = trained
    before = files(directory)
    method, state = aae_jax.load(directory, seed)
    assert files(directory) == before
    for ours, theirs in zip(
        jax.tree.leaves(state), jax.tree.leaves(result.states[seed]), strict=True
    ):
        assert isinstance(ours, jax.Array)
        np.testing.assert_array_equal(ours, theirs)
    key, images = jax.random.key(3), toy_dataset.test.images / np.float32(255)
    samples = method.sample(state, key, 5)
    np.testing.assert_array_equal(samples, original.sample(result.states[seed], key, 5))
    errors = method.classify(state, images).argmax(-1) != toy_dataset.test.labels
    assert 100 * errors.mean() == pytest.approx(result.metrics["test_error_percent"][seed])
    batch = Batch(images[:10], images[:6], toy_dataset.test.labels[:6])
    after, _ = jax.jit(method.train_step)(state, batch, key)
    assert int(after.step) == 7


def test_a_seeds_directory_does_as_well(trained):
    directory, result, _ = trained
    _, state = aae_jax.load(str(directory / "seed_1"))
    np.testing.assert_array_equal(
        jax.tree.leaves(state.params)[0], jax.tree.leaves(result.states[1].params)[0]
    )


def test_a_run_that_is_in_use_can_be_loaded(toy_fit, tmp_path):
    loaded = []

    def look(evaluation):
        if evaluation.step == 12:
            deadline = time.monotonic() + 60  # the checkpoint is written in the background
            while not (tmp_path / "workdir/seed_0/checkpoints/6").exists():
                assert time.monotonic() < deadline
                time.sleep(0.01)
            loaded.append(aae_jax.load(tmp_path / "workdir")[1])
        return ()

    toy_fit(
        {"train.epochs": 2, "train.checkpoint_every": 1},
        evaluators=(aae_jax.evaluators.Evaluator(look),),
    )
    assert int(loaded[0].step) == 6


def spoil(directory, **changes):
    path = directory / "model.json"
    rundir.write_json(path, rundir.load_json(path) | changes)


@pytest.fixture
def copied(trained, tmp_path):
    """A copy of the run that a test may spoil."""
    shutil.copytree(trained[0], tmp_path / "run")
    return tmp_path / "run"


def test_what_cannot_be_loaded_says_why(copied, tmp_path):
    def refused(message, directory=copied, seed=0, **options):
        with pytest.raises(UserError, match=message) as caught:
            aae_jax.load(directory, seed, **options)
        assert "\n" not in str(caught.value)
        assert "delete" not in str(caught.value)

    refused(r"nowhere is no directory: give the --workdir", tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    refused("empty holds no run: give a directory with seed_0", tmp_path / "empty")
    refused("has no seed 7: it has 0, 1", seed=7)
    model = json.loads((copied / "model.json").read_text())["model"]
    spoil(copied, model=model | {"style_dim": 3})
    refused("is another model's: .* is .*2 of float32 there and .*3 of float32 here")
    spoil(copied, model=model | {"stile_dim": 3})
    refused("has no setting 'stile_dim': did you mean 'style_dim'")
    spoil(copied, model=model, method="semi_supervised_aee")
    refused("unknown method 'semi_supervised_aee': did you mean 'semi_supervised_aae'")
    spoil(copied, method=None)
    refused(r"was trained by a method of one's own: build the method and call load\(")
    spoil(copied, method="semi_supervised_aae", own=["style_prior"])
    refused(r"was trained with style_prior of one's own: build the method and call load\(")
    spoil(copied, own=[], spec={"image_form": [4, 4, 1]})
    refused("was written by another version")
    (copied / "model.json").unlink()
    refused(r"model\.json is missing or cannot be read, so nothing says what was trained")
    (copied / "seed_2").mkdir()
    method = methods.build("aae", spec=methods.DataSpec((4, 4, 1)))
    refused("seed 2 of .* has no checkpoint yet", seed=2, method=method)


def test_parts_of_ones_own_are_loaded_by_the_method_that_has_them(
    toy_dataset, toy_config, tmp_path
):
    config = toy_config({"train.epochs": 1})
    spec = training.data_spec(toy_dataset, config)
    prior = aae_jax.priors.Prior(2, lambda key, num: jnp.full((num, 2), 7.0))
    parts = {"style_prior": prior}
    method = methods.build(config.method, config.model, spec=spec, parts=parts)
    result = training.fit(method, toy_dataset, config, spec=spec, workdir=tmp_path / "run")
    with pytest.raises(UserError, match="with style_prior of one's own"):
        aae_jax.load(tmp_path / "run")
    loaded, state = aae_jax.load(tmp_path / "run", method=method)
    assert loaded is method
    np.testing.assert_array_equal(
        jax.tree.leaves(state.params)[0], jax.tree.leaves(result.states[0].params)[0]
    )


def test_settings_that_a_run_did_not_know_have_their_defaults(copied):
    model = json.loads((copied / "model.json").read_text())["model"]
    assert model.pop("style_std") == 1.0
    spoil(copied, model=model)
    method, state = aae_jax.load(copied)
    assert method.sample(state, jax.random.key(0), 2).shape == (2, 4, 4, 1)
