"""Samples of a generator: a picture of them with their nearest training images, and numbers beside
it."""

from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots
from aae_jax.core import named_key
from aae_jax.data.subsets import permutation
from aae_jax.metrics import energy_distance
from experiments.harness.drawing import first_state, nearest_images, shown_images
from experiments.harness.runner import Finished, Measure, Trained

NUM = 2_000  # samples, and images of each kind that they are compared with


def _few(images: np.ndarray, num: int = NUM) -> np.ndarray:
    """So many of uint8 images, the same in every run."""
    return np.asarray(images[np.sort(permutation(len(images), 0)[:num])])


def quality(trained: Trained) -> dict[str, list[float]]:
    """Of every seed's samples and of real images, pixels in [0, 1]:

    ``energy_distance`` of samples and test images, and for scale that of training and test images;
    ``nearest_distance_ratio``: the mean distance of a sample to its nearest training image over
    that of a test image. Far below 1 the samples are copies, or smoother than any image."""
    dataset, sample = trained.dataset, trained.method.sample
    assert sample is not None
    top = dataset.scaling.max_value

    def flat(images: np.ndarray) -> np.ndarray:
        return np.asarray(images, np.float64).reshape(len(images), -1)

    test, train = (
        np.asarray(dataset.scaling.pixels(_few(split.images)))
        for split in (dataset.test, dataset.train)
    )

    def nearest(images: np.ndarray) -> float:
        copies = nearest_images(images, dataset.train.images, top)
        return float(np.linalg.norm(flat(images - copies), axis=1).mean())

    shown = min(500, len(test))
    real, of_real = energy_distance(flat(train), flat(test)), nearest(test[:shown])
    measured: dict[str, list[float]] = {}
    draw = jax.jit(sample, static_argnums=2)
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key = named_key(jax.random.key(seed), "samples")
        blocks = [draw(state, jax.random.fold_in(key, i), 500) for i in range(NUM // 500)]
        images = shown_images(trained, jnp.concatenate(blocks))
        values = {
            "energy_distance": energy_distance(flat(images), flat(test)),
            "energy_distance_of_training_images": real,
            "nearest_distance_ratio": nearest(images[:shown]) / max(of_real, 1e-12),
        }
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


SHOWN = ("energy_distance_of_training_images", "nearest_distance_ratio")
MEASURE = Measure(("energy_distance", *SHOWN), quality)


def figures(finished: Finished, rows: int = 8, columns: int = 12) -> list[Path]:
    """Samples of the first seed, the last column their neighbours' nearest training images."""
    sample, dataset = finished.method.sample, finished.dataset
    assert sample is not None
    drawn = sample(first_state(finished), jax.random.key(1), rows * columns)
    images = shown_images(finished, drawn)
    images = images.reshape(rows, columns, *images.shape[1:])
    neighbours = nearest_images(images[:, -1], dataset.train.images, dataset.scaling.max_value)
    config = finished.config
    return [
        plots.image_grid(
            np.concatenate([images, neighbours[:, None]], axis=1),
            finished.workdir / "samples.png",
            title=f"{config.row} ({config.profile}): samples, {dataset.name}",
            column_label="the last column is the training image nearest to the sample before it",
        )
    ]
