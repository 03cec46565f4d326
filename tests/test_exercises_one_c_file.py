"""The checks of notebook 09: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import pytest
from solved import assert_wrong

from litehrnet.course.exercises import check_best_tile, check_least_milliseconds, check_place, place


def in_order_of_the_list(buffers):
    starts = []
    for k, (size, first, last) in enumerate(buffers):
        beside = [(starts[b], n) for b, (n, begins, ends) in enumerate(buffers[:k]) if begins <= last and first <= ends]
        start = 0
        for there, length in sorted(beside):
            if there - start >= size:
                break
            start = max(start, there + length)
        starts.append(start)
    return starts


def one_after_another(buffers):
    return [sum(size for size, _, _ in buffers[:k]) for k in range(len(buffers))]


def free_a_step_too_early(buffers):
    return place([(size, first, max(first, last - 1)) for size, first, last in buffers])


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (check_least_milliseconds, lambda m, b, g, n, u, w: (m / (g * n * u) + b / w) / 1e6, "longer one"),
        (check_least_milliseconds, lambda m, b, g, n, u, w: max(2 * m / (g * n * u), b / w) / 1e6, "not two"),
        (check_least_milliseconds, lambda m, b, g, n, u, w: max(m / (g * n), b / w) / 1e6, "units"),
        (check_least_milliseconds, lambda m, b, g, n, u, w: max(m / (g * u), b / w) / 1e6, "lanes"),
        (check_least_milliseconds, lambda m, b, g, n, u, w: max(m / (g * n * u), b / w) / 1e9, "unit"),
        (check_best_tile, lambda registers: (registers, 1), "registers"),
        (check_best_tile, lambda registers: (1, 1), "per load"),
        (check_best_tile, lambda registers: {4: (2, 1), 8: (2, 2)}.get(registers, (5, 3)), "needs 19"),
        (check_best_tile, lambda registers: registers, "two numbers"),
        (check_place, in_order_of_the_list, "largest first"),
        (check_place, one_after_another, "Nothing is used twice"),
        (check_place, free_a_step_too_early, "share memory"),
        (check_place, lambda buffers: [0] * len(buffers), "share memory"),
    ],
)
def test_wrong_answers_get_their_hint(check, answer, hint):
    assert_wrong(check, answer, hint)


def test_a_plan_uses_no_byte_twice_and_no_more_than_all_together():
    buffers = [(5, 0, 2), (3, 1, 4), (4, 3, 6), (5, 5, 9), (1, 0, 9), (2, 8, 9)]
    starts = place(buffers)
    for step in range(10):
        alive = [
            (start, size) for start, (size, first, last) in zip(starts, buffers, strict=True) if first <= step <= last
        ]
        for (a, size), (b, _) in zip(sorted(alive), sorted(alive)[1:], strict=False):
            assert a + size <= b
    highest = max(start + size for start, (size, _, _) in zip(starts, buffers, strict=True))
    assert highest < sum(size for size, _, _ in buffers)
