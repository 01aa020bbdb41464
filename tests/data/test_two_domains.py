"""Two unpaired domains of one set, and the edges that one of them may be made of."""

import numpy as np
import pytest

from aae_jax.data import load
from aae_jax.data.domains import sobel_edges
from aae_jax.errors import UserError
from tests.data.test_sources import directories, write_set  # noqa: F401


def grey(rows):
    return np.array(rows, np.uint8)[None, ..., None]


def test_an_edge_is_a_line_of_one_pixel_along_the_step():
    square = np.zeros((9, 9), np.uint8)
    square[2:7, 2:7] = 200
    lines = sobel_edges(grey(square), 200)[0]
    expected = np.zeros((9, 9), bool)
    expected[2, 2:7] = expected[2:7, 2] = True  # of the two pixels beside a step the lower one
    expected[7, 2:7] = expected[2:7, 7] = True
    inner = np.ones((9, 9), bool)
    inner[[2, 2, 7, 7, 1, 6], [2, 7, 2, 7, 6, 1]] = False  # what corners are is not looked at here
    np.testing.assert_array_equal(lines[3:6], expected[3:6])
    np.testing.assert_array_equal(lines[:, 3:6], expected[:, 3:6])
    assert not sobel_edges(grey(np.full((9, 9), 150)), 200).any()


def test_an_edge_needs_a_quarter_of_a_step_in_the_mean_over_channels():
    step = np.zeros((1, 6, 6, 3), np.uint8)
    step[:, :, 3:, 0] = 255  # a third of a step
    assert sobel_edges(step, 255)[0].sum(axis=1).tolist() == [1] * 6
    step[:, :, 3:, 0] = 180  # less than a quarter
    assert not sobel_edges(step, 255).any()


def test_a_diagonal_is_compared_across_itself():
    """A step along the diagonal is a staircase on both sides of it, and no thicker."""
    lines = sobel_edges(grey(200 * np.tri(9, dtype=np.uint8)), 200)[0]
    for offset in (-2, -1, 0, 1, 2, 3):
        expected = offset in (0, 1)
        np.testing.assert_array_equal(np.diagonal(lines, offset)[2:-2], expected)


def test_two_classes_are_two_domains():
    digits, both = load("digits"), load("digits", classes=(8, 3), domains="classes")
    images, labels = (np.concatenate(parts) for parts in zip(*digits[4:6]))
    np.testing.assert_array_equal(both.train.images, images[labels == 8])
    np.testing.assert_array_equal(both.second.images, images[labels == 3])
    np.testing.assert_array_equal(both.test.images, digits.test.images[digits.test.labels == 8])
    np.testing.assert_array_equal(
        both.second_test.images, digits.test.images[digits.test.labels == 3]
    )
    assert set(both.train.labels) == {0} and set(both.second.labels) == {1}
    assert both.num_classes == 2 and both.name.endswith("classes 8, 3, as two domains")
    other_way = load("digits", classes=(3, 8), domains="classes")
    np.testing.assert_array_equal(other_way.train.images, both.second.images)
    one = load("digits", classes=(8, 3))
    assert len({other_way.sha256, both.sha256, one.sha256}) == 3
    assert one.second is None and one.second_test is None
    held_out = load("digits", classes=(8, 3), domains="classes", unlabelled=100)
    assert len(held_out.train.labels) == 100 and len(held_out.validation.labels) > 20
    assert held_out.sha256 == both.sha256


def test_images_and_the_edges_of_others():
    digits, both = load("digits", unlabelled=1497), load("digits", domains="edges")
    np.testing.assert_array_equal(both.train.images, digits.train.images[::2])
    lines = sobel_edges(digits.train.images[1::2], 16)
    np.testing.assert_array_equal(both.second.images[..., 0], 16 * lines)
    assert both.second.images.dtype == np.uint8 and 0.05 < lines.mean() < 0.5
    # Held-out images have their own edges, so that edges can be measured.
    np.testing.assert_array_equal(both.test.images, digits.test.images)
    np.testing.assert_array_equal(
        both.second_test.images[..., 0], 16 * sobel_edges(digits.test.images, 16)
    )
    assert both.name.endswith("Sobel edges of other images of it (stand-in)")
    assert both.scaling == digits.scaling


def test_images_and_edges_of_half_the_size():
    whole, half = (load("digits", domains=kind) for kind in ("edges", "half_edges"))
    images = whole.train.images.astype(int)
    means = sum(images[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    np.testing.assert_array_equal(half.train.images, np.floor(means + 0.5))
    assert half.second.images.shape == (len(whole.second.images), 4, 4, 1)
    # The edges are those of the halved images, and not halved edges.
    lines = sobel_edges(half.test.images, 16)
    np.testing.assert_array_equal(half.second_test.images[..., 0], 16 * lines)
    assert half.name.endswith(
        "in half its height and width, and Sobel edges of other images of it (stand-in)"
    )
    assert half.sha256 != whole.sha256


def test_pairs_side_by_side_never_meet(directories):  # noqa: F811
    def pairs(num):
        """Pair i is of level i on the left and of level 100 + i on the right."""
        images = np.arange(num)[:, None, None, None] + np.zeros((num, 4, 6, 3), np.int64)
        images[:, :, 3:] += 100
        return images.astype(np.uint8), np.zeros(num, np.int32)

    write_set(directories[0], "edges2shoes", "1.0.0", {"train": pairs(9), "test": pairs(4)})
    both = load("edges2shoes", domains="right_to_left")
    assert both.name == "edges2shoes/1.0.0, right and left sides of different images"
    assert both.train.images.shape == (5, 4, 3, 3) and both.second.images.shape == (4, 4, 3, 3)
    assert both.train.images[:, 0, 0, 0].tolist() == [100, 102, 104, 106, 108]
    assert both.second.images[:, 0, 0, 0].tolist() == [1, 3, 5, 7]
    assert both.test.images[:, 0, 0, 0].tolist() == [100, 101, 102, 103]
    assert both.second_test.images[:, 0, 0, 0].tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("digits", {"domains": "class"}, "data.domains is 'class'; it must be empty or one of"),
        ("digits", {"domains": "classes"}, "has 10: name two in data.classes"),
        ("digits", {"domains": "classes", "classes": (1, 2, 3)}, "has 3: name two"),
        ("toys/ring", {"domains": "edges"}, "holds no images"),
        ("tfd/0", {"domains": "classes"}, "data.domains empty"),
    ],
)
def test_what_cannot_be_two_domains_is_refused(name, options, message):
    with pytest.raises(UserError, match=message) as caught:
        load(name, **options)
    assert "\n" not in str(caught.value)


def test_odd_widths_and_empty_domains_are_refused(directories):  # noqa: F811
    images = np.zeros((4, 4, 5, 1), np.uint8)
    labels = np.zeros(4, np.int32)
    write_set(directories[0], "odd", "1.0.0", {"train": (images, labels), "test": (images, labels)})
    with pytest.raises(UserError, match="5 pixels wide, which are no pairs side by side"):
        load("odd", domains="right_to_left")
    with pytest.raises(UserError, match="4 x 5 pixels, which cannot be halved"):
        load("odd", domains="half_edges")
    with pytest.raises(UserError, match="has no images for the domains' 'second'"):
        load("odd", classes=(0, 1), domains="classes")
