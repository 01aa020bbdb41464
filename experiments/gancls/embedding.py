"""The text encoder of the text-to-image GANs: retrieval accuracy of the structured joint embedding
(survey's slides, equations 3 to 5) on test images and their sentences.

An image is given the class of the largest mean score over its test sentences (equation 4), a
sentence that of the largest mean score over its test images (equation 5). A class of captioned
digits is a digit, a colour, a ground and a third of the thickness: 960 of them.

make reproduce-embedding-gancls PROFILE=fast ROWS=captioned_digits
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import ml_collections
import numpy as np

from aae_jax import plots
from aae_jax.data import captions as captions_
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation, Evaluator
from experiments.harness import catalogue, cli, runner, workdir
from experiments.harness.runner import Finished, Trained, run_experiment
from experiments.harness.tables import Row, Table

SHOWN = (
    "text_accuracy_percent",
    "held_out_image_accuracy_percent",
    "held_out_text_accuracy_percent",
)
TABLE = Table(
    experiment="gancls_embedding",
    title="Structured joint embedding: test images given the class of their sentences, in percent",
    metric="image_accuracy_percent",
    rows=(
        Row("captioned_digits", "captioned digits (a stand-in)", data="captioned_digits"),
        Row("flowers", "Oxford-102 flowers", data="flowers"),
        Row("birds", "Caltech-UCSD birds", data="birds"),
    ),
    decimals=1,
    shown=SHOWN,
)


def class_means(codes: np.ndarray, classes: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The classes that there are [k], and the mean code [k, d] of each."""
    present, places = np.unique(classes, return_inverse=True)
    sums = np.zeros((len(present), codes.shape[1]))
    np.add.at(sums, places, codes)
    return present, sums / np.bincount(places)[:, None]


def nearest_classes(codes: np.ndarray, others: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Equation 4 (or 5): for each code [n, d] the class of the largest mean score with the codes
    [m, d] of the other kind, which are of these classes [m]."""
    present, means = class_means(others, classes)
    return present[(codes @ means.T).argmax(axis=1)]


def retrieval(every: int = 0) -> Evaluator:
    """``image_accuracy_percent`` and ``text_accuracy_percent`` on the test set, and those of its
    combinations that are not in the training set."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        captions = evaluation.dataset.captions
        if captions is None:
            raise UserError(
                f"{evaluation.dataset.name} has no captions: choose captioned_digits, flowers or "
                "birds"
            )
        (images,) = evaluation.outputs("encode", "test")
        tokens, classes = captions.test.tokens, captions.test.classes
        num, sentences, length = tokens.shape
        texts = np.asarray(evaluation.call("encode_text", tokens.reshape(-1, length)))
        repeated = np.repeat(classes, sentences)
        of_images = nearest_classes(np.asarray(images), texts, repeated) == classes
        first = texts.reshape(num, sentences, -1)[:, 0]
        of_texts = nearest_classes(first, np.asarray(images), classes) == classes
        held_out = captions_.attribute(captions, captions.test, "combination") == 1
        for name, right in (("image", of_images), ("text", of_texts)):
            yield f"{name}_accuracy_percent", 100 * float(right.mean())
        for name, right in (("image", of_images), ("text", of_texts)):
            yield f"held_out_{name}_accuracy_percent", 100 * float(right[held_out].mean())

    return Evaluator(evaluate, every)


def trained_for(config: ml_collections.ConfigDict, row: str) -> Trained:
    """The joint embedding on the data of another run's config, with its text encoder and in its
    profile, trained if it is not there: in ``runs/gancls_embedding/<row>-<profile>``, as its own
    target has it."""
    shared, _ = cli.load_config(
        f"{catalogue.config_file('gancls_embedding')}:{row},{config.profile}"
    )
    asked, own = (
        {
            "data.name": c.data.name,
            "data.unlabelled": c.data.unlabelled,
            **{f"model.text.{name}": value for name, value in c.model.text.items()},
        }
        for c in (config, shared)
    )
    changed = {name: value for name, value in asked.items() if value != own[name]}
    with shared.unlocked():
        shared.update_from_flattened_dict(changed)
    folder = workdir.derive(shared, changed)
    return runner.train(cli.Run(shared, changed, folder), evaluators=(retrieval(),))


def figures(finished: Finished) -> list[Path]:
    """Accuracy over training."""
    curves = [
        [
            entry | {"test_error_percent": 100 - entry["image_accuracy_percent"]}
            for entry in curve
            if "image_accuracy_percent" in entry
        ]
        for curve in finished.result.curves
    ]
    return [
        plots.error_curves(
            curves,
            finished.workdir / "error.png",
            title=f"{finished.config.row} ({finished.config.profile}) on {finished.dataset.name}",
            names=[f"seed {seed}" for seed in finished.result.seeds],
            ylabel="test images given another class (%)",
        )
    ]


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(arguments, TABLE, figures, evaluators=(retrieval(),))


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
