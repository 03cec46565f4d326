"""`export`: one call for every format; which one is inferred from how the file's name ends."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from torch import nn

from ..checks import check_choice
from ..fusion import fuse
from ..model import LiteHRNet
from .c import export_c
from .coreml import export_coreml
from .executorch import export_executorch
from .litert import export_litert
from .mnn import export_mnn
from .ncnn import export_ncnn
from .onnx import export_onnx, export_size
from .openvino import export_openvino

__all__ = ["FORMATS", "Format", "export", "format_of"]


@dataclass(frozen=True)
class Format:
    """A row of the table of formats.

    Attributes:
        suffix: how the name of the file ends.
        write: from (model, path, size, weights, options) to the files that were written, the graph first.
        options: the arguments of `export` that this format takes besides size and weights.
        others: endings of the files that are written beside it, in place of the last part of `suffix`.
        fused_for: the target of `litehrnet.fusion.fuse`, for one size; None where the writer fuses by itself.
        any_size: whether one file runs at every size.
    """

    suffix: str
    write: Callable[..., Path | Sequence[Path]]
    options: tuple[str, ...] = ()
    others: tuple[str, ...] = ()
    fused_for: str | None = None
    any_size: bool = False

    def files(self, path: str | Path) -> list[Path]:
        """The files that an export to `path` writes."""
        return [Path(path), *(Path(path).with_suffix(other) for other in self.others)]


FORMATS: dict[str, Format] = {
    "onnx": Format(".onnx", export_onnx, ("dynamic", "exporter", "opset", "inputs", "decode"), fused_for="onnxruntime"),
    "ncnn": Format(".ncnn.param", export_ncnn, others=(".bin",), fused_for="ncnn"),
    "openvino": Format(".xml", export_openvino, others=(".bin",), fused_for="openvino"),
    "c": Format(".lhr", export_c, any_size=True),
    "executorch": Format(".pte", export_executorch, fused_for="executorch"),
    "litert": Format(".tflite", export_litert, fused_for="openvino"),
    "mnn": Format(".mnn", export_mnn, fused_for="openvino"),
    "coreml": Format(".mlpackage", export_coreml, ("dynamic",), fused_for="openvino"),
}


def format_of(path: str | Path) -> str:
    """The format that a file's name asks for, a key of `FORMATS`.

    Raises:
        ValueError: its ending belongs to none.

    >>> format_of("my.onnx"), format_of("my.ncnn.param"), format_of("my.xml")
    ('onnx', 'ncnn', 'openvino')
    """
    name = Path(path).name.lower()
    for format, row in FORMATS.items():
        if name.endswith(row.suffix):
            return format
    endings = ", ".join(f"{row.suffix} ({format})" for format, row in FORMATS.items())
    raise ValueError(f"{Path(path).name!r} has no ending of a format that can be written: {endings}")


def export(
    model: nn.Module,
    path: str | Path,
    *,
    to: str | None = None,
    size: Sequence[int] | None = None,
    dynamic: str | None = None,
    weights: str = "float32",
    exporter: str | None = None,
    opset: int | None = None,
    inputs: str | None = None,
    decode: bool | None = None,
    fused: bool = False,
) -> list[Path]:
    """Write a network in any of the formats.

    Args:
        model: a `LiteHRNet`, or (without `fused`) the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the file to write.
        to: the format, a key of `FORMATS`; None: inferred from how `path` ends.
        size: (height, width) in pixels; by default the size that the module was fused for, else the size that it was
            trained at, else 256x192.
        dynamic: None, "batch" or "size", as in `export_onnx`; only for ONNX and Core ML.
        weights: "float32", or "float16" for half the file.
        exporter: "dynamo" or "torchscript"; only for ONNX.
        opset: version of ONNX's operator set; only for ONNX.
        inputs: "float32" or "uint8", as in `export_onnx`; only for ONNX.
        decode: whether the file also outputs joints, as in `export_onnx`; only for ONNX.
        fused: write the fast graph, which `litehrnet.fusion.fuse` makes for the format's own runtime.

    Returns:
        The files that were written, the graph first.

    Raises:
        ValueError: an unknown format or choice, an option that the format does not take, or anything that the
            format's own writer refuses.
        ImportError: the package that writes the format is not installed; the message says how to install it.
    """
    to = format_of(path) if to is None else to
    check_choice("format", to, FORMATS)
    row = FORMATS[to]
    given = {"dynamic": dynamic, "exporter": exporter, "opset": opset, "inputs": inputs, "decode": decode}
    options = {name: value for name, value in given.items() if value is not None}
    for name in options:
        if name not in row.options:
            takers = " and ".join(format for format, other in FORMATS.items() if name in other.options)
            raise ValueError(f"{name} is an option of {takers} files, not of {to} files")
    size = export_size(model, size)
    if fused:
        model = _fused(model, size, row, dynamic)
    written = row.write(model, path, size, weights=weights, **options)
    return [written] if isinstance(written, Path) else list(written)


def _fused(model: nn.Module, size: tuple[int, int], row: Format, dynamic: str | None) -> nn.Module:
    """The fast graph for one size, or the one that leaves the size free."""
    if row.fused_for is None:
        return model
    # What suits ONNX Runtime best has the size built in. `fuse` itself refuses what is not a LiteHRNet.
    return fuse(cast("LiteHRNet", model), size, target="openvino" if dynamic == "size" else row.fused_for)
