"""AAE, table 1 and what draws from its runs: settings, shared trainings, TFD's folds."""

import json

import jax
import numpy as np
import pytest
import scipy.io
import scipy.special

from aae_jax import data as datasets
from aae_jax import training
from aae_jax.core import named_key
from aae_jax.errors import UserError
from configs.aae import table1 as configs
from experiments.aae import table1
from experiments.harness import cli, likelihood, reproduce, runner


def test_the_papers_settings():
    mnist, tfd = (configs.get_config(f"{row},paper") for row in ("mnist_10k", "tfd_10k"))
    for config, dim, std, output in ((mnist, 8, 5.0, "sigmoid"), (tfd, 15, 10.0, "linear")):
        model = config.model
        assert (model.code_dim, model.prior.std, model.output) == (dim, std, output)
        assert model.hidden == model.discriminator_hidden == (1000, 1000)
        assert (model.init, config.data.batch_size) == ("normal_0.01", 100)
        assert (config.parzen.num_samples, config.parzen.selection_samples) == (10_000, 10_000)
        np.testing.assert_allclose(likelihood.sigmas(config), np.logspace(-1, 0, 10))
    assert (mnist.data.scaling, tfd.data.scaling) == ("unit", "standardised")
    assert configs.get_config("mnist_10m,paper").parzen.num_samples == 10_000_000


def fits(workdir):
    """When the training that lies in a directory ended."""
    return {path: path.stat().st_mtime_ns for path in workdir.glob("seed*/result.json")}


def test_mnist_and_what_shares_its_training(reproduced, recorded, grids, assert_pictures, capsys):
    first = reproduced("aae_table1", "mnist_10k")
    record = recorded(first)
    assert record["metric"] == "parzen_nats"
    assert record["paper"] == dict(zip(("mean", "std"), table1.AAE_10K))
    extra = record["extra"]
    assert extra["samples"] == extra["selection_samples"] == [1000]
    assert np.isclose(likelihood.sigmas(first.config), extra["sigma"][0]).any()
    assert extra["standard_error_nats"][0] > 0
    assert_pictures(first.workdir, "samples.png")
    assert grids["samples.png"] == (10, 10, 8, 8, 1)
    trained = fits(first.workdir)
    assert trained
    params = record["params_sha256"]
    assert params[0] in capsys.readouterr().out

    more = reproduced("aae_table1", "mnist_10m")
    assert fits(first.workdir) == trained and not fits(more.workdir)
    assert more.workdir.name.startswith("mnist_10m-smoke")
    two = recorded(more)
    assert two["params_sha256"] == params
    assert (two["extra"]["samples"], two["extra"]["selection_samples"]) == ([4000], [1000])
    # The grid is the finer one; more samples under one sigma can only be found by measuring.
    assert two["values"] != record["values"]
    assert (more.workdir / "samples.png").exists()

    for experiment, picture in (
        ("aae_fig5", "samples_and_neighbours.png"),
        ("aae_walk", "walk.gif"),
    ):
        drawn = reproduced(experiment, "mnist_10k")
        assert drawn.workdir == first.workdir
        assert recorded(drawn) == record
        assert (drawn.workdir / picture).exists()
    assert fits(first.workdir) == trained
    assert grids["samples_and_neighbours.png"] == (8, 13, 8, 8, 1)
    assert_pictures(first.workdir, "samples.png", "samples_and_neighbours.png", "walk.gif")


def test_ten_million_samples_first_leave_a_training_to_the_ten_thousand(reproduced, tmp_path):
    more = reproduced("aae_table1", "gan_mnist_10m", "parzen.num_samples=1500")
    assert more.record["extra"]["samples"] == [1500]
    (trained,) = (tmp_path / "runs/aae_table1").glob("gan_mnist_10k-smoke*")
    before = fits(trained)
    first = reproduced("aae_table1", "gan_mnist_10k")
    assert first.workdir == trained and fits(trained) == before
    assert first.record["params_sha256"] == more.record["params_sha256"]
    assert "test_minus_log_d" in first.record["extra"]


def test_sigma_is_chosen_on_some_samples_and_the_likelihood_taken_with_all(tiny_run):
    run = tiny_run("aae_table1", "mnist_10k")
    (part,) = likelihood.train(run, run.config, table1.evaluators_of(run.config))
    some, more = (
        likelihood.measurement(tiny_run("aae_table1", "mnist_10k", change).config).of(part)
        for change in ("parzen.num_samples=1000", "parzen.num_samples=2500")
    )
    assert some["selection_samples"] == more["selection_samples"] == [1000]
    assert (some["samples"], more["samples"]) == ([1000], [2500])
    assert some["sigma"] == more["sigma"]
    sample, state = part.method.sample, part.result.states[0]
    key = named_key(jax.random.key(0), "parzen")  # of the seed; blocks of 2000
    draws = [sample(state, jax.random.fold_in(key, start), 2000) for start in (0, 2000)]
    samples = np.concatenate(draws).reshape(-1, 64)[:2500].astype(np.float64)
    images = np.asarray(part.dataset.test.images).reshape(-1, 64) / 16
    squared = ((images[:, None] - samples) ** 2).sum(-1)
    for measured, num in ((some, 1000), (more, 2500)):
        (sigma,) = measured["sigma"]
        nats = scipy.special.logsumexp(-squared[:, :num] / (2 * sigma**2), axis=1)
        nats -= np.log(num) + 64 * np.log(sigma * np.sqrt(2 * np.pi))
        assert measured["parzen_nats"] == [pytest.approx(nats.mean(), abs=1e-2)]
        error = nats.std() / np.sqrt(len(nats))
        assert measured["standard_error_nats"] == [pytest.approx(error, rel=1e-3)]


def test_posteriors(reproduced, recorded):
    finished = reproduced("aae_posteriors", "universal_100")
    record = recorded(finished)
    assert record["config"]["model"]["posterior"] == "universal"
    assert record["config"]["model"]["code_dim"] == 100
    assert finished.workdir.parent.name == "aae_posteriors"
    assert (finished.workdir / "samples.png").exists()


@pytest.fixture
def toronto(tmp_path, monkeypatch):
    """A file of TFD's form, of 60 images."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    path = tmp_path / "tfds/downloads/manual/TFD_48x48.mat"
    path.parent.mkdir(parents=True)
    rng = np.random.default_rng(0)
    content = {
        "images": rng.integers(0, 256, (60, 48, 48)).astype(np.uint8),
        "labs_ex": rng.integers(1, 8, (60, 1)),
        "folds": (np.arange(60)[:, None] + np.arange(5)) % 4,
    }
    scipy.io.savemat(path, content)


TFD = (
    "data.batch_size=10",
    "parzen.num_samples=20",
    "parzen.selection_samples=20",
)


def test_tfds_folds_are_one_record_of_a_value_each_and_more_go_on_with_them(
    reproduced, toronto, tmp_path
):
    def run(folds):
        return reproduced("aae_table1", "tfd_10k", *TFD, f"train.seeds={folds}", profile="fast")

    one, two = run(1), run(2)
    assert (one.record["seeds"], two.record["seeds"]) == ([0], [0, 1])
    assert two.record["values"][0] == one.record["values"][0]
    assert one.record["dataset_sha256"] != two.record["dataset_sha256"]
    assert len(set(two.record["values"])) == len(set(two.record["params_sha256"])) == 2
    assert np.isfinite(two.record["values"]).all() and two.record["std"] > 0
    assert two.record["dataset"] == "tfd, 2 folds"
    folders = sorted((tmp_path / "runs/aae_table1").iterdir())
    names = [json.loads((f / "run.json").read_text())["config"]["data"]["name"] for f in folders]
    assert names == ["tfd/0", "tfd/0", "tfd/1"]
    assert (two.workdir / "samples.png").exists()
    trained = {folder.name: fits(folder) for folder in folders}
    assert run(2).record == two.record
    assert {folder.name: fits(folder) for folder in folders} == trained


def test_tfds_samples_are_scored_in_the_range_of_pixels(tiny_run, toronto):
    run = tiny_run("aae_table1", "tfd_10k", *TFD, "train.seeds=1", profile="fast")
    (part,) = likelihood.train(run, run.config, table1.evaluators_of(run.config))
    pixels = np.asarray(part.dataset.train.images, np.float64) / 255
    standardised = (pixels[:3] - pixels.mean(0)) / pixels.std(0)
    np.testing.assert_allclose(part.dataset.scaling.inverse(standardised), pixels[:3], atol=1e-4)


@pytest.mark.parametrize("first, seeds", [(0, 6), (1, 5)])
def test_more_seeds_than_folds(tiny_run, toronto, tmp_path, first, seeds):
    changes = f"train.first_seed={first}", f"train.seeds={seeds}"
    run = tiny_run("aae_table1", "tfd_10k", *TFD, *changes, profile="fast")
    with pytest.raises(UserError, match="TFD has 5 folds, one for each seed from 0 to 4"):
        table1.run(run)
    assert not (tmp_path / "runs").exists()


def test_without_tfd_there_is_one_line_that_says_so(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    with pytest.raises(SystemExit) as caught:
        cli.run_main(
            lambda: reproduce.main(["table1-aae", "--profile=fast", "--rows=tfd_10k tfd_10m"])
        )
    assert caught.value.code == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith("error: the Toronto Face Database is not there: ask its authors")
    assert str(tmp_path / "tfds/downloads/manual/TFD_48x48.mat") in line
    assert list(tmp_path.iterdir()) == []


def test_runs_of_several_parts_are_joined_seed_by_seed():
    def part(seed, dirty):
        metrics = {"test_error_percent": [1.0 + seed], "nmi": [0.5 * seed]}
        curve, state = [{"step": seed}], (seed,)
        result = training.Result((seed,), metrics, [curve], [f"sha{seed}"], [state], 24, 3.0)
        dataset = datasets.load("digits")._replace(name=f"tfd/{seed}", sha256=str(seed))
        return runner.Trained(None, dataset, None, result, None, "c0ffee", dirty)

    first, second = part(0, False), part(1, True)
    joined = runner.joined([first, second])
    assert joined.result == training.Result(
        seeds=(0, 1),
        metrics={"test_error_percent": [1.0, 2.0], "nmi": [0.0, 0.5]},
        curves=[[{"step": 0}], [{"step": 1}]],
        params_sha256=["sha0", "sha1"],
        states=[(0,), (1,)],
        updates=24,
        wall_seconds=6.0,
    )
    assert joined.dataset.name == "tfd, 2 folds"
    assert joined.dataset.sha256 not in (first.dataset.sha256, second.dataset.sha256)
    assert joined.dirty is True
    assert runner.joined([first]) is first
    assert runner.joined([first, part(1, None)]).dirty is None
