"""Figures from arrays, written as PNG and GIF files."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

# Okabe and Ito's palette, told apart with any kind of colour vision.
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442", "#000000")

# Ten and more classes: Tol's "muted" palette and a dark grey, told apart with any colour vision.
CLASS_PALETTE = (
    "#332288", "#88CCEE", "#44AA99", "#117733", "#999933",
    "#DDCC77", "#CC6677", "#882255", "#AA4499", "#555555",
)  # fmt: skip


class CodeSpace(NamedTuple):
    """One panel of ``code_spaces``.

    Attributes:
        title: above the panel.
        codes: [n, 2].
        labels: [n] classes, 0..9.
        heads: [k, 2] points that are marked with their name, or None.
        head_names: their names; by default their numbers.
    """

    title: str
    codes: np.ndarray
    labels: np.ndarray
    heads: np.ndarray | None = None
    head_names: Sequence[str] | None = None


def _pyplot():
    import matplotlib

    matplotlib.use("Agg")
    import matplotlib.pyplot as plt

    return plt


def _save(figure, path: Path | str) -> Path:
    path = Path(path)
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
    path: Path | str,
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
    path: Path | str,
    *,
    title: str,
    names: Sequence[str],
    ylabel: str = "test error (%)",
    paper: Sequence[tuple[float, float]] = (),
    paper_name: str = "paper",
    against: str = "step",
) -> Path:
    """Error against updates (logarithmic) or epochs, a line for each seed or run, and the paper's
    own points beside them.

    Args:
        curves: per line, evaluations with ``against`` and ``test_error_percent``.
        path: where the PNG goes.
        title: above the axes.
        names: per line, its name in the legend.
        ylabel: the axis' name, with its unit.
        paper: (updates, value) points of the paper.
        paper_name: their name in the legend.
        against: "step" or "epoch".
    """
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(6, 4))
    for curve, name, colour in zip(curves, names, itertools.cycle(PALETTE)):
        axes.plot(
            [point[against] for point in curve],
            [point["test_error_percent"] for point in curve],
            color=colour,
            label=name,
            linewidth=1.3,
            marker="." if len(curve) < 30 else None,
        )
    if paper:
        axes.plot(*zip(*paper), "k--D", markersize=5, linewidth=0.8, label=paper_name)
    if against == "step":
        axes.set_xscale("log")
        thousands = plt.matplotlib.ticker.StrMethodFormatter("{x:,.0f}")
        axes.xaxis.set_major_formatter(thousands)
        axes.xaxis.set_minor_locator(plt.matplotlib.ticker.LogLocator(subs=(2, 5)))
        axes.xaxis.set_minor_formatter(thousands)
    axes.set_yscale("log")
    formatter = plt.matplotlib.ticker.FormatStrFormatter("%g")
    axes.yaxis.set_major_formatter(formatter)
    axes.yaxis.set_minor_locator(plt.matplotlib.ticker.LogLocator(subs=(2, 3, 5)))
    axes.yaxis.set_minor_formatter(formatter)
    axes.set_xlabel({"step": "updates", "epoch": "epochs"}[against])
    axes.set_ylabel(ylabel)
    axes.grid(True, which="both", linewidth=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    return _save(figure, path)


def lines(
    curves: Mapping[str, Sequence[Sequence[float]]],
    path: Path | str,
    *,
    title: str,
    axis_names: tuple[str, str],
) -> Path:
    """Lines through points [(x, y), ...], by their names in the legend."""
    plt = _pyplot()
    figure, axes = plt.subplots(figsize=(6, 4))
    for (name, points), colour in zip(curves.items(), itertools.cycle(PALETTE)):
        marker = "." if len(points) < 30 else None
        axes.plot(*zip(*points), color=colour, label=name, linewidth=1.3, marker=marker)
    axes.set_xlabel(axis_names[0])
    axes.set_ylabel(axis_names[1])
    axes.grid(True, linewidth=0.3)
    axes.legend(fontsize=8)
    axes.set_title(title, fontsize=10)
    return _save(figure, path)


def code_spaces(
    panels: Sequence[CodeSpace],
    path: Path | str,
    *,
    title: str,
    axis_names: tuple[str, str] = ("z1", "z2"),
    columns: int = 2,
    limit: float | None = None,
    legend: str = "class",
) -> Path:
    """Scatter of 2-D codes, one colour per class, one panel beside the other.

    Args:
        panels: what to draw.
        path: where the PNG goes.
        title: above all panels.
        axis_names: names of the two dimensions.
        columns: panels in a row.
        limit: axes from -limit to limit, the same for all panels; None: each its own.
        legend: what the colours are.
    """
    plt = _pyplot()
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        rows, columns, figsize=(4.2 * columns + 0.8, 4.2 * rows), squeeze=False
    )
    for axes in grid.flat[len(panels) :]:
        axes.set_visible(False)
    classes = sorted({int(label) for panel in panels for label in np.unique(panel.labels)})
    for axes, panel in zip(grid.flat, panels):
        for label in classes:
            chosen = panel.codes[panel.labels == label]
            colour = CLASS_PALETTE[label % len(CLASS_PALETTE)]
            axes.scatter(
                chosen[:, 0],
                chosen[:, 1],
                s=min(12.0, max(2.0, 4000 / len(panel.codes))),
                color=colour,
                linewidths=0,
            )
        heads = panel.heads if panel.heads is not None else np.zeros((0, 2))
        names = panel.head_names or [str(k) for k in range(len(heads))]
        for head, name in zip(heads, names, strict=True):
            axes.text(
                head[0],
                head[1],
                name,
                ha="center",
                va="center",
                fontsize=8,
                clip_on=True,
                bbox={
                    "boxstyle": f"{'circle' if len(name) < 3 else 'round'},pad=0.15",
                    "fc": "white",
                    "ec": "black",
                    "lw": 0.6,
                },
            )
        axes.set_aspect("equal", adjustable="datalim")
        if any(len(name) > 2 for name in names):  # what a text needs around its place
            axes.scatter(heads[:, 0], heads[:, 1], s=0)
            axes.margins(0.15)
        if limit is not None:
            axes.set_xlim(-limit, limit)
            axes.set_ylim(-limit, limit)
        axes.set_title(panel.title, fontsize=9)
        axes.set_xlabel(axis_names[0])
        axes.set_ylabel(axis_names[1])
    handles = [
        plt.Line2D([], [], marker="o", linestyle="", color=CLASS_PALETTE[k % 10], label=str(k))
        for k in classes
    ]
    figure.suptitle(title, fontsize=10)
    figure.tight_layout(rect=(0, 0, 1, 0.98))
    figure.legend(
        handles=handles,
        title=legend,
        fontsize=8,
        title_fontsize=8,
        loc="center left",
        bbox_to_anchor=(1.0, 0.5),
    )
    return _save(figure, path)


def animation(frames: np.ndarray, path: Path, *, milliseconds: int = 80, zoom: int = 4) -> Path:
    """An endless GIF of frames [t, h, w, c] in [0, 1], each pixel drawn ``zoom`` times ``zoom``."""
    from PIL import Image

    def picture(frame: np.ndarray):
        pixels = np.round(255 * np.clip(frame, 0, 1)).astype(np.uint8)
        pixels = pixels.repeat(zoom, axis=0).repeat(zoom, axis=1)
        return Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels)

    path.parent.mkdir(parents=True, exist_ok=True)
    first, *rest = (picture(frame) for frame in frames)
    first.save(path, save_all=True, append_images=rest, duration=milliseconds, loop=0)
    return path
