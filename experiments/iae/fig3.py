"""Implicit Autoencoders, figure 3: reconstructions of SVHN with a 150-D code, and with a 75-D code
and 1000-D noise; measured as figure 2.

make reproduce-fig3-iae PROFILE=fast
"""

import sys

from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table
from experiments.iae import fig2

TABLE = Table(
    experiment="iae_fig3",
    title="Implicit Autoencoders, figure 3: reconstructions of SVHN that keep their class, in "
    "percent",
    metric="kept_class_percent",
    rows=(
        Row("deterministic_150d", "deterministic, 150-D code", data="svhn_cropped"),
        Row("stochastic_75d", "75-D code, 1000-D noise", data="svhn_cropped"),
    ),
    shown=fig2.SHOWN,
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return fig2.run(arguments, TABLE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
