"""From the model to MNN's file, through ONNX and MNN's own converter. Sizes are given height before width."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..checks import check_choice, require
from ..files import written_whole
from ..runtimes.signature import DEFAULT_SIZE
from ..sizes import check_size
from .ncnn import check_suffix
from .onnx import check_exportable, export_onnx

__all__ = ["SUFFIX", "export_mnn"]

SUFFIX = ".mnn"


def export_mnn(
    model: nn.Module, path: str | Path, size: Sequence[int] = DEFAULT_SIZE, weights: str = "float32"
) -> Path:
    """Convert a network for MNN, for one image of one size.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .mnn file to write.
        size: (height, width), the only one that the result runs at.
        weights: "float32".

    Raises:
        ImportError: MNN is not installed.
        ValueError: an illegal size, unknown weights, weights that are not float32 or not finite, or a path that does
            not end in .mnn.
        RuntimeError: MNN's converter failed; the message holds its last line.
    """
    size = check_size(size)
    check_choice("weights", weights, ("float32",))
    path = check_suffix(path, SUFFIX)
    check_exportable(model, size)
    require("MNN")
    with tempfile.TemporaryDirectory() as folder:
        source = export_onnx(model, Path(folder) / "net.onnx", size=size, exporter="torchscript")
        target = Path(folder) / "net.mnn"
        options = ["-f", "ONNX", "--modelFile", str(source), "--MNNModel", str(target), "--bizCode", "litehrnet"]
        command = [sys.executable, "-m", "MNN.tools.mnnconvert", *options]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode or not target.is_file():
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise RuntimeError(f"MNN's converter failed (exit code {done.returncode}): {last}")
        with written_whole(path) as temporary:
            temporary.write_bytes(target.read_bytes())
    return path
