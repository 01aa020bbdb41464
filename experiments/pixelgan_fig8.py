"""PixelGAN, figure 8: semi-supervised error against epochs; draws what table 1 trains.

make reproduce-fig8-pixelgan PROFILE=fast
"""

import sys

from experiments import cli, pixelgan_table1
from experiments.runner import Finished

ROWS = ("mnist_20", "mnist_50", "mnist_100", "svhn_500", "svhn_1000")


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and draw it (test_error.png)."""
    return pixelgan_table1.run(arguments)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
