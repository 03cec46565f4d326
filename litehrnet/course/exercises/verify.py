"""Checks for the exercises of `05_export_and_verify`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases, listed

__all__ = ["check_same_peaks", "check_untested"]


def check_same_peaks(answer: Callable[[np.ndarray, np.ndarray], bool]) -> Verdict:
    """Check `same_peaks(right, got)`: whether every heatmap has its highest value at the same pixel in both stacks.

    Args:
        answer: takes two stacks of heatmaps, (N, K, h, w).
    """

    def spec(right: np.ndarray, got: np.ndarray) -> bool:
        return all(
            np.unravel_index(a.argmax(), a.shape) == np.unravel_index(b.argmax(), b.shape)
            for one, other in zip(right, got, strict=True)
            for a, b in zip(one, other, strict=True)
        )

    def hints(case: tuple, expected: bool, got: Any) -> str | None:
        right, other = case
        if not isinstance(got, (bool, np.bool_)):
            return "Return True or False."
        if got and right.argmax() == other.argmax():
            return "The highest pixel of the whole stack agrees, but every heatmap has its own peak."
        return None

    rng = np.random.default_rng(5)
    right = rng.standard_normal((2, 3, 4, 5))
    near = right + 1e-6 * rng.standard_normal(right.shape)
    moved = right.copy()
    lowest = np.unravel_index(right.max(axis=(2, 3)).argmin(), right.shape[:2])
    moved[lowest] = np.flip(right[lowest])  # one heatmap of six is flipped
    higher = right.copy()
    higher[1, 2] *= 2  # the same peak, twice as high
    cases = [(right, near), (right, moved), (right, higher), (moved, right), (right, -right)]
    return check_cases(lambda a, b: _plain(answer(a, b)), spec, cases, hints=hints)


def _plain(value: object) -> object:
    return bool(value) if isinstance(value, np.bool_) else value


def check_untested(answer: Callable[[Sequence, Sequence, Sequence], Sequence]) -> Verdict:
    """Check `untested(wanted, tried, ok)`: the (size, batch) pairs that are not proved yet.

    Args:
        answer: takes `wanted` and `tried`, lists of ((height, width), batch), and `ok`, one bool for each entry of
            `tried`. A pair that failed once is not proved, even if it passed another time. The order is that of
            `wanted`.
    """

    def spec(wanted: Sequence, tried: Sequence, ok: Sequence[bool]) -> list:
        missing = []
        for pair in wanted:
            verdicts = [good for other, good in zip(tried, ok, strict=True) if other == pair]
            if not verdicts or not all(verdicts):
                missing.append(pair)
        return missing

    def hints(case: tuple, expected: list, got: Any) -> str | None:
        wanted, tried, ok = case
        if not isinstance(got, list):
            return "Return a list."
        passed = [pair for pair, good in zip(tried, ok, strict=True) if good]
        if got == [pair for pair in wanted if pair not in passed]:
            return "One failure is enough, even if another run of the same pair passed."
        if got == [pair for pair in wanted if pair not in tried]:
            return "A pair that was tried and failed is not proved either."
        return None

    tall, wide, square = ((256, 192), 1), ((96, 160), 3), ((64, 64), 1)
    wanted = [tall, wide, square]
    cases = [
        (wanted, [], []),
        (wanted, [wide, tall], [True, True]),
        (wanted, [tall, wide, square], [True, False, True]),
        (wanted, [tall, tall, wide, square], [True, False, True, True]),
        (wanted, [tall, wide, square], [True, True, True]),
    ]
    return check_cases(lambda *case: listed(answer(*case)), spec, cases, hints=hints)
