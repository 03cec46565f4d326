"""Checks for the exercises of `03_watch_the_export_fail`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from ...pooling import adaptive_windows
from .core import Verdict, check_cases

__all__ = ["check_count_adds", "check_find_wrong_sizes", "check_old_exporter_says"]


def check_old_exporter_says(answer: Callable[[int, int, bool], str]) -> Verdict:
    """Check `old_exporter_says(n, m, known)`: what the TorchScript exporter makes of adaptive pooling.

    The answer is "AveragePool", "GlobalAveragePool", "not a factor" or "not accessible", for a map of n x n pixels
    that is pooled to m x m; `known` says whether n is fixed in the export.
    """

    def spec(n: int, m: int, known: bool) -> str:
        if m == 1:
            return "GlobalAveragePool"  # it needs no size
        if not known:
            return "not accessible"
        return "AveragePool" if n % m == 0 else "not a factor"

    def hints(case: tuple, expected: str, got: Any) -> str | None:
        n, m, known = case
        if m == 1:
            return "Pooling to a single value has an operator of its own, GlobalAveragePool, which needs no size."
        if known and n % m == 1:
            return "The older exporter writes only ratios that divide, although a remainder of 1 could be written too."
        return None

    cases = [(64, 8, True), (64, 7, True), (10, 3, True), (64, 8, False), (64, 7, False), (7, 1, True), (7, 1, False)]
    return check_cases(answer, spec, cases, hints=hints)


def count_adds(before: Sequence[int], after: Sequence[int]) -> int:
    """Additions that torch's newer exporter writes for adaptive pooling from `before` to `after`, (height, width) each.

    None where both sides divide (one AveragePool), none where all windows of an axis are equally long (one
    ReduceMean). Otherwise one for every position in the longest window but the first.

    >>> count_adds((64, 48), (7, 5)), count_adds((64, 48), (8, 6))
    (109, 0)
    """
    lengths = [[end - start for start, end in adaptive_windows(n, m)] for n, m in zip(before, after, strict=True)]
    divides = all(n % m == 0 for n, m in zip(before, after, strict=True))
    if divides or all(len(set(axis)) == 1 for axis in lengths):
        return 0
    return max(lengths[0]) * max(lengths[1]) - 1


def check_count_adds(answer: Callable[[tuple[int, int], tuple[int, int]], int]) -> Verdict:
    """Check `count_adds(before, after)`: how many Add nodes the newer exporter writes for one adaptive pooling.

    >>> check_count_adds(count_adds)
    Right: all 8 cases agree.
    """

    def hints(case: tuple, expected: int, got: Any) -> str | None:
        before, after = case
        longest = [
            max(end - start for start, end in adaptive_windows(n, m)) for n, m in zip(before, after, strict=True)
        ]
        if expected == 0:
            return "All windows are equally long here: one ReduceMean, or one AveragePool, is enough."
        if got == longest[0] * longest[1]:
            return "That is the number of positions; adding k numbers takes k - 1 additions."
        return None

    cases = [
        ((64, 48), (8, 6)), ((64, 48), (7, 5)), ((11, 11), (4, 4)), ((10, 10), (3, 3)),
        ((64, 48), (8, 5)), ((9, 8), (2, 2)), ((12, 7), (5, 1)), ((3, 3), (5, 5)),
    ]  # fmt: skip
    return check_cases(answer, count_adds, cases, hints=hints)


class _Pooling:
    """A stand-in for a model or a file: averages blocks of a square map; short to show in a message."""

    def __init__(self, name: str, output_size: int = 1, kernel: int | None = None) -> None:
        self.name, self.output_size, self.kernel = name, output_size, kernel

    def __call__(self, x: np.ndarray) -> np.ndarray:
        """(n, n) to (m, m)."""
        n = len(x)
        if self.kernel:
            windows = [(i, i + self.kernel) for i in range(0, n - self.kernel + 1, self.kernel)]
        else:
            windows = adaptive_windows(n, self.output_size)
        return np.array([[x[top:bottom, left:right].mean() for left, right in windows] for top, bottom in windows])

    def __repr__(self) -> str:
        return self.name


def check_find_wrong_sizes(answer: Callable[[Callable, Callable, Sequence[int]], Sequence[int]]) -> Verdict:
    """Check `find_wrong_sizes(right, file, sizes)`: the sides at which the file's output is not the right one.

    Both functions take a square float64 array, (n, n), and return an array; a wrong shape counts as wrong. The
    answer lists the sides in the order given.
    """

    def image(n: int) -> np.ndarray:
        return np.random.default_rng(n).standard_normal((n, n))

    def spec(right: Callable, file: Callable, sizes: Sequence[int]) -> list[int]:
        wrong = []
        for n in sizes:
            expected, got = right(image(n)), file(image(n))
            if expected.shape != got.shape or not np.allclose(expected, got):
                wrong.append(n)
        return wrong

    def hints(case: tuple, expected: list[int], got: Any) -> str | None:
        missed = [n for n in expected if n not in got] if isinstance(got, (list, tuple)) else []
        if missed and all(case[0](image(n)).shape == case[1](image(n)).shape for n in missed):
            return "Where you missed one, the shapes agree and the values do not. Is your image the same everywhere?"
        return None

    torch, sizes = _Pooling("torch", output_size=4), [32, 64, 33, 40, 35]
    cases = [
        (torch, _Pooling("a right file", output_size=4), sizes),
        (torch, _Pooling("the silent file", kernel=8), sizes),
        (torch, _Pooling("another file", output_size=5), sizes[:2]),
    ]
    return check_cases(answer, spec, cases, hints=hints)
