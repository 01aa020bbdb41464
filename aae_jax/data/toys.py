"""Sets that are made on the spot: scikit-learn's digits, and points in the plane."""

import math

import numpy as np

from aae_jax.data import cache
from aae_jax.data.dataset import Dataset, Request, assemble, in_memory
from aae_jax.data.subsets import permutation
from aae_jax.errors import UserError

_DIGITS_TRAIN = 1200
_DIGITS_TEST = 300
# Gaussians, standard deviation
_RINGS = {"toys/ring": (8, 0.02), "toys/ring7": (7, 0.1), "toys/four": (4, 0.0)}
_RING_RADIUS = 2.0
_RING_TRAIN = 10_000
_RING_TEST = 2_000


def load_digits(request: Request) -> Dataset:
    """scikit-learn's 1,797 handwritten 8x8 digits with grey levels 0..16, in a fixed order.

    Raises:
        UserError: without scikit-learn, and as ``assemble``.
    """
    try:
        from sklearn import datasets
    except ImportError as error:
        line = str(error).strip().splitlines()[0]
        raise UserError(f"digits needs scikit-learn: {line}") from error
    digits = datasets.load_digits()
    order = permutation(len(digits.target), 0)
    images, labels = digits.images[order][..., None].astype(np.uint8), digits.target[order]
    if not request.classes and not request.domains:
        request = request._replace(unlabelled=request.unlabelled or _DIGITS_TRAIN)
    return assemble(
        "digits (stand-in, scikit-learn)",
        16,
        in_memory(images[:-_DIGITS_TEST], labels[:-_DIGITS_TEST], 10),
        in_memory(images[-_DIGITS_TEST:], labels[-_DIGITS_TEST:], 10),
        request,
    )


def load_toy(request: Request) -> Dataset:
    """``toys/ring``: eight Gaussians of standard deviation 0.02, evenly on a circle of radius 2,
    10,000 points for training and 2,000 for test, float32 [n, 2]; the label is the Gaussian.
    ``toys/ring7``: the same of seven, of standard deviation 0.1. ``toys/four``: of four without
    any, four data points.

    Raises:
        UserError: for another name, and as ``assemble``.
    """
    if request.name not in _RINGS:
        raise UserError(f"there is no toy set {request.name!r}: there is {' or '.join(_RINGS)}")
    modes, std = _RINGS[request.name]
    train, test = (_ring(i, num, modes, std) for i, num in enumerate((_RING_TRAIN, _RING_TEST)))
    return assemble(request.name, 1, train, test, request)


def ring_means(name: str) -> np.ndarray:
    """The means [modes, 2] of the Gaussians of a ring."""
    modes = _RINGS[name][0]
    angle = 2 * math.pi * np.arange(modes) / modes
    return _RING_RADIUS * np.stack([np.cos(angle), np.sin(angle)], axis=-1)


def ring_std(name: str) -> float:
    """The standard deviation of each of them, in either direction."""
    return _RINGS[name][1]


def _ring(seed: int, num: int, modes: int, std: float) -> cache.Split:
    labels = permutation(num, seed) % modes
    # From the raw stream, which no NumPy release changes, by Box and Muller.
    u, v = (np.random.PCG64([seed, 1]).random_raw(2 * num).reshape(2, num) >> 11) / 2**53
    normal = np.sqrt(-2 * np.log1p(-u)) * [np.cos(2 * math.pi * v), np.sin(2 * math.pi * v)]
    angle = 2 * math.pi * labels / modes
    points = _RING_RADIUS * np.stack([np.cos(angle), np.sin(angle)]) + std * normal
    # Of one bit pattern wherever sine and logarithm differ in their last.
    points = np.round(points.T * 2**16) / 2**16
    return in_memory(points.astype(np.float32), labels, modes)
