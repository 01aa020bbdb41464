"""Implicit Autoencoders, figure 5: a mixture of seven Gaussians, by a GAN with a 7-way categorical
and a 10-D Gaussian noise vector, and by an implicit autoencoder with a 7-way code and the same
noise.

Of 7,000 samples, 1,000 a category: a sample is good if it lies within three standard deviations of
a Gaussian's mean (of the data 98.9 % do); a mode is covered if 200 good samples lie there; the
purity of a category is the share of its samples that lie nearest to the mean that most of them lie
nearest to (1 in 7 where the category says nothing). The encoder's purity is that of the clusters of
the test points.

make reproduce-fig5-iae PROFILE=fast
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import plots
from aae_jax.data import toys
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation, Evaluator
from experiments.harness import cli
from experiments.harness.drawing import first_state, gather_panels, save_panel
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="iae_fig5",
    title="Implicit Autoencoders, figure 5: a mixture of seven Gaussians, good samples in percent",
    metric="good_samples_percent",
    rows=(
        Row("gan", "GAN, 7-way and 10-D noise", data="toys/ring7"),
        Row("iae", "IAE, 7-way code and 10-D noise", data="toys/ring7"),
    ),
    shown=("modes_covered", "code_purity_percent", "encoder_purity_percent"),
)
SAMPLES_PER_CATEGORY = 1_000
COVERED = 200


def inputs(config: ml_collections.ConfigDict, key: jax.Array) -> tuple[tuple, np.ndarray]:
    """What the method's ``decode`` takes for equally many samples of every category, and the
    categories [n]."""
    num = config.model.num_categories or 7
    categories = np.repeat(np.arange(num), SAMPLES_PER_CATEGORY)
    one_hot = jax.nn.one_hot(categories, num)
    if config.method == "implicit_autoencoder":
        return (one_hot, key), categories
    noise = jax.random.normal(key, (len(categories), config.model.noise_dim))
    return (jnp.concatenate([one_hot, noise], axis=-1),), categories


def judged(
    samples: np.ndarray, categories: np.ndarray, means: np.ndarray, std: float
) -> dict[str, float]:
    """How good samples [n, 2] of these categories [n] are for a mixture of Gaussians of these means
    [modes, 2] and standard deviation."""
    distances = np.linalg.norm(samples[:, None] - means, axis=-1)
    nearest, good = distances.argmin(axis=1), distances.min(axis=1) < 3 * std
    return {
        "good_samples_percent": 100 * float(good.mean()),
        "modes_covered": float((np.bincount(nearest[good], minlength=len(means)) >= COVERED).sum()),
        "code_purity_percent": purity_percent(categories, nearest),
    }


def purity_percent(clusters: np.ndarray, classes: np.ndarray) -> float:
    """The share of points that are of the commonest class of their cluster, in percent."""
    counts = np.zeros((clusters.max() + 1, classes.max() + 1))
    np.add.at(counts, (clusters, classes), 1)
    return 100 * float(counts.max(axis=1).sum()) / len(clusters)


def quality(config: ml_collections.ConfigDict) -> Evaluator:
    """The values of ``judged`` and, where there is an encoder, its purity."""
    means, std = toys.ring_means(config.data.name), toys.ring_std(config.data.name)

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        arguments, categories = inputs(config, evaluation.key("samples"))
        samples = np.asarray(evaluation.call("decode", *arguments))
        yield from judged(samples, categories, means, std).items()
        if evaluation.method.classify is not None:
            clusters = evaluation.outputs("classify", "test").argmax(axis=-1)
            test = evaluation.split("test")
            yield "encoder_purity_percent", purity_percent(clusters, test.labels)

    return Evaluator(evaluate)


def figures(finished: Finished) -> list[Path]:
    """Samples of the first seed by their category, beside the data and the other row's as far as
    it has run."""
    config = finished.config
    arguments, categories = inputs(config, jax.random.key(0))
    assert finished.method.decode is not None
    samples = np.asarray(finished.method.decode(first_state(finished), *arguments))
    value = finished.record["values"][0]
    title = f"{config.row.upper()}: {value:.1f} % good samples"
    save_panel(finished.workdir, plots.CodeSpace(title, samples, categories))
    test = finished.dataset.test
    data = plots.CodeSpace("data, by its Gaussian", test.images, np.asarray(test.labels))
    return [
        plots.code_spaces(
            [data, *gather_panels(finished.workdir, [row.name for row in TABLE.rows])],
            finished.workdir / "mixture.png",
            title=f"samples by the category of their code, {finished.dataset.name}, "
            f"{config.profile} profile",
            axis_names=("x1", "x2"),
            columns=3,
            legend="category",
        )
    ]


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse data that has no such modes.

    Raises:
        UserError: the data is no ring of Gaussians, or only some of its classes.
    """
    if not config.data.name.startswith("toys/ring") or config.data.classes:
        raise UserError(
            f"data.name is {config.data.name!r}; figure 5 measures a whole ring of Gaussians: "
            "leave it at toys/ring7"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(quality(arguments.config),),
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
