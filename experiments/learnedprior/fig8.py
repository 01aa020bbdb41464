"""Learning priors, figure 8: samples of the learned prior and of the adversarial autoencoder, codes
of 8 on MNIST and of 64 on CIFAR-10.

The figure's claim, in numbers: the share of samples to one of whose classes a judge of ours gives
more than 90 %, and the Fréchet distance to test images in its features.

make reproduce-fig8-learnedprior PROFILE=fast ROWS="mnist_ours mnist_aae"
"""

import sys

from configs.learnedprior import fig8 as configs
from configs.learnedprior import shared
from experiments.harness import cli
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table
from experiments.learnedprior import table3

# Of each data set: its name, and that of the judge of its samples.
DATA = {
    "mnist": ("MNIST", "mnist"),
    "svhn_cropped": ("SVHN", "svhn"),
    "cifar10": ("CIFAR-10", "cifar10"),
    "cifar10_jpeg": ("CIFAR-10 as JPEG (a stand-in)", "cifar10"),
}
SYSTEMS = {
    "ours": "learned prior",
    "aae": "AAE",
    "aae_reparameterised": "AAE, re-parameterised",
}
SHOWN = (
    "mnist_classifier_fid",
    "cifar10_classifier_fid",
    "mnist_classifier_score",
    "cifar10_classifier_score",
    "judge_error_percent",
    table3.RECONSTRUCTION,
)


def rows(names: tuple[str, ...], **sizes: str) -> tuple[Row, ...]:
    """Rows by what their names say; ``sizes`` are the codes' by data set."""
    found = []
    for name in names:
        data, system = shared.split(name, SYSTEMS)
        size = sizes.get(data.split("_")[0], "")
        found.append(Row(name, f"{DATA[data][0]}{size}: {SYSTEMS[system]}", data=data))
    return tuple(found)


TABLE = Table(
    experiment="learnedprior_fig8",
    title="Learned priors, figure 8: samples that a judge of ours is confident of, in percent",
    metric="confident_percent",
    rows=rows(configs.ROWS, mnist=", code of 8", cifar10=", code of 64"),
    shown=SHOWN,
)


def judge_name(row: str) -> str:
    """What the judge of a row's samples is called in its scores."""
    return DATA[shared.split(row, SYSTEMS)[0]][1]


def training_run(arguments: cli.Run) -> cli.Run:
    """The run whose training this row shares: on CIFAR-10 table 3's."""
    data, system = shared.split(arguments.config.row, SYSTEMS)
    if data not in shared.CIFAR10 or arguments.config.experiment != TABLE.experiment:
        return arguments
    return table3.shared_run(arguments, f"{data}_{configs.SYSTEMS[system]}")


def run(arguments: cli.Run, table: Table = TABLE) -> Finished:
    """Train (or take up), measure, record and draw one row."""
    return table3.run_shared(
        arguments, table, training_run(arguments), judge_name(arguments.config.row)
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
