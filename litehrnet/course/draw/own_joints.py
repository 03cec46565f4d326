"""Labelled pictures, the heatmaps that are wanted, a run's curve, and what a number of pictures is worth.

Joints have the colours of `pose_on`: blue on the person's own left, orange-red on their right, grey in the middle.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.axes import Axes

from ...checkpoints.joints import JointSet
from ...heatmaps import MEAN, STD, crop_person
from ...measure.accuracy import PCK_SHARE, Accuracy
from ...people import CocoPeople
from .heatmaps import _overlay, _scale, _side_colour, pose_on
from .style import BLUE, MUTED, ON_DARK, ORANGE, VERMILION, CourseFigure, Table, caption, new_figure

__all__ = [
    "counts_table",
    "found_and_labelled",
    "found_within",
    "hills_on",
    "joints_table",
    "labelled_people",
    "pictures_needed",
    "recipe_table",
    "run_curve",
    "silence_or_guess",
    "target_maps",
    "who_is_in_which_fold",
]


def labelled_people(
    people: CocoPeople, indices: Sequence[int], columns: int, size: tuple[int, int] = (256, 192)
) -> CourseFigure:
    """People with their labels, each cut out as the network gets them: filled where a joint is seen, else hollow.

    Args:
        people: the labelled people.
        indices: which of them.
        columns: pictures in a row.
        size: height and width of the crops.
    """
    rows = -(-len(indices) // columns)
    inches = (8.2, rows * (8.2 / columns * size[0] / size[1] + 0.06) + 0.1)
    figure, axes = new_figure(rows, columns, size=inches, photographs=True, squeeze=False)
    for ax in axes.flat:
        ax.set_axis_off()
    for ax, index in zip(axes.flat, indices, strict=False):
        person = people.person(index)
        crop, to_crop = crop_person(np.asarray(people.image(index)[0]), person.box, size)
        places = person.joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
        seen = person.joints[:, 2]
        places = np.where(seen[:, None] > 0, places, np.nan)
        pose_on(ax, crop, places, (seen == 2).astype(float), joint_set=people.joint_set)
    caption(
        figure,
        "Blue: the person's own left fingertip. Orange-red: the right one. Grey: the top of the head. Hollow: hidden.",
    )
    return figure


def target_maps(image: np.ndarray, targets: np.ndarray, weights: np.ndarray, joint_set: JointSet) -> CourseFigure:
    """One training crop, and the heatmap that is wanted for each joint.

    Args:
        image: (3, H, W), as it goes into the network.
        targets: (K, h, w).
        weights: (K,), 0 where the joint does not count.
        joint_set: the joints' names.
    """
    crop = _as_picture(image)
    figure, axes = new_figure(1, len(targets) + 1, size=(8.2, 3.2), photographs=True)
    axes[0].imshow(crop)
    axes[0].set_axis_off()
    axes[0].set_title("varied crop", fontsize=10)
    for ax, heat, weight, name in zip(axes[1:], targets, weights, joint_set.names, strict=True):
        _overlay(ax, crop, heat, _scale(targets))
        ax.set_title(f"{name}\ncounts {weight:g}", fontsize=10)
    caption(
        figure, "A varied crop, and the wanted heatmap of each joint over it. Where the label is missing, none counts."
    )
    return figure


def hills_on(
    people: CocoPeople, index: int, hills: Mapping[str, np.ndarray], size: tuple[int, int] = (256, 192)
) -> CourseFigure:
    """Several heatmaps of one joint, each over the person as the network gets them.

    Args:
        people: the labelled people.
        index: which of them.
        hills: heatmaps (H / 4, W / 4) by what is written above them.
        size: height and width of the crop.
    """
    crop, _ = crop_person(np.asarray(people.image(index)[0]), people.person(index).box, size)
    inches = (8.2, 8.2 / len(hills) * size[0] / size[1] + 0.4)
    figure, axes = new_figure(1, len(hills), size=inches, photographs=True, squeeze=False)
    for ax, (name, heat) in zip(axes.flat, hills.items(), strict=True):
        _overlay(ax, crop, np.asarray(heat), _scale(np.asarray(heat)))
        ax.set_title(name, fontsize=10)
    caption(figure, "One label as several hills: the wider one forgives an answer that is near, and asks for less.")
    return figure


def silence_or_guess(losses: np.ndarray, offsets: np.ndarray, silence: float) -> CourseFigure:
    """What a hill costs that is some pixels away from where it should be, beside an empty heatmap.

    Args:
        losses: one per offset.
        offsets: distances between the hill and its right place, in heatmap pixels.
        silence: the loss of an empty heatmap.
    """
    figure, ax = new_figure(size=(6.6, 3.0))
    ax.plot(offsets, losses, color=BLUE, label="a hill")
    ax.axhline(silence, color=ORANGE, linewidth=1.6, linestyle="--", label="no hill")
    ax.set(xlabel="distance from the joint, heatmap pixels", ylabel="loss", ylim=(0, None))
    ax.legend(loc="lower right")
    caption(figure, "From a few pixels on, a hill in the wrong place costs more than no hill, and soon twice as much.")
    return figure


def run_curve(history: Sequence[Mapping[str, Any]], people: int) -> CourseFigure:
    """A training run: the loss on what it learns from, and the measures on the people whom it never sees.

    Args:
        history: the lines of a run's log.
        people: how many are measured.
    """
    figure, (left, right) = new_figure(1, 2, size=(8.2, 3.1))
    learned = [(line["crops"], line["loss"]) for line in history if line["loss"] is not None]
    left.plot(*zip(*learned, strict=True), "o-", color=BLUE, markersize=4)
    left.set(xlabel="crops seen", ylabel="loss", title="what it learns from", ylim=(0, None))
    seen = [line["crops"] for line in history]
    right.plot(seen, [line["oks"] for line in history], "o-", color=BLUE, markersize=4, label="mean OKS")
    right.plot(seen, [line["pck"] for line in history], "s-", color=ORANGE, markersize=4, label="share of joints found")
    right.set(xlabel="crops seen", title=f"{people} people whom it never sees", ylim=(0, 1))
    right.legend(loc="upper left")
    caption(figure, f"Left, the loss falls. Right, the measures jump: on {people} people, one joint counts a lot.")
    return figure


def found_and_labelled(
    people: CocoPeople, found: Mapping[int, np.ndarray], titles: Sequence[str], size: tuple[int, int] = (256, 192)
) -> CourseFigure:
    """What was found, joined to the label by a line, on each person as the network gets them.

    Args:
        people: the labelled people.
        found: joints (K, 2) in the picture's pixels, by the person's index.
        titles: one per person.
        size: height and width of the crops.
    """
    inches = (8.2, 8.2 / len(found) * size[0] / size[1] + 0.5)
    figure, axes = new_figure(1, len(found), size=inches, photographs=True, squeeze=False)
    for ax, (index, joints), title in zip(axes.flat, found.items(), titles, strict=True):
        person = people.person(index)
        crop, to_crop = crop_person(np.asarray(people.image(index)[0]), person.box, size)
        ax.imshow(crop)
        places, labels = (points @ to_crop[:, :2].T + to_crop[:, 2] for points in (joints, person.joints[:, :2]))
        for place, label, seen, name in zip(places, labels, person.joints[:, 2], people.joint_set.names, strict=True):
            _one_joint(ax, place, label, _side_colour(name), labelled=seen > 0)
        ax.set(xlim=(-0.5, size[1] - 0.5), ylim=(size[0] - 0.5, -0.5))
        ax.set_title(title, fontsize=10)
        ax.set_axis_off()
    caption(
        figure, "Dot: found. Ring: the label; a line joins the two. Blue: the person's own left; orange-red: right."
    )
    return figure


def _one_joint(axes: Axes, found: np.ndarray, label: np.ndarray, colour: str, *, labelled: bool) -> None:
    if labelled:
        axes.plot(*zip(found, label, strict=True), color=ON_DARK, linewidth=3)
        axes.plot(*zip(found, label, strict=True), color=colour, linewidth=1.6)
        axes.plot(*label, "o", markersize=10, markerfacecolor="none", markeredgecolor=ON_DARK, markeredgewidth=3)
        axes.plot(*label, "o", markersize=10, markerfacecolor="none", markeredgecolor=colour, markeredgewidth=1.6)
    axes.plot(*found, "o", markersize=5.5, markerfacecolor=colour, markeredgecolor=ON_DARK)


def found_within(shares: Mapping[str, Sequence[float]], limits: Sequence[float], limit: float) -> CourseFigure:
    """The share of joints found, against the distance that still counts as found.

    Args:
        shares: one per limit, by the network's name.
        limits: distances in pixels of the input.
        limit: the one that the lesson uses; drawn as a line.
    """
    figure, ax = new_figure(size=(6.6, 3.4))
    for (name, values), colour in zip(shares.items(), (ORANGE, BLUE, MUTED), strict=False):
        ax.plot(limits, values, color=colour, label=name)
    ax.axvline(limit, color=MUTED, linewidth=1.2, linestyle="--", label=f"{limit:g} pixels")
    ax.set(xlabel="largest distance that counts as found, input pixels", ylabel="share of joints found", ylim=(0, 1))
    ax.set_xlim(0, max(limits))
    ax.legend(loc="lower right")
    caption(
        figure, "How strict is strict enough? At every limit, the height of a curve is the share that it lets pass."
    )
    return figure


def who_is_in_which_fold(people: Sequence[str], ways: Mapping[str, Sequence[int]]) -> CourseFigure:
    """Every picture as a mark in its person's row, whose colour and shape are its fold; one panel per division.

    Args:
        people: the name of the person on each picture.
        ways: the fold of each picture, from 0 to 2, by the name of the division.

    Raises:
        ValueError: there is a fourth fold.
    """
    marks = ((BLUE, "o"), (ORANGE, "s"), (VERMILION, "^"))
    if (most := max(max(folds) for folds in ways.values())) >= len(marks):
        raise ValueError(f"there are marks for folds 0 to {len(marks) - 1}, and one is called {most}")
    rows = list(dict.fromkeys(people))
    figure, axes = new_figure(1, len(ways), size=(8.2, 0.9 + 0.42 * len(rows)), sharey=True, squeeze=False)
    for ax, (name, folds) in zip(axes.flat, ways.items(), strict=True):
        for fold, (colour, marker) in enumerate(marks):
            chosen = [at for at, one in enumerate(folds) if one == fold]
            places = [rows.index(people[at]) for at in chosen]
            ax.plot(chosen, places, marker, color=colour, markersize=6, label=f"fold {fold}")
        ax.set(title=name, xlabel="picture", yticks=range(len(rows)), yticklabels=rows, ylim=(len(rows) - 0.5, -0.5))
    handles, labels = axes.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper right", ncols=3)
    caption(figure, "A row with two kinds of marks is a person who would be measured after having been learned.")
    return figure


def pictures_needed(runs: Sequence[Mapping[str, Any]], guess: float) -> CourseFigure:
    """The share of joints found on the test people against the number of labelled pictures, every run as a dot.

    Args:
        runs: with `what` ("head" or "all"), `pictures` and `pck` each.
        guess: the share that is found without looking at the picture.
    """
    figure, ax = new_figure(size=(6.6, 3.6))
    for what, name, colour, marker in (("all", "all weights", BLUE, "o"), ("head", "the head alone", ORANGE, "s")):
        counts = sorted({run["pictures"] for run in runs if run["what"] == what})
        means = []
        for count in counts:
            shares = [run["pck"] for run in runs if run["what"] == what and run["pictures"] == count]
            means.append(float(np.mean(shares)))
            ax.plot([count] * len(shares), shares, marker, color=colour, markersize=5, alpha=0.7)
        ax.plot(counts, means, color=colour, label=name)
    ax.axhline(guess, color=MUTED, linewidth=1.2, linestyle="--", label="always the same guess")
    ax.set(xlabel="labelled pictures", ylabel="share of joints found", ylim=(0, 1), xticks=counts)
    ax.legend(loc="upper left", ncols=3)
    caption(figure, "Every mark is one run, with its own choice of pictures; the lines join the means.")
    return figure


def counts_table(runs: Sequence[Mapping[str, Any]], what: str) -> Table:
    """Mean OKS and the share of each joint found, by the number of labelled pictures: the mean of the runs, and the
    lowest and the highest.

    Args:
        runs: with `what`, `pictures`, `oks` and `joints` (shares by name) each.
        what: which of them, "head" or "all".
    """
    chosen = [run for run in runs if run["what"] == what]
    counts = sorted({run["pictures"] for run in chosen})
    values = {"mean OKS": [run["oks"] for run in chosen]}
    values |= {joint: [run["joints"][joint] for run in chosen] for joint in chosen[0]["joints"]}
    rows = []
    for name, numbers in values.items():
        form = "{:.2f}" if name == "mean OKS" else "{:.0%}"
        cells = []
        for count in counts:
            some = [number for number, run in zip(numbers, chosen, strict=True) if run["pictures"] == count]
            mean, low, high = (form.format(number) for number in (np.mean(some), min(some), max(some)))
            cells.append(f"{mean} ({low} to {high})")
        rows.append([name, *cells])
    each = len(chosen) // len(counts)
    columns = ["on the test people", *(f"{count} pictures" for count in counts)]
    return Table(columns, rows, f"The mean of {each} runs; in parentheses, the lowest and the highest.")


def recipe_table(folds: Mapping[str, Sequence[Mapping[str, Any]]], chosen: str) -> Table:
    """The mean OKS of every recipe in cross-validation, with that of each fold.

    Args:
        folds: one result with `oks` and `pck` per fold, by the recipe's name.
        chosen: the recipe that was taken.
    """
    count = len(next(iter(folds.values())))
    rows = []
    for name, results in folds.items():
        each = [f"{result['oks']:.2f}" for result in results]
        mean = f"{np.mean([result['oks'] for result in results]):.2f}"
        rows.append([name, *each, (mean, "good") if name == chosen else mean])
    columns = ["recipe", *(f"fold {fold + 1}" for fold in range(count)), "mean OKS"]
    text = "Every fold is measured on eight people whom the recipe did not learn from. The mark shows what was taken."
    return Table(columns, rows, text)


def joints_table(results: Mapping[str, Accuracy]) -> Table:
    """The share of each joint that is found, and the median distance.

    Args:
        results: of the same people, by the network's name.
    """
    first = next(iter(results.values()))
    columns = ["joint", "labels", *(f"{name}: {what}" for name in results for what in ("found", "median error"))]
    rows = []
    for k, joint in enumerate(first.joints):
        each = [result.joints[k] for result in results.values()]
        cells = [text for row in each for text in (f"{row.pck:.0%}", f"{row.median_error:.0f} px")]
        rows.append([joint.name, str(joint.labelled), *cells])
    limit = f"{PCK_SHARE * first.size[0]:g}"
    return Table(
        columns, rows, f"Found: within {limit} pixels of the input. The median error is in pixels of the input, too."
    )


def _as_picture(values: np.ndarray) -> np.ndarray:
    return np.clip(values.transpose(1, 2, 0) * np.array(STD) + np.array(MEAN), 0, 255).astype(np.uint8)
