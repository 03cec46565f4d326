"""The notebooks' opening pictures: each asks the notebook's question, and none of them comes again below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.patches import Rectangle

from .style import (
    BLUE,
    GREEN,
    GRID,
    INK,
    MUTED,
    ON_COLOUR,
    ON_DARK,
    ORANGE,
    PURPLE,
    VERMILION,
    CourseFigure,
    arrow,
    box,
    caption,
    new_figure,
)

__all__ = ["four_sizes", "rest_of_the_time", "still_to_gain", "two_roads", "work_and_time", "written_in_bits"]

# How each format divides its bits: name, (field, number of bits, colour)
_FORMATS = {
    "float32": (("sign", 1, VERMILION), ("exponent", 8, ORANGE), ("fraction", 23, BLUE)),
    "float16": (("sign", 1, VERMILION), ("exponent", 5, ORANGE), ("fraction", 10, BLUE)),
    "bfloat16": (("sign", 1, VERMILION), ("exponent", 8, ORANGE), ("fraction", 7, BLUE)),
    "int8": (("whole number", 8, GREEN),),
}


def two_roads(crop: np.ndarray) -> CourseFigure:
    """One picture on two roads through the same network, and the question whether both give the same heatmaps.

    Args:
        crop: (H, W, 3) uint8, what the network gets.
    """
    figure, axes = new_figure(size=(9.0, 3.6), photographs=True)
    axes.axis("off")
    height, high = 3.2, 1.35  # of the picture, and of an answer
    width, wide = (side * crop.shape[1] / crop.shape[0] for side in (height, high))
    axes.imshow(crop, extent=(0.1, 0.1 + width, 0.2, 0.2 + height), interpolation="antialiased")
    axes.set(xlim=(0, 9), ylim=(0, 3.6), aspect="equal")
    upper, lower = 2.7, 0.9
    for y, colour, ink, steps in (
        (upper, BLUE, ON_DARK, {4.3: "PyTorch"}),
        (lower, ORANGE, ON_COLOUR, {3.3: "ONNX file", 5.3: "ONNX Runtime"}),
    ):
        at = (0.2 + width, 1.8)
        for left, text in steps.items():
            arrow(axes, at, (left - 0.03, y))
            box(axes, (left, y - 0.35), (1.45, 0.7), "", colour).set_alpha(1)
            axes.text(left + 0.725, y, text, ha="center", va="center", fontsize=10, color=ink)
            at = (left + 1.48, y)
        arrow(axes, at, (6.95, y))
        corner = (7.0, y - high / 2)
        axes.add_patch(Rectangle(corner, wide, high, facecolor=colour, alpha=0.25))
        axes.add_patch(Rectangle(corner, wide, high, fill=False, edgecolor=colour, linewidth=1.4))
        axes.text(7.0 + wide / 2, y, "?", ha="center", va="center", fontsize=22, color=INK)
        arrow(axes, (8.45, 1.8 + (y - 1.8) * 0.4), (7.05 + wide, 1.8 + (y - 1.8) * 0.8))
    axes.text(8.5, 1.8, "the\nsame?", ha="center", va="center", fontsize=12, color=INK)
    caption(figure, "One picture, one network, two programs that run it. Are the heatmaps the same?")
    return figure


def four_sizes(crop: np.ndarray, strides: Sequence[int] = (4, 8, 16, 32)) -> CourseFigure:
    """One person at the resolutions that the network's branches have: detail on one side, overview on the other.

    Args:
        crop: (H, W, 3) uint8, its sides multiples of every stride.
        strides: input pixels along each side of one pixel of the map.

    Raises:
        ValueError: a stride does not divide the crop's sides.
    """
    height, width = crop.shape[:2]
    figure, panels = new_figure(1, len(strides), size=(1.9 * len(strides), 2.9), photographs=True)
    sizes = []
    for panel, stride in zip(panels, strides, strict=True):
        if height % stride or width % stride:
            raise ValueError(f"a crop of {height}x{width} pixels does not divide into squares of {stride}")
        blocks = crop.reshape(height // stride, stride, width // stride, stride, 3)  # (h, stride, w, stride, 3)
        small = blocks.mean(axis=(1, 3)) / 255  # (h, w, 3)
        panel.imshow(small, interpolation="nearest")
        panel.set_title(f"{small.shape[0]}×{small.shape[1]}")
        panel.set_axis_off()
        sizes.append(f"{small.shape[0]}x{small.shape[1]}")
    caption(
        figure,
        f"One person in {', '.join(sizes[:-1])} and {sizes[-1]} pixels. In which would you look for the edge of a "
        "sleeve, and in which for the whole person?",
    )
    return figure


def work_and_time(macs: Mapping[str, float]) -> CourseFigure:
    """How much work two networks have, and an empty place for how long they take.

    Args:
        macs: multiply-accumulates by the network's name, two of them.
    """
    figure, (left, right) = new_figure(1, 2, size=(9.2, 2.3), width_ratios=(1.5, 1))
    most = max(macs.values()) / 1e6
    for y, count in enumerate(macs.values()):
        colour = (PURPLE, ORANGE)[y % 2]
        left.barh(y, count / 1e6, color=colour, height=0.6)
        left.text(count / 1e6 + 0.01 * most, y, f"{count / 1e6:.0f}", va="center", fontsize=10)
        right.barh(y, 1.0, facecolor="none", edgecolor=colour, linestyle="--", linewidth=1.4, height=0.6)
        right.text(0.5, y, "?", ha="center", va="center", fontsize=16)
    left.set(yticks=range(len(macs)), yticklabels=list(macs), xlim=(0, 1.15 * most))
    left.set_title("work: multiply-accumulates, millions")
    right.set(yticks=[], xticks=[], xlim=(0, 1.15), title="time: which one is faster?")
    for panel in (left, right):
        panel.invert_yaxis()
        panel.tick_params(axis="y", length=0)
    right.spines["bottom"].set_visible(False)
    right.spines["left"].set_visible(False)
    caption(
        figure,
        "The same network with channel weighting and with 1x1 convolutions in its place, with equally many channels: "
        "the work is counted. How long does each of them take?",
    )
    return figure


def rest_of_the_time(milliseconds: float, multiplying: float, note: str = "") -> CourseFigure:
    """How long a network takes, and how much of that its multiplications would take at the processor's best speed.

    Args:
        milliseconds: of all kernels.
        multiplying: milliseconds for its multiply-accumulates at the speed of a large matrix product.
        note: added to the caption, such as the date and the machine.
    """
    figure, axes = new_figure(size=(9.5, 1.9))
    axes.barh(0, multiplying, color=BLUE, height=0.6)
    axes.barh(
        0, milliseconds - multiplying, left=multiplying, facecolor="none", edgecolor=MUTED, hatch="//", height=0.6
    )
    middle = (multiplying + milliseconds) / 2
    mark = axes.text(middle, 0, "?", ha="center", va="center", fontsize=20, color=INK)
    mark.set_bbox({"facecolor": "white", "edgecolor": "none", "pad": 4})
    axes.text(0, 0.42, "the multiplications,\nat full speed", ha="left", va="bottom", fontsize=9)
    axes.text(milliseconds, 0.42, f"the network: {milliseconds:.1f} ms", ha="right", va="bottom", fontsize=9)
    axes.set(ylim=(-0.4, 1.0), yticks=[], xlim=(0, 1.02 * milliseconds), xlabel="milliseconds in kernels")
    axes.spines["left"].set_visible(False)
    caption(figure, f"What is the network doing while it does not multiply?{f' {note}' if note else ''}")
    return figure


def still_to_gain(milliseconds: Mapping[str, float], note: str = "") -> CourseFigure:
    """What was gained so far, and an empty bar for the least time that a machine needs.

    Args:
        milliseconds: of the kernels of each graph, by its name.
        note: added to the caption, such as the date and the machine.
    """
    figure, axes = new_figure(size=(9.2, 0.9 + 0.5 * (len(milliseconds) + 1)))
    most = max(milliseconds.values())
    for y, time in enumerate(milliseconds.values()):
        axes.barh(y, time, color=(GRID, BLUE)[min(y, 1)], height=0.62)
        axes.text(time + 0.01 * most, y, f"{time:.1f} ms", va="center", fontsize=10)
    last = len(milliseconds)
    least = min(milliseconds.values())
    axes.barh(last, least, facecolor="none", edgecolor=VERMILION, linestyle="--", linewidth=1.4, height=0.62)
    axes.text(least / 2, last, "?", ha="center", va="center", fontsize=15)
    names = [*milliseconds, "the least possible"]
    axes.set(yticks=range(len(names)), yticklabels=names, xlim=(0, 1.12 * most), xlabel="milliseconds in kernels")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelsize=10)
    caption(figure, f"The rewrites gained this much. How much is left to gain?{f' {note}' if note else ''}")
    return figure


def written_in_bits(value: float, largest: float = 1.0) -> CourseFigure:
    """One weight as each format stores it, bit by bit, and the number that each of them gives back.

    Args:
        value: the weight.
        largest: the largest magnitude among the weights that share its scale, which int8 needs.
    """
    stored = _stored(value, largest)
    figure, axes = new_figure(size=(9.5, 2.7))
    shown: set[str] = set()
    for row, (name, fields) in enumerate(_FORMATS.items()):
        bits, number = stored[name]
        y, x = -1.35 * row, 0
        for kind, count, colour in fields:
            for k in range(count):
                axes.add_patch(Rectangle((x + k, y), 1, 1, facecolor=colour, alpha=0.4, edgecolor=INK, linewidth=0.6))
                axes.text(x + k + 0.5, y + 0.5, bits[x + k], ha="center", va="center", fontsize=8.5)
            if kind not in shown:
                shown.add(kind)
                axes.add_patch(Rectangle((99, 99), 1, 1, facecolor=colour, alpha=0.4, label=kind))
            x += count
        axes.text(-0.4, y + 0.5, name, ha="right", va="center", fontsize=10)
        axes.text(x + 0.5, y + 0.5, f"{number:.6f}", va="center", fontsize=10)
    axes.set(xlim=(-5.2, 37.2), ylim=(-1.35 * len(_FORMATS) + 0.2, 1.1))
    axes.axis("off")
    axes.legend(ncols=len(shown), loc="lower left", bbox_to_anchor=(0.1, 1.0), handlelength=1.2, frameon=False)
    caption(
        figure,
        f"The weight {value:g} in four formats, bit by bit, and the number that comes back. How many of these bits "
        "does a joint need?",
    )
    return figure


def _stored(value: float, largest: float) -> dict[str, tuple[str, float]]:
    """Bits and value of each format of `_FORMATS`."""
    found: dict[str, tuple[str, float]] = {}
    for name, whole in (("float32", torch.int32), ("float16", torch.int16), ("bfloat16", torch.int16)):
        number = torch.tensor(value).to(getattr(torch, name))
        width = 8 * number.element_size()
        found[name] = (format(int(number.view(whole)) % 2**width, f"0{width}b"), float(number))
    scale = largest / 127
    level = max(-127, min(127, round(value / scale)))
    found["int8"] = (format(level % 256, "08b"), level * scale)
    return found
