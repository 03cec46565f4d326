"""The blocks of a module on tensors that never move: rewrites 2 to 5 and 7.

Feature maps are (N, C, H, W) in memory layouts (`litehrnet.fusion.layout`); branch i has half the side of branch i - 1.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import ChannelShuffle, ConditionalChannelWeighting, ShuffleUnit
from .layout import ALWAYS_ONE, Layout, depthwise, joined, pointwise
from .recipe import Recipe
from .rewrites import average_of_averages, delayed_product, spread, with_upsampled

__all__ = ["Branches", "FusedShuffleUnit", "FusedWeighting"]


class Branches:
    """What travels from block to block.

    Attributes:
        maps: one (N, C_i, H_i, W_i) a branch.
        pooled: the maps averaged down to the smallest branch, where they are known.
        pending: spatial weights (N, C_i, 1, 1) that the maps should still be multiplied with, or None.
    """

    def __init__(
        self,
        maps: Sequence[Tensor],
        pooled: list[Tensor] | None = None,
        pending: Sequence[Tensor | None] | None = None,
    ) -> None:
        self.maps = list(maps)
        self.pooled = pooled
        self.pending = [None] * len(self.maps) if pending is None else list(pending)


class FusedWeighting(nn.Module):
    """`ConditionalChannelWeighting` without split, concatenation, shuffle and large products.

    The whole tensor is worked on, and the half that the block leaves alone meets only no-ops: weight 1 from the
    sigmoid (zero row, bias 40), the identity kernel, zero columns where it would enter a weighting.

    Args:
        block: the block, batch norms folded.
        layouts: of the branches before it; `self.layouts` holds those after.
        recipe: which rewrites.
        last: no other block of the module follows.
    """

    fixed_pooling = "computed"

    def __init__(
        self, block: ConditionalChannelWeighting, layouts: Sequence[Layout], recipe: Recipe, *, last: bool
    ) -> None:
        super().__init__()
        self.recipe, self.last = recipe, last
        cross = block.cross_resolution_weighting
        self.ratios = cross.ratios
        uppers = [layout.upper() for layout in layouts]
        trues = [upper.scaled(1.0) for upper in uppers]
        starts = [sum(cross.channels[:i]) for i in range(len(uppers))]
        hidden = Layout.plain(cross.conv1.conv.out_channels, recipe.block)
        self.squeeze = pointwise(cross.conv1.conv, joined(uppers, cross.channels), hidden)
        self.expands = nn.ModuleList(
            pointwise(cross.conv2.conv, hidden, true.shifted(start), dead_bias=ALWAYS_ONE)
            for true, start in zip(trues, starts, strict=True)
        )
        self.depthwise = nn.ModuleList(
            depthwise(conv.conv, upper, keep_others=True)
            for conv, upper in zip(block.depthwise_convs, uppers, strict=True)
        )
        self.spatial = nn.ModuleList()
        for weighting, true in zip(block.spatial_weighting, trues, strict=True):
            first, second = weighting.conv1.conv, weighting.conv2.conv
            inner = Layout.plain(first.out_channels, recipe.block)
            self.spatial.append(
                nn.Sequential(
                    pointwise(first, true, inner),
                    nn.ReLU(),
                    pointwise(second, inner, true, dead_bias=ALWAYS_ONE),
                    nn.Sigmoid(),
                )
            )
        self.shuffle = nn.Identity() if recipe.follow else ChannelShuffle()
        self.layouts = [layout.shuffled().scaled(1.0) if recipe.follow else layout.scaled(1.0) for layout in layouts]

    def forward(self, state: Branches) -> Branches:
        """Branches to branches of the same shapes."""
        pooled = self.pool(state.maps) if state.pooled is None else state.pooled
        weights = self.weights(pooled, state.pending)
        maps = [
            conv(with_upsampled(operator.mul, x, a, ratio, self.recipe.by_rows))
            for conv, x, a, ratio in zip(self.depthwise, state.maps, weights, self.ratios, strict=True)
        ]
        # Nobody reads the pooled maps after the last block.
        pooled = self.pool(maps) if self.recipe.pool_once and not self.last else None
        means = [average_of_averages(x) for x in (maps if pooled is None else pooled)]
        spatial = [weighting(mean) for weighting, mean in zip(self.spatial, means, strict=True)]
        return self.delayed(maps, pooled, spatial)

    def pool(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Every branch averaged down to the smallest one."""
        return [x if ratio == 1 else F.avg_pool2d(x, ratio) for x, ratio in zip(maps, self.ratios, strict=True)]

    def weights(self, pooled: list[Tensor], pending: list[Tensor | None]) -> list[Tensor]:
        """Cross-resolution weights at the smallest size, the pending spatial weights already in them."""
        equal = self.recipe.equal_shapes
        pending = [None if c is None else spread(c, p, equal) for c, p in zip(pending, pooled, strict=True)]
        small = torch.cat([delayed_product(p, c) for p, c in zip(pooled, pending, strict=True)], 1)
        hidden = F.relu(self.squeeze(small))
        weights = [torch.sigmoid(expand(hidden)) for expand in self.expands]
        return [delayed_product(a, c) for a, c in zip(weights, pending, strict=True)]

    def delayed(self, maps: list[Tensor], pooled: list[Tensor] | None, spatial: list[Tensor]) -> Branches:
        """The state after the block: spatial weights kept for later, or multiplied in where that is cheaper."""
        equal = self.recipe.equal_shapes
        if self.recipe.delay and self.last:
            return Branches(maps, None, spatial)
        if self.recipe.delay:
            # The smallest map is its own pooled map: one product now, or two of the same size later.
            maps[-1] = maps[-1] * spread(spatial[-1], maps[-1], equal)
            if pooled is not None:
                pooled[-1] = maps[-1]
            return Branches(maps, pooled, [*spatial[:-1], None])
        maps = [x * spread(c, x, equal) for x, c in zip(maps, spatial, strict=True)]
        return Branches([self.shuffle(x) for x in maps])


class FusedShuffleUnit(nn.Module):
    """`ShuffleUnit`, the naive variants' block, without split, concatenation and shuffle.

    The last convolution writes the upper half and adds the lower half to it through a 0/1 mask:
    ``relu(W z + mask * x)`` is ``relu(W z)`` above and ``relu(x) = x`` below, for x is never negative: it comes from
    a ReLU, whether that of a transition, of a fuse step or of the block before.

    Args:
        block: the unit, batch norms folded.
        layout: of its input; `self.layout` holds the one after.
        recipe: which rewrites.
    """

    def __init__(self, block: ShuffleUnit, layout: Layout, recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        first, middle, last = (layer.conv for layer in block.branch2)
        upper = layout.upper()
        inner = Layout.plain(first.out_channels, recipe.block)
        self.reduce = pointwise(first, upper, inner)
        self.depthwise = depthwise(middle, inner)
        self.expand = pointwise(last, inner, upper.scaled(1.0))
        self.mask = nn.Conv2d(layout.width, layout.width, 1, groups=layout.width, bias=False)
        below = [float(u < 0) * layout.scale for u in upper.numbers]
        self.mask.weight = nn.Parameter(torch.tensor(below).to(first.weight).reshape(-1, 1, 1, 1), requires_grad=False)
        self.shuffle = nn.Identity() if recipe.follow else ChannelShuffle()
        self.layout = layout.shuffled().scaled(1.0) if recipe.follow else layout.scaled(1.0)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        x = F.relu(self.expand(self.depthwise(F.relu(self.reduce(x)))) + self.mask(x))
        return self.shuffle(x)
