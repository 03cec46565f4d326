"""From the model to MNN's file, through ONNX and MNN's own converter. Sizes are given height before width."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..checks import require
from ..files import written_whole
from .onnx import export_onnx
from .writers import check_order, run_converter

__all__ = ["SUFFIX", "export_mnn"]

SUFFIX = ".mnn"


def export_mnn(model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32") -> Path:
    """Convert a network for MNN, for one image of one size.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .mnn file to write.
        size: (height, width), the only one that the result runs at; the default is that of `export_onnx`.
        weights: "float32".

    Raises:
        ImportError: MNN is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
        RuntimeError: MNN's converter failed; the message holds its last line.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX, ("float32",))
    require("MNN")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        source = export_onnx(network, folder / "net.onnx", size=size, exporter="torchscript")
        options = ["-f", "ONNX", "--modelFile", source.name, "--MNNModel", "net.mnn", "--bizCode", "litehrnet"]
        command = [sys.executable, "-m", "MNN.tools.mnnconvert", *options]
        (converted,) = run_converter("MNN's converter failed", command, folder, "net.mnn")
        with written_whole(path) as temporary:
            temporary.write_bytes(converted.read_bytes())
    return path
