"""Two unpaired domains out of one set: of disjoint images, so that no pair ever meets."""

from typing import NamedTuple

import numpy as np

from aae_jax.data.cache import Split
from aae_jax.errors import UserError

KINDS = ("classes", "edges", "half_edges", "right_to_left")
Arrays = tuple[np.ndarray, np.ndarray]  # images [n, h, w, c], labels [n]


class Domains(NamedTuple):
    """The training and the test images of either domain, and a title that says what they are."""

    title: str
    train: Arrays
    test: Arrays
    second: Arrays
    second_test: Arrays


def check_kind(kind: str) -> None:
    """Refuse what is no way to divide a set.

    Raises:
        UserError: naming those there are.
    """
    if kind and kind not in KINDS:
        raise UserError(f"data.domains is {kind!r}; it must be empty or one of {', '.join(KINDS)}")


def divide(kind: str, title: str, max_value: int, train: Split, test: Split) -> Domains:
    """A set as two domains.

    Args:
        kind: ``classes``: images of class 0, and as the second domain those of class 1, of a set
            that has no more than these two. ``edges``: the images in even places, and as the second
            domain the edges (``sobel_edges``, bright on black) of those in odd places.
            ``half_edges``: the same of images of half the height and width, means of 2x2 pixels.
            ``right_to_left``, of images that hold a pair side by side, as pix2pix has them: the
            right-hand sides of those in even places, and as the second domain the left-hand sides
            of those in odd places. In all but ``classes`` the test images of the domains are
            counterparts of each other, in one order.
        title: of the set.
        max_value: its largest level.
        train, test: its splits, labels among its classes.

    Raises:
        UserError: for a set that cannot be divided so.
    """
    check_kind(kind)
    if kind == "classes":
        if train.num_classes != 2:
            raise UserError(
                f"the domains of data.domains 'classes' are two classes, and {title} has "
                f"{train.num_classes}: name two in data.classes, the one to be encoded first"
            )
        domains = Domains(
            f"{title}, as two domains",
            *(_where(split, split.labels == 0) for split in (train, test)),
            *(_where(split, split.labels == 1) for split in (train, test)),
        )
    else:
        if train.images.ndim != 4:
            raise UserError(f"{title} holds no images: data.domains {kind!r} needs some")
        if kind == "half_edges":
            train, test = (_halved(split, title) for split in (train, test))
            title = f"{title}, in half its height and width"
        even = np.arange(len(train.labels)) % 2 == 0
        halves = _where(train, even), _where(train, ~even)
        whole = test.images, test.labels
        if kind != "right_to_left":
            title = f"{title}, and Sobel edges of other images of it (stand-in)"
            drawn = (_drawings(*part, max_value) for part in (halves[1], whole))
            domains = Domains(title, halves[0], whole, *drawn)
        else:
            if train.images.shape[2] % 2:
                raise UserError(
                    f"{title} holds images {train.images.shape[2]} pixels wide, which are no pairs "
                    "side by side: prepare them with an even width, or leave data.domains empty"
                )
            title = f"{title}, right and left sides of different images"
            right = (_side(*part, 1) for part in (halves[0], whole))
            left = (_side(*part, 0) for part in (halves[1], whole))
            domains = Domains(title, *right, *left)
    for name, (_, labels) in zip(Domains._fields[1:], domains[1:]):
        if not len(labels):
            raise UserError(f"{title} has no images for the domains' {name!r}: choose other data")
    return domains


def _where(split: Split, chosen: np.ndarray) -> Arrays:
    return split.images[chosen], split.labels[chosen]


def _halved(split: Split, title: str) -> Split:
    num, height, width, channels = split.images.shape
    if height % 2 or width % 2:
        raise UserError(
            f"{title} holds images of {height} x {width} pixels, which cannot be halved: set "
            "data.domains to 'edges', or prepare them with even sides"
        )
    pixels = split.images.reshape(num, height // 2, 2, width // 2, 2, channels)
    means = (pixels.sum(axis=(2, 4), dtype=np.uint16) + 2) // 4
    return split._replace(images=means.astype(np.uint8))


def _side(images: np.ndarray, labels: np.ndarray, side: int) -> Arrays:
    return np.split(images, 2, axis=2)[side], labels


def _drawings(images: np.ndarray, labels: np.ndarray, max_value: int) -> Arrays:
    lines = sobel_edges(images, max_value)[..., None] * np.uint8(max_value)
    return np.repeat(lines, images.shape[3], axis=3), labels


def sobel_edges(images: np.ndarray, max_value: int) -> np.ndarray:
    """Where the edges of images are, lines one pixel wide.

    Sobel's gradient of the mean over channels, beyond the border the outermost pixels repeated; an
    edge is where its length is more than a quarter of that at a step from black to white, and
    the largest along its direction (to 45 degrees). In integers, so that it is the same everywhere.

    Args:
        images: uint8 [n, h, w, c], levels 0 to ``max_value``.
        max_value: the largest level.

    Returns:
        bool [n, h, w].
    """
    grey = np.pad(images.sum(axis=3, dtype=np.int64), ((0, 0), (1, 1), (1, 1)), mode="edge")
    down = grey[:, 2:] - grey[:, :-2]
    across = grey[:, :, 2:] - grey[:, :, :-2]
    y = down[:, :, :-2] + 2 * down[:, :, 1:-1] + down[:, :, 2:]
    x = across[:, :-2] + 2 * across[:, 1:-1] + across[:, 2:]
    squared = x * x + y * y
    around = np.pad(squared, ((0, 0), (1, 1), (1, 1)))
    height, width = squared.shape[1:]

    def largest(row: int, column: int) -> np.ndarray:
        """Whether no neighbour that way, or the other way, is larger; of two alike one counts."""
        before = around[:, 1 - row : 1 - row + height, 1 - column : 1 - column + width]
        after = around[:, 1 + row : 1 + row + height, 1 + column : 1 + column + width]
        return (squared >= before) & (squared > after)

    steep, flat = 5 * abs(x) < 2 * abs(y), 5 * abs(y) < 2 * abs(x)  # 2 / 5: 22 degrees
    along = np.where((x > 0) == (y > 0), largest(1, 1), largest(1, -1))
    along = np.where(steep, largest(1, 0), np.where(flat, largest(0, 1), along))
    step = images.shape[3] * max_value
    return along & (squared > step * step)
