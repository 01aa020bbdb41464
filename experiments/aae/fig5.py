"""AAE, figure 5: samples and their nearest training images; draws what table 1 trains.

make reproduce-fig5-aae PROFILE=fast ROWS=mnist_10k
"""

import sys
from pathlib import Path

import jax
import numpy as np

from aae_jax import plots
from configs.base import check_row
from experiments.aae import table1
from experiments.harness import cli
from experiments.harness.drawing import first_state, nearest_images, shown_images
from experiments.harness.runner import Finished

DRAWS = "aae_table1"
ROWS = ("mnist_10k", "tfd_10k")


def figures(finished: Finished, rows: int = 8, columns: int = 12) -> list[Path]:
    """A grid of samples of the first seed, its last column the nearest training images."""
    sample, dataset = finished.method.sample, finished.dataset
    assert sample is not None
    images = shown_images(
        finished, sample(first_state(finished), jax.random.key(1), rows * columns)
    )
    images = images.reshape(rows, columns, *images.shape[1:])
    neighbours = nearest_images(images[:, -1], dataset.train.images, dataset.scaling.max_value)
    return [
        plots.image_grid(
            np.concatenate([images, neighbours[:, None]], axis=1),
            finished.workdir / "samples_and_neighbours.png",
            title=f"samples of the AAE, {dataset.name}, {finished.config.profile} profile",
            column_label="samples; the last column is the training image nearest to the one "
            "before it",
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and draw it."""
    check_row("aae_fig5", arguments.config.row, ROWS)
    finished = table1.run(arguments)
    for picture in figures(finished):
        print(f"  {picture}")
    return finished


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
