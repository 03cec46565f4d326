"""Speed in pictures: where the time goes, what the rewrites do to tensors, ratios, and the roofline."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib.axes import Axes
from matplotlib.container import BarContainer
from matplotlib.patches import Rectangle

from .style import (
    BLUE,
    BRANCH_COLOURS,
    GREEN,
    GRID,
    INK,
    MUTED,
    ON_COLOUR,
    ON_DARK,
    ORANGE,
    PURPLE,
    SKY,
    VERMILION,
    YELLOW,
    CourseFigure,
    arrow,
    box,
    caption,
    enliven,
    new_figure,
    plain_log,
)

if TYPE_CHECKING:
    from ...measure.profile import Kernel, Peaks
    from ...measure.report import Row

__all__ = [
    "blocked_layout",
    "followed_channels",
    "fuse_sums",
    "roofline",
    "speed_bars",
    "time_by_kind",
    "time_lines",
]

KIND_COLOURS = {
    "convolution": BLUE,
    "reorder": VERMILION,
    "shuffle and halves": ORANGE,
    "weights and sums": YELLOW,
    "pooling": GREEN,
    "upsampling": SKY,
    "other": MUTED,
}
# Beside the colours, because seven of them cannot all be told apart without red and green.
KIND_HATCHES = {"reorder": "////", "weights and sums": "||||", "upsampling": "\\\\\\\\", "other": "xxxx"}
GRAPH_COLOURS = {"public graph": GRID, "plain export": MUTED, "fused": BLUE, "fused, blocks of 8": ORANGE}


def time_by_kind(profiles: Mapping[str, Mapping[str, float]], note: str = "") -> CourseFigure:
    """Kernel time by what it is spent on, one bar per graph.

    Args:
        profiles: name of a graph to {kind: milliseconds}, kinds as in `litehrnet.measure.profile.KINDS`.
        note: added to the caption, such as the date and the machine.
    """
    figure, axes = new_figure(size=(9.5, 1.9 + 0.55 * len(profiles)))
    longest = max(sum(parts.values()) for parts in profiles.values())
    for y, parts in enumerate(profiles.values()):
        left = 0.0
        for kind, colour in KIND_COLOURS.items():
            width = parts.get(kind, 0.0)
            if not width:
                continue
            axes.barh(
                y, width, left=left, color=colour, edgecolor="white", height=0.62, label=kind if y == 0 else None,
                hatch=KIND_HATCHES.get(kind),
            )  # fmt: skip
            if width > 0.045 * longest:
                shade = ON_DARK if colour == BLUE else ON_COLOUR
                number = axes.text(
                    left + width / 2, y, f"{width:.1f}", ha="center", va="center", fontsize=9, color=shade
                )
                number.set_bbox({"facecolor": colour, "edgecolor": "none", "pad": 1.5})
            left += width
        axes.text(left + 0.01 * longest, y, f"{left:.1f} ms", va="center", fontsize=10, color=INK)
    axes.set(
        yticks=range(len(profiles)),
        yticklabels=list(profiles),
        xlim=(0, 1.1 * longest),
        xlabel="milliseconds in kernels",
    )
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.legend(ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), columnspacing=1.2, handlelength=1.2)
    caption(figure, f"Where ONNX Runtime spends its time.{f' {note}' if note else ''}")
    return figure


def time_lines(
    profiles: Mapping[str, Sequence[Kernel]], steps: Mapping[str, Sequence[Kernel]] | None = None
) -> CourseFigure:
    """Every kernel as a strip as wide as its time, in the order in which they run, one line per graph.

    Args:
        profiles: name of a graph to its kernels.
        steps: the graphs between which a reader may go back and forth on the site, in order, each made from the one
            before; without it the figure does not move.
    """
    figure, axes = new_figure(len(profiles), 1, size=(9.5, 0.9 + 0.95 * len(profiles)), sharex=True, squeeze=False)
    for (name, kernels), panel in zip(profiles.items(), axes[:, 0], strict=True):
        start = 0.0
        for kernel in kernels:
            width = kernel.microseconds / 1000
            colour = KIND_COLOURS[kernel.kind]
            panel.add_patch(Rectangle((start, 0), width, 1, facecolor=colour, linewidth=0, rasterized=True))
            start += width
        panel.set(ylim=(0, 1), yticks=[], title=f"{name}: {len(kernels):,} kernels, {start:.1f} ms")
        panel.spines["left"].set_visible(False)
        panel.set_xlim(left=0)
    axes[0, 0].set_xlim(0, max(sum(k.microseconds for k in kernels) for kernels in profiles.values()) / 1000)
    axes[-1, 0].set_xlabel("milliseconds")
    figure.legend(
        [Rectangle((0, 0), 1, 1, color=colour) for colour in KIND_COLOURS.values()], KIND_COLOURS,
        loc="outside upper left", ncols=7, columnspacing=1.2, handlelength=1.0,
    )  # fmt: skip
    if steps:
        kernels = [kernel for ran in steps.values() for kernel in ran]
        operators = {kernel.op: list(KIND_COLOURS).index(kernel.kind) for kernel in kernels}
        numbers = {op: number for number, op in enumerate(operators)}
        enliven(
            figure,
            "rewrites",
            kinds=[[kind, colour] for kind, colour in KIND_COLOURS.items()],
            operators=[[op, kind] for op, kind in operators.items()],
            steps=[
                {
                    "name": name,
                    "ops": [numbers[kernel.op] for kernel in ran],
                    "microseconds": [round(kernel.microseconds, 1) for kernel in ran],
                }
                for name, ran in steps.items()
            ],
        )
    caption(figure, "A strip is a kernel, as wide as its time. Orange-red strips only move data between layouts.")
    return figure


def speed_bars(rows: Sequence[Row]) -> CourseFigure:
    """How many times as fast as the first graph of its group each graph is, with the interval of the median.

    Args:
        rows: of a report; a group shares runtime, thread count, size and variant (the name before the colon).
    """
    groups: dict[str, list[Row]] = {}
    for row in rows:
        variant = row.name.split(": ")[0] if ": " in row.name else ""
        threads = f", {row.threads} threads" if row.threads > 1 else ""
        groups.setdefault(f"{variant} {row.size[0]}x{row.size[1]}\n{row.runtime}{threads}".strip(), []).append(row)
    compared = {group[0].name.split(": ")[-1] for group in groups.values()}
    first = f"the {compared.pop()}" if len(compared) == 1 else "the first graph of the group"
    bars = sum(len(group) - 1 for group in groups.values())
    figure, axes = new_figure(size=(9.5, 1.3 + 0.21 * bars + 0.16 * len(groups)))
    y, ticks = 0.0, []
    shown: dict[str, BarContainer] = {}
    for group in groups.values():
        top = y
        for row in group[1:]:  # the first is the line at 1
            graph = row.name.split(": ")[-1]
            colour = GRAPH_COLOURS.get(graph, GREEN)
            handle = axes.barh(y, row.ratio, height=0.85, color=colour, zorder=2)
            shown.setdefault(graph, handle)
            axes.plot([row.low, row.high], [y, y], color=INK, linewidth=1.2, zorder=3)
            axes.text(max(row.ratio, row.high) + 0.02, y, f"{row.ratio:.2f}", va="center", fontsize=8, color=INK)
            y += 1
        ticks.append((top + y - 1) / 2)
        y += 0.8
    axes.set_yticks(ticks, list(groups), fontsize=8.5)
    axes.tick_params(axis="y", length=0)
    axes.axvline(1, color=INK, linewidth=0.8, zorder=1)
    axes.grid(axis="x", zorder=0)
    axes.invert_yaxis()
    axes.set(xlabel=f"times as fast as {first}", xlim=(0, max(row.high for row in rows) + 0.25))
    axes.legend(list(shown.values()), list(shown), ncols=4, loc="lower left", bbox_to_anchor=(0, 1.0), handlelength=1.2)
    caption(
        figure,
        f"Right of the line at 1, {first}, is faster. A thin line is the 95 % interval of a ratio.",
    )
    return figure


def _cells(
    axes: Axes, x: float, y: float, labels: Sequence[int | str], colours: Sequence[str], width: float = 1.0
) -> None:
    """A row of labelled squares, from (x, y) to the right."""
    for k, (label, colour) in enumerate(zip(labels, colours, strict=True)):
        axes.add_patch(
            Rectangle((x + k * width, y), width, 1, facecolor=colour, alpha=0.45, edgecolor=INK, linewidth=0.8)
        )
        axes.text(x + (k + 0.5) * width, y + 0.5, str(label), ha="center", va="center", fontsize=9, color=INK)


def followed_channels(orders: Sequence[Sequence[int]]) -> CourseFigure:
    """A shuffle that moves the channels, beside a layout that follows them.

    Args:
        orders: for each block, the number of the channel at each position in memory (`Layout.numbers`), without dead
            channels.
    """
    n = len(orders[0])
    half = n // 2
    figure, axes = new_figure(1, 2, size=(9.5, 1.1 + 0.95 * len(orders)))
    for panel, title in zip(axes, ("the public network moves the channels", "the fused one follows them"), strict=True):
        panel.set(xlim=(-3.4, n + 0.2), ylim=(-len(orders) * 1.7 + 0.4, 1.3), title=title)
        panel.axis("off")
    for step, order in enumerate(orders):
        y = -1.7 * step
        label = f"before block {step + 1}" if step + 1 < len(orders) else "after"
        # A channel keeps the colour it was born with: its position in memory.
        born = {number: position for position, number in enumerate(order)}
        colours = [BLUE if position < half else ORANGE for position in range(n)]
        moved = [colours[born[number]] for number in range(n)]
        _cells(axes[0], 0, y, range(n), moved)
        _cells(axes[1], 0, y, order, colours)
        for panel in axes:
            panel.text(-0.3, y + 0.5, label, ha="right", va="center", fontsize=9, color=INK)
        if step + 1 == len(orders):
            break
        after = {number: position for position, number in enumerate(orders[step + 1])}
        for number in range(n):
            target = {position: number for number, position in after.items()}[born[number]]
            arrow(axes[0], (number + 0.5, y - 0.05), (target + 0.5, y - 0.65), mutation_scale=6)
        for panel, worked_on in ((axes[0], range(half, n)), (axes[1], [order.index(k) for k in range(half, n)])):
            for position in worked_on:
                panel.plot([position + 0.08, position + 0.92], [y + 0.07] * 2, color=VERMILION, linewidth=3)
    enliven(figure, "channels", orders=[list(order) for order in orders])
    caption(
        figure,
        "Numbers: index in the public network. Orange-red underline: what the block works on.\n"
        "On the right nothing moves; only the numbers change.",
    )
    return figure


def blocked_layout() -> CourseFigure:
    """The same tensor in memory: one channel after the other, and in blocks of channels."""
    channels, pixels, block = 5, 3, 4
    padded = 8  # whole blocks
    figure, axes = new_figure(size=(9.5, 2.9))
    palette = [BLUE, ORANGE, GREEN, PURPLE, VERMILION]
    plain = [(c, p) for c in range(channels) for p in range(pixels)]
    blocked = [(c + k, p) for c in range(0, padded, block) for p in range(pixels) for k in range(block)]
    for y, cells, title in (
        (2.4, plain, "NCHW: channel after channel"),
        (0.0, blocked, f"blocked: pixel by pixel, {block} channels side by side"),
    ):
        width = 24 / len(blocked)
        labels = [f"{'abcde'[c]}{p}" if c < channels else "" for c, p in cells]
        colours = [palette[c] if c < channels else "white" for c, p in cells]
        _cells(axes, 0, y, labels, colours, width)
        axes.text(0, y + 1.2, title, fontsize=10, color=INK)
        if cells is blocked:
            for start in range(0, len(cells), block):
                axes.add_patch(Rectangle((start * width, y), block * width, 1, fill=False, edgecolor=INK, linewidth=2))
    axes.set(xlim=(-0.1, 24.1), ylim=(-0.3, 4.1))
    axes.axis("off")
    caption(
        figure,
        f"{channels} channels (letters) of {pixels} pixels. A load takes a whole block; empty squares fill the last.",
    )
    return figure


def _indexed(letter: str, *indices: int) -> str:
    """A letter with indices below it, as characters: an SVG would set a formula's too small for a phone."""
    return letter + "".join("₀₁₂₃₄₅₆₇₈₉"[index] for index in indices)


def fuse_sums() -> CourseFigure:
    """Row 0 of the fuse step: summed at full size, and summed where the maps are small."""
    channels = (40, 80, 160, 320)
    figure, axes = new_figure(1, 2, size=(9.5, 3.9))
    for panel, title in zip(axes, ("as written: three large maps are added", "the same sum, small first"), strict=True):
        panel.set(xlim=(0, 10), ylim=(0, 10), title=title)
        panel.axis("off")
        for j in range(4):
            box(
                panel,
                (0.1, 8.1 - 2.4 * j),
                (1.5, 1.2),
                f"{_indexed('x', j)}\n{channels[j]}",
                BRANCH_COLOURS[j],
            )
    for panel in axes:
        arrow(panel, (1.65, 8.7), (8.3, 8.7))
        panel.text(8.75, 8.7, "+", ha="center", va="center", fontsize=15, color=INK)
        panel.text(9.2, 8.7, "y₀", va="center", fontsize=10, color=INK)
    for j in range(1, 4):
        y = 8.7 - 2.4 * j
        for panel in axes:
            arrow(panel, (1.65, y), (2.5, y))
            box(panel, (2.55, y - 0.55), (1.4, 1.1), _indexed("f", 0, j), MUTED)
        arrow(axes[0], (4.0, y), (4.9, y))
        box(axes[0], (4.95, y - 0.55), (1.9, 1.1), f"up {2**j}", SKY)
        arrow(axes[0], (6.9, y), (8.55 + 0.2 * (j - 1), 8.3))
        # Small first: one column of sums, from the smallest map up.
        if j < 3:
            arrow(axes[1], (4.0, y), (8.3, y))
            axes[1].text(8.75, y, "+", ha="center", va="center", fontsize=15, color=INK)
        else:
            axes[1].plot([4.0, 8.75], [y, y], color=MUTED, linewidth=1.1)
        lower = y if j == 3 else y + 0.35
        arrow(axes[1], (8.75, lower), (8.75, y + 0.75))
        box(axes[1], (7.95, y + 0.78), (1.6, 0.9), "up 2", SKY)
        arrow(axes[1], (8.75, y + 1.7), (8.75, y + 2.1))
    caption(
        figure,
        "Upsampling by 4 is upsampling by 2, twice. So sums form on small maps, and one large map is left to add.",
    )
    return figure


def roofline(kernels: Sequence[Kernel], peaks: Peaks) -> CourseFigure:
    """Every kernel by its arithmetic intensity and its speed, under the limits of the machine.

    Args:
        kernels: as `litehrnet.measure.profile.profile` returns them; those without MACs are left out.
        peaks: of the same machine.
    """
    figure, axes = new_figure(size=(9.5, 4.4))
    groups = {
        "1x1 and 3x3 convolutions": (BLUE, [k for k in kernels if k.macs and not k.depthwise and k.output[-1] > 1]),
        "depthwise convolutions": (ORANGE, [k for k in kernels if k.depthwise]),
        "convolutions on one pixel": (MUTED, [k for k in kernels if k.macs and not k.depthwise and k.output[-1] == 1]),
    }
    for name, (colour, group) in groups.items():
        if not group:
            continue
        intensity = np.array([k.macs / k.bytes for k in group])
        speed = np.array([k.macs / k.microseconds / 1e3 for k in group])
        area = np.array([k.microseconds for k in group])
        together = f"{name}: {area.sum() / 1000:.1f} ms"
        axes.scatter(
            intensity,
            speed,
            s=area,
            color=colour,
            alpha=0.7,  # on a dark page, fainter dots are hard to see
            linewidths=0,
            label=together,
            zorder=3,
            rasterized=len(group) > 200,
        )
    x = np.geomspace(0.02, 60, 100)
    axes.plot(x, np.minimum(peaks.gmacs, x * peaks.cached_copy), color=INK, linewidth=1.4, zorder=2)
    axes.plot(x, np.minimum(peaks.gmacs, x * peaks.copy), color=INK, linewidth=1.0, linestyle="--", zorder=2)
    axes.text(55, peaks.gmacs * 1.12, f"matrix product: {peaks.gmacs:.0f} GMAC/s", ha="right", fontsize=9, color=INK)
    for name, rate, side, gap in (("cache", peaks.cached_copy, "bottom", 1.15), ("memory", peaks.copy, "top", 0.85)):
        # Along its line, on the side that is away from the other one.
        axes.text(
            0.024, 0.024 * rate * gap, f"copy in {name}: {rate:.0f} GB/s", va=side, fontsize=9, color=INK,
            rotation=math.degrees(math.atan(rate * gap)), rotation_mode="anchor", transform_rotates_text=True,
        )  # fmt: skip
    axes.set(xscale="log", yscale="log", xlim=(0.02, 60), ylim=(0.02, peaks.gmacs * 2.2))
    axes.set(xlabel="MACs per byte moved", ylabel="GMAC/s")
    plain_log(axes.xaxis, axes.yaxis)
    axes.grid(color=GRID, linewidth=0.6)
    axes.legend(loc="lower right")
    caption(
        figure,
        "A dot is a kernel, its area its time. Bytes are the limit on the slanted lines, arithmetic on the level one.",
    )
    return figure
