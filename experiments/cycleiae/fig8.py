"""Cycle implicit autoencoders, figure 8: shoes whose code is an image of their edges, by a
deterministic encoder and a stochastic decoder; the paper prints pictures and no number.

Over the test images and five draws of the noise. Edges kept: F1 of the Sobel edges of the
reconstructions against the lines of their code, where an edge within one pixel of a line (of the
eight around it) counts as found; beside it the same against the code of another test image. The
codes themselves are compared with the images' true edges, which training never sees. The spread is
the standard deviation of a pixel over the draws: what an L1 cycle is said to lose. Of Fashion-MNIST
a classifier of ours says what share of the reconstructions are shoes; its own error is printed.

make reproduce-fig8-cycleiae PROFILE=fast
"""

import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np

from aae_jax import data as datasets
from aae_jax import evaluators, plots
from aae_jax.core import State, named_key
from aae_jax.data.domains import sobel_edges
from aae_jax.errors import UserError
from experiments.harness import cli
from experiments.harness.drawing import first_state, model_images, shown_images
from experiments.harness.judge import UPDATES, Judge, judge
from experiments.harness.runner import Finished, Measure, Trained, run_experiment
from experiments.harness.tables import Row, Table

OF_EDGES = ("edges_kept_percent", "edges_of_others_percent", "code_edges_percent")
OF_PIXELS = ("pixel_spread", "pixel_error")
OF_JUDGE = ("shoes_percent", "judge_error_percent")
STAND_IN = "Fashion-MNIST's shoes and their edges (stand-in)"
TABLE = Table(
    experiment="cycleiae_fig8",
    title="Cycle implicit autoencoders, figure 8: edges that stochastic reconstructions of shoes "
    "keep, F1 in percent",
    metric="edges_kept_percent",
    rows=(
        Row("edges2shoes", "edges2shoes, 100-D noise", data="edges2shoes"),
        Row("edges2shoes_l1", "edges2shoes, L1 cycle", data="edges2shoes"),
        Row("fashion_edges", f"{STAND_IN}, 100-D noise", data="fashion_mnist"),
        Row("fashion_edges_l1", f"{STAND_IN}, L1 cycle", data="fashion_mnist"),
    ),
    shown=(*OF_EDGES[1:], *OF_PIXELS, *OF_JUDGE, "test_pixel_error_without_noise"),
)
NUM_DRAWS = 5
SMOKE_UPDATES = 200  # of the judge, on digits
_BLOCK = 250


def drawn(run: Trained | Finished, state: State, key: jax.Array) -> tuple[np.ndarray, np.ndarray]:
    """Codes and reconstructions of all test images, [draws, n, h, w, c] each, as networks see
    them: for each draw an ε and an n for every image."""
    encode, decode = run.method.encode, run.method.decode
    assert encode is not None and decode is not None

    @jax.jit
    def draws(state, x, key):
        def one(key):
            (z,) = encode(state, x, named_key(key, "code"))
            return z, decode(state, z, named_key(key, "noise"))

        return jax.lax.map(one, jax.random.split(key, NUM_DRAWS))

    state = jax.tree.map(jnp.asarray, state)
    images = run.dataset.test.images
    blocks = [
        jax.device_get(
            draws(state, model_images(run, images[i : i + _BLOCK]), jax.random.fold_in(key, i))
        )
        for i in range(0, len(images), _BLOCK)
    ]
    codes, made = (np.concatenate(parts, axis=1) for parts in zip(*blocks))
    return codes, made


def f1_percent(found: np.ndarray, true: np.ndarray, reach: int = 1) -> float:
    """F1 of edges, bool [..., h, w] each, over all images: an edge is right where the other has one
    at the same pixel or at one of the eight around it, or no farther away than ``reach``."""

    def near(lines: np.ndarray) -> np.ndarray:
        height, width = lines.shape[-2:]
        around = np.pad(lines, [(0, 0)] * (lines.ndim - 2) + [(reach, reach)] * 2)
        side = range(2 * reach + 1)
        views = [around[..., i : i + height, j : j + width] for i in side for j in side]
        return np.logical_or.reduce(views)

    precision = (found & near(true)).sum() / max(1, found.sum())
    recall = (true & near(found)).sum() / max(1, true.sum())
    return 100 * float(2 * precision * recall / max(precision + recall, 1e-12))


def lines_of(dataset: datasets.Dataset, drawings: np.ndarray) -> np.ndarray:
    """Where drawings, [..., h, w, c] in [0, 1], have lines: darker than grey if those of the second
    domain are dark on light, else brighter."""
    assert dataset.second is not None
    light = dataset.scaling.pixels(np.asarray(dataset.second.images)).mean() > 0.5
    grey = drawings.mean(axis=-1)
    return grey < 0.5 if light else grey > 0.5


def edges_of(dataset: datasets.Dataset, pixels: np.ndarray) -> np.ndarray:
    """The Sobel edges of images [..., h, w, c] in [0, 1]: bool [..., h, w]."""
    levels = np.round(pixels * dataset.scaling.max_value).astype(np.uint8)
    edges = sobel_edges(levels.reshape(-1, *levels.shape[-3:]), dataset.scaling.max_value)
    return edges.reshape(levels.shape[:-1])


def edges_kept(dataset: datasets.Dataset, codes: np.ndarray, made: np.ndarray) -> dict[str, float]:
    """The values of ``OF_EDGES``, of codes and reconstructions [draws, n, h, w, c] in [0, 1]."""
    assert dataset.second_test is not None
    lines, edges = lines_of(dataset, codes), edges_of(dataset, made)
    true = lines_of(dataset, dataset.scaling.pixels(np.asarray(dataset.second_test.images)))
    return {
        "edges_kept_percent": f1_percent(edges, lines),
        "edges_of_others_percent": f1_percent(edges, np.roll(lines, 1, axis=1)),
        "code_edges_percent": f1_percent(lines, np.broadcast_to(true, lines.shape)),
    }


def judged_by(trained: Trained) -> Judge | None:
    """A judge of all classes of the set that the domains are of; None where that has one class."""
    config = trained.config
    if not config.data.classes:
        return None
    whole = datasets.load(config.data.name, scaling=config.data.scaling)
    updates = SMOKE_UPDATES if config.profile == "smoke" else UPDATES
    return judge(trained._replace(dataset=whole), updates)


def share_percent(judge: Judge, images: np.ndarray, classes: tuple[int, ...]) -> float:
    """The share of images [draws, n, h, w, c], as networks see them, taken for one of these
    classes."""
    found = judge.classify(jnp.asarray(images.reshape(-1, *images.shape[2:])))
    return 100 * float(np.isin(found, classes).mean())


def quality(trained: Trained, judge: Judge | None) -> dict[str, list[float]]:
    """What is said above, for each seed."""
    dataset, classes = trained.dataset, tuple(trained.config.data.classes)
    measured: dict[str, list[float]] = {}
    for seed, state in zip(trained.result.seeds, trained.result.states):
        key = named_key(jax.random.key(seed), "reconstructions")
        codes, made = drawn(trained, state, key)
        pixels = shown_images(trained, made)
        originals = dataset.scaling.pixels(np.asarray(dataset.test.images))
        values = edges_kept(dataset, shown_images(trained, codes), pixels)
        values["pixel_spread"] = float(pixels.std(axis=0).mean())
        values["pixel_error"] = float(np.square(pixels - originals).mean())
        if judge is not None:
            values["shoes_percent"] = share_percent(judge, made, classes)
            values["judge_error_percent"] = judge.error_percent
        for name, value in values.items():
            measured.setdefault(name, []).append(value)
    return measured


def cycle_grid(finished: Finished, rows: int = 8, draws: int = 6) -> np.ndarray:
    """Images [rows, columns, h, w, c] of the first seed: a test image a row, then its code and its
    reconstructions, the noise held fixed along a column. A deterministic encoder's code stands
    once."""
    method, state = finished.method, first_state(finished)
    encode, decode = method.encode, method.decode
    assert encode is not None and decode is not None
    images = finished.dataset.test.images[:rows]

    @jax.jit
    def column(x, key):
        """Each image alone, under one key: one ε and one n for all."""

        def one(image):
            (z,) = encode(state, image[None], named_key(key, "code"))
            return z[0], decode(state, z, named_key(key, "noise"))[0]

        return jax.lax.map(one, x)

    x = model_images(finished, images)
    columns = [column(x, jax.random.key(draw)) for draw in range(draws)]
    codes = [z for z, _ in columns]
    if not finished.config.model.encoder_noise_dim:
        codes = codes[:1]
    shown = [shown_images(finished, part) for part in (*codes, *(made for _, made in columns))]
    originals = finished.dataset.scaling.pixels(np.asarray(images))
    return np.stack([originals, *shown], axis=1)


def figures(finished: Finished) -> list[Path]:
    """Inputs, codes and reconstructions, as the paper's figure has them."""
    config = finished.config
    return [
        plots.image_grid(
            cycle_grid(finished),
            finished.workdir / "cycle.png",
            title=f"{config.row} ({config.profile})\n{finished.dataset.name}",
            row_label="test images",
            column_label="input, code, reconstructions (noise fixed along a column)",
        )
    ]


def check(config: ml_collections.ConfigDict, dataset: datasets.Dataset) -> None:
    """Refuse domains whose edges cannot be measured.

    Raises:
        UserError: the test images of the second domain are not those of the first.
    """
    if config.data.domains not in ("edges", "right_to_left"):
        raise UserError(
            f"data.domains is {config.data.domains!r}; figure 8 measures edges, which test images "
            "have in 'edges' and 'right_to_left': leave it at one of them"
        )


def run(arguments: cli.Run) -> Finished:
    """Train, measure, record and draw one row."""
    judge_names = OF_JUDGE if arguments.config.data.classes else ()
    return run_experiment(
        arguments,
        TABLE,
        figures,
        evaluators=(evaluators.cost("pixel_error_without_noise"),),
        measure=Measure((*OF_EDGES, *OF_PIXELS, *judge_names), quality, judged_by),
        check=check,
    )


if __name__ == "__main__":
    cli.run_main(lambda: run(cli.parse(sys.argv[1:])) and None)
