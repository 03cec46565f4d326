"""The checks of notebook 07: right on the solutions, "unsolved" on the stubs, "wrong" on what people really write."""

from __future__ import annotations

import numpy as np
import pytest
from solved import solutions, stub

from litehrnet.course.exercises import check_fold_norm, check_follow_shuffles, check_least_time

CHECKS = {
    "fold_norm": check_fold_norm,
    "follow_shuffles": check_follow_shuffles,
    "least_time": check_least_time,
}


@pytest.fixture(scope="module")
def solved():
    return solutions("07_make_it_fast")


@pytest.mark.parametrize("name", CHECKS)
def test_right_on_the_solution_and_unsolved_on_the_stub(name, solved):
    assert CHECKS[name](solved[name]).state == "right"
    assert CHECKS[name](stub).state == "unsolved"
    assert CHECKS[name](lambda *_: None).state == "wrong"


def bias_forgotten(weight, bias, mean, variance, slope, shift):
    factor = slope / np.sqrt(variance + 1e-5)
    return weight * factor[:, None], shift - mean * factor


def factor_on_columns(weight, bias, mean, variance, slope, shift):
    factor = np.resize(slope / np.sqrt(variance + 1e-5), weight.shape[1])
    return weight * factor, (bias - mean) * slope / np.sqrt(variance + 1e-5) + shift


def where_each_number_lies(channels, blocks):
    numbers = list(range(channels))
    for _ in range(blocks):
        numbers = numbers[: channels // 2] + numbers[channels // 2 :]
        numbers = [n for pair in zip(numbers[: channels // 2], numbers[channels // 2 :], strict=True) for n in pair]
    return numbers


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (check_fold_norm, bias_forgotten, "own bias"),
        (check_fold_norm, factor_on_columns, "row"),
        (check_fold_norm, lambda weight, *_: weight, "two arrays"),
        (check_follow_shuffles, where_each_number_lies, "at each position"),
        (check_least_time, lambda m, b, g, w: (m / g + b / w) / 1000, "longer one"),
        (check_least_time, lambda m, b, g, w: max(m / g, b / w), "unit"),
    ],
)
def test_wrong_answers_get_their_hint(check, answer, hint):
    verdict = check(answer)
    assert verdict.state == "wrong"
    assert hint in verdict.message
