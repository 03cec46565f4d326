"""The checks of notebook 12: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest

from litehrnet.course.exercises import check_least_time, check_two_threads


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_least_time, lambda m, b, g, w: (m / g + b / w) / 1000, "longer one"),
        (check_least_time, lambda m, b, g, w: max(m / g, b / w), "unit"),
        (check_two_threads, lambda d, h: sum(d) / sum(one / 2 + h for one in d), "stays on one thread"),
        (check_two_threads, lambda d, h: sum(min(one, one / 2 + h) for one in d) / sum(d), "share of the time"),
        (check_two_threads, lambda d, h: np.mean([one / min(one, one / 2 + h) for one in d]), "mean of the kernels"),
        (check_two_threads, lambda d, h: 2.0, "expected"),
        (check_two_threads, lambda d, h: d, "one number"),
    ],
)
def test_wrong_answers_get_their_hint(check, answer, reason):
    verdict = check(answer)
    assert verdict.state == "wrong"
    assert reason in verdict.message
