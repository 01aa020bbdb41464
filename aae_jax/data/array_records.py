"""Sets of TensorFlow Datasets, and sets of one's own in its layout, read without TensorFlow.

A set is a directory of array_record files that TFDS can read by itself; each split is decoded once
into the cache.
"""

import contextlib
import hashlib
import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from aae_jax.data import cache, prepare
from aae_jax.data.dataset import Dataset, Images, Request, assemble
from aae_jax.errors import UserError

_BATCH = 1000
_TEST_SPLITS = ("test", "validation")
_OWN = "docs/own_data.md shows how to write a set that can be loaded"


class _Rules(NamedTuple):
    """How a set is read, where it is not like most."""

    train: str = "train"  # splits that make up the training set, in this order
    label: str | None = None  # which class label; by default the first
    pool: int = 1  # images are averaged over squares of this side


_RULES = {
    "svhn_cropped": _Rules(train="train+extra"),
    "smallnorb": _Rules(label="label_category", pool=3),  # 96x96 to 32x32 (paper silent)
}


class _Source(NamedTuple):
    """One split as it lies on the disk, decoded batch by batch."""

    split: str
    shape: tuple[int, int, int, int]
    num_classes: int
    batches: Iterator[tuple[np.ndarray, np.ndarray]]


def load(request: Request) -> Dataset:
    """The set of a name such as ``mnist``, ``emnist/letters`` or ``mnist/3.0.1``, without a
    version the latest one found.

    Raises:
        UserError: as ``aae_jax.data.load`` says.
    """
    key, folder, copy = _located(request)
    # First what a set is likelier to lack, and what is decoded faster.
    test = _cached_split(request, key, folder, _TEST_SPLITS, copy)
    train = _cached_split(request, key, folder, (_rules(key).train,), copy)
    return assemble(f"{key}/{folder.name}", 255, train, test, request)


def load_test(request: Request) -> Images:
    """The test images of such a set alone, for a model that is only scored.

    Raises:
        UserError: as ``load``.
    """
    key, folder, copy = _located(request)
    test = _cached_split(request, key, folder, _TEST_SPLITS, copy)
    return Images(test.images, test.labels)


def _located(request: Request) -> tuple[str, Path, Path | None]:
    """The key of a set, where it lies decoded, and its prepared copy if there is one."""
    key, version = parse_name(request)
    copies = array_record_copies(key, request.data_root)
    found = sorted(copies.keys() | _cached(key, request.cache_root), key=prepare.version_order)
    if version is None and found:
        version = found[-1]
    if version is None or version not in found:
        raise UserError(_missing_message(request))
    return key, request.cache_root / key / version, copies.get(version)


def is_available(request: Request) -> bool:
    """Whether there is a decoded or a prepared copy; looks at names only."""
    key, version = parse_name(request)
    found = array_record_copies(key, request.data_root).keys() | _cached(key, request.cache_root)
    return bool(found) if version is None else version in found


def check_preparable(request: Request) -> None:
    """Refuse a name under which ``make data`` would find nothing to prepare.

    Raises:
        UserError: with the nearest name there is.
    """
    try:
        prepare.check_name(request.name, request.data_root)
    except prepare.PrepareError as error:
        raise UserError(str(error)) from error


def parse_name(request: Request) -> tuple[str, str | None]:
    """Splits ``mnist/3.0.1`` into ``("mnist", "3.0.1")``; no version gives None.

    Raises:
        UserError: if it is not the name of a set.
    """
    try:
        return prepare.parse_name(request.name, request.data_root)
    except prepare.PrepareError as error:
        raise UserError(str(error)) from error


def array_record_copies(key: str, data_root: Path) -> dict[str, Path]:
    """Version to directory of every prepared copy of a set that is readable without TensorFlow.

    Looks under ``<data_root>/array_record`` (copies made beside TFRecord ones) and
    ``<data_root>``; where both hold a version, the former counts.
    """
    return {
        version: folder / version
        for folder in (data_root / key, data_root / "array_record" / key)
        for version in prepare.versions(folder)
        if "array_record" in _file_formats(folder / version)
    }


def _rules(key: str) -> _Rules:
    return _RULES.get(key, _Rules())


def _file_formats(folder: Path) -> list[str]:
    """File formats of a prepared copy; none if the directory does not hold one."""
    try:
        info = json.loads((folder / "dataset_info.json").read_text())
        return [info.get("fileFormat", "tfrecord"), *info.get("alternativeFileFormats", [])]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, AttributeError) as error:
        raise UserError(f"cannot read {folder / 'dataset_info.json'}: {error}") from error


def _cached(key: str, cache_root: Path) -> set[str]:
    """Versions of a set that are decoded: training and test."""
    return {
        version
        for version in prepare.versions(cache_root / key)
        if cache.holds(cache_root / key / version, _rules(key).train)
        and any(cache.holds(cache_root / key / version, split) for split in _TEST_SPLITS)
    }


def _missing_message(request: Request) -> str:
    check_preparable(request)
    name, data_root = request.name, request.data_root
    key, version = parse_name(request)
    for candidate in [version] if version else prepare.versions(data_root / key):
        folder = data_root / key / candidate
        if formats := _file_formats(folder):
            return (
                f"{folder} holds {' and '.join(formats)} files, which only TensorFlow reads: "
                f"run `make data DATASET={name}` to add an array_record copy beside it"
            )
    return (
        f"{name} is neither prepared in {data_root} nor decoded in {request.cache_root}: "
        f"run `make data DATASET={name}` (or set TFDS_DATA_DIR to where it lies)"
    )


def _fingerprint(copy: Path) -> str:
    """Changes when a set is written anew, as one's own may be under its old version."""
    files = sorted(path for path in copy.iterdir() if path.is_file())
    stats = [(path.name, path.stat().st_size, path.stat().st_mtime_ns) for path in files]
    return hashlib.sha256(json.dumps(stats).encode()).hexdigest()


def _cached_split(
    request: Request, key: str, folder: Path, splits: tuple[str, ...], copy: Path | None
) -> cache.Split:
    """The first of ``splits`` that there is, from the cache or else decoded into it."""
    name, data_root = request.name, request.data_root
    origin = None if copy is None else _fingerprint(copy)
    damage = ""
    try:
        for split in splits:
            if cached := cache.read(folder, split, origin):
                return cached
    except cache.DamagedCacheError as error:
        damage = str(error)
    if copy is None:
        raise UserError(
            f"the decoded cache in {folder} is damaged ({damage or 'files are missing'}) and "
            f"{data_root} has no copy to rebuild it from: run `make data DATASET={name}`"
        )
    with _reading(copy, name):
        source = _open(copy, splits, name, _rules(key))
    if damage:
        print(f"the decoded cache is damaged ({damage}): rebuilding it", file=sys.stderr)
    print(
        f"decoding {source.shape[0]} images of {name} ({source.split}) into {folder}",
        file=sys.stderr,
    )
    cache.write(folder, source.split, source.shape, source.num_classes, source.batches, origin)
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
            f"{copy} is damaged or incomplete ({_first_line(error)}): remove it and run "
            f"`make data DATASET={name}`, or write it anew if it is a set of your own"
        ) from error


def _first_line(error: BaseException) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0]


def _open(copy: Path, splits: tuple[str, ...], name: str, rules: _Rules) -> _Source:
    import tensorflow_datasets as tfds
    from array_record.python.array_record_module import ArrayRecordReader

    builder = tfds.builder_from_directory(copy, file_format="array_record")
    info = builder.info
    split = next((s for s in splits if all(part in info.splits for part in s.split("+"))), None)
    if split is None:
        has = ", ".join(info.splits) or "none"
        raise UserError(
            f"{copy} lacks the split {' or '.join(splits)}; it has {has}: a set needs images to "
            f"train on and others to measure on; {_OWN}"
        )
    image_key, label_key = _feature_keys(info.features, copy, tfds, rules.label)
    for part in split.split("+"):
        shards = info.splits[part]
        for path, expected in zip(shards.filepaths, shards.shard_lengths, strict=True):
            records = ArrayRecordReader(str(path)).num_records()
            if records != expected:
                raise ValueError(f"{path.name} holds {records} records, not {expected}")
    size = info.splits[split].num_examples
    height, width, channels = info.features[image_key].shape
    side = rules.pool
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
    if image_key is None:
        has = ", ".join(f"{k} ({_describe(f)})" for k, f in sorted(items)) or _describe(features)
        raise UserError(f"{copy} has no feature of encoded images, but {has}; {_OWN}")
    if label_key is None:
        raise UserError(
            f"{copy} has no class label{'' if label is None else f' called {label}'}: every image "
            f"needs one, if all the same; {_OWN}"
        )
    image = features[image_key]
    if np.dtype(image.np_dtype) != np.uint8:
        raise UserError(
            f"{copy} holds {np.dtype(image.np_dtype)} images: only grey levels 0 to 255, uint8, "
            f"can be loaded; {_OWN}"
        )
    if image.shape is None or None in image.shape:
        raise UserError(
            f"{copy} holds images of several sizes ({_size(image.shape)}): only images that all "
            f"have one size can be loaded; {_OWN}"
        )
    if features[label_key].num_classes is None:
        raise UserError(f"{copy} does not say how many classes {label_key!r} has; {_OWN}")
    return image_key, label_key


def _describe(feature: Any) -> str:
    dtype = getattr(feature, "np_dtype", None)
    is_array = getattr(feature, "shape", None) and not isinstance(dtype, dict)
    details = f" {np.dtype(dtype)} {_size(feature.shape)}" if is_array else ""
    return type(feature).__name__ + details


def _size(shape: Any) -> str:
    return "x".join("?" if size is None else str(size) for size in shape or ())


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
            for index, example in enumerate(examples, start):
                if example[image_key].shape != shape:
                    raise UserError(
                        f"image {index} of {copy} is {_size(example[image_key].shape)}, but its "
                        f"features.json says {_size(shape)}: all must have that size; {_OWN}"
                    )
            images = np.stack([example[image_key] for example in examples])
            labels = np.array([example[label_key] for example in examples], np.int32)
        yield images, labels
