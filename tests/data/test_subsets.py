"""Labelled subsets, against what they promise."""

import numpy as np
import pytest

from aae_jax.data import labelled_subset
from aae_jax.errors import UserError

LABELS = np.random.default_rng(0).integers(0, 10, 2000).astype(np.int32)


@pytest.mark.parametrize("num_labels", [10, 100, 1000])
def test_subset_is_balanced_without_duplicates(num_labels):
    chosen = labelled_subset(LABELS, num_labels, 10, seed=3)
    assert chosen.shape == (num_labels,) and chosen.dtype == np.int32
    assert len(set(chosen.tolist())) == num_labels
    np.testing.assert_array_equal(np.bincount(LABELS[chosen], minlength=10), num_labels // 10)


def test_remainder_goes_to_random_classes():
    extras = set()
    for seed in range(20):
        counts = np.bincount(LABELS[labelled_subset(LABELS, 103, 10, seed)], minlength=10)
        assert sorted(counts) == [10] * 7 + [11] * 3
        extras.add(tuple(np.flatnonzero(counts == 11)))
    assert len(extras) > 5


def test_seed_determines_the_subset():
    first, again, other = (labelled_subset(LABELS, 100, 10, seed) for seed in (0, 0, 1))
    np.testing.assert_array_equal(first, again)
    assert set(first.tolist()) != set(other.tolist())


def test_subset_is_the_same_with_every_numpy_release():
    assert labelled_subset(np.arange(30) % 3, 6, 3, seed=0).tolist() == [3, 11, 1, 20, 21, 13]


def test_order_is_shuffled():
    classes = LABELS[labelled_subset(LABELS, 1000, 10, seed=0)]
    changes = np.count_nonzero(np.diff(classes))
    assert 850 < changes < 950  # nine tenths of neighbours differ if the order is random


@pytest.mark.parametrize("num_labels", [0, len(LABELS)])
def test_all_labels(num_labels):
    chosen = labelled_subset(LABELS, num_labels, 10, seed=0)
    np.testing.assert_array_equal(np.sort(chosen), np.arange(len(LABELS)))
    assert chosen.dtype == np.int32


@pytest.mark.parametrize(
    ("labels", "num_labels", "seed", "message"),
    [
        (LABELS, -1, 0, "between 0 .all. and 2000, got -1"),
        (LABELS, 2001, 0, "between 0 .all. and 2000, got 2001"),
        (LABELS, 9, 0, "9 labels are too few for 10 classes"),
        (LABELS, 100, -1, "seed"),
        (LABELS + 1, 100, 0, "0..9"),
        (
            np.r_[np.arange(10), np.zeros(50, int)],
            20,
            0,
            "class 1 has 1 examples, fewer than the 2",
        ),
    ],
)
def test_impossible_subsets_are_refused(labels, num_labels, seed, message):
    with pytest.raises(UserError, match=message):
        labelled_subset(labels, num_labels, 10, seed)
