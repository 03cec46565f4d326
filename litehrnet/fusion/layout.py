"""Channels stay where they are in memory, and the convolutions know which is which: "whole", "follow" and "pad".

A `Layout` says which channel is at each position of a tensor in memory. A channel's *number* is its index in the
public network; its *position* is its index in memory. A shuffle changes numbers only, so nothing is moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from torch import Tensor, nn

__all__ = ["ALWAYS_ONE", "DEAD", "Layout", "convolutions", "depthwise", "joined", "pointwise"]

DEAD = -1  # a position that holds no channel, only zeros: padding to whole blocks
ALWAYS_ONE = 40.0  # sigmoid(40) is 1, in float64 too


@dataclass(frozen=True)
class Layout:
    """Which channel is where in memory.

    Attributes:
        numbers: the channel's number at each position; `DEAD` where there is none.
        scales: memory holds the true value divided by this power of two, one per position; 1 everywhere by default.

    Raises:
        ValueError: there are not as many scales as positions.

    >>> Layout.plain(4).shuffled().numbers
    (0, 2, 1, 3)
    """

    numbers: tuple[int, ...]
    scales: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "scales", self.scales or (1.0,) * len(self.numbers))
        if len(self.scales) != len(self.numbers):
            raise ValueError(f"{len(self.scales)} scales do not fit {len(self.numbers)} positions")

    @classmethod
    def plain(cls, channels: int, block: int = 1) -> Layout:
        """Channels in the public order, then dead ones up to a multiple of `block`.

        >>> Layout.plain(5, block=4).numbers
        (0, 1, 2, 3, 4, -1, -1, -1)
        """
        return cls((*range(channels), *[DEAD] * (-channels % block)))

    @property
    def channels(self) -> int:
        """How many channels there are, without the dead positions."""
        return sum(number != DEAD for number in self.numbers)

    @property
    def positions(self) -> int:
        """How many positions there are: channels of the tensor in memory."""
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
        """The half that a block works on, numbered by itself: n >= k becomes n - k, and every other position is dead.

        >>> Layout((0, 2, 1, 3)).upper().numbers
        (-1, 0, -1, 1)
        """
        half = self.channels // 2
        return replace(self, numbers=tuple(n - half if n >= half else DEAD for n in self.numbers))

    def shifted(self, by: int) -> Layout:
        """The same positions, every channel's number raised by `by`."""
        return replace(self, numbers=tuple(n if n == DEAD else n + by for n in self.numbers))

    def scaled(self, scale: float) -> Layout:
        """The same positions, all of them holding the true values divided by `scale`."""
        return replace(self, scales=(scale,) * self.positions)


def joined(layouts: Sequence[Layout], counts: Sequence[int] | None = None) -> Layout:
    """The layout of a concatenation along the channels.

    Args:
        layouts: those of the tensors, in order.
        counts: how many channels each of them has in the public concatenation; by default, all that are not dead.

    >>> joined([Layout((1, 0), (2.0, 2.0)), Layout((DEAD, 0))])
    Layout(numbers=(1, 0, -1, 2), scales=(2.0, 2.0, 1.0, 1.0))
    """
    numbers: list[int] = []
    scales: list[float] = []
    start = 0
    for layout, count in zip(layouts, counts or [layout.channels for layout in layouts], strict=True):
        numbers += layout.shifted(start).numbers
        scales += layout.scales
        start += count
    return Layout(tuple(numbers), tuple(scales))


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a chain of layers, in the order in which they run."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


def pointwise(
    conv: nn.Conv2d, columns: Layout, rows: Layout, *, dead_bias: float = 0.0, factor: float = 1.0
) -> nn.Conv2d:
    """A 1x1 convolution between tensors in memory layouts: ``P_rows W P_columns^T``, computed once, offline.

    Args:
        conv: the convolution between channels in the public order.
        columns: layout of its input.
        rows: layout of its output.
        dead_bias: bias of dead outputs; `ALWAYS_ONE` before a sigmoid makes their weight 1.
        factor: multiplies the result.
    """
    weight = _gathered(_gathered(conv.weight.double(), columns.numbers, 1), rows.numbers, 0)
    before, after = _along(columns.scales, weight, 1), factor / _along(rows.scales, weight, 0)
    bias = _gathered(_bias(conv), rows.numbers, 0) * after.flatten()
    dead = torch.tensor(rows.numbers, device=bias.device) == DEAD
    return _filled(conv, weight * before * after, bias.masked_fill(dead, dead_bias))


def depthwise(conv: nn.Conv2d, layout: Layout, *, keep_others: bool = False) -> nn.Conv2d:
    """A depthwise convolution on a tensor in a memory layout: one kernel per position; its output has scale 1.

    Args:
        conv: the depthwise convolution of the channels in the public order.
        layout: of the tensor before; dead positions get a zero kernel.
        keep_others: dead positions get the identity kernel (centre 1) instead: the block leaves them as they are.
    """
    weight = _gathered(conv.weight.double(), layout.numbers, 0)
    if keep_others:
        dead = torch.tensor(layout.numbers, device=weight.device) == DEAD
        weight[dead, 0, weight.shape[2] // 2, weight.shape[3] // 2] = 1.0
    weight = weight * _along(layout.scales, weight, 0)
    return _filled(conv, weight, _gathered(_bias(conv), layout.numbers, 0), groups=layout.positions)


def _bias(conv: nn.Conv2d) -> Tensor:
    return conv.weight.new_zeros(conv.out_channels).double() if conv.bias is None else conv.bias.double()


def _gathered(values: Tensor, numbers: Sequence[int], dim: int) -> Tensor:
    """Entries `numbers` of `values` along `dim`; 0 where a number is `DEAD`."""
    index = torch.tensor(numbers, device=values.device)
    dead = _along(index == DEAD, values, dim)
    return values.index_select(dim, index.clamp(min=0)).masked_fill(dead, 0.0)


def _along(values: Sequence[float] | Tensor, like: Tensor, dim: int) -> Tensor:
    """Values side by side in dimension `dim`, so that they broadcast over a tensor like `like`."""
    values = values if isinstance(values, Tensor) else torch.tensor(values, dtype=like.dtype, device=like.device)
    return values.reshape([-1 if axis == dim else 1 for axis in range(like.dim())])


def _filled(like: nn.Conv2d, weight: Tensor, bias: Tensor, groups: int = 1) -> nn.Conv2d:
    """A convolution with the stride, padding, dilation and precision of `like`, and these weights.

    Args:
        like: where all but the weights comes from.
        weight: (out, in / groups, kh, kw).
        bias: (out,).
        groups: of channels; as many as channels for a depthwise convolution.
    """
    out_channels, per_group, *kernel = weight.shape
    conv = nn.utils.skip_init(
        nn.Conv2d,
        per_group * groups,
        out_channels,
        tuple(kernel),
        like.stride,
        like.padding,
        like.dilation,
        groups,
        padding_mode=like.padding_mode,
        dtype=like.weight.dtype,
        device=like.weight.device,
    )
    conv.weight = nn.Parameter(weight.to(like.weight), requires_grad=False)
    conv.bias = nn.Parameter(bias.to(like.weight), requires_grad=False)
    return conv
