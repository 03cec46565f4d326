"""A single pooling as an ONNX file, to look at."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

from torch import Tensor, nn

from ..files import written_whole
from ..pooling import greatest_error, inexact_sentence, make_pool
from ..sizes import check_side
from .torch_exporters import DEFAULT_OPSET, check_opset, run_exporter, write

__all__ = ["export_pooling", "greatest_error"]


class Pooling(nn.Module):
    """The wrapper that is exported for one pooling alone: the output size is fixed."""

    def __init__(self, pool: nn.Module, output_size: tuple[int, int]) -> None:
        super().__init__()
        self.pool = pool
        self.output_size = output_size

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, *output_size)."""
        return self.pool(image, self.output_size)


def export_pooling(
    input_size: int | Sequence[int],
    output_size: int | Sequence[int],
    mode: str,
    path: str | Path,
    exporter: str = "torchscript",
    opset: int = DEFAULT_OPSET,
) -> Path:
    """Write a single pooling, to look at: input "image" (1, 1, H, W), output "pooled".

    If computed pooling does not equal adaptive pooling, a warning says by how much the values can differ at most.

    Args:
        input_size: pixels before pooling: one number for a square map, or (height, width).
        output_size: pixels after pooling, likewise.
        mode: "adaptive" (which exporters may refuse), "computed" (one AveragePool) or "exact" (two MatMuls).
        path: the file to write.
        exporter: "torchscript" or "dynamo".
        opset: as in `export_onnx`.

    Raises:
        ValueError: computed pooling cannot enlarge, or an unknown choice.
        torch.onnx.errors.SymbolicValueError: adaptive pooling that the torchscript exporter cannot write.
    """
    before, after = _pair(input_size, "input_size"), _pair(output_size, "output_size")
    check_opset(exporter, opset)
    pool = Pooling(make_pool(mode), after)
    if mode == "computed" and greatest_error(before, after):
        warnings.warn(inexact_sentence(before, after), stacklevel=2)
    with written_whole(path) as temporary:
        graph = run_exporter(pool, (1, *before), None, exporter, opset, "pooled")
        write(graph, temporary, opset, None, {})
    return Path(path)


def _pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{name} is one number or (height, width), got {size!r}")
    return check_side(sides[0], name), check_side(sides[1], name)
