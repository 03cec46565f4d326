"""Runtimes, precisions and what each costs, in pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from ..stored import stored_run
from .style import (
    BLUE,
    GREEN,
    INK,
    MUTED,
    ORANGE,
    SKY,
    VERMILION,
    YELLOW,
    CourseFigure,
    arrow,
    box,
    caption,
    new_figure,
    plain_log,
)

__all__ = ["channel_ranges", "int8_line", "precision_costs", "roads", "runtime_bars", "stored_devices"]

RUNTIME_COLOURS = {
    "torch": INK,
    "onnxruntime": BLUE,
    "openvino": ORANGE,
    "ncnn": GREEN,
    "c": "#bf0000",
    "executorch": "#00bfdf",
    "litert": "#6000df",
    "mnn": "#00df80",
}  # fmt: skip; eight that readers with any kind of colour vision can tell apart
MARKS = {"float32": "o", "float16": "s", "bfloat16": "D", "int8": "^"}
FULL_NAMES = {"fp32": "float32", "fp16": "float16", "bf16": "bfloat16"}  # of the first edition's runs


def stored_devices() -> dict[str, Any]:
    """The newest stored run of `benchmarks/devices.py`, with the precisions' full names.

    "float16" is a file with float16 weights, "bfloat16" a float32 file that the runtime computes in bfloat16.

    Raises:
        FileNotFoundError: none is stored.
    """
    report = stored_run("devices")
    for row in report["rows"]:
        row["precision"] = FULL_NAMES.get(row["precision"], row["precision"])
    return report


def roads() -> CourseFigure:
    """The roads from a checkpoint to a device, each step of which is proved."""
    figure, axes = new_figure(size=(10.0, 4.3))
    axes.set(xlim=(0, 10), ylim=(0, 4.3))
    axes.axis("off")
    box(axes, (0.05, 1.75), (1.45, 0.8), "LiteHRNet\nin PyTorch", RUNTIME_COLOURS["torch"])
    box(axes, (2.3, 1.75), (1.25, 0.8), "fuse\n(notebook 07)", YELLOW)
    arrow(axes, (1.5, 2.15), (2.3, 2.15))
    rows = (
        (3.45, "export_onnx", "model.onnx", "ONNX Runtime", "server, PC,\nRaspberry Pi", BLUE),
        (2.4, "export_onnx", "model.onnx", "onnxruntime-web", "browser", SKY),
        (1.35, "export_openvino", "model.xml, .bin", "OpenVINO", "Intel PC", ORANGE),
        (0.3, "pnnx\n(export_ncnn)", "model.ncnn.param,\n.bin", "ncnn", "phone,\nArm board", GREEN),
    )
    for y, step, file, runtime, device, colour in rows:
        middle = y + 0.32
        arrow(axes, (3.55, 2.15), (4.15, middle), colour)
        axes.text(4.85, middle, step, ha="center", va="center", fontsize=9, color=INK)
        arrow(axes, (5.5, middle), (5.75, middle), colour)
        box(axes, (5.75, y), (1.5, 0.64), file, colour, fontsize=8.5)
        arrow(axes, (7.25, middle), (7.5, middle), colour)
        box(axes, (7.5, y), (1.35, 0.64), runtime, colour, fontsize=8.5)
        axes.text(8.95, middle, device, ha="left", va="center", fontsize=9, color=INK)
    axes.plot([6.5, 6.5], [0.16, 4.2], color="none")
    caption(figure, "One network, four roads. After every arrow the heatmaps are compared with PyTorch's.")
    return figure


def int8_line(values: Sequence[float], low: float, high: float, levels: int = 16) -> CourseFigure:
    """Numbers beside the levels to which they are rounded.

    Args:
        values: the numbers.
        low, high: the range that the levels cover; what is outside is clipped.
        levels: how many there are; 256 for 8 bits.
    """
    numbers = np.asarray(values, dtype=float)
    step = (high - low) / (levels - 1)
    rounded = np.clip(np.round((numbers - low) / step), 0, levels - 1) * step + low
    figure, axes = new_figure(size=(9.5, 2.3))
    grid = low + step * np.arange(levels)
    axes.hlines(0, min(low, numbers.min()) - step, max(high, numbers.max()) + step, color=MUTED, linewidth=0.8)
    axes.vlines(grid, -0.12, 0.12, color=MUTED, linewidth=1)
    axes.plot(numbers, np.full(len(numbers), 0.6), "o", color=VERMILION, label="float")
    axes.plot(rounded, np.zeros(len(numbers)), "s", color=BLUE, label=f"one of {levels} levels", zorder=3)
    clipped = (numbers < low - step / 2) | (numbers > high + step / 2)
    for value, level, beyond in zip(numbers, rounded, clipped, strict=True):
        arrow(axes, (value, 0.53), (level, 0.08), VERMILION if beyond else MUTED)
    for k, value in enumerate(np.sort(numbers)):
        axes.text(value, 0.72 + 0.2 * (k % 2), f"{value:g}", ha="center", fontsize=9, color=INK)
    axes.set(ylim=(-0.3, 1.15), yticks=[], xlabel="value")
    axes.spines["left"].set_visible(False)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    text = f"The levels are {step:.3g} apart. Each number goes to the nearest."
    caption(figure, f"{text} An orange-red arrow is a number that is clipped." if clipped.any() else text)
    return figure


def channel_ranges(weights: Mapping[str, np.ndarray]) -> CourseFigure:
    """The largest weight of each channel, beside the one number that a scale for all channels must cover.

    Args:
        weights: title to a convolution's weight, (out, in / groups, k, k).
    """
    figure, all_axes = new_figure(1, len(weights), size=(4.8 * len(weights), 3.2), squeeze=False)
    for axes, (title, weight) in zip(all_axes[0], weights.items(), strict=True):
        largest = np.sort(np.abs(weight).reshape(len(weight), -1).max(axis=1))[::-1]
        axes.bar(range(len(largest)), largest, width=1.0, color=SKY, edgecolor="white", linewidth=0.3)
        axes.axhline(largest[0], color=VERMILION, linewidth=1.2)
        axes.text(len(largest) - 0.5, largest[0], "one scale for all", ha="right", va="bottom", fontsize=9, color=INK)
        axes.set(title=title, xlabel="channel, sorted", ylim=(0, 1.15 * largest[0]))
    all_axes[0][0].set_ylabel("largest absolute weight")
    caption(figure, "A channel far below the line would use only a few of the 255 levels: hence one scale per channel.")
    return figure


def _name(row: Mapping[str, Any]) -> str:
    return f"{row['runtime']}, {row['graph']}, {row['precision']}"


def _lines(name: str, width: int = 28) -> str:
    """A name in as many lines as its parts need, for a figure of which a phone shows 290 pixels."""
    lines = [""]
    for part in name.split(", "):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += f"{part}, "
    return "\n".join(line.removesuffix(" ") for line in lines).removesuffix(",")


def _note(report: Mapping[str, Any]) -> str:
    machine, network = report["machine"], report["network"]
    size = "x".join(map(str, network["size"]))
    return f"{network['variant']} at {size}, {machine['processor']}, {machine['date']}"


def runtime_bars(report: Mapping[str, Any]) -> CourseFigure:
    """Milliseconds with one thread, one bar per file, by runtime.

    Args:
        report: as `stored_devices` returns it.
    """
    rows, names = report["rows"], [_lines(_name(row)) for row in report["rows"]]
    heights = np.array([1 + 0.4 * name.count("\n") for name in names])
    places = np.cumsum(heights) - heights / 2
    figure, axes = new_figure(size=(9.5, 1.0 + 0.33 * heights.sum()))
    longest = max(row["ms_1"] for row in rows)
    for y, row in zip(places, rows, strict=True):
        colour = RUNTIME_COLOURS[row["runtime"]]
        axes.barh(y, row["ms_1"], color=colour, alpha=0.95 if row["graph"] == "fused" else 0.5, height=0.7)
        axes.text(row["ms_1"] + 0.01 * longest, y, f"{row['ms_1']:.1f} ms", va="center", fontsize=9, color=INK)
    axes.set(
        yticks=places, yticklabels=names, xlim=(0, 1.12 * longest), ylim=(heights.sum(), 0),
        xlabel="milliseconds for one image, one thread",
    )  # fmt: skip
    caption(figure, f"Pale: the plain graph. Full: the fused one. {_note(report)}.")
    return figure


def precision_costs(report: Mapping[str, Any]) -> CourseFigure:
    """How far the joints of renderings move against how fast the file is: what a precision costs.

    Args:
        report: as `stored_devices` returns it.
    """
    figure, axes = new_figure(size=(9.0, 4.8))
    shown = {row["runtime"] for row in report["rows"]}
    for row in report["rows"]:
        kind, colour = row["precision"].split(",")[0], RUNTIME_COLOURS[row["runtime"]]
        face = colour if row["graph"] == "fused" else "white"
        place = row["ratio_1"][0], row["renderings"]["shift"]
        axes.plot(*place, MARKS[kind], color=colour, markersize=9, markerfacecolor=face, markeredgewidth=1.6)
    for runtime, colour in RUNTIME_COLOURS.items():
        if runtime in shown:
            axes.plot([], [], "o", color=colour, label=runtime)
    for kind, mark in MARKS.items():
        axes.plot([], [], mark, color=MUTED, label=kind)
    axes.plot([], [], "o", color=MUTED, markerfacecolor="white", label="plain graph")
    axes.axvline(1, color=MUTED, linewidth=1)
    axes.set_yscale("symlog", linthresh=0.1)
    axes.set(
        xlabel="times as fast as ONNX Runtime with the plain float32 file",
        ylabel="mean shift of joints (input pixels)",
        ylim=(-0.02, 2.5 * max(0.1, *(row["renderings"]["shift"] for row in report["rows"]))),
    )
    plain_log(axes.yaxis)
    axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    caption(figure, f"Right is faster, down is nearer to PyTorch. Filled: the fused graph.\n{_note(report)}.")
    return figure
