"""What the network costs, as pictures: every number is counted on a live model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Patch
from torch import nn

from ...complexity import PARTS, count_module, part_of
from ...model import LiteHRNet, zeros_like_input
from .style import BRANCH_COLOURS, MUTED, ON_COLOUR, ON_DARK, PART_COLOURS, CourseFigure, caption, new_figure, plain_log

__all__ = ["conventions", "costs_along", "fuse_costs", "part_bars", "pointwise_and_depthwise"]

_NAMES = {part: part.replace("_", "-") for part in PARTS}
_VISIBLE = 0.002  # of the longest bar: shorter bars get no entry in the legend, since they cannot be seen
_CHANNELS = (2, 4, 9, 20, 40, 80, 160, 320)  # at which live convolutions are counted


def part_bars(
    rows: Mapping[str, Mapping[str, float]], label: str, text: str, *, scale: float = 1e6, digits: int = 1
) -> CourseFigure:
    """One stacked bar per row, in the colours of the network's parts.

    Args:
        rows: for every row's name, an amount by part (keys of `PARTS`); a part that is missing counts as 0.
        label: what the axis shows, with its unit.
        text: the sentence under the figure.
        scale: amounts are divided by it.
        digits: decimals of the totals at the bars' ends.
    """
    totals = {name: sum(parts.values()) / scale for name, parts in rows.items()}
    longest = max(totals.values())
    figure, axes = new_figure(size=(9.2, 1.7 + 0.48 * len(rows)))
    for y, (name, parts) in enumerate(rows.items()):
        left = 0.0
        for part in (part for part in PARTS if parts.get(part)):
            width = parts[part] / scale
            axes.barh(y, width, left=left, color=PART_COLOURS[part], edgecolor="white", linewidth=0.8)
            if width > 0.055 * longest:
                light = part in ("fuse", "final")
                axes.text(left + width / 2, y, f"{width:.{digits}f}", ha="center", va="center", fontsize=8.5,
                          color=ON_DARK if light else ON_COLOUR)  # fmt: skip
            left += width
        axes.text(left + 0.008 * longest, y, f"{totals[name]:.{digits}f}", va="center", fontsize=9.5, fontweight="bold")
    least = _VISIBLE * scale * longest
    used = [part for part in PARTS if any(parts.get(part, 0) > least for parts in rows.values())]
    _legend(axes, used)
    axes.set_yticks(range(len(rows)), list(rows))
    axes.set(xlabel=label, xlim=(0, 1.1 * longest))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    caption(figure, text)
    return figure


def _legend(axes: Axes, parts: Sequence[str]) -> None:
    """The parts' colours and names in a row or two above the axes."""
    handles = [Patch(color=PART_COLOURS[part]) for part in parts]
    axes.legend(
        handles, [_NAMES[part] for part in parts], ncols=len(parts) if len(parts) <= 6 else 5, loc="lower left",
        bbox_to_anchor=(-0.01, 1.0), columnspacing=1.2, handlelength=1.0, handletextpad=0.4, frameon=False,
    )  # fmt: skip


def pointwise_and_depthwise() -> CourseFigure:
    """MACs per pixel of a 1x1 and of a depthwise 3x3 convolution, by channels; they cross at 9 channels."""
    figure, axes = new_figure(size=(8.4, 3.9))
    line = np.geomspace(min(_CHANNELS), max(_CHANNELS), 100)
    pointwise = [nn.Conv2d(c, c, 1) for c in _CHANNELS]
    depthwise = [nn.Conv2d(c, c, 3, padding=1, groups=c) for c in _CHANNELS]
    for name, part, values, layers in (
        ("1×1 convolution: C² per pixel", "pointwise", line**2, pointwise),
        ("3×3 depthwise convolution: 9 C per pixel", "depthwise", 9 * line, depthwise),
    ):
        pixels = 4 * 4
        counted = [
            sum(count_module(layer, torch.zeros(1, layer.in_channels, 4, 4)).values()) / pixels for layer in layers
        ]
        axes.plot(line, values, color=PART_COLOURS[part], linewidth=2, label=name)
        axes.plot(_CHANNELS, counted, "o", color=PART_COLOURS[part], markeredgecolor="white", markersize=7)
    axes.annotate(
        "equal at 9 channels", (9, 81), (11.5, 18), fontsize=9, arrowprops={"arrowstyle": "-|>", "color": MUTED}
    )
    axes.set(xscale="log", yscale="log", xlabel="channels C", ylabel="MACs per pixel")
    axes.set_xticks(_CHANNELS, [str(c) for c in _CHANNELS])
    plain_log(axes.yaxis)
    axes.minorticks_off()
    axes.grid(True, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.legend(loc="upper left", frameon=False)
    caption(figure, "Lines: the formulas. Dots: live layers, counted by torch. Beyond 9 channels the 1×1 costs more.")
    return figure


def costs_along(model: LiteHRNet, size: tuple[int, int] = (256, 192)) -> CourseFigure:
    """MACs from the image to the heatmaps: one bar per module, stacked by part.

    Args:
        model: the network that is counted.
        size: (height, width) of the image.
    """
    steps: dict[tuple[int, int], dict[str, float]] = {}
    for name, macs in count_module(model, zeros_like_input(size)).items():
        step = steps.setdefault(_step_of(name), {})
        step[part_of(name)] = step.get(part_of(name), 0) + macs / 1e6
    order = sorted(steps)
    figure, axes = new_figure(size=(9.2, 4.0))
    for x, place in enumerate(order):
        bottom = 0.0
        for part in (part for part in PARTS if part in steps[place]):
            height = steps[place][part]
            axes.bar(x, height, bottom=bottom, color=PART_COLOURS[part], edgecolor="white", linewidth=0.8)
            bottom += height
        axes.text(x, bottom + 0.15, f"{bottom:.1f}", ha="center", fontsize=8.5)
    least = _VISIBLE * max(sum(step.values()) for step in steps.values())
    _legend(axes, [part for part in PARTS if any(step.get(part, 0) > least for step in steps.values())])
    turn = {"rotation": 90} if len(order) > 14 else {"rotation": 45, "ha": "right", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(order)), [_step_name(*place) for place in order], fontsize=8.5, **turn)
    axes.set_ylim(0, 1.08 * axes.get_ylim()[1])
    axes.set(ylabel="MACs, millions")
    caption(
        figure, "From the image to the heatmaps: each module of the stages spends most of its MACs in its fuse step."
    )
    return figure


_AFTER_THE_STAGES = {"head": 98, "final": 99}


def _step_of(name: str) -> tuple[int, int]:
    """Where in the network a convolution of this name runs: (stage, module), in the order of the way through it.

    Stages and modules count from 1. Module 0 of a stage is the transition to it; stage 0 is the stem.
    """
    if found := re.search(r"stage(\d)\.(\d+)\.", name):
        return int(found[1]) + 1, int(found[2]) + 1
    if found := re.search(r"transition(\d)", name):
        return int(found[1]) + 1, 0
    return _AFTER_THE_STAGES.get(part_of(name), 0), 0


def _step_name(stage: int, module: int) -> str:
    names = {0: "stem", _AFTER_THE_STAGES["head"]: "head", _AFTER_THE_STAGES["final"]: "heatmaps"}
    return names.get(stage) or (f"stage {stage}, module {module}" if module else f"to stage {stage}")


def fuse_costs(model: LiteHRNet, size: tuple[int, int] = (256, 192)) -> CourseFigure:
    """MACs of every path of the fuse steps, summed over each stage's modules.

    Args:
        model: the network that is counted.
        size: (height, width) of the image.
    """
    n = len(model.variant.channels)
    tables = np.zeros((3, n, n))
    for name, macs in count_module(model, zeros_like_input(size)).items():
        found = re.search(r"stage(\d)\.\d+\.fuse_layers\.(\d)\.(\d)\.", name)
        if found:
            tables[tuple(int(number) for number in found.groups())] += macs / 1e6
    figure, all_axes = new_figure(1, 3, size=(9.2, 3.5), gridspec_kw={"width_ratios": [2, 3, 4]})
    for stage, (axes, table) in enumerate(zip(all_axes, tables, strict=True)):
        branches = stage + 2
        axes.imshow(table[:branches, :branches], cmap="Blues", vmin=0, vmax=1.6 * tables.max())
        for i, j in np.ndindex(branches, branches):
            axes.text(j, i, f"{table[i, j]:.1f}" if i != j else "none", ha="center", va="center",
                      fontsize=9 if i != j else 8, color=ON_COLOUR)  # fmt: skip
        modules = model.variant.modules[stage]
        axes.set_title(f"stage {stage + 1}, {modules} modules: {table.sum():.1f}M", loc="center", fontsize=10)
        for set_ticks, labels in ((axes.set_xticks, axes.get_xticklabels), (axes.set_yticks, axes.get_yticklabels)):
            set_ticks(range(branches))
            for label, colour in zip(labels(), BRANCH_COLOURS, strict=False):
                label.set(color=colour, fontweight="bold")
        axes.set(xlabel="from branch", anchor="N")
        axes.spines[:].set_visible(False)
        axes.tick_params(length=0)
    all_axes[0].set_ylabel("to branch")
    caption(figure, "MACs in millions. No path dominates: the fuse steps are expensive because they have so many.")
    return figure


def conventions(ours: float, readme: Mapping[str, float], public: float) -> CourseFigure:
    """From the MACs of the convolutions to the number that the README prints, and to what the public code runs.

    Args:
        ours: MACs of all convolutions, each once.
        readme: operations by kind as `litehrnet.complexity.readme_count` gives them.
        public: MACs that the public code runs.
    """
    total = sum(readme.values())
    cheap = {kind: number / 1e6 for kind, number in readme.items() if kind != "convolution" and number >= total / 1000}
    tiny = {kind: number / 1e6 for kind, number in readme.items() if number < total / 1000}
    rows: list[tuple[str, float, float, str, str]] = [
        ("each convolution once", 0.0, ours / 1e6, PART_COLOURS["fuse"], f"{ours / 1e6:.2f}M: ours")
    ]
    left = ours / 1e6
    for kind, number in sorted(cheap.items(), key=lambda item: -item[1]):
        rows.append((f"+ {kind}", left, number, PART_COLOURS["transitions"], f"+ {number:.2f}M"))
        left += number
    if tiny:  # in one row, since each by itself would be too thin to see
        note = " ".join(f"+ {number:.2f}M" for number in tiny.values())
        rows.append((f"+ {', '.join(tiny)}", left, sum(tiny.values()), PART_COLOURS["transitions"], note))
        left += sum(tiny.values())
    rows.append(("the README's counter", 0.0, left, MUTED, f"{left:.2f}M = {total / 2**20:.2f} × 2²⁰"))
    rows.append(("convolutions, as often as\nthe public code runs them", 0.0, public / 1e6, PART_COLOURS["pointwise"],
                 f"{public / 1e6:.2f}M"))  # fmt: skip
    figure, axes = new_figure(size=(9.2, 4.0))
    for y, (_, start, width, colour, note) in enumerate(rows):
        axes.barh(y, width, left=start, color=colour, edgecolor=colour, linewidth=0.8, alpha=0.9)
        axes.text(start + width + 2, y, note, va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [row[0] for row in rows])
    axes.set(xlim=(0, 1.2 * public / 1e6), xlabel="operations, millions")
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0)
    caption(figure, "One network, three numbers: what is counted, how often it runs, and what an M is.")
    return figure
