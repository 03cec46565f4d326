"""From the model to LiteRT's .tflite file, through litert-torch. Sizes are given height before width."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..checks import require
from ..files import written_whole
from ..model import zeros_like_input
from .writers import captured, check_order

__all__ = ["SUFFIX", "export_litert"]

SUFFIX = ".tflite"


def export_litert(
    model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32"
) -> Path:
    """Convert a network for LiteRT (TensorFlow Lite), for one image of one size; input and output are as in torch.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .tflite file to write.
        size: (height, width), the only one that the result runs at; the default is that of `export_onnx`.
        weights: "float32".

    Raises:
        ImportError: litert-torch is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX, ("float32",))
    converter = require("litert_torch", "litert-torch")
    with captured(network):
        converted = converter.convert(network, (zeros_like_input(size),))
    with written_whole(path) as temporary:
        named = temporary.with_name(f"{temporary.name}{SUFFIX}")  # litert-torch insists on the ending
        try:
            converted.export(str(named))
            temporary.write_bytes(named.read_bytes())
        finally:
            named.unlink(missing_ok=True)
    return path
