"""The hinge on the distances of cluster heads, by hand."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from aae_jax.objectives.distance import head_distance_cost

# Distances: 0-1 is 5, 0-2 is 1, 1-2 is √(9 + 9) = √18.
HEADS = jnp.asarray([[0.0, 0.0], [3.0, 4.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("threshold", "expected"),
    [
        (0.5, 0.0),  # all pairs lie farther apart
        (1.0, 0.0),
        (3.0, 2.0),  # 3 - 1
        (5.0, 4.0 + 5.0 - np.sqrt(18)),
        (6.0, 1.0 + 5.0 + 6.0 - np.sqrt(18)),  # each pair once
    ],
)
def test_is_the_sum_of_hinges_over_pairs(threshold, expected):
    assert head_distance_cost(HEADS, threshold) == pytest.approx(expected, rel=1e-6)


def test_against_a_loop_in_other_dimensions():
    heads = np.random.default_rng(0).normal(size=(7, 4))
    distances = [np.linalg.norm(a - b) for a, b in itertools.combinations(heads, 2)]
    expected = sum(max(0.0, 3.0 - distance) for distance in distances)
    assert 0 < expected < 3.0 * 21
    actual = head_distance_cost(jnp.asarray(heads, jnp.float32), 3.0)
    assert actual == pytest.approx(expected, rel=1e-5)


def test_the_gradient_pushes_close_heads_apart_by_unit_vectors_and_leaves_the_others():
    gradient = jax.grad(head_distance_cost)(HEADS, 3.0)
    np.testing.assert_allclose(gradient, [[0, 1], [0, 0], [0, -1]], atol=1e-6)


def test_heads_that_meet_cost_the_threshold_and_have_a_finite_gradient():
    heads = jnp.asarray([[1.0, 2.0], [1.0, 2.0], [1.0, 2.5]])
    cost, gradient = jax.value_and_grad(head_distance_cost)(heads, 1.0)
    assert cost == pytest.approx(1.0 + 0.5 + 0.5, abs=1e-5)
    np.testing.assert_allclose(gradient, [[0, 1], [0, 1], [0, -2]], atol=1e-5)
