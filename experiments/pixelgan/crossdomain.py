"""PixelGAN, section 4: mappings between domains by three decoders, images to labels and to edges.

The section argues, and measures nothing: an adversary that matches the outputs of a mapping to a
second domain (output distribution matching) lets it ignore a part of its input; an adversarial
autoencoder's reconstruction forbids that, but asks of the code all that is in the image; a
PixelGAN autoencoder's decoder adds what the code leaves out. To labels: MNIST with 100 paired
examples, classification error. To edges: shoes of 14x14 pixels and edges of other shoes, no pairs;
the error is 100 less the F1, in percent, of the mapped edges against the image's true ones, pixel
by pixel, which training never sees. Beside it the F1 against the edges of another test image, and
the F1 of figure 8 of the cycle implicit autoencoders, where an edge within one pixel of a true one
(of the eight around it) is right: by that the edges of another shoe have 77 % in 14x14 pixels.

make reproduce-crossdomain-pixelgan PROFILE=fast
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import jax
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.errors import UserError
from experiments.cycleiae.fig8 import f1_percent, lines_of
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

OF_EDGES = ("code_edges_percent", "code_edges_of_others_percent", "code_edges_near_percent")
MNIST, SHOES = "MNIST to labels, 100 pairs", "Fashion-MNIST's shoes to edges, no pairs"
TABLE = Table(
    experiment="pixelgan_crossdomain",
    title="PixelGAN, section 4: mappings from one domain to another, test error in percent "
    "(labels: classification; edges: 100 less their F1)",
    metric="test_error_percent",
    rows=(
        Row("mnist_100_pixelgan", f"{MNIST}: PixelGAN autoencoder"),
        Row("mnist_100_odm", f"{MNIST}: output distribution matching alone"),
        Row("mnist_100_aae", f"{MNIST}: AAE, deterministic decoder of the label alone"),
        Row("fashion_edges_pixelgan", f"{SHOES}: PixelGAN autoencoder", data="fashion_mnist"),
        Row(
            "fashion_edges_odm",
            f"{SHOES}: output distribution matching alone",
            data="fashion_mnist",
        ),
        Row("fashion_edges_aae", f"{SHOES}: AAE, deterministic decoder", data="fashion_mnist"),
    ),
    shown=OF_EDGES,
)


def to_edges(config: ml_collections.ConfigDict) -> bool:
    """Whether a row maps to edges, and not to labels."""
    return config.row.startswith("fashion")


def edge_scores(dataset: datasets.Dataset, codes: np.ndarray) -> dict[str, float]:
    """The error and the values of ``OF_EDGES``, of codes [n, h, w, c] in [0, 1] of all test
    images."""
    lines, true = lines_of(dataset, codes), true_edges(dataset)
    found, of_others = (f1_percent(lines, edges, 0) for edges in (true, np.roll(true, 1, axis=0)))
    values = (found, of_others, f1_percent(lines, true))
    return {"test_error_percent": 100 - found, **dict(zip(OF_EDGES, values))}


def true_edges(dataset: datasets.Dataset) -> np.ndarray:
    """The edges of the test images, bool [n, h, w]."""
    assert dataset.second_test is not None
    return lines_of(dataset, dataset.scaling.pixels(np.asarray(dataset.second_test.images)))


def edges() -> evaluators.Evaluator:
    """``edge_scores`` during training."""

    def evaluate(evaluation: evaluators.Evaluation) -> Iterable[tuple[str, float]]:
        (codes,) = evaluation.outputs("encode", "test")
        yield from edge_scores(evaluation.dataset, codes).items()

    return evaluators.Evaluator(evaluate)


def edge_grid(finished: Finished, rows: int = 8, draws: int = 4) -> np.ndarray:
    """Images [rows, columns, h, w, c] of the first seed: a test image a row, its code, its true
    edges, and the reconstruction: draws from a PixelCNN, one from a deterministic decoder, none
    without one."""
    dataset, method, state = finished.dataset, finished.method, first_state(finished)
    assert method.encode is not None and dataset.second_test is not None
    originals, true = (
        dataset.scaling.pixels(np.asarray(part.images[:rows]))
        for part in (dataset.test, dataset.second_test)
    )
    (codes,) = method.encode(state, model_images(finished, dataset.test.images[:rows]))
    columns = [originals, np.asarray(codes), true]
    if method.log_prob is not None:
        assert method.decode is not None
        columns += [method.decode(state, codes, jax.random.key(draw)) for draw in range(draws)]
    elif method.decode is not None:
        columns.append(method.decode(state, codes))
    return np.stack([np.asarray(column) for column in columns], axis=1)


def figures(finished: Finished) -> list[Path]:
    """The error over training, and of edges images, codes, true edges and reconstructions."""
    config, result = finished.config, finished.result
    title = f"{config.row} ({config.profile})\n{finished.dataset.name}"
    pictures = [
        plots.error_curves(
            result.curves,
            finished.workdir / "test_error.png",
            title=title,
            names=[f"seed {seed}" for seed in result.seeds],
            ylabel="100 - F1 of the edges (%)" if to_edges(config) else "test error (%)",
        )
    ]
    if to_edges(config):
        decoded = ", reconstructions" if finished.method.decode else ""
        pictures.append(
            plots.image_grid(
                edge_grid(finished),
                finished.workdir / "edges.png",
                title=title,
                row_label="test images",
                column_label=f"input, code, true edges{decoded}",
            )
        )
    return pictures


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse mappings whose error cannot be measured.

    Raises:
        UserError: labels without paired examples, or a second domain of which the test images are
            not those of the first.
    """
    domains = config.data.domains
    if to_edges(config):
        if domains not in ("edges", "half_edges", "right_to_left"):
            raise UserError(
                f"data.domains is {domains!r}; the row measures edges, which test images have in "
                "'edges', 'half_edges' and 'right_to_left': leave it at one of them"
            )
        return
    if domains:
        raise UserError(
            f"data.domains is {domains!r}; the row's second domain is labels: leave it empty"
        )
    if not config.data.labelled_batch_size:
        raise UserError(
            "data.labelled_batch_size is 0; without paired examples no output is the name of a "
            "class: set it to 1 or more"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    follow = edges() if to_edges(arguments.config) else evaluators.classification()
    return run_experiment(arguments, TABLE, figures, evaluators=(follow,), check=check)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
