"""InfoGAN on MNIST: test error in percent of its categorical code, beside a regular GAN.

A category takes the label that most of its validation images have (the table's error); the record
also holds the error by the most confident image and by one-to-one matching, the bound L_I on the
mutual information of codes and samples, and how well the continuous codes that Q finds in test
images correlate with the slant and the thickness that are measured on them.

make reproduce-codes-infogan PROFILE=fast
"""

import sys
from collections.abc import Iterable
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.core import named_key
from aae_jax.errors import UserError
from aae_jax.evaluators import Evaluation, Evaluator
from aae_jax.metrics import slant, thickness
from aae_jax.objectives import categorical_information, uniform_information
from aae_jax.rundir import read_json, write_json
from experiments.harness import cli
from experiments.harness.drawing import first_state, neighbours, shown_images
from experiments.harness.runner import Finished, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="infogan_codes",
    title="InfoGAN, MNIST: test error of the categorical code by majority, in percent",
    metric="test_error_majority_percent",
    rows=(
        Row("mnist", "InfoGAN", (5.0, None)),
        Row(
            "gan",
            "regular GAN",
            note="its Q is trained beside it, on codes that neither its generator nor its "
            "discriminator is rewarded for.",
        ),
    ),
    shown=(
        "test_error_hungarian_percent",
        "information_nats",
        "categorical_information_nats",
        "slant_correlation",
        "thickness_correlation",
    ),
)
SAMPLES = 2_000  # by which the bound is measured


def information(config: ml_collections.ConfigDict) -> Evaluator:
    """The bound L_I, ``information_nats``, and its parts, of samples by the running batch-norm
    statistics."""
    model = config.model

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        key = evaluation.key("codes")
        codes = random_codes(model, key, SAMPLES)
        found = list(evaluation.call("encode", evaluation.call("decode", *codes)))
        parts, drawn = {}, list(codes)
        if model.num_categories:
            log_q = jnp.log(jnp.maximum(found.pop(0), 1e-30))
            parts["categorical"] = categorical_information(log_q, drawn.pop(0))
        if model.num_continuous:
            parts["continuous"] = uniform_information(
                jnp.asarray(found.pop(0)), drawn.pop(0), model.continuous_std
            )
        means = {name: float(values.mean()) for name, values in parts.items()}
        yield "information_nats", sum(means.values())
        for name, value in means.items():
            yield f"{name}_information_nats", value

    return Evaluator(evaluate)


def random_codes(
    model: ml_collections.ConfigDict, key: jax.Array, num: int
) -> tuple[jax.Array, ...]:
    """What ``decode`` takes, from the priors: categories, continuous codes, noise, as far as there
    are any."""

    def uniform(name: str, dim: int) -> jax.Array:
        return jax.random.uniform(named_key(key, name), (num, dim), minval=-1.0, maxval=1.0)

    codes = []
    if k := model.num_categories:
        codes.append(
            jax.nn.one_hot(jax.random.randint(named_key(key, "category"), (num,), 0, k), k)
        )
    for name in ("num_continuous", "noise_dim"):
        if model[name]:
            codes.append(uniform(name, model[name]))
    return tuple(codes)


def correlations() -> Evaluator:
    """Correlation of the continuous codes that Q finds in test images, c2, c3 and so on, with slant
    and thickness: ``c2_slant``, ..., and for each of the two the largest in size,
    ``slant_correlation``, ``thickness_correlation``."""

    def evaluate(evaluation: Evaluation) -> Iterable[tuple[str, float]]:
        test, pixels = evaluation.split("test"), evaluation.dataset.scaling.pixels
        images = pixels(np.asarray(test.images)).mean(axis=-1)
        codes = evaluation.outputs("encode", "test")[-1]
        for name, measure in (("slant", slant), ("thickness", thickness)):
            values = [correlation(code, measure(images)) for code in codes.T]
            for i, value in enumerate(values, start=2):
                yield f"c{i}_{name}", value
            yield f"{name}_correlation", max(map(abs, values))

    return Evaluator(evaluate)


def correlation(x: np.ndarray, y: np.ndarray) -> float:
    """Pearson's, 0 where one of the two does not vary."""
    spread = float(np.std(x) * np.std(y))
    return float(np.mean((x - x.mean()) * (y - y.mean())) / spread) if spread > 1e-12 else 0.0


def panel(finished: Finished, varied: int, columns: int = 10, rows: int = 10) -> np.ndarray:
    """Images [rows, columns, h, w, c] in [0, 1] of the first seed along which one code varies.

    Code 0 is the categorical one: a category a column, and all others drawn for every row. Code i
    is the i-th continuous one: from -2 to 2 along a category's row, the others held at zero, the
    noise drawn for every row."""
    model, method = finished.config.model, finished.method
    k, d = model.num_categories, model.num_continuous
    *drawn, noise = random_codes(model, jax.random.key(0), rows)
    if varied == 0:
        columns = k
        codes = [jnp.tile(jnp.eye(k), (rows, 1))]
        codes += [jnp.repeat(code, k, axis=0) for code in drawn[1:]]
    else:
        steps = jnp.linspace(-2.0, 2.0, columns)
        along = jnp.zeros((rows, columns, d)).at[:, :, varied - 1].set(steps)
        codes = [jnp.repeat(jnp.eye(k)[jnp.arange(rows) % k], columns, axis=0)] if k else []
        codes.append(along.reshape(rows * columns, d))
    codes.append(jnp.repeat(noise, columns, axis=0))
    assert method.decode is not None
    images = method.decode(first_state(finished), *codes)
    return shown_images(finished, images.reshape(rows, columns, *images.shape[1:]))


def code_panels(finished: Finished) -> list[Path]:
    """A picture for every code, c1 the categorical one."""
    config = finished.config
    model, what = config.model, f"{config.row} ({config.profile}), {finished.dataset.name}"
    pictures, number = [], 1
    if model.num_categories:
        pictures.append(
            plots.image_grid(
                panel(finished, 0),
                finished.workdir / "c1.png",
                title=f"varying c1: {what}",
                row_label="all else held fixed",
                column_label="category",
                column_names=[str(i) for i in range(model.num_categories)],
            )
        )
        number = 2
    for i in range(model.num_continuous):
        pictures.append(
            plots.image_grid(
                panel(finished, i + 1),
                finished.workdir / f"c{number + i}.png",
                title=f"varying c{number + i}: {what}",
                row_label="category" if model.num_categories else "all else held fixed",
                column_label="from -2 to 2",
            )
        )
    return pictures


def bound_curves(finished: Finished, table: Table = TABLE) -> Path:
    """The bound L_I over training, of this row and of its neighbours that have run."""
    config, result = finished.config, finished.result
    lines = {
        f"{config.row}, seed {seed}": [[p["step"], p["information_nats"]] for p in curve]
        for seed, curve in zip(result.seeds, result.curves)
    }
    write_json(finished.workdir / "bound.json", lines)
    shown: dict[str, list[list[float]]] = {}
    for _, folder in neighbours(finished.workdir, [row.name for row in table.rows]):
        shown |= read_json(folder / "bound.json") or {}
    return plots.lines(
        shown,
        finished.workdir / "bound.png",
        title=f"bound on the mutual information ({config.profile}), {finished.dataset.name}",
        axis_names=("updates", "L_I (nats)"),
    )


def figures(finished: Finished) -> list[Path]:
    """The slide's panels and the bound over training."""
    return [*code_panels(finished), bound_curves(finished)]


def check_noise(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse a generator without noise, of which the pictures would show nothing.

    Raises:
        UserError: model.noise_dim is not positive.
    """
    if config.model.noise_dim < 1:
        raise UserError(
            f"model.noise_dim is {config.model.noise_dim}; the pictures hold the noise fixed: give "
            "at least 1"
        )


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse codes that the table cannot measure.

    Raises:
        UserError: no categorical code, no continuous one, or as ``check_noise``.
    """
    check_noise(config, dataset)
    if not config.model.num_categories or not config.model.num_continuous:
        raise UserError(
            f"model.num_categories is {config.model.num_categories} and model.num_continuous "
            f"{config.model.num_continuous}; the table measures both kinds of codes: give at least "
            "two categories and one continuous code"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, record and draw one row."""
    follow = (evaluators.clustering(), information(arguments.config), correlations())
    return run_experiment(arguments, TABLE, figures, evaluators=follow, check=check)


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
