"""AAE, figure 2: the code space of an AAE and of a VAE under a Gaussian and a mixture prior.

The figure's claim as a number: the energy distance between the aggregated posterior q(z) of the
test images, one draw each, and 10,000 draws from the prior.

make reproduce-fig2-aae PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots, priors
from aae_jax.core import State, named_key
from aae_jax.errors import UserError
from aae_jax.metrics import energy_distance
from experiments.harness import cli
from experiments.harness.drawing import codes_of, first_state, gather_panels, save_panel
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

ROW_TITLES = {
    "aae_gaussian": "AAE, 2-D Gaussian",
    "aae_mixture": "AAE, mixture of ten 2-D Gaussians",
    "vae_gaussian": "VAE, 2-D Gaussian",
    "vae_mixture": "VAE, mixture of ten 2-D Gaussians",
}
TABLE = Table(
    experiment="aae_fig2",
    title="AAE, figure 2: energy distance between aggregated posterior and prior, 2-D codes",
    metric="energy_distance",
    rows=tuple(Row(name, title) for name, title in ROW_TITLES.items()),
    decimals=4,
    shown=("energy_distance_of_two_prior_samples",),
)

PRIOR_SAMPLES = 10_000


def measured_codes(run: Trained | Finished, seed: int, state: State) -> np.ndarray:
    """One draw [n, 2] from q(z|x) for each test image."""
    key = named_key(jax.random.key(seed), "codes of test images")
    return codes_of(run, state, run.dataset.test.images, key)


def measure(trained: Trained) -> dict[str, list[float]]:
    """The energy distance of every seed, and for scale that of two samples of the prior and the
    root mean square of a code."""
    prior = priors.from_config(trained.config.model.prior, trained.config.model.code_dim)
    distances, between_samples, sizes = [], [], []
    for seed, state in zip(trained.result.seeds, trained.result.states):
        keys = jax.random.split(named_key(jax.random.key(seed), "prior samples"), 2)
        codes = measured_codes(trained, seed, state)
        first, second = (np.asarray(prior(key, PRIOR_SAMPLES)) for key in keys)
        distances.append(energy_distance(codes, first))
        between_samples.append(energy_distance(second[: len(codes)], first))
        sizes.append(float(np.sqrt(np.square(codes).sum(axis=1).mean())))
    return {
        "energy_distance": distances,
        "energy_distance_of_two_prior_samples": between_samples,
        "root_mean_square_code": sizes,
    }


MEASURE = Measure(
    ("energy_distance", "energy_distance_of_two_prior_samples", "root_mean_square_code"), measure
)


def manifold(finished: Finished, per_side: int = 20) -> np.ndarray:
    """Images [per_side, per_side, h, w, c] at evenly spaced percentiles of a 2-D Gaussian prior,
    the first dimension to the right, the second upwards (figure 2e)."""
    prior = priors.from_config(finished.config.model.prior, 2)
    percentiles = (np.arange(per_side) + 0.5) / per_side
    right, up = np.meshgrid(percentiles, percentiles[::-1])
    grid = jnp.asarray(np.stack([right.ravel(), up.ravel()], axis=-1))
    assert prior.quantile is not None and finished.method.decode is not None
    images = np.asarray(finished.method.decode(first_state(finished), prior.quantile(grid, None)))
    return images.reshape(per_side, per_side, *images.shape[1:])


def figures(finished: Finished) -> list[Path]:
    """The code space of the first seed, beside those of the other rows as far as they have run;
    for the AAE on a Gaussian its manifold."""
    row = finished.config.row
    seed = finished.result.seeds[0]
    codes = measured_codes(finished, seed, finished.result.states[0])
    distance = finished.record["values"][0]
    title = f"{ROW_TITLES[row]}: energy distance {distance:.4f}"
    panel = plots.CodeSpace(title, codes, np.asarray(finished.dataset.test.labels))
    save_panel(finished.workdir, panel)
    pictures = [
        plots.code_spaces(
            gather_panels(finished.workdir, [r.name for r in TABLE.rows]),
            finished.workdir / "code_spaces.png",
            title=f"test images of {finished.dataset.name}, seed {seed}, "
            f"{finished.config.profile} profile",
        )
    ]
    if row == "aae_gaussian":
        pictures.append(
            plots.image_grid(
                manifold(finished),
                finished.workdir / "manifold.png",
                title=f"manifold of the 2-D Gaussian AAE, {finished.dataset.name}",
                column_label="percentile of z1, 2.5 to 97.5 %",
                row_label="percentile of z2, 2.5 to 97.5 %",
            )
        )
    return pictures


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse codes that the pictures cannot show.

    Raises:
        UserError: the code is not 2-D.
    """
    if config.model.code_dim != 2:
        raise UserError(f"model.code_dim is {config.model.code_dim}; figure 2 is about 2-D codes")


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.cost("reconstruction"),),
        measure=MEASURE,
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
