"""Implicit Autoencoders, figure 13: MNIST reconstructed by a flipped implicit autoencoder with a
code of 15 dimensions and without noise; squared error of a pixel, pixels in [0, 1].

Beside it the share of the test images whose reconstruction keeps their class in the eyes of a
classifier of ours.

make reproduce-fig13-fiae PROFILE=fast
"""

import sys
from pathlib import Path

import numpy as np

from aae_jax import evaluators, plots
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images, shown_images
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table
from experiments.iae import fig2

TABLE = Table(
    experiment="fiae_fig13",
    title="Implicit Autoencoders, figure 13: squared error of MNIST's test images reconstructed by "
    "a flipped implicit autoencoder, mean over pixels",
    metric="pixel_error",
    rows=(Row("mnist_15d", "MNIST, 15-D code, no noise"),),
    decimals=4,
    shown=("kept_class_percent", "judge_error_percent"),
)


def reconstruction_grid(finished: Finished, columns: int = 16) -> np.ndarray:
    """Images [2, columns, h, w, c] of the first seed: test images, and their reconstructions."""
    images = finished.dataset.test.images[:columns]
    method, state = finished.method, first_state(finished)
    assert method.encode is not None and method.decode is not None
    (z,) = method.encode(state, model_images(finished, images))
    originals = np.asarray(finished.dataset.scaling.pixels(np.asarray(images)))
    return np.stack([originals, shown_images(finished, method.decode(state, z))])


def figures(finished: Finished) -> list[Path]:
    """Test images above, reconstructions below."""
    config = finished.config
    return [
        plots.image_grid(
            reconstruction_grid(finished),
            finished.workdir / "reconstructions.png",
            title=f"{config.row} ({config.profile}) on {finished.dataset.name}",
            row_names=("original", "reconstruction"),
            column_label="test images",
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.cost("pixel_error_without_noise"),),
        measure=fig2.MEASURE,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
