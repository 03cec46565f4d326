"""Measures, inside a lesson's kernel, how far the numbers that a cell compares are from their bounds.

`pytest --margins` runs `start` in the kernel before the first cell. From then on each comparison that a cell itself
makes appends its margin to a file, and conftest.py reads the lines that each cell added:

    differ(expected, got, bound)              of litehrnet.course.compare
    relative_difference(expected, got) < x    and every other comparison of what it returns
    np.allclose(a, b), torch.allclose(a, b)
    check_parity(model, path)                 every row

A margin is bound over measured where the bound is kept, and measured over bound where it is not, since a lesson may
show that something is wrong, and that, too, must hold on every processor.
"""

from __future__ import annotations

import functools
import json
import math
import sys
from collections.abc import Callable
from pathlib import Path


def margin(value: float, bound: float) -> float:
    """How far a number is from its bound, as a factor of at least 1; infinite where either is 0.

    >>> margin(0.25, 4.0), margin(4.0, 0.25)
    (16.0, 16.0)
    """
    if value == 0 or bound == 0:
        return math.inf
    return max(value / bound, bound / value)


def closest(a: object, b: object, rtol: float, atol: float) -> float:
    """The margin of `allclose`: that of the value nearest to the bound, or of the farthest beyond it."""
    import numpy as np

    a, b = (np.asarray(getattr(one, "detach", lambda one=one: one)(), np.float64) for one in (a, b))
    return margin(float((np.abs(a - b) / (atol + rtol * np.abs(b))).max(initial=0.0)), 1.0)


class Measured(float):
    """A relative difference that writes down what it is compared with."""

    record: Callable[[float, str], None]

    def __new__(cls, value: float, record: Callable[[float, str], None]) -> Measured:
        made = super().__new__(cls, value)
        made.record = record
        return made

    def _compared(self, other: float, how: Callable[[float, float], bool]) -> bool:
        self.record(margin(float(self), float(other)), f"relative difference {float(self):.2g} beside {other:.2g}")
        return how(float(self), float(other))

    def __lt__(self, other: float) -> bool:
        return self._compared(other, float.__lt__)

    def __le__(self, other: float) -> bool:
        return self._compared(other, float.__le__)

    def __gt__(self, other: float) -> bool:
        return self._compared(other, float.__gt__)

    def __ge__(self, other: float) -> bool:
        return self._compared(other, float.__ge__)


def start(log: str) -> None:
    """Wrap the comparisons of this process, and write their margins to a file, one JSON list per line."""
    import numpy as np
    import torch

    import litehrnet.export
    from litehrnet.course import compare

    def record(found: float, what: str) -> None:
        with Path(log).open("a") as file:
            file.write(json.dumps([found, what]) + "\n")

    def wrap(owner: object, name: str, note: Callable[..., object]) -> None:
        """Have a cell's calls of a function noted; what other code calls is not a claim of the lesson."""
        function = getattr(owner, name)

        @functools.wraps(function)
        def noted(*args: object, **options: object) -> object:
            result = function(*args, **options)
            if "ipykernel" not in sys._getframe(1).f_code.co_filename:
                return result
            return note(result, *args, **options)

        setattr(owner, name, noted)

    def differ(result: str, expected: object, got: object, bound: float) -> str:
        if "shapes" not in result:
            pairs = zip(expected, got, strict=True) if compare._is_list_of_maps(expected) else [(expected, got)]
            value = max(relative_difference(*pair) for pair in pairs)
            record(margin(value, bound), f"relative difference {value:.2g} beside {bound:.2g}")
        return result

    def allclose(result: bool, a: object, b: object, rtol: float = 1e-5, atol: float = 1e-8, **_: object) -> bool:
        record(closest(a, b, rtol, atol), f"allclose with atol {atol:g}, rtol {rtol:g}")
        return result

    def parity(rows: list, *_: object, **__: object) -> list:
        for row in rows:
            record(margin(row.max_rel, row.tolerance), f"parity {row.max_rel:.2g} beside {row.tolerance:.2g}")
        return rows

    relative_difference = compare.relative_difference
    wrap(compare, "differ", differ)
    wrap(compare, "relative_difference", lambda value, *_: Measured(value, record))
    wrap(np, "allclose", allclose)
    wrap(torch, "allclose", allclose)
    wrap(litehrnet.export, "check_parity", parity)
