"""Clustering error by the paper's rule (AAE, section 6), beside the field's other rules."""

import numpy as np

from aae_jax.errors import UserError


def cluster_labels(
    probabilities: np.ndarray, labels: np.ndarray, rule: str = "most_confident"
) -> np.ndarray:
    """The class that each cluster stands for, [k] int.

    ``most_confident`` is the paper's rule: cluster i takes the label of the example with the
    highest q(y_i | x). ``majority`` takes the commonest label among a cluster's members (-1 for
    an empty cluster, which is then always wrong); ties go to the smaller label or index.

    Args:
        probabilities: [n, k] q(y | x) of the validation examples.
        labels: [n] their classes.
        rule: "most_confident" or "majority".

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
    if rule == "majority":
        counts = np.zeros((num_clusters, int(labels.max()) + 1), np.int64)
        np.add.at(counts, (np.argmax(probabilities, axis=1), labels), 1)
        return np.where(counts.sum(axis=1) > 0, counts.argmax(axis=1), -1)
    raise UserError(f"unknown rule {rule!r}: choose most_confident or majority")


def clustering_errors(
    validation: tuple[np.ndarray, np.ndarray], test: tuple[np.ndarray, np.ndarray]
) -> dict[str, float]:
    """Test errors in percent with clusters named on validation examples, and how many of the
    clusters hold any test image.

    Args:
        validation: probabilities [n, k] and labels [n].
        test: the same of the test set.

    Returns:
        ``test_error_percent`` (the paper's rule), ``test_error_majority_percent`` and
        ``clusters_in_use``.
    """
    probabilities, labels = test
    clusters = np.argmax(probabilities, axis=1)

    def error(rule: str) -> float:
        return float(100.0 * np.mean(cluster_labels(*validation, rule)[clusters] != labels))

    return {
        "test_error_percent": error("most_confident"),
        "test_error_majority_percent": error("majority"),
        "clusters_in_use": float(len(np.unique(clusters))),
    }
