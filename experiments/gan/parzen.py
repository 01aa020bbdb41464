"""GAN (Goodfellow et al. 2014, table 1): Parzen-window log-likelihood of test images, in nats.

TFD's is the mean over its five folds.

make reproduce-parzen-gan PROFILE=fast ROWS=mnist
"""

import sys

from aae_jax import evaluators
from experiments.harness import cli, likelihood
from experiments.harness.runner import Finished, check_is_of
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="gan_parzen",
    title="GAN, table 1: Parzen-window log-likelihood, nats "
    "(± of MNIST: the paper's is the standard error over test images, ours over seeds; of TFD: "
    "both over folds)",
    metric="parzen_nats",
    rows=(
        Row(
            "mnist",
            "MNIST",
            (225, 2),
            (("DBN", 138, 2), ("Stacked CAE", 121, 1.6), ("Deep GSN", 214, 1.1)),
            note="half of the paper's width and plain ReLUs, its standard error over the test "
            "images is 2.4; the length was chosen without a look.",
        ),
        Row(
            "tfd",
            "TFD",
            (2057, 26),
            (("DBN", 1909, 66), ("Stacked CAE", 2110, 50), ("Deep GSN", 1890, 29)),
            data="tfd",
        ),
    ),
    decimals=1,
    shown=("standard_error_nats", "sigma", "samples"),
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    follow = (evaluators.cost("minus_log_d"),)
    check_is_of(arguments, TABLE)
    parts = likelihood.train(arguments, arguments.config, follow)
    return likelihood.report(arguments, TABLE, parts)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
