"""Cycle implicit autoencoders, figure 9: female faces whose code is a male face, by a stochastic
encoder and a deterministic decoder; the paper prints pictures and no number.

Over the test images and five draws of the encoder's noise: the share of the codes that a
classifier of ours, trained on all classes of the set, takes for the second domain, and of the
reconstructions that it takes for the first (its own error is printed); the spread of codes and of
reconstructions, the standard deviation of a pixel over the draws; and the squared error of the
reconstructions, mean over pixels, against their input and against another test image. A decoder
that makes "a random female face", as the paper says of matching the marginals, is as far from the
one as from the other.

make reproduce-fig9-cycleiae PROFILE=fast
"""

import sys

import jax
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators
from aae_jax.core import named_key
from aae_jax.errors import UserError
from experiments.cycleiae.fig8 import drawn, figures, judged_by, share_percent
from experiments.harness import cli
from experiments.harness.drawing import shown_images
from experiments.harness.judge import Judge
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

METRICS = (
    "second_domain_percent",
    "first_domain_percent",
    "judge_error_percent",
    "code_spread",
    "pixel_spread",
    "pixel_error",
    "pixel_error_of_others",
)
STAND_IN = "Fashion-MNIST's sneakers to ankle boots (stand-in)"
TABLE = Table(
    experiment="cycleiae_fig9",
    title="Cycle implicit autoencoders, figure 9: codes taken for the second domain, in percent",
    metric="second_domain_percent",
    rows=(
        Row("celeba", "CelebA, female to male, 100-D noise", data="celeba_48"),
        Row("celeba_marginal", "CelebA, female to male, marginals matched", data="celeba_48"),
        Row("fashion_boots", f"{STAND_IN}, 100-D noise", data="fashion_mnist"),
        Row("fashion_boots_marginal", f"{STAND_IN}, marginals matched", data="fashion_mnist"),
    ),
    shown=(*METRICS[1:], "test_pixel_error_without_noise"),
)


def quality(trained: Trained, judge: Judge | None) -> dict[str, list[float]]:
    """What is said above, for each seed."""
    dataset = trained.dataset
    first, second = trained.config.data.classes
    assert judge is not None
    originals = dataset.scaling.pixels(np.asarray(dataset.test.images))
    measured: dict[str, list[float]] = {}
    for seed, state in zip(trained.result.seeds, trained.result.states):
        codes, made = drawn(trained, state, named_key(jax.random.key(seed), "reconstructions"))
        pixels = shown_images(trained, made)
        values = {
            "second_domain_percent": share_percent(judge, codes, (second,)),
            "first_domain_percent": share_percent(judge, made, (first,)),
            "judge_error_percent": judge.error_percent,
            "code_spread": float(shown_images(trained, codes).std(axis=0).mean()),
            "pixel_spread": float(pixels.std(axis=0).mean()),
            "pixel_error": float(np.square(pixels - originals).mean()),
            "pixel_error_of_others": float(
                np.square(pixels - np.roll(originals, 1, axis=0)).mean()
            ),
        }
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse domains that are no classes.

    Raises:
        UserError: naming the settings.
    """
    if config.data.domains != "classes" or len(config.data.classes) != 2:
        raise UserError(
            "figure 9 measures codes by their class: leave data.domains at 'classes' and name two "
            "in data.classes"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.cost("pixel_error_without_noise"),),
        measure=Measure(METRICS, quality, judged_by),
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
