"""Scores of samples by classifiers: Inception's, where its weights are there, and those of a judge
of ours under its own name, which are for the order of rows and never the paper's number.

``<judge>_classifier_score`` is the Inception score's formula on the judge's probabilities,
``<judge>_classifier_fid`` the Fréchet distance to the test images in its last hidden layer, and
``confident_percent`` the share of samples to one of whose classes the judge gives more than 90 %.
"""

from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import NamedSharding, PartitionSpec

from aae_jax import data as datasets
from aae_jax.core import named_key
from aae_jax.data.scaling import Scaling
from aae_jax.metrics import check_splits, frechet_distance, inception_score
from experiments.harness.judge import Judge, judge_of
from experiments.harness.runner import Measure, Trained

CONFIDENT = 0.9  # our choice: no paper names a threshold
_OF_JUDGE = ("classifier_score", "classifier_score_std", "classifier_fid")
SAMPLES = "samples"  # the purpose of the key that a seed's samples are drawn with

Sample = Callable[[jax.Array, int], jax.Array]


def image_scores(
    sample: Sample,
    num: int,
    judge: Judge,
    reference_images: np.ndarray,
    *,
    scaling: Scaling,
    key: jax.Array,
    splits: int = 10,
    batch_size: int = 500,
) -> dict[str, float]:
    """What classifiers make of samples, which are drawn batch by batch and described at once, so
    that no more than a batch of images is ever held; a batch lies on all devices.

    Args:
        sample: (key, n) -> n images [n, h, w, c] as networks put them out. It is called with one
            ``n`` only.
        num: samples to draw.
        judge: a classifier of ours.
        reference_images: uint8 [m, h, w, c], real images, whose features the samples' are compared
            with.
        scaling: between the images' levels and what networks see.
        key: of the samples; batch i is drawn with ``fold_in(key, i)``.
        splits: of the scores, contiguous in the order of drawing.
        batch_size: samples that are drawn at once.

    Returns:
        ``classifier_score``, ``classifier_score_std`` (of the splits, the population's),
        ``classifier_fid`` and ``confident_percent``.

    Raises:
        UserError: fewer samples than splits.
    """
    check_splits(num, splits)
    of_judge: list[tuple[np.ndarray, np.ndarray]] = []
    for i, start in enumerate(range(0, num, batch_size)):
        images = sample(jax.random.fold_in(key, i), batch_size)[: num - start]
        of_judge.append(judge.describe(_on_all_devices(images)))
    probabilities, features = map(np.concatenate, zip(*of_judge))
    blocks = (reference_images[i : i + 1000] for i in range(0, len(reference_images), 1000))
    real = [judge.describe(scaling.forward(jnp.asarray(block)))[1] for block in blocks]
    score, std = inception_score(probabilities, splits)
    return {
        "classifier_score": score,
        "classifier_score_std": std,
        "classifier_fid": frechet_distance(features, np.concatenate(real)),
        "confident_percent": 100 * float((probabilities.max(axis=1) > CONFIDENT).mean()),
    }


def _on_all_devices(images: jax.Array) -> jax.Array:
    devices = jax.device_count()
    if devices == 1 or len(images) % devices:
        return images
    mesh = jax.make_mesh((devices,), ("data",))
    return jax.device_put(images, NamedSharding(mesh, PartitionSpec("data")))


def names(judge: str) -> tuple[str, ...]:
    """The metrics of ``measure``, in which the judge's scores carry its name."""
    return (*(f"{judge}_{name}" for name in _OF_JUDGE), "confident_percent", "judge_error_percent")


def of_run(trained: Trained, judge: Judge, name: str) -> dict[str, list[float]]:
    """``names(name)`` of every seed's samples from the prior, by the settings of the config's
    ``scores``; the judge's own error beside them."""
    settings, sample = trained.config.scores, trained.method.sample
    assert sample is not None
    draw = jax.jit(sample, static_argnums=2)
    measured: dict[str, list[float]] = {of_name: [] for of_name in names(name)}
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        found = image_scores(
            partial(draw, state),
            settings.num_samples,
            judge,
            np.asarray(trained.dataset.test.images),
            scaling=trained.dataset.scaling,
            key=named_key(jax.random.key(seed), SAMPLES),
            splits=settings.splits,
        )
        found["judge_error_percent"] = judge.error_percent
        for metric, value in found.items():
            measured[f"{name}_{metric}" if metric in _OF_JUDGE else metric].append(value)
    return measured


def measure(name: str) -> Measure:
    """The scores of a run by the judge of its data, which is called ``name``: "cifar10"; in the
    smoke profile by that of the digits, under the same name."""
    return Measure(names(name), lambda trained: of_run(trained, judge_of(trained), name))


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse scores that could not be had after training.

    Raises:
        UserError: fewer samples than splits.
    """
    check_splits(config.scores.num_samples, config.scores.splits)
