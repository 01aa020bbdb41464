"""The Toronto Face Database from the user's own ``TFD_48x48.mat`` (AAE, section 3 and A.1).

Its authors give it out on request, so nothing here downloads it. The file holds ``images``
[n, 48, 48] uint8, ``labs_ex`` [n, 1] (expressions 1..7, -1 where there is none) and ``folds``
[n, 5], whose entries say for each of five folds whether an image is unlabelled (0), for training
(1), validation (2) or test (3).
"""

import re
from pathlib import Path
from typing import NamedTuple

import numpy as np

from aae_jax.data.dataset import Dataset, Images, Request, digest, in_memory
from aae_jax.data.scaling import make_scaling
from aae_jax.errors import UserError

NUM_FOLDS = 5
NUM_CLASSES = 7
FILE_NAME = "TFD_48x48.mat"


class Fold(NamedTuple):
    """One fold: (images uint8 [n, 48, 48, 1], labels int32 [n]) of each part; -1 is no label."""

    train: tuple[np.ndarray, np.ndarray]
    validation: tuple[np.ndarray, np.ndarray]
    test: tuple[np.ndarray, np.ndarray]


def is_tfd(name: str) -> bool:
    """Whether a data set's name is one of TFD's."""
    return name.split("/")[0] == "tfd"


def is_available(request: Request) -> bool:
    """Whether the file is there."""
    return _path(request).is_file()


def load(request: Request) -> Dataset:
    """The fold of a name such as ``tfd/0``.

    Raises:
        UserError: for another name, for images to hold out or classes to choose, and as
            ``load_fold``.
    """
    if not re.fullmatch(rf"tfd/[0-{NUM_FOLDS - 1}]", request.name):
        raise UserError(
            f"{request.name!r} is not a fold of TFD: write tfd/0 to tfd/{NUM_FOLDS - 1}"
        )
    if request.unlabelled or request.classes or request.domains:
        raise UserError(
            "TFD's folds say what is trained on: leave data.unlabelled at 0, and data.classes and "
            "data.domains empty"
        )
    fold = load_fold(_path(request), int(request.name[-1]))
    return Dataset(
        name=request.name,
        sha256=digest(*(in_memory(*part, NUM_CLASSES) for part in fold)),
        scaling=make_scaling(request.scaling, 255, fold.train[0]),
        num_classes=NUM_CLASSES,
        train=Images(*fold.train),
        validation=Images(*fold.validation),
        test=Images(*fold.test),
    )


def _path(request: Request) -> Path:
    return request.data_root / "downloads" / "manual" / FILE_NAME


def load_fold(path: Path, fold: int) -> Fold:
    """One fold of the file; its unlabelled images are trained on too (paper silent).

    Raises:
        UserError: if the file is missing or not of the form above.
    """
    if not path.is_file():
        raise UserError(
            f"the Toronto Face Database is not there: ask its authors for {FILE_NAME} and put it "
            f"at {path}"
        )
    images, labels, folds = _read(path)
    kind = folds[:, fold]

    def part(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.ascontiguousarray(images[chosen][..., None]), labels[chosen]

    return Fold(part(kind <= 1), part(kind == 2), part(kind == 3))


def _read(path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    from scipy.io import loadmat

    try:
        content = loadmat(str(path))
    except Exception as error:  # scipy has many for a bad file
        raise UserError(
            f"{path} cannot be read as a MATLAB file: {str(error).strip() or type(error).__name__}"
        ) from error
    missing = [name for name in ("images", "labs_ex", "folds") if name not in content]
    if missing:
        raise UserError(f"{path} lacks {' and '.join(missing)}: it is not {FILE_NAME}")
    for name in ("images", "labs_ex", "folds"):
        field = content[name]
        if not isinstance(field, np.ndarray) or field.dtype.kind not in "biuf":
            kind = field.dtype if isinstance(field, np.ndarray) else type(field).__name__
            raise UserError(
                f"{path} has {name} of type {kind}, no plain array of numbers: it is not "
                f"{FILE_NAME}"
            )
    images, folds = content["images"], content["folds"]
    labels = content["labs_ex"].reshape(-1)
    num = len(images)
    if images.shape != (num, 48, 48) or images.dtype != np.uint8 or num == 0:
        raise UserError(
            f"{path} has images of shape {images.shape} and type {images.dtype}, not [n, 48, 48] "
            "and uint8"
        )
    if folds.shape != (num, NUM_FOLDS) or labels.shape != (num,):
        raise UserError(
            f"{path} has folds of shape {folds.shape} and {labels.size} labels for {num} images, "
            f"not [{num}, {NUM_FOLDS}] and {num}"
        )
    for fold in range(NUM_FOLDS):
        if not {1, 2, 3} <= set(np.unique(folds[:, fold])) <= {0, 1, 2, 3}:
            raise UserError(
                f"{path} must mark fold {fold} by 0 (unlabelled), 1 (training), 2 (validation) "
                "and 3 (test), with images in each of the last three"
            )
    if not np.isin(labels, (-1, *range(1, NUM_CLASSES + 1))).all():
        raise UserError(f"{path} has expressions (labs_ex) other than -1 and 1..{NUM_CLASSES}")
    return images, np.where(labels > 0, labels - 1, -1).astype(np.int32), folds.astype(np.int64)
