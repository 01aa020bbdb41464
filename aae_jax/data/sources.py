"""Where data comes from: one table from the first part of a set's name to its source."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

from aae_jax.data import array_records, cache, captions, tfd, toys
from aae_jax.data.dataset import Dataset, Images, Request, data_directory
from aae_jax.data.domains import check_kind
from aae_jax.data.scaling import check_name


class Source(NamedTuple):
    """How the sets of a source are had.

    Attributes:
        load: (Request) -> Dataset; raises UserError where it cannot.
        is_available: (Request) -> whether there is something to load; looks at names only.
        check_preparable: (Request) -> None: raises UserError, saying what the user can do, unless
            ``make data DATASET=<name>`` can make what is not available.
    """

    load: Callable[[Request], Dataset]
    is_available: Callable[[Request], bool] = lambda request: True
    check_preparable: Callable[[Request], object] = lambda request: None


SOURCES = {
    "digits": Source(toys.load_digits),
    "toys": Source(toys.load_toy),
    "tfd": Source(tfd.load, tfd.is_available, check_preparable=tfd.load),
    "captioned_digits": Source(
        captions.load_digits, captions.digits_available, captions.check_digits
    ),
    "flowers": Source(captions.load_folder, captions.folder_available, captions.load_folder),
    "birds": Source(captions.load_folder, captions.folder_available, captions.load_folder),
}
TFDS = Source(array_records.load, array_records.is_available, array_records.check_preparable)


def _source(name: str) -> Source:
    return SOURCES.get(name.split("/")[0], TFDS)


def _request(name: str, data_dir: str | None, cache_dir: str | None) -> Request:
    return Request(name, data_directory(data_dir), cache.root(cache_dir) / "data")


def load(
    name: str,
    *,
    unlabelled: int = 0,
    classes: Sequence[int] = (),
    scaling: str = "unit",
    domains: str = "",
    data_dir: str | None = None,
    cache_dir: str | None = None,
) -> Dataset:
    """Loads a set, decoding it into the cache if this is the first time.

    Args:
      name: a TFDS name (``mnist``, ``emnist/letters``) or that of a set of one's own in TFDS's
        layout, optionally with a version (``mnist/3.0.1``; else the latest one found); or
        ``digits``, scikit-learn's 1,797 handwritten 8x8 digits with grey levels 0..16, in a fixed
        shuffled order; or ``toys/ring``, ``toys/ring7`` or ``toys/four``, points on a circle,
        float32 [n, 2]; or ``tfd/FOLD``, one of the five folds 0..4 of
        ``downloads/manual/TFD_48x48.mat`` in the TFDS directory; or ``captioned_digits``, MNIST
        coloured and described, and ``captioned_digits/small``, the same of ``digits``; or
        ``flowers`` or ``birds``, from ``downloads/manual/`` in the TFDS directory (see
        ``data.captions``).
      unlabelled: the first so many training images become ``train``, the rest ``validation``.
        0 means all of them; for ``digits`` it means 1,200 (and 297 for validation).
      classes: if not empty, only images of these classes, which become 0, 1, ... in this order,
        before anything is held out; then 0 for ``unlabelled`` means all of them, of ``digits``
        too.
      scaling: ``unit``, ``symmetric`` or ``standardised``, by the images of ``train`` (see
        ``make_scaling``); for vectors ``unit``, which leaves them as they are.
      domains: if not empty, the set as two unpaired domains, ``train`` and ``test`` the first,
        ``second`` and ``second_test`` the other: ``classes``, ``edges``, ``half_edges`` or
        ``right_to_left`` (see ``domains.divide``). ``unlabelled`` counts images of the first.
      data_dir: TFDS directory; default ``$TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
      cache_dir: cache directory; default ``$AAE_JAX_CACHE_DIR``, else
        ``${XDG_CACHE_HOME:-~/.cache}/aae_jax``.

    Returns:
      The Dataset. ``test`` is the split of that name, or ``validation`` if the set has no test.

    Raises:
      UserError: for a name that no source knows (with the nearest that one does), another
        scaling, or classes or domains that the set does not have; if the set is missing, damaged,
        not prepared as array_record files, no set of labelled uint8 images of one size, has labels
        that are none of its classes, or neither a test nor a validation split; if ``unlabelled``
        exceeds the training set; if the cache cannot be written or a package that reads the
        source is not installed.
    """
    check_name(scaling)
    check_kind(domains)
    request = _request(name, data_dir, cache_dir)
    return _source(name).load(
        request._replace(
            unlabelled=unlabelled, classes=tuple(classes), scaling=scaling, domains=domains
        )
    )


def load_test(name: str, *, data_dir: str | None = None, cache_dir: str | None = None) -> Images:
    """The test images of a set of TFDS or in its layout alone, unscaled, decoded sooner than all
    of it: for a model that is only scored.

    Raises:
        UserError: as ``load``.
    """
    return array_records.load_test(_request(name, data_dir, cache_dir))


def is_available(name: str, data_dir: str | None = None, cache_dir: str | None = None) -> bool:
    """Whether ``load(name)`` has a decoded or a prepared copy to read; looks at names only."""
    return _source(name).is_available(_request(name, data_dir, cache_dir))


def check_preparable(name: str, data_dir: str | None = None) -> None:
    """Refuse a set that is not available and that ``make data DATASET=<name>`` cannot make; needs
    neither TensorFlow nor a network.

    Raises:
      UserError: for a name that is not in TFDS's list (with the nearest that is, or that lies in
        the data directory), and for a set that only the user can put in its place.
    """
    _source(name).check_preparable(_request(name, data_dir, None))
