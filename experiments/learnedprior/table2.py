"""Learning priors, table 2: the judge's score of samples of BEGAN, DCGAN, LSGAN, WGAN-GP and the
learned prior; measured as table 3, with whose last row the learned prior's shares its training.

The paper's numbers are Inception scores that it cites from others, of networks of other sizes.

make reproduce-table2-learnedprior PROFILE=fast ROWS="cifar10_jpeg_dcgan cifar10_jpeg_ours"
"""

import sys

import ml_collections

from aae_jax import data as datasets
from aae_jax import evaluators
from configs.learnedprior.table2 import SYSTEMS
from experiments.gan import samples as gan_samples
from experiments.harness import cli, runner, samples, scores
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table
from experiments.learnedprior import table3

_LABELS = {
    "began": ("BEGAN", 5.62),
    "dcgan": ("DCGAN", 6.16),
    "lsgan": ("LSGAN", 5.98),
    "wgangp": ("WGAN-GP", 7.86),
    "ours": ("learned prior", 6.52),
}
# What each system's ``evaluate`` follows.
_COSTS = {
    "began": "discriminator_error",
    "dcgan": "minus_log_d",
    "lsgan": "half_squared_error_of_d",
    "wgangp": "minus_critic",
    "ours": "reconstruction_error",
}
TABLE = Table(
    experiment="learnedprior_table2",
    title="Learned priors, table 2: the score of samples by a judge of ours",
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


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse scores that could not be had after training, and batches that cannot be cut into the
    critic's.

    Raises:
        UserError: as the scores' and the GAN's ``check``.
    """
    scores.check(config, dataset)
    if "critic_steps" in config.model:
        gan_samples.check(config, dataset)


def training_run(arguments: cli.Run) -> cli.Run:
    """The run whose training this row shares: for the learned prior table 3's."""
    data, system = arguments.config.row.rsplit("_", 1)
    return table3.shared_run(arguments, f"{data}_full") if system == "ours" else arguments


def run(arguments: cli.Run) -> Finished:
    """Train (or take up), measure, record and draw one row."""
    runner.check_is_of(arguments, TABLE)
    system = arguments.config.row.rsplit("_", 1)[1]
    trained = runner.train(
        training_run(arguments),
        evaluators=(evaluators.cost(_COSTS[system]),),
        check=lambda _, dataset: check(arguments.config, dataset),
    )
    trained = trained._replace(config=arguments.config)
    return runner.report(
        arguments, TABLE, trained, samples.figures, measure=scores.measure(table3.JUDGE)
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
