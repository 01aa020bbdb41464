"""Between the levels that a set holds and the numbers that networks see."""

from typing import Any, NamedTuple

import numpy as np

from aae_jax.errors import UserError

NAMES = ("unit", "symmetric", "standardised")
_CHUNK = 1024


class Scaling(NamedTuple):
    """An affine map of levels ``0..max_value``; NumPy and JAX arrays alike, traced or not.

    A pytree: its fields may be arguments of a jitted function. XLA turns a division by a constant
    into a product, which rounds otherwise than the division by an argument does, so whoever needs
    the same bits everywhere lets numbers be constants (as ``program.scale`` does).

    Attributes:
        max_value: the level that counts as 1.
        shift: what is subtracted of levels / max_value; a number, or float32 [h, w, c].
        scale: what that is divided by; a number, or float32 [h, w, c].
    """

    max_value: Any
    shift: Any = 0.0
    scale: Any = 1.0

    def pixels(self, levels: Any) -> Any:
        """Levels [..., h, w, c] in [0, 1], float32."""
        return levels.astype(np.float32) / self.max_value

    def forward(self, levels: Any) -> Any:
        """Levels [..., h, w, c] as networks see them, float32."""
        return (self.pixels(levels) - self.shift) / self.scale

    def inverse(self, values: Any) -> Any:
        """What a network puts out [..., h, w, c] as ``pixels``; what a linear decoder puts out may
        leave [0, 1]."""
        return values * self.scale + self.shift


def check_name(name: str) -> None:
    """Refuse the name of no scaling.

    Raises:
        UserError: naming those there are.
    """
    if name not in NAMES:
        raise UserError(f"data.scaling is {name!r}; it must be one of {', '.join(NAMES)}")


def make_scaling(name: str, max_value: int, train_images: np.ndarray) -> Scaling:
    """The scaling of a set.

    Args:
        name: ``unit``, to [0, 1]; ``symmetric``, to [-1, 1], for decoders that end in tanh; or
            ``standardised``, every pixel by its mean and deviation over ``train_images``.
        max_value: the largest level.
        train_images: uint8 [n, h, w, c], or float32 [n, d]: vectors, which only ``unit`` with a
            ``max_value`` of 1 leaves as they are.

    Raises:
        UserError: for another name, or another scaling of vectors.
    """
    check_name(name)
    if train_images.dtype != np.uint8 and name != "unit":
        raise UserError(f"data.scaling is {name!r}, but vectors are not scaled: leave it at unit")
    if name == "symmetric":
        return Scaling(max_value, 0.5, 0.5)
    if name == "standardised":
        return Scaling(max_value, *pixel_statistics(train_images, max_value))
    return Scaling(max_value)


def pixel_statistics(images: np.ndarray, max_value: int) -> tuple[np.ndarray, np.ndarray]:
    """Mean and population standard deviation of every pixel over a set of images.

    Args:
      images: uint8 [n, h, w, c], n > 0; may be memory-mapped, it is read in chunks.
      max_value: the grey level that counts as 1.

    Returns:
      Two float32 arrays [h, w, c], of ``images / max_value``. The deviation of a constant pixel
      is given as 1, so that standardizing it yields 0 and not a division by zero.

    Raises:
      UserError: if there are no images.
    """
    n = len(images)
    if n == 0:
        raise UserError("pixel statistics need at least one image")
    # Integer sums are exact, so a constant pixel has a variance of exactly 0.
    total = np.zeros(images.shape[1:], np.int64)
    squares = np.zeros(images.shape[1:], np.int64)
    for start in range(0, n, _CHUNK):
        chunk = images[start : start + _CHUNK].astype(np.int64)
        total += chunk.sum(axis=0)
        squares += np.square(chunk).sum(axis=0)
    mean = total / n / max_value
    std = np.sqrt((n * squares - np.square(total)).astype(np.float64)) / n / max_value
    return mean.astype(np.float32), np.where(std == 0, 1, std).astype(np.float32)
