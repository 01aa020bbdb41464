"""Classification error."""

import numpy as np


def error_percent(probabilities: np.ndarray, labels: np.ndarray) -> float:
    """Share of examples whose most probable class is not their label, in percent.

    Args:
        probabilities: [n, k], any scores whose argmax is the prediction.
        labels: [n] int.
    """
    return float(100.0 * np.mean(np.argmax(probabilities, axis=-1) != labels))
