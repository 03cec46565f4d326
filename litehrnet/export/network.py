"""Export to ONNX: a network (`export_onnx`), or one pooling alone for looking at (`export_pooling`).

Both exporters of torch (`torch_exporters`) are called alike, and what they give is cleaned up alike (`cleaning`).

`check_parity` (`litehrnet.runtimes.parity`) proves a file against torch; `make_exportable` (`public_models`) prepares
other people's models. Sizes are given height before width.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from .._version import __version__
from ..files import written_whole
from ..model import LiteHRNet, pooling_of
from ..pooling import averaging_matrix, computed_windows, is_exact, make_pool
from ..runtimes.onnx_files import METADATA_KEY
from ..runtimes.parity import Parity, check_parity
from ..sizes import check_side, check_size
from .public_models import make_exportable
from .torch_exporters import EXPORTERS, check_choice, check_opset, opsets, quiet, run_exporter, write

__all__ = [
    "DYNAMIC",
    "EXPORTERS",
    "Parity",
    "check_parity",
    "export_onnx",
    "export_pooling",
    "greatest_error",
    "make_exportable",
    "opsets",
    "quiet",
]

DYNAMIC = (False, "batch", "size")
DEFAULT_OPSET = 18


class Pooling(nn.Module):
    """The wrapper that is exported for one pooling alone: the output size is fixed."""

    def __init__(self, pool: nn.Module, output_size: tuple[int, int]) -> None:
        super().__init__()
        self.pool = pool
        self.output_size = output_size

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, *output_size)."""
        return self.pool(image, self.output_size)


def export_onnx(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] = (256, 192),
    dynamic: bool | str = False,
    exporter: str = "dynamo",
    opset: int = DEFAULT_OPSET,
    fp16: bool = False,
) -> Path:
    """Write a network as one self-contained ONNX file, with input "image" and output "heatmaps".

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the file to write; it appears when it is whole and has passed onnx's checker, never before.
        size: (height, width) in pixels; what the network is traced at.
        dynamic: False, nothing may change; "batch", any batch size; "size", any batch and any size that the network
            can run (traced at `size`, which must then be of multiples of 32).
        exporter: "dynamo" or "torchscript".
        opset: version of ONNX's operator set, one of `opsets(exporter)`; it is the one in the file.
        fp16: store the weights as float16, for half the file; input, output and arithmetic stay float32. Heatmaps
            then differ by a few thousandths of their largest value.

    Returns:
        The path of the file. Its metadata key "litehrnet" holds JSON: variant, size, dynamic, joints, mean, std,
        pooling, fused, version, weights ("float32" or "float16").

    Raises:
        ValueError: a size that the network cannot run, an unknown choice, or choices that do not go together; the
            sentence says why and names the nearest way.
    """
    size = check_size(size)
    check_choice("dynamic", dynamic, DYNAMIC)
    check_opset(exporter, opset)
    _check_together(model, size, dynamic, exporter)
    told = describe(model, size, dynamic) | {"weights": "float16" if fp16 else "float32"}
    with written_whole(path) as temporary:
        graph = run_exporter(model, (3, *size), dynamic, exporter, opset, "heatmaps")
        write(graph, temporary, opset, dynamic, {METADATA_KEY: json.dumps(told)}, fp16)
    return Path(path)


def export_pooling(
    input_size: int | Sequence[int],
    output_size: int | Sequence[int],
    mode: str,
    path: str | Path,
    exporter: str = "torchscript",
    opset: int = DEFAULT_OPSET,
) -> Path:
    """Write one pooling alone, for looking at: input "image" (1, 1, H, W), output "pooled".

    Where computed pooling is not adaptive pooling, it warns and says by how much the values can differ at most.

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
    error = greatest_error(before, after) if mode == "computed" else 0.0
    if error:
        warnings.warn(
            f"computed pooling of {before[0]}x{before[1]} to {after[0]}x{after[1]} is not adaptive pooling: values "
            f"can differ by up to {error:.0%} of the map's range (highest minus lowest value)",
            stacklevel=2,
        )
    with written_whole(path) as temporary:
        graph = run_exporter(pool, (1, *before), False, exporter, opset, "pooled")
        write(graph, temporary, opset, False, {})
    return Path(path)


def greatest_error(input_size: Sequence[int], output_size: Sequence[int]) -> float:
    """How far computed pooling can be from adaptive pooling, as a part of the map's range (highest minus lowest).

    Both are weighted averages, so their difference is a weighting that sums to 0; it is largest where the map is
    highest under its positive weights and lowest under its negative ones.

    Args:
        input_size, output_size: (height, width) in pixels.

    Raises:
        ValueError: as `litehrnet.pooling.pool_params`.

    >>> greatest_error((64, 48), (8, 6)), round(greatest_error((11, 1), (4, 1)), 3)
    (0.0, 0.4)
    """
    if all(is_exact(n, m) for n, m in zip(input_size, output_size, strict=True)):
        return 0.0
    adaptive, computed = [], []
    for n, m in zip(input_size, output_size, strict=True):
        adaptive.append(averaging_matrix(n, m))  # (m, n)
        computed.append(np.zeros((m, n)))
        for row, (start, end) in zip(computed[-1], computed_windows(n, m), strict=True):
            row[start:end] = 1 / (end - start)
    difference = np.kron(*adaptive) - np.kron(*computed)  # (mh * mw, nh * nw)
    return float(np.abs(difference).sum(axis=1).max() / 2)


def describe(model: nn.Module, size: tuple[int, int], dynamic: bool | str) -> dict[str, object]:
    """What a file says about itself, under the metadata key "litehrnet"."""
    from ..heatmaps import MEAN, STD

    return {
        "variant": model.variant.name,
        "size": list(size),
        "dynamic": dynamic,
        "joints": model.num_joints,
        "mean": list(MEAN),
        "std": list(STD),
        "pooling": pooling_of(model),
        "fused": bool(getattr(model, "fused", False)),
        "version": __version__,
    }


def check_float32(model: nn.Module) -> None:
    """Refuse, with a ValueError that says what to do, a model whose weights are not float32."""
    other = {parameter.dtype for parameter in model.parameters()} - {torch.float32}
    if other:
        raise ValueError(
            f"the weights must be torch.float32 to be exported, got {', '.join(map(str, other))}; call model.float(), "
            "and for a smaller file have the file store them as float16"
        )


def _check_together(model: nn.Module, size: tuple[int, int], dynamic: bool | str, exporter: str) -> None:
    """Refuse what cannot work before the slow part, with the reason and the nearest way."""
    if not hasattr(model, "variant"):
        raise ValueError(
            f"{type(model).__name__} is neither a LiteHRNet nor a fused one, which this takes; for a model of the "
            "public repositories call litehrnet.make_exportable(model) and then torch.onnx.export"
        )
    check_float32(model)
    fixed = None if getattr(model, "any_size", True) else model.size
    if fixed is not None and tuple(fixed) != size:
        raise ValueError(
            f"this module was fused for {fixed[0]}x{fixed[1]} and cannot be exported at {size[0]}x{size[1]}; "
            f"fuse the original model for {size[0]}x{size[1]}"
        )
    weighted = isinstance(model, LiteHRNet) and model.variant.channel_weighting
    if dynamic and weighted and model.pooling == "adaptive" and exporter == "torchscript":
        raise ValueError(
            "the torchscript exporter cannot write adaptive pooling once anything is dynamic, since AveragePool needs "
            "a constant kernel; litehrnet.set_pooling(model, 'computed') gives the same values and can be written (or "
            "use exporter='dynamo')"
        )
    if dynamic != "size":
        return
    if any(side % 32 for side in size):
        nearest = "x".join(str(-(-side // 32) * 32) for side in size)
        raise ValueError(
            f"a file of dynamic size is traced at multiples of 32, which {size[0]}x{size[1]} is not: the nearest is "
            f"{nearest} (the file runs at every size that the network can), or use dynamic='batch'"
        )
    if fixed is not None:
        raise ValueError(
            f"a graph fused for {fixed[0]}x{fixed[1]} has that size built in; use dynamic='batch', or fuse the "
            "original model with target='openvino', which leaves the size free"
        )
    if weighted and model.pooling == "exact":
        raise ValueError(
            "exact pooling holds matrices of one size, so its size cannot be dynamic; at multiples of 32 "
            "litehrnet.set_pooling(model, 'computed') gives the same values and any size"
        )


def _pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{name} is one number or (height, width), got {size!r}")
    return check_side(sides[0], name), check_side(sides[1], name)
