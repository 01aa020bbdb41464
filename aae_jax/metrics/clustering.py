"""Clustering error by the paper's rule (AAE, section 6), beside the field's other rules."""

import numpy as np

from aae_jax.errors import UserError


def cluster_labels(
    probabilities: np.ndarray, labels: np.ndarray, rule: str = "most_confident"
) -> np.ndarray:
    """The class that each cluster stands for, [k] int.

    ``most_confident`` is the paper's rule: cluster i takes the label of the example with the
    highest q(y_i | x). In float32 hundreds of confident images may share q = 1, and the first of
    them then decides. ``log_odds`` is that rule without such ties: of the images that share q = 1
    it takes the one that gives all other clusters least. ``majority`` takes the commonest label
    among a cluster's members (-1 for an empty cluster, which is then always wrong); ties go to the
    smaller label or index.

    Args:
        probabilities: [n, k] q(y | x) of the validation examples.
        labels: [n] their classes.
        rule: "most_confident", "log_odds" or "majority".

    Raises:
        UserError: if there are more clusters than validation examples, or for an unknown rule.
    """
    num, num_clusters = probabilities.shape
    if num_clusters > num:
        raise UserError(
            f"{num_clusters} clusters cannot be named by {num} validation images: hold out more "
            "(data.unlabelled) or use fewer clusters"
        )
    if rule == "most_confident":
        return labels[np.argmax(probabilities, axis=0)]
    if rule == "log_odds":
        # log q_i - log(1 - q_i) grows as the sum of the others, which float32 holds far below the
        # distance of its numbers from 1, falls.
        q = probabilities.astype(np.float64)
        others = q @ (1 - np.eye(num_clusters))
        return labels[np.argmin(others / np.maximum(q, np.finfo(q.dtype).tiny), axis=0)]
    if rule == "majority":
        counts = _counts(probabilities, labels)
        return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)
    raise UserError(f"unknown rule {rule!r}: choose most_confident, log_odds or majority")


def hungarian_labels(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """The one-to-one matching of clusters and classes that gets most examples right, [k] int.

    Clusters that are left over, of which there are some whenever there are more clusters than
    classes, and empty ones stand for no class: -1, always wrong.

    Args:
        probabilities: [n, k] q(y | x) of the validation examples.
        labels: [n] their classes.
    """
    from scipy.optimize import linear_sum_assignment

    counts = _counts(probabilities, labels)
    clusters, classes = linear_sum_assignment(counts, maximize=True)
    named = np.full(len(counts), -1)
    named[clusters] = np.where(counts[clusters, classes] > 0, classes, -1)
    return named


def _counts(probabilities: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """How many examples of each class every cluster holds, [k, classes]."""
    counts = np.zeros((probabilities.shape[1], int(labels.max()) + 1), np.int64)
    np.add.at(counts, (np.argmax(probabilities, axis=1), labels), 1)
    return counts


def clustering_errors(
    validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """Test errors in percent with clusters named on validation examples, and how many of the
    clusters hold any test image.

    Args:
        validation: probabilities [n, k] and labels [n].
        test: the same of the test set.

    Returns:
        ``test_error_percent`` (the paper's rule), ``test_error_log_odds_percent`` (the same
        without float32's ties), ``test_error_majority_percent``,
        ``test_error_hungarian_percent`` (see ``hungarian_labels``), ``nmi`` (normalised mutual
        information of test clusters and labels, arithmetic mean, 0 to 1) and
        ``clusters_in_use``.
    """
    from sklearn.metrics import normalized_mutual_info_score

    probabilities, labels = test
    clusters = np.argmax(probabilities, axis=1)
    matched = hungarian_labels(*validation)[clusters]

    def error(rule: str) -> float:
        return float(100.0 * np.mean(cluster_labels(*validation, rule)[clusters] != labels))

    return {
        "test_error_percent": error("most_confident"),
        "test_error_log_odds_percent": error("log_odds"),
        "test_error_majority_percent": error("majority"),
        "test_error_hungarian_percent": float(100.0 * np.mean(matched != labels)),
        "nmi": float(normalized_mutual_info_score(labels, clusters)),
        "clusters_in_use": float(len(np.unique(clusters))),
    }
