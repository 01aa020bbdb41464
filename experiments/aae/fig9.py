"""AAE, figure 9: cluster heads, and test images of each cluster; draws what table 3 trains.

make reproduce-fig9-aae PROFILE=fast
"""

import sys
from pathlib import Path

import jax.numpy as jnp
import numpy as np

from aae_jax import plots
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images, shown_images
from experiments.harness.runner import Finished

ROWS = ("mnist_16",)


def cluster_figure(finished: Finished, members: int = 15) -> Path:
    """Every cluster's head (its one-hot label with style zero) beside test images drawn at random
    from those assigned to it."""
    method, dataset = finished.method, finished.dataset
    state, images = first_state(finished), np.asarray(dataset.test.images)
    assert method.classify is not None and method.decode is not None
    clusters = np.concatenate(
        [
            np.asarray(method.classify(state, model_images(finished, images[i : i + 5000])))
            for i in range(0, len(images), 5000)
        ]
    ).argmax(axis=1)
    num_clusters = finished.config.model.num_categories or dataset.num_classes
    style = jnp.zeros((num_clusters, finished.config.model.style_dim))
    heads = shown_images(finished, method.decode(state, jnp.eye(num_clusters), style))
    grid = np.ones((num_clusters, members + 1, *images.shape[1:]), np.float32)
    grid[:, 0] = heads
    order = np.random.default_rng(0).permutation(len(images))
    for cluster in range(num_clusters):
        chosen = order[clusters[order] == cluster][:members]
        grid[cluster, 1 : 1 + len(chosen)] = dataset.scaling.pixels(images[chosen])
    return plots.image_grid(
        grid,
        finished.workdir / "clusters.png",
        title=f"cluster heads and test images of each cluster, {dataset.name}",
        row_label="cluster",
        column_label="head, then members at random (white: no more)",
        row_names=[str(i + 1) for i in range(num_clusters)],
    )


def run(arguments: cli.Run) -> Finished:
    """Train table 3's row, or take up what it has trained, and draw it."""
    from experiments.aae import table3

    return table3.run(arguments)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
