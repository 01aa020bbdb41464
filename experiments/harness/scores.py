"""Scores of samples by classifiers: Inception's, where its weights are there, and those of a judge
of ours under its own name, which are for the order of rows and never the paper's number.

``<judge>_classifier_score`` is the Inception score's formula on the judge's probabilities,
``<judge>_classifier_fid`` the Fréchet distance to the test images in its last hidden layer, and
``confident_percent`` the share of samples to one of whose classes the judge gives more than 90 %.
With weights there are ``inception_score`` and ``fid``, to the test images too.
"""

import functools
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from aae_jax import data as datasets
from aae_jax.core import named_key
from aae_jax.data.scaling import Scaling
from aae_jax.metrics import check_splits, frechet_distance, inception_score
from aae_jax.networks import inception, inception_weights
from experiments.harness.judge import Judge, judge_of
from experiments.harness.runner import Measure, Trained

CONFIDENT = 0.9  # our choice: no paper names a threshold
_OF_JUDGE = ("classifier_score", "classifier_score_std", "classifier_fid")
_OF_INCEPTION = ("inception_score", "inception_score_std", "fid")
_BLOCK = 64  # images that Inception sees at once: 299x299, and wide layers
BATCH = 512  # images that are drawn and described at once, a number that devices divide
SAMPLES = "samples"  # the purpose of the key that a seed's samples are drawn with

Sample = Callable[[jax.Array, int], jax.Array]
# Images [n, h, w, c] -> (probabilities [n, k], features [n, d]).
Describe = Callable[[jax.Array], tuple[np.ndarray, np.ndarray]]


def image_scores(
    sample: Sample,
    num: int,
    judge: Judge,
    reference_images: np.ndarray,
    *,
    scaling: Scaling,
    key: jax.Array,
    splits: int = 10,
    batch_size: int = BATCH,
    by_inception: Describe | None = None,
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
        batch_size: images that are drawn and described at once.
        by_inception: of images in [0, 1], where there are weights: ``inception_describe()``.

    Returns:
        ``classifier_score``, ``classifier_score_std`` (of the splits, the population's),
        ``classifier_fid`` and ``confident_percent``; with ``by_inception`` ``inception_score``,
        ``inception_score_std`` and ``fid`` too.

    Raises:
        UserError: fewer samples than splits.
    """
    check_splits(num, splits)
    classifiers: dict[tuple[str, ...], Describe] = {_OF_JUDGE: judge.describe}
    if by_inception is not None:
        classifiers[_OF_INCEPTION] = lambda x: by_inception(scaling.inverse(x))
    of_samples: dict[tuple[str, ...], list] = {names: [] for names in classifiers}
    of_real: dict[tuple[str, ...], list] = {names: [] for names in classifiers}
    for i, start in enumerate(range(0, num, batch_size)):
        images = _on_all_devices(sample(jax.random.fold_in(key, i), batch_size)[: num - start])
        for of_classifier, describe in classifiers.items():
            of_samples[of_classifier].append(describe(images))
    for start in range(0, len(reference_images), batch_size):
        images = scaling.forward(jnp.asarray(reference_images[start : start + batch_size]))
        for of_classifier, describe in classifiers.items():
            of_real[of_classifier].append(describe(_on_all_devices(images))[1])
    found: dict[str, float] = {}
    for of_classifier, described in of_samples.items():
        probabilities, features = map(np.concatenate, zip(*described))
        distance = frechet_distance(features, np.concatenate(of_real[of_classifier]))
        found |= zip(of_classifier, (*inception_score(probabilities, splits), distance))
        if of_classifier is _OF_JUDGE:
            sure = probabilities.max(axis=1) > CONFIDENT
            found["confident_percent"] = 100 * float(sure.mean())
    return found


def inception_describe() -> Describe | None:
    """Inception's description of images in [0, 1], ``None`` where there are no weights.

    Raises:
        UserError: the weights are not what was converted.
    """
    if not inception_weights.path().is_file():
        return None
    weights = jax.device_put(inception_weights.load(inception_weights.path()))
    describe_block = jax.jit(inception.describe)

    def describe(images: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        blocks = (images[i : i + _BLOCK] for i in range(0, len(images), _BLOCK))
        found = [jax.device_get(describe_block(weights, _on_all_devices(x))) for x in blocks]
        probabilities, features = map(np.concatenate, zip(*found))
        return probabilities, features

    return describe


def _over_all_devices(num: int) -> NamedSharding | None:
    """How so many images lie on all devices of this host; ``None`` where there is one, or they do
    not divide."""
    devices = jax.local_devices()
    if len(devices) == 1 or num % len(devices):
        return None
    return NamedSharding(Mesh(np.array(devices), ("data",)), PartitionSpec("data"))


def _on_all_devices(images: jax.Array) -> jax.Array:
    sharding = _over_all_devices(len(images))
    return images if sharding is None else jax.device_put(images, sharding)


def names(judge: str) -> tuple[str, ...]:
    """The metrics of ``measure``, in which the judge's scores carry its name; Inception's where its
    weights are there."""
    of_inception = _OF_INCEPTION if inception_weights.path().is_file() else ()
    of_judge = (f"{judge}_{name}" for name in _OF_JUDGE)
    return (*of_judge, "confident_percent", "judge_error_percent", *of_inception)


def of_run(trained: Trained, judge: Judge, name: str) -> dict[str, list[float]]:
    """``names(name)`` of every seed's samples from the prior, by the settings of the config's
    ``scores``; the judge's own error beside them."""
    settings, sample = trained.config.scores, trained.method.sample
    assert sample is not None
    draw = jax.jit(sample, static_argnums=2, out_shardings=_over_all_devices(BATCH))
    by_inception = inception_describe()
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
            by_inception=by_inception,
        )
        found["judge_error_percent"] = judge.error_percent
        for metric, value in found.items():
            measured[f"{name}_{metric}" if metric in _OF_JUDGE else metric].append(value)
    return measured


def measure(name: str) -> Measure:
    """The scores of a run by the judge of its data, which is called ``name``: "cifar10"; in the
    smoke profile by that of the digits, under the same name."""
    return Measure(names(name), lambda trained, judge: of_run(trained, judge, name), judge_of)


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse scores that could not be had after training, and say where Inception's are none.

    Raises:
        UserError: fewer samples than splits, or weights of Inception that are not what was
            converted.
    """
    check_splits(config.scores.num_samples, config.scores.splits)
    if inception_describe() is None:
        _say_so()


@functools.cache
def _say_so() -> None:
    print(
        f"there are no weights of Inception in {inception_weights.path()}: scores are the judge's "
        "alone, under its name (`make data DATASET=inception` converts those that you have)"
    )
