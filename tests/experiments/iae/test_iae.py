"""The implicit autoencoders' figures and numbers: the paper's, and every experiment from end to
end."""

import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax.data import toys
from aae_jax.errors import UserError
from experiments.harness import catalogue, cli, judge
from experiments.harness.pages import tables
from experiments.iae import clustering, fig2, fig5, semisupervised

EXPERIMENTS = ("clustering", "semisupervised", "fig2", "fig3", "fig4", "fig5")
TINY = ("train.epochs=1", "train.seeds=1")
SHALLOW = (
    "model.encoder.dense=(8,)",
    "model.decoder.dense=()",
    "model.decoder.features=(4,)",
    "model.reconstruction_discriminator.dense=()",
    "model.reconstruction_discriminator.features=(4,)",
    "model.discriminator_hidden=(8,)",
)


def load(experiment, row, profile, *changes):
    return cli.load_config(
        f"{catalogue.config_file(f'iae_{experiment}')}:{row},{profile}",
        [f"--config.{change}" for change in changes],
    )


def run_row(experiment, row, tmp_path, *changes, profile="smoke"):
    config, changed = load(experiment, row, profile, *TINY, *changes)
    module = catalogue.module(f"iae_{experiment}")
    finished = module.run(cli.Run(config, changed, tmp_path / f"{row}-{profile}"))
    assert finished.record["row"] == row
    return finished, finished.record


def is_png(path):
    return path.read_bytes().startswith(b"\x89PNG")


def test_the_papers_numbers():
    of = {row.name: (row.paper, row.cited) for row in semisupervised.TABLE.rows}
    assert of == {
        "mnist_100": ((1.40, None), (("AAE", 1.90, None), ("Improved-GAN", 0.93, None))),
        "svhn_1000": ((9.80, None), (("AAE", 17.70, None), ("Improved-GAN", 8.11, None))),
    }
    (thirty,) = clustering.TABLE.rows
    assert thirty.paper == (5.0, None) and "about 5 %" in thirty.note


@pytest.mark.parametrize("experiment", EXPERIMENTS)
def test_every_row_has_a_config(experiment):
    table = catalogue.module(f"iae_{experiment}").TABLE
    assert table in tables()
    for row in table.rows:
        for profile in ("paper", "fast", "smoke"):
            config, _ = load(experiment, row.name, profile)
            assert (config.experiment, config.row) == (table.experiment, row.name)
            if profile != "smoke":
                assert config.data.name == row.data


def test_clusters_are_trained_measured_and_drawn(tmp_path, grids):
    finished, record = run_row("clustering", "mnist_30", tmp_path, *SHALLOW)
    assert 0 < record["extra"]["test_error_majority_percent"][0] < 100
    assert grids["cluster_samples.png"][:2] == (10, 20)
    assert is_png(finished.workdir / "test_error.png")
    # With a decoder that forgets the code, every category has the same ten images.
    forgetful = finished._replace(
        method=finished.method._replace(
            decode=lambda state, z, key: finished.method.decode(state, jnp.zeros_like(z), key)
        )
    )
    samples = clustering.category_samples(forgetful)
    np.testing.assert_allclose(samples, np.broadcast_to(samples[:, :1], samples.shape), atol=1e-5)
    assert np.abs(samples[0, 0] - samples[1, 0]).max() > 1e-3


def test_labels_are_learnt(tmp_path, grids):
    """The smoke row, one seed, a tenth of its length."""
    finished, record = run_row("semisupervised", "mnist_100", tmp_path, "train.epochs=4")
    assert record["mean"] < 60  # chance is 90
    assert grids["class_samples.png"][:2] == (10, 10)
    assert is_png(finished.workdir / "test_error.png")


def test_reconstructions_are_judged(tmp_path, grids, monkeypatch):
    monkeypatch.setattr(fig2, "SMOKE_UPDATES", 48)
    finished, record = run_row("fig2", "stochastic_5d", tmp_path, *SHALLOW)
    extra = record["extra"]
    assert 0 < record["mean"] < 100
    assert extra["judge_error_percent"][0] < 60
    assert extra["pixel_spread"][0] > 0
    assert grids["reconstructions.png"][:2] == (5, 16)
    (kept,) = finished.workdir.parent.glob("judge-*")
    written = (kept / "seed_0/result.json").stat().st_mtime_ns
    judged_by = judge.judge(finished, fig2.SMOKE_UPDATES)
    assert (kept / "seed_0/result.json").stat().st_mtime_ns == written  # it is not trained anew
    test = finished.dataset.test
    images = finished.dataset.scaling.forward(jnp.asarray(test.images))
    wrong = 100 * (judged_by.classify(images) != test.labels).mean()
    assert [wrong] == pytest.approx(extra["judge_error_percent"])


def test_celeba_from_end_to_end_on_small_images_of_its_form(tmp_path, monkeypatch, grids):
    """The `fast` row itself, but for widths and lengths."""
    rng = np.random.default_rng(0)

    def images(num):
        labels = np.arange(num, dtype=np.int32) % 2
        pixels = rng.integers(0, 60, (num, 8, 8, 3)) + 150 * labels[:, None, None, None]
        return datasets.Images(pixels.astype(np.uint8), labels)

    scaling = datasets.Scaling(255, 0.5, 0.5)
    small = datasets.Dataset("celeba_48", "0" * 64, scaling, 2, *map(images, (200, 20, 50)))
    monkeypatch.setattr(datasets, "load", lambda *_, **__: small)
    monkeypatch.setattr(fig2, "UPDATES", 40)
    networks = [
        f"model.{network}.features=(4,8)"
        for network in ("encoder", "decoder", "reconstruction_discriminator")
    ]
    finished, record = run_row("fig4", "stochastic_50d", tmp_path, *networks, profile="fast")
    assert finished.config.model.decoder.output == "tanh"
    extra = record["extra"]
    assert extra["judge_error_percent"] == [0.0]
    assert 0 < extra["pixel_error"][0] < 1
    assert extra["pixel_spread"][0] > 1e-6
    assert grids["reconstructions.png"][0] == 5


def test_a_gan_and_an_autoencoder_of_a_mixture_side_by_side(tmp_path, monkeypatch):
    panels = []
    true = fig5.plots.code_spaces

    def recorded(given, path, **options):
        panels.append([panel.title.split(":")[0] for panel in given])
        return true(given, path, **options)

    monkeypatch.setattr(fig5.plots, "code_spaces", recorded)
    config, changed = load("fig5", "gan", "smoke", *TINY)
    finished = fig5.run(cli.Run(config, changed, tmp_path / "gan-smoke"))
    assert set(finished.record["extra"]) == {"modes_covered", "code_purity_percent"}
    config, changed = load("fig5", "iae", "smoke", *TINY)
    finished = fig5.run(cli.Run(config, changed, tmp_path / "iae-smoke"))
    assert 14 < finished.record["extra"]["encoder_purity_percent"][0] <= 100
    assert panels[-1] == ["data, by its Gaussian", "GAN", "IAE"]
    assert is_png(finished.workdir / "mixture.png")


def test_samples_of_a_mixture_are_judged_by_hand():
    means = toys.ring_means("toys/ring7")
    categories = np.repeat(np.arange(7), 1000)
    shifted = means[(categories + 2) % 7]  # each category is another mode: all pure
    assert fig5.judged(shifted, categories, means, 0.1) == {
        "good_samples_percent": 100.0,
        "modes_covered": 7.0,
        "code_purity_percent": 100.0,
    }
    far = shifted.copy()
    far[categories < 3] *= 1.2  # four standard deviations out
    found = fig5.judged(far, categories, means, 0.1)
    assert found["modes_covered"] == 4
    assert found["good_samples_percent"] == pytest.approx(400 / 7)
    mixed = means[np.arange(7000) % 7]  # the category says nothing
    assert fig5.judged(mixed, categories, means, 0.1)["code_purity_percent"] < 15


def test_the_data_of_figure_5_would_be_judged_good():
    ring = datasets.load("toys/ring7")
    means, std = toys.ring_means("toys/ring7"), toys.ring_std("toys/ring7")
    found = fig5.judged(ring.train.images, ring.train.labels, means, std)
    assert found["modes_covered"] == 7
    assert found["good_samples_percent"] == pytest.approx(98.9, abs=0.3)
    assert found["code_purity_percent"] == 100


def test_figure_5_refuses_data_without_its_modes():
    config, _ = load("fig5", "gan", "smoke", "data.name=digits")
    with pytest.raises(UserError, match="leave it at toys/ring7"):
        fig5.check(config, datasets.load("digits"))
