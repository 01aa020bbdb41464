"""AAE, table 2: semi-supervised classification error on MNIST and SVHN, in percent.

python -m experiments.aae.table2 --config=configs/aae/table2.py:mnist_100,fast --workdir=DIR
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots
from experiments.harness import cli
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table, on_named_data

# The paper's baseline, a column of its table and rows of ours.
_NN = {
    "mnist_100": ("NN baseline", 25.80, None),
    "mnist_1000": ("NN baseline", 8.73, None),
    "mnist_all": ("NN baseline", 1.25, None),
    "svhn_1000": ("NN baseline", 47.50, None),
}
TABLE = Table(
    experiment="aae_table2",
    title="AAE, table 2: semi-supervised classification, test error in percent",
    metric="test_error_percent",
    rows=(
        Row(
            "mnist_100",
            "MNIST, 100 labels",
            (1.90, 0.10),
            (
                _NN["mnist_100"],
                ("VAE (M1) + TSVM", 11.82, 0.25),
                ("VAE (M2)", 11.97, 1.71),
                ("VAE (M1 + M2)", 3.33, 0.14),
                ("VAT", 2.33, None),
                ("CatGAN", 1.91, 0.1),
                ("Ladder networks", 1.06, 0.37),
                ("ADGM", 0.96, 0.02),
            ),
            note="80 of A.2.1's 5000 epochs. These seeds have been seen under two shorter recipes, "
            "at 3.22 ± 0.97 and, with 51 epochs, at 2.23 ± 0.12, whose curves this one rests on; "
            "it was fixed before any seed ran it.",
        ),
        Row(
            "mnist_1000",
            "MNIST, 1000 labels",
            (1.60, 0.08),
            (
                _NN["mnist_1000"],
                ("VAE (M1) + TSVM", 4.24, 0.07),
                ("VAE (M2)", 3.60, 0.56),
                ("VAE (M1 + M2)", 2.40, 0.02),
                ("VAT", 1.36, None),
                ("CatGAN", 1.73, 0.18),
                ("Ladder networks", 0.84, 0.08),
            ),
            note="the recipe comes from one look at another seed's validation images, its length "
            "from the clock.",
        ),
        Row(
            "mnist_all",
            "MNIST, all labels",
            (0.85, 0.02),
            (
                _NN["mnist_all"],
                ("VAE (M1 + M2)", 0.96, None),
                ("VAT", 0.64, 0.04),
                ("CatGAN", 0.91, None),
                ("Ladder networks", 0.57, 0.02),
            ),
            note="the recipe is a guess, but for its length.",
        ),
        Row(
            "svhn_1000",
            "SVHN, 1000 labels",
            (17.70, 0.30),
            (
                _NN["svhn_1000"],
                ("VAE (M1) + TSVM", 55.33, 0.11),
                ("VAE (M1 + M2)", 36.02, 0.10),
                ("VAT", 24.63, None),
                ("ADGM", 16.61, 0.24),
            ),
            data="svhn_cropped",
        ),
        Row("mnist_100_nn", "NN baseline, MNIST, 100 labels", _NN["mnist_100"][1:]),
        Row("mnist_1000_nn", "NN baseline, MNIST, 1000 labels", _NN["mnist_1000"][1:]),
        Row("mnist_all_nn", "NN baseline, MNIST, all labels", _NN["mnist_all"][1:]),
        Row(
            "svhn_1000_nn",
            "NN baseline, SVHN, 1000 labels",
            _NN["svhn_1000"][1:],
            data="svhn_cropped",
        ),
    ),
)

# Test error after so many epochs, in percent (A.2.1 and A.2.2).
PAPER_CURVES = {
    "mnist_100": ((1, 16.50), (50, 3.40), (500, 2.21), (5000, 1.80)),
    "svhn_1000": ((1, 49.34), (50, 25.86), (500, 18.15), (1000, 17.66)),
}


def style_grid(finished: Finished, num_styles: int = 10) -> np.ndarray:
    """Samples [style, label, h, w, c] in [0, 1] of the first seed: one style drawn from the
    prior a row, one label a column."""
    method, config = finished.method, finished.config
    state = jax.tree.map(jnp.asarray, finished.result.states[0])
    num_labels = finished.dataset.num_classes
    styles = config.model.style_std * jax.random.normal(
        jax.random.key(0), (num_styles, config.model.style_dim)
    )
    y = jnp.tile(jnp.eye(num_labels), (num_styles, 1))
    assert method.decode is not None
    images = np.asarray(method.decode(state, y, jnp.repeat(styles, num_labels, axis=0)))
    images = finished.dataset.scaling.inverse(images)
    return images.reshape(num_styles, num_labels, *images.shape[1:])


def figures(finished: Finished) -> list[Path]:
    """Test error against updates, with the paper's own curve; label × style samples."""
    config, result, dataset = finished.config, finished.result, finished.dataset
    per_epoch = result.updates // config.train.epochs
    rows = {row.name: row for row in TABLE.rows}  # of which the quickstart's is none
    own = config.row in rows and on_named_data(rows[config.row], finished.record)
    paper = PAPER_CURVES.get(config.row, ()) if own else ()
    pictures = [
        plots.error_curves(
            result.curves,
            finished.workdir / "test_error.png",
            title=f"{config.row} ({config.profile}) on {dataset.name}",
            names=[f"seed {seed}" for seed in result.seeds],
            paper=[(epoch * per_epoch, error) for epoch, error in paper],
            paper_name="paper (its epochs at our batch size)",
        )
    ]
    if finished.method.decode is not None:
        pictures.append(
            plots.image_grid(
                style_grid(finished),
                finished.workdir / "label_style.png",
                title=f"{config.row} ({config.profile}): samples, {dataset.name}",
                row_label="style z drawn from the prior",
                column_label="label y",
                column_names=[str(label) for label in range(dataset.num_classes)],
            )
        )
    return pictures


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(arguments, TABLE, figures)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
