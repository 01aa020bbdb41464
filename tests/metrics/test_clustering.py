"""Clustering error on cases made by hand."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import cluster_labels, clustering_errors

# Cluster 0 holds three examples (labels 1, 1, 5), of which the most confident is the 5;
# cluster 1 holds two (labels 2 and 0, a tie); cluster 2 holds none.
PROBABILITIES = np.array(
    [
        [0.60, 0.30, 0.10],
        [0.70, 0.20, 0.10],
        [0.95, 0.05, 0.00],
        [0.10, 0.80, 0.10],
        [0.30, 0.50, 0.20],
    ]
)
LABELS = np.array([1, 1, 5, 2, 0])


def test_the_papers_rule_takes_the_most_confident_example():
    # The empty cluster 2 is nearest to the last example, the most confident of its column.
    np.testing.assert_array_equal(cluster_labels(PROBABILITIES, LABELS), [5, 2, 0])


def test_majority_takes_the_commonest_label_and_the_smaller_one_of_a_tie():
    np.testing.assert_array_equal(cluster_labels(PROBABILITIES, LABELS, "majority"), [1, 0, -1])


def test_equally_confident_examples_tie_to_the_first():
    probabilities = np.array([[0.5, 0.5], [0.5, 0.5], [0.5, 0.5]])
    np.testing.assert_array_equal(cluster_labels(probabilities, np.array([4, 3, 3])), [4, 4])


def test_errors_of_both_rules_on_the_test_set():
    test = np.array([[0.9, 0.1, 0], [0.8, 0.1, 0.1], [0.1, 0.9, 0], [0.0, 0.1, 0.9]])
    errors = clustering_errors((PROBABILITIES, LABELS), (test, np.array([5, 1, 2, 0])))
    # Most confident names [5, 2, 0]: only the second is wrong. Majority names [1, 0, -1]: the
    # second is right, and whatever lands in the cluster that was empty is wrong.
    assert errors == {
        "test_error_percent": 25.0,
        "test_error_majority_percent": 75.0,
        "clusters_in_use": 3.0,
    }


def test_clusters_in_use_counts_those_that_hold_a_test_image():
    test = np.array([[0.9, 0.1, 0], [0.8, 0.2, 0]])
    errors = clustering_errors((PROBABILITIES, LABELS), (test, np.array([5, 5])))
    assert errors["clusters_in_use"] == 1.0
    assert errors["test_error_percent"] == 0.0


def test_more_clusters_than_examples_cannot_be_named():
    with pytest.raises(UserError, match="3 clusters cannot be named by 2 validation images"):
        cluster_labels(PROBABILITIES[:2], LABELS[:2])
    assert len(cluster_labels(PROBABILITIES[:3], LABELS[:3])) == 3


def test_an_unknown_rule_is_refused():
    with pytest.raises(UserError, match="'median': choose most_confident or majority"):
        cluster_labels(PROBABILITIES, LABELS, "median")
