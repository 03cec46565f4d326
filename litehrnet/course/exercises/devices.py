"""Checks for the exercises of `08_take_it_to_devices`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases

__all__ = ["check_choose", "check_shift_in_photo"]


def shift_in_photo(ours: np.ndarray, theirs: np.ndarray, to_crop: np.ndarray) -> float:
    """Mean distance between joints (K, 2), which are given in crop pixels, in pixels of the photograph."""
    scale = to_crop[0, 0]  # crop pixels per pixel of the photograph
    distances = [np.hypot(*(a - b)) / scale for a, b in zip(ours, theirs, strict=True)]
    return float(sum(distances) / len(distances))


def check_shift_in_photo(answer: Callable[[np.ndarray, np.ndarray, np.ndarray], float]) -> Verdict:
    """Check `shift_in_photo(ours, theirs, to_crop)`: how far joints are apart, in the photograph's pixels.

    >>> check_shift_in_photo(shift_in_photo)
    Right: all 4 cases agree.
    """

    def hints(case: tuple, expected: float, got: Any) -> str | None:
        ours, theirs, to_crop = case
        inside = float(np.linalg.norm(ours - theirs, axis=1).mean())
        if np.ndim(got) or np.asarray(got).dtype.kind not in "iuf":
            return "Return one number."
        if np.isclose(got, inside):
            return "Those are pixels of the crop; the photograph's may be larger or smaller."
        if np.isclose(got, inside * to_crop[0, 0]):
            return "`to_crop` leads from the photograph to the crop; here we go back."
        if np.isclose(got, expected**2):
            return "That is the square of the distance."
        return None

    generator = np.random.default_rng(0)
    cases = []
    for scale, joints in ((1.0, 3), (2.0, 3), (0.5, 17), (1.28, 1)):
        ours = generator.uniform(0, 192, (joints, 2)).round(1)
        theirs = ours + generator.normal(0, 3, (joints, 2)).round(1)
        cases.append((ours, theirs, np.array([[scale, 0.0, -70.0], [0.0, scale, -20.0]])))
    return check_cases(answer, shift_in_photo, cases, hints=hints)


ROWS = (
    {"name": "ncnn, float32", "ms": 14.0, "mb": 5.5, "shift": 0.0},
    {"name": "ncnn, float16", "ms": 13.5, "mb": 2.8, "shift": 0.01},
    {"name": "onnxruntime, fused", "ms": 10.0, "mb": 6.4, "shift": 0.0},
    {"name": "onnxruntime, int8", "ms": 9.0, "mb": 2.4, "shift": 4.6},
)


def choose(rows: Sequence[dict], megabytes: float, pixels: float) -> str:
    """The name of the fastest row within both limits.

    Raises:
        ValueError: none is.

    >>> choose(ROWS, 3.0, 0.5)
    'ncnn, float16'
    """
    best = None
    for row in rows:
        fits = row["mb"] <= megabytes and row["shift"] <= pixels
        if fits and (best is None or row["ms"] < best["ms"]):
            best = row
    if best is None:
        raise ValueError(f"nothing has at most {megabytes} MB and moves joints by at most {pixels} pixels")
    return best["name"]


def check_choose(answer: Callable[[Sequence[dict], float, float], str]) -> Verdict:
    """Check `choose(rows, megabytes, pixels)`: the fastest file within both limits.

    >>> check_choose(choose)
    Right: all 6 cases agree.
    """

    def hints(case: tuple, expected: str, got: Any) -> str | None:
        rows, megabytes, pixels = case
        row = next((row for row in rows if isinstance(got, str) and row["name"] == got), None)
        if row is not None and row["shift"] > pixels:
            return f"That one moves joints by {row['shift']} pixels."
        if row is not None and row["mb"] > megabytes:
            return f"That one has {row['mb']} MB."
        if row is not None:
            return "It fits, but another one that fits is faster."
        return "Return the name of a row."

    cases = [
        (ROWS, 10.0, 10.0), (ROWS, 10.0, 0.5), (ROWS, 3.0, 0.5), (ROWS, 2.4, 4.6), (ROWS[::-1], 5.5, 0.0),
        (ROWS[:2], 3.0, 0.01),
    ]  # fmt: skip
    return check_cases(answer, choose, cases, hints=hints)
