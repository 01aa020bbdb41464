"""AAE, figure 11: semi-supervised and unsupervised dimension reduction, and its errors.

make reproduce-fig11-aae PROFILE=fast ROWS="a b c d"
"""

import sys
from pathlib import Path

import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.errors import UserError
from experiments.harness import cli
from experiments.harness.drawing import (
    clusters_of,
    first_state,
    gather_panels,
    model_images,
    save_panel,
)
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_fig11",
    title="AAE, figure 11: dimension reduction, test error in percent",
    metric="test_error_percent",
    rows=(
        Row("a", "(a) 2-D, 1000 labels", (4.20, None)),
        Row("b", "(b) 2-D, 100 labels", (6.08, None)),
        Row("c", "(c) 2-D, 20 clusters, no labels"),
        Row("d", "(d) 10-D, fixed heads, 100 labels", (3.90, None)),
    ),
)


def representation(finished: Finished) -> tuple[np.ndarray, np.ndarray]:
    """Representations [n, 2] of the test images and heads [k, 2] of the first seed; in more than
    two dimensions after the linear map that puts the heads evenly on a circle (section 7)."""
    method, state = finished.method, first_state(finished)
    images = finished.dataset.test.images
    assert method.embed is not None and method.encode is not None
    embedded = []
    for start in range(0, len(images), 5000):
        codes = method.encode(state, model_images(finished, images[start : start + 5000]))
        embedded.append(np.asarray(method.embed(state, *codes)))
    points, heads = np.concatenate(embedded), np.asarray(state.params["cluster_heads"]["heads"])
    if heads.shape[1] > 2:
        linear = np.linalg.pinv(heads) @ circle(len(heads), float(np.linalg.norm(heads[0])))
        points, heads = points @ linear, heads @ linear
    return points, heads


def circle(num: int, radius: float) -> np.ndarray:
    """``num`` points [num, 2] evenly on a circle."""
    angles = 2 * np.pi * np.arange(num) / num
    return radius * np.stack([np.cos(angles), np.sin(angles)], axis=-1)


def figures(finished: Finished) -> list[Path]:
    """The representation of the first seed, beside those of the other rows that have run, and the
    error over training."""
    config, result, dataset = finished.config, finished.result, finished.dataset
    points, heads = representation(finished)
    label = next(row.label for row in TABLE.rows if row.name == config.row)
    title = f"{label}: error {finished.record['values'][0]:.2f} %"
    names = None
    if not config.data.labelled_batch_size:  # clusters go by the classes they stand for
        clusters, named = clusters_of(finished)
        used = np.unique(clusters)
        title += f", {len(used)} in use"
        heads, names = heads[used], [str(named[cluster]) for cluster in used]
    panel = plots.CodeSpace(title, points, np.asarray(dataset.test.labels), heads, names)
    save_panel(finished.workdir, panel)
    return [
        plots.code_spaces(
            gather_panels(finished.workdir, [row.name for row in TABLE.rows]),
            finished.workdir / "representation.png",
            title=f"test images of {dataset.name}, seed {result.seeds[0]}, {config.profile} "
            "profile; circles: cluster heads and their classes",
            axis_names=("dimension 1", "dimension 2"),
        ),
        plots.error_curves(
            result.curves,
            finished.workdir / "test_error.png",
            title=f"{label} ({config.profile}) on {dataset.name}",
            names=[f"seed {seed}" for seed in result.seeds],
        ),
    ]


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse representations that the picture cannot show.

    Raises:
        UserError: fewer than two dimensions, or more than two with learned heads, which no linear
            map puts on a circle.
    """
    dim = config.model.style_dim
    if dim < 2 or (dim > 2 and config.model.heads == "learned"):
        raise UserError(
            f"model.style_dim is {dim} with {config.model.heads} heads; figure 11 shows 2-D "
            "representations, or fixed heads in as many dimensions as there are categories"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    labelled = arguments.config.data.labelled_batch_size > 0
    follow = evaluators.classification() if labelled else evaluators.clustering()
    return run_experiment(arguments, TABLE, figures, evaluators=(follow,), check=check)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
