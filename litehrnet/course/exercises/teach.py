"""Checks for the exercises of `10_teach_it_your_own_joints`."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases, is_number, listed

__all__ = ["check_folds", "check_found_share", "check_target"]

Size = tuple[int, int]


def check_target(answer: Callable[[tuple[float, float], Size, float], np.ndarray]) -> Verdict:
    """Check `target(joint, size, sigma)`: the heatmap that a network should return for one joint.

    Args:
        answer: takes x and y in input pixels, the input's height and width, and the Gaussian's standard deviation in
            heatmap pixels; returns (height // 4, width // 4) values.

    >>> def target(joint, size, sigma):
    ...     y, x = np.mgrid[: size[0] // 4, : size[1] // 4]
    ...     return np.exp(-((x - joint[0] / 4) ** 2 + (y - joint[1] / 4) ** 2) / (2 * sigma**2))
    >>> check_target(target)
    Right: all 5 cases agree.
    """

    def hill(joint: tuple[float, float], size: Size, width: float) -> np.ndarray:
        """A Gaussian whose exponent is the squared distance over `width`; both in heatmap pixels."""
        values = np.zeros((size[0] // 4, size[1] // 4))
        for row in range(values.shape[0]):
            for column in range(values.shape[1]):
                squared = (column - joint[0]) ** 2 + (row - joint[1]) ** 2
                values[row, column] = math.exp(-squared / width)
        return values

    def spec(joint: tuple[float, float], size: Size, sigma: float) -> np.ndarray:
        return hill((joint[0] / 4, joint[1] / 4), size, 2 * sigma**2)

    def hints(case: tuple, expected: np.ndarray, got: Any) -> str | None:
        (x, y), size, sigma = case
        got = np.asarray(got, np.float64)
        if got.shape == expected.T.shape != expected.shape:
            return "Height comes before width: rows are y, columns are x."
        if got.shape != expected.shape:
            return f"A heatmap has a quarter of the input's height and width: {expected.shape}."
        width = 2 * sigma**2
        if np.allclose(got, hill((y / 4, x / 4), size, width)):
            return "x and y have changed places: x counts columns, y counts rows."
        if np.allclose(got, hill((x, y), size, width)):
            return "The joint is given in input pixels; heatmap pixel h is input pixel 4h."
        if np.allclose(got, hill((round(x / 4), round(y / 4)), size, width)):
            return "Do not round the joint: between two pixels, the hill's centre is between them too."
        if np.allclose(got, hill((x / 4, y / 4), size, sigma**2)):
            return "The exponent is the squared distance over *twice* the squared sigma."
        if expected.sum() > 0 and np.allclose(got, expected / expected.sum()):
            return "The hill has height 1; it is no probability, whose sum is 1."
        return None

    cases = [
        ((40.0, 80.0), (128, 96), 2.0),
        ((0.0, 0.0), (64, 96), 1.5),
        ((41.0, 82.5), (128, 96), 2.0),
        ((12.0, 50.0), (64, 64), 1.0),
        ((-6.0, 30.0), (64, 32), 3.0),
    ]
    return check_cases(answer, spec, cases, hints=hints)


def check_found_share(answer: Callable[[np.ndarray, np.ndarray, float], float]) -> Verdict:
    """Check `found_share(joints, labels, limit)`: the share of labelled joints that are found within a distance.

    Args:
        answer: takes joints (N, K, 2), labels (N, K, 3) with x, y and v, 0 where there is no label, and the largest
            distance in pixels.

    >>> def found_share(joints, labels, limit):
    ...     distances = np.linalg.norm(joints - labels[..., :2], axis=-1)
    ...     return (distances[labels[..., 2] > 0] <= limit).mean()
    >>> check_found_share(found_share)
    Right: all 5 cases agree.
    """

    def spec(joints: np.ndarray, labels: np.ndarray, limit: float) -> float:
        found = labelled = 0
        for pose, person in zip(joints, labels, strict=True):
            for (x, y), (true_x, true_y, v) in zip(pose, person, strict=True):
                if v > 0:
                    labelled += 1
                    found += math.hypot(x - true_x, y - true_y) <= limit
        return found / labelled

    def hints(case: tuple, expected: float, got: Any) -> str | None:
        joints, labels, limit = case
        if not is_number(got):
            return "Return one number."
        distances = np.linalg.norm(joints - labels[..., :2], axis=-1)  # (N, K)
        near, known = distances <= limit, labels[..., 2] > 0
        with np.errstate(invalid="ignore"):
            per_person = np.nanmean((near & known).sum(axis=1) / known.sum(axis=1))
        if np.isclose(got, near.mean()):
            return "A joint without a label is neither found nor missed; leave it out."
        if np.isclose(got, (near & known).mean()):
            return "Divide by the number of labelled joints, not of all joints."
        if np.isclose(got, per_person):
            return "That is the mean of the people's shares; every labelled joint counts the same."
        if np.isclose(got, near[labels[..., 2] == 2].mean()):
            return "v is 2 for a visible joint and 1 for a hidden one; both have a label."
        if np.isclose(got, (distances < limit)[known].mean()):
            return "A joint at exactly the limit is found."
        if np.isclose(got, (np.abs(joints - labels[..., :2]).max(axis=-1) <= limit)[known].mean()):
            return "Take the distance, not the larger of its two parts."
        return None

    labels = np.array([
        [[10, 10, 2], [50, 10, 2], [0, 0, 0]],
        [[20, 40, 2], [0, 0, 0], [0, 0, 0]],
        [[30, 30, 1], [60, 30, 2], [45, 70, 2]],
    ], np.float64)  # fmt: skip
    far = labels[..., :2] + np.array([[[3, 0], [0, 9], [0, 0]], [[30, 0], [0, 0], [0, 0]], [[4, 4], [4, 3], [0, 40]]])
    cases = [
        (labels[..., :2].copy(), labels, 1.0),
        (far, labels, 5.0),
        (far, labels, 9.0),
        (far[1:], labels[1:], 2.0),
        (far, labels, 100.0),
    ]
    return check_cases(answer, spec, cases, hints=hints)


def check_folds(answer: Callable[[Sequence[str], int], Sequence[int]]) -> Verdict:
    """Check `folds(people, count)`: for every picture the number of its fold, such that nobody is in two folds.

    Args:
        answer: takes the name of the person on each picture, and the number of folds. People are dealt out to the folds
            in the order in which they first appear: the first to fold 0, the second to fold 1, ...

    >>> def folds(people, count):
    ...     order = list(dict.fromkeys(people))
    ...     return [order.index(person) % count for person in people]
    >>> check_folds(folds)
    Right: all 5 cases agree.
    """

    def spec(people: Sequence[str], count: int) -> list[int]:
        fold_of: dict[str, int] = {}
        for person in people:
            if person not in fold_of:
                fold_of[person] = len(fold_of) % count
        return [fold_of[person] for person in people]

    def as_list(people: Sequence[str], count: int) -> Any:
        got = answer(people, count)
        folds = listed(got)
        numbers = isinstance(folds, list) and all(is_number(fold) for fold in folds)
        return [int(fold) for fold in folds] if numbers else got

    def hints(case: tuple, expected: list[int], got: Any) -> str | None:
        people, count = case
        if not isinstance(got, list) or len(got) != len(people) or not all(isinstance(fold, int) for fold in got):
            return f"Return one number per picture: {len(people)}."
        apart = [
            one for one in dict.fromkeys(people) if len({f for p, f in zip(people, got, strict=True) if p == one}) > 1
        ]
        if apart:
            return f"{apart[0]} is in two folds: the network would be measured on somebody it has seen."
        if max(got) >= count or min(got) < 0:
            return f"Folds are numbered from 0 to {count - 1}."
        order = sorted(set(people))
        if got == [order.index(person) % count for person in people]:
            return "Deal people out in the order in which they appear, not by name."
        return None

    cases = [
        (["ana", "ben", "cleo", "dan"], 2),
        (["ana", "ana", "ben", "cleo", "ben"], 3),
        (["zoe", "ana", "zoe", "mia", "ana"], 2),
        (["ben", "ben", "ben"], 2),
        (["f", "e", "d", "c", "b", "a", "f", "a"], 4),
    ]
    return check_cases(as_list, spec, cases, hints=hints)
