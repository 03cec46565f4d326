"""A convolution in memory, the register tile, the plan of buffers, and the network's time by part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np
from matplotlib import colormaps
from matplotlib.axes import Axes
from matplotlib.patches import Patch, Rectangle

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
    Table,
    arrow,
    caption,
    ink_on,
    new_figure,
)

if TYPE_CHECKING:
    from ..c_lab import Lap

__all__ = [
    "layout_races",
    "live_memory",
    "memory_layouts",
    "memory_plan",
    "part_times",
    "race_bars",
    "race_table",
    "register_tile",
    "tile_speeds",
]

WIDTH = 6.6  # inches; a phone shows it at half its size, so its text is as large as the style allows
NETWORK_PARTS = {
    "stem": MUTED,
    "transitions": PURPLE,
    "blocks": ORANGE,
    "fuse step": BLUE,
    "head": GREEN,
    "reorders": YELLOW,
}


def register_tile(rows: int = 8, vectors: int = 3, lanes: int = 16) -> CourseFigure:
    """What the innermost loop of a product holds in registers.

    Args:
        rows: pixels of the tile.
        vectors: vectors of output channels.
        lanes: floats in a vector.
    """
    figure, axes = new_figure(size=(WIDTH, 3.9))
    wide, gap, left, top = 3.0, 0.35, 2.1, 0.0
    for j in range(vectors):
        x = left + j * (wide + gap)
        _register(axes, (x, 1.1), wide, lanes, ORANGE, f"weights {j}")
        for i in range(rows):
            _register(axes, (x, top - i), wide, lanes, BLUE, "sum")
    for i in range(rows):
        axes.add_patch(
            Rectangle((0.55, top - i), 0.75, 0.72, facecolor=GREEN, alpha=0.45, edgecolor=INK, linewidth=0.8)
        )
        axes.text(0.92, top - i + 0.36, f"{i}", ha="center", va="center", fontsize=9, color=INK)
        arrow(axes, (1.36, top - i + 0.36), (left - 0.08, top - i + 0.36), MUTED, mutation_scale=7)
    axes.text(0.92, 1.46, "pixels", ha="center", va="center", fontsize=10, color=INK)
    right = left + vectors * (wide + gap)
    axes.set(xlim=(0.3, right), ylim=(top - rows + 0.6, 2.0))
    axes.axis("off")
    caption(
        figure,
        f"In each step one input channel of {rows} pixels (green) is multiplied by {vectors} vectors of weights "
        f"(orange) and added to {rows * vectors} vectors of sums (blue), which stay in registers until all inputs are "
        "done.",
    )
    return figure


def _register(axes: Axes, at: tuple[float, float], width: float, lanes: int, colour: str, text: str) -> None:
    """A register: a box with as many cells as it holds floats."""
    axes.add_patch(Rectangle(at, width, 0.72, facecolor=colour, alpha=0.4, linewidth=0))
    for k in range(1, lanes):
        axes.plot([at[0] + width * k / lanes] * 2, [at[1], at[1] + 0.72], color="white", linewidth=0.8)
    axes.add_patch(Rectangle(at, width, 0.72, fill=False, edgecolor=INK, linewidth=0.8))
    axes.text(at[0] + width / 2, at[1] + 0.36, text, ha="center", va="center", fontsize=9, color=INK)


def memory_layouts(channels: int = 3, height: int = 2, width: int = 3) -> CourseFigure:
    """The same map in memory, channels first and channels last, and what one pixel of a 1x1 convolution reads."""
    figure, axes = new_figure(size=(WIDTH, 3.1))
    pixels, chosen = height * width, 4
    orders = {
        "channels first: a whole map, then the next": [(c, p) for c in range(channels) for p in range(pixels)],
        "channels last: a whole pixel, then the next": [(c, p) for p in range(pixels) for c in range(channels)],
    }
    for y, (title, cells) in zip((2.2, 0.0), orders.items(), strict=True):
        axes.text(0, y + 1.18, title, fontsize=10, color=INK)
        for k, (c, p) in enumerate(cells):
            axes.add_patch(Rectangle((k, y), 1, 1, facecolor=BRANCH_COLOURS[c], alpha=0.4, edgecolor="white"))
            axes.text(k + 0.5, y + 0.5, f"{'abcdefgh'[c]}{p}", ha="center", va="center", fontsize=9, color=INK)
        for k, (_, p) in enumerate(cells):
            if p == chosen:
                axes.add_patch(Rectangle((k, y), 1, 1, fill=False, edgecolor=INK, linewidth=2.2))
    axes.set(xlim=(-0.1, channels * pixels + 0.1), ylim=(-0.2, 3.9))
    axes.axis("off")
    caption(
        figure,
        f"A map of {height}x{width} pixels with {channels} channels, a to {'abcdefgh'[channels - 1]}. Framed: what a "
        f"1x1 convolution reads for pixel {chosen}: far apart in one order, neighbours in the other.",
    )
    return figure


def race_bars(laps: Sequence[Lap], sentence: str) -> CourseFigure:
    """How many times as fast as the first of a race each of its functions is, with the interval.

    Args:
        laps: as `litehrnet.course.c_lab.Lab.race` returns them.
        sentence: the caption.
    """
    figure, axes = new_figure(size=(WIDTH, 1.1 + 0.42 * len(laps)))
    longest = max(lap.high for lap in laps)
    for y, lap in enumerate(laps):
        axes.barh(y, lap.ratio, color=MUTED if y == 0 else BLUE, height=0.66)
        axes.plot([lap.low, lap.high], [y, y], color=INK, linewidth=1.4)
        axes.text(
            max(lap.ratio, lap.high) + 0.015 * longest, y, f"{lap.ratio:.1f}", va="center", fontsize=10, color=INK
        )
    axes.set(yticks=range(len(laps)), xlim=(0, 1.12 * longest), xlabel=f"times as fast as {laps[0].name}")
    axes.set_yticklabels([lap.name for lap in laps], fontsize=10)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    caption(figure, sentence)
    return figure


def race_table(races: Sequence[Lap] | Mapping[str, Sequence[Lap]]) -> Table:
    """The numbers of a race, or of several: time, ratio to the first with its interval, and parity.

    Args:
        races: laps as `litehrnet.course.c_lab.Lab.race` returns them, or from each race's name to its laps.
    """
    rows = []
    for race, laps in races.items() if isinstance(races, Mapping) else [("", races)]:
        for lap in laps:
            ms = lap.milliseconds
            took = f"{ms:.2f} ms" if ms >= 1 else f"{1000 * ms:.0f} µs" if ms >= 0.02 else f"{1000 * ms:.1f} µs"
            name = f"{race}: {lap.name}" if race else lap.name
            interval = f"{lap.low:.2f} to {lap.high:.2f}"
            rows.append([name, took, f"{lap.ratio:.2f}", interval, f"{lap.difference:.0e}"])
    return Table(["", "time", "times as fast", "95 % interval", "difference"], rows)


def layout_races(races: Mapping[str, Lap]) -> CourseFigure:
    """Channels last against channels first, one bar per map.

    Args:
        races: from what the map is to the lap of channels last, in a race whose first is channels first.
    """
    figure, axes = new_figure(size=(WIDTH, 1.5 + 0.5 * len(races)))
    for y, lap in enumerate(races.values()):
        axes.barh(y, np.log2(lap.ratio), color=GREEN if lap.ratio >= 1 else VERMILION, height=0.62)
        axes.plot(np.log2([lap.low, lap.high]), [y, y], color=INK, linewidth=1.4)
        side = 1 if lap.ratio >= 1 else -1
        edge = np.log2(lap.high if side > 0 else lap.low) + 0.08 * side
        words = f"{lap.ratio:.1f}" if lap.ratio >= 1 else f"{lap.ratio:.2f}"
        axes.text(edge, y, words, ha="left" if side > 0 else "right", va="center", fontsize=10, color=INK)
    reach = max(2.0, *(abs(np.log2(limit)) + 0.6 for lap in races.values() for limit in (lap.low, lap.high)))
    ticks = [k for k in range(-4, 6) if -reach * 0.75 <= k <= reach]
    axes.set(yticks=range(len(races)), yticklabels=list(races), xlim=(-0.75 * reach, reach))
    axes.set_xticks(ticks, [f"{2.0**k:g}" for k in ticks])
    axes.axvline(0, color=INK, linewidth=0.9)
    axes.set_xlabel("channels last: times as fast as channels first")
    axes.tick_params(axis="y", length=0, labelsize=10)
    axes.invert_yaxis()
    caption(
        figure,
        "Each map has half the height and width of the one above it, and twice the channels. "
        "Right of the line, channels last is faster.",
    )
    return figure


def tile_speeds(speeds: Mapping[tuple[int, int], float], peak: float, registers: int) -> CourseFigure:
    """The speed of every shape of tile, as a share of the peak.

    Args:
        speeds: from (pixels, vectors) to GFLOP/s.
        peak: GFLOP/s of multiply-adds alone.
        registers: vector registers of the processor.
    """
    rows, vectors = (sorted({shape[axis] for shape in speeds}) for axis in (0, 1))
    figure, axes = new_figure(size=(WIDTH, 1.7 + 0.42 * len(rows)))
    shares = np.array([[speeds[i, j] / peak for j in vectors] for i in rows])
    shades = colormaps["Blues"](0.1 + 0.75 * shares / max(1.0, shares.max()))
    for y, i in enumerate(rows):
        for x, j in enumerate(vectors):
            axes.add_patch(Rectangle((x - 0.5, y - 0.5), 1, 1, facecolor=shades[y, x], linewidth=0))
            shade = ink_on(shades[y, x])
            axes.text(x, y, f"{shares[y, x]:.0%}", ha="center", va="center", fontsize=10, color=shade)
            if i * j + j + 1 > registers:
                axes.add_patch(
                    Rectangle((x - 0.47, y - 0.45), 0.94, 0.9, fill=False, edgecolor=VERMILION, linewidth=2.2)
                )
    axes.set(
        xticks=range(len(vectors)), xticklabels=vectors, yticks=range(len(rows)), yticklabels=rows,
        xlabel="vectors of outputs", ylabel="pixels", xlim=(-0.5, len(vectors) - 0.5), ylim=(len(rows) - 0.5, -0.5),
    )  # fmt: skip
    axes.tick_params(length=0)
    for side in ("left", "bottom"):
        axes.spines[side].set_visible(False)
    sentence = (
        f"Share of the peak, {peak:.0f} GFLOP/s, that each shape of tile reaches. Framed in "
        f"orange-red: shapes that need more than the {registers} registers that there are."
    )
    if shares.max() > 1.005:
        sentence += " More than 100 %: the processor was faster then than when the peak was measured."
    caption(figure, sentence)
    return figure


def live_memory(
    buffers: Sequence[tuple[int, int, int]], sides: Sequence[int], engine: int | None = None
) -> CourseFigure:
    """When each result of a graph is needed, and how much memory is needed at every step.

    Args:
        buffers: (bytes, first step, last step) of each result.
        sides: the height of the map that each one holds.
        engine: bytes that the C engine takes, for a line.
    """
    figure, (upper, lower) = new_figure(2, 1, size=(WIDTH, 5.6), sharex=True)
    steps = 1 + max(last for _, _, last in buffers)
    colours = _by_side(sides)
    live = {side: np.zeros(steps) for side in colours}
    top = 0.0
    for (size, first, last), side in zip(buffers, sides, strict=True):
        megabytes = size / 1e6
        shown = max(last - first + 1, steps / 300)  # a life of one step would be thinner than a pixel
        upper.add_patch(Rectangle((first, top), shown, megabytes, facecolor=colours[side], linewidth=0))
        live[side][first : last + 1] += megabytes
        top += megabytes
    upper.set(xlim=(0, steps), ylim=(0, top), ylabel="MB, one above the other", title="Life of each result")
    lower.stackplot(range(steps), *live.values(), colors=list(colours.values()), linewidth=0)
    highest = float(np.sum(list(live.values()), axis=0).max())
    if engine:
        lower.axhline(engine / 1e6, color=INK, linewidth=1.2, linestyle="--")
        lower.annotate(
            "all that the C file takes", (steps, engine / 1e6), xytext=(0, 3), textcoords="offset points",
            ha="right", va="bottom", fontsize=9, color=INK,
        )  # fmt: skip
    ceiling = 1.25 * max(highest, (engine or 0) / 1e6)
    lower.set(ylim=(0, ceiling), ylabel="MB", xlabel="step of the graph", title="Needed at the same time")
    _side_legend(figure, colours)
    caption(
        figure, f"All results together have {top:.0f} MB, but no more than {highest:.1f} MB are needed at any time."
    )
    return figure


def memory_plan(buffers: Sequence[tuple[int, int, int]], places: Sequence[int], sides: Sequence[int]) -> CourseFigure:
    """A plan of buffers: each one's place in one block of memory, while it is needed.

    Args:
        buffers: (bytes, first step, last step) of each.
        places: the address of each, in bytes from the block's start.
        sides: the height of the map that each one holds.
    """
    figure, axes = new_figure(size=(WIDTH, 4.2))
    colours = _by_side(sides)
    steps = 1 + max(last for _, _, last in buffers)
    for (size, first, last), place, side in zip(buffers, places, sides, strict=True):
        shown = max(last - first + 1, steps / 600)
        axes.add_patch(Rectangle((first, place / 1e6), shown, size / 1e6, facecolor=colours[side], linewidth=0))
    highest = max(place + size for (size, _, _), place in zip(buffers, places, strict=True)) / 1e6
    axes.set(xlim=(0, steps), ylim=(0, highest), xlabel="step of the graph", ylabel="place in memory (MB)")
    _side_legend(figure, colours)
    alone = highest >= sum(size for size, _, _ in buffers) / 1e6
    how = "each has a place of its own" if alone else "a place is used again as soon as it is free"
    caption(figure, f"All {len(buffers)} results in a block of {highest:.1f} MB: {how}.")
    return figure


def _by_side(sides: Sequence[int]) -> dict[int, str]:
    """A colour for each height of a map: the branches' own, and two more for what is larger and smaller."""
    found = sorted(set(sides), reverse=True)
    own = dict(zip((64, 32, 16, 8), BRANCH_COLOURS, strict=True))
    return {side: own.get(side, MUTED if side > 64 else SKY) for side in found}


def _side_legend(figure: CourseFigure, colours: Mapping[int, str]) -> None:
    """The colour of each height of a map, above the axes."""
    names = [f"{side} rows" if side > 1 else "one pixel" for side in colours]
    figure.legend([Patch(color=colour) for colour in colours.values()], names, loc="outside upper left",
                  ncols=len(names), columnspacing=1.0, handlelength=1.0, frameon=False)  # fmt: skip


def part_times(parts: Mapping[str, Mapping[str, float]]) -> CourseFigure:
    """The network's time by part, one bar per program.

    Args:
        parts: name of a program to {part: milliseconds}, with the parts of `NETWORK_PARTS`.
    """
    figure, axes = new_figure(size=(WIDTH, 1.8 + 0.5 * len(parts)))
    longest = max(sum(own.values()) for own in parts.values())
    for y, own in enumerate(parts.values()):
        left = 0.0
        for part, colour in NETWORK_PARTS.items():
            width = own.get(part, 0.0)
            axes.barh(y, width, left=left, color=colour, edgecolor="white", height=0.64, label=part if y == 0 else None)
            if width > 0.06 * longest:
                shade = ON_DARK if colour in (BLUE, GREEN, MUTED) else ON_COLOUR
                axes.text(left + width / 2, y, f"{width:.1f}", ha="center", va="center", fontsize=9.5, color=shade)
            left += width
        axes.text(left + 0.01 * longest, y, f"{left:.1f} ms", va="center", fontsize=10, color=INK)
    axes.set(yticks=range(len(parts)), xlim=(0, 1.16 * longest), xlabel="milliseconds")
    axes.set_yticklabels(list(parts), fontsize=10)
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="x", color=GRID, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(ncols=3, loc="lower left", bbox_to_anchor=(0, 1.0), columnspacing=1.2, handlelength=1.2)
    caption(figure, "The same network, the same image, the same machine: where each program spends its time.")
    return figure
