"""From the model to ExecuTorch's .pte file, for XNNPACK. Sizes are given height before width."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checks import check_choice, require
from ..files import written_whole
from ..model import eval_mode, zeros_like_input
from ..runtimes.signature import DEFAULT_SIZE
from ..sizes import check_size
from .ncnn import check_suffix
from .onnx import check_exportable

__all__ = ["SUFFIX", "export_executorch"]

SUFFIX = ".pte"
PARTITIONER = "executorch.backends.xnnpack.partition.xnnpack_partitioner"


def export_executorch(
    model: nn.Module, path: str | Path, size: Sequence[int] = DEFAULT_SIZE, weights: str = "float32"
) -> Path:
    """Lower a network to XNNPACK and write it for ExecuTorch, for one image of one size.

    Operations that XNNPACK does not have run in ExecuTorch's portable kernels, between two delegates. In a plain graph
    these are the nearest upsamplings; `fuse(model, size, target="executorch")` writes them as products, and the whole
    graph becomes one delegate.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .pte file to write.
        size: (height, width), the only one that the result runs at.
        weights: "float32".

    Raises:
        ImportError: ExecuTorch is not installed.
        ValueError: an illegal size, unknown weights, weights that are not float32 or not finite, or a path that does
            not end in .pte.
    """
    size = check_size(size)
    check_choice("weights", weights, ("float32",))
    path = check_suffix(path, SUFFIX)
    check_exportable(model, size)
    lower = require("executorch.exir", "executorch").to_edge_transform_and_lower
    partitioner = require(PARTITIONER, "executorch").XnnpackPartitioner()
    with warnings.catch_warnings(), eval_mode(model), torch.no_grad(), torch.autocast("cpu", enabled=False):
        warnings.simplefilter("ignore", FutureWarning)  # raised by torch and ExecuTorch about their own code
        warnings.simplefilter("ignore", DeprecationWarning)
        captured = torch.export.export(model, (zeros_like_input(size),))
        content = lower(captured, partitioner=[partitioner]).to_executorch().buffer
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return path
