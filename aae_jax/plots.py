"""Figures from arrays, written as PNG files."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

# Okabe and Ito's palette, told apart with any kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure, path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(path, dpi=150, bbox_inches="tight")
    _pyplot().close(figure)
    return path


def tile(images: np.ndarray, pad: int = 1) -> np.ndarray:
    """One picture [H, W, c] of images [rows, columns, h, w, c] in [0, 1], white between them."""
    rows, columns, height, width, channels = images.shape
    canvas = np.ones(
        (rows * (height + pad) + pad, columns * (width + pad) + pad, channels), np.float32
    )
    for r in range(rows):
        for c in range(columns):
            top, left = pad + r * (height + pad), pad + c * (width + pad)
            canvas[top : top + height, left : left + width] = np.clip(images[r, c], 0, 1)
    return canvas


def image_grid(
    images: np.ndarray,
    path: Path,
    *,
    title: str,
    row_label: str = "",
    column_label: str = "",
    column_names: Sequence[str] = (),
    row_names: Sequence[str] = (),
) -> Path:
    """A grid of images [rows, columns, h, w, c] in [0, 1], with what rows and columns are."""
    plt = _pyplot()
    rows, columns, height, width, channels = images.shape
    figure, axes = plt.subplots(figsize=(0.55 * columns + 1, 0.55 * rows + 1))
    canvas = tile(images)
    axes.imshow(
        canvas[..., 0] if channels == 1 else canvas,
        cmap="gray",
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    axes.set_xticks(
        [1 + (width + 1) * (c + 0.5) for c in range(columns)] if column_names else [],
        column_names,
    )
    axes.set_yticks(
        [1 + (height + 1) * (r + 0.5) for r in range(rows)] if row_names else [], row_names
    )
    axes.tick_params(length=0)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_xlabel(column_label)
    axes.set_ylabel(row_label)
    axes.set_title(title, fontsize=10)
    return _save(figure, path)


def error_curves(
    curves: Sequence[Sequence[dict[str, float]]],
    path: Path,
    *,
    title: str,
    names: Sequence[str],
    metric: str = "test_error_percent",
    ylabel: str = "test error (%)",
    paper: Sequence[tuple[float, float]] = (),
    paper_name: str = "paper",
) -> Path:
    """Error against updates, one line per seed, and the paper's own points beside them.

    Args:
        curves: per line, evaluations with "step" and ``metric``.
        path: where the PNG goes.
        title: above the axes.
        names: per line, its name in the legend.
        metric: which metric is drawn.
        ylabel: the axis' name, with its unit.
        paper: (updates, value) points of the paper.
        paper_name: their name in the legend.
    """
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(6, 4))
    for curve, name, colour in zip(curves, names, PALETTE):
        axes.plot(
            [point["step"] for point in curve],
            [point[metric] for point in curve],
            color=colour,
            label=name,
            linewidth=1.3,
            marker="." if len(curve) < 30 else None,
        )
    if paper:
        axes.plot(*zip(*paper), "k--D", markersize=5, linewidth=0.8, label=paper_name)
    axes.set_xscale("log")
    axes.set_yscale("log")
    formatter = plt.matplotlib.ticker.FormatStrFormatter("%g")
    axes.yaxis.set_major_formatter(formatter)
    axes.yaxis.set_minor_locator(plt.matplotlib.ticker.LogLocator(subs=(2, 3, 5)))
    axes.yaxis.set_minor_formatter(formatter)
    axes.set_xlabel("updates")
    axes.set_ylabel(ylabel)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    return _save(figure, path)
