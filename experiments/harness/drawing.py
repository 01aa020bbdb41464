"""What the figures of several experiments share."""

import os
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from aae_jax import plots
from aae_jax.core import State
from aae_jax.metrics import cluster_labels
from experiments.harness.runner import Finished, Trained


def first_state(run: Trained | Finished) -> State:
    """The first seed's final state, on the device."""
    return jax.tree.map(jnp.asarray, run.result.states[0])


def model_images(run: Trained | Finished, images: np.ndarray) -> jax.Array:
    """uint8 images [n, h, w, c] as the networks of a run see them."""
    return run.dataset.scaling.forward(jnp.asarray(images))


def shown_images(run: Trained | Finished, images: jax.Array | np.ndarray) -> np.ndarray:
    """Images [..., h, w, c] from a decoder, back in [0, 1]."""
    return np.clip(np.asarray(run.dataset.scaling.inverse(images)), 0.0, 1.0)


def nearest_images(samples: np.ndarray, images: np.ndarray, max_value: int) -> np.ndarray:
    """For each sample [n, h, w, c] in [0, 1] the nearest of uint8 images [m, h, w, c], in
    Euclidean distance over pixels; [n, h, w, c] in [0, 1]."""
    flat = samples.reshape(len(samples), -1).astype(np.float64)
    best, chosen = np.full(len(samples), np.inf), np.zeros(len(samples), np.int64)
    for start in range(0, len(images), 5000):
        block = np.asarray(images[start : start + 5000], np.float64) / max_value
        block = block.reshape(len(block), -1)
        distances = np.square(block).sum(axis=1) - 2 * flat @ block.T
        nearest = distances.argmin(axis=1)
        values = distances[np.arange(len(flat)), nearest]
        closer = values < best
        best[closer], chosen[closer] = values[closer], start + nearest[closer]
    return np.stack([np.asarray(images[i], np.float32) for i in chosen]) / max_value


def probabilities_of(run: Trained | Finished, state: State, images: np.ndarray) -> np.ndarray:
    """What the method's ``classify`` gives for uint8 images: [n, classes or clusters]."""
    classify = run.method.classify
    assert classify is not None
    state = jax.tree.map(jnp.asarray, state)
    parts = (images[i : i + 5000] for i in range(0, len(images), 5000))
    return np.concatenate([np.asarray(classify(state, model_images(run, x))) for x in parts])


def clusters_of(run: Trained | Finished) -> tuple[np.ndarray, np.ndarray]:
    """Clusters of the test images [n] of the first seed, and the class [k] that each stands for by
    the paper's rule (AAE, section 6)."""
    state, validation = run.result.states[0], run.dataset.validation
    named = cluster_labels(probabilities_of(run, state, validation.images), validation.labels)
    return probabilities_of(run, state, run.dataset.test.images).argmax(axis=1), named


def codes_of(
    run: Trained | Finished,
    state: State,
    images: np.ndarray,
    key: jax.Array | None = None,
    block: int = 5000,
) -> np.ndarray:
    """The first code z [n, d] of uint8 images; with a key draws from q(z|x), if the method
    has a probabilistic posterior."""
    encode = run.method.encode
    assert encode is not None
    state = jax.tree.map(jnp.asarray, state)
    codes = []
    for i, start in enumerate(range(0, len(images), block)):
        part = model_images(run, images[start : start + block])
        block_key = None if key is None else jax.random.fold_in(key, i)
        codes.append(np.asarray(encode(state, part, block_key)[0]))
    return np.concatenate(codes)


def great_circle_walk(points: np.ndarray, frames_per_leg: int) -> np.ndarray:
    """Codes [t, d] along a closed walk through points [n, d], each leg on the great circle between
    its ends with the radius going evenly from one to the other, so that under a Gaussian no leg
    passes through improbable codes near the origin (but for opposite points, which
    no one circle joins)."""
    legs = []
    for start, end in zip(points, np.roll(points, -1, axis=0)):
        lengths = np.linalg.norm(start), np.linalg.norm(end)
        cosine = np.clip(start @ end / (lengths[0] * lengths[1]), -1, 1)
        angle = np.arccos(cosine)
        t = np.arange(frames_per_leg)[:, None] / frames_per_leg
        if np.sin(angle) < 1e-6:
            legs.append((1 - t) * start + t * end)
            continue
        directions = np.sin((1 - t) * angle) * start / lengths[0] + np.sin(t * angle) * (
            end / lengths[1]
        )
        legs.append(directions / np.sin(angle) * ((1 - t) * lengths[0] + t * lengths[1]))
    return np.concatenate(legs).astype(np.float32)


def save_panel(workdir: Path, panel: plots.CodeSpace, name: str = "panel") -> None:
    """Keep a panel beside its run, for the pictures that show several rows."""
    temporary = workdir / f".{name}.{os.getpid()}.npz"
    arrays = {k: v for k, v in panel._asdict().items() if v is not None and k != "title"}
    np.savez_compressed(temporary, title=np.array(panel.title), **arrays)
    os.replace(temporary, workdir / f"{name}.npz")


def neighbours(workdir: Path, rows: Sequence[str]) -> list[tuple[str, Path]]:
    """(row, directory) of the rows of this run's profile and overrides, in the rows' order, where
    directories are named as ``make reproduce-...`` does; otherwise this run alone."""
    current = next((row for row in rows if workdir.name.startswith(f"{row}-")), None)
    if current is None:
        return [(workdir.name, workdir)]
    suffix = workdir.name.removeprefix(current)
    return [(row, workdir.parent / f"{row}{suffix}") for row in rows]


def gather_panels(
    workdir: Path, rows: Sequence[str], names: Sequence[str] = ("panel",)
) -> list[plots.CodeSpace]:
    """The panels of this run and, in the rows' order, those of its neighbours that have run."""
    panels = []
    for row, folder in neighbours(workdir, rows):
        for path in (folder / f"{name}.npz" for name in names):
            if not os.path.lexists(path):
                continue
            try:
                panels.append(_load_panel(path))
            except Exception as error:  # numpy and zipfile have many for a bad file
                print(
                    f"{path} cannot be read ({type(error).__name__}): the picture is without "
                    f"{row}, which draws it anew when it is run again",
                    file=sys.stderr,
                )
    return panels


def _load_panel(path: Path) -> plots.CodeSpace:
    with np.load(path) as saved:
        names = [str(name) for name in saved["head_names"]] if "head_names" in saved else None
        codes, labels, heads = saved["codes"], saved["labels"], saved.get("heads")
        if codes.ndim != 2 or labels.shape != codes.shape[:1]:
            raise ValueError
        return plots.CodeSpace(str(saved["title"]), codes, labels, heads, names)
