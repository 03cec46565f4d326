"""Exported graphs and their failures, as pictures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from matplotlib.ticker import MaxNLocator

from ..stored import stored_run
from .heatmaps import _overlay, _scale
from .style import (
    GREEN,
    INK,
    MUTED,
    PLAIN_COLOURS,
    VERMILION,
    CourseFigure,
    Table,
    arrow,
    box,
    caption,
    new_figure,
    plain_log,
)

if TYPE_CHECKING:
    from ...runtimes.parity import Parity

__all__ = [
    "constants_wanted",
    "export_kinds",
    "joined_along_height",
    "operators_before_after",
    "outcome_table",
    "parity_chart",
    "right_and_wrong",
    "stored_exports",
    "traced_example",
    "two_maps",
]

GOOD, FAILS = GREEN, VERMILION
# How a cell of a table of outcomes looks: a file that is silently wrong is worse than an error.
OUTCOME_KINDS = {"works": "good", "raises": "bad", "refused": "bad", "wrong": "worst"}
OUTCOME_WORDS = {
    "works": "a right file",
    "raises": "an error, which at least is honest",
    "refused": "before any work, with the reason and what would work",
    "wrong": "a file, no error, and not what was asked for",
}
KINDS = {None: "one size", False: "one size", "batch": "any batch", "size": "any batch and size"}


def constants_wanted() -> CourseFigure:
    """Three requests for adaptive pooling, and what AveragePool's two constants would have to be for each."""
    cases = (
        ("64x48 to 8x6", "kernel_shape = 8, 8", "strides = 8, 8", "fits: write one AveragePool", GOOD),
        ("64x48 to 7x5", "kernel_shape = ?, ?", "strides = ?, ?", "48 to 5: windows of 10 and of 11", FAILS),
        ("HxW to 8x6", "kernel_shape = H / 8 ...", "strides = H / 8 ...", "no number until an image arrives", FAILS),
    )
    figure, axes = new_figure(1, 3, size=(9.5, 3.1))
    for panel, (title, kernel, strides, verdict, colour) in zip(axes, cases, strict=True):
        panel.set(xlim=(0, 10), ylim=(0, 10))
        panel.axis("off")
        box(panel, (1.2, 7.9), (7.6, 1.7), f"adaptive pooling\n{title}", PLAIN_COLOURS["adaptive"])
        arrow(panel, (5, 7.8), (5, 6.5))
        box(panel, (1.2, 2.1), (7.6, 4.3), "", colour, filled=False)
        panel.text(5, 5.6, "AveragePool", ha="center", va="center", fontsize=10, weight="bold")
        panel.text(5, 4.2, kernel, ha="center", va="center", fontsize=9, family="monospace")
        panel.text(5, 3.1, strides, ha="center", va="center", fontsize=9, family="monospace")
        panel.text(5, 1.1, verdict, ha="center", va="center", fontsize=9)
    caption(figure, "Adaptive pooling is given an output size. ONNX's AveragePool is given its windows, as constants.")
    return figure


def outcome_table(rows: Sequence[tuple[str, Mapping[str, tuple[str, str]]]]) -> Table:
    """What each exporter made of each request.

    Args:
        rows: (request, {exporter: (outcome, word)}) each; an outcome is "works", "raises", "refused" or "wrong", and
            the word, one line, says more. An exporter that is missing in a row was not tried.
    """
    columns = list(dict.fromkeys(exporter for _, cells in rows for exporter in cells))
    body: list[list[str | tuple[str, str]]] = []
    for request, cells in rows:
        line: list[str | tuple[str, str]] = [request]
        for exporter in columns:
            outcome, word = cells.get(exporter, ("", "not tried"))
            line.append((f"{outcome}: {word}" if outcome else word, OUTCOME_KINDS.get(outcome, "none")))
        body.append(line)
    seen = {outcome for _, cells in rows for outcome, _ in cells.values()}
    words = " ".join(f"{outcome.capitalize()}: {words}." for outcome, words in OUTCOME_WORDS.items() if outcome in seen)
    return Table(["request", *columns], body, words)


def stored_exports() -> dict[str, Any]:
    """The newest stored run of tools/export_table.py: "machine", "size" and "rows", one per way to export.

    Raises:
        FileNotFoundError: there is none, as in an installation without the checkout.
    """
    return stored_run("export")


def export_kinds(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Poolings and kinds of file by exporter, from the rows of `stored_exports` whose "table" is "kinds"."""
    cells: dict[str, dict[str, tuple[str, str]]] = {}
    for row in rows:
        request = f"{row['pooling']} pooling, {KINDS[row['dynamic']]}"
        if "refused" in row:
            cell = ("refused", "with a reason")
        else:
            cell = ("works" if row["ok"] else "wrong", f"{row['nodes']:,} nodes, {row['seconds']:.0f} s")
        cells.setdefault(request, {})[str(row["exporter"])] = cell
    return outcome_table(list(cells.items()))


def two_maps(expected: np.ndarray, got: np.ndarray) -> CourseFigure:
    """Torch's map and the ONNX file's on one colour scale; their difference beside them where the shapes agree.

    Args:
        expected: (h, w), what is right.
        got: (h, w) of any size.
    """
    panels = [("torch", expected), ("ONNX file", got)]
    if expected.shape == got.shape:
        panels.append(("difference", got - expected))
    limit = max(float(np.abs(expected).max()), float(np.abs(got).max()))
    figure, axes = new_figure(1, len(panels), size=(9.5, 3.4))
    for panel, (name, values) in zip(axes, panels, strict=True):
        image = panel.imshow(values, cmap="RdBu_r", vmin=-limit, vmax=limit)
        panel.set_title(f"{name}: {values.shape[0]}x{values.shape[1]}", loc="left", fontsize=10)
        panel.set(xlabel="column (pixels)", ylabel="row (pixels)")
        for axis in (panel.xaxis, panel.yaxis):
            axis.set_major_locator(MaxNLocator(integer=True))
    figure.colorbar(image, ax=axes, shrink=0.8, label="value")
    if expected.shape == got.shape:
        sentence = "The same shape, but not the same values: no check of shapes would notice."
    else:
        sentence = "Both panels pool the same map, and do not even have the same number of pixels."
    caption(figure, sentence)
    return figure


def operators_before_after(before: Mapping[str, int], after: Mapping[str, int], names: tuple[str, str]) -> CourseFigure:
    """Operators by kind in two graphs, as paired bars.

    Args:
        before, after: counts by operator, as `litehrnet.runtimes.summary` gives them.
        names: what the two graphs are.
    """
    kinds = sorted(before.keys() | after.keys(), key=lambda kind: -max(before.get(kind, 0), after.get(kind, 0)))
    figure, axes = new_figure(size=(9.5, 1.3 + 0.36 * len(kinds)))
    longest = max(max(before.values()), max(after.values()))
    for offset, counts, name, colour in (
        (-0.19, before, names[0], PLAIN_COLOURS["adaptive"]),
        (0.19, after, names[1], PLAIN_COLOURS["computed"]),
    ):
        numbers = [counts.get(kind, 0) for kind in kinds]
        places = np.arange(len(kinds)) + offset
        axes.barh(places, numbers, height=0.36, color=colour, label=f"{name}: {sum(numbers)} nodes")
        for place, number in zip(places, numbers, strict=True):
            axes.text(number + 0.01 * longest, place, str(number), va="center", fontsize=8)
    axes.set(yticks=range(len(kinds)), yticklabels=kinds, xlabel="nodes", xlim=(0, 1.08 * longest))
    axes.invert_yaxis()
    axes.legend(loc="lower right", frameon=False)
    caption(
        figure, "What each graph is made of. A kind with a bar of one colour only was added or removed by the change."
    )
    return figure


def parity_chart(results: Mapping[str, Sequence[Parity]], tolerance: float) -> CourseFigure:
    """The relative difference of every check, on a logarithmic scale, with the tolerance as a line.

    Args:
        results: parities by the name of the file they belong to.
        tolerance: the greatest difference that still counts as equal.
    """
    count = sum(map(len, results.values()))
    figure, axes = new_figure(size=(9.5, 1.3 + 0.26 * (count + len(results))))
    place, ticks, labels = 0.0, [], []
    for name, parities in results.items():
        axes.text(1.3e-8, place, name, va="center", fontsize=9.5, fontweight="bold")
        for parity in parities:
            place += 1
            axes.scatter(
                max(parity.max_rel, 1e-8), place, s=36, color=GOOD if parity.ok else FAILS,
                marker="o" if parity.ok else "X", zorder=3,
            )  # fmt: skip
            ticks.append(place)
            labels.append(f"{parity.size[0]}x{parity.size[1]}, batch {parity.batch}")
        place += 1
    axes.axvline(tolerance, color=MUTED, linestyle="--", linewidth=1.2, label=f"tolerance {tolerance:g}")
    axes.set_yticks(ticks, labels)
    axes.set(ylim=(place - 0.4, -0.7), xscale="log", xlim=(1e-8, 1e2))
    axes.set(xlabel="largest difference / largest value of torch's heatmaps")
    plain_log(axes.xaxis)
    axes.grid(axis="x", color=MUTED, alpha=0.2)
    axes.legend(loc="lower right", bbox_to_anchor=(1.0, 1.0))
    caption(figure, "Green dots are below the tolerance: rounding. Orange crosses are far above it: another function.")
    return figure


def right_and_wrong(crop: np.ndarray, expected: np.ndarray, right: np.ndarray, wrong: np.ndarray) -> CourseFigure:
    """Heatmaps of PyTorch between those of a right file and of a wrong one, with each file's relative difference.

    Args:
        crop: (H, W, 3) uint8.
        expected, right, wrong: heatmaps of PyTorch and of both files, (1, K, h, w).
    """
    figure, axes = new_figure(1, 5, size=(8.4, 3.9), photographs=True, width_ratios=(5, 1, 5, 1, 5))
    panels = (("a right file", right, GOOD), ("PyTorch", expected, MUTED), ("a wrong file", wrong, FAILS))
    for ax, (name, maps, colour) in zip(axes[::2], panels, strict=True):
        _overlay(ax, crop, maps[0].max(axis=0), _scale(expected))
        relative = np.abs(maps - expected).max() / np.abs(expected).max()
        ax.set_title(name if maps is expected else f"{name}: {relative:.0e}", loc="center")
        ax.set_axis_on()
        ax.set(xticks=[], yticks=[])
        for spine in ax.spines.values():
            spine.set(visible=True, color=colour, linewidth=4)
    for ax, sign, colour in zip(axes[1::2], "=\N{NOT EQUAL TO}", (GOOD, FAILS), strict=True):
        ax.text(0.5, 0.5, sign, ha="center", va="center", fontsize=36, color=colour)
        ax.set_axis_off()
    caption(figure, "The number is the largest difference from PyTorch, relative to the largest value.")
    return figure


def traced_example(lines: Sequence[tuple[str, str | None]], example: str) -> CourseFigure:
    """What tracing writes down: the lines of a function on the left, the nodes that one example leaves on the right.

    Args:
        lines: for every line of code, the node that it leaves, or None if the example leaves nothing of it.
        example: what was traced, such as "64 pixels".
    """
    height = 0.42 * len(lines)
    figure, axes = new_figure(size=(3.9, 0.8 + height))
    axes.set(xlim=(0, 3.9), ylim=(-0.15, height + 0.5))
    axes.axis("off")
    axes.text(0.05, height + 0.05, f"the code, run once\non {example}", fontsize=9.5, fontweight="bold")
    axes.text(2.65, height + 0.05, "the file", fontsize=9.5, fontweight="bold")
    for number, (line, node) in enumerate(lines):
        y = height - 0.42 * (number + 1) + 0.1
        kept = line.replace(" ", "\N{NO-BREAK SPACE}")  # an SVG's text loses the spaces that it begins with
        code = axes.text(0.05, y + 0.15, kept, fontsize=9, family="monospace", va="center", color=MUTED)
        if node is None:
            continue
        code.set_color(INK)
        box(axes, (2.65, y), (1.2, 0.3), node, PLAIN_COLOURS["onnx"], fontsize=8.5)
        arrow(axes, (2.05, y + 0.15), (2.6, y + 0.15))
    caption(figure, "Only what the example did is in the file. A grey line left nothing: the file cannot decide again.")
    return figure


def joined_along_height() -> CourseFigure:
    """Two halves of three channels, joined along the channels and along the height, and both in memory order."""
    figure, axes = new_figure(size=(9.0, 3.5))
    axes.set(xlim=(0, 9.0), ylim=(0.1, 3.6))
    axes.axis("off")
    cells = {name: PLAIN_COLOURS["adaptive"] for name in "abc"} | {name: PLAIN_COLOURS["computed"] for name in "xyz"}

    def draw_map(name: str, x: float, y: float) -> None:
        box(axes, (x, y), (0.62, 0.42), name, cells[name], fontsize=10)

    def memory(names: str, x: float) -> None:
        axes.text(x, 0.98, "in memory:", fontsize=9, color=MUTED)
        for number, name in enumerate(names):
            box(axes, (x + 0.6 * number, 0.42), (0.57, 0.4), name, cells[name], fontsize=10)

    axes.text(0.1, 3.35, "joined along the channels", fontsize=10, fontweight="bold")
    for number, name in enumerate("abcxyz"):
        draw_map(name, 0.1 + 0.66 * number, 2.3)
    memory("abcxyz", 0.1)
    axes.text(0.1, 1.6, "six channels; the shuffle still has to move them", fontsize=9)
    axes.text(5.0, 3.35, "joined along the height", fontsize=10, fontweight="bold")
    for number, (upper, lower) in enumerate(zip("abc", "xyz", strict=True)):
        draw_map(upper, 5.0 + 0.8 * number, 2.55)
        draw_map(lower, 5.0 + 0.8 * number, 2.1)
    memory("axbycz", 5.0)
    axes.text(5.0, 1.6, "three channels, twice as high: already shuffled", fontsize=9)
    caption(
        figure, "Each letter is one channel's map. Joined along the height, the maps are interleaved in memory at once."
    )
    return figure
