"""How far two samples are from one distribution."""

import numpy as np

from aae_jax.errors import UserError


def energy_distance(first: np.ndarray, second: np.ndarray, block_size: int = 1000) -> float:
    """2 E‖X − Y‖ − E‖X − X′‖ − E‖Y − Y′‖ (Székely and Rizzo 2013), at least 0 for the two
    distributions and 0 only if they are one.

    The means run over all pairs of different points, so the estimate is unbiased and scatters
    around 0, below it too, for samples of one distribution. Units are those of the points.

    Args:
        first: [n, d].
        second: [m, d].
        block_size: rows whose distances are held at once.

    Raises:
        UserError: for fewer than two points, or points of different dimensions.
    """
    if first.ndim != 2 or min(len(first), len(second)) < 2 or first.shape[1:] != second.shape[1:]:
        raise UserError(
            f"the energy distance wants two or more points each, of one dimension; got shapes "
            f"{first.shape} and {second.shape}"
        )

    def total(x: np.ndarray, y: np.ndarray) -> float:
        from scipy.spatial.distance import cdist

        blocks = (x[i : i + block_size] for i in range(0, len(x), block_size))
        return sum(float(cdist(block, y).sum()) for block in blocks)

    x, y = first.astype(np.float64), second.astype(np.float64)
    n, m = len(x), len(y)
    within = total(x, x) / (n * (n - 1)) + total(y, y) / (m * (m - 1))
    return 2 * total(x, y) / (n * m) - within
