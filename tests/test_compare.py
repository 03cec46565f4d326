"""What the lessons print about two computations: the bound where it is kept, the number where it is not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from litehrnet.course.compare import differ, relative_difference


@pytest.mark.parametrize(
    ("expected", "got", "difference"),
    [
        ([1.0, 2.0], [1.0, 2.0], 0.0),
        (torch.tensor([-4.0, 1.0]), np.array([-3.0, 1.0]), 0.25),
        (np.zeros(3), np.array([0.0, 1.0, 0.0]), float("inf")),
        (np.zeros((0, 3)), np.zeros((0, 3)), 0.0),
    ],
)
def test_the_largest_difference_over_the_largest_value(expected, got, difference):
    assert relative_difference(expected, got) == difference


def test_arrays_of_other_shapes_are_not_broadcast():
    with pytest.raises(ValueError, match=r"\(2,\) and \(1,\)"):
        relative_difference([1.0, 2.0], [1.0])
    assert differ([np.zeros(2)], [np.zeros(3)], 1e-3) == "have different shapes, (2,) and (3,)"


def test_the_worst_pair_of_a_list_decides():
    good, bad = torch.ones(2), torch.tensor([1.0, 1.5])
    assert differ([good, good], [good, good + 1e-7], 1e-5) == "differ by at most 1e-05 of the largest value"
    assert differ((good, good), (good, bad), 1e-5).startswith("differ by 0.5 of")
    with pytest.raises(ValueError, match="zip"):
        differ([good, good], [good], 1e-5)


def test_what_is_no_number_is_not_within_a_bound():
    good, bad = np.ones(2), np.array([1.0, np.nan])
    assert "nan" in differ(good, bad, 1e-3)
    assert "nan" in differ([good, good], [good, bad], 1e-3)
