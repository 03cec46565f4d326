"""Checks for the exercises of `11_fewer_bits`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases

__all__ = ["check_channel_round_trip", "check_round_trip"]


def round_trip(x: Sequence[float], low: float, high: float) -> np.ndarray:
    """Numbers as they come back from 8 bits without sign, one by one and slowly.

    The range is widened to contain 0, because padding and ReLU make exact zeros that must stay exact. There are 256
    levels, `scale` apart; the level `zero` stands for 0.

    >>> round_trip([0.0, 0.5, 300.0], 0.0, 255.0).tolist()
    [0.0, 0.0, 255.0]
    """
    low, high = min(low, 0.0), max(high, 0.0)
    scale = (high - low) / 255
    zero = round(-low / scale)
    back = []
    for value in x:
        level = min(max(round(float(value) / scale) + zero, 0), 255)
        back.append((level - zero) * scale)
    return np.array(back)


def check_round_trip(answer: Callable[[np.ndarray, float, float], np.ndarray]) -> Verdict:
    """Check `round_trip(x, low, high)`: float to 8 bits and back.

    >>> check_round_trip(round_trip)
    Right: all 6 cases agree.
    """

    def hints(case: tuple, expected: np.ndarray, got: Any) -> str | None:
        x, low, high = case
        got = np.asarray(got)
        if got.shape != expected.shape or got.dtype.kind not in "iuf":
            return f"Return an array of {len(x)} numbers."
        if np.any(np.abs(got) > max(abs(low), abs(high)) * 1.5):
            return "A value outside the range must be clipped to its end."
        if low > 0 or high < 0:
            return "The range must contain 0, even if no number of the tensor is near it."
        if np.any((x == 0) & (got != 0)):
            return "Zero must come back as exactly zero: one of the 256 levels stands for it."
        return None

    cases = [
        (np.array([0.0, 0.3, 0.9, 1.0]), 0.0, 1.0),
        (np.array([-1.0, -0.2, 0.0, 0.1, 3.0]), -1.0, 3.0),
        (np.array([0.0, 5.0, -5.0]), -1.0, 1.0),
        (np.array([0.0, 2.0, 2.5, 3.0]), 2.0, 3.0),
        (np.array([-3.0, -2.5, 0.0]), -3.0, -2.0),
        (np.array([0.011, 0.012, 0.013]), -0.7, 2.1),
    ]
    return check_cases(answer, round_trip, cases, hints=hints)


def check_channel_round_trip(answer: Callable[[np.ndarray], np.ndarray]) -> Verdict:
    """Check `channel_round_trip(weight)`: weights to int8 and back, with one scale for every output channel.

    Args:
        answer: takes weights (out, in, h, w) and returns what comes back, in the same shape.

    >>> def back(weight):
    ...     scale = np.abs(weight).max(axis=(1, 2, 3), keepdims=True) / 127
    ...     return np.round(weight / np.where(scale == 0, 1, scale)) * scale
    >>> check_channel_round_trip(back)
    Right: all 4 cases agree.
    """

    def spec(weight: np.ndarray) -> np.ndarray:
        back = np.zeros_like(weight)
        for channel, values in enumerate(weight):
            scale = np.abs(values).max() / 127
            if scale:
                back[channel] = np.round(values / scale) * scale
        return back

    def hints(case: tuple, expected: np.ndarray, got: Any) -> str | None:
        (weight,) = case
        got = np.asarray(got)
        if got.shape != weight.shape:
            return "Return an array of the shape of the weights."
        if np.isnan(got).any():
            return "A channel of zeros has a scale of 0, and 0 / 0 is no number."
        one = np.abs(weight).max() / 127
        if np.allclose(got, np.round(weight / one) * one):
            return "That is one scale for all channels."
        columns = np.abs(weight).max(axis=(0, 2, 3), keepdims=True) / 127
        if np.allclose(got, np.round(weight / np.where(columns == 0, 1, columns)) * columns):
            return "That is one scale per input channel; axis 0 is the output channel."
        return None

    generator = np.random.default_rng(0)
    spread = generator.standard_normal((4, 3, 1, 1)) * np.array([0.01, 0.1, 1, 10]).reshape(4, 1, 1, 1)
    with_zeros = spread.copy()
    with_zeros[2] = 0
    cases = [
        (np.array([0.5, -1.0, 0.1, 0.004]).reshape(2, 2, 1, 1),),
        (spread,),
        (generator.standard_normal((2, 1, 3, 3)),),
        (with_zeros,),
    ]
    return check_cases(answer, spec, cases, hints=hints)
