"""Other people's Lite-HRNets: change the pooling inside a model of the public repositories, weights untouched."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ..blocks import CrossResolutionWeighting, upsample_nearest
from ..model import LiteHRNet, set_pooling
from ..pooling import PUBLIC_WEIGHTING, ExactAvgPool, has_ratio, make_pool

__all__ = ["make_exportable"]


class ExportableWeighting(nn.Module):
    """Takes the place of a public ``CrossResolutionWeighting``, with its convolutions and with computed pooling.

    If every branch has half the side of the one before, as in all public models, kernel and stride are constants,
    and so is the factor of the upsampling: the exported graph need not ask for a shape. Two other cases work too, and
    give the public code's values: a network that was changed so that the sides are not exact halves (the pooling is
    then done by matrices), and ``torch.export`` with free sizes that are not known to divide (the pooling then follows
    the sizes, as in the public code).
    """

    def __init__(self, public: Any) -> None:
        super().__init__()
        self.channels = list(public.channels)
        self.conv1, self.conv2 = public.conv1, public.conv2
        self.ratios = [2 ** (len(self.channels) - 1 - i) for i in range(len(self.channels))]
        self.pools = nn.ModuleList(make_pool("computed", ratio) for ratio in self.ratios[:-1])
        self.exact = ExactAvgPool()
        self.training = public.training  # its own flag only: a frozen batch norm inside stays as it is

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i), largest first, to the weighted branches, same shapes."""
        size = xs[-1].shape[-2:]
        halved = [has_ratio(x, size, ratio) for x, ratio in zip(xs, self.ratios, strict=True)]
        free = torch.compiler.is_exporting() and not all(isinstance(side, int) for x in xs for side in x.shape[-2:])
        pooled = []
        for x, pool, fits in zip(xs[:-1], self.pools, halved[:-1], strict=True):
            pooled.append((pool if fits or free else self.exact)(x, size))
        joined = torch.cat([*pooled, xs[-1]], dim=1)  # (N, sum C_i, H_s, W_s)
        weights = torch.split(self.conv2(self.conv1(joined)), self.channels, dim=1)
        return [
            x * (upsample_nearest(w, ratio) if fits else F.interpolate(w, size=x.shape[-2:], mode="nearest"))
            for x, w, ratio, fits in zip(xs, weights, self.ratios, halved, strict=True)
        ]


def make_exportable(module: nn.Module) -> list[str]:
    """Change adaptive to computed pooling in a Lite-HRNet of the public repositories, in place.

    The cross-resolution weightings are found by their class name and attributes; nothing of mmcv or mmpose is
    imported. Weights and state-dict keys stay as they are, and so do the values, at every size that the network runs.
    Networks that need no change are left alone: naive variants, fused ones, and those that were changed before.

    With torch's default exporter, free sizes may be declared in every way that works without the change: a plain
    ``Dim``, ``32 * Dim("h", min=2)``, ``Dim.AUTO``, ``Dim.DYNAMIC`` or `dynamic_axes`. The older exporter
    (``dynamo=False``), which refuses the untouched network, works with `dynamic_axes`.

    Args:
        module: the network, or anything that holds it, such as mmpose's whole estimator. One of our own models is
            taken too.

    Returns:
        The names of the modules that were changed, in order; empty if nothing had to be changed.

    Raises:
        ValueError: `module` is not a Lite-HRNet and holds none, or it is a single cross-resolution weighting, which
            cannot be replaced in place.
    """
    if _is_public(module):
        raise ValueError(f"a lone {PUBLIC_WEIGHTING} cannot be replaced in place; pass the network that holds it")
    parts = dict(module.named_modules())
    changed: list[str] = []
    for name, part in parts.items():
        if isinstance(part, LiteHRNet):
            if part.pooling not in ("computed", None):
                inside = f"{name}." if name else ""
                changed += [
                    inside + its for its, own in part.named_modules() if isinstance(own, CrossResolutionWeighting)
                ]
                set_pooling(part, "computed")
        elif _is_public(part):
            parent, _, child = name.rpartition(".")
            setattr(parts[parent], child, ExportableWeighting(part))
            changed.append(name)
    if not changed and not any(_needs_no_change(part) for part in parts.values()):
        pools = [name for name, part in parts.items() if type(part).__name__.startswith("AdaptiveAvgPool")]
        hint = (
            f"; for its adaptive pooling ({', '.join(pools)}) there is litehrnet.pooling.replace_adaptive_pooling"
            if pools
            else ""
        )
        raise ValueError(f"{type(module).__name__} is not a Lite-HRNet and holds none{hint}")
    return changed


def _is_public(part: nn.Module) -> bool:
    named = type(part).__name__ == PUBLIC_WEIGHTING and not isinstance(part, CrossResolutionWeighting)
    return named and all(hasattr(part, name) for name in ("channels", "conv1", "conv2"))


def _needs_no_change(part: nn.Module) -> bool:
    """Whether this part shows that the network is a Lite-HRNet which exports as it is."""
    if isinstance(part, (LiteHRNet, ExportableWeighting)) or getattr(part, "fused", False):
        return True
    # The naive variants of the public repositories: a stage module that holds fuse layers, and no such weighting.
    return hasattr(part, "fuse_layers") and hasattr(part, "layers")
