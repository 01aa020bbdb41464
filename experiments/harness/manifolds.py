"""What a decoder answers over a plane of 2-D codes, drawn beforehand for the report."""

from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import ml_collections
import numpy as np
from PIL import Image

from aae_jax import data as datasets
from aae_jax import priors
from aae_jax.core import State
from aae_jax.errors import UserError
from aae_jax.methods import Method

SIDE = 25  # codes to a side of the grid
_POINTS = 600


class Manifold(NamedTuple):
    """A decoder over the square [-limit, limit]² of codes.

    Attributes:
        limit: half the square's side.
        sheets: [1 or classes, SIDE * h, SIDE * w, c] in [0, 1]: for each label, where the decoder
            takes one, the pictures of the grid, the second coordinate growing upwards.
        points: codes of test images and their classes, [n, 3]; none without the data.
    """

    limit: float
    sheets: np.ndarray
    points: np.ndarray


def plane_of(method: Method, state: State, shape: tuple[int, ...]) -> int | None:
    """How many labels a decoder of 2-D codes to images takes beside its code; None if it is
    none."""
    if method.encode is None or method.decode is None or len(shape) != 3 or min(shape[:2]) < 4:
        return None
    images = jax.ShapeDtypeStruct((1, *shape), jnp.float32)
    codes = jax.eval_shape(method.encode, state, images)
    if codes[-1].shape != (1, 2) or len(codes) > 2 or method.log_prob is not None:
        return None
    try:
        jax.eval_shape(method.decode, state, *codes)
    except Exception:  # it draws and wants a key, or takes other codes than are encoded
        return None
    return codes[0].shape[-1] if len(codes) == 2 else 0


def manifold(
    method: Method, state: State, config: ml_collections.ConfigDict, num_labels: int
) -> Manifold:
    """The pictures of the grid, and codes of test images where the data is there."""
    points = _test_codes(method, state, config)
    limit = _limit(config.model, points)
    axis = limit * (2 * (np.arange(SIDE) + 0.5) / SIDE - 1)
    right, up = np.meshgrid(axis, axis[::-1])
    codes = jnp.asarray(np.stack([right.ravel(), up.ravel()], axis=-1), jnp.float32)
    assert method.decode is not None
    decode = jax.jit(method.decode)
    if num_labels:
        labels = [jnp.tile(row, (len(codes), 1)) for row in jnp.eye(num_labels)]
        sheets = [_sheet(np.asarray(decode(state, label, codes))) for label in labels]
    else:
        sheets = [_sheet(np.asarray(decode(state, codes)))]
    low = -1.0 if config.data.scaling == "symmetric" else 0.0
    return Manifold(limit, np.clip((np.stack(sheets) - low) / (1 - low), 0, 1), points)


def _sheet(images: np.ndarray) -> np.ndarray:
    """[SIDE², h, w, c] -> [SIDE * h, SIDE * w, c]."""
    _, height, width, channels = images.shape
    grid = images.reshape(SIDE, SIDE, height, width, channels).swapaxes(1, 2)
    return grid.reshape(SIDE * height, SIDE * width, channels)


def _test_codes(method: Method, state: State, config: ml_collections.ConfigDict) -> np.ndarray:
    if config.data.scaling == "standardised" or config.data.name.startswith("toys/"):
        return np.zeros((0, 3))
    try:
        test = datasets.load_test(config.data.name)
    except UserError:
        return np.zeros((0, 3))
    images = np.asarray(test.images[:_POINTS], np.float32) / 255
    scaled = 2 * images - 1 if config.data.scaling == "symmetric" else images
    assert method.encode is not None
    codes = np.asarray(method.encode(state, scaled)[-1])
    return np.concatenate([codes, np.asarray(test.labels[:_POINTS, None])], axis=1)


def _limit(model: Any, points: np.ndarray) -> float:
    """Where nearly all of the prior lies, or of the test codes if these reach further."""
    reach = 2.5 * float(model.get("style_std", model.get("prior_std", 1.0)))
    if isinstance(model.get("prior"), ml_collections.ConfigDict):
        draws = priors.from_config(model.prior, 2)(jax.random.key(0), 2000)
        reach = float(np.quantile(np.abs(draws), 0.998))
    if len(points):
        reach = max(reach, float(np.quantile(np.abs(points[:, :2]), 0.99)))
    return round(1.05 * reach, 2)


def save(found: Manifold, folder: Path, name: str) -> list[str]:
    """One PNG a label; returns the files' names."""
    names = []
    for k, sheet in enumerate(found.sheets):
        pixels = np.rint(255 * sheet).astype(np.uint8)
        picture = Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)
        names.append(f"{name}-{k}.png")
        picture.save(folder / names[-1], optimize=True)
    return names
