"""AAE, table 3: clustering error of MNIST without labels, in percent.

Clusters are named by the paper's rule (section 6): each takes the label of the validation image
with the highest q(y_i | x). The record also holds the errors by majority vote and by one-to-one
matching, the normalised mutual information, and how many clusters hold any test image.

make reproduce-table3-aae PROFILE=fast ROWS=mnist_30
"""

import sys
from pathlib import Path

from aae_jax import plots, training
from experiments.aae.fig9 import cluster_figure
from experiments.harness import cli
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_table3",
    title="AAE, table 3: clustering without labels, test error in percent",
    metric="test_error_percent",
    rows=(
        Row(
            "mnist_16",
            "MNIST, 16 clusters",
            (9.55, 2.05),
            (("CatGAN (20 clusters)", 9.70, None),),
        ),
        Row(
            "mnist_30",
            "MNIST, 30 clusters",
            (4.10, 1.13),
            (("CatGAN (20 clusters)", 9.70, None),),
        ),
    ),
    shown=("test_error_majority_percent", "nmi", "clusters_in_use"),
)

# Seconds an epoch and seed on two CPU cores.
SECONDS_PER_EPOCH = {
    ("mnist_16", "paper"): 162.0,
    ("mnist_30", "paper"): 162.0,
    ("mnist_16", "fast"): 6.0,
    ("mnist_30", "fast"): 6.0,
}


def figures(finished: Finished) -> list[Path]:
    """Test error over training, and figure 9's clusters."""
    config, result = finished.config, finished.result
    curve = plots.error_curves(
        result.curves,
        finished.workdir / "test_error.png",
        title=f"{config.row} ({config.profile}) on {finished.dataset.name}",
        names=[f"seed {seed}" for seed in result.seeds],
        ylabel="test error, clusters named by the paper's rule (%)",
    )
    return [curve, cluster_figure(finished)]


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(arguments, TABLE, figures, score=training.clustering_score)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
