"""Metrics as functions of arrays; no training code."""

from aae_jax.metrics.classification import error_percent
from aae_jax.metrics.clustering import cluster_labels, clustering_errors, hungarian_labels

__all__ = ["cluster_labels", "clustering_errors", "error_percent", "hungarian_labels"]
