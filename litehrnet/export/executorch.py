"""From the model to ExecuTorch's .pte file, for XNNPACK. Sizes are given height before width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from ..checks import require
from ..files import written_whole
from ..model import zeros_like_input
from .writers import captured, check_order

__all__ = ["SUFFIX", "export_executorch", "lowered"]

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
    with captured(network):
        content = lowered(network, size).to_executorch().buffer
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return path


def lowered(network: nn.Module, size: tuple[int, int]) -> Any:
    """A network at one size as ExecuTorch's program, with everything that XNNPACK has in delegates.

    What is computed from constants alone, such as the blocks of ones of `with_upsampled_by_blocks`, is computed here:
    otherwise ExecuTorch's own kernels would fill them for every image.

    Raises:
        ImportError: ExecuTorch is not installed.
    """
    lower = require("executorch.exir", "executorch").to_edge_transform_and_lower
    fold = require("executorch.exir.passes.constant_prop_pass", "executorch").constant_prop_pass
    partitioner = require(PARTITIONER, "executorch").XnnpackPartitioner()
    program = torch.export.export(network, (zeros_like_input(size),))
    return lower(fold(program, custom_skip_targets=set()), partitioner=[partitioner])
