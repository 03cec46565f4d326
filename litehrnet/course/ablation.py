"""Networks whose weightings no longer see the picture: what do weights that depend on it contribute?"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import CrossResolutionWeighting, SpatialWeighting
from ..checks import check_choice
from ..model import LiteHRNet

__all__ = ["KINDS", "blind"]

KINDS = ("cross-resolution", "spatial")


class _Recorder(nn.Module):
    """A weighting that remembers the weights of its last call."""

    def __init__(self, weighting: nn.Module) -> None:
        super().__init__()
        self.weighting: Any = weighting
        self.seen: list[Tensor] = []

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
        weights: Tensor | list[Tensor] = self.weighting.weights(x)
        self.seen = [weights] if isinstance(weights, Tensor) else weights
        return self.weighting(x)


class _Fixed(nn.Module):
    """Multiplies every branch by weights that do not depend on it."""

    def __init__(self, weights: Sequence[Tensor]) -> None:
        super().__init__()
        self.weights = list(weights)

    def forward(self, x: Tensor | Sequence[Tensor]) -> Tensor | list[Tensor]:
        if isinstance(x, Tensor):
            return x * self.weights[0]
        return [b * F.interpolate(w, b.shape[-2:]) for b, w in zip(x, self.weights, strict=True)]  # nearest pixel


def blind(model: LiteHRNet, images: Tensor, kinds: Sequence[str] = KINDS, *, keep_place: bool = False) -> LiteHRNet:
    """A copy of a network in which some weightings multiply by a mean, whatever the picture shows.

    The mean is that of the weights which the network itself computes for `images`. Multiplying by 1 instead would also
    change the scale of every map, and no later layer expects that.

    Args:
        model: a network with conditional channel weighting, in `eval` mode.
        images: (N, 3, H, W); the copy runs at this height and width.
        kinds: which weightings to fix, "cross-resolution" or "spatial" or both.
        keep_place: the mean is over the images only, so each position keeps a weight of its own; otherwise it is over
            the positions too, and each channel has one number.

    Returns:
        The copy; `model` stays as it is.

    Raises:
        ValueError: an unknown kind, or a model without channel weighting.
    """
    for kind in kinds:
        check_choice("kind", kind, KINDS)
    types = tuple({"cross-resolution": CrossResolutionWeighting, "spatial": SpatialWeighting}[kind] for kind in kinds)
    result = copy.deepcopy(model)
    found = [name for name, part in result.named_modules() if isinstance(part, types)]
    if not found and kinds:
        raise ValueError(f"{model.variant.name} has no channel weighting that could be fixed")
    recorders = {name: _Recorder(result.get_submodule(name)) for name in found}
    for name, recorder in recorders.items():
        result.set_submodule(name, recorder)
    with torch.no_grad():
        result(images)
    for name, recorder in recorders.items():
        over = (0,) if keep_place else (0, 2, 3)
        result.set_submodule(name, _Fixed([weights.mean(over, keepdim=True) for weights in recorder.seen]))
    return result
