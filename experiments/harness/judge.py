"""Classifiers of ours that judge generated images, each kept with its own error.

Those of ``KEPT`` have targets (``make reproduce-judge-mnist``), and every number that leans on one
names it by its error; for other data a judge is trained beside the run.
"""

import math
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import methods, plots, training
from aae_jax.core import State
from experiments.harness import catalogue, cli, workdir
from experiments.harness.drawing import model_images
from experiments.harness.runner import Finished, Trained

UPDATES = 3_000
_BLOCK = 1_000


class Judge(NamedTuple):
    """A classifier, and how far it is to be trusted.

    Attributes:
        classify: images as networks see them, [n, h, w, c] -> classes [n].
        error_percent: its own error on the real test images, at its last step.
        describe: such images -> (probabilities of the classes [n, k], its last hidden layer
            [n, d]).
    """

    classify: Callable[[jax.Array], np.ndarray]
    error_percent: float
    describe: Callable[[jax.Array], tuple[np.ndarray, np.ndarray]]


def judge(trained: Trained | Finished, updates: int = UPDATES) -> Judge:
    """The judge of a run's data: two strided convolutions and a dense layer, trained for so many
    updates on all training images with their labels, with 20 % of the pixels dropped; narrower in
    the smoke profile.

    It lies in ``judge-<data>-<scaling>-<updates>`` beside the run's directory, and is trained only
    if it is not there.

    Raises:
        UserError: another process is training it.
    """
    dataset, scaling = trained.dataset, trained.config.data.scaling
    config = training.default_config()
    config.data.scaling = scaling
    config.data.batch_size = config.data.labelled_batch_size = min(100, len(dataset.train.labels))
    per_epoch = len(dataset.train.labels) // config.data.batch_size
    config.train.epochs = max(1, math.ceil(updates / per_epoch))
    config.train.evaluate_every = config.train.epochs
    spec = training.data_spec(dataset, config)
    settings = methods.default_config("supervised_mlp")
    smoke = trained.config.profile == "smoke"
    settings.features, settings.hidden = ((8, 16), (32,)) if smoke else ((32, 64), (128,))
    settings.optimizers.classification.learning_rate = 0.01
    with config.unlocked():
        config.method, config.model = "supervised_mlp", settings
    method = methods.build(config.method, settings, spec=spec)
    mark = f"judge-{dataset.sha256[:8]}-{scaling}-{updates}"
    folder = trained.workdir.parent / mark
    result = training.fit(method, dataset, config, spec=spec, workdir=folder)
    classify, describe = _in_blocks(method, result.states[0])
    test = dataset.test
    wrong = classify(model_images(trained, test.images)) != np.asarray(test.labels)
    return Judge(classify, 100 * float(wrong.mean()), describe)


def _in_blocks(method: methods.Method, state: State) -> tuple[Callable, Callable]:
    """A judge's ``classify`` and ``describe``, block by block."""
    probabilities_of, features_of = method.classify, method.features
    assert probabilities_of is not None and features_of is not None
    state = jax.tree.map(jnp.asarray, state)
    probabilities = jax.jit(probabilities_of)
    both = jax.jit(
        lambda state, images: (probabilities_of(state, images), features_of(state, images))
    )

    def blocks(images: jax.Array) -> list[jax.Array]:
        return [images[i : i + _BLOCK] for i in range(0, len(images), _BLOCK)]

    def classify(images: jax.Array) -> np.ndarray:
        found = [np.asarray(probabilities(state, block)) for block in blocks(images)]
        return np.concatenate(found).argmax(axis=-1)

    def describe(images: jax.Array) -> tuple[np.ndarray, np.ndarray]:
        found = [jax.device_get(both(state, block)) for block in blocks(images)]
        of_classes, hidden = map(np.concatenate, zip(*found))
        return of_classes, hidden

    return classify, describe


# The experiment and row of the judge of a data set; in the smoke profile they judge digits.
KEPT = {
    "mnist": ("mnist_judge", "mnist"),
    "digits": ("mnist_judge", "mnist"),
    "fashion_mnist": ("fashion_judge", "fashion_mnist"),
    "cifar10": ("cifar10_judge", "cifar10"),
    "cifar10_jpeg": ("cifar10_judge", "cifar10_jpeg"),
}


def judge_of(trained: Trained | Finished, smoke_updates: int = 200) -> Judge:
    """The judge of a run's data: its target's, of the run's profile, trained if it is not there; of
    data that has no target, or of some of its classes, ``judge``.

    Raises:
        UserError: another process is training it, or its directory holds something else.
    """
    config = trained.config
    if config.data.name not in KEPT or config.data.classes:
        return judge(trained, smoke_updates if config.profile == "smoke" else UPDATES)
    experiment, row = KEPT[config.data.name]
    profile = "smoke" if config.data.name == "digits" else config.profile
    of_judge, _ = cli.load_config(f"{catalogue.config_file(experiment)}:{row},{profile}")
    kept = catalogue.module(experiment).run(cli.Run(of_judge, {}, workdir.derive(of_judge, {})))
    classify, describe = _in_blocks(kept.method, kept.result.states[0])

    def pixels(images: jax.Array) -> jax.Array:
        return jnp.clip(trained.dataset.scaling.inverse(images), 0.0, 1.0)

    return Judge(
        lambda images: classify(pixels(images)),
        kept.result.metrics["test_error_percent"][0],
        lambda images: describe(pixels(images)),
    )


def judge_figures(finished: Finished) -> list[Path]:
    """Test error over training."""
    config, result = finished.config, finished.result
    return [
        plots.error_curves(
            result.curves,
            finished.workdir / "test_error.png",
            title=f"judge of {finished.dataset.name} ({config.profile})",
            names=[f"seed {seed}" for seed in result.seeds],
        )
    ]
