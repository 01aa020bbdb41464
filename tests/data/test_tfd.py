"""The Toronto Face Database: a small file of the true form, and every way in which one is not."""

import numpy as np
import pytest
import scipy.io
import scipy.sparse

from aae_jax.data import is_available, load
from aae_jax.data.tfd import load_fold
from aae_jax.errors import UserError

NUM = 20


def content(seed=0) -> dict[str, np.ndarray]:
    """20 images; in fold f image i is of kind (i + f) % 4, and every fourth has no expression."""
    rng = np.random.default_rng(seed)
    kinds = (np.arange(NUM)[:, None] + np.arange(5)) % 4
    labels = np.where(np.arange(NUM) % 4 == 0, -1, np.arange(NUM) % 7 + 1)
    return {
        "images": rng.integers(0, 256, (NUM, 48, 48)).astype(np.uint8),
        "labs_ex": labels[:, None].astype(np.int16),
        "folds": kinds.astype(np.uint8),
    }


@pytest.fixture
def path(tmp_path, monkeypatch):
    """Where the user's file belongs."""
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path / "tfds"))
    path = tmp_path / "tfds/downloads/manual/TFD_48x48.mat"
    path.parent.mkdir(parents=True)
    return path


@pytest.mark.parametrize("fold", range(5))
def test_a_fold_has_the_images_and_labels_that_the_file_marks(path, fold):
    true = content()
    scipy.io.savemat(path, true)
    parts = load_fold(path, fold)
    kind, labels = true["folds"][:, fold], true["labs_ex"][:, 0]
    for part, chosen in zip(parts, (kind <= 1, kind == 2, kind == 3)):
        images, expressions = part
        assert images.dtype == np.uint8 and expressions.dtype == np.int32
        np.testing.assert_array_equal(images[..., 0], true["images"][chosen])
        # Expressions 1..7 become classes 0..6; what has none keeps -1.
        np.testing.assert_array_equal(
            expressions, [label - 1 if label > 0 else -1 for label in labels[chosen]]
        )
    assert sum(len(labels) for _, labels in parts) == NUM


def test_doubles_as_matlab_writes_them_are_read_alike(path):
    true = content()
    scipy.io.savemat(path, true)
    expected = load_fold(path, 1)
    doubles = {k: v if k == "images" else v.astype(np.float64) for k, v in true.items()}
    scipy.io.savemat(path, doubles)
    for part, other in zip(load_fold(path, 1), expected):
        for array, same in zip(part, other):
            np.testing.assert_array_equal(array, same)
            assert array.dtype == same.dtype


def test_a_fold_is_loaded_by_name(path):
    assert not is_available("tfd/2")
    true = content()
    scipy.io.savemat(path, true)
    assert is_available("tfd/2")
    dataset = load("tfd/2")
    assert (dataset.name, dataset.scaling.max_value, dataset.num_classes) == ("tfd/2", 255, 7)
    for split, (images, labels) in zip(
        (dataset.train, dataset.validation, dataset.test), load_fold(path, 2)
    ):
        np.testing.assert_array_equal(split.images, images)
        np.testing.assert_array_equal(split.labels, labels)
    assert dataset.sha256 == load("tfd/2").sha256
    assert len({load(f"tfd/{fold}").sha256 for fold in range(4)}) == 4
    scipy.io.savemat(path, content(seed=1))
    assert load("tfd/2").sha256 != dataset.sha256


@pytest.mark.parametrize("name", ["tfd", "tfd/5", "tfd/-1", "tfd/00", "tfd/a"])
def test_a_name_that_is_no_fold(path, name):
    scipy.io.savemat(path, content())
    with pytest.raises(UserError, match="is not a fold of TFD: write tfd/0 to tfd/4"):
        load(name)


def test_unlabelled_is_not_for_tfd(path):
    scipy.io.savemat(path, content())
    with pytest.raises(UserError, match=r"leave data\.unlabelled at 0"):
        load("tfd/0", unlabelled=10)


def test_a_missing_file_says_where_it_belongs(path):
    with pytest.raises(UserError, match=r"ask its authors for TFD_48x48\.mat") as caught:
        load("tfd/0")
    assert str(path) in str(caught.value)


def without(name):
    return {k: v for k, v in content().items() if k != name}


def changed(name, value):
    return content() | {name: value}


FORM = {
    "no images": (without("images"), "lacks images: it is not TFD_48x48.mat"),
    "no folds, no labels": (
        {"images": content()["images"]},
        "lacks labs_ex and folds: it is not TFD_48x48.mat",
    ),
    "another size": (
        changed("images", np.zeros((NUM, 96, 96), np.uint8)),
        r"images of shape \(20, 96, 96\) and type uint8, not \[n, 48, 48\]",
    ),
    "flat": (changed("images", np.zeros((NUM, 2304), np.uint8)), r"shape \(20, 2304\)"),
    "floats": (changed("images", np.zeros((NUM, 48, 48))), "type float64, not"),
    "transposed": (changed("images", np.zeros((48, 48, NUM), np.uint8)), r"shape \(48, 48, 20\)"),
    "too few folds": (changed("folds", content()["folds"][:, :4]), r"folds of shape \(20, 4\)"),
    "folds of other images": (changed("folds", content()["folds"][:-1]), r"shape \(19, 5\)"),
    "too few labels": (changed("labs_ex", np.ones((19, 1))), "19 labels for 20 images"),
    "another mark": (
        changed("folds", np.where(np.arange(5) == 3, 4, content()["folds"])),
        r"must mark fold 3 by 0 \(unlabelled\)",
    ),
    "no test images": (
        changed(
            "folds",
            np.where(np.arange(5) == 4, 1 + np.arange(NUM)[:, None] % 2, content()["folds"]),
        ),
        "must mark fold 4 by .* with images in each of the last three",
    ),
    "another expression": (changed("labs_ex", np.full((NUM, 1), 8)), "other than -1 and 1..7"),
    "expression 0": (changed("labs_ex", np.zeros((NUM, 1))), "other than -1 and 1..7"),
}


@pytest.mark.parametrize("case", FORM)
def test_a_file_of_another_form(path, case):
    arrays, expected = FORM[case]
    scipy.io.savemat(path, arrays)
    with pytest.raises(UserError, match=expected) as caught:
        load("tfd/0")
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["images", "labs_ex", "folds"])
@pytest.mark.parametrize("kind", ["sparse", "cells", "text", "struct"])
def test_fields_that_are_no_arrays_of_numbers(path, name, kind):
    cells = np.empty((2, 1), object)
    cells[0, 0], cells[1, 0] = np.zeros(3), "a"
    value = {
        "sparse": scipy.sparse.csc_matrix(np.eye(NUM)),
        "cells": cells,
        "text": "expressions",
        "struct": {"a": np.zeros(3), "b": 1},
    }[kind]
    scipy.io.savemat(path, changed(name, value))
    with pytest.raises(UserError, match=f"has {name} of type .*, no plain array of numbers"):
        load("tfd/0")


@pytest.mark.parametrize("damage", [b"", b"not a MATLAB file at all" * 20, "truncated"])
def test_a_file_that_is_no_matlab_file(path, damage):
    if damage == "truncated":
        scipy.io.savemat(path, content())
        damage = path.read_bytes()[:5000]
    path.write_bytes(damage)
    with pytest.raises(UserError, match="cannot be read as a MATLAB file"):
        load("tfd/0")
