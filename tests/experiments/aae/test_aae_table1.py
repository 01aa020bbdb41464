"""AAE, table 1 and what draws from its runs: the paper's numbers, shared trainings, TFD's folds."""

import json

import jax
import numpy as np
import pytest
import scipy.io
import scipy.special

from aae_jax.core import named_key
from aae_jax.errors import UserError
from configs.aae import posteriors as posterior_configs
from configs.aae import table1 as configs
from experiments.aae import fig5, posteriors, table1, walk
from experiments.harness import cli, ledger, reproduce, runner

# Table 1 of the paper, typed again: per column, (method, nats, ±).
PAPER = {
    "mnist_10k": [
        ("DBN", 138, 2),
        ("Stacked CAE", 121, 1.6),
        ("Deep GSN", 214, 1.1),
        ("GAN", 225, 2),
        ("GMMN + AE", 282, 2),
        ("AAE", 340, 2),
    ],
    "mnist_10m": [("GAN", 386, None), ("AAE", 427, None)],
    "tfd_10k": [
        ("DBN", 1909, 66),
        ("Stacked CAE", 2110, 50),
        ("Deep GSN", 1890, 29),
        ("GAN", 2057, 26),
        ("GMMN + AE", 2204, 20),
        ("AAE", 2252, 16),
    ],
    "tfd_10m": [("AAE", 2522, None)],
}


def test_the_tables_numbers_are_the_papers():
    rows = {row.name: row for row in table1.TABLE.rows}
    assert tuple(rows) == configs.ROWS
    for name, column in PAPER.items():
        *others, (_, mean, std) = column
        assert rows[name].paper == (mean, std)
        assert [tuple(entry) for entry in rows[name].cited] == others
    assert rows["gan_mnist_10k"].paper == (225, 2)
    assert rows["gan_mnist_10m"].paper == (386, None)
    first = posteriors.TABLE.rows[0]
    assert (first.name, first.paper) == ("deterministic", (340, 2))
    assert tuple(reproduce.rows_of(posteriors)) == posterior_configs.ROWS
    assert reproduce.rows_of(fig5) == reproduce.rows_of(walk) == ["mnist_10k", "tfd_10k"]


def test_the_papers_settings():
    mnist, tfd = (configs.get_config(f"{row},paper") for row in ("mnist_10k", "tfd_10k"))
    for config, dim, std, output in ((mnist, 8, 5.0, "sigmoid"), (tfd, 15, 10.0, "linear")):
        model = config.model
        assert (model.code_dim, model.prior.std, model.output) == (dim, std, output)
        assert model.hidden == model.discriminator_hidden == (1000, 1000)
        assert (model.init, config.data.batch_size) == ("normal_0.01", 100)
        assert (config.parzen.num_samples, config.parzen.selection_samples) == (10_000, 10_000)
        np.testing.assert_allclose(table1.sigmas(config), np.logspace(-1, 0, 10))
    assert (mnist.data.scaling, tfd.data.scaling) == ("unit", "standardised")
    assert configs.get_config("mnist_10m,paper").parzen.num_samples == 10_000_000


def recorded(tmp_path, name="aae_table1"):
    path = tmp_path / f"results/{name}.jsonl"
    return ledger.read(path) if path.exists() else []


def fits(workdir):
    """When the training that lies in a directory ended."""
    return {path: path.stat().st_mtime_ns for path in workdir.glob("seed*/result.json")}


def test_mnist_and_what_shares_its_training(reproduced, grids, assert_pictures, tmp_path, capsys):
    first = reproduced("aae_table1", "mnist_10k")
    (record,) = recorded(tmp_path)
    assert record == first.record and record["metric"] == "parzen_nats"
    assert record["paper"] == {"mean": 340, "std": 2}
    extra = record["extra"]
    assert extra["samples"] == extra["selection_samples"] == [1000]
    assert np.isclose(table1.sigmas(first.config), extra["sigma"][0]).any()
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
    one, two = recorded(tmp_path)
    assert (one["row"], two["row"]) == ("mnist_10k", "mnist_10m")
    assert two["params_sha256"] == params
    assert (two["extra"]["samples"], two["extra"]["selection_samples"]) == ([4000], [1000])
    assert two["paper"] == {"mean": 427, "std": None}
    # The grid is the finer one; more samples under one sigma can only be found by measuring.
    assert two["values"] != one["values"]
    assert (more.workdir / "samples.png").exists()

    for experiment, picture in (
        ("aae_fig5", "samples_and_neighbours.png"),
        ("aae_walk", "walk.gif"),
    ):
        drawn = reproduced(experiment, "mnist_10k")
        assert drawn.workdir == first.workdir
        assert drawn.record == record and len(recorded(tmp_path)) == 2
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
    (part,) = table1.train(run, run.config)
    some, more = (
        table1.measurement(tiny_run("aae_table1", "mnist_10k", change).config)(part)
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


@pytest.mark.parametrize("row", ["gaussian", "universal_100"])
def test_posteriors(reproduced, tmp_path, row):
    finished = reproduced("aae_posteriors", row)
    (record,) = recorded(tmp_path, "aae_posteriors")
    assert record == finished.record and record["row"] == row
    assert record["config"]["model"]["posterior"] == row.split("_")[0]
    assert record["config"]["model"]["code_dim"] == (100 if row.endswith("100") else 8)
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
    "train.seeds=5",
    "data.batch_size=10",
    "parzen.num_samples=20",
    "parzen.selection_samples=20",
)


def test_tfds_five_folds_are_one_record_of_five_values(reproduced, toronto, tmp_path):
    options = {"profile": "fast"}
    finished = reproduced("aae_table1", "tfd_10k", *TFD, **options)
    (record,) = recorded(tmp_path)
    assert record == finished.record
    assert record["seeds"] == [0, 1, 2, 3, 4]
    assert len(set(record["values"])) == len(set(record["params_sha256"])) == 5
    assert np.isfinite(record["values"]).all() and record["std"] > 0
    assert record["paper"] == {"mean": 2252, "std": 16}
    folders = sorted((tmp_path / "runs/aae_table1").iterdir())
    names = [json.loads((f / "run.json").read_text())["config"]["data"]["name"] for f in folders]
    assert names == ["tfd/0", *(f"tfd/{fold}" for fold in range(5))]
    assert (finished.workdir / "samples.png").exists()
    trained = {folder.name: fits(folder) for folder in folders}

    again = reproduced("aae_table1", "tfd_10k", *TFD, **options)
    assert again.record == record and len(recorded(tmp_path)) == 1
    assert {folder.name: fits(folder) for folder in folders} == trained


def test_more_of_tfds_folds_go_on_in_the_same_directory(reproduced, toronto, tmp_path):
    for num in (1, 2):
        finished = reproduced("aae_table1", "tfd_10k", *TFD, f"train.seeds={num}", profile="fast")
        assert finished.record["seeds"] == list(range(num))
    first, second = recorded(tmp_path)
    assert second["values"][0] == first["values"][0]
    assert first["dataset_sha256"] != second["dataset_sha256"]


def test_tfds_samples_are_scored_in_the_range_of_pixels(tiny_run, toronto):
    (part,) = table1.train(
        (run := tiny_run("aae_table1", "tfd_10k", *TFD, "train.seeds=1", profile="fast")),
        run.config,
    )
    pixels = np.asarray(part.dataset.train.images, np.float64) / 255
    standardised = (pixels[:3] - pixels.mean(0)) / pixels.std(0)
    np.testing.assert_allclose(part.dataset.scaling.inverse(standardised), pixels[:3], atol=1e-4)


@pytest.mark.parametrize("change", ["train.seeds=6", "train.first_seed=1"])
def test_more_seeds_than_folds(tiny_run, toronto, tmp_path, change):
    run = tiny_run("aae_table1", "tfd_10k", *TFD, change, profile="fast")
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


def test_runs_of_several_parts_are_joined_seed_by_seed(reproduced, tiny_run):
    parts = [
        runner.train(
            cli.Run(run.config, run.overrides, run.workdir.with_name(f"part_{i}")),
            evaluators=table1.evaluators_of(run.config),
        )
        for i, run in enumerate([tiny_run("aae_table1", "mnist_10k")] * 2)
    ]
    parts[1] = parts[1]._replace(dirty=True)
    joined = runner.joined([parts[0]._replace(dirty=False), parts[1]])
    assert joined.dirty is True
    for name, values in joined.result.metrics.items():
        assert values == [part.result.metrics[name][0] for part in parts]
    assert joined.result.wall_seconds == pytest.approx(
        sum(part.result.wall_seconds for part in parts)
    )
    assert len(joined.result.states) == len(joined.result.curves) == 2
    assert runner.joined(parts[:1]) is parts[0]
    unknown = runner.joined([parts[0]._replace(dirty=None), parts[1]])
    assert unknown.dirty is None
