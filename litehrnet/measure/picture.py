"""The picture of a grid: how fast each candidate is against how well it finds joints."""

from __future__ import annotations

import importlib
from pathlib import Path

from ..checks import require
from .grid import Grid, GridRow

__all__ = ["ENDINGS", "scatter"]

ENDINGS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind readers can tell apart; one per runtime, in the order of the rows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_MARKERS = {"float32": "o", "float16": "s", "bfloat16": "^"}


def scatter(grid: Grid, path: str | Path) -> None:
    """Draw images per second against OKS, or against the shift of joints where nobody labelled any.

    Colours are runtimes, shapes are precisions; the goal is shaded.

    Args:
        grid: from `litehrnet.measure.grid.compare_grid`.
        path: the picture, ending in .png, .svg or .pdf.

    Raises:
        ValueError: another ending.
        ImportError: Matplotlib is not installed.
    """
    path = Path(path)
    if path.suffix.lower() not in ENDINGS:
        raise ValueError(f"cannot draw {path}: a picture must end in {', '.join(ENDINGS)}")
    require("matplotlib")
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(8, 5), layout="constrained")
    axes = figure.subplots()
    judged = all(row.oks is not None for row in grid.rows)
    height = [_height(row, judged) for row in grid.rows]
    colours = dict(zip(dict.fromkeys(row.runtime for row in grid.rows), _COLOURS, strict=False))
    for row, y in zip(grid.rows, height, strict=True):
        look = {"color": colours.get(row.runtime, _COLOURS[-1]), "marker": _MARKERS[row.precision]}
        axes.scatter([row.fps], [y], s=60, edgecolors="white", zorder=3, **look)
        axes.annotate(
            f"{row.model}, {row.precision}\n{row.size[0]}x{row.size[1]}",
            (row.fps, y),
            textcoords="offset points",
            xytext=(6, 4),
            fontsize=7,
        )
    for runtime, colour in colours.items():
        axes.scatter([], [], color=colour, label=runtime)
    if grid.goal.fps is not None:
        axes.axvspan(grid.goal.fps, max(grid.goal.fps, max(row.fps for row in grid.rows)) * 1.15, alpha=0.08)
        axes.axvline(grid.goal.fps, color="0.5", linestyle="--", linewidth=1)
    threads = grid.rows[0].threads
    axes.set_xlabel(f"images per second, {threads} thread{'s' if threads > 1 else ''}")
    axes.set_ylabel("OKS" if judged else f"mean shift of joints from {grid.reference}, input pixels")
    axes.set_xlim(left=0)
    if not judged:
        axes.invert_yaxis()  # better is higher
    axes.set_title(f"{grid.people} people; higher and further right is better", fontsize=10)
    axes.grid(alpha=0.3)
    axes.legend(title="runtime", fontsize=8)
    figure.savefig(path, dpi=150)


def _height(row: GridRow, judged: bool) -> float:
    value = row.oks if judged else row.shift
    return float("nan") if value is None else value
