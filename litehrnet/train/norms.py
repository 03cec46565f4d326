"""Batch norms whose statistics are those of the whole batch, however many processes share it.

`nn.SyncBatchNorm` does the same on GPUs only, and would forget `RepeatedBatchNorm`'s repeats.
"""

from __future__ import annotations

import torch
from torch import Tensor, distributed, nn
from torch.distributed.nn.functional import all_reduce
from torch.nn import functional as F

__all__ = ["SharedBatchNorm", "freeze_norms", "share_norms"]


class SharedBatchNorm(nn.Module):
    """A batch norm over all processes; parameters, buffers and eval mode are those of the norm that it replaces.

    Args:
        norm: the norm, whose tensors it takes over. All processes must have batches of the same shape.
    """

    num_batches_tracked: Tensor
    running_mean: Tensor
    running_var: Tensor

    def __init__(self, norm: nn.BatchNorm2d) -> None:
        super().__init__()
        assert norm.momentum is not None  # no norm of this network has a cumulative average
        self.weight, self.bias, self.eps = norm.weight, norm.bias, norm.eps
        for name in ("running_mean", "running_var", "num_batches_tracked"):
            self.register_buffer(name, getattr(norm, name))
        self.repeats = getattr(norm, "repeats", 1)
        self.keep = (1 - norm.momentum) ** self.repeats
        self.train(norm.training)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if not self.training:
            return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, False, 0.0, self.eps)
        world = distributed.get_world_size()
        values = x.float()
        mean = all_reduce(values.mean((0, 2, 3))) / world  # (C,)
        centred = values - mean[:, None, None]
        variance = all_reduce(centred.square().mean((0, 2, 3))) / world  # (C,)
        with torch.no_grad():
            count = world * x.numel() / x.shape[1]
            self.running_mean.lerp_(mean, 1 - self.keep)
            self.running_var.lerp_(variance * (count / max(count - 1, 1)), 1 - self.keep)
            self.num_batches_tracked.add_(self.repeats)
        scale = self.weight * torch.rsqrt(variance + self.eps)  # (C,)
        return (centred * scale[:, None, None] + self.bias[:, None, None]).to(x.dtype)


def share_norms(model: nn.Module) -> None:
    """Replace every batch norm of a model by one over all processes, in place."""
    for parent in list(model.modules()):
        for name, child in list(parent.named_children()):
            if isinstance(child, nn.BatchNorm2d):
                setattr(parent, name, SharedBatchNorm(child))


def freeze_norms(model: nn.Module) -> None:
    """Put every batch norm into eval mode: its statistics stay, its scale and shift still learn."""
    for module in model.modules():
        if isinstance(module, (nn.BatchNorm2d, SharedBatchNorm)):
            module.eval()
