"""The checks of notebook 10: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import numpy as np
import pytest
from solved import assert_wrong, stub

from litehrnet.course.exercises import check_folds, check_found_share, check_target

CHECKS = {"target": check_target, "found_share": check_found_share, "folds": check_folds}


def hill(x, y, size, width):
    rows, columns = np.mgrid[: size[0] // 4, : size[1] // 4]
    return np.exp(-((columns - x) ** 2 + (rows - y) ** 2) / width)


def distances(joints, labels):
    return np.linalg.norm(joints - labels[..., :2], axis=-1)


def each(joints, labels, limit):
    """The share of every person."""
    known = labels[..., 2] > 0
    return ((distances(joints, labels) <= limit) & known).sum(1) / known.sum(1)


@pytest.mark.parametrize("name", CHECKS)
def test_stubs_are_unsolved(name):
    assert CHECKS[name](stub).state == "unsolved"


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_target, lambda j, s, w: hill(j[0] / 4, j[1] / 4, s, 2 * w**2).T, "Height comes before width"),
        (check_target, lambda j, s, w: hill(j[0], j[1], (4 * s[0], 4 * s[1]), 2 * w**2), "a quarter"),
        (check_target, lambda j, s, w: hill(j[1] / 4, j[0] / 4, s, 2 * w**2), "changed places"),
        (check_target, lambda j, s, w: hill(j[0], j[1], s, 2 * w**2), "input pixel 4h"),
        (check_target, lambda j, s, w: hill(round(j[0] / 4), round(j[1] / 4), s, 2 * w**2), "Do not round"),
        (check_target, lambda j, s, w: hill(j[0] / 4, j[1] / 4, s, w**2), "*twice*"),
        (check_target, lambda j, s, w: (m := hill(j[0] / 4, j[1] / 4, s, 2 * w**2)) / m.sum(), "no probability"),
        (check_found_share, lambda j, t, m: (distances(j, t) <= m).mean(), "leave it out"),
        (check_found_share, lambda j, t, m: ((distances(j, t) <= m) & (t[..., 2] > 0)).mean(), "not of all joints"),
        (check_found_share, lambda j, t, m: each(j, t, m).mean(), "people's shares"),
        (check_found_share, lambda j, t, m: (distances(j, t) <= m)[t[..., 2] == 2].mean(), "both have a label"),
        (check_found_share, lambda j, t, m: (distances(j, t) < m)[t[..., 2] > 0].mean(), "exactly the limit"),
        (check_found_share, lambda j, t, m: (abs(j - t[..., :2]).max(-1) <= m)[t[..., 2] > 0].mean(), "two parts"),
        (check_found_share, lambda j, t, m: distances(j, t), "one number"),
        (check_folds, lambda people, count: [n % count for n in range(len(people))], "somebody it has seen"),
        (check_folds, lambda people, count: [sorted(set(people)).index(p) % count for p in people], "not by name"),
        (check_folds, lambda people, count: [list(dict.fromkeys(people)).index(p) for p in people], "numbered from 0"),
        (check_folds, lambda people, count: count, "one number per picture"),
    ],
)
def test_wrong_answers_get_their_hint(check, answer, reason):
    assert_wrong(check, answer, reason)
