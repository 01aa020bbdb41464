"""Slant and thickness of strokes that are drawn by hand."""

import numpy as np
import pytest

from aae_jax.metrics import slant, thickness


def stroke(shear, width=3, size=41):
    """A vertical bar, its rows shifted by ``shear`` columns for every row upwards."""
    rows, columns = np.mgrid[:size, :size] - size // 2
    return ((np.abs(columns + shear * rows) <= width / 2) & (np.abs(rows) <= 15)).astype(float)


@pytest.mark.parametrize("shear", [-1, 0, 1])
def test_slant_is_the_shear_of_a_bar(shear):
    assert slant(stroke(shear)[None]) == pytest.approx([shear], abs=1e-9)


def test_a_slanted_line_by_hand():
    # Ink at (row, column) (0, 2), (1, 1), (2, 0): it leans to the right, a column a row.
    image = np.zeros((1, 3, 3, 1))
    image[0, [0, 1, 2], [2, 1, 0], 0] = 0.7
    assert slant(image) == pytest.approx([1.0])
    assert slant(image[:, :, ::-1]) == pytest.approx([-1.0])


def test_thickness_is_the_width_of_a_long_bar():
    # 4 x 1000 pixels: twice 4000 over 2 (1000 + 4), less what the corner's diagonal saves.
    bar = np.ones((1, 1000, 4))
    assert thickness(bar) == pytest.approx([8000 / (2 * 1004 - 2 + np.sqrt(2))])
    soft = np.zeros((1, 1000, 9))
    soft[..., 2:7] = [0.5, 1, 1, 1, 0.5]  # the same ink in soft edges
    assert thickness(soft) == pytest.approx(thickness(bar), rel=1e-3)


def test_a_broader_brush_is_thicker_and_a_darker_pen_is_not():
    thin, broad = stroke(0, 3)[None], stroke(0, 6)[None]
    assert thickness(broad) > 1.5 * thickness(thin)
    assert thickness(0.5 * thin) == pytest.approx(thickness(thin))
    assert thickness(stroke(1, 3)[None]) == pytest.approx(3 / np.sqrt(2), rel=0.25)


def test_no_ink_has_neither():
    empty = np.zeros((2, 5, 5))
    np.testing.assert_array_equal(slant(empty), [0, 0])
    np.testing.assert_array_equal(thickness(empty), [0, 0])
