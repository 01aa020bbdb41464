"""PixelGAN, figure 2: samples of a PixelGAN autoencoder, a PixelCNN and an AAE.

The first has a 2-D Gaussian code and a receptive field of 9, the second that field, the third that
code.

Beside the samples a number: the reconstruction cost on the test images, in each model's own unit
(nats given the code, or half the squared error).

make reproduce-fig2-pixelgan PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import numpy as np

from aae_jax import evaluators, plots
from experiments.harness import cli
from experiments.harness.drawing import first_state
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table
from experiments.pixelgan.table1 import check_data, information_of

TABLE = Table(
    experiment="pixelgan_fig2",
    title="PixelGAN, figure 2: cost of a test image given its code (PixelGAN autoencoder and "
    "PixelCNN: nats; AAE: half the squared error)",
    metric="test_reconstruction",
    rows=(
        Row("pixelgan", "(a) PixelGAN autoencoder, 2-D code, receptive field 9"),
        Row("pixelcnn", "(b) PixelCNN, receptive field 9"),
        Row("aae", "(c) AAE, 2-D code"),
    ),
)


def figures(finished: Finished) -> list[Path]:
    """A grid of samples."""
    assert finished.method.sample is not None
    images = np.asarray(finished.method.sample(first_state(finished), jax.random.key(0), 100))
    label = next(row.label for row in TABLE.rows if row.name == finished.config.row)
    config = finished.config
    binarised = config.method == "pixelgan" and config.model.decoder.head == "bernoulli"
    name = finished.dataset.name + (", binarised" if binarised else "")
    return [
        plots.image_grid(
            images.reshape(10, 10, *images.shape[1:]),
            finished.workdir / "samples.png",
            title=f"{label}: samples, {name}, {finished.config.profile} profile",
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    config, follow = arguments.config, (evaluators.cost("reconstruction"),)
    measure = information_of(config) if config.row == "pixelgan" else None
    return run_experiment(
        arguments, TABLE, figures, evaluators=follow, measure=measure, check=check_data
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
