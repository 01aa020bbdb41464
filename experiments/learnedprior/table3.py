"""Learning priors, table 3: the judge's score of samples with the learned prior (A), the perceptual
loss (B) and the decoder's updates in both phases (C), one after the other.

The paper's numbers are Inception scores, of another classifier on another scale: ours are for the
order of the rows. Beside them the Fréchet distance in the judge's features, and the squared error
of reconstructions of test images, per pixel in [-1, 1].

make reproduce-table3-learnedprior PROFILE=fast ROWS="cifar10_jpeg_baseline cifar10_jpeg_full"
"""

import sys

from aae_jax import evaluators
from configs.learnedprior.table3 import VARIANTS
from experiments.harness import catalogue, cli, runner, samples, scores, workdir
from experiments.harness.runner import Finished
from experiments.harness.tables import Row, Table

DATA = {"cifar10": "CIFAR-10", "cifar10_jpeg": "CIFAR-10 as JPEG (a stand-in)"}
_LABELS = {
    "baseline": ("AAE with a Gaussian prior and squared error", 2.15),
    "a": ("learned prior, squared error", 3.04),
    "ab": ("learned prior, perceptual loss", 3.69),
    "full": ("learned prior, perceptual loss, decoder in both phases", 6.52),
}
_NOTES = {
    ("cifar10_jpeg", variant): "its first run, on the same seed, compared features by the moments "
    f"of a batch and ended at {score} by an earlier judge; a look at this row and at the other of "
    "them, on another seed, chose running moments."
    for variant, score in (("ab", 1.07), ("full", 2.24))
}
CITED = "the paper's Inception score, by another classifier:"
JUDGE = "cifar10"
RECONSTRUCTION = "test_reconstruction_error"
SHOWN = (
    "cifar10_classifier_score_std",
    "cifar10_classifier_fid",
    "confident_percent",
    "judge_error_percent",
    "inception_score",  # where its weights are there
    "inception_score_std",
    "fid",
    RECONSTRUCTION,
)
TABLE = Table(
    experiment="learnedprior_table3",
    title="Learned priors, table 3: the score of samples by a judge of ours",
    metric="cifar10_classifier_score",
    rows=tuple(
        Row(
            f"{data}_{variant}",
            f"{label}: {_LABELS[variant][0]}",
            cited=((CITED, _LABELS[variant][1], None),),
            data=data,
            note=_NOTES.get((data, variant), ""),
        )
        for data, label in DATA.items()
        for variant in VARIANTS
    ),
    shown=SHOWN,
)
EVALUATORS = (evaluators.cost("reconstruction_error"),)


def shared_run(arguments: cli.Run, row: str) -> cli.Run:
    """The run of a row of this table whose training a row of another shares."""
    overrides = {k: v for k, v in arguments.overrides.items() if not k.startswith("scores.")}
    config, _ = cli.load_config(
        f"{catalogue.config_file(TABLE.experiment)}:{row},{arguments.config.profile}"
    )
    with config.unlocked():
        config.update_from_flattened_dict(overrides)
    folder = workdir.derive(config, overrides)
    return arguments._replace(config=config, overrides=overrides, workdir=folder)


def run_shared(arguments: cli.Run, table: Table, training: cli.Run, judge: str) -> Finished:
    """Train a row, or take up another's training, then measure, record and draw it."""
    runner.check_is_of(arguments, table)
    trained = runner.train(
        training,
        evaluators=EVALUATORS,
        check=lambda _, dataset: scores.check(arguments.config, dataset),
    )
    trained = trained._replace(config=arguments.config)
    return runner.report(arguments, table, trained, samples.figures, measure=scores.measure(judge))


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_shared(arguments, TABLE, arguments, JUDGE)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
