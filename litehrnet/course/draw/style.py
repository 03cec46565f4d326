"""The visual language: one colour for one thing in every figure, readable on white pages and in dark JupyterLab.

Colours are Okabe and Ito's, which colour-blind readers can tell apart. Figures keep their own white background, so
that they look the same on any page.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, overload

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch

__all__ = [
    "BRANCH_COLOURS",
    "INK",
    "LEFT_COLOUR",
    "MIDDLE_COLOUR",
    "MUTED",
    "PART_COLOURS",
    "PLAIN_COLOURS",
    "RIGHT_COLOUR",
    "arrow",
    "box",
    "caption",
    "figure_style",
    "new_figure",
]

INK = "#222222"
MUTED = "#767676"
GRID = "#dddddd"

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE, YELLOW = (
    "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#F0E442",
)  # fmt: skip

BRANCH_COLOURS = (BLUE, GREEN, ORANGE, VERMILION)  # branch 0 is the largest map
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR = BLUE, VERMILION, MUTED  # the person's own left and right
PART_COLOURS = {
    "stem": "#999999",
    "transitions": "#bbbbbb",
    "depthwise": SKY,
    "cross_resolution": PURPLE,
    "spatial": YELLOW,
    "pointwise": ORANGE,
    "fuse": BLUE,
    "head": GREEN,
    "final": "#555555",
}
PLAIN_COLOURS = {"adaptive": BLUE, "computed": ORANGE, "exact": GREEN, "torch": VERMILION, "onnx": BLUE}

_RC: Any = {  # matplotlib's types know each key by name
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "legend.frameon": False,
    "legend.fontsize": 9,
    "grid.color": GRID,
    "image.interpolation": "nearest",
}


@contextmanager
def figure_style() -> Iterator[None]:
    """The course's matplotlib settings, for the time of one figure; the reader's own stay as they are."""
    with plt.rc_context(_RC):
        yield


@overload
def new_figure(*, size: tuple[float, float] = ..., **options: Any) -> tuple[Figure, Axes]: ...


@overload
def new_figure(
    rows: int, columns: int, *, size: tuple[float, float] = ..., **options: Any
) -> tuple[Figure, np.ndarray]: ...


def new_figure(
    rows: int = 1, columns: int = 1, *, size: tuple[float, float] = (9.0, 3.5), **options: Any
) -> tuple[Figure, Any]:
    """A figure in the course's style.

    Args:
        rows, columns: of panels; without them there is one.
        size: (width, height) in inches, the order that matplotlib uses.
        options: passed to `matplotlib.pyplot.subplots`.

    Returns:
        (figure, axes) as `matplotlib.pyplot.subplots` returns them: one `Axes`, or an array of them.
    """
    with figure_style():
        options.setdefault("layout", "constrained")
        return plt.subplots(rows, columns, figsize=size, **options)


def caption(figure: Figure, text: str) -> None:
    """Write one sentence under the figure that says what to see: its caption and its alternative text."""
    figure.supxlabel(text, fontsize=9.5, color=INK, x=0.01, ha="left", wrap=True)


def box(
    axes: Axes,
    xy: tuple[float, float],
    size: tuple[float, float],
    text: str,
    colour: str,
    *,
    fontsize: float = 9,
    filled: bool = True,
) -> FancyBboxPatch:
    """Draw a labelled box; `xy` is its lower left corner and `size` its width and height, in the axes' units."""
    patch = FancyBboxPatch(
        xy, width=size[0], height=size[1], boxstyle="round,pad=0,rounding_size=0.06", edgecolor=colour,
        facecolor=colour if filled else "white", alpha=0.35 if filled else 1.0, linewidth=1.2,
    )  # fmt: skip
    axes.add_patch(patch)
    axes.text(xy[0] + size[0] / 2, xy[1] + size[1] / 2, text, ha="center", va="center", fontsize=fontsize, color=INK)
    return patch


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = MUTED, **options: Any
) -> None:
    """Draw an arrow from one point to another, in the axes' units; `options` are those of `FancyArrowPatch`."""
    options.setdefault("mutation_scale", 9)
    options.setdefault("linewidth", 1.1)
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", color=colour, shrinkA=0, shrinkB=0, **options))
