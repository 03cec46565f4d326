"""Rewrites 2, 3 and 7: channels stay where they are in memory, and the convolutions know who is who.

A `Layout` says which channel lies at each position of a tensor in memory. A channel's *number* is its index in the
public network; its *position* is its index in memory. A shuffle changes numbers only, so nothing is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

from .fold import filled_conv

__all__ = ["DEAD", "Layout", "depthwise", "joined", "pointwise"]

DEAD = -1  # a position that holds no channel, only zeros: padding to whole blocks
ALWAYS_ONE = 40.0  # sigmoid(40) is 1, in float64 too


@dataclass(frozen=True)
class Layout:
    """Which channel lies where in memory.

    Attributes:
        numbers: the channel's number at each position; `DEAD` where there is none.
        scale: memory holds the true value divided by this power of two.

    >>> Layout.plain(4).shuffled().numbers
    (0, 2, 1, 3)
    """

    numbers: tuple[int, ...]
    scale: float = 1.0

    @classmethod
    def plain(cls, channels: int, block: int = 1) -> Layout:
        """Channels in the public order, then dead ones up to a multiple of `block`.

        >>> Layout.plain(5, block=4).numbers
        (0, 1, 2, 3, 4, -1, -1, -1)
        """
        return cls((*range(channels), *[DEAD] * (-channels % block)))

    @property
    def channels(self) -> int:
        """Channels that live, without the dead ones."""
        return sum(number != DEAD for number in self.numbers)

    @property
    def width(self) -> int:
        """Channels of the tensor in memory."""
        return len(self.numbers)

    def shuffled(self) -> Layout:
        """The layout after the concatenation and shuffle that end a block, with nothing moved.

        The shuffle interleaves the halves: of 2k channels number n < k becomes 2n, number n >= k becomes
        2 (n - k) + 1. Dead positions stay dead.
        """
        half = self.channels // 2
        numbers = (n if n == DEAD else 2 * n if n < half else 2 * (n - half) + 1 for n in self.numbers)
        return replace(self, numbers=tuple(numbers))

    def upper(self) -> Layout:
        """Who is who in the half that a block works on: number n >= k becomes n - k, everything else counts as dead.

        >>> Layout((0, 2, 1, 3)).upper().numbers
        (-1, 0, -1, 1)
        """
        half = self.channels // 2
        return replace(self, numbers=tuple(n - half if n >= half else DEAD for n in self.numbers))

    def shifted(self, by: int) -> Layout:
        """The same positions, every channel's number raised by `by`."""
        return replace(self, numbers=tuple(n if n == DEAD else n + by for n in self.numbers))

    def scaled(self, scale: float) -> Layout:
        """The same positions, holding the true values divided by `scale`."""
        return replace(self, scale=scale)


def joined(layouts: Sequence[Layout], counts: Sequence[int] | None = None) -> tuple[Layout, Tensor]:
    """The layout of a concatenation along the channels, and each position's scale.

    Args:
        layouts: of the tensors, in order.
        counts: channels that each of them counts for in the public concatenation; its living ones by default.
    """
    counts = [layout.channels for layout in layouts] if counts is None else counts
    numbers: list[int] = []
    scales: list[float] = []
    start = 0
    for layout, count in zip(layouts, counts, strict=True):
        numbers += [n if n == DEAD else n + start for n in layout.numbers]
        scales += [layout.scale] * layout.width
        start += count
    return Layout(tuple(numbers)), torch.tensor(scales, dtype=torch.float64)


def _gathered(values: Tensor, numbers: Sequence[int], dim: int, fill: float = 0.0) -> Tensor:
    """Entries `numbers` of `values` along `dim`; `fill` where a number is `DEAD`."""
    index = torch.tensor(numbers, device=values.device)
    taken = values.index_select(dim, index.clamp(min=0))
    shape = [1] * values.dim()
    shape[dim] = -1
    return torch.where((index == DEAD).reshape(shape), torch.as_tensor(fill, dtype=values.dtype), taken)


def pointwise(
    conv: nn.Conv2d,
    columns: Layout | tuple[Layout, Tensor],
    rows: Layout,
    *,
    dead_bias: float = 0.0,
    factor: float = 1.0,
) -> nn.Conv2d:
    """A 1x1 convolution between tensors in memory layouts: ``P_rows W P_columns^T``, computed once, offline.

    Args:
        conv: the convolution between channels in the public order.
        columns: layout of its input; a pair (layout, scales) where the scale differs by position (`joined`).
        rows: layout of its output.
        dead_bias: bias of dead outputs; `ALWAYS_ONE` before a sigmoid makes their weight 1.
        factor: multiplies the result.
    """
    layout, scales = columns if isinstance(columns, tuple) else (columns, None)
    weight = _gathered(_gathered(conv.weight.double(), layout.numbers, 1), rows.numbers, 0)
    scales = torch.full((layout.width,), layout.scale, dtype=torch.float64) if scales is None else scales
    weight = weight * scales.to(weight.device)[None, :, None, None] * (factor / rows.scale)
    bias = _gathered(conv.bias.double() * (factor / rows.scale), rows.numbers, 0, dead_bias)
    return filled_conv(conv, weight, bias)


def depthwise(conv: nn.Conv2d, layout: Layout, *, keep_others: bool = False, scale: float = 1.0) -> nn.Conv2d:
    """A depthwise convolution on a tensor in a memory layout: one kernel a position.

    Args:
        conv: the depthwise convolution of the channels in the public order.
        layout: of the tensor before; dead positions get a zero kernel.
        keep_others: dead positions get the identity kernel (centre 1) instead: the block leaves them as they are.
        scale: of the layout after.
    """
    weight = _gathered(conv.weight.double(), layout.numbers, 0)
    bias = _gathered(conv.bias.double(), layout.numbers, 0)
    if keep_others:
        dead = torch.tensor(layout.numbers, device=weight.device) == DEAD
        weight[dead, 0, weight.shape[2] // 2, weight.shape[3] // 2] = 1.0
    return filled_conv(conv, weight * (layout.scale / scale), bias / scale, layout.width)
