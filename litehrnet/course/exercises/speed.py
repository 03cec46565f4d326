"""Checks for the exercises of `07_make_it_fast`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases, listed

__all__ = ["check_fold_norm", "check_follow_shuffles"]

EPS = 1e-5


def check_fold_norm(answer: Callable[..., tuple[np.ndarray, np.ndarray]]) -> Verdict:
    """Check `fold_norm(weight, bias, mean, variance, slope, shift)`: a batch norm folded into a 1x1 convolution.

    Args:
        answer: takes the convolution ``y = weight @ x + bias``, weight (out, in) and bias (out,), and the batch norm
            ``(y - mean) / sqrt(variance + 1e-5) * slope + shift``, each (out,); it returns the new weight and bias.
    """

    def spec(weight, bias, mean, variance, slope, shift):
        def both(x: np.ndarray) -> np.ndarray:
            return (weight @ x + bias - mean) / np.sqrt(variance + EPS) * slope + shift

        at_zero = both(np.zeros(weight.shape[1]))
        return np.stack([both(unit) - at_zero for unit in np.eye(weight.shape[1])], axis=1), at_zero

    def hints(case: tuple, expected: tuple, got: Any) -> str | None:
        if not isinstance(got, tuple) or len(got) != 2:
            return "Return two arrays: the weight and the bias."
        weight, bias = expected
        if np.shape(got[0]) != weight.shape or np.shape(got[1]) != bias.shape:
            return None
        if np.allclose(got[0], weight) and not np.allclose(got[1], bias):
            return "The weight is right, the bias is not: the convolution's own bias goes through the batch norm, too."
        if np.allclose(got[1], bias) and not np.allclose(got[0], weight):
            return "The bias is right, the weight is not: every output channel, a row, has its own factor."
        return None

    rng = np.random.default_rng(0)

    def case(outputs: int, inputs: int) -> tuple:
        weight, bias = rng.standard_normal((outputs, inputs)), rng.standard_normal(outputs)
        mean, shift = rng.standard_normal((2, outputs))
        return weight, bias, mean, rng.uniform(0.5, 2, outputs), rng.uniform(0.5, 1.5, outputs), shift

    return check_cases(answer, spec, [case(1, 1), case(2, 3), case(3, 3), case(8, 5)], hints=hints)


def check_follow_shuffles(answer: Callable[[int, int], Sequence[int]]) -> Verdict:
    """Check `follow_shuffles(channels, blocks)`: the number of the channel at each position after some blocks.

    >>> def follow(channels, blocks):
    ...     numbers = list(range(channels))
    ...     for _ in range(blocks):
    ...         numbers = [2 * n if n < channels // 2 else 2 * n - channels + 1 for n in numbers]
    ...     return numbers
    >>> check_follow_shuffles(follow)
    Right: all 7 cases agree.
    """

    def spec(channels: int, blocks: int) -> list[int]:
        moved = list(range(channels))  # what the public network has at each index: a position in memory
        for _ in range(blocks):
            halves = moved[: channels // 2], moved[channels // 2 :]
            moved = [position for pair in zip(*halves, strict=True) for position in pair]
        return [moved.index(position) for position in range(channels)]

    def hints(case: tuple, expected: list[int], got: Any) -> str | None:
        inverse = [expected.index(n) for n in range(case[0])]
        if got == inverse and inverse != expected:
            return "This says where each number is; the question is which number is at each position."
        return None if isinstance(got, list) else "Return a list of numbers."

    cases = [(4, 0), (4, 1), (8, 1), (8, 2), (10, 3), (40, 2), (6, 5)]
    return check_cases(lambda *case: listed(answer(*case)), spec, cases, hints=hints)
