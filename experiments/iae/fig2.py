"""Implicit Autoencoders, figure 2: reconstructions of MNIST with codes of 20, 10 and 5 dimensions.

The figure's claim, that the content stays while the style spreads, as numbers: the share of the
test images whose reconstruction keeps their class in the eyes of a classifier of ours (whose own
error stands beside it), the squared error of the reconstructions and the standard deviation of a
pixel over draws of the noise, pixels in [0, 1].

make reproduce-fig2-iae PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import evaluators, plots
from aae_jax.core import named_key
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images, shown_images
from experiments.harness.judge import UPDATES, Judge, judge
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

SHOWN = ("judge_error_percent", "pixel_error", "pixel_spread", "test_pixel_error_without_noise")
TABLE = Table(
    experiment="iae_fig2",
    title="Implicit Autoencoders, figure 2: reconstructions of MNIST that keep their class, in "
    "percent",
    metric="kept_class_percent",
    rows=(
        Row("deterministic_20d", "deterministic, 20-D code"),
        Row("stochastic_10d", "10-D code, 100-D noise"),
        Row("stochastic_5d", "5-D code, 100-D noise"),
    ),
    shown=SHOWN,
)
NUM_DRAWS = 5
SMOKE_UPDATES = 200  # of the judge, on digits
_BLOCK = 500


def judged_by(trained: Trained) -> Judge:
    """The judge of a run's data."""
    return judge(trained, SMOKE_UPDATES if trained.config.profile == "smoke" else UPDATES)


def content_and_style(trained: Trained, of_data: Judge) -> dict[str, list[float]]:
    """``kept_class_percent``, ``pixel_error`` and ``pixel_spread`` (see above) over the test images
    and five draws of the noise, and ``judge_error_percent``."""
    dataset, method = trained.dataset, trained.method
    encode, decode = method.encode, method.decode
    assert encode is not None and decode is not None

    @jax.jit
    def reconstructions(state, x, key):
        """[draws, b, h, w, c] of one code each."""
        (z,) = encode(state, x, named_key(key, "code"))
        keys = jax.random.split(named_key(key, "noise"), NUM_DRAWS)
        return jax.lax.map(lambda k: decode(state, z, k), keys)

    measured: dict[str, list[float]] = {}
    labels = np.asarray(dataset.test.labels)
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        key = named_key(jax.random.key(seed), "reconstructions")
        kept, errors, spreads = [], [], []
        for i in range(0, len(labels), _BLOCK):
            images = dataset.test.images[i : i + _BLOCK]
            drawn = reconstructions(
                state, model_images(trained, images), jax.random.fold_in(key, i)
            )
            classes = of_data.classify(drawn.reshape(-1, *drawn.shape[2:]))
            kept.append(classes.reshape(NUM_DRAWS, -1) == labels[i : i + _BLOCK])
            pixels = shown_images(trained, drawn)
            errors.append(
                np.square(pixels - dataset.scaling.pixels(images)).mean(axis=(0, 2, 3, 4))
            )
            spreads.append(pixels.std(axis=0).mean(axis=(1, 2, 3)))
        values = {
            "kept_class_percent": 100 * float(np.concatenate(kept, axis=1).mean()),
            "judge_error_percent": of_data.error_percent,
            "pixel_error": float(np.concatenate(errors).mean()),
            "pixel_spread": float(np.concatenate(spreads).mean()),
        }
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


MEASURE = Measure(
    ("kept_class_percent", "judge_error_percent", "pixel_error", "pixel_spread"),
    content_and_style,
    judged_by,
)


def reconstruction_grid(finished: Finished, columns: int = 16, draws: int = 4) -> np.ndarray:
    """Images [1 + draws, columns, h, w, c] of the first seed: test images, and below each its
    reconstructions, the noise held fixed along a row."""
    images = finished.dataset.test.images[:columns]
    method, state = finished.method, first_state(finished)
    assert method.encode is not None and method.decode is not None
    (z,) = method.encode(state, model_images(finished, images))
    originals = np.asarray(finished.dataset.scaling.pixels(np.asarray(images)))
    rows = [originals]
    for draw in range(draws if finished.config.model.decoder_noise_dim else 1):
        # A key of its own for each draw, one n for all columns.
        alone = [method.decode(state, z[i : i + 1], jax.random.key(draw)) for i in range(columns)]
        rows.append(shown_images(finished, jnp.concatenate(alone)))
    return np.stack(rows)


def figures(finished: Finished) -> list[Path]:
    """The figure's panel of one row."""
    config = finished.config
    return [
        plots.image_grid(
            reconstruction_grid(finished),
            finished.workdir / "reconstructions.png",
            title=f"{config.row} ({config.profile}) on {finished.dataset.name}",
            row_label="original, reconstructions",
            column_label="test images",
        )
    ]


def run(arguments: cli.Run, table: Table = TABLE) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        table,
        figures,
        evaluators=(evaluators.cost("pixel_error_without_noise"),),
        measure=MEASURE,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
