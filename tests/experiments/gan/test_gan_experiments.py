"""The GANs' experiments from end to end: likelihoods, samples, features, arithmetic, classes, and
the judges they lean on."""

import jax.numpy as jnp
import numpy as np
import pytest

import aae_jax
from aae_jax.errors import UserError
from configs.cgan import classes as cgan_configs
from configs.gan import parzen as parzen_configs
from experiments.cgan import classes
from experiments.dcgan import arithmetic, features
from experiments.gan import parzen, samples
from experiments.harness import catalogue, cli, judge, workdir
from experiments.harness import samples as sampling

TINY_DCGAN = (
    "model.noise_dim=4",
    "model.generator.features=(4,4)",
    "model.discriminator.features=(4,4)",
)


def test_the_papers_numbers():
    assert {row.name: row.paper for row in parzen.TABLE.rows} == {
        "mnist": (225, 2),
        "tfd": (2057, 26),
    }
    of_features = {row.name: row.paper for row in features.TABLE.rows}
    assert of_features["svhn_1000"] == (22.48, None)
    assert of_features["cifar10"] == (pytest.approx(100 - 82.8), None)
    assert classes.PAPER_NATS == (132, 1.8)
    assert "132 ± 1.8" in classes.TABLE.rows[0].note


def test_the_papers_settings():
    config = parzen_configs.get_config("mnist,paper")
    assert (config.parzen.num_samples, config.parzen.selection_samples) == (10_000, 10_000)
    assert (config.model.critic_steps, config.model.maxout_pieces) == (1, 5)
    config = cgan_configs.get_config("mnist,paper")
    settings = config.model.optimizers.generator
    assert (settings.learning_rate, settings.momentum, settings.final_momentum) == (0.1, 0.5, 0.7)
    assert config.model.schedule.factor == pytest.approx(1 / 1.00004)
    assert config.data.labelled_batch_size == config.data.batch_size == 100


def test_likelihood(reproduced, recorded, assert_pictures):
    finished = reproduced("gan_parzen", "mnist")
    record = recorded(finished)
    assert record["paper"] == {"mean": 225, "std": 2}
    assert record["extra"]["samples"] == [1000]
    assert_pictures(finished.workdir, "samples.png")


def test_samples_have_their_neighbours_in_the_last_column(reproduced, recorded, grids):
    finished = reproduced("gan_samples", "cifar10_jpeg_conv", *TINY_DCGAN)
    extra = recorded(finished)["extra"]
    assert grids["samples.png"] == (8, 13, 8, 8, 1)
    assert finished.record["mean"] > extra["energy_distance_of_training_images"][0]
    # A generator that copies training images is found out.
    images = jnp.asarray(finished.dataset.train.images[:500])

    def copies(state, key, num):
        return finished.dataset.scaling.forward(images[jnp.arange(num) % 500])

    copied = finished._replace(method=finished.method._replace(sample=copies))
    measured = sampling.quality(copied)
    assert measured["nearest_distance_ratio"] == [pytest.approx(0, abs=1e-5)]
    assert measured["energy_distance"][0] < 0.2 * finished.record["mean"]


def test_batches_are_cut_for_k_steps_before_anything_is_written(tiny_run, tmp_path):
    run = tiny_run("gan_samples", "mnist", "model.critic_steps=3")
    with pytest.raises(UserError, match="50, which does not divide into the 3 minibatches"):
        samples.run(run)
    assert not (tmp_path / "runs").exists()


def test_features_under_a_linear_svm(reproduced, recorded):
    finished = reproduced("dcgan_features", "mnist_1000")
    extra = recorded(finished)["extra"]
    assert finished.record["mean"] < 25  # chance is 90
    assert extra["num_labels"] == [300]
    assert extra["c"][0] in finished.config.svm.c
    state = finished.result.states[0]
    found = features.features_of(finished, state, finished.dataset.test.images[:3])
    assert found.shape == (3, 16 * 4 * 4 + 32 * 2 * 2)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("svm.num_labels=9", "svm.num_labels is 9, fewer than the 10 classes"),
        ("svm.c=(0.1, 0.0)", "it must be positive"),
        ("svm.held_out=0", "there are none"),
        ("svm.num_labels=-1", "it must be at least 0"),
    ],
)
def test_an_svm_that_cannot_be(tiny_run, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        features.run(tiny_run("dcgan_features", "mnist_1000", changes))
    assert not (tmp_path / "runs").exists()


def test_arithmetic_is_judged_and_drawn(reproduced, recorded, grids):
    finished = reproduced("dcgan_arithmetic", "mnist", "arithmetic.averaged=1", *TINY_DCGAN)
    extra = recorded(finished)["extra"]
    assert set(extra) - {"test_minus_log_d", "validation_minus_log_d"} == {*arithmetic.TABLE.shown}
    assert 0 <= extra["class_percent"][0] <= 100
    assert 0 < extra["judge_error_percent"][0] < 30
    assert grids["turn.png"] == (6, arithmetic.STEPS, 8, 8, 1)


def by_hand():
    """Codes whose first entry is thickness, whose second is slant, and the rest the class."""
    rng = np.random.default_rng(0)
    labels = np.arange(60) % 3
    thick, lean = rng.uniform(1, 3, 60), rng.uniform(-1, 1, 60)
    codes = np.concatenate([thick[:, None], lean[:, None], np.eye(3)[labels]], axis=1)
    return arithmetic.Samples(codes, labels, thick, lean)


def test_results_are_a_thick_other_class():
    drawn = by_hand()
    noise = 0.1 * np.ones((2, 5))
    found = arithmetic.results(drawn, 0, 1, 3, noise)
    of = [drawn.thickness[drawn.classes == label] for label in (0, 1)]
    # Of twenty each, without the two that lie farthest out.
    first, second = np.sort(of[0]), np.sort(of[1])
    thick = first[-5:-2].mean() - first[2:5].mean() + second[2:5].mean()
    assert found.shape == (3, 5)
    np.testing.assert_allclose(found[0, 0], thick)
    np.testing.assert_allclose(found[0, 2:], [0, 1, 0], atol=1e-12)
    np.testing.assert_allclose(found[1:], np.stack([found[0], found[0]]) + 0.1)
    assert arithmetic.results(drawn, 0, 1, 11, noise) is None


def test_the_turn_leads_from_left_to_right_and_leaves_the_class():
    drawn = by_hand()
    vector = arithmetic.turn_vector(drawn, 3)
    assert vector[1] > 1
    np.testing.assert_allclose(vector[2:], 0, atol=1e-12)
    along = arithmetic.turned(drawn.codes[:2], vector)
    np.testing.assert_allclose(along[:, 4], drawn.codes[:2])
    np.testing.assert_allclose(along[:, -1] - along[:, 0], np.stack([vector, vector]))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ("arithmetic.num_samples=59", "must be at least 60"),
        ("arithmetic.averaged=0", "at least 1"),
        ("arithmetic.noise=-0.1", "arithmetic.noise is -0.1"),
    ],
)
def test_arithmetic_that_cannot_be(tiny_run, tmp_path, changes, message):
    with pytest.raises(UserError, match=message):
        arithmetic.run(tiny_run("dcgan_arithmetic", "mnist", changes))
    assert not (tmp_path / "runs").exists()


def test_classes_asked_for(reproduced, recorded, grids, assert_pictures):
    finished = reproduced("cgan_classes", "mnist")
    extra = recorded(finished)["extra"]
    assert 0 <= finished.record["mean"] <= 100
    assert np.isfinite(extra["parzen_nats"][0])
    assert_pictures(finished.workdir, "label_and_noise.png", "label_alone.png", "noise_alone.png")
    assert set(grids.values()) == {(10, 10, 8, 8, 1)}
    # A panel without noise has one image a row, and one without labels one a column.
    found = classes.panels(finished)
    alone, of_noise = found["label_alone"], found["noise_alone"]
    np.testing.assert_allclose(alone, np.broadcast_to(alone[:, :1], alone.shape), atol=1e-5)
    np.testing.assert_allclose(of_noise, np.broadcast_to(of_noise[:1], of_noise.shape), atol=1e-5)
    assert np.abs(alone[0] - alone[1]).max() > 1e-4
    # A generator that draws what it is asked for is believed as far as the judge's error goes.
    test = finished.dataset.test
    firsts = [np.flatnonzero(test.labels == label)[0] for label in range(10)]
    of = jnp.asarray(test.images[np.array(firsts)])

    def obedient(state, y, z):
        return finished.dataset.scaling.forward(of)[y.argmax(axis=-1)]

    asked = finished._replace(method=finished.method._replace(decode=obedient))
    measured = classes.labels_asked_for(asked, judge.judge_of(asked))
    assert measured["label_percent"][0] >= 80
    assert measured["judge_error_percent"] == extra["judge_error_percent"]


def test_a_judge_is_kept_loaded_and_asked_in_pixels(tiny_run, reproduced, recorded):
    finished = reproduced("dcgan_samples", "mnist", *TINY_DCGAN)
    judged_by = judge.judge_of(finished)
    config, _ = cli.load_config("configs/mnist/judge.py:mnist,smoke")
    kept = workdir.derive(config, {})
    written = (kept / "seed_0/result.json").stat().st_mtime_ns
    assert judge.judge_of(finished).error_percent == judged_by.error_percent < 15
    assert (kept / "seed_0/result.json").stat().st_mtime_ns == written
    method, state = aae_jax.load(kept)
    test = finished.dataset.test
    probabilities = method.classify(state, jnp.asarray(test.images) / 16.0)
    wrong = 100 * float((np.asarray(probabilities).argmax(axis=1) != test.labels).mean())
    assert wrong == pytest.approx(judged_by.error_percent)
    # The run's images are in [-1, 1], and the judge's in [0, 1].
    assert finished.config.data.scaling == "symmetric"
    seen = judged_by.classify(finished.dataset.scaling.forward(jnp.asarray(test.images)))
    np.testing.assert_array_equal(seen, np.asarray(probabilities).argmax(axis=1))


def test_some_classes_have_a_judge_of_their_own(reproduced):
    finished = reproduced("dcgan_samples", "mnist", *TINY_DCGAN, "data.classes=(0, 1)")
    judged_by = judge.judge_of(finished, smoke_updates=50)
    assert len(list(finished.workdir.parent.glob("judge-*"))) == 1
    assert judged_by.error_percent < 20


@pytest.mark.parametrize("name", sorted({experiment for experiment, _ in judge.KEPT.values()}))
def test_every_kept_judge_has_its_target(name):
    rows = {row.name for row in catalogue.module(name).TABLE.rows}
    assert rows == {row for experiment, row in judge.KEPT.values() if experiment == name}
    assert catalogue.target(name) == f"judge-{name.removesuffix('_judge')}"
    for data, (experiment, row) in judge.KEPT.items():
        if experiment == name and data != "digits":
            config, _ = cli.load_config(f"{catalogue.config_file(name)}:{row},fast")
            assert (config.data.name, config.data.scaling) == (data, "unit")
