"""Implicit Autoencoders, figures 11 and 12: posteriors of four data points under a 2-D Gaussian
prior, of an InfoGAN with a factorised Gaussian and of a flipped implicit autoencoder.

The true posterior p(z | x) is measured by importance sampling: codes on a grid, weighed by the
prior, and for each the share of its draws of n that lie nearest to a data point. The variational
one, q(z | x), is 2,000 draws for each data point. Measured between them is the energy distance,
mean over the data points, which also is what the table shows; of both, how much the posteriors of
the four overlap (the share of draws that one would put to another data point, knowing how often
each cell of the grid belongs to whom); and the energy distance of all q(z | x) together to the
prior. The paper claims less overlap and an aggregated posterior nearer to the prior for the flipped
implicit autoencoder.

make reproduce-fig11-fiae PROFILE=fast
"""

import sys
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import plots
from aae_jax.core import named_key
from aae_jax.data import toys
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation, Evaluator
from aae_jax.metrics import energy_distance
from experiments.harness import cli
from experiments.harness.drawing import first_state, gather_panels, save_panel
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="fiae_fig11",
    title="Implicit Autoencoders, figures 11 and 12: energy distance between the variational and "
    "the true posterior of four data points",
    metric="posterior_energy_distance",
    rows=(
        Row("infogan", "InfoGAN, factorised Gaussian posterior", data="toys/four"),
        Row("fiae", "FIAE, implicit posterior", data="toys/four"),
    ),
    decimals=4,
    shown=(
        "points_generated",
        "overlap_percent",
        "true_overlap_percent",
        "prior_energy_distance",
    ),
)
NUM_DRAWS = 2_000  # of each posterior
NOISE_DRAWS = 50  # of n for each code of the grid
LIMIT, CELL = 4.0, 0.125  # the grid, in standard deviations of the prior


class Posteriors(NamedTuple):
    """Draws [points, NUM_DRAWS, 2] of every data point's posterior, the true one NaN where the
    generator never makes the point."""

    true: np.ndarray
    variational: np.ndarray


def true_posterior(decode, points: np.ndarray, std: float, key: jax.Array) -> np.ndarray:
    """Draws [points, NUM_DRAWS, 2] from p(z | x) of a generator ``decode(codes, key)``."""
    axis = std * np.arange(-LIMIT + CELL / 2, LIMIT, CELL)
    grid = np.stack(np.meshgrid(axis, axis), axis=-1).reshape(-1, 2)
    codes = jnp.asarray(np.repeat(grid, NOISE_DRAWS, axis=0), jnp.float32)
    made = np.asarray(decode(codes, named_key(key, "noise")))
    nearest = np.linalg.norm(made[:, None] - points, axis=-1).argmin(axis=1)
    share = np.stack([nearest == k for k in range(len(points))])  # p(x_k | z)
    share = share.reshape(len(points), len(grid), NOISE_DRAWS).mean(axis=-1)
    weights = share * np.exp(-0.5 * np.square(grid / std).sum(axis=-1))
    rng = np.random.default_rng(np.asarray(jax.random.key_data(named_key(key, "grid"))))
    drawn = np.full((len(points), NUM_DRAWS, 2), np.nan)
    for k, weight in enumerate(weights):
        if weight.sum() > 0:
            cells = grid[rng.choice(len(grid), NUM_DRAWS, p=weight / weight.sum())]
            drawn[k] = cells + std * CELL * rng.uniform(-0.5, 0.5, cells.shape)
    return drawn


def overlap_percent(posteriors: np.ndarray, std: float) -> float:
    """The error of telling from a draw's cell whose posterior it is of, in percent: 0 where none
    overlap, 75 where four are one."""
    edges = std * np.arange(-LIMIT, LIMIT + CELL, 2 * CELL)
    counts = [
        np.histogram2d(draws[:, 0], draws[:, 1], bins=[edges, edges])[0] for draws in posteriors
    ]
    inside = sum(count.sum() for count in counts)
    return 100 * (1 - float(np.max(counts, axis=0).sum()) / inside)


def measured(posteriors: Posteriors, prior: np.ndarray, std: float) -> dict[str, float]:
    """The values of the table, of draws of the posteriors and of the prior [n, 2]."""
    made = ~np.isnan(posteriors.true[:, 0, 0])
    pairs = zip(posteriors.variational[made], posteriors.true[made])
    together = posteriors.variational[:, :: len(made)].reshape(-1, 2)
    return {
        "posterior_energy_distance": float(np.mean([energy_distance(q, p) for q, p in pairs])),
        "points_generated": float(made.sum()),
        "overlap_percent": overlap_percent(posteriors.variational, std),
        "true_overlap_percent": overlap_percent(posteriors.true[made], std),
        "prior_energy_distance": energy_distance(together, prior),
    }


def posteriors_of(encode, decode, points: np.ndarray, std: float, key: jax.Array) -> Posteriors:
    """Draws of both posteriors of a model's ``encode(images, key)`` and ``decode(codes, key)``."""
    repeated = jnp.asarray(np.repeat(points, NUM_DRAWS, axis=0), jnp.float32)
    (codes,) = encode(repeated, named_key(key, "posterior"))
    variational = np.asarray(codes, np.float64).reshape(len(points), NUM_DRAWS, 2)
    return Posteriors(true_posterior(decode, points, std, key), variational)


def quality(config: ml_collections.ConfigDict) -> Evaluator:
    """The values of ``measured``."""
    points, std = toys.ring_means(config.data.name), config.model.prior_std

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        key = evaluation.key("posteriors")
        posteriors = posteriors_of(
            lambda *given: evaluation.call("encode", *given),
            lambda *given: evaluation.call("decode", *given),
            points,
            std,
            key,
        )
        prior = std * np.random.default_rng(evaluation.seed).standard_normal((NUM_DRAWS, 2))
        yield from measured(posteriors, prior, std).items()

    return Evaluator(evaluate)


def figures(finished: Finished) -> list[Path]:
    """The true and the variational posteriors of the first seed, one colour a data point, beside
    the other row's as far as they are there."""
    config, method, state = finished.config, finished.method, first_state(finished)
    points, std = toys.ring_means(config.data.name), config.model.prior_std
    encode, decode = method.encode, method.decode
    assert encode is not None and decode is not None
    posteriors = posteriors_of(
        lambda *given: encode(state, *given),
        lambda *given: decode(state, *given),
        points,
        std,
        named_key(jax.random.key(finished.result.seeds[0]), "posteriors"),
    )
    name = {"infogan": "InfoGAN", "fiae": "FIAE"}[config.row]
    labels = np.repeat(np.arange(len(points)), NUM_DRAWS)
    for kind, draws in posteriors._asdict().items():
        panel = plots.CodeSpace(f"{name}: {kind} posterior", draws.reshape(-1, 2), labels)
        save_panel(finished.workdir, panel, kind)
    rows = [row.name for row in TABLE.rows]
    return [
        plots.code_spaces(
            gather_panels(finished.workdir, rows, Posteriors._fields),
            finished.workdir / "posteriors.png",
            title=f"p(z | x) and q(z | x) of four data points, {config.profile} profile",
            limit=LIMIT * std,
            legend="data point",
        )
    ]


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse codes and data of which there is no such picture.

    Raises:
        UserError: a code that is not Gaussian in two dimensions, or data that is no toys/four.
    """
    if config.model.prior != "gaussian" or config.model.code_dim != 2:
        raise UserError(
            f"figure 11 measures posteriors of a 2-D Gaussian code, not of a {config.model.prior} "
            f"one of {config.model.code_dim}: leave model.prior and model.code_dim as they are"
        )
    if config.data.name != "toys/four" or config.data.classes:
        raise UserError(
            f"data.name is {config.data.name!r}; figure 11 has four data points: leave it at "
            "toys/four"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    return run_experiment(
        arguments, TABLE, figures, evaluators=(quality(arguments.config),), check=check
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
