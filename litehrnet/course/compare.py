"""Two computations of one thing, compared in words that are the same on every machine.

Float32 arithmetic differs in its last digits from processor to processor. So a lesson prints the bound that a
difference keeps, with room to spare, and not the difference; where the bound is broken, the difference shows.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["differ", "relative_difference"]

Maps = np.ndarray | Tensor | Sequence[float]
ManyMaps = Sequence[np.ndarray] | Sequence[Tensor]


def relative_difference(expected: Maps, got: Maps) -> float:
    """Largest absolute difference over the largest absolute value of `expected`.

    Args:
        expected: an array or tensor of any shape.
        got: another of the same shape.

    Returns:
        0.0 where both are equal; infinite where `expected` is zero everywhere and `got` is not.

    Raises:
        ValueError: the shapes differ.

    >>> relative_difference(np.array([1.0, -8.0]), np.array([1.0, -6.0]))
    0.25
    """
    first, second = _float64(expected), _float64(got)
    if first.shape != second.shape:
        raise ValueError(f"arrays of shapes {first.shape} and {second.shape} cannot be compared value by value")
    difference = float(np.abs(first - second).max(initial=0.0))
    largest = float(np.abs(first).max(initial=0.0))
    if difference == 0:
        return 0.0
    return difference / largest if largest else float("inf")


def differ(expected: Maps | ManyMaps, got: Maps | ManyMaps, bound: float) -> str:
    """The end of a sentence: by how much two computations differ, relative to the largest value.

    Args:
        expected, got: arrays or tensors, or lists of them, which are compared pair by pair.
        bound: a difference up to this one is rounding.

    Returns:
        The bound if it is kept, else the largest difference beside it; or what else is wrong.

    >>> print("They", differ([1.0, 2.0], [1.0, 2.0000001], 1e-5))
    They differ by at most 1e-05 of the largest value
    >>> print("They", differ([1.0, 2.0], [1.0, 2.5], 1e-5))
    They differ by 0.25 of the largest value, which is more than 1e-05
    >>> print("They", differ(np.zeros((8, 6)), np.zeros((16, 12)), 1e-5))
    They have different shapes, (8, 6) and (16, 12)
    """
    pairs: list[tuple[Any, Any]] = [(expected, got)]
    if _is_list_of_maps(expected):
        pairs = list(zip(expected, got, strict=True))
    shapes = [(_float64(a).shape, _float64(b).shape) for a, b in pairs]
    for first, second in shapes:
        if first != second:
            return f"have different shapes, {first} and {second}"
    largest = float(np.max([relative_difference(a, b) for a, b in pairs]))  # nan, if one is nan
    if largest <= bound:
        return f"differ by at most {bound:.0e} of the largest value"
    return f"differ by {largest:.2g} of the largest value, which is more than {bound:.0e}"


def _is_list_of_maps(value: object) -> bool:
    return isinstance(value, (list, tuple)) and any(isinstance(one, (np.ndarray, Tensor)) for one in value)


def _float64(values: Maps) -> np.ndarray:
    if isinstance(values, Tensor):
        values = values.detach().cpu().numpy()
    return np.asarray(values, np.float64)
