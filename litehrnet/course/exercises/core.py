"""What all checks share: run the reader's function on cases, compare with a slow obvious answer, say what differs."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from numbers import Real
from typing import Any, TypeGuard

import numpy as np
import torch

__all__ = ["Verdict", "check_cases"]


@dataclass(frozen=True)
class Verdict:
    """The outcome of a check; shown as its message.

    Attributes:
        state: "unsolved", "wrong" or "right".
        message: one sentence for the reader.
    """

    state: str
    message: str

    def __repr__(self) -> str:
        return self.message

    def __bool__(self) -> bool:
        return self.state == "right"


def check_cases(
    answer: Callable[..., Any],
    spec: Callable[..., Any],
    cases: Iterable[tuple],
    *,
    tolerance: float = 1e-6,
    hints: Callable[[tuple, Any, Any], str | None] | None = None,
) -> Verdict:
    """Compare the reader's function with the specification on every case, and stop at the first difference.

    Args:
        answer: the reader's function; a stub raises NotImplementedError.
        spec: the specification: slow, obvious and right.
        cases: argument tuples for both.
        tolerance: largest absolute difference between numbers that counts as equal.
        hints: given (case, expected, got), explains a mistake that people really make, or returns None.

    >>> check_cases(lambda n: n * 2, lambda n: n + n, [(1,), (2,)])
    Right: all 2 cases agree.
    >>> check_cases(lambda n: n * n, lambda n: n + n, [(2,), (3,)])
    Wrong for (3): expected 6, got 9.
    """
    count = 0
    for case in cases:
        expected = spec(*case)
        try:
            got = answer(*case)
        except NotImplementedError:
            return Verdict("unsolved", "Not solved yet: replace `raise NotImplementedError` with your answer.")
        except Exception as error:  # the reader's code may raise anything; the verdict shows it
            return Verdict("wrong", f"Wrong for {_show_case(case)}: your code raised {type(error).__name__}: {error}")
        if got is None:
            return Verdict("wrong", f"Wrong for {_show_case(case)}: your function returns None; is a `return` missing?")
        if not _equal(expected, got, tolerance):
            try:
                hint = hints(case, expected, got) if hints else None
            except (TypeError, ValueError, IndexError):  # an answer of another kind, for which there is no hint
                hint = None
            message = f"Wrong for {_show_case(case)}: expected {_show(expected)}, got {_show(got)}."
            return Verdict("wrong", f"{message} {hint}" if hint else message)
        count += 1
    return Verdict("right", f"Right: all {count} cases agree.")


def listed(got: Any) -> Any:
    """An answer as a list if it is anything that can be one; text and None stay what they are."""
    return list(got) if isinstance(got, Iterable) and not isinstance(got, str) else got


def is_number(got: Any) -> TypeGuard[float]:
    """Whether an answer is one real number, of Python or of numpy."""
    return isinstance(got, Real)


def _equal(expected: Any, got: Any, tolerance: float) -> bool:
    if isinstance(expected, (str, bytes, bool, type(None))):
        return type(got) in (type(expected), np.bool_) and expected == got
    if isinstance(expected, dict):
        return (
            isinstance(got, dict)
            and expected.keys() == got.keys()
            and all(_equal(expected[key], got[key], tolerance) for key in expected)
        )
    if isinstance(expected, (list, tuple)):
        return (
            isinstance(got, (list, tuple))
            and len(expected) == len(got)
            and all(_equal(a, b, tolerance) for a, b in zip(expected, got, strict=True))
        )
    try:
        first, second = _array(expected), _array(got)
    except (TypeError, ValueError, RuntimeError):
        return False
    return first.shape == second.shape and bool(np.allclose(first, second, rtol=1e-5, atol=tolerance, equal_nan=True))


def _array(value: Any) -> np.ndarray:
    if isinstance(value, torch.Tensor):
        value = value.detach().cpu().numpy()
    return np.asarray(value, dtype=np.float64)


def _show(value: Any) -> str:
    if isinstance(value, (torch.Tensor, np.ndarray)):
        array = _array(value)
        if array.size > 16:
            return f"an array of shape {array.shape} that starts {np.round(array.ravel()[:4], 4).tolist()}"
        return f"{np.round(array, 4).tolist()}"
    return repr(round(value, 6)) if isinstance(value, float) else repr(value)


def _show_case(case: tuple) -> str:
    return f"({', '.join(_show(argument) for argument in case)})"
