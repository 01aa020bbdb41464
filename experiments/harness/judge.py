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
    """

    classify: Callable[[jax.Array], np.ndarray]
    error_percent: float


def judge(trained: Trained | Finished, updates: int = UPDATES) -> Judge:
    """The judge of a run's data: two strided convolutions and a dense layer, trained for so many
    updates on all training images with their labels, with 20 % of the pixels dropped.

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
    settings.features, settings.hidden = (32, 64), (128,)
    settings.optimizers.classification.learning_rate = 0.01
    with config.unlocked():
        config.method, config.model = "supervised_mlp", settings
    method = methods.build(config.method, settings, spec=spec)
    mark = f"judge-{dataset.sha256[:8]}-{scaling}-{updates}"
    folder = trained.workdir.parent / mark
    result = training.fit(method, dataset, config, spec=spec, workdir=folder)
    classify = _classifier(method, result.states[0])
    test = dataset.test
    wrong = classify(model_images(trained, test.images)) != np.asarray(test.labels)
    return Judge(classify, 100 * float(wrong.mean()))


def _classifier(method: methods.Method, state: State) -> Callable[[jax.Array], np.ndarray]:
    """Images [n, h, w, c] -> classes [n], block by block."""
    assert method.classify is not None
    probabilities, state = jax.jit(method.classify), jax.tree.map(jnp.asarray, state)

    def classify(images: jax.Array) -> np.ndarray:
        blocks = [images[i : i + _BLOCK] for i in range(0, len(images), _BLOCK)]
        return np.concatenate(
            [np.asarray(probabilities(state, block)).argmax(axis=-1) for block in blocks]
        )

    return classify


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
    in_pixels = _classifier(kept.method, kept.result.states[0])

    def classify(images: jax.Array) -> np.ndarray:
        return in_pixels(jnp.clip(trained.dataset.scaling.inverse(images), 0.0, 1.0))

    return Judge(classify, kept.result.metrics["test_error_percent"][0])


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
