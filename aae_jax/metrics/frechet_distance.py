"""The Fréchet distance of two samples' Gaussians (Heusel et al. 2017, equation 6): FID, where they
are features of Inception v3."""

import numpy as np

from aae_jax.errors import UserError


def frechet_distance(features_a: np.ndarray, features_b: np.ndarray) -> float:
    """‖m_a - m_b‖² + Tr(C_a + C_b - 2 (C_a C_b)^½) of means m and unbiased covariances C, float64.

    The trace of the root is the sum of the roots of the eigenvalues of C_a^½ C_b C_a^½, which is
    symmetric: no root of a matrix that has none is asked for, and covariances of fewer samples
    than dimensions do. Units are those of the features, squared.

    Args:
        features_a: [n, d].
        features_b: [m, d].

    Raises:
        UserError: for fewer than two points, or points of different dimensions.
    """
    shapes = features_a.shape, features_b.shape
    if (
        any(len(shape) != 2 or shape[0] < 2 for shape in shapes)
        or features_a.shape[1:] != features_b.shape[1:]
    ):
        raise UserError(
            f"the Fréchet distance wants two or more points each, of one dimension; got shapes "
            f"{shapes[0]} and {shapes[1]}"
        )
    mean_a, covariance_a = _moments(features_a)
    mean_b, covariance_b = _moments(features_b)
    values, vectors = np.linalg.eigh(covariance_a)
    root = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
    inner = np.linalg.eigvalsh(root @ covariance_b @ root)
    trace = np.trace(covariance_a) + np.trace(covariance_b)
    trace -= 2 * np.sqrt(np.maximum(inner, 0.0)).sum()
    return float(np.square(mean_a - mean_b).sum() + trace)


def _moments(features: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    x = features.astype(np.float64)
    mean = x.mean(axis=0)
    return mean, (x - mean).T @ (x - mean) / (len(x) - 1)
