"""Pooling windows and matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.colors import ListedColormap
from matplotlib.patches import Patch, Rectangle

from ...pooling import adaptive_windows, averaging_matrix, computed_windows, is_exact, pool_params
from .style import GRID, INK, MUTED, PLAIN_COLOURS, CourseFigure, caption, enliven, new_figure

__all__ = ["exactness_map", "pooling_matrices", "pooling_windows", "window_gallery"]

DIFFERENT = "#D55E00"  # the outline of a window that is not adaptive pooling's
EXACT, INEXACT = "#009E73", "#F3C98B"


def _draw_windows(
    axes: Axes,
    input_size: int,
    windows: Sequence[tuple[int, int]],
    colour: str,
    reference: Sequence[tuple[int, int]],
    *,
    labels: bool = True,
) -> None:
    """Pixels as a row of squares; above them one bar per window, output 0 lowest."""
    for pixel in range(input_size):
        axes.add_patch(Rectangle((pixel, -1), 1, 0.8, facecolor="white", edgecolor=MUTED, linewidth=0.8))
        if labels:
            axes.text(pixel + 0.5, -0.6, str(pixel), ha="center", va="center", fontsize=8)
    for row, ((start, end), expected) in enumerate(zip(windows, reference, strict=True)):
        same = (start, end) == expected
        axes.add_patch(
            Rectangle(
                (start + 0.06, row + 0.12), end - start - 0.12, 0.76, facecolor=colour, alpha=0.45, linewidth=0
            )
        )  # fmt: skip
        if not same:
            axes.add_patch(
                Rectangle((start + 0.06, row + 0.12), end - start - 0.12, 0.76, fill=False, edgecolor=DIFFERENT, lw=1.8)
            )
        if labels:
            axes.text((start + end) / 2, row + 0.5, f"y{row}: {end - start}", ha="center", va="center", fontsize=8)
    axes.set(xlim=(-0.2, input_size + 0.2), ylim=(-1.1, len(windows) + 0.1))
    axes.axis("off")


def pooling_windows(input_size: int, output_size: int) -> CourseFigure:
    """The windows of adaptive and of computed pooling on one axis, side by side.

    Each bar is one output: the pixels below it are averaged, and its label gives their number. An outlined bar of
    computed pooling is not the window that adaptive pooling uses.

    Args:
        input_size: pixels before pooling.
        output_size: pixels after pooling, at most `input_size`.
    """
    kernel, stride = pool_params(input_size, output_size)
    adaptive = adaptive_windows(input_size, output_size)
    computed = computed_windows(input_size, output_size)
    differing = sum(a != c for a, c in zip(adaptive, computed, strict=True))
    figure, (left, right) = new_figure(1, 2, size=(9.5, 0.9 + 0.32 * (output_size + 1)))
    _draw_windows(left, input_size, adaptive, PLAIN_COLOURS["adaptive"], adaptive)
    _draw_windows(right, input_size, computed, PLAIN_COLOURS["computed"], adaptive)
    left.set_title(f"adaptive: {input_size} pixels to {output_size}")
    right.set_title(f"computed: kernel {kernel}, stride {stride}")
    verdict = (
        "All windows are the same, so the values are the same."
        if not differing
        else f"{differing} of {output_size} windows (outlined) are not adaptive pooling's."
    )
    caption(figure, f"A bar is one output: the average of the pixels below it, whose number is in the bar. {verdict}")
    enliven(figure, "windows", input=input_size, output=output_size)
    return figure


def window_gallery(pairs: Sequence[tuple[int, int]]) -> CourseFigure:
    """Adaptive beside computed windows for several pairs of sizes, one pair per row; the reader guesses the rule.

    Args:
        pairs: (input size, output size) each, with the output at most the input.
    """
    heights = [2.2 + output_size for _, output_size in pairs]
    figure, axes = new_figure(
        len(pairs), 2, size=(9.5, 0.8 + 0.235 * sum(heights)), squeeze=False, height_ratios=heights
    )  # fmt: skip
    for (input_size, output_size), (left, right) in zip(pairs, axes, strict=True):
        adaptive = adaptive_windows(input_size, output_size)
        computed = computed_windows(input_size, output_size)
        _draw_windows(left, input_size, adaptive, PLAIN_COLOURS["adaptive"], adaptive, labels=False)
        _draw_windows(right, input_size, computed, PLAIN_COLOURS["computed"], adaptive, labels=False)
        kernel, stride = pool_params(input_size, output_size)
        left.set_title(f"{input_size} to {output_size}: adaptive", fontsize=10)
        right.set_title(f"computed, kernel {kernel}, stride {stride}", fontsize=10)
    caption(figure, "Outlined bars are windows that are not adaptive pooling's. At some pairs there are none.")
    return figure


def exactness_map(
    max_input: int, max_output: int, marked: Sequence[tuple[int, int]] = (), label: str = "marked pairs"
) -> CourseFigure:
    """For every pair of sizes: whether computed pooling is exact, inexact or impossible.

    Args:
        max_input: largest input size shown (horizontal axis).
        max_output: largest output size shown (vertical axis).
        marked: (input size, output size) pairs to mark with a ring, such as those that occur in a network.
        label: what the rings are, for the legend.
    """
    kinds = np.full((max_output, max_input), np.nan)  # impossible, 0 inexact, 1 exact
    for output_size in range(1, max_output + 1):
        for input_size in range(output_size, max_input + 1):
            kinds[output_size - 1, input_size - 1] = is_exact(input_size, output_size)
    figure, axes = new_figure(size=(9.5, 1.2 + 8.0 * max_output / max_input))
    axes.imshow(
        kinds, cmap=ListedColormap([INEXACT, EXACT]), vmin=0, vmax=1, origin="lower",
        extent=(0.5, max_input + 0.5, 0.5, max_output + 0.5), aspect="auto",
    )  # fmt: skip
    handles: list[Artist] = [
        Patch(facecolor=EXACT, label="equal to adaptive pooling"),
        Patch(facecolor=INEXACT, label="right size, other values"),
        Patch(facecolor="none", edgecolor=GRID, label="impossible: output larger than input"),
    ]
    shown = [(n, m) for n, m in marked if n <= max_input and m <= max_output]
    if shown:
        columns, rows = zip(*shown, strict=True)
        handles.append(axes.scatter(columns, rows, s=34, facecolor="white", edgecolor=INK, linewidth=1.1, label=label))
    axes.set(xlabel="input size (pixels)", ylabel="output size (pixels)", yticks=[1, *range(5, max_output + 1, 5)])
    axes.legend(
        handles=handles, loc="lower center", bbox_to_anchor=(0.5, 1.0), ncol=len(handles), frameon=False,
        fontsize=9, columnspacing=1.2, handletextpad=0.5,
    )  # fmt: skip
    pairs = [list(pair) for pair in marked]
    enliven(figure, "exactness", maxInput=max_input, maxOutput=max_output, marked=pairs, label=label)
    caption(figure, "Every green ray is a ratio that divides (remainder 0) or leaves one pixel over (remainder 1).")
    return figure


def pooling_matrices(input_size: int, output_size: int) -> CourseFigure:
    """Adaptive and computed pooling as matrices, and their difference: one row per output, one column per pixel.

    Args:
        input_size: pixels before pooling.
        output_size: pixels after pooling, at most `input_size`.
    """
    adaptive = averaging_matrix(input_size, output_size)
    computed = np.zeros_like(adaptive)
    for row, (start, end) in zip(computed, computed_windows(input_size, output_size), strict=True):
        row[start:end] = 1 / (end - start)
    panels = (("adaptive (exact)", adaptive), ("computed", computed), ("computed - adaptive", computed - adaptive))
    figure, axes = new_figure(1, 3, size=(9.5, 1.2 + 2.7 * output_size / input_size))
    for panel, (title, matrix) in zip(axes, panels, strict=True):
        limit = 1.5 * max(adaptive.max(), computed.max())  # short of the map's ends, which a dark page swallows
        seen = np.ma.masked_equal(matrix, 0)  # where nothing is, the page shows through
        image = panel.imshow(seen, cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set(title=title, xlabel="input pixel", xticks=range(0, input_size, 2), yticks=range(output_size))
    axes[0].set_ylabel("output")
    figure.colorbar(image, ax=axes, shrink=0.8, label="weight")
    caption(
        figure,
        "Red: how much of a pixel goes into an output. The third panel is what computed pooling gets wrong.",
    )
    return figure
