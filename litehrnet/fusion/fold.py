"""Rewrite 1: batch normalisation disappears into the convolution before it."""

from __future__ import annotations

import copy
import itertools

import torch
from torch import Tensor, nn

from ..blocks import ConvNormAct

__all__ = ["fold_batch_norms", "folded_conv"]


def folded_conv(conv: nn.Conv2d, norm: nn.BatchNorm2d) -> nn.Conv2d:
    """One convolution that computes ``norm(conv(x))`` of a batch norm in eval mode.

    A batch norm with running mean m and variance v is, channel by channel, the line ``(y - m) * g + b`` with slope
    ``g = weight / sqrt(v + eps)``. So

        norm(conv(x)) = (W x + c - m) * g + b = (g W) x + ((c - m) * g + b)

    Worked out in float64, so that the only rounding is the last one.

    Args:
        conv: any `nn.Conv2d`, with or without a bias.
        norm: its batch norm, with running statistics.

    Raises:
        ValueError: the batch norm keeps no running statistics, so it computes no fixed line.
    """
    if norm.running_mean is None or norm.running_var is None:
        raise ValueError("a batch norm without running statistics cannot be folded: it depends on the batch it sees")
    mean, variance = norm.running_mean.double(), norm.running_var.double()
    slope = torch.rsqrt(variance + norm.eps)
    shift = -mean * slope
    if norm.affine:
        slope, shift = slope * norm.weight.double(), shift * norm.weight.double() + norm.bias.double()
    if conv.bias is not None:
        shift = shift + conv.bias.double() * slope
    return filled_conv(conv, conv.weight.double() * slope[:, None, None, None], shift, conv.groups)


def filled_conv(like: nn.Conv2d, weight: Tensor, bias: Tensor, groups: int = 1) -> nn.Conv2d:
    """A convolution with the stride, padding, dilation and precision of `like`, and these weights.

    Args:
        like: where all but the weights comes from.
        weight: (out, in / groups, kh, kw).
        bias: (out,).
        groups: of channels; as many as channels for a depthwise convolution.
    """
    out_channels, per_group = weight.shape[:2]
    conv = nn.utils.skip_init(
        nn.Conv2d,
        per_group * groups,
        out_channels,
        tuple(weight.shape[2:]),
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


def fold_batch_norms(model: nn.Module) -> nn.Module:
    """A copy of `model` in eval mode, each batch norm folded into its convolution (`folded_conv`).

    `model` is untouched; all variants are served. A batch norm follows its convolution either inside a `ConvNormAct`
    or as the next layer of a `nn.Sequential`; its place is taken by `nn.Identity`, so that the numbering of the layers
    stays.

    Raises:
        ValueError: a batch norm is left that stands behind no convolution.
    """
    model = copy.deepcopy(model).eval()
    for module in model.modules():
        if isinstance(module, ConvNormAct) and hasattr(module, "bn"):
            module.conv, module.bn = folded_conv(module.conv, module.bn), nn.Identity()
        elif isinstance(module, nn.Sequential):
            for i, (conv, norm) in enumerate(itertools.pairwise(module)):
                if isinstance(conv, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    module[i], module[i + 1] = folded_conv(conv, norm), nn.Identity()
    left = [name for name, module in model.named_modules() if isinstance(module, nn.BatchNorm2d)]
    if left:
        raise ValueError(f"no convolution stands before the batch norms {', '.join(left)}")
    return model
