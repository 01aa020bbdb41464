"""InfoGAN on rendered faces: the bound on the mutual information of five continuous codes, in nats.

The slide names what four of the codes came to mean (azimuth, elevation, lighting, width), which
only a look at the pictures can tell.

make reproduce-faces-infogan PROFILE=fast
"""

import sys
from pathlib import Path

from experiments.harness import cli
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table
from experiments.infogan import codes

TABLE = Table(
    experiment="infogan_faces",
    title="InfoGAN, faces: bound on the mutual information of five continuous codes, nats",
    metric="information_nats",
    rows=(
        Row(
            "faces",
            "five uniform codes",
            data="faces_32",
            note="with Q's standard deviation fixed at 1 the bound is below zero by construction: "
            "at most -1.13 nats for five codes.",
        ),
    ),
)


def figures(finished: Finished) -> list[Path]:
    """A picture for every code, and the bound over training."""
    return [*codes.code_panels(finished), codes.bound_curves(finished, TABLE)]


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    follow = (codes.information(arguments.config),)
    return run_experiment(arguments, TABLE, figures, evaluators=follow, check=codes.check_noise)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
