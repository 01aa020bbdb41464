"""AAE, table 3 and figure 9: the paper's settings, and one training for both."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from configs.aae import table3 as configs
from experiments.aae import table3
from experiments.harness import drawing


@pytest.mark.parametrize("clusters", [16, 30])
def test_the_papers_settings(clusters):
    config = configs.get_config(f"mnist_{clusters},paper")  # A.3
    model, rates = config.model, config.model.optimizers
    assert model.hidden == model.discriminator_hidden == (3000, 3000)
    assert (model.style_dim, model.num_categories, model.style_std) == (5, clusters, 1.0)
    assert (rates.reconstruction.learning_rate, rates.reconstruction.momentum) == (0.01, 0.9)
    for phase in (rates.discriminator, rates.generator):
        assert (phase.learning_rate, phase.momentum) == (0.1, 0.1)
    assert (model.schedule.epochs, model.schedule.factor) == ((50,), 0.1)
    assert (model.input_dropout, model.input_noise) == (0.2, 0.0)
    assert (model.encoder_batch_norm, model.decoder_batch_norm) == ("all", False)
    assert (config.train.epochs, config.data.labelled_batch_size) == (1500, 0)


def test_clusters_are_trained_once_for_the_table_and_the_figure(
    reproduced, recorded, grids, assert_pictures
):
    first = reproduced("aae_table3", "mnist_16")
    record = recorded(first)
    assert 0 <= record["values"][0] <= 100
    assert set(record["extra"]) == {
        "test_error_log_odds_percent",
        "test_error_majority_percent",
        "test_error_hungarian_percent",
        "nmi",
        "clusters_in_use",
        "validation_reconstruction",
        "test_reconstruction",
    }
    assert_pictures(first.workdir, "test_error.png", "clusters.png")
    assert grids == {"clusters.png": (16, 16, 8, 8, 1)}  # a head and 15 members a row
    result = first.workdir / "seed_0/result.json"
    before = result.stat().st_mtime_ns
    (first.workdir / "clusters.png").unlink()

    second = reproduced("aae_fig9", "mnist_16")
    assert second.workdir == first.workdir and second.record == record
    assert result.stat().st_mtime_ns == before
    assert_pictures(first.workdir, "test_error.png", "clusters.png")
    recorded(second)


def test_members_of_a_cluster_are_test_images_assigned_to_it(reproduced, monkeypatch):
    drawn = []
    monkeypatch.setattr(
        table3.plots, "image_grid", lambda images, path, **o: drawn.append(images) or path
    )
    finished = reproduced("aae_table3", "mnist_16")
    (grid,) = drawn
    images = np.asarray(finished.dataset.test.images) / 16
    state = finished.result.states[0]
    clusters = np.asarray(finished.method.classify(state, images.astype(np.float32))).argmax(1)
    counts = np.bincount(clusters, minlength=16)
    where = {image.astype(np.float32).tobytes(): c for image, c in zip(images, clusters)}
    by_class = np.argsort(drawing.clusters_of(finished)[1], kind="stable")
    for cluster, row in zip(by_class, grid, strict=True):
        members = [image for image in row[1:] if not (image == 1).all()]
        assert len(members) == min(15, counts[cluster])
        assert all(where[image.tobytes()] == cluster for image in members)
    heads = finished.method.decode(
        state, np.eye(16, dtype=np.float32), np.zeros((16, 4), np.float32)
    )
    np.testing.assert_allclose(grid[:, 0], np.asarray(heads)[by_class], atol=1e-5)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        ("model.num_categories=298", "298 clusters cannot be named by 297 validation images"),
        ("data.unlabelled=1497", r"named on validation images: lower data\.unlabelled"),
    ],
)
def test_clusters_that_cannot_be_named(reproduced, tmp_path, change, expected):
    with pytest.raises(UserError, match=expected):
        reproduced("aae_table3", "mnist_16", change)
    assert not (tmp_path / "runs").exists()
