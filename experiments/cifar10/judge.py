"""The classifier of ours that judges generated images of CIFAR-10: its test error in percent.

make reproduce-judge-cifar10 PROFILE=fast
"""

import sys

from experiments.harness import cli
from experiments.harness.judge import judge_figures
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="cifar10_judge",
    title="Judge of CIFAR-10: test error in percent",
    metric="test_error_percent",
    rows=(
        Row("cifar10", "CIFAR-10", data="cifar10"),
        Row("cifar10_jpeg", "CIFAR-10, compressed as JPEG", data="cifar10_jpeg"),
    ),
)


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw the judge."""
    return run_experiment(arguments, TABLE, judge_figures)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
