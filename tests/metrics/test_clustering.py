"""Clustering error on cases made by hand."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import cluster_labels, clustering_errors, hungarian_labels

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


def test_log_odds_part_examples_whose_probability_is_one_in_float32():
    probabilities = np.array([[1, 1e-9], [1, 1e-12], [0.3, 0.7], [0.2, 0.8]], np.float32)
    labels = np.array([4, 3, 2, 1])
    np.testing.assert_array_equal(cluster_labels(probabilities, labels), [4, 1])
    np.testing.assert_array_equal(cluster_labels(probabilities, labels, "log_odds"), [3, 1])
    # Where nothing ties it is the paper's rule, an empty cluster's too.
    np.testing.assert_array_equal(cluster_labels(PROBABILITIES, LABELS, "log_odds"), [5, 2, 0])


def test_errors_of_both_rules_on_the_test_set():
    test = np.array([[0.9, 0.1, 0], [0.8, 0.1, 0.1], [0.1, 0.9, 0], [0.0, 0.1, 0.9]])
    errors = clustering_errors((PROBABILITIES, LABELS), (test, np.array([5, 1, 2, 0])))
    # Most confident names [5, 2, 0]: only the second is wrong. Majority names [1, 0, -1]: the
    # second is right, and whatever lands in the cluster that was empty is wrong.
    assert set(errors) == {
        "test_error_percent",
        "test_error_log_odds_percent",
        "test_error_majority_percent",
        "test_error_hungarian_percent",
        "nmi",
        "clusters_in_use",
    }
    assert errors["test_error_percent"] == 25.0
    assert errors["test_error_majority_percent"] == 75.0
    assert errors["clusters_in_use"] == 3.0


def one_hot(clusters, num_clusters):
    return np.eye(num_clusters)[np.array(clusters)]


def test_hungarian_matches_one_to_one_where_majority_names_a_class_twice():
    # Cluster 0: labels 0 0 0 1 1; cluster 1: 0 0 0 0; cluster 2: 2; cluster 3: none.
    probabilities = one_hot([0, 0, 0, 0, 0, 1, 1, 1, 1, 2], 4)
    labels = np.array([0, 0, 0, 1, 1, 0, 0, 0, 0, 2])
    np.testing.assert_array_equal(cluster_labels(probabilities, labels, "majority"), [0, 0, 2, -1])
    # 0 -> 1 and 1 -> 0 gets 2 + 4 right, 0 -> 0 and 1 -> 1 only 3.
    np.testing.assert_array_equal(hungarian_labels(probabilities, labels), [1, 0, 2, -1])
    errors = clustering_errors((probabilities, labels), (probabilities, labels))
    assert errors["test_error_hungarian_percent"] == pytest.approx(30.0)
    assert errors["test_error_majority_percent"] == pytest.approx(20.0)


def test_hungarian_leaves_clusters_beyond_the_classes_without_a_name():
    named = hungarian_labels(one_hot([0, 0, 1, 2, 2], 3), np.array([0, 0, 0, 1, 1]))
    np.testing.assert_array_equal(named, [0, -1, 1])


def test_mutual_information_is_one_for_a_renaming_and_zero_for_independence():
    validation = one_hot([0, 1], 2), np.array([0, 1])
    labels = np.array([0, 0, 1, 1])
    renamed = clustering_errors(validation, (one_hot([1, 1, 0, 0], 2), labels))
    assert renamed["nmi"] == pytest.approx(1.0)
    assert renamed["test_error_percent"] == 100.0
    independent = clustering_errors(validation, (one_hot([0, 1, 0, 1], 2), labels))
    assert independent["nmi"] == pytest.approx(0.0, abs=1e-9)


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
    with pytest.raises(UserError, match="'median': choose most_confident, log_odds or majority"):
        cluster_labels(PROBABILITIES, LABELS, "median")
