"""AAE, figure 4: label-informed regularization on a mixture of ten 2-D Gaussians and a swiss roll.

Beside the pictures a number: the share of test images whose code lies in another class's part of
the prior, that is, whose class is not the most probable one given the code.

make reproduce-fig4-aae PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots, priors
from aae_jax.metrics import energy_distance
from experiments.harness import cli
from experiments.harness.drawing import codes_of, first_state
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="aae_fig4",
    title="AAE, figure 4: test codes in another class's part of the prior, in percent",
    metric="test_error_percent",
    rows=(
        Row("mixture", "mixture of ten 2-D Gaussians, 10K of 50K labelled"),
        Row("swiss_roll", "swiss roll, 10K of 50K labelled"),
    ),
    shown=("energy_distance",),
)

PRIOR_SAMPLES = 10_000


def measure(trained: Trained) -> dict[str, list[float]]:
    """Energy distance of the test images' codes to the prior, per seed."""
    prior = priors.from_config(trained.config.model.prior, trained.config.model.code_dim)
    distances = []
    for seed, state in zip(trained.result.seeds, trained.result.states):
        codes = codes_of(trained, state, trained.dataset.test.images)
        samples = np.asarray(prior(jax.random.key(seed), PRIOR_SAMPLES))
        distances.append(energy_distance(codes, samples))
    return {"energy_distance": distances}


def mixture_manifold(finished: Finished, per_side: int = 7) -> np.ndarray:
    """Images [per_side, 3 * per_side + 2, h, w, c] at evenly spaced percentiles of the first three
    components (figure 4b), a white column between two."""
    percentiles = (np.arange(per_side) + 0.5) / per_side
    right, up = np.meshgrid(percentiles, percentiles[::-1])
    grid = np.stack([right.ravel(), up.ravel()], axis=-1)
    components = [_decoded(finished, grid, k) for k in range(3)]
    grids = [images.reshape(per_side, per_side, *images.shape[1:]) for images in components]
    gap = np.ones_like(grids[0][:, :1])
    return np.concatenate([grids[0], gap, grids[1], gap, grids[2]], axis=1)


def swiss_roll_walk(finished: Finished, per_class: int = 20) -> np.ndarray:
    """Images [10, per_class, h, w, c] along the roll's axis, one class a row (figure 4d)."""
    along = (np.arange(per_class) + 0.5) / per_class
    grid = np.stack([along, np.full(per_class, 0.5)], axis=-1)
    return np.stack([_decoded(finished, grid, k) for k in range(10)])


def _decoded(finished: Finished, percentiles: np.ndarray, label: int) -> np.ndarray:
    prior = priors.from_config(finished.config.model.prior, 2)
    assert prior.quantile is not None and finished.method.decode is not None
    codes = prior.quantile(jnp.asarray(percentiles), jnp.full(len(percentiles), label))
    return np.asarray(finished.method.decode(first_state(finished), codes))


def figures(finished: Finished) -> list[Path]:
    """The first seed's code space, and a walk over the prior."""
    row, dataset = finished.config.row, finished.dataset
    name = {"mixture": "mixture of ten 2-D Gaussians", "swiss_roll": "swiss roll"}[row]
    codes = codes_of(finished, finished.result.states[0], dataset.test.images)
    error = finished.record["values"][0]
    prior = priors.from_config(finished.config.model.prior, 2)
    assert prior.sample_class is not None
    labels = np.asarray(dataset.test.labels)
    samples = np.asarray(prior.sample_class(jax.random.key(0), jnp.asarray(labels)))
    pictures = [
        plots.code_spaces(
            [
                plots.CodeSpace(
                    f"test images, {error:.2f} % in another class's part", codes, labels
                ),
                plots.CodeSpace("the prior, each class's part", samples, labels),
            ],
            finished.workdir / "code_space.png",
            title=f"{name}, {dataset.name}, seed {finished.result.seeds[0]}, "
            f"{finished.config.profile} profile",
        )
    ]
    if row == "mixture":
        pictures.append(
            plots.image_grid(
                mixture_manifold(finished),
                finished.workdir / "manifold.png",
                title=f"what is decoded over the components of classes 0, 1 and 2, {dataset.name}",
                column_label="along each component's radius, 7th to 93rd percentile",
                row_label="across it",
            )
        )
    else:
        pictures.append(
            plots.image_grid(
                swiss_roll_walk(finished),
                finished.workdir / "walk.png",
                title=f"a walk along the swiss roll's axis, {dataset.name}",
                column_label="percentile of the class's stretch of the axis, 2.5 to 97.5 %",
                row_label="class",
                row_names=[str(k) for k in range(10)],
            )
        )
    return pictures


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(arguments, TABLE, figures, measure=Measure(("energy_distance",), measure))


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
