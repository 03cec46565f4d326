"""The blocks of a module, without moving a channel: "whole", "follow", "delay", "pool_once" and "pad".

Feature maps are (N, C, H, W) in memory layouts (`litehrnet.fusion.layout`); branch i has half the side of branch i - 1.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import ChannelShuffle, ConditionalChannelWeighting, ShuffleUnit
from .layout import ALWAYS_ONE, DEAD, Layout, convolutions, depthwise, joined, pointwise
from .recipe import Recipe
from .rewrites import average_of_averages, delayed_product, spread

__all__ = ["Branches", "FusedShuffleUnit", "FusedWeighting"]


class Branches:
    """What one block hands to the next.

    Attributes:
        maps: one (N, C_i, H_i, W_i) per branch.
        pooled: the maps averaged down to the smallest branch, if they have been computed already.
        pending: per branch, the spatial weights (N, C_i, 1, 1) that its map has yet to be multiplied with, or None.
    """

    def __init__(
        self,
        maps: Sequence[Tensor],
        pooled: list[Tensor] | None = None,
        pending: Sequence[Tensor | None] | None = None,
    ) -> None:
        self.maps = list(maps)
        self.pooled = pooled
        self.pending: list[Tensor | None] = [None] * len(self.maps) if pending is None else list(pending)


class FusedWeighting(nn.Module):
    """`ConditionalChannelWeighting` without split, concatenation, shuffle and large products.

    It works on the whole tensor, and the half that the block leaves alone meets only operations that change nothing:
    weight 1 from the sigmoid (zero row, bias 40), the identity kernel, zero columns where it would enter a weighting.

    Args:
        block: the block, with its batch norms folded.
        layouts: of the branches before it; `self.layouts` holds those after.
        recipe: which rewrites.
        last: whether this is the last block of its module.
    """

    fixed_pooling = "computed"

    def __init__(
        self, block: ConditionalChannelWeighting, layouts: Sequence[Layout], recipe: Recipe, *, last: bool
    ) -> None:
        super().__init__()
        self.recipe, self.last = recipe, last
        cross = block.cross_resolution_weighting
        self.ratios = cross.ratios
        halves = [layout.upper() for layout in layouts]
        after = [half.scaled(1.0) for half in halves]  # the depthwise convolutions take the scales out
        starts = [sum(cross.channels[:i]) for i in range(len(halves))]
        hidden = Layout.plain(cross.conv1.conv.out_channels, recipe.block)
        self.squeeze = pointwise(cross.conv1.conv, joined(halves, cross.channels), hidden)
        self.expands = nn.ModuleList(
            pointwise(cross.conv2.conv, hidden, half.shifted(start), dead_bias=ALWAYS_ONE)
            for half, start in zip(after, starts, strict=True)
        )
        self.depthwise = nn.ModuleList(
            depthwise(conv, half, keep_others=True)
            for conv, half in zip(convolutions(block.depthwise_convs), halves, strict=True)
        )
        self.spatial = nn.ModuleList()
        for weighting, half in zip(block.spatial_weighting, after, strict=True):
            first, second = convolutions(weighting)
            inner = Layout.plain(first.out_channels, recipe.block)
            self.spatial.append(
                nn.Sequential(
                    pointwise(first, half, inner),
                    nn.ReLU(),
                    pointwise(second, inner, half, dead_bias=ALWAYS_ONE),
                    nn.Sigmoid(),
                )
            )
        self.shuffle = nn.Identity() if recipe.follow else ChannelShuffle()
        self.layouts = [layout.shuffled().scaled(1.0) if recipe.follow else layout.scaled(1.0) for layout in layouts]

    def forward(self, state: Branches) -> Branches:
        """Branches to branches of the same shapes."""
        weights = self.weights(self.pool(state.maps) if state.pooled is None else state.pooled, state.pending)
        maps = [
            conv(self.recipe.combine(operator.mul, x, a, ratio))
            for conv, x, a, ratio in zip(self.depthwise, state.maps, weights, self.ratios, strict=True)
        ]
        # Nothing reads the pooled maps after the last block.
        pooled = self.pool(maps) if self.recipe.pool_once and not self.last else None
        means = [average_of_averages(x) for x in (maps if pooled is None else pooled)]
        spatial = [weighting(mean) for weighting, mean in zip(self.spatial, means, strict=True)]
        return self.weighted(maps, pooled, spatial)

    def pool(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Every branch averaged down to the smallest one."""
        return [x if ratio == 1 else F.avg_pool2d(x, ratio) for x, ratio in zip(maps, self.ratios, strict=True)]

    def weights(self, pooled: list[Tensor], pending: list[Tensor | None]) -> list[Tensor]:
        """Cross-resolution weights at the smallest size, multiplied by the pending spatial weights."""
        equal = self.recipe.equal_shapes
        pending = [None if c is None else spread(c, p, equal) for c, p in zip(pending, pooled, strict=True)]
        small = torch.cat([delayed_product(p, c) for p, c in zip(pooled, pending, strict=True)], 1)
        hidden = F.relu(self.squeeze(small))
        weights = [torch.sigmoid(expand(hidden)) for expand in self.expands]
        return [delayed_product(a, c) for a, c in zip(weights, pending, strict=True)]

    def weighted(self, maps: list[Tensor], pooled: list[Tensor] | None, spatial: list[Tensor]) -> Branches:
        """The state after the block: spatial weights multiplied in, or kept for later where that is cheaper."""
        equal = self.recipe.equal_shapes
        if self.recipe.delay and self.last:
            return Branches(maps, None, spatial)
        if self.recipe.delay:
            # The smallest map is its own pooled map: one product now, or two of the same size later.
            smallest = maps[-1] * spread(spatial[-1], maps[-1], equal)
            pooled = None if pooled is None else [*pooled[:-1], smallest]
            return Branches([*maps[:-1], smallest], pooled, [*spatial[:-1], None])
        maps = [x * spread(c, x, equal) for x, c in zip(maps, spatial, strict=True)]
        return Branches([self.shuffle(x) for x in maps])


class FusedShuffleUnit(nn.Module):
    """`ShuffleUnit`, the naive variants' block, without split, concatenation and shuffle.

    The last convolution writes the upper half and adds the lower half to it through a 0/1 mask:
    ``relu(W z + mask * x)`` is ``relu(W z)`` above and ``relu(x) = x`` below, because x is never negative: it comes
    from a ReLU, that of a transition, of a fuse step or of the block before.

    Args:
        block: the unit, with its batch norms folded.
        layout: of its input; `self.layout` holds the one after.
        recipe: which rewrites.
    """

    def __init__(self, block: ShuffleUnit, layout: Layout, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        first, middle, last = convolutions(block.branch2)
        half = layout.upper()
        inner = Layout.plain(first.out_channels, recipe.block)
        self.reduce = pointwise(first, half, inner)
        self.depthwise = depthwise(middle, inner)
        self.expand = pointwise(last, inner, half.scaled(1.0))
        self.mask = nn.Conv2d(layout.positions, layout.positions, 1, groups=layout.positions, bias=False)
        lower = [scale if number == DEAD else 0.0 for number, scale in zip(half.numbers, half.scales, strict=True)]
        self.mask.weight = nn.Parameter(torch.tensor(lower).to(first.weight).reshape(-1, 1, 1, 1), requires_grad=False)
        self.shuffle = nn.Identity() if recipe.follow else ChannelShuffle()
        self.layout = layout.shuffled().scaled(1.0) if recipe.follow else layout.scaled(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        x = F.relu(self.expand(self.depthwise(F.relu(self.reduce(x)))) + self.mask(x))
        return self.shuffle(x)
