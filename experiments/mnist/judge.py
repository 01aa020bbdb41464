"""The classifier of ours that judges generated images of MNIST: its test error in percent.

make reproduce-judge-mnist PROFILE=fast
"""

import sys

from experiments.harness import cli
from experiments.harness.judge import judge_figures
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="mnist_judge",
    title="Judge of MNIST: test error in percent",
    metric="test_error_percent",
    rows=(Row("mnist", "MNIST"),),
)


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw the judge."""
    return run_experiment(arguments, TABLE, judge_figures)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
