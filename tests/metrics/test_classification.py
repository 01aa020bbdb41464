"""Classification error on cases made by hand."""

import numpy as np
import pytest

from aae_jax.errors import UserError
from aae_jax.metrics import error_percent, knn_error_percent


def test_error_is_the_share_of_wrong_argmaxes_in_percent():
    scores = np.array([[0.9, 0.1, 0], [0.2, 0.3, 0.5], [0.1, 0.8, 0.1], [0.4, 0.35, 0.25]])
    assert error_percent(scores, np.array([0, 2, 1, 0])) == 0.0
    assert error_percent(scores, np.array([0, 2, 1, 1])) == 25.0
    assert error_percent(scores, np.array([1, 1, 2, 2])) == 100.0


def test_logits_serve_as_well_as_probabilities():
    logits = np.array([[-5.0, -1.0], [3.0, 2.0], [0.0, 7.0]])
    assert error_percent(logits, np.array([1, 0, 0])) == pytest.approx(100 / 3)


def test_knn_error_is_the_share_outvoted_by_their_neighbours():
    codes = np.array([[0.0], [0.1], [0.2], [5.0], [5.1], [5.2]])
    labels = np.array([0, 0, 0, 1, 1, 1])
    test = np.array([[0.05], [5.05], [0.15], [5.15]])
    assert knn_error_percent(codes, labels, test, np.array([0, 1, 1, 1]), neighbours=3) == 25.0
    with pytest.raises(UserError, match="7 neighbours cannot be had among 6 codes"):
        knn_error_percent(codes, labels, test, labels[:4], neighbours=7)
