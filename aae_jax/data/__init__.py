"""Image sets as arrays: sources, splits, labelled subsets, and the decoded cache.

Importing this package needs NumPy only; the readers of a source (tensorflow-datasets,
scikit-learn) are imported when a set is first decoded.
"""

from aae_jax.data.sources import Dataset, Images, is_available, load
from aae_jax.data.subsets import labelled_subset, pixel_statistics

__all__ = ["Dataset", "Images", "is_available", "labelled_subset", "load", "pixel_statistics"]
