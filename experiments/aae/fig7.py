"""AAE, figure 7: content and style apart, with the supervised AAE.

Beside the picture a number: the error of naming a test image by the label under which the decoder
reconstructs it best.

make reproduce-fig7-aae PROFILE=fast ROWS=mnist
"""

import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots, priors
from aae_jax.evaluators import Evaluation, Evaluator
from experiments.harness import cli
from experiments.harness.drawing import (
    codes_of,
    first_state,
    great_circle_walk,
    model_images,
    shown_images,
)
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_fig7",
    title="AAE, figure 7: error of the label under which the decoder reconstructs best, in percent",
    metric="test_error_percent",
    rows=(
        Row("mnist", "MNIST, 15-D Gaussian style"),
        Row("svhn", "SVHN, 15-D Gaussian style", data="svhn_cropped"),
    ),
)


def error_and_cost(costs: np.ndarray, labels: np.ndarray) -> tuple[float, float]:
    """Error of the cheapest label, in percent, and mean cost under the true one."""
    wrong = np.argmin(costs, axis=1) != labels
    return float(100 * np.mean(wrong)), float(costs[np.arange(len(labels)), labels].mean())


def costs_of_labels(evaluation: Evaluation) -> Iterator[tuple[str, float]]:
    """``error_and_cost`` of each held-out split."""
    for split in evaluation.held_out():
        costs = evaluation.outputs("evaluate", split)
        error, cost = error_and_cost(costs, evaluation.split(split).labels)
        yield f"{split}_error_percent", error
        yield f"{split}_reconstruction", cost


def style_grid(finished: Finished, num_styles: int = 10) -> np.ndarray:
    """Images [num_styles, 1 + classes, h, w, c]: a test image, then its style under every label."""
    dataset = finished.dataset
    images = np.asarray(dataset.test.images[:num_styles])
    z = jnp.asarray(codes_of(finished, finished.result.states[0], images))
    y = jnp.tile(jnp.eye(dataset.num_classes), (num_styles, 1))
    assert finished.method.decode is not None
    decoded = finished.method.decode(
        first_state(finished), y, jnp.repeat(z, dataset.num_classes, axis=0)
    )
    decoded = decoded.reshape(num_styles, dataset.num_classes, *decoded.shape[1:])
    originals = model_images(finished, images)[:, None]
    return shown_images(finished, jnp.concatenate([originals, decoded], axis=1))


def style_walk(finished: Finished, stops: int = 6, frames_per_leg: int = 12) -> np.ndarray:
    """Frames [t, h, classes * w, c]: every label in one style, which moves through draws from the
    prior and back to the first (the paper's video of the style manifold)."""
    config = finished.config.model
    num_classes = finished.dataset.num_classes
    prior = priors.from_config(config.prior, config.code_dim)
    points = prior(jax.random.key(0), stops)
    styles = great_circle_walk(np.asarray(points), frames_per_leg)
    assert finished.method.decode is not None
    y = jnp.tile(jnp.eye(num_classes), (len(styles), 1))
    images = finished.method.decode(
        first_state(finished), y, jnp.repeat(styles, num_classes, axis=0)
    )
    shown = shown_images(finished, images)
    return np.stack([plots.tile(s[None]) for s in shown.reshape(len(styles), -1, *shown.shape[1:])])


def figures(finished: Finished) -> list[Path]:
    """Content × style, and the animated walk over styles."""
    dataset = finished.dataset
    return [
        plots.image_grid(
            style_grid(finished),
            finished.workdir / "content_style.png",
            title=f"content and style, {dataset.name}, {finished.config.profile} profile",
            row_label="style z of a test image",
            column_label="test image, then its style under every label",
            column_names=["test", *(str(label) for label in range(dataset.num_classes))],
        ),
        plots.animation(style_walk(finished), finished.workdir / "style_walk.gif", zoom=2),
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(arguments, TABLE, figures, evaluators=(Evaluator(costs_of_labels),))


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
