"""From the model to ncnn's two files, through pnnx. Sizes are given height before width."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checks import require
from ..files import written_whole
from ..model import eval_mode, zeros_like_input
from ..runtimes.ncnn import CHECKSUM, HEIGHT, MAGIC, WIDTH, ncnn_layers
from ..runtimes.signature import checksum
from .writers import check_order, run_converter

__all__ = ["SUFFIX", "export_ncnn", "ncnn_layers", "trace"]

SUFFIX = ".ncnn.param"


def export_ncnn(
    model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32"
) -> list[Path]:
    """Convert a network for ncnn: NAME.ncnn.param (the graph, as text) and NAME.ncnn.bin (the weights).

    pnnx turns the traced model into ncnn's layers. It writes six files; the two that ncnn needs are kept. The size and
    a checksum of the weights are added to the Input line of the .param file, so that a program that loads it can check
    both. At another size, ncnn crashes or gives wrong results; with other weights, it gives wrong results.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .ncnn.param file to write; the .ncnn.bin file goes beside it. (OpenVINO's weights also end in .bin,
            hence the longer name.)
        size: (height, width), the only one that the result runs at; the default is that of `export_onnx`.
        weights: "float32", or "float16" for half the file (values differ by about 4e-3 of the largest).

    Returns:
        The paths of the .param and the .bin file.

    Raises:
        ImportError: pnnx is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
        RuntimeError: pnnx failed; the message holds its last line.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX)
    pnnx = require("pnnx")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trace(network, size).save(str(folder / "net.pt"))
        shape = ",".join(map(str, (1, 3, *size)))
        command = [pnnx.EXEC_PATH, "net.pt", f"inputshape=[{shape}]f32", f"fp16={int(weights == 'float16')}"]
        results = ("net.ncnn.param", "net.ncnn.bin")
        param, numbers = run_converter("pnnx could not convert the model", command, folder, *results)
        with written_whole(path.with_suffix(".bin")) as weights_path, written_whole(path) as param_path:
            param_path.write_text(_with_input(param.read_text(), size, checksum(numbers.read_bytes())))
            weights_path.write_bytes(numbers.read_bytes())
    return [path, path.with_suffix(".bin")]


def _with_input(param: str, size: tuple[int, int], weights: int) -> str:
    """Write the input's size and the weights' checksum into the Input line; key 2 is the channels."""
    lines = param.splitlines()
    if lines[0] != MAGIC:
        raise RuntimeError(f"pnnx wrote a .param file of another format: its first line is {lines[0]!r}")
    at = next(number for number, line in enumerate(lines) if line.startswith("Input"))
    lines[at] = f"{lines[at].rstrip()} {WIDTH}={size[1]} {HEIGHT}={size[0]} 2=3 {CHECKSUM}={weights}"
    return "\n".join(lines) + "\n"


def trace(model: nn.Module, size: tuple[int, int]) -> torch.jit.ScriptModule:
    """A network traced on one image of (height, width), in eval mode, for converters that read TorchScript."""
    with warnings.catch_warnings():
        # torch.jit is deprecated, but pnnx and coremltools take a module in this form.
        for category in (DeprecationWarning, FutureWarning):  # the second since torch 2.14
            warnings.filterwarnings("ignore", message=".*torch.jit.*", category=category)
        # Sizes become constants. ncnn runs at one size; where Core ML leaves sizes free, the comparison with torch
        # would show a constant that matters.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        with eval_mode(model), torch.autocast("cpu", enabled=False):
            return torch.jit.trace(model, zeros_like_input(size), check_trace=False)
