"""How written characters look, measured on their pixels: slant and thickness of the strokes."""

import numpy as np


def slant(images: np.ndarray) -> np.ndarray:
    """The shear that an upright character would need to lean as these do, columns per row.

    It is -μ_xy / μ_yy of the ink's second central moments (rows count downwards): 0 for upright
    strokes, positive for those that lean to the right, 1 for 45 degrees; 0 where the ink has no
    height.

    Args:
        images: [n, h, w] or [n, h, w, 1], ink from 0 (none) upwards.

    Returns:
        [n], float64.
    """
    ink = _planes(images)
    rows, columns = np.arange(ink.shape[1])[:, None], np.arange(ink.shape[2])[None]
    total = np.maximum(ink.sum(axis=(1, 2)), 1e-12)[:, None, None]
    dy = rows - (ink * rows).sum(axis=(1, 2), keepdims=True) / total
    dx = columns - (ink * columns).sum(axis=(1, 2), keepdims=True) / total
    across, down = (ink * dx * dy).sum(axis=(1, 2)), (ink * dy * dy).sum(axis=(1, 2))
    return np.divide(-across, down, out=np.zeros_like(down), where=down > 1e-9)


def thickness(images: np.ndarray) -> np.ndarray:
    """Mean width of the strokes, pixels: twice the ink over the length of its outline.

    A stroke of width w and length l has w l of ink and, but for its ends, an outline of 2 l. The
    outline is the total variation, which soft edges do not shorten; 0 where there is no ink.

    Args:
        images: [n, h, w] or [n, h, w, 1], ink from 0 to 1. Beyond the images there is none.

    Returns:
        [n], float64.
    """
    ink = np.pad(_planes(images), ((0, 0), (1, 1), (1, 1)))
    down, across = np.diff(ink, axis=1)[:, :, :-1], np.diff(ink, axis=2)[:, :-1]
    outline = np.hypot(down, across).sum(axis=(1, 2))
    total = ink.sum(axis=(1, 2))
    return np.divide(2 * total, outline, out=np.zeros_like(total), where=outline > 1e-9)


def _planes(images: np.ndarray) -> np.ndarray:
    images = np.asarray(images, np.float64)
    return images[..., 0] if images.ndim == 4 else images
