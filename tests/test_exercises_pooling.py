"""The checks of notebook 04: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import pytest
import torch
from solved import assert_wrong
from torch.nn import functional as F

from litehrnet.course.exercises import check_exact_outputs, check_pool_any, check_smallest_exact_input


def pool_strided(x: torch.Tensor, m: int) -> torch.Tensor:
    stride = max(len(x) // m, 1)
    kernel = len(x) - (m - 1) * stride
    return F.avg_pool1d(x[None], max(kernel, 1), stride)[0]


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_exact_outputs, lambda n: [m for m in range(1, n + 1) if n % m == 0], "remainder of 1"),
        (check_exact_outputs, lambda n: [m for m in range(2, n + 1) if n % m <= 1], "expected"),
        (check_exact_outputs, lambda n: [m for m in range(n, 0, -1) if n % m <= 1], "expected"),
        (check_smallest_exact_input, lambda n, m: -(-n // m) * m, "one pixel over"),
        (check_smallest_exact_input, lambda n, m: n, "expected"),
        (check_smallest_exact_input, lambda n, m: n // m * m, "expected"),
        (check_pool_any, pool_strided, "expected"),
        (check_pool_any, lambda x, m: torch.stack([part.mean() for part in x.chunk(m)]), "expected"),
        (check_pool_any, lambda x, m: 1 / 0, "ZeroDivisionError"),
    ],
)
def test_wrong_answers_are_told_why(check, answer, reason):
    assert_wrong(check, answer, reason)
