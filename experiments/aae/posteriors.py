"""AAE, section 2: the likelihood of MNIST under the three posteriors.

And under the probabilistic ones with codes of 100 dimensions.

make reproduce-posteriors-aae PROFILE=fast
"""

import sys

from experiments.aae import table1
from experiments.harness import cli, likelihood
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_posteriors",
    title="AAE, section 2: Parzen-window log-likelihood of the three posteriors, nats",
    metric="parzen_nats",
    rows=(
        Row("deterministic", "deterministic, 8-D", table1.AAE_10K),
        Row("gaussian", "Gaussian, 8-D (the paper: similar)"),
        Row("universal", "universal approximator, 8-D (the paper: similar)"),
        Row("gaussian_100", "Gaussian, 100-D"),
        Row("universal_100", "universal approximator, 100-D"),
    ),
    decimals=1,
    shown=("standard_error_nats", "sigma"),
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        likelihood.sample_grid,
        evaluators=table1.evaluators_of(arguments.config),
        measure=likelihood.measurement(arguments.config),
        check=likelihood.check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
