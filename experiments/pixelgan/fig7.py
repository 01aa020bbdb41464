"""PixelGAN, figure 7: conditional samples of the semi-supervised model; draws what table 1 trains.

make reproduce-fig7-pixelgan PROFILE=fast
"""

import sys

from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.pixelgan import table1

ROWS = ("mnist_100", "svhn_1000", "norb_1000")
SECONDS_PER_EPOCH = table1.SECONDS_PER_EPOCH


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and draw it (cluster_samples.png)."""
    return table1.run(arguments)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
