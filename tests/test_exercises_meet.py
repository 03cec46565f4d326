"""The checks of notebook 01: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import pytest
import torch
from solved import assert_wrong

from litehrnet.course.exercises import check_block_parameters, check_fuse_two, check_shuffle_order


def solve_shuffle(channels, groups):
    size = channels // groups
    return [size * (i % groups) + i // groups for i in range(channels)]


def solve_parameters(channels):
    halves = [c // 2 for c in channels]
    total = sum(halves)
    hidden = int(total / 8)
    cross = 2 * total * hidden + 2 * hidden + 2 * total
    depthwise = sum(9 * h + 2 * h for h in halves)
    spatial = sum(2 * h * int(h / 4) + int(h / 4) + h for h in halves)
    return cross + depthwise + spatial


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda c, g: [(i % (c // g)) * g + i // (c // g) for i in range(c)], "where each channel goes"),
        (lambda c, g: list(range(c)), "expected"),
        (lambda c, g: solve_shuffle(c, 2), "raised|expected"),
    ],
)
def test_wrong_shuffles(answer, reason):
    verdict = check_shuffle_order(answer)
    assert verdict.state == "wrong"
    assert any(word in verdict.message for word in reason.split("|"))


def without_norms(channels):
    halves = [c // 2 for c in channels]
    return solve_parameters(channels) - 2 * int(sum(halves) / 8) - 4 * sum(halves)


def without_biases(channels):
    return solve_parameters(channels) - sum(int(c // 2 / 4) + c // 2 for c in channels)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (without_norms, "batch norms"),
        (without_biases, "biases"),
        (lambda channels: solve_parameters([2 * c for c in channels]), "one half"),
        (lambda channels: [1], "expected"),
    ],
)
def test_wrong_parameters(answer, reason):
    assert_wrong(check_block_parameters, answer, reason)


def fuse_rows(first, second):
    return lambda x0, x1, up, down: [torch.relu(first(x0, x1, up)), torch.relu(second(x0, x1, up, down))]


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (fuse_rows(lambda a, b, up: a + up(b), lambda a, b, up, down: down(a) + b), "tidy form"),
        (fuse_rows(lambda a, b, up: 2 * a + up(b), lambda a, b, up, down: 2 * down(a) + b), "not x0"),
        (fuse_rows(lambda a, b, up: 2 * a + up(b), lambda a, b, up, down: down(2 * a + up(b)) + b), "first term twice"),
        (
            fuse_rows(lambda a, b, up: 2 * a + up(b), lambda a, b, up, down: 2 * down(torch.relu(2 * a + up(b))) + b),
            "before the ReLU",
        ),
        (lambda a, b, up, down: [2 * a + up(b), 2 * down(2 * a + up(b)) + b], "ReLU at the end"),
        (lambda a, b, up, down: [a, "no map"], "expected"),
    ],
)
def test_wrong_fuse_steps(answer, reason):
    assert_wrong(check_fuse_two, answer, reason)


def test_an_answer_that_works_in_place_is_right():
    def in_place(x0, x1, up, down):
        x0 += x0 + up(x1)
        return [x0.relu(), (down(x0) * 2 + x1).relu()]

    assert check_fuse_two(in_place).state == "right"
