"""Checks for the exercises of `01_meet_lite_hrnet`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from ...blocks import ConditionalChannelWeighting, upsample_nearest
from ...model import count_parameters
from .core import Verdict, check_cases, is_number, listed

__all__ = ["check_block_parameters", "check_fuse_two", "check_shuffle_order"]


def shuffle_order(channels: int, groups: int) -> list[int]:
    """The specification of exercise 1: take cards from the groups in turn, as from hands of cards.

    >>> shuffle_order(6, 2)
    [0, 3, 1, 4, 2, 5]
    """
    size = channels // groups
    hands = [list(range(g * size, (g + 1) * size)) for g in range(groups)]
    order = []
    for k in range(size):
        for hand in hands:
            order.append(hand[k])
    return order


def check_shuffle_order(answer: Callable[[int, int], Sequence[int]]) -> Verdict:
    """Check `answer(channels, groups)`: for every position after a channel shuffle, the channel that comes there.

    >>> check_shuffle_order(lambda channels, groups: list(range(channels)))
    Wrong for (6, 2): expected [0, 3, 1, 4, 2, 5], got [0, 1, 2, 3, 4, 5].
    """

    def hint(case: tuple, expected: list[int], got: Any) -> str | None:
        moves = [0] * len(expected)
        for position, channel in enumerate(expected):
            moves[channel] = position
        if got == moves:
            return "You list where each channel goes; the question is which channel comes to each position."
        return None

    return check_cases(
        lambda channels, groups: listed(answer(channels, groups)),
        shuffle_order,
        [(6, 2), (4, 2), (8, 2), (40, 2), (6, 3), (12, 4), (5, 1), (5, 5)],
        hints=hint,
    )


def block_parameters(channels: Sequence[int]) -> int:
    """The specification of exercise 2: build the block and count what it holds.

    >>> block_parameters((40, 80))
    2709
    """
    return count_parameters(ConditionalChannelWeighting(channels))


def check_block_parameters(answer: Callable[[tuple[int, ...]], int]) -> Verdict:
    """Check `answer(channels)`: the parameters of one conditional channel weighting block, batch norms included."""

    def hint(case: tuple, expected: int, got: Any) -> str | None:
        halves = [c // 2 for c in case[0]]
        hidden = int(sum(halves) / 8)
        norms = 2 * hidden + 4 * sum(halves)
        biases = sum(int(h / 4) + h for h in halves)
        known = {
            expected - norms: "That leaves out the batch norms, two numbers per channel.",
            expected - norms // 2: "A batch norm has two trainable numbers per channel, a scale and a shift.",
            expected - biases: "The two convolutions of spatial weighting have biases.",
            expected
            + 9 * sum(h * h - h for h in halves): "A depthwise filter sees one channel: 9 numbers, not 9 per pair.",
            block_parameters([2 * c for c in case[0]]): "Only one half of the channels goes through the weightings.",
        }
        return known.get(got) if is_number(got) else None

    return check_cases(
        answer, block_parameters, [((40, 80),), ((40, 80, 160),), ((40, 80, 160, 320),), ((30, 60),)], hints=hint
    )


def fuse_two(x0: Tensor, x1: Tensor, up: Callable[[Tensor], Tensor], down: Callable[[Tensor], Tensor]) -> list[Tensor]:
    """The specification of exercise 3: the public code's fuse step for two branches, line by line.

    >>> ones = torch.ones(1, 1, 2, 2)
    >>> y0, y1 = fuse_two(ones, ones[..., :1, :1], lambda x: upsample_nearest(x, 2), lambda x: x.mean((-2, -1), True))
    >>> y0.unique().item(), y1.item()
    (3.0, 7.0)
    """
    y0 = x0 + x0
    y0 = y0 + up(x1)
    y1 = down(y0)  # not down(x0): the first map was overwritten
    y1 = y1 + down(y0)
    y1 = y1 + x1
    return [torch.relu(y0), torch.relu(y1)]


def check_fuse_two(answer: Callable[..., Sequence[Tensor]]) -> Verdict:
    """Check `answer(x0, x1, up, down)`: the two new branches of a fuse step as the public code computes them."""

    def up(x: Tensor) -> Tensor:
        return upsample_nearest(x, 2)

    def down(x: Tensor) -> Tensor:
        return x[..., ::2, ::2] - 0.5 * x[..., 1::2, 1::2]

    def on_copies(x0: Tensor, x1: Tensor) -> Any:
        # Copies, so that an answer which works in place does not spoil the specification's input.
        return listed(answer(x0.clone(), x1.clone(), up, down))

    def hint(case: tuple, expected: list[Tensor], got: Any) -> str | None:
        x0, x1 = case

        def rows(y0: Tensor, y1: Tensor) -> list[Tensor]:
            return [torch.relu(y0), torch.relu(y1)]

        y0 = 2 * x0 + up(x1)
        known = (
            (rows(x0 + up(x1), down(x0) + x1), "That is the tidy form: branch 0 counts twice in both rows."),
            (rows(y0, 2 * down(x0) + x1), "The second row reads the fused map y0, not x0."),
            (rows(y0, down(y0) + x1), "The second row, too, counts its first term twice."),
            (rows(y0, 2 * down(torch.relu(y0)) + x1), "The second row reads y0 before the ReLU."),
            ([y0, 2 * down(y0) + x1], "The ReLU at the end of both rows is missing."),
        )
        if not (isinstance(got, list) and len(got) == 2 and all(isinstance(g, Tensor) for g in got)):
            return None
        for maps, sentence in known:
            if all(g.shape == m.shape and torch.allclose(g, m, atol=1e-6) for g, m in zip(got, maps, strict=True)):
                return sentence
        return None

    generator = torch.Generator().manual_seed(0)
    cases = [
        (
            torch.randn(1, c, 2 * h, 2 * w, generator=generator),
            torch.randn(1, c, h, w, generator=generator),
        )
        for c, h, w in ((1, 1, 1), (1, 2, 2), (3, 4, 3))
    ]
    return check_cases(on_copies, lambda x0, x1: fuse_two(x0, x1, up, down), cases, hints=hint)
