"""From the model to ExecuTorch's .pte file, for XNNPACK. Sizes are given height before width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checks import require
from ..files import written_whole
from ..model import zeros_like_input
from .writers import captured, check_order

__all__ = ["SUFFIX", "export_executorch"]

SUFFIX = ".pte"
PARTITIONER = "executorch.backends.xnnpack.partition.xnnpack_partitioner"


def export_executorch(
    model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32"
) -> Path:
    """Lower a network to XNNPACK and write it for ExecuTorch, for one image of one size.

    Operations that XNNPACK does not have run in ExecuTorch's portable kernels, between two delegates. In a plain graph
    these are the nearest upsamplings; `fuse(model, size, target="executorch")` writes them as products, and the whole
    graph becomes one delegate.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .pte file to write.
        size: (height, width), the only one that the result runs at; the default is that of `export_onnx`.
        weights: "float32".

    Raises:
        ImportError: ExecuTorch is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX, ("float32",))
    lower = require("executorch.exir", "executorch").to_edge_transform_and_lower
    partitioner = require(PARTITIONER, "executorch").XnnpackPartitioner()
    with captured(network):
        program = torch.export.export(network, (zeros_like_input(size),))
        content = lower(program, partitioner=[partitioner]).to_executorch().buffer
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return path
