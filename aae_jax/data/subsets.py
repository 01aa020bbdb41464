"""Labelled subsets: functions of arrays, no files."""

import numpy as np

from aae_jax.errors import UserError


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
