"""Stem, transitions, fuse step and head in memory layouts: rewrite 6, and the rest of rewrites 2, 3 and 7."""

from __future__ import annotations

import operator
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import FuseStep, IterativeHead, Stem
from ..model import Transition
from .blocks import Branches
from .layout import Layout, depthwise, joined, pointwise
from .recipe import Recipe
from .rewrites import spread, sum_large, sum_small, with_upsampled

__all__ = ["FusedFuseStep", "FusedHead", "FusedStem", "FusedTransition"]


class FusedStem(nn.Module):
    """`Stem` without split and shuffle: two first convolutions, and the last one writes the shuffled order.

    Args:
        stem: the stem, batch norms folded; `self.layout` describes the result.
        recipe: which rewrites.
    """

    def __init__(self, stem: Stem, recipe: Recipe) -> None:
        super().__init__()
        first, conv = stem.branch1, stem.conv1.conv
        total, half = conv.out_channels, first[0].conv.in_channels
        image = Layout.plain(conv.in_channels)
        narrow, wide = Layout.plain(half, recipe.block), Layout.plain(stem.expand_conv.conv.out_channels, recipe.block)
        self.lower = pointwise(conv, image, narrow)
        self.upper = pointwise(conv, image, narrow.shifted(half))
        self.lower_depthwise = depthwise(first[0].conv, narrow)
        self.expand = pointwise(stem.expand_conv.conv, narrow, wide)
        self.upper_depthwise = depthwise(stem.depthwise_conv.conv, wide)
        self.lower_out = pointwise(first[1].conv, narrow, narrow)
        self.upper_out = pointwise(stem.linear_conv.conv, wide, narrow)
        self.layout = joined([narrow, narrow])[0].shuffled()
        if self.layout.channels != total:
            raise ValueError(f"the stem's halves hold {self.layout.channels} channels, not {total}")

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, C, ceil(H / 4), ceil(W / 4))."""
        lower = self.lower_out(self.lower_depthwise(F.relu(self.lower(images))))
        upper = self.upper_out(self.upper_depthwise(F.relu(self.expand(F.relu(self.upper(images))))))
        return torch.cat([F.relu(lower), F.relu(upper)], 1)


class FusedTransition(nn.Module):
    """`Transition` in memory layouts; `self.layouts` describes the result.

    Args:
        transition: the transition, batch norms folded.
        layouts: of the branches before.
        recipe: which rewrites.
    """

    def __init__(self, transition: Transition, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.paths = nn.ModuleList()
        self.layouts = []
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


def convolutions(module: nn.Module) -> list[nn.Conv2d]:
    """The convolutions of a path, in the order in which they run."""
    return [layer for layer in module.modules() if isinstance(layer, nn.Conv2d)]


class FusedFuseStep(nn.Module):
    """`FuseStep`, summed where it is small.

    With x the branches, U an upsampling by 2 and f the paths::

        y[0] = 2 x[0] + U(f01(x[1]) + U(f02(x[2]) + U f03(x[3])))      nearest upsampling composes: U4 = U U
        y[i] = 2 fi0(y[0]) + fi1(x[1]) + ... + x[i] + U(...)           fi0 once, its 2 inside its last convolution

    Every row's convolutions write in the layout of the row's own branch, so that x[i] is added as it lies. Row 0 is
    computed as y[0] / 2 = x[0] + S / 2 and said to have scale 2: whoever reads it has the 2 in the weights.

    Args:
        fuse: the fuse step, batch norms folded.
        layouts: of the branches before, at scale 1; `self.layouts` holds those after.
        recipe: which rewrites.
    """

    def __init__(self, fuse: FuseStep, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.layouts = [layouts[0].scaled(2.0), *layouts[1:]]
        self.ups, self.downs = nn.ModuleList(), nn.ModuleList()
        for i, row in enumerate(fuse):
            rows = self.layouts[i]
            self.ups.append(
                nn.ModuleList(pointwise(convolutions(row[j])[0], layouts[j], rows) for j in range(i + 1, len(layouts)))
            )
            self.downs.append(
                nn.ModuleList(
                    self._down(row[j], self.layouts[j], rows, recipe, 2.0 if j == 0 else 1.0) for j in range(i)
                )
            )

    @staticmethod
    def _down(path: nn.Module, columns: Layout, rows: Layout, recipe: Recipe, factor: float) -> nn.Sequential:
        steps = []
        convs = convolutions(path)
        for k in range(0, len(convs), 2):
            last = k + 2 == len(convs)
            after = rows if last else Layout.plain(convs[k + 1].out_channels, recipe.block)
            steps.append(depthwise(convs[k], columns))
            steps.append(pointwise(convs[k + 1], columns.scaled(1.0), after, factor=factor if last else 1.0))
            if not last:
                steps.append(nn.ReLU())
            columns = after
        return nn.Sequential(*steps)

    def forward(self, state: Branches) -> list[Tensor]:
        """Branches to branches (N, C_i, H_i, W_i) of the same shapes."""
        equal = self.recipe.equal_shapes
        maps = [x if c is None else x * spread(c, x, equal) for x, c in zip(state.maps, state.pending, strict=True)]
        fused = []
        for i, (ups, downs) in enumerate(zip(self.ups, self.downs, strict=True)):
            y = maps[i]
            smaller = [conv(x) for conv, x in zip(ups, maps[i + 1 :], strict=True)]
            if smaller and self.recipe.sum_low:
                y = with_upsampled(operator.add, y, sum_small(smaller, self.recipe.by_rows), 2, self.recipe.by_rows)
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
        head: the head, batch norms folded.
        layouts: of the branches, largest first.
        recipe: which rewrites.
    """

    def __init__(self, head: IterativeHead, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.steps = nn.ModuleList()
        ascending = list(layouts)[::-1]
        width = head.projects[-1]["pointwise_conv"].conv.out_channels
        for project, layout, after in zip(
            head.projects, ascending, [*ascending[1:], Layout.plain(width, recipe.block)], strict=True
        ):
            self.steps.append(
                nn.Sequential(
                    depthwise(project["depthwise_conv"].conv, layout),
                    pointwise(project["pointwise_conv"].conv, layout.scaled(1.0), after),
                    nn.ReLU(),
                )
            )
            self.layout = after

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        """Branches (N, C_i, H_i, W_i), largest first, to one map (N, C_0, H_0, W_0)."""
        below = None
        for x, step in zip(reversed(maps), self.steps, strict=True):
            if below is not None:
                x = x + F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=True)
            below = step(x)
        return below
