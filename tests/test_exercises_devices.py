"""The checks of notebook 08: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest
from solved import assert_wrong

from litehrnet.course.exercises import check_choose, check_shift_in_photo


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_shift_in_photo, lambda a, b, m: np.linalg.norm(a - b, axis=1).mean(), "pixels of the crop"),
        (check_shift_in_photo, lambda a, b, m: np.linalg.norm(a - b, axis=1).mean() * m[0, 0], "we go back"),
        (check_shift_in_photo, lambda a, b, m: np.abs(a - b).mean() / m[0, 0], "expected"),
        (check_choose, lambda rows, megabytes, pixels: min(rows, key=lambda row: row["ms"])["name"], "moves joints by"),
        (
            check_choose,
            lambda rows, megabytes, pixels: min((r for r in rows if r["shift"] <= pixels), key=lambda r: r["ms"])[
                "name"
            ],
            "MB",
        ),
        (
            check_choose,
            lambda rows, megabytes, pixels: next(
                row["name"] for row in rows if row["mb"] <= megabytes and row["shift"] <= pixels
            ),
            "faster",
        ),
        (check_choose, lambda *_: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_answers_are_told_why(check, answer, reason):
    assert_wrong(check, answer, reason)
