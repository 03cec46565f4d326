"""The baseline that everybody has: the public network's graph, with its fuse step run twice."""

from __future__ import annotations

import copy
from collections.abc import Sequence

from torch import Tensor, nn
from torch.nn import functional as F

from ..model import LiteHRNet, StageModule

__all__ = ["PublicFuseStep", "public_graph"]


class PublicFuseStep(nn.Module):
    """The fuse step as the public code runs it: rows below the first run their first path twice, to the same value.

    Args:
        fuse: a `litehrnet.blocks.FuseStep`, whose layers are used.
    """

    def __init__(self, fuse: nn.ModuleList) -> None:
        super().__init__()
        self.rows = fuse

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        xs = list(xs)
        fused = []
        for i, row in enumerate(self.rows):
            y = row[0](xs[0])
            for path, x in zip(row, xs, strict=True):
                y = y + path(x)  # path 0 once more
            if i == 0:
                xs[0] = y
            fused.append(F.relu(y))
        return fused


def public_graph(model: LiteHRNet) -> LiteHRNet:
    """A copy of `model` that runs its fuse steps as the public network does, for a baseline that everybody has.

    The numbers are the same; the graph holds 52 more convolutions for `litehrnet18`.
    """
    model = copy.deepcopy(model)
    for module in model.modules():
        if isinstance(module, StageModule):
            module.fuse_layers = PublicFuseStep(module.fuse_layers)
    return model
