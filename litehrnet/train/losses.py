"""The losses that training minimises."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F

from ..checks import check_choice

__all__ = ["LOSSES", "heatmap_loss"]

LOSSES = ("mse", "softmax", "both")
SHARPNESS = 10.0  # softmax(10 * heatmap): a peak of 1 then outweighs 3,072 pixels of background
MSE_SHARE = 0.1


def heatmap_loss(
    heatmaps: Tensor, targets: Tensor, weights: Tensor, kind: str = "both", count: Tensor | None = None
) -> Tensor:
    """The mean loss over the joints that have a label.

    "mse" is the paper's loss: squared differences, summed over the map. It starts slowly, because most of a map is
    background. "softmax" is the cross-entropy between ``softmax(10 * target)`` and ``softmax(10 * heatmap)`` over all
    pixels of one map. It pulls on the right pixel from the first step, and its minimum is also the target, up to a
    constant. "both" adds a tenth of the first to the second, which fixes the constant.

    Args:
        heatmaps: (N, K, h, w).
        targets: the same shape; Gaussians of height 1.
        weights: (N, K), 0 for joints without a label.
        kind: one of `LOSSES`.
        count: by how many joints to divide; by default those with a label here. Processes that share a batch divide by
            their mean number, so that the mean of their losses is the whole batch's.

    Raises:
        ValueError: the kind is unknown.
    """
    check_choice("loss", kind, LOSSES)
    got, wanted = heatmaps.flatten(2), targets.flatten(2)  # (N, K, h * w)
    loss = torch.zeros_like(weights)
    if kind in ("softmax", "both"):
        wished = F.softmax(SHARPNESS * wanted, dim=2)
        loss = loss - (wished * F.log_softmax(SHARPNESS * got, dim=2)).sum(dim=2)
    if kind in ("mse", "both"):
        share = 1.0 if kind == "mse" else MSE_SHARE
        loss = loss + share * (got - wanted).square().sum(dim=2)
    return (loss * weights).sum() / (weights.sum() if count is None else count).clamp(min=1)
