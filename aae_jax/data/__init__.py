"""Image sets as arrays: sources, scaling, splits, labelled subsets, and the decoded cache.

Importing this package needs NumPy only; the readers of a source (tensorflow-datasets,
scikit-learn) are imported when a set is first decoded.
"""

from aae_jax.data.dataset import Captions, Dataset, Images, Sentences, require_test
from aae_jax.data.scaling import Scaling, make_scaling, pixel_statistics
from aae_jax.data.sources import check_preparable, is_available, load, load_test
from aae_jax.data.subsets import labelled_subset

__all__ = [
    "Captions",
    "Dataset",
    "Images",
    "Scaling",
    "Sentences",
    "check_preparable",
    "is_available",
    "labelled_subset",
    "load",
    "load_test",
    "make_scaling",
    "pixel_statistics",
    "require_test",
]
