"""Medians of few values, and how sure one may be of them."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["coverage", "interval_name", "median_interval", "ratios"]

WANTED = 0.95


def ratios(times: np.ndarray) -> list[tuple[float, float, float]]:
    """How many times as fast as the first each model is: (median, low, high), as `median_interval` gives them.

    Each session counts once, with the median of its rounds' ratios, since its rounds share what is particular to it.
    A single session has no other to be compared with; its interval is that of its rounds.

    Args:
        times: seconds, (sessions, rounds, models), as `litehrnet.measure.timing.time_sessions` gives them.

    >>> ratios(np.array([[[4.0, 2.0]], [[6.0, 2.0]], [[5.0, 2.0]]]))
    [(1.0, 1.0, 1.0), (2.5, 2.0, 3.0)]
    """
    each = times[:, :, :1] / times  # (sessions, rounds, models)
    each = each[0] if len(each) == 1 else np.median(each, axis=1)
    return [median_interval(values) for values in each.T]


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Median, and two of the values between which the true median lies nineteen times out of twenty.

    Nothing is supposed about how the values are spread: half of all possible values are below the true median, so the
    number of n that are is binomial. Below six values no two of them enclose it so often; then the interval is their
    whole range, and `coverage` says how often that does.

    >>> median_interval(np.arange(1.0, 102.0))
    (51.0, 41.0, 61.0)
    """
    ordered = np.sort(values)
    n = len(ordered)
    cut = _cut(n)
    return float(np.median(ordered)), float(ordered[cut]), float(ordered[n - 1 - cut])


def coverage(n: int) -> float:
    """How often the interval of n values holds the true median, as a fraction.

    >>> [round(coverage(n), 3) for n in (1, 3, 5, 6, 9)]
    [0.0, 0.75, 0.938, 0.969, 0.961]
    """
    return _coverage(n, _cut(n))


def interval_name(n: int) -> str:
    """What to call the interval of n values.

    >>> interval_name(9)
    '95 % interval'
    >>> interval_name(3)
    'range, which holds the true median 75 times out of 100'
    """
    if coverage(n) >= WANTED:
        return f"{WANTED:.0%} interval".replace("%", " %")
    return f"range, which holds the true median {math.floor(100 * coverage(n))} times out of 100"


def _cut(n: int) -> int:
    """How many values the interval leaves out at either end."""
    return max((cut for cut in range((n + 1) // 2) if _coverage(n, cut) >= WANTED), default=0)


def _coverage(n: int, cut: int) -> float:
    """How often the true median lies between the values of rank `cut` from below and from above, both counted from 0.

    It lies outside where at most `cut` of n values are below it, or at most `cut` above.
    """
    outside = sum(math.comb(n, k) for k in range(cut + 1)) / 2**n
    return max(0.0, 1 - 2 * outside)
