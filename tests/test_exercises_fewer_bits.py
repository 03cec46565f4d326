"""The checks of notebook 11: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest

from litehrnet.course.exercises import check_channel_round_trip, check_round_trip


def eight_bits(x: np.ndarray, low: float, high: float, clip: bool = True, zero: bool = True) -> np.ndarray:
    """Without widening the range; optionally without clipping, or with levels that begin at `low`."""
    scale = (high - low) / 255
    start = round(-low / scale) if zero else -low / scale
    levels = np.round(x / scale + start)
    return ((np.clip(levels, 0, 255) if clip else levels) - start) * scale


def with_scale_over(axes: tuple[int, ...] | None, guarded: bool = True):
    def back(weight: np.ndarray) -> np.ndarray:
        scale = np.abs(weight).max(axis=axes, keepdims=True) / 127
        with np.errstate(invalid="ignore"):
            return np.round(weight / (np.where(scale == 0, 1, scale) if guarded else scale)) * scale

    return back


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_round_trip, lambda x, low, high: eight_bits(x, low, high, clip=False), "clipped"),
        (check_round_trip, lambda x, low, high: eight_bits(x, low, high, zero=False), "exactly zero"),
        (check_round_trip, eight_bits, "must contain 0"),
        (check_round_trip, lambda x, low, high: np.clip(x, low, high), "expected"),
        (check_round_trip, lambda x, low, high: np.round(x), "expected"),
        (check_channel_round_trip, with_scale_over(None), "one scale for all"),
        (check_channel_round_trip, with_scale_over((0, 2, 3)), "input channel"),
        (check_channel_round_trip, with_scale_over((1, 2, 3), guarded=False), "0 / 0"),
        (check_channel_round_trip, lambda weight: weight.ravel(), "shape"),
        (check_channel_round_trip, lambda weight: weight, "expected"),
    ],
)
def test_wrong_answers_are_told_why(check, answer, reason):
    verdict = check(answer)
    assert verdict.state == "wrong"
    assert reason in verdict.message
