"""The runners of `litehrnet.runtimes.load` that need an extra package: OpenVINO and ncnn.

Each function takes the file, the threads and the precision, and returns what the file takes and a function that runs
one array which `load` has checked. Both runtimes must be asked for float32: OpenVINO picks bfloat16 by itself on some
processors (5e-2 off), ncnn 16-bit storage.
"""

from __future__ import annotations

import functools
import importlib
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np

from .onnx_files import Signature, signature

__all__ = ["checksum", "ncnn_input", "read_openvino", "require", "run_ncnn", "run_openvino"]

Run = Callable[[np.ndarray], np.ndarray]
NCNN_MAGIC = "7767517"
WIDTH, HEIGHT, CHECKSUM = 0, 1, 31  # keys of an Input line; ncnn knows the first two, and 31 is the last that it reads


def require(name: str) -> ModuleType:
    """Import a package of the extra `devices`.

    Raises:
        ImportError: it is not installed; the sentence holds the command that installs it.
    """
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        raise ImportError(f"{name} is not installed; install it with: pip install 'litehrnet[devices]'") from error


def read_openvino(path: Path) -> tuple[object, Signature]:
    """OpenVINO's model of an ONNX or .xml file, and what it takes.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: OpenVINO cannot read the file.
    """
    try:
        model = require("openvino").Core().read_model(path)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO cannot read {path.name}: {str(error).strip().splitlines()[-1]}") from error
    return model, signature(path) if path.suffix == ".onnx" else _openvino_signature(model)


def run_openvino(path: Path, threads: int, precision: str) -> tuple[Signature, Run]:
    """OpenVINO on the CPU, from an ONNX file or from OpenVINO's own .xml with its .bin beside it.

    A file with a free batch is compiled for one image, which made Lite-HRNet a fifth faster than a batch that stays
    free (18.0 against 14.7 ms); the first other batch compiles it once more, for any.

    Args:
        path: the file.
        threads: threads of the one stream.
        precision: "f32", "f16" or "bf16": what the kernels may compute in, where the processor can.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: OpenVINO cannot read the file.
    """
    model, told = read_openvino(path)
    core = require("openvino").Core()
    options = {
        "INFERENCE_PRECISION_HINT": precision,
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    one_image_apart = told.batch is None and None not in (told.channels, told.height, told.width)

    @functools.cache
    def request(one_image: bool) -> object:
        """The compiled graph: for one image, or as the file has it."""
        graph = model
        if one_image:
            graph = model.clone()
            graph.reshape([1, told.channels, told.height, told.width])
        return core.compile_model(graph, "CPU", options).create_infer_request()

    request(one_image_apart)  # compiled while loading, not at the first image
    lock = threading.Lock()  # callers share one request: without it they would read each other's heatmaps

    def run(images: np.ndarray) -> np.ndarray:
        """Heatmaps of images that `load` has checked."""
        with lock:
            found = request(one_image_apart and len(images) == 1).infer([images])
            return np.array(found[0])  # a copy: the request's own buffer is used again

    return told, run


def _openvino_signature(model: object) -> Signature:
    image, maps = model.input(0), model.output(0)
    dims = [dim.get_length() if dim.is_static else None for dim in image.partial_shape]
    if len(dims) != 4:
        raise ValueError(f"the model's input has {len(dims)} dimensions, expected 4: (N, C, H, W)")
    joints = maps.partial_shape[1]
    return Signature(
        image.any_name, maps.any_name, *dims, joints.get_length() if joints.is_static else None, opset=0, metadata={}
    )


def checksum(weights: bytes) -> int:
    """What the .param file says of its .bin file, as a positive 32-bit integer."""
    return zlib.crc32(weights) & 0x7FFFFFFF


def ncnn_input(param: Path) -> tuple[int, int] | None:
    """The (height, width) that an ncnn .param file says its input has, or None where it does not say.

    `litehrnet.export.convert.export_ncnn` writes it into the Input line, where ncnn's own format has a place for it.

    Raises:
        ValueError: not an ncnn .param file.
    """
    told = _input_line(param)
    return (told[HEIGHT], told[WIDTH]) if {HEIGHT, WIDTH} <= told.keys() else None


def _input_line(param: Path) -> dict[int, int]:
    """Keys and values of the Input line."""
    try:
        lines = param.read_text().splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{param.name} is not an ncnn .param file in text form") from error
    if not lines or lines[0].strip() != NCNN_MAGIC:
        raise ValueError(f"{param.name} is not an ncnn .param file: its first line is not {NCNN_MAGIC}")
    line = next((line for line in lines[2:] if line.split()[:1] == ["Input"]), "")
    try:
        pairs = [word.split("=") for word in line.split() if "=" in word]
        return {int(key): int(value) for key, value in pairs}
    except ValueError as error:
        raise ValueError(f"{param.name} is damaged: its Input line reads {line!r}") from error


def run_ncnn(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> tuple[Signature, Run]:
    """ncnn on the CPU, from a .param file with its .bin beside it, images one by one.

    A file runs at the size it was converted at and at no other: elsewhere ncnn ends the process or answers wrongly.

    Args:
        path: NAME.ncnn.param; NAME.ncnn.bin lies beside it.
        threads: threads within one layer.
        precision: "f32", or "f16" or "bf16" for storage (and arithmetic, where the processor has it).
        size: (height, width), for files made elsewhere that do not say it.

    Raises:
        ImportError: ncnn is not installed.
        FileNotFoundError: there is no .bin beside the .param file.
        ValueError: the file is not ncnn's, does not say its size, says that its .bin is another one, or ncnn cannot
            load it.
    """
    ncnn = require("ncnn")
    said = ncnn_input(path)
    if said and size and said != size:
        raise ValueError(f"{path.name} was converted at {said[0]}x{said[1]} (height x width), not {size[0]}x{size[1]}")
    height, width = said or size or (None, None)
    if height is None:
        raise ValueError(f"{path.name} does not say its input's size; give it: load(..., size=(height, width))")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise FileNotFoundError(f"no weights beside {path.name}: {weights.name} is missing")
    # ncnn reads whatever weights it finds, and answers.
    if _input_line(path).get(CHECKSUM, checksum(weights.read_bytes())) != checksum(weights.read_bytes()):
        raise ValueError(f"{weights.name} is damaged, or belongs to another file than {path.name}: export both again")
    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{option}", precision == "f16")
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = precision == "bf16"
    if net.load_param(str(path)) or net.load_model(str(weights)):
        raise ValueError(
            f"ncnn cannot load {path.name} with {weights.name}: they are damaged or do not belong together"
        )
    (source,), (target,) = net.input_names(), net.output_names()

    def run(images: np.ndarray) -> np.ndarray:
        maps = np.stack([_run_one(net, ncnn, source, target, image) for image in images])  # (N, K, h, w)
        if not np.isfinite(maps).all():
            raise RuntimeError(f"ncnn answered with NaN or infinity: does {weights.name} belong to {path.name}?")
        return maps

    return Signature(source, target, None, 3, height, width, None, opset=0, metadata={}), run


def _run_one(net: object, ncnn: ModuleType, source: str, target: str, image: np.ndarray) -> np.ndarray:
    image = np.ascontiguousarray(image)  # (3, H, W); kept by its name, for ncnn.Mat only borrows the memory
    with net.create_extractor() as extractor:
        extractor.input(source, ncnn.Mat(image))
        code, maps = extractor.extract(target)
        if code:
            raise RuntimeError(f"ncnn could not run the network (code {code})")
        return np.array(maps)  # (K, h, w), copied before the extractor goes
