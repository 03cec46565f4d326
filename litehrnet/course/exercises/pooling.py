"""Checks for the exercises of `04_fix_the_pooling`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch.nn import functional as F

from ...pooling import adaptive_windows, computed_windows
from .core import Verdict, check_cases, listed

__all__ = ["check_exact_outputs", "check_pool_any", "check_smallest_exact_input"]


def _same_windows(input_size: int, output_size: int) -> bool:
    return adaptive_windows(input_size, output_size) == computed_windows(input_size, output_size)


def check_exact_outputs(answer: Callable[[int], Sequence[int]]) -> Verdict:
    """Check `exact_outputs(n)`: every output size, smallest first, at which computed pooling of n pixels is exact.

    >>> check_exact_outputs(lambda n: [m for m in range(1, n + 1) if n % m in (0, 1)])
    Right: all 8 cases agree.
    """

    def spec(n: int) -> list[int]:
        return [m for m in range(1, n + 1) if _same_windows(n, m)]

    def hints(case: tuple, expected: list[int], got: Any) -> str | None:
        (n,) = case
        if got == [m for m in range(1, n + 1) if n % m == 0]:
            return "These are the sizes that divide the input; a remainder of 1 is exact too."
        return None

    return check_cases(
        lambda n: listed(answer(n)),
        spec,
        [(n,) for n in (1, 2, 5, 8, 10, 11, 17, 64)],
        hints=hints,
    )


def check_smallest_exact_input(answer: Callable[[int, int], int]) -> Verdict:
    """Check `smallest_exact_input(n, m)`: the smallest size of at least n from which pooling to m is exact.

    >>> check_smallest_exact_input(lambda n, m: n if n % m in (0, 1) else n + m - n % m)
    Right: all 8 cases agree.
    """

    def spec(n: int, m: int) -> int:
        while not _same_windows(n, m):
            n += 1
        return n

    def hints(case: tuple, expected: int, got: Any) -> str | None:
        n, m = case
        if got == -(-n // m) * m:
            return "You round up to a multiple; one pixel over a multiple is exact too, and may be nearer."
        return None

    cases = [(8, 4), (10, 3), (11, 4), (54, 14), (107, 27), (270, 9), (30, 7), (5, 1)]
    return check_cases(answer, spec, cases, hints=hints)


def check_pool_any(answer: Callable[[torch.Tensor, int], torch.Tensor]) -> Verdict:
    """Check `pool_any(x, m)`: adaptive average pooling of a row to m values, for any m, also larger than the row.

    The answer takes a float64 tensor with one dimension and returns one with m numbers.
    """

    def spec(x: torch.Tensor, m: int) -> torch.Tensor:
        return F.adaptive_avg_pool1d(x[None], m)[0]

    rng = np.random.default_rng(0)
    pairs = [(8, 4), (10, 3), (11, 4), (7, 5), (6, 1), (3, 5), (1, 4), (4, 4)]
    return check_cases(answer, spec, [(torch.from_numpy(rng.standard_normal(n)), m) for n, m in pairs])
