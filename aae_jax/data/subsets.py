"""Labelled subsets and per-pixel statistics: functions of arrays, no files."""

import numpy as np

from aae_jax.errors import UserError

_CHUNK = 1024


def permutation(n: int, *seed: int) -> np.ndarray:
    """A permutation of ``range(n)`` (int64 [n]) that depends on nothing but ``n`` and ``seed``.

    It sorts the raw output of PCG64, whose stream NumPy promises to keep; the shuffles of
    ``Generator`` may change with a NumPy release, and a published subset must not.
    """
    return np.argsort(np.random.PCG64(list(seed)).random_raw(n), kind="stable")


def labelled_subset(labels: np.ndarray, num_labels: int, num_classes: int, seed: int) -> np.ndarray:
    """Draws the examples whose labels a semi-supervised run may see.

    Args:
      labels: integers [n] in ``0..num_classes - 1``.
      num_labels: how many to draw, balanced over the classes; what does not divide evenly goes
        to randomly chosen classes, one each. 0 or n means all of them, balanced or not.
      num_classes: number of classes.
      seed: non-negative; the draw is a function of it and of ``labels``.

    Returns:
      int32 [num_labels]: distinct indices into ``labels``, in shuffled order.

    Raises:
      UserError: if ``num_labels`` is negative, exceeds n, or leaves a class without a label; if
        a class has too few examples; if the seed is negative or a label is out of range.
    """
    n = len(labels)
    if seed < 0:
        raise UserError(f"the seed of a labelled subset must not be negative, got {seed}")
    if not 0 <= num_labels <= n:
        raise UserError(f"the number of labels must be between 0 (all) and {n}, got {num_labels}")
    if n and not 0 <= int(np.min(labels)) <= int(np.max(labels)) < num_classes:
        raise UserError(f"labels must lie in 0..{num_classes - 1}")
    order = permutation(n, seed)
    if num_labels in (0, n):
        return order.astype(np.int32)
    if num_labels < num_classes:
        raise UserError(f"{num_labels} labels are too few for {num_classes} classes")

    quotas = np.full(num_classes, num_labels // num_classes)
    quotas[permutation(num_classes, seed, 1)[: num_labels % num_classes]] += 1
    shuffled_labels = np.asarray(labels)[order]
    chosen = []
    for label, quota in enumerate(quotas):
        members = order[shuffled_labels == label]
        if len(members) < quota:
            raise UserError(
                f"class {label} has {len(members)} examples, fewer than the {quota} labels asked "
                f"of it ({num_labels} labels over {num_classes} classes)"
            )
        chosen.append(members[:quota])
    return np.concatenate(chosen)[permutation(num_labels, seed, 2)].astype(np.int32)


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
