"""The checks of notebook 05: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest
from solved import assert_wrong, solutions

from litehrnet.course.exercises import check_same_peaks, check_untested


@pytest.fixture(scope="module")
def solved():
    return solutions("05_export_and_verify")


def test_numpy_truth_is_truth(solved):
    assert check_same_peaks(lambda right, got: np.bool_(solved["same_peaks"](right, got))).state == "right"


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_same_peaks, lambda right, got: right.argmax() == got.argmax(), "its own peak"),
        (check_same_peaks, lambda right, got: np.allclose(right, got, atol=1e-3), "expected True"),
        (check_same_peaks, lambda right, got: True, "expected False"),
        (check_same_peaks, lambda right, got: np.allclose(right.max((2, 3)), got.max((2, 3))), "expected"),
        (check_same_peaks, lambda right, got: 6, "True or False"),
        (check_untested, lambda wanted, tried, ok: [pair for pair in wanted if pair not in tried], "failed"),
        (
            check_untested,
            lambda wanted, tried, ok: [
                pair for pair in wanted if pair not in [t for t, good in zip(tried, ok, strict=True) if good]
            ],
            "One failure",
        ),
        (check_untested, lambda wanted, tried, ok: list(wanted), "expected"),
        (check_untested, lambda wanted, tried, ok: [], "expected"),
    ],
)
def test_wrong_answers_are_told_why(check, answer, reason):
    assert_wrong(check, answer, reason)
