"""DCGAN (Radford et al. 2016, figures 2 and 3): samples and their nearest training images.

The paper has no number here; ours is that of the GAN's samples.

make reproduce-samples-dcgan PROFILE=fast ROWS="mnist cifar10_jpeg"
"""

import sys

from experiments.gan import samples as gan_samples
from experiments.harness import cli, samples
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="dcgan_samples",
    title="DCGAN, samples: energy distance of samples and test images",
    metric="energy_distance",
    rows=(
        Row("mnist", "MNIST"),
        Row("cifar10", "CIFAR-10", data="cifar10"),
        Row("cifar10_jpeg", "CIFAR-10 as JPEG", data="cifar10_jpeg", note=gan_samples.STAND_IN),
        Row("lsun_bedroom", "LSUN bedrooms, 64x64", data="lsun_bedroom_64"),
    ),
    decimals=4,
    shown=samples.SHOWN,
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return gan_samples.run(arguments, TABLE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
