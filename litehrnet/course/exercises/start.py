"""Checks for the exercises of `00_start_here`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .core import Verdict, check_cases, is_number

__all__ = ["check_heatmap_size", "check_relative_difference"]


def check_heatmap_size(answer: Callable[[int, int], tuple[int, int]]) -> Verdict:
    """`answer(height, width)` gives the (height, width) of the heatmaps for an input of that size.

    >>> check_heatmap_size(lambda height, width: (-(-height // 4), -(-width // 4)))
    Right: all 6 cases agree.
    """

    def spec(height: int, width: int) -> tuple[int, int]:
        return len(range(0, height, 4)), len(range(0, width, 4))  # heatmap pixel h is input pixel 4 h

    def hint(case: tuple, expected: tuple, got: Any) -> str | None:
        height, width = case
        if got == expected[::-1]:
            return "Height comes before width."
        if got == (height // 4, width // 4):
            return "A last group of one to three pixels gives a heatmap pixel too: round up."
        return None

    cases = [(256, 192), (384, 288), (32, 64), (253, 189), (254, 191), (93, 32)]
    return check_cases(answer, spec, cases, hints=hint)


def check_relative_difference(answer: Callable[[np.ndarray, np.ndarray], float]) -> Verdict:
    """`answer(expected, got)` gives the largest absolute difference over the largest absolute value of `expected`.

    >>> check_relative_difference(lambda expected, got: abs(expected - got).max() / abs(expected).max())
    Right: all 4 cases agree.
    """

    def spec(expected: np.ndarray, got: np.ndarray) -> float:
        difference = largest = 0.0
        for a, b in zip(expected.ravel(), got.ravel(), strict=True):
            difference, largest = max(difference, abs(a - b)), max(largest, abs(a))
        return float(difference / largest)

    def hint(case: tuple, expected: float, got: Any) -> str | None:
        ours, theirs = case
        off, size = theirs - ours, np.abs(ours)
        with np.errstate(divide="ignore", invalid="ignore"):
            mistakes = {
                "That is the difference before the division.": np.abs(off).max(),
                "That is the mean difference, in which one wrong pixel goes unnoticed.": np.abs(off).mean()
                / size.max(),
                "You divide each difference by its own pixel; where that is almost 0, the ratio means nothing.": np.max(
                    np.abs(off) / size
                ),
                "Differences have both signs: take absolute values first.": -off.min() / size.max(),
                "The largest value may be a negative one: take absolute values.": np.abs(off).max() / ours.max(),
            }
        for text, value in mistakes.items():
            if is_number(got) and np.isclose(got, value):
                return text
        return None

    cases = [
        (np.array([1.0, 2.0, 4.0]), np.array([1.0, 2.0, 3.0])),
        (np.array([0.5, -8.0, 4.0]), np.array([0.5, -7.0, 4.5])),
        (np.array([[0.0, 2.0], [1.0, -1.0]]), np.array([[0.5, 2.0], [1.25, -1.0]])),
        (np.array([3.0, -3.0]), np.array([3.0, -3.0])),
    ]
    return check_cases(answer, spec, cases, hints=hint)
