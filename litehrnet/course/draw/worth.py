"""Accuracy against cost: what is published about pose networks, and what was measured of ours."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.ticker
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from ..published import PUBLISHED, Published
from .style import BLUE, GREEN, GRID, INK, MUTED, ORANGE, caption, new_figure

__all__ = ["accuracy_and_cost"]

# Where a name would cover another dot: its offset from the dot, in points.
_OFFSETS = {
    "Wider naive": (5, -8),
    "Dite-HRNet-18": (-6, 3),
    "HRNet-W32": (-6, 0),
    "RTMPose-t": (-6, 3),
    "Lite-HRNet-30": (6, -6),
}


def accuracy_and_cost(
    measured: Mapping[str, Mapping[str, float]], rows: Sequence[Published] = PUBLISHED, digits: int = 1
) -> Figure:
    """Published accuracy against published multiply-accumulates, and against measured milliseconds.

    Args:
        measured: for up to three kinds of file, such as "plain" and "fused", milliseconds by variant at 256x192.
        rows: what is published.
        digits: decimals of the milliseconds.
    """
    figure, (left, right) = new_figure(1, 2, size=(9.6, 4.4), sharey=True)
    for row in rows:
        own = row.variant is not None
        left.scatter(row.macs, row.ap, s=26, color=BLUE if own else MUTED, zorder=3)
        large = f" {row.size[0]}×{row.size[1]}" if row.size != (256, 192) else ""
        _label(left, row.macs, row.ap, row.name.removesuffix(" Lite-HRNet-18") + large)
    left.set_xscale("log")
    left.xaxis.set_major_formatter(matplotlib.ticker.FuncFormatter(lambda value, _: f"{value:g}"))
    left.set(xlabel="published MACs, millions", ylabel="AP on COCO val2017, %", xlim=(60, 12_000))
    by_variant = {row.variant or row.name: row for row in rows if row.variant and row.size == (256, 192)}
    for (kind, times), marker, colour in zip(measured.items(), "os^", (ORANGE, BLUE, GREEN), strict=False):
        for variant, milliseconds in times.items():
            row = by_variant[variant]
            right.scatter(milliseconds, row.ap, s=30, marker=marker, color=colour, zorder=3)
        right.scatter([], [], s=30, marker=marker, color=colour, label=kind)
    for variant, row in by_variant.items():
        ends = [kind[variant] for kind in measured.values()]
        right.plot(ends, [row.ap] * len(ends), color=MUTED, linewidth=0.8)
        _label(right, max(ends), row.ap, row.name.removesuffix(" Lite-HRNet-18"))
    longest = max(max(times.values()) for times in measured.values())
    right.set(xlabel="measured, ms for one image", xlim=(0, 1.4 * longest))
    right.legend(loc="lower right")
    for axes in (left, right):
        axes.grid(color=GRID)
        axes.set_axisbelow(True)
    caption(
        figure,
        "Left, what is published; the variants of this network are blue. Right, the same four variants, measured on "
        "one machine: fewer multiplications are not always less time.",
    )
    return figure


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    """A name beside its dot."""
    offset = _OFFSETS.get(text, (6, 0))
    axes.annotate(
        text, (x, y), xytext=offset, textcoords="offset points", fontsize=8, color=INK,
        ha="right" if offset[0] < 0 else "left", va="center",
    )  # fmt: skip
