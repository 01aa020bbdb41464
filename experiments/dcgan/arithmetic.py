"""DCGAN (Radford et al. 2016, figures 7 and 8): arithmetic on mean codes of digits, and a turn.

For every pair of classes A and B: the mean code of thick As, less that of thin As, plus that of
thin Bs, and eight more around it, ought to be thick Bs. The class is a judge's, whose own error
stands beside the numbers, thickness is measured on the pixels; thick and thin mean above and below
the median of all samples of their class. The turn vector leads from the mean code of samples that
lean to the left to that of those that lean to the right; added to random samples in steps, the
slant ought to rise.

make reproduce-arithmetic-dcgan PROFILE=fast
"""

import sys
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.core import State, named_key
from aae_jax.errors import UserError
from aae_jax.metrics import slant, thickness
from experiments.gan import samples as gan_samples
from experiments.harness import cli
from experiments.harness.drawing import first_state, shown_images
from experiments.harness.judge import Judge, judge_of
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

TABLE = Table(
    experiment="dcgan_arithmetic",
    title="DCGAN, figure 7: results of code arithmetic with the class and thickness asked for, in "
    "percent",
    metric="as_asked_percent",
    rows=(Row("mnist", "MNIST, class and thickness"),),
    shown=(
        "class_percent",
        "thickness_percent",
        "judge_error_percent",
        "turn_correlation",
        "turn_keeps_class_percent",
    ),
)
NAMES = ("as_asked_percent", *TABLE.shown)
STEPS = 9  # of the turn, from -1 to 1
TURNED = 200  # random samples that are turned
_BLOCK = 1000


class Samples(NamedTuple):
    """Codes [n, d], and what was measured on their images: class, thickness, slant [n]."""

    codes: np.ndarray
    classes: np.ndarray
    thickness: np.ndarray
    slant: np.ndarray


def measured(run: Trained | Finished, judge: Judge, state: State, codes: np.ndarray) -> Samples:
    """The samples of these codes."""
    assert run.method.decode is not None
    decode = jax.jit(run.method.decode)
    classes, thick, slants = [], [], []
    for start in range(0, len(codes), _BLOCK):
        images = decode(state, jnp.asarray(codes[start : start + _BLOCK]))
        classes.append(judge.classify(images))
        ink = shown_images(run, images).mean(axis=-1)
        thick.append(thickness(ink))
        slants.append(slant(ink))
    return Samples(codes, *map(np.concatenate, (classes, thick, slants)))


def random_samples(run: Trained | Finished, judge: Judge, state: State, seed: int) -> Samples:
    """``arithmetic.num_samples`` of them."""
    key = named_key(jax.random.key(seed), "arithmetic")
    shape = (run.config.arithmetic.num_samples, run.config.model.noise_dim)
    codes = np.asarray(jax.random.uniform(key, shape, minval=-1.0, maxval=1.0))
    return measured(run, judge, state, codes)


def extreme_code(samples: Samples, of: np.ndarray, values: np.ndarray, num: int) -> np.ndarray:
    """The mean code [d] of the ``num`` samples among ``of`` (indices) that come next to the tenth
    of the largest values: the largest of all are blots."""
    order = of[np.argsort(-values[of], kind="stable")]
    return samples.codes[order[len(of) // 10 :][:num]].mean(axis=0)


def results(
    samples: Samples, first: int, second: int, num: int, noise: np.ndarray
) -> np.ndarray | None:
    """Codes [1 + neighbours, d]: thick ``first`` - thin ``first`` + thin ``second``, and the same
    with each row of ``noise`` added; None where a class was hardly ever drawn."""
    members = [np.flatnonzero(samples.classes == label) for label in (first, second)]
    if min(map(len, members)) < 2 * num:
        return None
    thick = extreme_code(samples, members[0], samples.thickness, num)
    thin = [extreme_code(samples, of, -samples.thickness, num) for of in members]
    centre = thick - thin[0] + thin[1]
    return centre + np.concatenate([np.zeros_like(noise[:1]), noise])


def turn_vector(samples: Samples, num: int) -> np.ndarray:
    """From the mean code of the samples that lean to the left to that of those that lean to the
    right, the same share of every class: [d]."""
    ways = []
    for label in np.unique(samples.classes):
        of = np.flatnonzero(samples.classes == label)
        if len(of) >= 2 * num:
            right, left = (extreme_code(samples, of, s * samples.slant, num) for s in (1, -1))
            ways.append(right - left)
    return np.mean(ways, axis=0) if ways else np.zeros(samples.codes.shape[1])


def turned(codes: np.ndarray, vector: np.ndarray) -> np.ndarray:
    """Codes [n, STEPS, d] along the turn, from a half of it back to a half of it ahead."""
    return codes[:, None] + 0.5 * np.linspace(-1, 1, STEPS)[:, None] * vector


def _noise(run: Trained | Finished) -> np.ndarray:
    settings, dim = run.config.arithmetic, run.config.model.noise_dim
    drawn = jax.random.uniform(jax.random.key(0), (settings.neighbours, dim), minval=-1.0)
    return settings.noise * np.asarray(drawn)


def arithmetic(trained: Trained, judge: Judge) -> dict[str, list[float]]:
    """The shares of all pairs' results that are of class B, thicker than the median B, and both;
    the correlation of slant and step along the turn, and the share of turned samples that keep
    their class; the judge's own error."""
    settings = trained.config.arithmetic
    found: dict[str, list[float]] = {}
    for seed, saved in zip(trained.result.seeds, trained.result.states):
        state = jax.tree.map(jnp.asarray, saved)
        samples = random_samples(trained, judge, state, seed)
        right_class, right_thickness = [], []
        for first in range(trained.dataset.num_classes):
            for second in range(trained.dataset.num_classes):
                codes = results(samples, first, second, settings.averaged, _noise(trained))
                if first == second or codes is None:
                    continue
                these = measured(trained, judge, state, codes)
                usual = np.median(samples.thickness[samples.classes == second])
                right_class.append(these.classes == second)
                right_thickness.append(these.thickness > usual)
        both = np.array(right_class, bool), np.array(right_thickness, bool)
        start = samples.codes[:TURNED]
        along = turned(start, turn_vector(samples, settings.averaged))
        walk = measured(trained, judge, state, along.reshape(-1, along.shape[-1]))
        slants, classes = (x.reshape(-1, STEPS) for x in (walk.slant, walk.classes))
        steps = np.broadcast_to(np.linspace(-1, 1, STEPS), slants.shape)
        deviations = slants - slants.mean(axis=1, keepdims=True)
        spread = float(np.std(deviations) * np.std(steps))
        kept = classes == samples.classes[: len(start), None]
        values = {
            "as_asked_percent": _percent(both[0] & both[1]),
            "class_percent": _percent(both[0]),
            "thickness_percent": _percent(both[1]),
            "judge_error_percent": judge.error_percent,
            "turn_correlation": float((deviations * steps).mean() / spread) if spread else 0.0,
            "turn_keeps_class_percent": _percent(kept),
        }
        for name, value in values.items():
            found.setdefault(name, []).append(value)
    return found


def _percent(right: np.ndarray) -> float:
    """0 where nothing could be tried, because the generator draws too few classes."""
    return 100 * float(right.mean()) if right.size else 0.0


MEASURE = Measure(NAMES, arithmetic, judge_of)


def figures(finished: Finished, rows: int = 6) -> list[Path]:
    """Arithmetic for some pairs, the first seed's: a thick A, a thin A, a thin B, the result and
    the ones around it; and samples along the turn."""
    config, state = finished.config, first_state(finished)
    seed = finished.result.seeds[0]
    samples = random_samples(finished, judge_of(finished), state, seed)
    num, noise = config.arithmetic.averaged, _noise(finished)
    decode = finished.method.decode
    assert decode is not None

    def drawn(codes: np.ndarray) -> np.ndarray:
        return shown_images(finished, decode(state, jnp.asarray(codes, jnp.float32)))

    grid: list[np.ndarray] = []
    names: list[str] = []
    classes = finished.dataset.num_classes
    pairs = [(i % classes, (i + 1 + i // classes) % classes) for i in range(2 * classes)]
    for first, second in pairs:
        codes = results(samples, first, second, num, noise)
        if codes is None or len(grid) == rows:
            continue
        of = [np.flatnonzero(samples.classes == label) for label in (first, second)]
        terms = [
            extreme_code(samples, of[0], samples.thickness, num),
            extreme_code(samples, of[0], -samples.thickness, num),
            extreme_code(samples, of[1], -samples.thickness, num),
        ]
        grid.append(drawn(np.concatenate([np.stack(terms), codes])))
        names.append(f"{first}, {second}")
    along = turned(samples.codes[:rows], turn_vector(samples, num))
    turn = drawn(along.reshape(-1, along.shape[-1]))
    what = f"{config.row} ({config.profile}), {finished.dataset.name}"
    pictures = [
        plots.image_grid(
            turn.reshape(*along.shape[:2], *turn.shape[1:]),
            finished.workdir / "turn.png",
            title=f"the turn: {what}",
            row_label="random samples",
            column_label="from left to right",
        )
    ]
    if grid:
        pictures.append(
            plots.image_grid(
                np.stack(grid),
                finished.workdir / "arithmetic.png",
                title=f"thick A - thin A + thin B: {what}",
                row_label="A, B",
                row_names=names,
                column_label="the three terms, the result, and with noise around it",
            )
        )
    return pictures


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse an arithmetic that could not be had after training.

    Raises:
        UserError: too few samples, nothing to average, noise below zero, no labels for a judge, or
            as the samples' ``check``.
    """
    settings = config.arithmetic
    if settings.averaged < 1 or settings.num_samples < 2 * settings.averaged * dataset.num_classes:
        raise UserError(
            f"arithmetic.num_samples is {settings.num_samples}; to average "
            f"{settings.averaged} (at least 1) of a kind it must be at least "
            f"{2 * max(1, settings.averaged) * dataset.num_classes}"
        )
    if settings.noise < 0 or settings.neighbours < 1:
        raise UserError(
            f"arithmetic.noise is {settings.noise} and arithmetic.neighbours "
            f"{settings.neighbours}; they must be at least 0 and 1"
        )
    if dataset.num_classes < 2:
        raise UserError(f"{dataset.name} has no classes that a judge could tell: choose other data")
    gan_samples.check(config, dataset)


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.cost("minus_log_d"),),
        measure=MEASURE,
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
