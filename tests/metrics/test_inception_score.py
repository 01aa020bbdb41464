"""The Inception score against closed forms."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import inception_score


def test_sure_and_even_is_the_number_of_classes():
    sure = np.eye(4)[np.arange(40) % 4]
    assert inception_score(sure) == (pytest.approx(4.0, rel=1e-12), pytest.approx(0.0, abs=1e-12))


def test_one_distribution_for_all_samples_is_one():
    same = np.tile([0.7, 0.2, 0.1, 0.0], (30, 1))
    assert inception_score(same) == (pytest.approx(1.0, rel=1e-12), pytest.approx(0.0, abs=1e-12))


def test_splits_are_contiguous_and_their_deviation_is_the_populations():
    # The first half are of two classes, the second of one: scores of 2 and of 1.
    halves = np.eye(2)[[0, 1, 0, 1, 0, 0, 0, 0]]
    mean, std = inception_score(halves, splits=2)
    assert (mean, std) == (pytest.approx(1.5), pytest.approx(0.5))
    # One split, of shares 3/4 and 1/4: exp of the entropy.
    entropy = -(0.75 * np.log(0.75) + 0.25 * np.log(0.25))
    assert inception_score(halves, splits=1)[0] == pytest.approx(np.exp(entropy))


def test_by_hand_for_one_split():
    p = np.array([[0.9, 0.1], [0.3, 0.7]])
    mean = np.array([0.6, 0.4])
    divergence = (p * np.log(p / mean)).sum(axis=1).mean()
    assert inception_score(p, splits=1)[0] == pytest.approx(np.exp(divergence), rel=1e-12)


def test_float32_is_summed_in_float64():
    p = np.random.default_rng(0).dirichlet(np.ones(10), 20_000).astype(np.float32)
    expected, _ = inception_score(p.astype(np.float64), 1)
    assert inception_score(p, 1)[0] == pytest.approx(expected, rel=1e-12)


def test_a_split_more_or_less_where_they_do_not_divide():
    p = np.eye(3)[[0, 1, 2, 0, 1, 2, 0]]
    sizes = [2, 2, 3]
    parts = np.split(p, np.cumsum(sizes)[:-1])
    expected = [inception_score(part, 1)[0] for part in parts]
    assert inception_score(p, 3)[0] == pytest.approx(np.mean(expected))


@pytest.mark.parametrize(("num", "splits"), [(9, 10), (5, 0)])
def test_fewer_samples_than_splits_are_refused(num, splits):
    with pytest.raises(UserError, match=f"{num} samples in {splits} splits cannot be had"):
        inception_score(np.full((num, 2), 0.5), splits)


def test_what_are_no_rows_of_probabilities_is_refused():
    with pytest.raises(UserError, match=r"have shape \(4,\)"):
        inception_score(np.ones(4))
