"""Stem, transitions, fuse step and head in memory layouts: "sum_low", and the rest of "follow" and "pad"."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import FuseStep, IterativeHead, Stem
from ..model import Transition
from .blocks import Branches
from .layout import Layout, convolutions, depthwise, joined, pointwise
from .recipe import Recipe
from .rewrites import spread, sum_large, sum_small

__all__ = ["FusedFuseStep", "FusedHead", "FusedStem", "FusedTransition"]


class FusedStem(nn.Module):
    """`Stem` without split and shuffle: each half has a first convolution of its own.

    Args:
        stem: the stem, with its batch norms folded; `self.layout` describes the result.
        recipe: which rewrites.
    """

    def __init__(self, stem: Stem, recipe: Recipe) -> None:
        super().__init__()
        conv = stem.conv1.conv
        lower_depthwise, lower_out = convolutions(stem.branch1)
        half = lower_depthwise.in_channels
        image = Layout.plain(conv.in_channels)
        narrow, wide = Layout.plain(half, recipe.block), Layout.plain(stem.expand_conv.conv.out_channels, recipe.block)
        self.lower = pointwise(conv, image, narrow)
        self.upper = pointwise(conv, image, narrow.shifted(half))
        self.lower_depthwise = depthwise(lower_depthwise, narrow)
        self.expand = pointwise(stem.expand_conv.conv, narrow, wide)
        self.upper_depthwise = depthwise(stem.depthwise_conv.conv, wide)
        self.lower_out = pointwise(lower_out, narrow, narrow)
        self.upper_out = pointwise(stem.linear_conv.conv, wide, narrow)
        self.layout = joined([narrow, narrow]).shuffled()

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, C, ceil(H / 4), ceil(W / 4))."""
        lower = self.lower_out(self.lower_depthwise(F.relu(self.lower(images))))
        upper = self.upper_out(self.upper_depthwise(F.relu(self.expand(F.relu(self.upper(images))))))
        return torch.cat([F.relu(lower), F.relu(upper)], 1)


class FusedTransition(nn.Module):
    """`Transition` in memory layouts; `self.layouts` describes the result.

    Args:
        transition: the transition, with its batch norms folded.
        layouts: of the branches before.
        recipe: which rewrites.
    """

    def __init__(self, transition: Transition, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.paths = nn.ModuleList()
        self.layouts: list[Layout] = []
        for path, layout in zip(transition, [*layouts, layouts[-1]], strict=True):
            convs = convolutions(path)
            if not convs:
                self.paths.append(nn.Identity())
                self.layouts.append(layout)
                continue
            after = Layout.plain(convs[1].out_channels, recipe.block)
            self.paths.append(
                nn.Sequential(depthwise(convs[0], layout), pointwise(convs[1], layout.scaled(1.0), after), nn.ReLU())
            )
            self.layouts.append(after)

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """n branches (N, C_i, H_i, W_i) to n + 1."""
        return [path(x) for path, x in zip(self.paths, [*maps, maps[-1]], strict=True)]


class FusedFuseStep(nn.Module):
    """`FuseStep`, summed at the small sizes.

    With x the branches, U an upsampling by 2 and f the paths::

        y[0] = 2 x[0] + U(f01(x[1]) + U(f02(x[2]) + U f03(x[3])))      nearest upsampling composes: U4 = U U
        y[i] = 2 fi0(y[0]) + fi1(x[1]) + ... + x[i] + U(...)           fi0 once, its 2 inside its last convolution

    The convolutions of a row write in the layout of the row's own branch, so that x[i] is added as it is. Row 0 is
    computed as y[0] / 2 = x[0] + S / 2, with S the sum that is added to 2 x[0]; its layout has scale 2, and the
    convolutions that read it have the 2 in their weights.

    Args:
        fuse: the fuse step, with its batch norms folded.
        layouts: of the branches before, at scale 1; `self.layouts` holds those after.
        recipe: which rewrites.
    """

    def __init__(self, fuse: FuseStep, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.layouts = [layouts[0].scaled(2.0), *layouts[1:]]
        self.ups, self.downs = nn.ModuleList(), nn.ModuleList()
        for i, row in enumerate(fuse):
            own = self.layouts[i]
            self.ups.append(
                nn.ModuleList(pointwise(convolutions(row[j])[0], layouts[j], own) for j in range(i + 1, len(layouts)))
            )
            self.downs.append(
                nn.ModuleList(self._down(row[j], self.layouts[j], own, 2.0 if j == 0 else 1.0) for j in range(i))
            )

    def _down(self, path: nn.Module, before: Layout, after: Layout, factor: float) -> nn.Sequential:
        """A path from a larger branch: strided separable convolutions; `factor` multiplies the last one's result."""
        layers: list[nn.Module] = []
        convs = convolutions(path)
        for spatial, mixing in zip(convs[:-2:2], convs[1:-2:2], strict=True):
            between = Layout.plain(mixing.out_channels, self.recipe.block)
            layers += [depthwise(spatial, before), pointwise(mixing, before.scaled(1.0), between), nn.ReLU()]
            before = between
        layers += [depthwise(convs[-2], before), pointwise(convs[-1], before.scaled(1.0), after, factor=factor)]
        return nn.Sequential(*layers)

    def rows(self) -> Iterator[tuple[nn.ModuleList, nn.ModuleList]]:
        """Row by row, the paths from the smaller branches and those from the larger ones."""
        return zip(self.ups, self.downs, strict=True)  # type: ignore[arg-type]  # lists of nn.ModuleList

    def forward(self, state: Branches) -> list[Tensor]:
        """Branches to branches (N, C_i, H_i, W_i) of the same shapes."""
        equal = self.recipe.equal_shapes
        maps = [x if c is None else x * spread(c, x, equal) for x, c in zip(state.maps, state.pending, strict=True)]
        fused = []
        combine = self.recipe.combine
        for i, (ups, downs) in enumerate(self.rows()):
            y = maps[i]
            smaller = [conv(x) for conv, x in zip(ups, maps[i + 1 :], strict=True)]
            if smaller and self.recipe.sum_low:
                y = combine(operator.add, y, sum_small(smaller, combine), 2)
            elif smaller:
                y = y + sum_large(smaller)
            for j, down in enumerate(downs):
                y = down(maps[j]) + y
            if i == 0:
                maps[0] = y  # the rows below read the fused map, as the public code does
            fused.append(F.relu(y))
        return fused


class FusedHead(nn.Module):
    """`IterativeHead` in memory layouts; `self.layout` describes the result.

    Args:
        head: the head, with its batch norms folded.
        layouts: of the branches, largest first.
        recipe: which rewrites.
    """

    def __init__(self, head: IterativeHead, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        ascending = list(layouts)[::-1]
        self.layout = Layout.plain(convolutions(head)[-1].out_channels, recipe.block)
        for project, before, after in zip(head.projects, ascending, [*ascending[1:], self.layout], strict=True):
            spatial, mixing = convolutions(project)
            self.steps.append(
                nn.Sequential(depthwise(spatial, before), pointwise(mixing, before.scaled(1.0), after), nn.ReLU())
            )

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Branches (N, C_i, H_i, W_i), largest first, to one map (N, C_0, H_0, W_0)."""
        below = maps[-1]
        for i, (x, step) in enumerate(zip(reversed(maps), self.steps, strict=True)):
            if i:
                x = x + F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=True)
            below = step(x)
        return below
