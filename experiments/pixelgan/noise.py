"""PixelGAN, appendix A.1: what the noise on the encoder's input does, on three digits of MNIST.

make reproduce-noise-pixelgan PROFILE=fast
"""

import sys
from pathlib import Path

from aae_jax import evaluators, plots
from configs.pixelgan import noise as configs
from experiments.harness import cli
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table
from experiments.pixelgan.table1 import check, information_of

TABLE = Table(
    experiment="pixelgan_noise",
    title="PixelGAN, appendix A.1: three digits, unsupervised, by the std of the encoder's input "
    "noise, test error in percent",
    metric="test_error_percent",
    rows=tuple(Row(row, f"input noise of {row.replace('_', ' ')}") for row in configs.ROWS),
    shown=("reconstruction_nats", "code_gain_nats", "mutual_information_nats"),
)


def figures(finished: Finished) -> list[Path]:
    """Test error over training."""
    return [
        plots.error_curves(
            finished.result.curves,
            finished.workdir / "test_error.png",
            title=f"{finished.config.row} ({finished.config.profile}) on {finished.dataset.name}",
            names=[f"seed {seed}" for seed in finished.result.seeds],
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.clustering(),),
        measure=information_of(arguments.config),
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
