"""What a source makes: a Dataset, of what it has and what was asked for."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aae_jax.data import cache, domains
from aae_jax.data.scaling import Scaling, make_scaling
from aae_jax.errors import UserError


class Images(NamedTuple):
    """One split: ``images`` uint8 [n, h, w, c] (memory-mapped if cached) or, of a set of vectors,
    float32 [n, d]; ``labels`` int32 [n], of which -1 is no label (TFD)."""

    images: np.ndarray
    labels: np.ndarray


class Sentences(NamedTuple):
    """What is said of the images of one split.

    Attributes:
        tokens: int32 [n, s, t], s sentences an image, each word its place in the vocabulary, filled
            up with 0.
        classes: int32 [n]; images of one class are described by each other's sentences.
        attributes: int32 [n, a], the place of each attribute among its values.
    """

    tokens: np.ndarray
    classes: np.ndarray
    attributes: np.ndarray


class Attribute(NamedTuple):
    """Something that is known of every image: its name, the names of its values, and, of one that
    was measured, the thresholds between them."""

    name: str
    values: tuple[str, ...]
    thresholds: tuple[float, ...] = ()


class Captions(NamedTuple):
    """The sentences of a captioned set.

    Attributes:
        vocabulary: its words; place 0 is "", which fills sentences up.
        num_classes: of ``Sentences.classes``.
        attributes: what is known of the images, in the order of ``Sentences.attributes``.
        train, validation, test: the sentences of these splits.
    """

    vocabulary: tuple[str, ...]
    num_classes: int
    attributes: tuple[Attribute, ...]
    train: Sentences
    validation: Sentences
    test: Sentences


class Dataset(NamedTuple):
    """An image set, split for training, selection and the final measurement.

    ``sha256`` covers all decoded training, validation and test arrays, in the order of the
    source, and so does not depend on where training ends and validation begins. It is the
    SHA-256 of two lines, ``<sha256 of images> <sha256 of labels>`` of the training splits and of
    the test split, each digest over the array's bytes (uint8, little-endian int32). A set whose
    own split says what is for training and what for validation has a line for each of the three,
    and one of two domains two further lines, of the second's training and test images.
    """

    name: str  # with its version, e.g. "mnist/3.0.1"; a stand-in says that it is one
    sha256: str
    scaling: Scaling  # between levels 0..scaling.max_value and what networks see; of vectors 1
    num_classes: int
    train: Images  # the unlabelled set that training runs over
    validation: Images  # what training leaves over, possibly nothing
    test: Images
    second: Images | None = None  # training images of a second domain, no counterparts of train's
    second_test: Images | None = None  # its held-out images: test's counterparts where there are
    captions: Captions | None = None


class Request(NamedTuple):
    """What a source is asked for: the arguments of ``load``."""

    name: str
    data_root: Path  # of TFDS
    cache_root: Path  # of decoded sets
    unlabelled: int = 0
    classes: Sequence[int] = ()
    scaling: str = "unit"
    domains: str = ""


def data_directory(data_dir: str | None = None) -> Path:
    """``data_dir``, else ``$TFDS_DATA_DIR``, else TFDS's own default."""
    chosen = data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets"
    return Path(chosen).expanduser()


def require_test(dataset: Dataset) -> None:
    """Refuse a set that leaves nothing to measure on.

    Raises:
        UserError: if it has no test examples.
    """
    if not len(dataset.test.labels):
        raise UserError(
            f"{dataset.name} has no test images to measure on: give the Dataset some as its test "
            "split, the validation images for instance"
        )


def in_memory(images: np.ndarray, labels: np.ndarray, num_classes: int) -> cache.Split:
    """A split of arrays that lie in no cache."""
    images, labels = np.ascontiguousarray(images), np.ascontiguousarray(labels, np.int32)
    return cache.Split(images, labels, num_classes, cache.sha256(images), cache.sha256(labels))


def digest(*splits: cache.Split) -> str:
    """The ``sha256`` of a Dataset of these splits."""
    lines = [f"{split.images_sha256} {split.labels_sha256}\n" for split in splits]
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def assemble(
    title: str, max_value: int, train: cache.Split, test: cache.Split, request: Request
) -> Dataset:
    """Keeps the classes that were asked for, and holds out what ``unlabelled`` leaves over.

    Raises:
        UserError: for labels that are none of the classes, classes that the set does not have,
            domains that cannot be made of it, more unlabelled images than there are, or another
            scaling of vectors than ``unit``.
    """
    for split in (train, test):
        _check_labels(title, split)
    if classes := request.classes:
        unknown = [c for c in classes if not 0 <= c < train.num_classes]
        if unknown or len(set(classes)) != len(classes):
            raise UserError(
                f"{title} has classes 0 to {train.num_classes - 1}, each to be named once: "
                f"data.classes is {tuple(classes)}"
            )
        train, test = _of_classes(train, classes), _of_classes(test, classes)
        title = f"{title}, classes {', '.join(map(str, classes))}"
    second: list[cache.Split] = []
    if request.domains:
        title, *parts = domains.divide(request.domains, title, max_value, train, test)
        train, test, *second = (in_memory(*part, train.num_classes) for part in parts)
    size = len(train.labels)
    if not 0 <= request.unlabelled <= size:
        raise UserError(
            f"{title} has {size} training images, so unlabelled must be between 0 (all) and "
            f"{size}, got {request.unlabelled}"
        )
    cut = request.unlabelled or size
    of_second: list[Images | None] = [Images(split.images, split.labels) for split in second]
    of_second += [None, None]
    return Dataset(
        name=title,
        sha256=digest(train, test, *second),
        scaling=make_scaling(request.scaling, max_value, train.images[:cut]),
        num_classes=train.num_classes,
        train=Images(train.images[:cut], train.labels[:cut]),
        validation=Images(train.images[cut:], train.labels[cut:]),
        test=Images(test.images, test.labels),
        second=of_second[0],
        second_test=of_second[1],
    )


def _check_labels(title: str, split: cache.Split) -> None:
    if not len(split.labels):
        return
    low, high = int(split.labels.min()), int(split.labels.max())
    if low < 0 or high >= split.num_classes:
        raise UserError(
            f"{title} has labels from {low} to {high}, which are not all among its "
            f"{split.num_classes} classes, 0 to {split.num_classes - 1}: every image needs the "
            "label of a class"
        )


def _of_classes(split: cache.Split, classes: Sequence[int]) -> cache.Split:
    """The examples of these classes, in their order, labelled by place in ``classes``."""
    chosen = np.flatnonzero(np.isin(split.labels, classes))
    places = {label: place for place, label in enumerate(classes)}
    labels = np.array([places[int(label)] for label in split.labels[chosen]], np.int32)
    return in_memory(split.images[chosen], labels, len(classes))
