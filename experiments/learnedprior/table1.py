"""Learning priors, table 1: the judge's score of samples of the adversarial autoencoder, the VAE,
the VAE with a VampPrior and the learned prior, all with one autoencoder and codes of 64; measured
as table 3, with which the first and the last row share their training.

make reproduce-table1-learnedprior PROFILE=fast ROWS="cifar10_jpeg_aae cifar10_jpeg_ours"
"""

import sys

from configs.learnedprior.table1 import SYSTEMS
from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table
from experiments.learnedprior import table3

_LABELS = {
    "aae": ("AAE with a Gaussian prior", 2.15),
    "vae": ("VAE with a Gaussian prior", 3.00),
    "vampprior": ("VAE with a VampPrior", 2.88),
    "ours": ("learned prior", 6.52),
}
TABLE = Table(
    experiment="learnedprior_table1",
    title="Learned priors, table 1: the score of samples by a judge of ours",
    metric=table3.TABLE.metric,
    rows=tuple(
        Row(
            f"{data}_{system}",
            f"{label}: {_LABELS[system][0]}",
            cited=((table3.CITED, _LABELS[system][1], None),),
            data=data,
        )
        for data, label in table3.DATA.items()
        for system in SYSTEMS
    ),
    shown=table3.SHOWN,
)


def training_run(arguments: cli.Run) -> cli.Run:
    """The run whose training this row shares: table 3's, for all but the VAEs."""
    data, system = arguments.config.row.rsplit("_", 1)
    if system in ("vae", "vampprior"):
        return arguments
    return table3.shared_run(arguments, f"{data}_{SYSTEMS[system]}")


def run(arguments: cli.Run) -> Finished:
    """Train (or take up), measure, record and draw one row."""
    return table3.run_shared(arguments, TABLE, training_run(arguments), table3.JUDGE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
