"""AAE, figure 9: cluster heads, and test images of each cluster; draws what table 3 trains.

make reproduce-fig9-aae PROFILE=fast
"""

import sys

from configs.base import check_row
from experiments.aae import table3
from experiments.harness import cli
from experiments.harness.runner import Finished

DRAWS = "aae_table3"
ROWS = ("mnist_16",)


def run(arguments: cli.Run) -> Finished:
    """Train table 3's row, or take up what it has trained, and draw it (clusters.png)."""
    check_row("aae_fig9", arguments.config.row, ROWS)
    return table3.run(arguments)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
