"""Checks for the exercises of `12_measure_the_limits`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases, is_number

__all__ = ["check_least_time", "check_two_threads"]


def check_least_time(answer: Callable[[float, float, float, float], float]) -> Verdict:
    """Check `least_time(macs, moved, gmacs, gigabytes)`: the least time of a kernel by the roofline, in microseconds.

    Args:
        answer: takes MACs, bytes moved, 10^9 MACs per second and 10^9 bytes per second.

    >>> check_least_time(lambda macs, moved, gmacs, gigabytes: max(macs / gmacs, moved / gigabytes) / 1000)
    Right: all 5 cases agree.
    """

    def spec(macs: float, moved: float, gmacs: float, gigabytes: float) -> float:
        return max(macs / (gmacs * 1e9), moved / (gigabytes * 1e9)) * 1e6

    def hints(case: tuple, expected: float, got: Any) -> str | None:
        macs, moved, gmacs, gigabytes = case
        if not is_number(got):
            return "Return one number."
        if np.isclose(float(got), (macs / gmacs + moved / gigabytes) / 1000):
            return "You add both times; arithmetic and memory work at the same time, so the longer one is the limit."
        if any(np.isclose(float(got), expected * factor) for factor in (1e-6, 1e-3, 1e3)):
            return "Right except for the unit: the answer is in microseconds."
        return None

    cases = [
        (5_000_000.0, 500_000.0, 50.0, 90.0),
        (27_000.0, 600_000.0, 50.0, 90.0),
        (0.0, 600_000.0, 50.0, 90.0),
        (1_000_000.0, 0.0, 50.0, 90.0),
        (900_000.0, 1_800_000.0, 45.0, 90.0),
    ]
    return check_cases(answer, spec, cases, hints=hints)


def check_two_threads(answer: Callable[[Sequence[float], float], float]) -> Verdict:
    """Check `two_threads(durations, handover)`: how many times as fast a second thread makes a list of kernels.

    Args:
        answer: takes the kernels' durations on one thread and what handing half of one over costs, in the same unit.

    >>> check_two_threads(lambda d, h: sum(d) / sum(min(one, one / 2 + h) for one in d))
    Right: all 5 cases agree.
    """

    def spec(durations: Sequence[float], handover: float) -> float:
        together = 0.0
        for duration in durations:
            shared = duration / 2 + handover
            together += shared if shared < duration else duration
        return sum(durations) / together

    def hints(case: tuple, expected: float, got: Any) -> str | None:
        durations, handover = case
        if not is_number(got):
            return "Return one number."
        if np.isclose(float(got), sum(durations) / sum(one / 2 + handover for one in durations)):
            return "A kernel for which sharing takes longer stays on one thread."
        if np.isclose(float(got), 1 / expected):
            return "That is the share of the time that is left; the question is how many times as fast it is."
        if np.isclose(float(got), np.mean([one / min(one, one / 2 + handover) for one in durations])):
            return "That is the mean of the kernels' ratios; long kernels must count for more than short ones."
        return None

    cases = [
        ([100.0, 10.0, 4.0], 3.0),
        ([8.0], 0.0),
        ([2.0, 2.0, 2.0], 5.0),
        ([50.0, 1.0, 1.0, 1.0, 1.0], 2.0),
        ([6.0, 5.9, 6.1], 3.0),
    ]
    return check_cases(answer, spec, cases, hints=hints)
