"""Every numeric bound of the tests goes through here, so that its margin is known.

Two float32 computations of one thing differ by rounding, and how much depends on the processor. A test that asks for
less than that is right on one machine and wrong on the next. So a bound has ten times to spare: `pytest --margins`
lists the smallest margin of each file, lessons included, and fails where one is below ten; `make test-processors` asks
for it on every processor that this machine can imitate.

    @pytest.mark.numeric
    def test_it_computes_the_same() -> None:
        same(network(images), reference, 1e-4)           # relative to the reference's largest value
        within(abs(ours - theirs), 1e-6, "one number")   # a number that you computed yourself
        beyond(error_of_int8, 1e-6)                      # at least: this is really another network
    proved(check_parity(model, path))                # every row ok, and far from its tolerance

Tests that call these carry the marker `numeric`; one without it is refused, because `make test-processors` would not
run it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import torch

if TYPE_CHECKING:
    from litehrnet.measure.parity import Parity

SPARE = 10.0  # a margin below this fails under `--margins`

Numbers = np.ndarray | torch.Tensor | list | tuple | float


@dataclass
class Log:
    """What the test that runs now has measured.

    Attributes:
        test: its name, or None between tests.
        numeric: whether it carries the marker.
        margins: (margin, what was measured) of each bound so far.
    """

    test: str | None = None
    numeric: bool = False
    margins: list[tuple[float, str]] = field(default_factory=list)


LOG = Log()  # conftest.py fills it in and empties it


def within(value: float, bound: float, name: str = "") -> None:
    """Assert that a number of at least 0 is not above its bound, and record bound / value.

    >>> within(2e-7, 1e-5)
    >>> within(2e-5, 1e-5, "heatmaps")
    Traceback (most recent call last):
    AssertionError: heatmaps: 2e-05 is above 1e-05
    """
    value = float(value)
    assert 0 <= value <= bound, f"{name or 'measured'}: {value:.3g} is above {bound:.3g}"
    _record(bound / value if value else math.inf, f"{name or 'measured'} {value:.2g} of at most {bound:.2g}")


def beyond(value: float, bound: float, name: str = "") -> None:
    """Assert that a number is not below its bound, and record value / bound."""
    value = float(value)
    assert value >= bound, f"{name or 'measured'}: {value:.3g} is below {bound:.3g}"
    _record(value / bound, f"{name or 'measured'} {value:.2g} of at least {bound:.2g}")


def same(got: Numbers, expected: Numbers, bound: float, name: str = "") -> None:
    """Assert that two arrays of one shape differ by at most `bound` times the largest value of `expected`.

    >>> same([1.0, 2.0], [1.0, 2.000001], 1e-5)
    """
    within(difference(got, expected), bound, name or "relative difference")


def proved(rows: Sequence[Parity], bound: float | None = None) -> None:
    """Assert that every row of `check_parity` is ok, and that its largest relative difference has room to spare.

    Args:
        rows: what `check_parity` returned; at least one.
        bound: of the relative difference; None takes each row's own tolerance.
    """
    assert rows, "nothing was compared"
    for row in rows:
        assert row.ok, row
        within(row.max_rel, row.tolerance if bound is None else bound, f"parity at {row.size}, batch {row.batch}:")


def difference(got: Numbers, expected: Numbers) -> float:
    """Largest absolute difference over the largest absolute value of `expected`; shapes must agree.

    >>> difference([1.0, 3.0], [1.0, 4.0])
    0.25
    """
    first, second = _float64(got), _float64(expected)
    assert first.shape == second.shape, f"shape {first.shape} instead of {second.shape}"
    off, largest = float(np.abs(first - second).max()), float(np.abs(second).max())
    if off == 0:
        return 0.0
    return off / largest if largest else math.inf


def _float64(values: Numbers) -> np.ndarray:
    if isinstance(values, torch.Tensor):
        values = values.detach().cpu().to(torch.float64).numpy()
    return np.asarray(values, np.float64)


def _record(margin: float, what: str) -> None:
    if LOG.test is None:  # a doctest, or a helper that is tried out by hand
        return
    assert LOG.numeric, f"{LOG.test} holds a bound: mark it with @pytest.mark.numeric"
    LOG.margins.append((margin, what))
