"""From the model to the files of other runtimes: ncnn (through pnnx) and OpenVINO.

Both converters are given the unchecked forward, traced at one size. Sizes are given height before width.
"""

from __future__ import annotations

import collections
import subprocess
import tempfile
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..files import written_whole
from ..model import eval_mode, zeros_like_input
from ..runtimes.backends import CHECKSUM, HEIGHT, NCNN_MAGIC, WIDTH, checksum, ncnn_input, require
from ..runtimes.parity import SEED, TOLERANCES, Parity, compare, heatmaps_of
from ..sizes import check_size
from .network import check_float32, export_onnx

__all__ = ["CONVERTERS", "STORAGES", "check_conversion", "export_ncnn", "export_openvino", "ncnn_layers"]

STORAGES = ("fp32", "fp16")


def export_ncnn(
    model: nn.Module, path: str | Path, size: Sequence[int] = (256, 192), storage: str = "fp32"
) -> tuple[Path, Path]:
    """Convert a network for ncnn: NAME.ncnn.param (the graph, as text) and NAME.ncnn.bin (the weights).

    pnnx turns the traced model into ncnn's layers. It writes six files; the two that ncnn needs are kept. The size and
    a checksum of the weights are written into the .param file's Input line, so that whoever loads it can check both:
    at another size ncnn ends the process or answers wrongly, and with other weights it answers wrongly.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .ncnn.param file to write; the .ncnn.bin file lies beside it. (OpenVINO's weights end in .bin, too:
            hence the longer name.)
        size: (height, width), the only one that the result runs at.
        storage: "fp32", or "fp16" for half the file (values differ by about 4e-3 of the largest).

    Returns:
        The paths of the .param and the .bin file.

    Raises:
        ImportError: pnnx is not installed.
        ValueError: an illegal size or storage, weights not in float32, or a path that does not end in .ncnn.param.
        RuntimeError: pnnx failed; the message holds its last line.
    """
    size = check_size(size)
    _check_storage(storage)
    path = _check_suffix(path, ".ncnn.param")
    check_float32(model)
    pnnx = require("pnnx")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        _trace(model, size).save(str(folder / "net.pt"))
        shape = ",".join(map(str, (1, 3, *size)))
        command = [pnnx.EXEC_PATH, "net.pt", f"inputshape=[{shape}]f32", f"fp16={int(storage == 'fp16')}"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        param, weights = folder / "net.ncnn.param", folder / "net.ncnn.bin"
        if done.returncode or not (param.is_file() and weights.is_file()):
            last = (done.stderr.strip() or done.stdout.strip() or "no message").splitlines()[-1]
            raise RuntimeError(f"pnnx could not convert the model (exit code {done.returncode}): {last}")
        with written_whole(path.with_suffix(".bin")) as weights_path, written_whole(path) as param_path:
            param_path.write_text(_with_input(param.read_text(), size, checksum(weights.read_bytes())))
            weights_path.write_bytes(weights.read_bytes())
    return path, path.with_suffix(".bin")


def _with_input(param: str, size: tuple[int, int], weights: int) -> str:
    """Say the input's size and the weights' checksum in the Input line; 2 are the channels."""
    lines = param.splitlines()
    if lines[0] != NCNN_MAGIC:
        raise RuntimeError(f"pnnx wrote a .param file of another format: its first line is {lines[0]!r}")
    at = next(number for number, line in enumerate(lines) if line.startswith("Input"))
    lines[at] = f"{lines[at].rstrip()} {WIDTH}={size[1]} {HEIGHT}={size[0]} 2=3 {CHECKSUM}={weights}"
    return "\n".join(lines) + "\n"


def ncnn_layers(param: str | Path) -> dict[str, int]:
    """Layers of an ncnn .param file by kind, most frequent first.

    Raises:
        ValueError: not an ncnn .param file.
    """
    lines = Path(param).read_text().splitlines()
    if not lines or lines[0].strip() != NCNN_MAGIC:
        raise ValueError(f"{Path(param).name} is not an ncnn .param file: its first line is not {NCNN_MAGIC}")
    return dict(collections.Counter(line.split()[0] for line in lines[2:] if line.strip()).most_common())


def export_openvino(
    model: nn.Module, path: str | Path, size: Sequence[int] = (256, 192), storage: str = "fp32"
) -> tuple[Path, Path]:
    """Convert a network for OpenVINO: NAME.xml (the graph) and NAME.bin (the weights).

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .xml file to write; the .bin file lies beside it under the same name.
        size: (height, width); the batch stays free.
        storage: "fp32", or "fp16" for half the file.

    Returns:
        The paths of the .xml and the .bin file.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: an illegal size or storage, or a path that does not end in .xml.
    """
    size = check_size(size)
    _check_storage(storage)
    path = _check_suffix(path, ".xml")
    openvino = require("openvino")
    with tempfile.TemporaryDirectory() as name:
        # Exported with one image and freed afterwards: the quick exporter then writes adaptive pooling, too.
        source = export_onnx(model, Path(name) / "net.onnx", size=size, exporter="torchscript")
        converted = openvino.convert_model(source)
        converted.reshape([-1, 3, *size])
        result = Path(name) / "net.xml"
        openvino.save_model(converted, result, compress_to_fp16=storage == "fp16")
        with written_whole(path.with_suffix(".bin")) as weights_path, written_whole(path) as graph_path:
            graph_path.write_bytes(result.read_bytes())
            weights_path.write_bytes(result.with_suffix(".bin").read_bytes())
    return path, path.with_suffix(".bin")


def check_conversion(
    model: nn.Module, path: str | Path, runtime: str, size: Sequence[int] | None = None, storage: str = "fp32"
) -> Parity:
    """Run a converted file and the model in torch on the same two random images, and compare.

    Args:
        model: the network that the file was made from; it is not changed.
        path: the .ncnn.param or .xml file.
        runtime: "ncnn" or "openvino".
        size: (height, width) that it was converted at; None where the .ncnn.param file says it.
        storage: as it was converted; "fp16" is judged by `litehrnet.runtimes.parity.TOLERANCES` for float16.

    Raises:
        ValueError: an unknown runtime or storage, or no size.
        ImportError: the runtime is not installed.
    """
    from ..runtimes.loading import load

    _check_storage(storage)
    if runtime not in CONVERTERS:
        raise ValueError(f"unknown runtime {runtime!r}; choose one of {', '.join(map(repr, CONVERTERS))}")
    path = Path(path)
    run = load(path, runtime)
    size = ncnn_input(path) if size is None and runtime == "ncnn" else size
    if size is None:
        raise ValueError(f"{path.name} does not say its input's size; give it")
    size = check_size(size)
    images = np.random.default_rng(SEED).standard_normal((2, 3, *size), dtype=np.float32)
    tolerance = TOLERANCES["float32" if storage == "fp32" else "float16"]
    return compare(heatmaps_of(model, images), run(images), size, tolerance)


def _trace(model: nn.Module, size: tuple[int, int]) -> torch.jit.ScriptModule:
    with warnings.catch_warnings():
        # torch.jit is on its way out; pnnx has no other door for a module.
        warnings.filterwarnings("ignore", message=".*torch.jit.*", category=DeprecationWarning)
        # The graph is meant for this one size.
        warnings.filterwarnings("ignore", category=torch.jit.TracerWarning)
        with eval_mode(model):
            return torch.jit.trace(model, zeros_like_input(size), check_trace=False)


def _check_storage(storage: str) -> None:
    if storage not in STORAGES:
        raise ValueError(f"unknown storage {storage!r}; choose one of {', '.join(map(repr, STORAGES))}")


def _check_suffix(path: str | Path, suffix: str) -> Path:
    path = Path(path)
    if not path.name.endswith(suffix) or path.name == suffix:
        raise ValueError(f"the file to write must end in {suffix}, such as model{suffix}; got {path.name!r}")
    return path


# From a runtime's name to what converts for it, and how its files' names end.
CONVERTERS = {"ncnn": (export_ncnn, ".ncnn.param"), "openvino": (export_openvino, ".xml")}
