"""The energy distance against its formula."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import energy_distance


def samples(num, shift=0.0, seed=0, dim=2):
    return np.random.default_rng(seed).normal(size=(num, dim)) + shift


def by_loops(x, y):
    def distance(a, b):
        return np.sqrt(((a - b) ** 2).sum())

    n, m = len(x), len(y)
    between = sum(distance(a, b) for a in x for b in y) / (n * m)
    x_x = sum(distance(x[i], x[j]) for i in range(n) for j in range(n) if i != j) / (n * (n - 1))
    y_y = sum(distance(y[i], y[j]) for i in range(m) for j in range(m) if i != j) / (m * (m - 1))
    return 2 * between - x_x - y_y


@pytest.mark.parametrize("dim", [1, 2, 5])
def test_is_the_formula(dim):
    x, y = samples(13, dim=dim), samples(8, 0.7, seed=1, dim=dim)
    assert energy_distance(x, y) == pytest.approx(by_loops(x, y), rel=1e-12)
    assert energy_distance(y, x) == pytest.approx(by_loops(x, y), rel=1e-12)


def test_by_hand():
    # Between: (1 + 3 + 1 + 1) / 4; within: 2 and 2.
    x, y = np.array([[0.0], [2.0]]), np.array([[1.0], [3.0]])
    assert energy_distance(x, y) == pytest.approx(2 * 1.5 - 2 - 2)


@pytest.mark.parametrize("block_size", [1, 7, 30, 1000])
def test_does_not_depend_on_the_block_size(block_size):
    x, y = samples(30), samples(23, 0.5, seed=1)
    assert energy_distance(x, y, block_size) == pytest.approx(energy_distance(x, y), rel=1e-12)


def test_scatters_around_zero_for_one_distribution_and_not_for_two():
    same = [
        energy_distance(samples(300, seed=2 * i), samples(200, seed=2 * i + 1)) for i in range(20)
    ]
    assert min(same) < 0 < max(same)  # unbiased
    assert abs(np.mean(same)) < 4 * np.std(same) / np.sqrt(20)
    other = [
        energy_distance(samples(300, 0.5, seed=2 * i), samples(200, seed=2 * i + 1))
        for i in range(5)
    ]
    assert min(other) > 3 * max(same)


def test_has_the_units_of_the_points():
    x, y = samples(20), samples(20, 1.0, seed=1)
    assert energy_distance(10 * x, 10 * y) == pytest.approx(10 * energy_distance(x, y))


def test_float32_points_far_from_the_origin_keep_their_digits():
    x, y = samples(20).astype(np.float32), samples(20, 1.0, seed=1).astype(np.float32)
    x, y = x + np.float32(1000), y + np.float32(1000)
    expected = by_loops(x.astype(np.float64), y.astype(np.float64))
    assert energy_distance(x, y) == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (np.zeros((1, 2)), np.zeros((5, 2))),
        (np.zeros((5, 2)), np.zeros((0, 2))),
        (np.zeros((5, 2)), np.zeros((5, 3))),
    ],
)
def test_refuses_too_few_points_and_points_of_two_dimensions(first, second):
    with pytest.raises(UserError, match="two or more points each, of one dimension"):
        energy_distance(first, second)
