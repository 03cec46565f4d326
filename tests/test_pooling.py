"""The pooling mathematics, against torch, for every pair of sizes that the course mentions."""

from __future__ import annotations

import re
import warnings

import numpy as np
import pytest
import torch
from bounds import beyond, same, within
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from litehrnet.pooling import (
    POOLING_MODES,
    AdaptiveAvgPool,
    ComputedAvgPool,
    ExactAvgPool,
    adaptive_windows,
    averaging_matrix,
    check_pooling,
    computed_windows,
    greatest_error,
    is_exact,
    make_pool,
    pool_params,
    replace_adaptive_pooling,
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


@pytest.mark.numeric
def test_computed_pooling_has_the_right_size_and_is_equal_exactly_where_is_exact_says_so():
    assert len(SHRINKING) == 14_368
    off = {pair: np.abs(pool_adaptive(*pair) - pool_computed(*pair)).max() for pair in SHRINKING}
    within(max(value for pair, value in off.items() if is_exact(*pair)), 1e-12, "where it is exact")
    beyond(min(value for pair, value in off.items() if not is_exact(*pair)), 1e-6, "where it is not")


@pytest.mark.numeric
@pytest.mark.parametrize("pairs", [SHRINKING, GROWING], ids=["shrinking", "growing"])
def test_averaging_matrix_is_adaptive_pooling_for_every_pair(pairs):
    within(max(np.abs(averaging_matrix(*pair) - pool_adaptive(*pair)).max() for pair in pairs), 1e-12)


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


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore:computed pooling of")
@pytest.mark.parametrize("pair", [(11, 4), (7, 4), (54, 14), (107, 27)])
def test_inexact_pairs_that_the_course_names_are_off_by_more_than_rounding(pair):
    noise = torch.from_numpy(np.random.default_rng(0).standard_normal((1, 8, *[pair[0]] * 2)))
    adaptive = F.adaptive_avg_pool2d(noise, pair[1])
    computed = ComputedAvgPool()(noise, (pair[1], pair[1]))
    assert not is_exact(*pair)
    assert computed.shape == adaptive.shape
    beyond(float((adaptive - computed).abs().max()), 0.03, "largest difference")


@pytest.mark.numeric
def test_windows_cover_every_pixel_and_rows_sum_to_one():
    for n, m in SHRINKING[::97] + GROWING[::97]:
        windows = adaptive_windows(n, m)
        assert windows[0][0] == 0
        assert windows[-1][1] == n
        assert all(start < end for start, end in windows)
        assert sorted({pixel for start, end in windows for pixel in range(start, end)}) == list(range(n))
        same(averaging_matrix(n, m).sum(axis=1), np.ones(m), 1e-12)


SIDES = st.integers(1, 40)


@pytest.mark.numeric
@settings(max_examples=60, deadline=None)
@given(height=SIDES, width=SIDES, out_height=SIDES, out_width=SIDES, batch=st.integers(1, 3))
def test_exact_mode_is_adaptive_mode_on_maps_of_any_shape(height, width, out_height, out_width, batch):
    x = torch.from_numpy(np.random.default_rng(height).standard_normal((batch, 2, height, width)))
    size = (out_height, out_width)
    same(make_pool("exact")(x, size), make_pool("adaptive")(x, size), 1e-11)


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore:computed pooling of")
@settings(max_examples=60, deadline=None)
@given(data=st.data(), height=SIDES, width=SIDES)
def test_computed_mode_on_maps_is_one_axis_at_a_time(data, height, width):
    size = data.draw(st.integers(1, height)), data.draw(st.integers(1, width))
    x = torch.from_numpy(np.random.default_rng(width).standard_normal((2, 3, height, width)))
    got = make_pool("computed")(x, size)
    rows, columns = (torch.from_numpy(pool_computed(n, m)) for n, m in zip((height, width), size, strict=True))
    same(got, rows @ x @ columns.T, 1e-11)
    off = float((got - F.adaptive_avg_pool2d(x, size)).abs().max())
    if is_exact(height, size[0]) and is_exact(width, size[1]):
        within(off, 1e-11, "where it is exact")
    else:
        beyond(off, 1e-6, "where it is not")


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
    assert torch.equal(ComputedAvgPool(ratio=ratio)(x, (3, 5)), ComputedAvgPool()(x, (3, 5)))


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
        ComputedAvgPool(ratio=ratio)


def test_unknown_modes_are_refused_with_the_known_ones():
    for function in (check_pooling, make_pool):
        with pytest.raises(ValueError, match=r"'exactly'.*'adaptive', 'computed', 'exact'"):
            function("exactly")


# ----------------------------------------------------------------------------------------- in place of torch's module


@pytest.mark.numeric
@settings(max_examples=60, deadline=None)
@given(
    sides=st.tuples(SIDES, SIDES),
    asked=st.one_of(SIDES, st.tuples(st.one_of(SIDES, st.none()), st.one_of(SIDES, st.none()))),
    batch=st.one_of(st.none(), st.integers(1, 3)),
)
def test_exact_pooling_is_a_drop_in_for_torchs_module(sides, asked, batch):
    shape = (2, *sides) if batch is None else (batch, 2, *sides)
    x = torch.from_numpy(np.random.default_rng(sides[0]).standard_normal(shape))
    wanted = nn.AdaptiveAvgPool2d(asked)(x)
    for pool in (ExactAvgPool(asked), AdaptiveAvgPool(asked)):
        got = pool(x)
        assert got.shape == wanted.shape
        same(got, wanted, 1e-11)


@pytest.mark.numeric
def test_computed_pooling_is_one_where_it_is_exact():
    x = torch.randn(3, 17, 12, dtype=torch.float64)
    for asked in (4, (8, 3), (None, 6), (16, None), [2, 4]):
        got = ComputedAvgPool(asked)(x)
        same(got, nn.AdaptiveAvgPool2d(asked)(x), 1e-12)


def test_a_size_given_at_the_call_comes_first():
    pool = ExactAvgPool((4, 4))
    assert pool(torch.zeros(1, 8, 8)).shape == (1, 4, 4) and pool(torch.zeros(1, 8, 8), (3, 5)).shape == (1, 3, 5)
    assert repr(pool) == "ExactAvgPool(output_size=(4, 4))"
    assert repr(ComputedAvgPool(ratio=4)) == "ComputedAvgPool(ratio=4)"


@pytest.mark.parametrize("kind", [AdaptiveAvgPool, ComputedAvgPool, ExactAvgPool])
def test_pools_say_what_they_need(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__} was made without an output_size"):
        kind()(torch.zeros(1, 1, 4, 4))
    with pytest.raises(ValueError, match=r"3 or 4 dimensions.*\(4, 4\)"):
        kind(2)(torch.zeros(4, 4))
    for bad in (0, -1, 1.5, "4", (2, 0), (1, 2, 3), (True, 1)):
        with pytest.raises(ValueError, match="output_size"):
            kind(bad)


def test_whole_numbers_are_refused():
    with pytest.raises(ValueError, match=r"ExactAvgPool needs a floating-point tensor, got torch\.int64"):
        ExactAvgPool(2)(torch.zeros(1, 1, 4, 4, dtype=torch.int64))


def test_computed_pooling_warns_once_where_it_is_not_adaptive_pooling():
    pool, x = ComputedAvgPool(), torch.zeros(1, 1, 11, 11)
    with pytest.warns(UserWarning, match="11x11 to 4x4 is not adaptive pooling: values can differ by up to"):
        pool(x, (4, 4))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        pool(x, (4, 4))
        ComputedAvgPool()(x, (5, 11))  # exact: 11 % 5 is 1


@pytest.mark.numeric
@pytest.mark.parametrize("pair", [(11, 4), (7, 4), (9, 7), (16, 5)])
def test_the_greatest_error_is_reached_and_never_passed(pair):
    n, m = pair
    bound = greatest_error((n, 6), (m, 3))
    weights = pool_adaptive(n, m) - pool_computed(n, m)
    worst = np.where(weights[np.abs(weights).sum(1).argmax()] > 0, 1.0, 0.0)
    x = torch.from_numpy(np.repeat(worst[:, None], 6, 1))[None]
    off = float((ExactAvgPool((m, 3))(x) - F.avg_pool2d(x, *zip(pool_params(n, m), (2, 2), strict=True))).abs().max())
    within(abs(off - bound), 1e-12, "short of the bound, or beyond it")


@pytest.mark.numeric
@pytest.mark.parametrize("pool", [ComputedAvgPool((4, 3)), ExactAvgPool((4, 3)), ComputedAvgPool(ratio=2)])
def test_tracing_warns_of_nothing(pool):
    size = (4, 3)
    holder = nn.Sequential(pool) if getattr(pool, "output_size", None) else _Asks(pool, size)
    with warnings.catch_warnings():
        warnings.simplefilter("error", torch.jit.TracerWarning)
        warnings.simplefilter("ignore", DeprecationWarning)  # torch.jit is on its way out
        traced = torch.jit.trace(holder, torch.zeros(1, 2, 8, 6))
    x = torch.randn(1, 2, 8, 6)
    same(traced(x), F.adaptive_avg_pool2d(x, size), 1e-5)


class _Asks(nn.Module):
    def __init__(self, pool, size):
        super().__init__()
        self.pool, self.size = pool, size

    def forward(self, x):
        return self.pool(x, self.size)


# ------------------------------------------------------------------------------------------------ whole other networks


class Pyramid(nn.Module):
    """What networks do with adaptive pooling: some pools exact, some not, one shared, one by a call, one idle."""

    def __init__(self):
        super().__init__()
        self.pools = nn.ModuleList(nn.AdaptiveAvgPool2d(size) for size in (1, 2, 3, 6, (None, 5)))
        self.again = self.pools[2]
        self.line = nn.Sequential(nn.AdaptiveAvgPool1d(7), nn.Dropout(0.9))
        self.idle = nn.AdaptiveAvgPool2d(4)
        self.block = nn.Module()
        self.block.deep = nn.AdaptiveAvgPool3d((1, 4, 4))

    def forward(self, x, scale=1.0):
        maps = [pool(x) for pool in (*self.pools, self.again)]
        line = self.line(x.flatten(2))
        deep = self.block.deep(x)
        called = F.adaptive_avg_pool2d(x, (3, 2))
        return torch.cat([part.flatten(1) for part in (*maps, line, deep, called)], 1) * scale


@pytest.mark.numeric
def test_every_adaptive_pooling_of_a_network_is_replaced_by_the_cheapest_exact_form():
    network, x = Pyramid().double().train(), torch.randn(2, 3, 13, 12, dtype=torch.float64)
    keys = list(network.state_dict())
    expected = network.eval()(x, 2.0)
    rows = replace_adaptive_pooling(network.train(), (x, 2.0))
    assert network.training and network.line[1].training and list(network.state_dict()) == keys
    same(network.eval()(x, 2.0), expected, 1e-11)
    assert {row.name: (row.input_size, row.output_size, row.mode) for row in rows} == {
        "pools.0": ((13, 12), (1, 1), "global"),
        "pools.1": ((13, 12), (2, 2), "computed"),
        "pools.2": ((13, 12), (3, 3), "computed"),
        "pools.3": ((13, 12), (6, 6), "computed"),
        "pools.4": ((13, 12), (13, 5), "exact"),
        "line.0": ((156,), (7,), "exact"),
        "idle": ((), (), "unchanged"),
        "block.deep": ((3, 13, 12), (1, 4, 4), "unchanged"),
        "(the network)": ((13, 12), (3, 2), "unchanged"),
    }
    left = [type(part).__name__ for part in network.modules() if "Adaptive" in type(part).__name__]
    assert sorted(left) == ["AdaptiveAvgPool2d", "AdaptiveAvgPool3d"]  # the idle one, and the deep one
    assert network.again is network.pools[2]
    table = str(rows).splitlines()
    assert len(table) == 1 + len(rows) and "did not reach" in str(rows) and "in the code of this Pyramid" in table[-1]


def test_the_rest_of_a_replaced_network_warns_at_sizes_where_it_is_not_exact():
    network = nn.Sequential(nn.AdaptiveAvgPool2d(4))
    assert replace_adaptive_pooling(network, torch.zeros(1, 1, 8, 8))[0].mode == "computed"
    with pytest.warns(UserWarning, match="11x8 to 4x4"):
        network(torch.zeros(1, 1, 11, 8))


@pytest.mark.numeric
def test_a_pool_that_meets_two_sizes_must_serve_both():
    class Twice(nn.Module):
        def __init__(self):
            super().__init__()
            self.pool = nn.AdaptiveAvgPool2d(4)

        def forward(self, x):
            return self.pool(x) + self.pool(F.pad(x, (0, 3, 0, 0)))

    network, x = Twice(), torch.randn(1, 2, 8, 8)
    expected = network(x)
    assert [row.mode for row in replace_adaptive_pooling(network, x)] == ["exact"]
    same(network(x), expected, 1e-5)


def test_networks_without_adaptive_pooling_and_lone_pools():
    assert str(replace_adaptive_pooling(nn.Conv2d(1, 1, 1), torch.zeros(1, 1, 2, 2))) == (
        "no adaptive average pooling ran"
    )
    with pytest.raises(ValueError, match="lone AdaptiveAvgPool2d"):
        replace_adaptive_pooling(nn.AdaptiveAvgPool2d(2), torch.zeros(1, 1, 4, 4))
    network = nn.Sequential(nn.AdaptiveAvgPool2d(2), nn.Linear(5, 5))
    with pytest.raises(RuntimeError):
        replace_adaptive_pooling(network, torch.zeros(1, 1, 4, 4))
    assert type(network[0]) is nn.AdaptiveAvgPool2d and not network[0]._forward_hooks
