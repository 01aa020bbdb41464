"""Metrics as functions of arrays; no training code."""

from aae_jax.metrics.classification import error_percent, knn_error_percent
from aae_jax.metrics.clustering import cluster_labels, clustering_errors, hungarian_labels
from aae_jax.metrics.frechet_distance import frechet_distance
from aae_jax.metrics.inception_score import check_splits, inception_score
from aae_jax.metrics.parzen import (
    ParzenEstimate,
    check_parzen_settings,
    parzen_estimate,
    parzen_log_likelihoods,
)
from aae_jax.metrics.strokes import slant, thickness
from aae_jax.metrics.two_sample import energy_distance

__all__ = [
    "ParzenEstimate",
    "check_parzen_settings",
    "check_splits",
    "cluster_labels",
    "clustering_errors",
    "energy_distance",
    "error_percent",
    "frechet_distance",
    "hungarian_labels",
    "inception_score",
    "knn_error_percent",
    "parzen_estimate",
    "parzen_log_likelihoods",
    "slant",
    "thickness",
]
