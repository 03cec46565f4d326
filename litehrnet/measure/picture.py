"""The picture of a grid: how fast each candidate is against how well it finds joints."""

from __future__ import annotations

import importlib
import itertools
import math
from pathlib import Path

from ..checks import require
from .grid import Grid, GridRow

__all__ = ["ENDINGS", "scatter"]

ENDINGS = (".png", ".svg", ".pdf")
# Okabe and Ito's colours, which colour-blind readers can tell apart; one per runtime, in the order of the rows.
_COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
_LEAST_SPAN = {True: 0.05, False: 1.0}  # of the height: OKS, or input pixels; less would show noise
_MARKERS = {"float32": "o", "float16": "s", "bfloat16": "^"}


def scatter(grid: Grid, path: str | Path) -> None:
    """Draw images per second against OKS, or against the shift of joints if none are labelled.

    Colours are runtimes, shapes are precisions, and numbers lead to the list beside the picture; the goal is shaded.

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
    figure = importlib.import_module("matplotlib.figure").Figure(figsize=(10, 5), layout="constrained")
    axes = figure.subplots()
    judged = all(row.oks is not None for row in grid.rows)
    heights = [_height(row, judged) for row in grid.rows]
    colours = dict(zip(dict.fromkeys(row.runtime for row in grid.rows), itertools.cycle(_COLOURS), strict=False))
    ranks = {index: rank for rank, index in enumerate(sorted(range(len(grid.rows)), key=lambda i: grid.rows[i].fps))}
    for number, (row, y) in enumerate(zip(grid.rows, heights, strict=True), 1):
        look = {"color": colours[row.runtime], "marker": _MARKERS[row.precision]}
        axes.scatter([row.fps], [y], s=70, edgecolors="white", zorder=3, label=f"{number}: {row.label}", **look)
        place = (0, -14 if ranks[number - 1] % 2 else 8)  # neighbours above and below
        axes.annotate(str(number), (row.fps, y), textcoords="offset points", xytext=place, ha="center", fontsize=9)
    known = [y for y in heights if math.isfinite(y)] or [0.0]
    middle, least = (max(known) + min(known)) / 2, _LEAST_SPAN[judged]
    span = max(1.3 * (max(known) - min(known)), least)
    low, high = middle - span / 2, middle + span / 2
    axes.set_ylim((low, high) if judged else (high, max(low, -0.05 * span)))  # better is higher
    fastest = 1.1 * max(*(row.fps for row in grid.rows), grid.goal.fps or 0.0)
    axes.set_xlim(0, fastest)
    if grid.goal.fps is not None:
        axes.axvspan(grid.goal.fps, fastest, alpha=0.08)
        axes.axvline(grid.goal.fps, color="0.5", linestyle="--", linewidth=1)
    threads = grid.rows[0].threads
    axes.set_xlabel(f"images per second, {threads} thread{'s' if threads > 1 else ''}")
    axes.set_ylabel("OKS" if judged else f"mean shift of joints from {grid.reference}, input pixels")
    axes.set_title(f"{grid.people} people; higher and further right is better", fontsize=10)
    axes.grid(alpha=0.3)
    figure.legend(loc="outside right upper", fontsize=8)
    figure.savefig(path, dpi=150)


def _height(row: GridRow, judged: bool) -> float:
    value = row.oks if judged else row.shift
    return float("nan") if value is None else value
