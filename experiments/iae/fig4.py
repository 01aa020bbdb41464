"""Implicit Autoencoders, figure 4: reconstructions of CelebA in 48x48 with a 150-D code, and with a
50-D code and 1000-D noise; measured as figure 2, the class being the attribute "Male".

make reproduce-fig4-iae PROFILE=fast
"""

import sys

from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table
from experiments.iae import fig2

TABLE = Table(
    experiment="iae_fig4",
    title="Implicit Autoencoders, figure 4: reconstructions of CelebA that keep their class, in "
    "percent",
    metric="kept_class_percent",
    rows=(
        Row("deterministic_150d", "deterministic, 150-D code", data="celeba_48"),
        Row("stochastic_50d", "50-D code, 1000-D noise", data="celeba_48"),
    ),
    shown=fig2.SHOWN,
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return fig2.run(arguments, TABLE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
