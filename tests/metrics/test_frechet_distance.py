"""The Fréchet distance against closed forms."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import frechet_distance


def with_moments(mean, covariance, num=50, seed=0):
    """Points whose mean and unbiased covariance are exactly these."""
    x = np.random.default_rng(seed).normal(size=(num, len(mean)))
    x -= x.mean(axis=0)
    x = x @ np.linalg.inv(np.linalg.cholesky(x.T @ x / (num - 1))).T
    return x @ np.linalg.cholesky(np.asarray(covariance)).T + mean


def test_of_a_sample_and_itself_is_zero():
    x = np.random.default_rng(0).normal(size=(40, 5))
    assert frechet_distance(x, x) == pytest.approx(0.0, abs=1e-9)


def test_of_shifted_points_is_the_squared_shift():
    x = np.random.default_rng(0).normal(size=(40, 3))
    assert frechet_distance(x, x + [1.0, -2.0, 0.5]) == pytest.approx(5.25, rel=1e-9)


def test_of_diagonal_gaussians():
    a = with_moments([0.0, 1.0], np.diag([4.0, 9.0]))
    b = with_moments([3.0, 1.0], np.diag([1.0, 16.0]), num=30, seed=1)
    # 3² + (2 - 1)² + (3 - 4)²
    assert frechet_distance(a, b) == pytest.approx(11.0, rel=1e-9)
    assert frechet_distance(b, a) == pytest.approx(11.0, rel=1e-9)


def test_of_covariances_that_do_not_commute_as_scipys_root_of_the_product():
    from scipy.linalg import sqrtm

    rng = np.random.default_rng(2)
    covariances = [(lambda m: m @ m.T + np.eye(4))(rng.normal(size=(4, 4))) for _ in range(2)]
    a, b = (with_moments(np.zeros(4), c, seed=i) for i, c in enumerate(covariances))
    root = sqrtm(covariances[0] @ covariances[1]).real
    expected = np.trace(covariances[0] + covariances[1] - 2 * root)
    assert frechet_distance(a, b) == pytest.approx(expected, rel=1e-9)


def test_fewer_points_than_dimensions_do():
    rng = np.random.default_rng(0)
    flat = np.zeros((6, 10))
    flat[:, 0] = rng.normal(size=6)
    moved = 3 * flat
    expected = flat[:, 0].std(ddof=1) ** 2 * (3 - 1) ** 2 + (2 * flat[:, 0].mean()) ** 2
    assert frechet_distance(flat, moved) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize("shapes", [((1, 2), (5, 2)), ((5, 2), (5, 3)), ((5,), (5,))])
def test_refuses_too_few_points_and_points_of_two_dimensions(shapes):
    with pytest.raises(UserError, match="two or more points each, of one dimension"):
        frechet_distance(*map(np.zeros, shapes))
