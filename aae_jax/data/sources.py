"""Where the images come from: TensorFlow Datasets read without TensorFlow, and ``digits``."""

import contextlib
import hashlib
import json
import os
import re
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aae_jax.data import cache, tfd
from aae_jax.data.scaling import Scaling, check_name, make_scaling
from aae_jax.data.subsets import permutation
from aae_jax.errors import UserError

# Splits that make up the training set, in this order; "train" for every set not listed.
_TRAIN_SPLIT = {"svhn_cropped": "train+extra"}
# Which class label, where a set has several; the first of every set not listed.
_LABEL = {"smallnorb": "label_category"}
# Images are averaged over squares of this side: NORB's 96x96 to 32x32 (paper silent).
_POOL = {"smallnorb": 3}
_DIGITS_TRAIN = 1200
_DIGITS_TEST = 300
_BATCH = 1000


class Images(NamedTuple):
    """One split: ``images`` uint8 [n, h, w, c] (memory-mapped if cached), ``labels`` int32 [n]."""

    images: np.ndarray
    labels: np.ndarray


class Dataset(NamedTuple):
    """An image set, split for training, selection and the final measurement.

    ``sha256`` covers all decoded training, validation and test arrays, in the order of the
    source, and so does not depend on where training ends and validation begins. It is the
    SHA-256 of two lines, ``<sha256 of images> <sha256 of labels>`` of the training splits and of
    the test split, each digest over the array's bytes (uint8, little-endian int32).
    """

    name: str  # with its version, e.g. "mnist/3.0.1"; a stand-in says that it is one
    sha256: str
    scaling: Scaling  # between grey levels 0..scaling.max_value and what networks see
    num_classes: int
    train: Images  # the unlabelled set that training runs over
    validation: Images  # what training leaves over, possibly nothing
    test: Images


class _Source(NamedTuple):
    """One split as it lies on the disk, decoded batch by batch."""

    split: str
    shape: tuple[int, int, int, int]
    num_classes: int
    batches: Iterator[tuple[np.ndarray, np.ndarray]]


def load(
    name: str,
    *,
    unlabelled: int = 0,
    classes: Sequence[int] = (),
    scaling: str = "unit",
    data_dir: str | None = None,
    cache_dir: str | None = None,
) -> Dataset:
    """Loads an image set, decoding it into the cache if this is the first time.

    Args:
      name: a TFDS name (``mnist``, ``emnist/letters``), optionally with a version
        (``mnist/3.0.1``; else the latest one found), or ``digits``, scikit-learn's 1,797
        handwritten 8x8 digits with grey levels 0..16, in a fixed shuffled order, or ``tfd/FOLD``,
        one of the five folds 0..4 of ``downloads/manual/TFD_48x48.mat`` in the TFDS directory.
      unlabelled: the first so many training images become ``train``, the rest ``validation``.
        0 means all of them; for ``digits`` it means 1,200 (and 297 for validation).
      classes: if not empty, only images of these classes, which become 0, 1, ... in this order,
        before anything is held out; then 0 for ``unlabelled`` means all of them, of ``digits``
        too.
      scaling: ``unit``, ``symmetric`` or ``standardised``, by the images of ``train`` (see
        ``make_scaling``).
      data_dir: TFDS directory; default ``$TFDS_DATA_DIR``, else ``~/tensorflow_datasets``.
      cache_dir: cache directory; default ``$AAE_JAX_CACHE_DIR``, else
        ``${XDG_CACHE_HOME:-~/.cache}/aae_jax``.

    Returns:
      The Dataset. ``test`` is the split of that name, or ``validation`` if the set has no test.

    Raises:
      UserError: for another scaling, or classes that the set does not have; if the set is
        missing, damaged, not prepared as array_record files, or no set of labelled uint8 images
        of one size; if ``unlabelled`` exceeds the training set; if the cache cannot be written or
        a package that reads the source is not installed.
    """
    check_name(scaling)
    if name == "digits":
        train, test = _digits()
        title = "digits (stand-in, scikit-learn)"
        unlabelled = unlabelled or (0 if classes else _DIGITS_TRAIN)
        return _assemble(title, 16, train, test, unlabelled, classes, scaling)
    if is_tfd(name):
        return _load_tfd(name, data_directory(data_dir), unlabelled, classes, scaling)
    key, version = parse_name(name)
    data_root, cache_root = data_directory(data_dir), cache.root(cache_dir) / "data" / key
    copies = array_record_copies(key, data_root)
    cached = {found for found in _versions(cache_root) if _is_cached(key, cache_root / found)}
    found = sorted(copies.keys() | cached, key=_version_order)
    if version is None and found:
        version = found[-1]
    if version is None or version not in found:
        raise UserError(_missing_message(name, key, version, data_root, cache_root))
    folder, copy = cache_root / version, copies.get(version)
    train_split, test_splits = _splits(key)
    train = _cached_split(name, folder, (train_split,), copy, data_root)
    test = _cached_split(name, folder, test_splits, copy, data_root)
    return _assemble(f"{key}/{version}", 255, train, test, unlabelled, classes, scaling)


def is_available(name: str, data_dir: str | None = None, cache_dir: str | None = None) -> bool:
    """Whether ``load(name)`` has a decoded or a prepared copy to read; looks at names only."""
    if name == "digits":
        return True
    if is_tfd(name):
        return _tfd_path(data_directory(data_dir)).is_file()
    key, version = parse_name(name)
    copies = array_record_copies(key, data_directory(data_dir))
    cache_root = cache.root(cache_dir) / "data" / key
    cached = (found for found in _versions(cache_root) if _is_cached(key, cache_root / found))
    return any(version in (None, found) for found in (*copies, *cached))


def parse_name(name: str) -> tuple[str, str | None]:
    """Splits ``mnist/3.0.1`` into ``("mnist", "3.0.1")``; no version gives None.

    Raises:
      UserError: if it is not the name of a set.
    """
    match = re.fullmatch(r"([A-Za-z]\w*(?:/[A-Za-z][\w.-]*)?)(?:[/:](\d+\.\d+\.\d+))?", name)
    if not match:
        raise UserError(f"{name!r} is not the name of a data set, such as mnist or mnist/3.0.1")
    return match[1], match[2]


def data_directory(data_dir: str | None = None) -> Path:
    """``data_dir``, else ``$TFDS_DATA_DIR``, else TFDS's own default."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()


def array_record_copies(key: str, data_root: Path) -> dict[str, Path]:
    """Version to directory of every prepared copy of a set that is readable without TensorFlow.

    Looks under ``<data_root>/array_record`` (copies made beside TFRecord ones) and
    ``<data_root>``; where both hold a version, the former counts.
    """
    return {
        version: folder / version
        for folder in (data_root / key, data_root / "array_record" / key)
        for version in _versions(folder)
        if "array_record" in _file_formats(folder / version)
    }


def _splits(key: str) -> tuple[str, tuple[str, ...]]:
    return _TRAIN_SPLIT.get(key, "train"), ("test", "validation")


def _versions(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return [path.name for path in folder.iterdir() if re.fullmatch(r"\d+\.\d+\.\d+", path.name)]


def _version_order(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


def _file_formats(folder: Path) -> list[str]:
    """File formats of a prepared copy; none if the directory does not hold one."""
    try:
        info = json.loads((folder / "dataset_info.json").read_text())
        return [info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", [])]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"cannot read {folder / 'dataset_info.json'}: {error}") from error


def _is_cached(key: str, folder: Path) -> bool:
    train_split, test_splits = _splits(key)
    return cache.holds(folder, train_split) and any(cache.holds(folder, s) for s in test_splits)


def _missing_message(
    name: str, key: str, version: str | None, data_root: Path, cache_root: Path
) -> str:
    versions = [version] if version else _versions(data_root / key)
    for candidate in versions:
        folder = data_root / key / candidate
        if formats := _file_formats(folder):
            return (
                f"{folder} holds {' and '.join(formats)} files, which only TensorFlow reads: "
                f"run `make data DATASET={name}` to add an array_record copy beside it"
            )
    return (
        f"{name} is neither prepared in {data_root} nor decoded in {cache_root}: "
        f"run `make data DATASET={name}` (or set TFDS_DATA_DIR to where it lies)"
    )


def _cached_split(
    name: str, folder: Path, splits: tuple[str, ...], copy: Path | None, data_root: Path
) -> cache.Split:
    """The first of ``splits`` that there is, from the cache or else decoded into it."""
    damage = ""
    try:
        for split in splits:
            if cached := cache.read(folder, split):
                return cached
    except cache.DamagedCacheError as error:
        damage = str(error)
    if copy is None:
        raise UserError(
            f"the decoded cache in {folder} is damaged ({damage or 'files are missing'}) and "
            f"{data_root} has no copy to rebuild it from: run `make data DATASET={name}`"
        )
    with _reading(copy, name):
        source = _open(copy, splits, name)
    if damage:
        print(f"the decoded cache is damaged ({damage}): rebuilding it", file=sys.stderr)
    print(
        f"decoding {source.shape[0]} images of {name} ({source.split}) into {folder}",
        file=sys.stderr,
    )
    cache.write(folder, source.split, source.shape, source.num_classes, source.batches)
    try:
        written = cache.read(folder, source.split)
    except cache.DamagedCacheError as error:
        raise UserError(
            f"the decoded cache in {folder} does not keep its bytes: {error}"
        ) from error
    if written is None:
        raise UserError(f"the decoded cache in {folder} was removed while it was being written")
    return written


@contextlib.contextmanager
def _reading(copy: Path, name: str) -> Iterator[None]:
    """Turns whatever the readers of a source raise into one line."""
    try:
        yield
    except UserError:
        raise
    except ImportError as error:
        raise UserError(
            f"reading {copy} needs tensorflow-datasets, importlib_resources, array_record and "
            f"pillow: {_first_line(error)}"
        ) from error
    except Exception as error:  # every layer below has its own exceptions for a bad file
        raise UserError(
            f"{copy} is damaged or incomplete ({_first_line(error)}): "
            f"remove it and run `make data DATASET={name}`"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _open(copy: Path, splits: tuple[str, ...], name: str) -> _Source:
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordReader

    builder = tfds.builder_from_directory(copy, file_format="array_record")
    info = builder.info
    split = next((s for s in splits if all(part in info.splits for part in s.split("+"))), None)
    if split is None:
        has = ", ".join(info.splits)
        raise UserError(f"{copy} lacks the split {' or '.join(splits)}; it has {has}")
    image_key, label_key = _feature_keys(info.features, copy, tfds, _LABEL.get(info.name))
    for part in split.split("+"):
        shards = info.splits[part]
        for path, expected in zip(shards.filepaths, shards.shard_lengths, strict=True):
            records = ArrayRecordReader(str(path)).num_records()
            if records != expected:
                raise ValueError(f"{path.name} holds {records} records, not {expected}")
    size = info.splits[split].num_examples
    height, width, channels = info.features[image_key].shape
    side = _POOL.get(info.name, 1)
    if height % side or width % side:
        raise UserError(f"{copy} holds {height}x{width} images, which {side}x{side} do not divide")
    records = builder.as_data_source(split)
    batches = _decode(records, size, (height, width, channels), image_key, label_key, copy, name)
    return _Source(
        split,
        (size, height // side, width // side, channels),
        info.features[label_key].num_classes,
        ((average_pool(images, side), labels) for images, labels in batches),
    )


def average_pool(images: np.ndarray, side: int) -> np.ndarray:
    """Means over squares of ``side`` x ``side`` pixels, rounded: uint8 [n, h, w, c] to
    [n, h / side, w / side, c]."""
    if side == 1:
        return images
    n, height, width, channels = images.shape
    squares = images.reshape(n, height // side, side, width // side, side, channels)
    return np.round(squares.mean(axis=(2, 4))).astype(np.uint8)


def _feature_keys(features: Any, copy: Path, tfds: Any, label: str | None) -> tuple[str, str]:
    """Names of the first image and of the class label (by default the first) among the features
    of a set."""
    items = list(features.items()) if isinstance(features, tfds.features.FeaturesDict) else []
    image_key = next((k for k, f in items if isinstance(f, tfds.features.Image)), None)
    labels = (k for k, f in items if isinstance(f, tfds.features.ClassLabel))
    label_key = next((k for k in labels if label in (None, k)), None)
    if image_key is None or label_key is None:
        raise UserError(f"{copy} is not a set of images with one class label each")
    image = features[image_key]
    if image.shape is None or None in image.shape or np.dtype(image.np_dtype) != np.uint8:
        raise UserError(
            f"{copy} holds images of shape {image.shape} and type {np.dtype(image.np_dtype)}; "
            "only uint8 images that all have one size can be loaded"
        )
    if features[label_key].num_classes is None:
        raise UserError(f"{copy} does not say how many classes {label_key!r} has")
    return image_key, label_key


def _decode(
    records: Any,
    size: int,
    shape: tuple[int, int, int],
    image_key: str,
    label_key: str,
    copy: Path,
    name: str,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for start in range(0, size, _BATCH):
        with _reading(copy, name):
            examples = records.__getitems__(list(range(start, min(start + _BATCH, size))))
            images = np.stack([example[image_key] for example in examples])
            labels = np.array([example[label_key] for example in examples], np.int32)
            if images.shape[1:] != shape:
                raise ValueError(f"images of shape {images.shape[1:]}, not {shape}")
        yield images, labels


def _digits() -> tuple[cache.Split, cache.Split]:
    try:
        from sklearn.datasets import load_digits
    except ImportError as error:
        raise UserError(f"digits needs scikit-learn: {_first_line(error)}") from error
    digits = load_digits()
    order = permutation(len(digits.target), 0)
    images = np.ascontiguousarray(digits.images[order][..., None], np.uint8)
    labels = np.ascontiguousarray(digits.target[order], np.int32)

    def part(chosen: slice) -> cache.Split:
        x, y = images[chosen], labels[chosen]
        return cache.Split(x, y, 10, cache.sha256(x), cache.sha256(y))

    return part(slice(None, -_DIGITS_TEST)), part(slice(-_DIGITS_TEST, None))


def is_tfd(name: str) -> bool:
    """Whether a set is a fold of the Toronto Face Database, which no one can prepare but its
    owner."""
    return name.split("/")[0] == "tfd"


def _tfd_path(data_root: Path) -> Path:
    return data_root / "downloads" / "manual" / tfd.FILE_NAME


def _load_tfd(
    name: str, data_root: Path, unlabelled: int, classes: Sequence[int], scaling: str
) -> Dataset:
    if not re.fullmatch(rf"tfd/[0-{tfd.NUM_FOLDS - 1}]", name):
        raise UserError(f"{name!r} is not a fold of TFD: write tfd/0 to tfd/{tfd.NUM_FOLDS - 1}")
    if unlabelled or classes:
        raise UserError(
            "TFD's folds say what is trained on: leave data.unlabelled at 0 and data.classes empty"
        )
    fold = tfd.load_fold(_tfd_path(data_root), int(name[-1]))
    lines = [f"{cache.sha256(x)} {cache.sha256(y)}\n" for x, y in fold]
    return Dataset(
        name=name,
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        scaling=make_scaling(scaling, 255, fold.train[0]),
        num_classes=tfd.NUM_CLASSES,
        train=Images(*fold.train),
        validation=Images(*fold.validation),
        test=Images(*fold.test),
    )


def _assemble(
    name: str,
    max_value: int,
    train: cache.Split,
    test: cache.Split,
    unlabelled: int,
    classes: Sequence[int],
    scaling: str,
) -> Dataset:
    if classes:
        unknown = [c for c in classes if not 0 <= c < train.num_classes]
        if unknown or len(set(classes)) != len(classes):
            raise UserError(
                f"{name} has classes 0 to {train.num_classes - 1}, each to be named once: "
                f"data.classes is {tuple(classes)}"
            )
        train, test = _of_classes(train, classes), _of_classes(test, classes)
        name = f"{name}, classes {', '.join(map(str, classes))}"
    size = len(train.labels)
    if not 0 <= unlabelled <= size:
        raise UserError(
            f"{name} has {size} training images, so unlabelled must be between 0 (all) and "
            f"{size}, got {unlabelled}"
        )
    cut = unlabelled or size
    lines = [f"{split.images_sha256} {split.labels_sha256}\n" for split in (train, test)]
    return Dataset(
        name=name,
        sha256=hashlib.sha256("".join(lines).encode()).hexdigest(),
        scaling=make_scaling(scaling, max_value, train.images[:cut]),
        num_classes=train.num_classes,
        train=Images(train.images[:cut], train.labels[:cut]),
        validation=Images(train.images[cut:], train.labels[cut:]),
        test=Images(test.images, test.labels),
    )


def _of_classes(split: cache.Split, classes: Sequence[int]) -> cache.Split:
    """The examples of these classes, in their order, labelled by place in ``classes``."""
    chosen = np.flatnonzero(np.isin(split.labels, classes))
    images = np.ascontiguousarray(split.images[chosen])
    places = {label: place for place, label in enumerate(classes)}
    labels = np.array([places[int(label)] for label in split.labels[chosen]], np.int32)
    return cache.Split(images, labels, len(classes), cache.sha256(images), cache.sha256(labels))
