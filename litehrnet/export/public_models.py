"""Other people's Lite-HRNets: change the pooling inside a model of the public repositories, weights untouched."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..blocks import CrossResolutionWeighting, upsample_nearest
from ..model import LiteHRNet, set_pooling
from ..pooling import make_pool

__all__ = ["make_exportable"]

PUBLIC_NAME = "CrossResolutionWeighting"  # of the class, in HRNet/Lite-HRNet and in mmpose


class ExportableWeighting(nn.Module):
    """Takes the place of a public ``CrossResolutionWeighting``: its convolutions, computed pooling.

    Every branch has half the side of the one before, so kernel and stride are constants, and so is the factor of the
    upsampling: the exported graph need not ask for a shape.
    """

    def __init__(self, public: nn.Module) -> None:
        super().__init__()
        self.channels = list(public.channels)
        self.conv1, self.conv2 = public.conv1, public.conv2
        self.ratios = [2 ** (len(self.channels) - 1 - i) for i in range(len(self.channels))]
        self.pools = nn.ModuleList(make_pool("computed", ratio) for ratio in self.ratios[:-1])
        self.training = public.training  # its own flag only: a frozen batch norm inside stays as it is

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i), largest first, to the weighted branches, same shapes."""
        size = xs[-1].shape[-2:]
        pooled = [pool(x, size) for pool, x in zip(self.pools, xs[:-1], strict=True)]
        joined = torch.cat([*pooled, xs[-1]], dim=1)  # (N, sum C_i, H_s, W_s)
        weights = torch.split(self.conv2(self.conv1(joined)), self.channels, dim=1)
        return [x * upsample_nearest(weight, ratio) for x, weight, ratio in zip(xs, weights, self.ratios, strict=True)]


def make_exportable(module: nn.Module) -> list[str]:
    """Change adaptive to computed pooling in a Lite-HRNet of the public repositories, in place.

    The cross-resolution weightings are found by their class name and attributes; nothing of mmcv or mmpose is
    imported. Weights and state-dict keys stay as they are, and so do the values, at every size that the network runs.
    A second call finds nothing left to do.

    Args:
        module: the network, or anything that holds it, such as mmpose's whole estimator. One of our own models is
            taken too.

    Returns:
        The names of the modules that were changed, in order.

    Raises:
        ValueError: nothing in it looks like cross-resolution weighting, or `module` is one itself, which cannot be
            replaced in place.
    """
    if _is_public(module):
        raise ValueError(f"a lone {PUBLIC_NAME} cannot be replaced in place; pass the network that holds it")
    parts = dict(module.named_modules())
    changed = []
    for name, part in parts.items():
        if isinstance(part, LiteHRNet):
            if part.pooling != "computed":
                inside = f"{name}." if name else ""
                changed += [
                    inside + its for its, own in part.named_modules() if isinstance(own, CrossResolutionWeighting)
                ]
            set_pooling(part, "computed")
        elif _is_public(part) and not isinstance(part, CrossResolutionWeighting):
            parent, _, child = name.rpartition(".")
            setattr(parts[parent], child, ExportableWeighting(part))
            changed.append(name)
    if not changed and not any(isinstance(part, (LiteHRNet, ExportableWeighting)) for part in parts.values()):
        raise ValueError(
            f"{type(module).__name__} holds no {PUBLIC_NAME}; the naive variants have none and export as they are"
        )
    return changed


def _is_public(part: nn.Module) -> bool:
    return type(part).__name__ == PUBLIC_NAME and all(hasattr(part, name) for name in ("channels", "conv1", "conv2"))
