"""Medians of a few values, and how certain they are."""

from __future__ import annotations

import math

import numpy as np

__all__ = ["coverage", "interval_name", "median_interval", "ratios"]

WANTED = 0.95


def ratios(times: np.ndarray) -> list[tuple[float, float, float]]:
    """How many times as fast as the first each model is: (median, low, high), as in `median_interval`.

    Each session counts once, with the median of its rounds' ratios, because rounds of one session are not independent.
    If there is only one session, the interval is that of its rounds.

    Args:
        times: seconds, (sessions, rounds, models), from `litehrnet.measure.timing.time_sessions`.

    >>> ratios(np.array([[[4.0, 2.0]], [[6.0, 2.0]], [[5.0, 2.0]]]))
    [(1.0, 1.0, 1.0), (2.5, 2.0, 3.0)]
    """
    each = times[:, :, :1] / times  # (sessions, rounds, models)
    each = each[0] if len(each) == 1 else np.median(each, axis=1)
    return [median_interval(values) for values in each.T]


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """The median, and the two values that enclose the true median nineteen times out of twenty.

    This assumes nothing about the distribution. Half of all possible values are below the true median, so the number
    of values below it, out of n, is binomial. With fewer than six values, no two of them enclose it so often; the
    interval is then their whole range, and `coverage` says how often that encloses it.

    >>> median_interval(np.arange(1.0, 102.0))
    (51.0, 41.0, 61.0)
    """
    ordered = np.sort(values)
    n = len(ordered)
    cut = _cut(n)
    return float(np.median(ordered)), float(ordered[cut]), float(ordered[n - 1 - cut])


def coverage(n: int) -> float:
    """How often the interval of n values contains the true median, as a fraction.

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
    """How many values the interval leaves out at each end."""
    return max((cut for cut in range((n + 1) // 2) if _coverage(n, cut) >= WANTED), default=0)


def _coverage(n: int, cut: int) -> float:
    """How often the true median is between the values of rank `cut` from below and from above, both counted from 0.

    It is outside if at most `cut` of the n values are below it, or at most `cut` above.
    """
    outside = sum(math.comb(n, k) for k in range(cut + 1)) / 2**n
    return max(0.0, 1 - 2 * outside)
