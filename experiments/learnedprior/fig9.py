"""Learning priors, figure 9: as figure 8, codes of 100 on MNIST and of 2000 on CIFAR-10, with the
re-parameterised adversarial autoencoder too; measured as figure 8.

make reproduce-fig9-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae_reparameterised"
"""

import sys

from configs.learnedprior import fig9 as configs
from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.harness.tables import Table
from experiments.learnedprior import fig8

TABLE = Table(
    experiment="learnedprior_fig9",
    title="Learned priors, figure 9: samples that a judge of ours is confident of, in percent",
    metric=fig8.TABLE.metric,
    rows=fig8.rows(configs.ROWS, mnist=", code of 100", cifar10=", code of 2000"),
    shown=fig8.SHOWN,
)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return fig8.run(arguments, TABLE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
