"""PixelGAN's table and figures: the paper's numbers, and every experiment from end to end."""

import json
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax import methods, plots
from aae_jax.core import Batch
from aae_jax.errors import UserError
from configs.pixelgan import table1 as configs
from experiments.harness import catalogue, cli, ledger
from experiments.harness.catalogue import ROOT
from experiments.pixelgan import fig5, fig8, table1

# Table 1 of the paper, typed again: the last line, and the others column by column.
OURS = {
    "mnist_unsupervised": (5.27, 1.81),
    "mnist_20": (12.08, 5.50),
    "mnist_50": (1.16, 0.17),
    "mnist_100": (1.08, 0.15),
    "svhn_500": (10.47, 1.80),
    "svhn_1000": (6.96, 0.55),
    "norb_1000": (8.90, 1.0),
}
OTHERS = {
    "mnist_unsupervised": {(4.10, 1.13), (4.27, None), (5.00, None)},
    "mnist_20": {(16.77, 4.52)},
    "mnist_50": {(2.21, 1.36)},
    "mnist_100": {
        (3.33, 0.14),
        (2.33, None),
        (0.96, 0.02),
        (1.32, 0.07),
        (1.90, 0.10),
        (0.89, 0.50),
        (1.39, 0.28),
        (0.93, 0.06),
    },
    "svhn_500": {(18.44, 4.80), (7.05, 0.30)},
    "svhn_1000": {
        (36.02, 0.10),
        (24.63, None),
        (22.86, None),
        (16.61, 0.24),
        (17.70, 0.30),
        (8.11, 1.30),
        (5.43, 0.25),
    },
    "norb_1000": {(18.79, 0.05), (9.88, None), (10.06, 0.05), (9.40, 0.04)},
}
TINY = [
    "--config.train.epochs=1",
    "--config.train.seeds=1",
    "--config.model.discriminator_hidden=(8,)",
]
SMALL_DECODER = ["--config.model.decoder.num_blocks=1", "--config.model.decoder.features=8"]


def run_row(experiment, row, tmp_path, *overrides, profile="smoke"):
    module = catalogue.module(experiment)
    config, changed = cli.load_config(
        f"{catalogue.config_file(experiment)}:{row},{profile}", [*TINY, *overrides]
    )
    finished = module.run(cli.Run(config, changed, tmp_path / f"{row}-{profile}"))
    (record,) = ledger.read(tmp_path / f"results/{finished.config.experiment}.jsonl")
    assert record["row"] == row
    return finished, record


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_the_tables_numbers_are_the_papers():
    rows = {row.name: row for row in table1.TABLE.rows}
    assert tuple(rows) == configs.ROWS
    assert {name: row.paper for name, row in rows.items()} == OURS
    cited = {name: {(mean, std) for _, mean, std in row.cited} for name, row in rows.items()}
    assert cited == OTHERS


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


def test_clusters_are_trained_measured_and_drawn_and_figure_6_takes_them_up(tmp_path):
    finished, record = run_row("pixelgan_table1", "mnist_unsupervised", tmp_path, *SMALL_DECODER)
    extra = record["extra"]
    assert extra["reconstruction_nats"][0] > 50  # 64 pixels of up to log 17 nats
    assert 0 <= extra["mutual_information_nats"][0] <= np.log(20)
    assert np.isfinite(extra["marginal_kl_nats"][0])
    assert extra["mutual_information_bound_nats"] == [pytest.approx(np.log(20))]
    for picture in ("test_error.png", "cluster_samples.png", "completions.png"):
        assert is_png(finished.workdir / picture)
    again, record_again = run_row("pixelgan_fig6", "mnist_unsupervised", tmp_path, *SMALL_DECODER)
    assert record_again == record
    assert again.workdir == finished.workdir


def test_a_row_with_labels_is_scored_by_class(tmp_path):
    finished, record = run_row("pixelgan_table1", "svhn_500", tmp_path, *SMALL_DECODER)
    assert "nmi" not in record["extra"]
    assert finished.config.data.num_labels == 300
    assert json.loads((finished.workdir / "run.json").read_text())["config"]["row"] == "svhn_500"


def test_figure_8_draws_the_rows_of_one_data_set_against_epochs(tmp_path, monkeypatch):
    drawn = {}
    true = plots.error_curves

    def recorded(curves, path, **options):
        drawn[path.name] = (curves, options)
        return true(curves, path, **options)

    monkeypatch.setattr(plots, "error_curves", recorded)
    at_once = ["--config.train.seeds=2", "--config.train.seeds_at_once=2"]  # share a directory
    for row, seeds in (("mnist_20", []), ("mnist_100", at_once)):
        config, changed = cli.load_config(
            f"{ROOT}/configs/pixelgan/table1.py:{row},smoke", [*TINY, *SMALL_DECODER, *seeds]
        )
        finished = fig8.run(cli.Run(config, changed, tmp_path / f"{row}-smoke"))
    curves, options = drawn["error_against_epochs.png"]
    assert options["names"] == ["20 labels", "100 labels"]
    assert options["against"] == "epoch"
    assert [point["epoch"] for point in curves[1]] == [1.0]
    assert curves[1][-1]["test_error_percent"] == finished.record["values"][0]
    assert curves[0] != curves[1]
    assert is_png(finished.workdir / "error_against_epochs.png")


@pytest.mark.parametrize(
    ("experiment", "row", "channels", "classes"),
    [("pixelgan_table1", "svhn_1000", 3, 10), ("pixelgan_fig7", "norb_1000", 1, 5)],
)
def test_svhn_and_norb_from_end_to_end_on_small_images_of_their_form(
    experiment, row, channels, classes, tmp_path, monkeypatch
):
    """The `fast` rows themselves, but for widths and lengths."""
    rng = np.random.default_rng(0)

    def images(num):
        labels = np.arange(num, dtype=np.int32) % classes
        pixels = rng.integers(0, 60, (num, 8, 8, channels)) + 19 * labels[:, None, None, None]
        return datasets.Images(pixels.astype(np.uint8), labels)

    small = datasets.Dataset(
        row, "0" * 64, datasets.Scaling(255), classes, images(200), images(20), images(50)
    )
    monkeypatch.setattr(datasets, "load", lambda *_, **__: small)
    finished, record = run_row(
        *(experiment, row, tmp_path, *SMALL_DECODER),
        "--config.model.encoder_features=(4,4,8)",
        "--config.data.num_labels=50",
        profile="fast",
    )
    assert finished.config.model.decoder.head == "logistic_mixture"
    extra = record["extra"]
    assert extra["bits_per_dimension"] == [
        pytest.approx(extra["reconstruction_nats"][0] / (64 * channels * np.log(2)))
    ]
    assert 0 < extra["bits_per_dimension"][0] < 20
    assert is_png(finished.workdir / "completions.png")


@pytest.mark.parametrize("profile", ["paper", "fast"])
@pytest.mark.parametrize(
    ("row", "channels", "classes"), [("svhn_1000", 3, 10), ("norb_1000", 1, 5)]
)
def test_the_whole_networks_of_svhn_and_norb_fit_their_images(profile, row, channels, classes):
    config = configs.get_config(f"{row},{profile}")
    spec = methods.DataSpec((32, 32, channels), classes)
    method = methods.build("pixelgan", config.model, spec=spec)
    images, labels = jnp.zeros((2, 32, 32, channels)), jnp.zeros(2, jnp.int32)
    state = jax.eval_shape(method.init, jax.random.key(0))
    after, losses = jax.eval_shape(
        method.train_step, state, Batch(images, images, labels), jax.random.key(0)
    )
    assert jax.tree.structure(after) == jax.tree.structure(state)
    assert "classification/loss" in losses
    assert jax.eval_shape(method.classify, state, images).shape == (2, classes)


def test_three_digits_find_their_clusters(tmp_path):
    """The smoke row as it is: digits 0, 1 and 2 of the stand-in."""
    config, changed = cli.load_config(
        f"{ROOT}/configs/pixelgan/fig5.py:three_digits,smoke", ["--config.train.seeds=1"]
    )
    finished = fig5.run(cli.Run(config, changed, tmp_path / "run"))
    assert finished.record["mean"] <= 12  # chance is 67; measured: 2, 3 and 6 (seeds 0 to 2)
    assert finished.record["extra"]["mutual_information_nats"][0] > 0.8  # of log 3
    assert finished.record["extra"]["code_gain_nats"][0] > 1


def test_figure_5_has_three_corners_and_both_panels(tmp_path):
    run_row("pixelgan_fig5", "three_digits", tmp_path, *SMALL_DECODER)
    module_row = "three_digits_unregularized"
    config, changed = cli.load_config(
        f"{ROOT}/configs/pixelgan/fig5.py:{module_row},smoke", [*TINY, *SMALL_DECODER]
    )
    finished = fig5.run(cli.Run(config, changed, tmp_path / f"{module_row}-smoke"))
    assert finished.dataset.num_classes == 3
    assert "marginal_kl_nats" not in finished.record["extra"]  # there is no adversary
    assert is_png(finished.workdir / "simplex.png")
    sides = np.linalg.norm(fig5.CORNERS - np.roll(fig5.CORNERS, 1, axis=0), axis=1)
    np.testing.assert_allclose(sides, 1)


@pytest.mark.parametrize(
    ("experiment", "row", "metric", "changes"),
    [
        ("pixelgan_fig2", "pixelgan", "test_reconstruction", SMALL_DECODER[1:]),
        ("pixelgan_fig2", "pixelcnn", "test_reconstruction", SMALL_DECODER[1:]),
        ("pixelgan_fig2", "aae", "test_reconstruction", ["--config.model.hidden=(8,)"]),
        ("pixelgan_fig3", "shallow_dependent", "knn_error_percent", SMALL_DECODER),
        ("pixelgan_fig3", "deep_invariant_30d", "knn_error_percent", SMALL_DECODER),
        ("pixelgan_noise", "std_0.1", "test_error_percent", SMALL_DECODER),
    ],
)
def test_the_other_figures_run_from_end_to_end(experiment, row, metric, changes, tmp_path):
    finished, record = run_row(experiment, row, tmp_path, *changes)
    assert record["metric"] == metric
    assert all(map(is_png, finished.workdir.glob("*.png")))
    assert list(finished.workdir.glob("*.png"))


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


def test_clusters_with_labels_are_refused_before_anything_is_written(tmp_path):
    config, changed = cli.load_config(
        f"{ROOT}/configs/pixelgan/table1.py:mnist_100,smoke",
        [*TINY, "--config.model.num_categories=30"],
    )
    with pytest.raises(UserError, match="one category for each of the 10 classes"):
        table1.run(cli.Run(config, changed, tmp_path / "run"))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    ("experiment", "row", "change", "message"),
    [
        ("pixelgan_table1", "mnist_unsupervised", "model.prior=gaussian", "about categorical"),
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
