"""The network and its blocks, drawn from live modules: every shape and number in these figures is theirs."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import torch
from matplotlib.axes import Axes
from matplotlib.patches import Circle, Rectangle
from torch import Tensor, nn

from ...blocks import ConditionalChannelWeighting, FuseStep, ShuffleUnit
from ...complexity import count_module
from ...model import LiteHRNet, zeros_like_input
from .style import (
    BRANCH_COLOURS,
    INK,
    MUTED,
    ON_COLOUR,
    PART_COLOURS,
    CourseFigure,
    arrow,
    box,
    caption,
    enliven,
    new_figure,
)

__all__ = [
    "block_pair",
    "branch_maps",
    "four_resolutions",
    "fuse_paths",
    "number_maps",
    "shuffled_channels",
    "tidy_and_real",
]

_SMALL = 8  # points; nothing in a figure is smaller
_ROWS = (3.2, 1.98, 1.1, 0.46)  # of the four branches, in inches from below
_COLUMNS = (2.95, 4.72, 6.49)  # of the three stages


def _canvas(width: float, height: float) -> tuple[CourseFigure, Axes]:
    """An empty sheet whose unit is the inch, so that lengths on it can be computed."""
    figure, axes = new_figure(size=(width, height))
    axes.set(xlim=(0, width), ylim=(0, height), aspect="equal")
    axes.axis("off")
    return figure, axes


def _million(number: float) -> str:
    return f"{number / 1e6:.2f}M" if number >= 1e4 else f"{number:,.0f}"


def _shape(tensor: Tensor) -> str:
    return "×".join(str(side) for side in tensor.shape[1:])


def _map(
    axes: Axes, centre: tuple[float, float], tensor: Tensor, colour: str, scale: float, sheets: int = 3
) -> tuple[float, float]:
    """A feature map as a small pile of sheets in its true proportions; returns the x of its left and right edge."""
    height, width = (side * scale for side in tensor.shape[-2:])
    shift = 0.045
    for k in reversed(range(sheets)):
        corner = (centre[0] - width / 2 + k * shift, centre[1] - height / 2 + k * shift)
        axes.add_patch(Rectangle(corner, width, height, facecolor="white", edgecolor="none", zorder=3))
        axes.add_patch(Rectangle(corner, width, height, facecolor=colour, alpha=0.4, edgecolor="none", zorder=3))
        axes.add_patch(Rectangle(corner, width, height, fill=False, edgecolor=colour, linewidth=1.0, zorder=3))
    label = axes.text(
        centre[0], centre[1] - height / 2 - 0.07, _shape(tensor), ha="center", va="top", fontsize=_SMALL, zorder=6
    )
    label.set_bbox({"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 0.6})
    return centre[0] - width / 2, centre[0] + width / 2 + (sheets - 1) * shift


def four_resolutions(model: LiteHRNet, size: tuple[int, int] = (256, 192)) -> CourseFigure:
    """The whole network: how the resolutions separate, run side by side, exchange and join again.

    Args:
        model: the network; it runs once, on zeros, and its maps give the shapes.
        size: (height, width) of the image.

    Returns:
        The figure: maps to scale among themselves (the image, drawn at a quarter, is not), channels x height x width.
    """
    images = zeros_like_input(size).to(next(model.parameters()))
    with torch.no_grad():
        stem = model.backbone.stem(images)
        stages = model.backbone.stages(images)
        features = model.backbone.head_layer(stages[-1])
        heatmaps = model.head(features)
    figure, axes = _canvas(9.6, 4.45)
    scale = 1.0 / max(stem.shape[-2:])
    top = _ROWS[0]
    _, image_right = _map(axes, (0.55, top), images, MUTED, scale / 4, sheets=1)
    stem_left, stem_right = _map(axes, (1.6, top), stem, PART_COLOURS["stem"], scale)
    features_left, features_right = _map(axes, (8.0, top), features, PART_COLOURS["head"], scale)
    heatmaps_left, _ = _map(axes, (9.05, top), heatmaps, PART_COLOURS["final"], scale)
    arrow(axes, (image_right + 0.03, top), (stem_left - 0.03, top))
    arrow(axes, (features_right + 0.03, top), (heatmaps_left - 0.03, top))
    circles = _stages(axes, stages, stem_right, scale)
    for upper, lower in itertools.pairwise(circles):
        arrow(axes, (lower[0], lower[1] + 0.07), (upper[0], upper[1] - 0.08), PART_COLOURS["head"], linewidth=1.8)
    arrow(axes, (circles[0][0] + 0.08, top), (features_left - 0.03, top), PART_COLOURS["head"])
    _titles(axes, model.variant.modules)
    caption(
        figure,
        "Four resolutions run side by side; at the end of every module each branch hears from all others (⊕, the fuse "
        "step, drawn once for a stage). Labels: channels×height×width.",
    )
    return figure


def _stages(
    axes: Axes, stages: Sequence[Sequence[Tensor]], stem_right: float, scale: float
) -> list[tuple[float, float, str]]:
    """The maps of every stage and the arrows to them; returns the last stage's circles, as `_exchange` does."""
    circles = [(stem_right - 0.04, _ROWS[0], MUTED)]  # where the first stage's arrows start
    for x, maps in zip(_COLUMNS, stages, strict=True):
        spans = [_map(axes, (x, _ROWS[j]), m, BRANCH_COLOURS[j], scale) for j, m in enumerate(maps)]
        for j, (left, _) in enumerate(spans):
            start_x, start_y, colour = circles[min(j, len(circles) - 1)]
            arrow(axes, (start_x + 0.07, start_y), (left - 0.03, _ROWS[j]), colour)
        circles = _exchange(axes, x + 0.8, _ROWS, spans)
    return circles


def _titles(axes: Axes, modules: Sequence[int]) -> None:
    """What each column of the network is, above it, and what the head does, beside its arrows."""
    titles = [(0.55, "image\n(at a quarter)"), (1.6, "stem"), (8.0, "head"), (9.05, "heatmaps")]
    titles += [(x, f"stage {i + 1}\n{n} modules") for i, (x, n) in enumerate(zip(_COLUMNS, modules, strict=True))]
    for x, text in titles:
        axes.text(x, 4.32, text, ha="center", va="top", fontsize=9.5, fontweight="bold")
    steps = "from the smallest up:\nupsample, add, depthwise\nand 1×1 convolution"
    axes.text(7.55, 1.54, steps, fontsize=_SMALL, va="center")


def _exchange(
    axes: Axes, x: float, rows: Sequence[float], spans: Sequence[tuple[float, float]]
) -> list[tuple[float, float, str]]:
    """All-to-all lines from a stage's maps to one circle per branch; returns the circles' places and colours."""
    for j, (_, right) in enumerate(spans):
        for i in range(len(spans)):
            axes.plot([right + 0.02, x - 0.06], [rows[j], rows[i]], color=BRANCH_COLOURS[j], linewidth=0.9, alpha=0.8)
    for i in range(len(spans)):
        axes.add_patch(Circle((x, rows[i]), 0.07, facecolor="white", edgecolor=INK, linewidth=0.9, zorder=4))
        axes.plot([x - 0.045, x + 0.045], [rows[i]] * 2, color=INK, linewidth=0.9, zorder=5)
        axes.plot([x] * 2, [rows[i] - 0.045, rows[i] + 0.045], color=INK, linewidth=0.9, zorder=5)
    return [(x, rows[i], BRANCH_COLOURS[i]) for i in range(len(spans))]


def branch_maps(maps: Sequence[Tensor], image: np.ndarray) -> CourseFigure:
    """What each branch holds for one image: the mean over its channels, in true relative size.

    Args:
        maps: branches (1, C_i, H_i, W_i), largest first.
        image: the image that went in, H x W x 3 uint8, shown on the left.
    """
    pictures = [m[0].detach().mean(0).numpy() for m in maps]
    height, width = pictures[0].shape
    least = 0.55 * width  # so that a small map keeps space for its title
    rooms = [max(w, least) for w in (width, *(picture.shape[1] for picture in pictures))]
    figure, (first, *others) = new_figure(
        1, len(rooms), size=(9.2, 3.2), photographs=True, gridspec_kw={"width_ratios": rooms}
    )  # fmt: skip
    _place(first, image, None, (height, width), (height, rooms[0]))
    first.set_title(f"image\n{image.shape[0]}×{image.shape[1]}", fontsize=9.5, loc="center")
    for branch, (axes, picture, room) in enumerate(zip(others, pictures, rooms[1:], strict=True)):
        _place(axes, picture, "viridis", picture.shape, (height, room))
        title = f"branch {branch}\n{_shape(maps[branch])}"
        axes.set_title(title, color=BRANCH_COLOURS[branch], fontsize=9.5, loc="center")
    caption(
        figure, "The same picture at four resolutions: the mean of each branch's channels, maps in true proportion."
    )
    return figure


def _place(
    axes: Axes, picture: np.ndarray, colours: str | None, size: tuple[int, int], room: tuple[float, float]
) -> None:
    """Show a picture at `size`, in the middle of `room`; both are (height, width) in pixels of branch 0."""
    (h, w), (high, wide) = size, room
    axes.imshow(picture, cmap=colours, extent=(-w / 2, w / 2, -h / 2, h / 2))
    axes.set(xlim=(-wide / 2, wide / 2), ylim=(-high / 2, high / 2), xticks=[], yticks=[])
    axes.axis("off")


def number_maps(maps: Sequence[Tensor], titles: Sequence[str], text: str) -> CourseFigure:
    """Small maps in a row with their numbers written in; one colour scale for all.

    Args:
        maps: single-channel maps, (H, W) after squeezing, a few pixels each.
        titles: one per map.
        text: the sentence under the figure.
    """
    grids = [m.detach().squeeze().numpy().reshape(m.shape[-2:]) for m in maps]
    tall, wide = (max(g.shape[axis] for g in grids) for axis in (0, 1))
    low = min(float(g.min()) for g in grids)
    high = max(float(g.max()) for g in grids)
    widths = [max(g.shape[1], 0.62 * wide) for g in grids]
    figure, all_axes = new_figure(
        1, len(grids), size=(min(9.2, 0.55 * sum(widths) + 0.9), 0.5 * tall + 1.0), squeeze=False,
        gridspec_kw={"width_ratios": widths},
    )  # fmt: skip
    for axes, grid, title, room in zip(all_axes[0], grids, titles, widths, strict=True):
        h, w = grid.shape
        axes.imshow(grid, cmap="Blues", vmin=low, vmax=low + 1.6 * (high - low + 1e-9), extent=(0, w, h, 0))
        for y, x in np.ndindex(h, w):
            number = f"{grid[y, x]:.2f}".rstrip("0").rstrip(".")
            shown = "0" if number == "-0" else number
            axes.text(x + 0.5, y + 0.5, shown, ha="center", va="center", fontsize=9, color=ON_COLOUR)
        axes.set(xlim=(w / 2 - room / 2, w / 2 + room / 2), ylim=((h + tall) / 2, (h - tall) / 2))
        axes.axis("off")
        axes.set_title(title, fontsize=9.5, loc="center")
    caption(figure, text)
    return figure


def tidy_and_real(
    branches: tuple[Tensor, Tensor], tidy: tuple[Tensor, Tensor], real: tuple[Tensor, Tensor]
) -> CourseFigure:
    """Two tiny branches, and what the tidy fuse step and the real one make of them.

    Args:
        branches: (1, 1, 2, 2) and (1, 1, 1, 1).
        tidy, real: both results, of the same shapes.
    """
    titles = ["branch 0", "branch 1", "tidy 0", "tidy 1", "real 0", "real 1"]
    text = "From the same two branches: the tidy sums, and the ones that the trained weights expect."
    figure = number_maps([*branches, *tidy, *real], titles, text)
    enliven(figure, "fuse", x0=branches[0].flatten().tolist(), x1=branches[1].item())
    return figure


def shuffled_channels(order: Sequence[int]) -> CourseFigure:
    """Where a channel shuffle of two groups puts every channel.

    Args:
        order: for every position after the shuffle, the channel that ends up there.
    """
    n = len(order)
    figure, axes = _canvas(0.62 * n + 1.6, 2.35)
    colours = [BRANCH_COLOURS[c * 2 // n] for c in range(n)]
    for y, channels, name in ((1.55, range(n), "before"), (0.25, order, "after")):
        axes.text(0.75, y + 0.2, name, ha="right", va="center", fontsize=9.5)
        for position, channel in enumerate(channels):
            box(axes, (0.95 + 0.62 * position, y), (0.46, 0.4), str(channel), colours[channel])
    for position, channel in enumerate(order):
        arrow(axes, (1.18 + 0.62 * channel, 1.52), (1.18 + 0.62 * position, 0.68), colours[channel])
    caption(figure, "After the shuffle, each half has channels from both of the halves before it.")
    return figure


def block_pair(channels: Sequence[int], sizes: Sequence[tuple[int, int]]) -> CourseFigure:
    """The shuffle block beside conditional channel weighting, with what each step costs on these branches.

    Args:
        channels: channels of each branch, largest map first.
        sizes: (height, width) of each branch.

    Returns:
        The figure; costs are MACs over all branches, counted on live blocks.
    """
    xs = [torch.zeros(1, c, *size) for c, size in zip(channels, sizes, strict=True)]
    shuffle = [count_module(ShuffleUnit(c).eval(), x) for c, x in zip(channels, xs, strict=True)]
    weighting = count_module(ConditionalChannelWeighting(channels).eval(), xs)

    def total(counts: Sequence[dict[str, int]], prefix: str) -> int:
        return sum(macs for one in counts for name, macs in one.items() if name.startswith(prefix))

    left = [
        ("1×1 convolution", total(shuffle, "branch2.0"), "pointwise"),
        ("3×3 depthwise convolution", total(shuffle, "branch2.1"), "depthwise"),
        ("1×1 convolution", total(shuffle, "branch2.2"), "pointwise"),
    ]
    right = [
        ("cross-resolution weighting", total([weighting], "cross_resolution"), "cross_resolution"),
        ("3×3 depthwise convolution", total([weighting], "depthwise"), "depthwise"),
        ("spatial weighting", total([weighting], "spatial"), "spatial"),
    ]
    figure, axes = _canvas(9.2, 5.0)
    _block(axes, 0.35, "Shuffle block", left)
    _block(axes, 4.95, "Conditional channel weighting", right)
    others = 4.95 + 3.95
    for k in range(len(channels)):
        y = 3.42 - 0.13 * (k - (len(channels) - 1) / 2)
        arrow(axes, (others + 0.17, y), (others - 0.2, y), BRANCH_COLOURS[k])
    axes.text(others + 0.2, 3.73, "all branches\nmeet here", fontsize=_SMALL, ha="right", va="bottom")
    shapes = ", ".join(f"{c}×{h}×{w}" for c, (h, w) in zip(channels, sizes, strict=True))
    caption(figure, f"MACs on all branches together ({shapes}). The weightings replace the two 1×1 convolutions.")
    return figure


def _block(axes: Axes, x: float, title: str, steps: Sequence[tuple[str, int, str]]) -> None:
    """One block, top to bottom: halves, three steps on the second half, concatenation, shuffle."""
    centre, first, second = x + 1.95, x + 0.55, x + 2.55
    total = sum(cost for _, cost, _ in steps)
    axes.text(x, 4.85, f"{title}: {_million(total)}", fontsize=11, fontweight="bold", va="center")
    box(axes, (centre - 1.2, 4.25), (2.4, 0.34), "two halves of the channels", MUTED, filled=False)
    axes.plot([centre - 0.6, first, first], [4.25, 3.95, 1.5], color=MUTED, linewidth=1.1)
    arrow(axes, (second, 4.25), (second, 3.67))
    axes.text(first - 0.1, 2.6, "first half: untouched", fontsize=9, rotation=90, ha="right", va="center")
    for k, (name, cost, part) in enumerate(steps):
        y = 3.2 - 0.85 * k
        box(axes, (second - 1.2, y), (2.4, 0.46), f"{name}\n{_million(cost)}", PART_COLOURS[part])
        arrow(axes, (second, y), (second, y - (0.38 if k < len(steps) - 1 else 0.43)))
    arrow(axes, (first, 1.5), (centre - 0.6, 1.06))
    box(axes, (centre - 1.2, 0.72), (2.4, 0.34), "concatenate", MUTED, filled=False)
    arrow(axes, (centre, 0.72), (centre, 0.46))
    box(axes, (centre - 1.2, 0.12), (2.4, 0.34), "channel shuffle", MUTED, filled=False)


def fuse_paths(fuse: FuseStep) -> CourseFigure:
    """The paths of one fuse step as a table: row i is the new branch i, column j the branch that it reads.

    Args:
        fuse: a live fuse step; its own layers give the texts.
    """
    n = len(fuse)
    cell_w, cell_h, x0 = 1.85, 0.78, 1.35
    figure, axes = _canvas(x0 + cell_w * n + 0.15, cell_h * n + 0.8)
    top = cell_h * n + 0.15
    for j in range(n):
        middle = x0 + cell_w * (j + 0.46)
        name = f"branch {j}" if j else "branch 0, counted twice"
        axes.text(middle, top + 0.3, name, ha="center", fontsize=9.5, color=BRANCH_COLOURS[j], fontweight="bold")
    axes.text(x0 + cell_w * 0.46, top + 0.08, "row 0 reads x₀, others y₀", ha="center", fontsize=_SMALL)
    for i, row in enumerate(fuse):
        y = top - cell_h * (i + 1)
        axes.text(x0 - 0.12, y + 0.36, f"new branch {i}", ha="right", va="center", fontsize=9.5,
                  color=BRANCH_COLOURS[i], fontweight="bold")  # fmt: skip
        for j, path in enumerate(row):
            corner, size = (x0 + cell_w * j, y + 0.05), (cell_w * 0.92, cell_h * 0.82)
            box(axes, corner, size, _path_text(path), BRANCH_COLOURS[j], fontsize=8.5, filled=j == 0)
            if j == 0:
                axes.text(corner[0] + 0.05, corner[1] + size[1] - 0.04, "2×", fontsize=9, fontweight="bold", va="top")
    caption(figure, "Each row is added up and passes a ReLU. The filled column is the surprise: it counts twice.")
    return figure


def _path_text(path: nn.Module) -> str:
    convolutions = [layer for layer in path.modules() if isinstance(layer, nn.Conv2d)]
    if not convolutions:
        return "unchanged"
    upsamples = [layer for layer in path.modules() if isinstance(layer, nn.Upsample)]
    channels = f"{convolutions[0].in_channels} → {convolutions[-1].out_channels}"
    if upsamples:
        return f"1×1, {channels}\nenlarge {upsamples[0].scale_factor:.0f}×"
    steps = sum(layer.stride == (2, 2) for layer in convolutions)
    times = {1: "", 2: ", in two steps", 3: ", in three steps"}.get(steps, f", in {steps} steps")
    return f"3×3 stride 2, 1×1\n{channels}{times}"
