"""PixelGAN, figure 7: conditional samples of the semi-supervised model; draws what table 1 trains.

make reproduce-fig7-pixelgan PROFILE=fast
"""

import sys

from configs.base import check_row
from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.pixelgan import table1

DRAWS = "pixelgan_table1"
ROWS = ("mnist_100", "svhn_1000", "norb_1000")


def run(arguments: cli.Run) -> Finished:
    """Train table 1's row, or take up what it has trained, and draw it (cluster_samples.png)."""
    check_row("pixelgan_fig7", arguments.config.row, ROWS)
    return table1.run(arguments)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
