"""The flipped implicit autoencoder's figures and number."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax import data as datasets
from aae_jax.data import toys
from aae_jax.errors import UserError
from experiments.fiae import clustering, fig11
from experiments.harness import catalogue, cli


def test_four_data_points_and_their_posteriors(tiny_run, assert_pictures):
    """The smoke row of the InfoGAN, and the other's beside it in one picture."""
    for row, changes in (("infogan", ()), ("fiae", ("train.epochs=12",))):
        arguments = tiny_run("fiae_fig11", row, "train.epochs=2", *changes)
        finished = fig11.run(arguments)
        extra = finished.record["extra"]
        assert 1 <= extra["points_generated"][0] <= 4
        assert 0 <= extra["overlap_percent"][0] <= 75
        assert_pictures(finished.workdir, "posteriors.png")


def perfect(points):
    """A model whose code's quadrant is the data point, and whose posterior is the true one."""

    def decode(z, key):
        return points[np.asarray(2 * (z[:, 0] > 0) + (z[:, 1] > 0))]

    def encode(x, key):
        quadrant = np.linalg.norm(np.asarray(x)[:, None] - points, axis=-1).argmin(axis=1)
        signs = np.stack([2 * (quadrant // 2) - 1, 2 * (quadrant % 2) - 1], axis=1)
        return (np.abs(jax.random.normal(key, (len(x), 2))) * signs,)

    return encode, decode


def test_posteriors_that_are_right_are_found_right():
    points = toys.ring_means("toys/four")
    encode, decode = perfect(points)
    posteriors = fig11.posteriors_of(encode, decode, points, 1.0, jax.random.key(0))
    prior = np.random.default_rng(0).standard_normal((fig11.NUM_DRAWS, 2))
    found = fig11.measured(posteriors, prior, 1.0)
    assert found["points_generated"] == 4
    assert abs(found["posterior_energy_distance"]) < 0.005
    assert abs(found["prior_energy_distance"]) < 0.005
    assert found["overlap_percent"] == found["true_overlap_percent"] == 0
    # One that forgets which point it saw: all four posteriors are the prior.
    forgetful = posteriors._replace(
        variational=np.random.default_rng(1).standard_normal(posteriors.variational.shape)
    )
    found = fig11.measured(forgetful, prior, 1.0)
    assert found["posterior_energy_distance"] > 0.3
    assert found["overlap_percent"] > 50
    assert abs(found["prior_energy_distance"]) < 0.005


def test_a_point_that_is_never_made_is_told():
    points = toys.ring_means("toys/four")
    encode, _ = perfect(points)

    def decode(z, key):
        return points[np.asarray(z[:, 0] > 0).astype(int)]

    posteriors = fig11.posteriors_of(encode, decode, points, 1.0, jax.random.key(0))
    assert fig11.measured(posteriors, np.eye(2), 1.0)["points_generated"] == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ("model.code_dim=3", "2-D Gaussian code, not of a gaussian one of 3"),
        ("data.name=toys/ring7", "leave it at toys/four"),
    ],
)
def test_figure_11_refuses_what_it_cannot_draw(change, message):
    path = catalogue.config_file("fiae_fig11")
    config, _ = cli.load_config(f"{path}:fiae,smoke", [f"--config.{change}"])
    with pytest.raises(UserError, match=message):
        fig11.check(config, datasets.load(config.data.name))


NARROW = (
    "model.generator.dense=(8,)",
    "model.generator.features=(4,)",
    "model.recognition.dense=(8,)",
    "model.recognition.features=(4,)",
    "model.discriminator.dense=(8,)",
    "model.discriminator.features=(4,)",
    "model.reconstruction_discriminator.dense=(8,)",
    "model.reconstruction_discriminator.features=(4,)",
)
ON_A_TRUNK = tuple(change for change in NARROW if "recognition.features" not in change)


def test_clusters_are_measured_and_drawn(reproduced, recorded, grids, assert_pictures):
    finished = reproduced("fiae_clustering", "mnist_10", *ON_A_TRUNK)
    extra = recorded(finished)["extra"]
    assert set(clustering.MEASURE.names) <= set(extra)
    assert 0 < extra["generated_error_percent"][0] <= 100
    assert grids["cluster_samples.png"][:2] == (10, 10)
    assert grids["uncertain.png"][:2] == (12, 1)
    assert_pictures(finished.workdir, "test_error.png", "cluster_samples.png", "uncertain.png")


def test_draws_that_differ_are_counted(reproduced):
    finished = reproduced("fiae_clustering", "mnist_10", *ON_A_TRUNK)
    labels = np.asarray(finished.dataset.test.labels)
    shapes = finished.dataset.train.images.shape[1:]

    def encode(state, images, key=None):
        """Dark images are certain, of the others half of the draws are another category."""
        bright = images.reshape(len(images), -1).mean(axis=1) > 0.3
        coin = (
            jax.random.bernoulli(key, 0.5, (len(images),))
            if key is not None
            else jnp.zeros(1, bool)
        )
        return (jax.nn.one_hot(jnp.where(bright & coin, 1, 0), 10),)

    method = finished.method._replace(
        encode=encode, classify=lambda state, images: encode(state, images)[0]
    )
    measured = clustering.disagreement(finished._replace(method=method))
    levels = np.asarray(finished.dataset.test.images).reshape(-1, np.prod(shapes)) / 16
    bright = levels.mean(axis=1) > 0.3
    expected = 100 * bright.mean()  # ten draws are alike once in 512
    assert measured["draws_differ_percent"][0] == pytest.approx(expected, abs=1.5)
    named = np.bincount(finished.dataset.validation.labels).argmax()
    wrong = 100 * bright[labels != named].mean()
    assert measured["draws_differ_if_wrong_percent"][0] == pytest.approx(wrong, abs=1.5)


def test_reconstructions_are_measured_and_drawn(reproduced, recorded, grids, monkeypatch):
    monkeypatch.setattr("experiments.iae.fig2.SMOKE_UPDATES", 20)
    finished = reproduced("fiae_fig13", "mnist_15d", *NARROW)
    record = recorded(finished)
    assert 0 < record["mean"] < 1 and record["extra"]["pixel_spread"][0] < 1e-6
    assert grids["reconstructions.png"][:2] == (2, 16)
