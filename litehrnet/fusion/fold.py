"""Batch normalisation disappears into the convolution before it: the rewrite "fold"."""

from __future__ import annotations

import copy
import itertools
from typing import TypeVar

from torch import nn
from torch.nn.utils.fusion import fuse_conv_bn_eval

from ..blocks import ConvNormAct

__all__ = ["fold_batch_norms", "folded_conv"]

Model = TypeVar("Model", bound=nn.Module)


def folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes ``norm(conv(x))`` of a batch norm in eval mode.

    A batch norm with running mean m and variance v is, channel by channel, the line ``(y - m) * g + b`` with slope
    ``g = weight / sqrt(v + eps)``. So

        norm(conv(x)) = (W x + c - m) * g + b = (g W) x + ((c - m) * g + b)

    The product is computed in float64 (by ``torch.nn.utils.fusion.fuse_conv_bn_eval``), so that the only rounding is
    the last one, back to the convolution's own precision.

    Args:
        conv: any `nn.Conv2d`, with or without a bias; it is left as it is.
        norm: its batch norm, with running statistics.

    Raises:
        ValueError: the batch norm keeps no running statistics, so it computes no fixed line.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded: it depends on the batch it sees")
    folded = fuse_conv_bn_eval(copy.deepcopy(conv).double().eval(), copy.deepcopy(norm).double().eval())
    return folded.to(conv.weight.dtype).requires_grad_(False)


def fold_batch_norms(model: Model) -> Model:
    """A copy of `model` in eval mode, each batch norm folded into its convolution (`folded_conv`).

    `model` is untouched; all variants work. A batch norm follows its convolution either inside a `ConvNormAct` or as
    the next layer of a `nn.Sequential`. `nn.Identity` takes its place, so that the other layers keep their numbers.

    Raises:
        ValueError: a batch norm follows no convolution.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ConvNormAct):
            norm = getattr(module, "bn", None)
            if isinstance(norm, nn.BatchNorm2d):
                module.conv, module.bn = folded_conv(module.conv, norm), nn.Identity()
        elif isinstance(module, nn.Sequential):
            for i, (conv, norm) in enumerate(itertools.pairwise(module)):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[i], module[i + 1] = folded_conv(conv, norm), nn.Identity()
    left = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"there is no convolution before the batch norms {', '.join(left)}")
    return model
