"""The checks of notebook 02: "wrong", with the reason, on what people really write."""

from __future__ import annotations

import pytest
from solved import assert_wrong

from litehrnet.course.exercises import check_block_saving, check_conv_macs, check_fuse_macs


def solve_conv(in_channels, out_channels, kernel, stride, groups, size):
    height, width = (-(-side // stride) for side in size)
    return kernel * kernel * (in_channels // groups) * out_channels * height * width


def solve_saving(channels, sizes, reduction):
    halves = [c // 2 for c in channels]
    pixels = [h * w for h, w in sizes]
    depthwise = sum(9 * c * p for c, p in zip(halves, pixels, strict=True))
    shuffle = depthwise + sum(2 * c * c * p for c, p in zip(halves, pixels, strict=True))
    spatial = sum(2 * c * int(c / 4) for c in halves)
    cross = 2 * sum(halves) * int(sum(halves) / reduction) * pixels[-1]
    return 1 - (depthwise + spatial + cross) / shuffle


def solve_fuse(channels, size, up_size=lambda i, j: j, twice=False):
    pixels = [size[0] * size[1] // 4**i for i in range(len(channels))]
    total = 0
    for i, out in enumerate(channels):
        for j, c in enumerate(channels):
            if j > i:
                total += c * out * pixels[up_size(i, j)]
            for step in range(j + 1, i + 1):
                macs = (9 * c + c * (out if step == i else c)) * pixels[step]
                total += 2 * macs if twice and j == 0 else macs
    return total


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda c, o, k, s, g, size: solve_conv(c, o, k, s, 1, size), "own group"),
        (lambda c, o, k, s, g, size: solve_conv(c, o, k, 1, g, size), "stride"),
        (lambda c, o, k, s, g, size: solve_conv(c, o, k, s, g, size) // k, "kernel * kernel"),
        (lambda *case: 2 * solve_conv(*case), "count two"),
        (lambda c, o, k, s, g, size: k * k * c // g * o * (size[0] // s) * (size[1] // s), "rounded up"),
        (lambda c, o, k, s, g, size: k * k * c * o, "expected"),
    ],
)
def test_wrong_macs(answer, reason):
    assert_wrong(check_conv_macs, answer, reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda *case: 100 * solve_saving(*case), "percentage"),
        (lambda *case: 1 - solve_saving(*case), "share that remains"),
        (lambda channels, *rest: solve_saving([2 * c for c in channels], *rest), "one half"),
        (lambda *case: 0.8, "expected"),
    ],
)
def test_wrong_savings(answer, reason):
    assert_wrong(check_block_saving, answer, reason)


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (lambda *case: solve_fuse(*case, twice=True), "twice"),
        (lambda *case: solve_fuse(*case, up_size=lambda i, j: i), "before it is enlarged"),
        (lambda channels, size: channels[0] * channels[1] * size[0] * size[1] // 4, "larger maps are missing"),
        (
            lambda channels, size: solve_fuse(channels, size) - channels[0] * channels[1] * size[0] * size[1] // 4,
            "smaller maps are missing",
        ),
        (lambda *case: 1, "expected"),
    ],
)
def test_wrong_fuse_steps(answer, reason):
    assert_wrong(check_fuse_macs, answer, reason)
