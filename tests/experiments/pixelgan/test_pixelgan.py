"""PixelGAN's table and figures: their settings, and one row of each from end to end."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax import methods, plots
from aae_jax.errors import UserError
from configs.pixelgan import table1 as configs
from experiments.harness import catalogue, cli
from experiments.harness.catalogue import ROOT
from experiments.pixelgan import fig5, table1


@pytest.mark.parametrize("profile", ["paper", "fast"])
def test_configs_name_data_heads_and_labels(profile):
    unsupervised = configs.get_config(f"mnist_unsupervised,{profile}")
    assert unsupervised.model.num_categories == 30
    assert unsupervised.data.labelled_batch_size == 0
    assert unsupervised.model.decoder.head == "bernoulli"
    for labels in (20, 50, 100):
        config = configs.get_config(f"mnist_{labels},{profile}")
        assert config.data.num_labels == labels
        assert config.model.num_categories == 0
    assert configs.get_config(f"svhn_500,{profile}").model.decoder.head == "logistic_mixture"
    assert configs.get_config(f"norb_1000,{profile}").data.name == "smallnorb"


def test_clusters_are_trained_measured_and_drawn_and_figure_6_takes_them_up(
    reproduced, recorded, assert_pictures
):
    finished = reproduced("pixelgan_table1", "mnist_unsupervised")
    record = recorded(finished)
    extra = record["extra"]
    assert extra["reconstruction_nats"][0] > 50  # 64 pixels of up to log 17 nats
    assert 0 <= extra["mutual_information_nats"][0] <= np.log(20)
    assert np.isfinite(extra["marginal_kl_nats"][0])
    assert extra["mutual_information_bound_nats"] == [pytest.approx(np.log(20))]
    pictures = "test_error.png", "cluster_samples.png", "completions.png"
    assert_pictures(finished.workdir, *pictures)
    (finished.workdir / "cluster_samples.png").unlink()
    again = reproduced("pixelgan_fig6", "mnist_unsupervised")
    assert again.workdir == finished.workdir and recorded(again) == record
    assert_pictures(finished.workdir, *pictures)


def test_figure_8_draws_svhns_rows_against_epochs_on_small_images_of_its_form(
    reproduced, recorded, assert_pictures, monkeypatch
):
    """Two `fast` rows themselves, but for widths and length."""
    rng = np.random.default_rng(0)

    def images(num):
        labels = np.arange(num, dtype=np.int32) % 10
        pixels = rng.integers(0, 60, (num, 8, 8, 3)) + 19 * labels[:, None, None, None]
        return datasets.Images(pixels.astype(np.uint8), labels)

    parts = images(200), images(20), images(50)
    small = datasets.Dataset("svhn", "0" * 64, datasets.Scaling(255), 10, *parts)
    monkeypatch.setattr(datasets, "load", lambda *_, **__: small)
    drawn = {}
    true = plots.error_curves

    def draw(curves, path, **options):
        drawn[path.name] = (curves, options)
        return true(curves, path, **options)

    monkeypatch.setattr(plots, "error_curves", draw)
    # Seeds that train at once have a directory each all the same.
    changes = "train.seeds=2", "train.seeds_at_once=2", "data.num_labels=50"
    for row in ("svhn_500", "svhn_1000"):
        finished = reproduced(
            "pixelgan_fig8", row, *changes, "model.encoder_features=(4,8)", profile="fast"
        )
    assert finished.config.model.decoder.head == "logistic_mixture"
    record = recorded(finished)
    extra = record["extra"]
    assert "nmi" not in extra and record["config"]["data"]["num_labels"] == 50
    assert extra["bits_per_dimension"] == pytest.approx(
        [nats / (64 * 3 * np.log(2)) for nats in extra["reconstruction_nats"]]
    )
    assert min(extra["bits_per_dimension"]) > 0 and max(extra["bits_per_dimension"]) < 20
    curves, options = drawn["error_against_epochs.png"]
    assert options["names"] == ["500 labels", "1000 labels"]  # by the rows' names
    assert options["against"] == "epoch"
    assert [point["epoch"] for point in curves[1]] == [1.0]
    assert curves[1][-1]["test_error_percent"] == record["values"][0]
    pictures = "test_error.png", "cluster_samples.png", "completions.png"
    assert_pictures(finished.workdir, *pictures, "error_against_epochs.png")


def test_three_digits_find_their_clusters_in_figure_5s_triangle(reproduced, assert_pictures):
    """The smoke row at half of its length: digits 0, 1 and 2 of the stand-in; beside it the other
    panel."""
    spec = f"{ROOT}/configs/pixelgan/fig5.py:three_digits,smoke"
    shorter = ["--config.train.seeds=1", "--config.train.epochs=30"]
    config, changed = cli.load_config(spec, shorter)
    other = reproduced("pixelgan_fig5", "three_digits_unregularized")
    assert "marginal_kl_nats" not in other.record["extra"]  # there is no adversary
    folder = other.workdir.name.replace("three_digits_unregularized", "three_digits")
    finished = fig5.run(cli.Run(config, changed, other.workdir.with_name(folder)))
    assert finished.record["mean"] <= 20  # chance is 67; measured: 8, and at 60 epochs 2
    assert finished.record["extra"]["mutual_information_nats"][0] > 0.8  # of log 3
    assert finished.record["extra"]["code_gain_nats"][0] > 1
    assert finished.dataset.num_classes == 3
    assert_pictures(finished.workdir, "simplex.png", "test_error.png")
    sides = np.linalg.norm(fig5.CORNERS - np.roll(fig5.CORNERS, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 1)


@pytest.mark.parametrize(
    ("experiment", "row", "metric", "pictures"),
    [
        ("pixelgan_fig2", "pixelgan", "test_reconstruction", ["samples.png"]),
        (
            "pixelgan_fig3",
            "shallow_dependent",
            "knn_error_percent",
            ["code_spaces.png", "samples.png"],
        ),
        ("pixelgan_noise", "std_0.1", "test_error_percent", ["test_error.png"]),
    ],
)
def test_the_other_figures_run_from_end_to_end(
    reproduced, recorded, assert_pictures, experiment, row, metric, pictures
):
    finished = reproduced(experiment, row)
    assert recorded(finished)["metric"] == metric
    assert_pictures(finished.workdir, *pictures)


def test_information_by_hand():
    """Codes that name their image, a decoder that prefers the right code by 20 nats, and an
    adversary that finds each code e^0.7 times likelier under the prior."""
    config, _ = cli.load_config(f"{ROOT}/configs/pixelgan/table1.py:mnist_unsupervised,smoke")
    images = (np.arange(4, dtype=np.uint8) * 10)[:, None, None, None] * np.ones((1, 8, 8, 1))
    split = datasets.Images(images, np.arange(4, dtype=np.int32))

    def names(images):
        return jax.nn.one_hot(jnp.argsort(images[:, 0, 0, 0]), 4)

    method = methods.Method(
        init=None,
        train_step=None,
        encode=lambda state, images, key: (names(images),),
        log_prob=lambda state, images, z: -30 + 20 * (names(images) * z).sum(axis=-1),
        discriminate=lambda state, z: jnp.full(len(z), 0.7),
    )
    trained = SimpleNamespace(
        config=config,
        dataset=datasets.Dataset("four", "0" * 64, datasets.Scaling(255), 4, split, split, split),
        method=method,
        result=SimpleNamespace(seeds=(0,), states=[()]),
    )
    measured = table1.information(trained)
    assert measured["reconstruction_nats"] == [pytest.approx(10)]
    assert measured["bits_per_dimension"] == [pytest.approx(10 / (64 * np.log(2)))]
    assert measured["code_gain_nats"] == [pytest.approx(20)]
    assert measured["marginal_kl_nats"] == [pytest.approx(-0.7)]
    assert measured["mutual_information_nats"] == [pytest.approx(np.log(4))]


def test_mutual_information_by_hand():
    information = table1.mutual_information
    assert information(np.eye(4)) == pytest.approx(np.log(4))
    assert information(np.full((5, 4), 0.25)) == pytest.approx(0)
    assert information(np.array([[1.0, 0.0], [1.0, 0.0]])) == pytest.approx(0)
    half = np.array([[1.0, 0.0], [0.5, 0.5]])
    expected = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25)) - 0.5 * np.log(2)
    assert information(half) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("experiment", "row", "change", "message"),
    [
        ("pixelgan_table1", "mnist_unsupervised", "model.prior=gaussian", "about categorical"),
        ("pixelgan_table1", "mnist_100", "model.num_categories=30", "one category for each of"),
        ("pixelgan_noise", "std_0", "model.prior=gaussian", "about categorical"),
        ("pixelgan_fig5", "three_digits", "model.num_categories=5", "is 5; .* triangle"),
        ("pixelgan_table1", "mnist_100", "data.scaling=standardised", "pixels in .0, 1."),
        ("pixelgan_fig2", "pixelcnn", "data.scaling=standardised", "pixels in .0, 1."),
        ("pixelgan_fig3", "deep_dependent", "data.scaling=standardised", "pixels in .0, 1."),
    ],
)
def test_what_cannot_be_measured_or_drawn_is_refused(experiment, row, change, message, tmp_path):
    module = catalogue.module(experiment)
    config, changed = cli.load_config(
        f"{catalogue.config_file(experiment)}:{row},smoke", [f"--config.{change}"]
    )
    with pytest.raises(UserError, match=message):
        module.run(cli.Run(config, changed, tmp_path / "run"))
    assert not (tmp_path / "run").exists()
