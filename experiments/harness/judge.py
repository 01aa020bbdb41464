"""A classifier of ours that judges generated images, trained on a run's data, kept beside it."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import methods, training
from aae_jax.networks.conv import ConvEncoder
from experiments.harness.drawing import model_images
from experiments.harness.runner import Trained

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


def judge(trained: Trained, updates: int = UPDATES) -> Judge:
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
    settings.optimizers.classification.learning_rate = 0.01
    method = methods.build(
        "supervised_mlp",
        settings,
        spec=spec,
        parts={"classifier": ConvEncoder((32, 64), 128, (spec.num_classes,))},
    )
    mark = f"judge-{dataset.sha256[:8]}-{scaling}-{updates}"
    workdir = trained.workdir.parent / mark
    result = training.fit(method, dataset, config, spec=spec, workdir=workdir)
    state = jax.tree.map(jnp.asarray, result.states[0])
    assert method.classify is not None
    probabilities = jax.jit(method.classify)

    def classify(images: jax.Array) -> np.ndarray:
        blocks = [images[i : i + _BLOCK] for i in range(0, len(images), _BLOCK)]
        return np.concatenate(
            [np.asarray(probabilities(state, block)).argmax(axis=-1) for block in blocks]
        )

    test = dataset.test
    wrong = classify(model_images(trained, test.images)) != np.asarray(test.labels)
    return Judge(classify, 100 * float(wrong.mean()))
