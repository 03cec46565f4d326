"""Checks for the exercises of `02_count_the_cost`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from ...blocks import FuseStep
from ...complexity import count_module
from .core import Verdict, check_cases, is_number

__all__ = ["check_block_saving", "check_conv_macs", "check_fuse_macs"]


def conv_macs(in_channels: int, out_channels: int, kernel: int, stride: int, groups: int, size: tuple[int, int]) -> int:
    """The specification of exercise 1: make the convolution, run it, and let torch count.

    >>> conv_macs(40, 40, 1, 1, 1, (64, 48))
    4915200
    """
    layer = nn.Conv2d(in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=False)
    return sum(count_module(layer, torch.zeros(1, in_channels, *size)).values())


def check_conv_macs(answer: Callable[..., int]) -> Verdict:
    """Check `answer(in_channels, out_channels, kernel, stride, groups, size)`: MACs of one padded convolution.

    `size` is (height, width) of the input; the padding keeps the size at stride 1.
    """

    def hint(case: tuple, expected: int, got: Any) -> str | None:
        c, out, kernel, stride, groups, (h, w) = case
        oh, ow = -(-h // stride), -(-w // stride)
        window = kernel * kernel
        known = {
            out * c * window * oh * ow: "A filter sees only the channels of its own group.",
            out * c // groups * window * h * w: "A stride of 2 leaves fewer positions.",
            out * c // groups * kernel * oh * ow: "A kernel has kernel * kernel weights per channel.",
            out * c // groups * window * (h // stride) * (w // stride): "An odd side is rounded up when it is halved.",
            2 * expected: "A MAC is a multiplication and an addition together; you count two.",
        }
        return known.get(got) if is_number(got) else None

    cases = [
        (40, 40, 1, 1, 1, (64, 48)),
        (20, 20, 3, 1, 20, (64, 48)),
        (3, 32, 3, 2, 1, (256, 192)),
        (40, 40, 3, 2, 40, (64, 48)),
        (32, 16, 1, 1, 1, (1, 1)),
        (8, 8, 3, 2, 2, (7, 5)),
    ]
    return check_cases(answer, conv_macs, cases, hints=hint)


def block_saving(channels: Sequence[int], sizes: Sequence[tuple[int, int]], reduction: int) -> float:
    """The specification of exercise 2: the costs of both blocks written out branch by branch.

    >>> round(block_saving((40, 80), ((64, 64), (32, 32)), 16), 3)
    0.807
    """
    shuffle = weighting = 0
    for c, (h, w) in zip(channels, sizes, strict=True):
        half = c // 2
        depthwise = 9 * half * h * w
        shuffle += 2 * half * half * h * w + depthwise
        weighting += depthwise + 2 * half * int(half / 4)
    total = sum(c // 2 for c in channels)
    h, w = sizes[-1]
    weighting += 2 * total * int(total / reduction) * h * w
    return 1 - weighting / shuffle


def check_block_saving(answer: Callable[..., float]) -> Verdict:
    """Check `answer(channels, sizes, reduction)`: the share of a shuffle block's MACs that channel weighting saves.

    Both blocks as the network uses them, over all branches: half the channels are processed, the spatial weighting
    reduces by 4, the cross-resolution weighting by `reduction`, hidden numbers of channels are rounded down.
    """

    def hint(case: tuple, expected: float, got: Any) -> str | None:
        if not is_number(got):
            return None
        if abs(got - 100 * expected) < 0.01:
            return "Give a share between 0 and 1, not a percentage."
        if abs(got - (1 - expected)) < 1e-6:
            return "That is the share that remains; the question is which share is saved."
        doubled = block_saving([2 * c for c in case[0]], *case[1:])
        if abs(got - doubled) < 1e-6:
            return "Both blocks process only one half of the channels."
        return None

    two, four = ((64, 64), (32, 32)), ((64, 48), (32, 24), (16, 12), (8, 6))
    cases = [
        ((40, 80), two, 16),
        ((40, 80), two, 8),
        ((40, 80, 160, 320), four, 8),
        ((30, 60, 120, 240), four, 8),
        ((40, 80), four[:2], 4),
    ]
    return check_cases(answer, block_saving, cases, hints=hint)


def fuse_macs(channels: Sequence[int], size: tuple[int, int]) -> int:
    """The specification of exercise 3: build the fuse step, run it, and let torch count.

    >>> fuse_macs((40, 80), (64, 48))
    5191680
    """
    h, w = size
    xs = [torch.zeros(1, c, h >> i, w >> i) for i, c in enumerate(channels)]
    return sum(count_module(FuseStep(channels), xs).values())


def check_fuse_macs(answer: Callable[..., int]) -> Verdict:
    """Check `answer(channels, size)`: MACs of one fuse step, every convolution once.

    `channels` are those of each branch, largest map first; `size` is (height, width) of the largest map.
    """

    def hint(case: tuple, expected: int, got: Any) -> str | None:
        if not is_number(got):
            return None
        channels, size = case
        n = len(channels)
        first = sum(_down_macs(channels, size, i, 0) for i in range(1, n))
        up = sum(channels[j] * channels[i] * size[0] * size[1] // 4**j for i in range(n) for j in range(i + 1, n))
        late = sum(channels[j] * channels[i] * size[0] * size[1] // 4**i for i in range(n) for j in range(i + 1, n))
        known = {
            expected + first: "That is the public code, which runs f[i][0] twice; here each convolution counts once.",
            up: "You counted the paths from smaller maps; those from larger maps are missing.",
            expected - up: "You counted the paths from larger maps; those from smaller maps are missing.",
            expected - up + late: "Going up, the 1x1 convolution runs on the small map, before it is enlarged.",
        }
        return known.get(got)

    cases = [
        ((40, 80), (64, 48)),
        ((40, 80, 160), (64, 48)),
        ((40, 80, 160, 320), (64, 48)),
        ((30, 60, 120, 240), (64, 48)),
        ((4, 6, 10), (8, 16)),
    ]
    return check_cases(answer, fuse_macs, cases, hints=hint)


def _down_macs(channels: Sequence[int], size: tuple[int, int], i: int, j: int) -> int:
    """MACs of the path from the larger map j down to row i."""
    total = 0
    for step in range(j + 1, i + 1):
        pixels = size[0] * size[1] // 4**step
        total += (9 * channels[j] + channels[j] * channels[i if step == i else j]) * pixels
    return total
