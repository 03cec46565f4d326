"""The pooling mathematics, against torch, for every pair of sizes that the course speaks of."""

from __future__ import annotations

import re

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional as F

from litehrnet.pooling import (
    POOLING_MODES,
    ComputedAvgPool,
    adaptive_windows,
    averaging_matrix,
    check_pooling,
    computed_windows,
    is_exact,
    make_pool,
    pool_params,
)

SHRINKING = [(n, m) for m in range(1, 65) for n in range(m, 257)]
GROWING = [(n, m) for m in range(2, 65) for n in range(1, m)]


def one_hot(n: int) -> torch.Tensor:
    """Every pixel once: pooling is linear, so what it does to these n rows is all that it does."""
    return torch.eye(n, dtype=torch.float64)[None]


def pool_adaptive(n: int, m: int) -> np.ndarray:
    return F.adaptive_avg_pool1d(one_hot(n), m)[0].T.numpy()  # (m, n)


def pool_computed(n: int, m: int) -> np.ndarray:
    kernel, stride = pool_params(n, m)
    return F.avg_pool1d(one_hot(n), kernel, stride)[0].T.numpy()  # (m, n)


def test_computed_pooling_has_the_right_size_and_is_equal_exactly_where_is_exact_says_so():
    wrong_size, wrong_claim = [], []
    for n, m in SHRINKING:
        adaptive, computed = pool_adaptive(n, m), pool_computed(n, m)
        if computed.shape != (m, n):
            wrong_size.append((n, m))
        elif np.allclose(adaptive, computed, rtol=0, atol=1e-12) != is_exact(n, m):
            wrong_claim.append((n, m))
    assert len(SHRINKING) == 14_368
    assert wrong_size == []
    assert wrong_claim == []


@pytest.mark.parametrize("pairs", [SHRINKING, GROWING], ids=["shrinking", "growing"])
def test_averaging_matrix_is_adaptive_pooling_for_every_pair(pairs):
    wrong = [
        (n, m) for n, m in pairs if not np.allclose(averaging_matrix(n, m), pool_adaptive(n, m), rtol=0, atol=1e-12)
    ]
    assert wrong == []


def test_is_exact_means_that_the_windows_are_the_same():
    wrong = [(n, m) for n, m in SHRINKING if (adaptive_windows(n, m) == computed_windows(n, m)) != is_exact(n, m)]
    assert wrong == []


def test_is_exact_is_the_remainder_rule():
    pairs = [(n, m) for n in range(1, 201) for m in range(1, n + 1)]
    assert len(pairs) == 20_100
    assert [pair for pair in pairs if is_exact(*pair) != (pair[0] % pair[1] in (0, 1))] == []


@pytest.mark.parametrize("pair", [(10, 3), (5, 4), (9, 2), (17, 16), (64, 8), (8, 1), (1, 1)])
def test_exact_pairs_that_the_course_names(pair):
    assert is_exact(*pair)


@pytest.mark.parametrize("pair", [(11, 4), (7, 4), (54, 14), (107, 27)])
def test_inexact_pairs_that_the_course_names_are_off_by_more_than_rounding(pair):
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8, *[pair[0]] * 2)))
    adaptive = F.adaptive_avg_pool2d(noise, pair[1])
    computed = ComputedAvgPool()(noise, (pair[1], pair[1]))
    assert not is_exact(*pair)
    assert computed.shape == adaptive.shape
    assert float((adaptive - computed).abs().max()) > 0.3


def test_windows_cover_every_pixel_and_rows_sum_to_one():
    for n, m in SHRINKING[::97] + GROWING[::97]:
        windows = adaptive_windows(n, m)
        assert windows[0][0] == 0
        assert windows[-1][1] == n
        assert all(start < end for start, end in windows)
        assert sorted({pixel for start, end in windows for pixel in range(start, end)}) == list(range(n))
        np.testing.assert_allclose(averaging_matrix(n, m).sum(axis=1), 1)


SIDES = st.integers(1, 40)


@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, out_height=SIDES, out_width=SIDES, batch=st.integers(1, 3))
def test_exact_mode_is_adaptive_mode_on_maps_of_any_shape(height, width, out_height, out_width, batch):
    x = torch.from_numpy(np.random.default_rng(height).standard_normal((batch, 2, height, width)))
    size = (out_height, out_width)
    torch.testing.assert_close(make_pool("exact")(x, size), make_pool("adaptive")(x, size), rtol=0, atol=1e-12)


@settings(max_examples=60, deadline=None)
@given(data=st.data(), height=SIDES, width=SIDES)
def test_computed_mode_on_maps_is_one_axis_at_a_time(data, height, width):
    size = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    x = torch.from_numpy(np.random.default_rng(width).standard_normal((2, 3, height, width)))
    got = make_pool("computed")(x, size)
    rows, columns = (torch.from_numpy(pool_computed(n, m)) for n, m in zip((height, width), size, strict=True))
    torch.testing.assert_close(got, rows @ x @ columns.T, rtol=0, atol=1e-12)
    same = torch.allclose(got, F.adaptive_avg_pool2d(x, size), rtol=0, atol=1e-9)
    assert same == (is_exact(height, size[0]) and is_exact(width, size[1]))


@pytest.mark.parametrize("mode", POOLING_MODES)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_modes_keep_dtype_and_have_no_weights(mode, dtype):
    pool = make_pool(mode, ratio=4)
    assert pool(torch.ones(1, 2, 8, 12, dtype=dtype), (2, 3)).dtype == dtype
    assert pool.state_dict() == {}


@pytest.mark.parametrize("ratio", [1, 2, 4, 8])
def test_a_known_ratio_gives_what_the_sizes_give(ratio):
    torch.manual_seed(0)
    x = torch.randn(2, 3, 3 * ratio, 5 * ratio)
    torch.testing.assert_close(ComputedAvgPool(ratio)(x, (3, 5)), ComputedAvgPool()(x, (3, 5)), rtol=0, atol=0)


BAD_SIDES = [0, -1, 2.0, 2.5, True, False, "8", None, np.float32(4), np.bool_(True), (8,)]


@pytest.mark.parametrize("bad", BAD_SIDES, ids=repr)
@pytest.mark.parametrize("function", [pool_params, is_exact, adaptive_windows, averaging_matrix, computed_windows])
def test_sides_that_are_no_numbers_of_pixels_are_refused_with_what_was_given(function, bad):
    for arguments in ((bad, 1), (8, bad)):
        with pytest.raises(ValueError, match=re.escape(str(bad))):
            function(*arguments)


@pytest.mark.parametrize("function", [pool_params, is_exact, computed_windows])
def test_enlarging_is_refused_with_both_numbers_and_the_largest_legal_one(function):
    with pytest.raises(ValueError, match=r"7 pixels to 8 .* largest output_size is 7"):
        function(7, 8)


def test_numpy_integers_are_integers():
    assert pool_params(np.int64(64), np.int32(8)) == (8, 8)
    assert adaptive_windows(np.int64(4), np.uint8(2)) == [(0, 2), (2, 4)]


@pytest.mark.parametrize("ratio", [0, -2, 1.5, True])
def test_a_ratio_is_a_whole_number_of_pixels(ratio):
    with pytest.raises(ValueError, match="ratio"):
        ComputedAvgPool(ratio)


def test_unknown_modes_are_refused_with_the_known_ones():
    for function in (check_pooling, make_pool):
        with pytest.raises(ValueError, match=r"'exactly'.*'adaptive', 'computed', 'exact'"):
            function("exactly")
