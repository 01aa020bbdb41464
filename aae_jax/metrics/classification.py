"""Classification error."""

import numpy as np

from aae_jax.errors import UserError


def error_percent(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose most probable class is not their label, in percent.

    Args:
        probabilities: [n, k], any scores whose argmax is the prediction.
        labels: [n] int.
    """
    return float(100.0 * np.mean(np.argmax(probabilities, axis=-1) != labels))


def knn_error_percent(
    codes: np.ndarray,
    labels: np.ndarray,
    test_codes: np.ndarray,
    test_labels: np.ndarray,
    neighbours: int = 10,
) -> float:
    """Error of a k-nearest-neighbour vote among ``codes`` [n, d], Euclidean, in percent: how well
    the classes are apart in a code space. Ties go to the smaller label.

    Raises:
        UserError: for fewer codes than neighbours.
    """
    from sklearn.neighbors import KNeighborsClassifier

    if not 1 <= neighbours <= len(codes):
        raise UserError(f"{neighbours} neighbours cannot be had among {len(codes)} codes")
    classifier = KNeighborsClassifier(neighbours).fit(codes, labels)
    return float(100.0 * np.mean(classifier.predict(test_codes) != test_labels))
