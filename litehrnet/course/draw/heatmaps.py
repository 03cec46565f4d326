"""Photographs, crops, joints and heatmaps.

Joints are blue on the person's own left, orange-red on their right and grey in the middle. A joint whose score is below
`HOLLOW_BELOW` is drawn hollow.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Normalize
from matplotlib.patches import Polygon, Rectangle

from ...checkpoints.joints import JointSet, named_joints
from ...heatmaps import HEATMAP_STRIDE, MEAN, STD, decode, to_image
from .style import (
    BLUE,
    LEFT_COLOUR,
    MIDDLE_COLOUR,
    MUTED,
    ON_COLOUR,
    ON_DARK,
    ORANGE,
    RIGHT_COLOUR,
    VERMILION,
    CourseFigure,
    arrow,
    caption,
    enliven,
    new_figure,
    packed,
    packed_photo,
    plain_log,
)

__all__ = [
    "HOLLOW_BELOW",
    "heatmap_gallery",
    "loss_curves",
    "peak_values",
    "person_crop",
    "photograph_to_joints",
    "pose_on",
    "poses",
    "score_scatter",
    "seen_inputs",
    "two_runtimes",
]

HOLLOW_BELOW = 0.3  # the usual threshold, and that of `litehrnet predict`
HEAT = "magma"


def _side_colour(*names: str) -> str:
    sides = {name.split()[0] for name in names}
    return {frozenset({"left"}): LEFT_COLOUR, frozenset({"right"}): RIGHT_COLOUR}.get(frozenset(sides), MIDDLE_COLOUR)


def pose_on(
    axes: Axes,
    image: np.ndarray,
    joints: np.ndarray,
    scores: np.ndarray | None = None,
    *,
    title: str = "",
    joint_set: JointSet | None = None,
) -> None:
    """Draw a picture with one person's joints and limbs into given axes.

    Args:
        axes: where to draw.
        image: (H, W, 3) uint8.
        joints: (K, 2), x, y in the picture's pixels; a joint that is NaN is left out.
        scores: (K,); joints below `HOLLOW_BELOW` are hollow, and their limbs are left out.
        title: above the picture.
        joint_set: names and bones; by default COCO's for 17 joints, and for others numbers without bones.
    """
    known = named_joints(len(joints), joint_set)
    sure = np.isfinite(joints).all(axis=1)
    if scores is not None:
        sure &= np.asarray(scores) >= HOLLOW_BELOW
    axes.imshow(image)
    for a, b in known.skeleton:
        if sure[a] and sure[b]:
            colour = _side_colour(known.names[a], known.names[b])
            for width, line in ((4, "white"), (2.2, colour)):
                axes.plot(*joints[[a, b]].T, color=line, linewidth=width, solid_capstyle="round")
    for joint, name, filled in zip(joints, known.names, sure, strict=True):
        colour = _side_colour(name)
        axes.plot(
            *joint, "o", markersize=5.5, markeredgewidth=1 if filled else 1.5,
            markerfacecolor=colour if filled else "none", markeredgecolor="white" if filled else colour,
        )  # fmt: skip
    axes.set(xlim=(-0.5, image.shape[1] - 0.5), ylim=(image.shape[0] - 0.5, -0.5))
    axes.set_title(title, fontsize=9.5)
    axes.set_axis_off()


def poses(
    panels: Sequence[tuple],
    text: str,
    *,
    columns: int = 4,
    width: float = 9.0,
) -> CourseFigure:
    """Several pictures with joints, side by side.

    Args:
        panels: (title, image, joints) or (title, image, joints, scores), as `pose_on` takes them.
        text: the sentence under the figure.
        columns: pictures in a row.
        width: of the figure, in inches.
    """
    columns = min(columns, len(panels))
    rows = -(-len(panels) // columns)
    tallest = max(image.shape[0] / image.shape[1] for _, image, *_ in panels)
    figure, axes = new_figure(
        rows,
        columns,
        size=(width, rows * (width / columns * tallest + 0.4) + 0.2),
        photographs=True,
        squeeze=False,
    )
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, (title, image, joints, *scores) in zip(axes.flat, panels, strict=False):
        pose_on(ax, image, joints, *scores, title=title)
    caption(figure, text)
    return figure


def person_crop(image: np.ndarray, box: Sequence[float], crop: np.ndarray, to_crop: np.ndarray) -> CourseFigure:
    """The picture with the box and the padded box, beside the crop that they give.

    Args:
        image, box: as `crop_person` takes them.
        crop, to_crop: as it returns them.
    """
    height, width = crop.shape[:2]
    corners = to_image(np.array([[0, 0], [width, 0], [width, height], [0, height]]), to_crop)
    figure, (left, right) = new_figure(1, 2, size=(6.8, 4.0), width_ratios=(1.5, 1), photographs=True)
    left.imshow(image)
    left.add_patch(Rectangle((box[0], box[1]), box[2], box[3], fill=False, edgecolor=ORANGE, linewidth=2))
    left.add_patch(Polygon(corners, fill=False, edgecolor=LEFT_COLOUR, linewidth=2, linestyle="--"))
    left.set(
        xlim=(min(corners[:, 0].min(), 0) - 8, max(corners[:, 0].max(), image.shape[1]) + 8),
        ylim=(max(corners[:, 1].max(), image.shape[0]) + 8, min(corners[:, 1].min(), 0) - 8),
        title="picture, box, and what is cut", xlabel="x, pixels", ylabel="y, pixels",
    )  # fmt: skip
    right.imshow(crop)
    right.set(title=f"crop, {height}x{width}", xlabel="x, input pixels", ylabel="y, input pixels")
    caption(
        figure,
        "Orange: the box. Blue, what is cut: the box, widened to the\n"
        "input's shape and padded by a quarter. Outside is black.",
    )
    return figure


def _overlay(axes: Axes, crop: np.ndarray, heat: np.ndarray, norm: Normalize) -> None:
    """Heat over a grey crop; heatmap pixel h is input pixel 4 h."""
    grey = crop.astype(float).mean(axis=2)
    axes.imshow(grey, cmap="gray", vmin=0, vmax=255)
    half = HEATMAP_STRIDE / 2
    h, w = heat.shape
    extent = (-half, HEATMAP_STRIDE * w - half, HEATMAP_STRIDE * h - half, -half)
    axes.imshow(heat, cmap=HEAT, norm=norm, extent=extent, alpha=0.25 + 0.65 * np.clip(norm(heat), 0, 1))
    axes.set(xlim=(-0.5, crop.shape[1] - 0.5), ylim=(crop.shape[0] - 0.5, -0.5))
    axes.set_axis_off()


def _scale(maps: np.ndarray) -> Normalize:
    return Normalize(0, max(float(maps.max()), 1e-12))


def heatmap_gallery(crop: np.ndarray, heatmaps: np.ndarray, joint_set: JointSet | None = None) -> CourseFigure:
    """All heatmaps of one person over the crop, on one colour scale, each with its peak's value.

    Args:
        crop: (H, W, 3) uint8.
        heatmaps: (1, K, h, w).
        joint_set: their names; by default COCO's for 17 joints, and numbers for others.
    """
    joints, scores = decode(heatmaps)
    names = named_joints(heatmaps.shape[1], joint_set).names
    norm = _scale(heatmaps)
    columns = 6
    rows = -(-len(names) // columns)
    figure, axes = new_figure(rows, columns, size=(8.2, 2.05 * rows + 0.4), photographs=True)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, name, heat, joint, score in zip(axes.flat, names, heatmaps[0], joints[0], scores[0], strict=False):
        _overlay(ax, crop, heat, norm)
        ax.plot(*joint, "+", color="white", markersize=7, markeredgewidth=1.4)
        ax.set_title(f"{name}\n{score:.2f}", fontsize=9)
    caption(figure, "One map per joint, all on one colour scale; the cross is the peak, the number its value.")
    return figure


def two_runtimes(crop: np.ndarray, expected: np.ndarray, got: np.ndarray) -> CourseFigure:
    """Heatmaps of PyTorch and of ONNX Runtime with their joints, and their difference on its own scale.

    Args:
        crop: (H, W, 3) uint8.
        expected, got: heatmaps of both, (1, K, h, w).
    """
    norm = _scale(expected)
    difference = np.abs(expected.astype(np.float64) - got)[0].max(axis=0)
    figure, axes = new_figure(1, 3, size=(9.0, 4.1), photographs=True)
    for ax, maps, title in zip(axes, (expected, got), ("PyTorch", "ONNX Runtime"), strict=False):
        _overlay(ax, crop, maps[0].max(axis=0), norm)
        for joint in decode(maps)[0][0]:
            ax.plot(*joint, "+", color="white", markersize=7, markeredgewidth=1.4)
        ax.set_title(title)
    own = Normalize(0, max(float(difference.max()), 1e-12))
    shown = axes[2].imshow(difference, cmap="viridis", norm=own)
    axes[2].set_title("largest difference")
    axes[2].set_axis_off()
    figure.colorbar(shown, ax=axes[2], shrink=0.8, format="%.1e")
    figure.colorbar(plt.cm.ScalarMappable(norm, HEAT), ax=axes[:2], shrink=0.8, label="heatmap value")
    enliven(
        figure, "runtimes", photo=packed_photo(crop), size=list(crop.shape[:2]),
        maps=[packed(maps[0].max(axis=0), exact=False) for maps in (expected, got)],
        difference=packed(difference),
        joints=[decode(maps)[0][0].tolist() for maps in (expected, got)],
    )  # fmt: skip
    caption(
        figure,
        "Left and middle: the largest of the heatmaps, and every joint. Right: the difference; note its scale.",
    )
    return figure


def photograph_to_joints(
    image: np.ndarray,
    box: Sequence[float],
    crop: np.ndarray,
    heatmaps: np.ndarray,
    to_crop: np.ndarray,
) -> CourseFigure:
    """One person from start to end: photograph and box, crop, heatmaps, joints on the photograph.

    Args:
        image, box: as `crop_person` takes them.
        crop, to_crop: as it returns them.
        heatmaps: (1, 17, h, w).
    """
    joints, scores = decode(heatmaps)
    figure, axes = new_figure(1, 4, size=(9.4, 2.8), width_ratios=(1.33, 1, 1, 1.33), photographs=True)
    axes[0].imshow(image)
    axes[0].add_patch(Rectangle((box[0], box[1]), box[2], box[3], fill=False, edgecolor=ORANGE, linewidth=2))
    axes[1].imshow(crop)
    _overlay(axes[2], crop, heatmaps[0].max(axis=0), _scale(heatmaps))
    pose_on(axes[3], image, to_image(joints[0], to_crop), scores[0])
    for ax, title in zip(axes, ("photograph and box", "crop", "17 heatmaps, as one", "joints"), strict=True):
        ax.set_axis_off()
        ax.set_title(title, fontsize=10)
    caption(figure, "The photograph with a box, the crop that the network gets, its heatmaps, and their joints.")
    return figure


def peak_values(heatmap: np.ndarray, name: str) -> CourseFigure:
    """The values around a heatmap's peak, and the quarter-pixel step towards the larger neighbours.

    Args:
        heatmap: (h, w).
        name: the joint's name, for the title.
    """
    radius = 2  # pixels on each side
    y, x = divmod(int(heatmap.argmax()), heatmap.shape[1])
    (end_x, end_y) = decode(heatmap[None, None])[0][0, 0] / HEATMAP_STRIDE
    rows = range(max(y - radius, 0), min(y + radius + 1, heatmap.shape[0]))
    columns = range(max(x - radius, 0), min(x + radius + 1, heatmap.shape[1]))
    shown = heatmap[rows.start : rows.stop, columns.start : columns.stop]
    figure, ax = new_figure(size=(5.6, 5.2))
    norm = _scale(shown)
    extent = (columns.start - 0.5, columns.stop - 0.5, rows.stop - 0.5, rows.start - 0.5)
    ax.imshow(shown, cmap=HEAT, norm=norm, extent=extent)
    for i in rows:
        for j in columns:
            colour = ON_COLOUR if norm(heatmap[i, j]) > 0.6 else ON_DARK
            ax.text(j, i + 0.39, f"{heatmap[i, j]:.2f}", ha="center", va="center", fontsize=9, color=colour)
    ax.plot(x, y, "o", color=ON_DARK, markeredgecolor=ON_COLOUR, markersize=8)
    if (end_x, end_y) != (x, y):
        arrow(ax, (x, y), (end_x, end_y), colour=VERMILION, linewidth=3, mutation_scale=20)
    ax.set(title=f"{name}: the peak at x = {x}, y = {y}", xlabel="x, heatmap pixels", ylabel="y, heatmap pixels")
    ax.set(xticks=list(columns), yticks=list(rows))
    enliven(figure, "quarter", sigma=2.0)
    caption(figure, "Dot: the largest value. Arrow: a quarter of a pixel\ntowards the larger neighbour, in x and in y.")
    return figure


def score_scatter(scores: np.ndarray, distances: np.ndarray, limit: float) -> CourseFigure:
    """Every joint's score against its distance from the truth.

    Args:
        scores, distances: of the same joints, arrays of one shape; distances in input pixels.
        limit: largest distance that counts as found, in input pixels; drawn as a line.
    """
    figure, ax = new_figure(size=(7.5, 3.8))
    found = distances <= limit
    for chosen, colour, label in ((found, BLUE, "found"), (~found, VERMILION, "not found")):
        ax.plot(scores[chosen], np.maximum(distances[chosen], 0.5), ".", color=colour, label=label, alpha=0.7)
    ax.axhline(limit, color=MUTED, linewidth=1, linestyle="--")
    ax.set(yscale="log", xlabel="score (value of the heatmap's peak)", ylabel="distance from the truth,\ninput pixels")
    plain_log(ax.yaxis)
    ax.legend(loc="lower left")
    caption(
        figure,
        f"One dot per joint; the dashed line is at {limit:g} pixels. Do the dots above it thin out to the right?",
    )
    return figure


def loss_curves(curves: Mapping[str, Sequence[float]]) -> CourseFigure:
    """Losses by step, on a logarithmic axis.

    Args:
        curves: name to the loss at each step.
    """
    figure, ax = new_figure(size=(7.5, 3.4))
    for (name, losses), colour in zip(curves.items(), (BLUE, ORANGE, VERMILION), strict=False):
        ax.plot(losses, color=colour, label=name)
    ax.set(yscale="log", xlabel="step", ylabel="mean squared error")
    plain_log(ax.yaxis)
    ax.legend()
    caption(figure, "Where the curves part, the head begins to learn its own images by heart.")
    return figure


def seen_inputs(
    inputs: Mapping[str, np.ndarray],
    maps: np.ndarray,
    joint: str,
    joints: np.ndarray | None = None,
    rates: Mapping[str, float] | None = None,
) -> CourseFigure:
    """What the network receives when its input is made in several ways, and one joint's heatmap for each.

    Args:
        inputs: arrays (3, H, W) as they go into the network, by name. They are drawn as the network understands them:
            multiplied by the standard deviation, plus the mean, and cut off at 0 and 255.
        maps: one heatmap each, (number of inputs, h, w).
        joint: whose heatmaps they are.
        joints: what all heatmaps of each input are read as, (number of inputs, K, 2), x, y in input pixels. With them
            the figure moves on the site: a switch for each mistake.
        rates: the OKS of each input's pose, by name.
    """
    figure, grid = new_figure(2, len(inputs), size=(2.0 * len(inputs) + 0.8, 5.2), photographs=True)
    norm = Normalize(0, max(float(maps.max()), 1e-6))
    for (name, values), heatmap, (above, below) in zip(inputs.items(), maps, grid.T, strict=True):
        picture = _as_seen(values)
        above.imshow(picture)
        above.set_title(name, fontsize=10)
        below.imshow(heatmap, cmap=HEAT, norm=norm)
        below.set_title(f"peak {heatmap.max():.2f}", fontsize=9.5)
        above.set_axis_off()
        below.set_axis_off()
    figure.colorbar(plt.cm.ScalarMappable(norm, HEAT), ax=grid[1, :], shrink=0.8, label="heatmap value")
    if joints is not None:
        size = next(iter(inputs.values())).shape[1:]
        ways = [
            {
                "name": name,
                "photo": packed_photo(_as_seen(values)),
                "map": packed(heatmap, exact=False),
                "joints": found.tolist(),
                "oks": None if rates is None else float(rates[name]),
            }
            for (name, values), heatmap, found in zip(inputs.items(), maps, joints, strict=True)
        ]
        bones = [list(bone) for bone in named_joints(joints.shape[1]).skeleton]
        enliven(figure, "mistakes", joint=joint, size=list(size), skeleton=bones, ways=ways)
    caption(figure, f"Above, one person as the network receives it; below, the heatmap of the {joint}.")
    return figure


def _as_seen(values: np.ndarray) -> np.ndarray:
    """An input (3, H, W) as a picture (H, W, 3): what the network takes it for."""
    return np.clip(values.transpose(1, 2, 0) * np.array(STD) + np.array(MEAN), 0, 255).astype(np.uint8)
