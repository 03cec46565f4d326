"""The checks of notebook 07: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest
from solved import assert_wrong

from litehrnet.course.exercises import check_fold_norm, check_follow_shuffles


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
    ],
)
def test_wrong_answers_get_their_hint(check, answer, hint):
    assert_wrong(check, answer, hint)
