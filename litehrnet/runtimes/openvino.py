"""OpenVINO's files, read without OpenVINO, and running them, or an ONNX file, in OpenVINO on the CPU.

OpenVINO must be asked for float32: by itself it picks bfloat16 on some processors (5e-2 off).
"""

from __future__ import annotations

import collections
import functools
import math
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np

from ..checks import first_line, require
from .session import Session
from .signature import METADATA_KEY, Port, Signature, checksum, read_metadata

__all__ = ["depthwise_filters", "open_session", "read_signature", "weights_of"]

_EIGHT_BITS = 256  # levels of a quantised value
_HINTS = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}
_TYPES = {"f16": "float16", "f32": "float32", "f64": "float64", "bf16": "bfloat16", "boolean": "bool"}


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """OpenVINO on the CPU, from an ONNX file or from OpenVINO's own .xml with its .bin beside it.

    A file with a free batch is compiled for one image, which made Lite-HRNet a fifth faster than a batch that stays
    free (14.7 ms instead of 18.0). The first call with another batch compiles it a second time, for any batch.

    Args:
        path: the file.
        threads: threads of the one stream.
        precision: what the kernels may compute in; float32 if the processor has nothing narrower.
        size: unused.

    Raises:
        ImportError: OpenVINO is not installed.
        FileNotFoundError: there is no .bin beside the .xml file.
        ValueError: OpenVINO cannot read or compile the file, or would compute it wrongly; or the .bin file does not
            belong to it.
    """
    openvino = require("openvino")
    if path.suffix.lower() != ".onnx":
        read_signature(path)  # checks the weights too: OpenVINO itself would run with any
    core = openvino.Core()
    try:
        model = core.read_model(path)
        signature = _signature(model, path)
    except RuntimeError as error:
        raise ValueError(f"OpenVINO cannot read {path.name}: {str(error).strip().splitlines()[-1]}") from error
    _check_quantisation(model, path.name)
    options = {
        "INFERENCE_NUM_THREADS": threads,
        "NUM_STREAMS": 1,
        "PERFORMANCE_HINT": "LATENCY",
    }
    shape = signature.inputs[0].shape if len(signature.inputs) == 1 else None
    others = () if shape is None else shape[1:]
    one_image_apart = shape is not None and bool(others) and shape[0] is None and None not in others

    @functools.cache
    def request(one_image: bool) -> Any:
        """The compiled graph: for one image, or as the file has it."""
        graph = model
        if one_image:
            graph = model.clone()
            graph.reshape([1, *others])
        return core.compile_model(graph, "CPU", options).create_infer_request()

    # On a processor without 16-bit arithmetic, OpenVINO falls back to float32 by itself, unless it misjudges that and
    # fails; then float32 is requested.
    for hint in dict.fromkeys((_HINTS[precision], "f32")):
        options["INFERENCE_PRECISION_HINT"] = hint
        try:
            request(one_image_apart)  # compiled while loading, not at the first image
            break
        except RuntimeError as error:
            failure = error
    else:
        raise ValueError(f"OpenVINO cannot compile {path.name}: {first_line(failure)}") from failure
    lock = threading.Lock()  # callers share one request: without it they would read each other's heatmaps

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with lock:
            try:
                found = request(one_image_apart and len(arrays[0]) == 1).infer(list(arrays))
            except RuntimeError as error:
                shapes = ", ".join(str(array.shape) for array in arrays)
                raise ValueError(f"{path.name} does not run at {shapes}: {first_line(error)}") from error
            # Copies, because the request reuses its buffers.
            return [np.array(found[place]) for place in range(len(signature.outputs))]

    return Session(signature, run)


def _check_quantisation(model: Any, name: str) -> None:
    """Refuse values quantised to more than 8 bits.

    OpenVINO 2026.4 reads them from ONNX files and its own, and where a whole network is quantised it gives heatmaps
    that are wrong by several times their largest value, without an error.

    Raises:
        ValueError: there are such values.
    """
    for operator in model.get_ops():
        if operator.get_type_name() == "FakeQuantize" and operator.get_attributes()["levels"] > _EIGHT_BITS:
            raise ValueError(
                f"{name} has values quantised to more than 8 bits, which OpenVINO computes wrongly: run an ONNX file "
                "with ONNX Runtime, or quantise to 8 bits"
            )


def _signature(model: Any, path: Path) -> Signature:
    """What a model that OpenVINO has read takes and gives."""
    stored = None
    for place in ([METADATA_KEY, "metadata"], ["framework", METADATA_KEY]):
        if model.has_rt_info(place):
            stored = model.get_rt_info(place).astype(str)
            break
    return Signature(
        path.name,
        "onnx" if path.suffix.lower() == ".onnx" else "openvino",
        tuple(_port(value) for value in model.inputs),
        tuple(_port(value) for value in model.outputs),
        metadata=read_metadata(stored, path.name),
    )


def _port(value: Any) -> Port:
    kind = value.element_type.get_type_name()
    shape = None
    if value.partial_shape.rank.is_static:
        shape = tuple(dim.get_length() if dim.is_static else None for dim in value.partial_shape)
    return Port(value.any_name if value.names else "", _numpy_name(kind), shape)


def _numpy_name(kind: str) -> str:
    if kind in _TYPES:
        return _TYPES[kind]
    return f"uint{kind[1:]}" if kind.startswith("u") else f"int{kind[1:]}"


def read_signature(path: Path) -> Signature:
    """What an .xml file takes and gives, after a check of the weights beside it; OpenVINO is not needed.

    Raises:
        FileNotFoundError: there is no .bin beside it.
        ValueError: not an OpenVINO .xml file, or its .bin is cut or belongs to another one.
    """
    root = _root(path)
    layers = list(root.iterfind("layers/layer"))
    inputs = [_xml_port(layer, "output") for layer in layers if layer.get("type") == "Parameter"]
    outputs = [_xml_port(layer, "input") for layer in layers if layer.get("type") == "Result"]
    if not inputs or not outputs:
        raise ValueError(f"{path.name} is not an OpenVINO model: it has no inputs or no outputs")
    _check_weights(path, root)
    own = root.find(f"rt_info/{METADATA_KEY}/metadata")
    entry = own if own is not None else root.find(f"rt_info/framework/{METADATA_KEY}")
    stored = None if entry is None else entry.get("value")
    return Signature(path.name, "openvino", tuple(inputs), tuple(outputs), metadata=read_metadata(stored, path.name))


def _root(path: Path) -> ElementTree.Element:
    try:
        root = ElementTree.parse(path).getroot()
    except (ElementTree.ParseError, ValueError, LookupError) as error:
        raise ValueError(f"{path.name} is not an OpenVINO .xml file, or it is damaged ({error})") from error
    if root.tag != "net":
        raise ValueError(f"{path.name} is not an OpenVINO .xml file: its root is <{root.tag[:40]}>, not <net>")
    return root


def _xml_port(layer: ElementTree.Element, side: str) -> Port:
    port = layer.find(f"{side}/port")
    name = layer.get("output_names") or (port is not None and port.get("names")) or layer.get("name") or ""
    data = layer.find("data")
    kind = (data is not None and data.get("element_type")) or (port is not None and port.get("precision")) or "f32"
    kind = str(kind).lower().replace("fp", "f")
    shape = None
    if port is not None:
        dims = [int(dim.text or -1) for dim in port.iterfind("dim")]
        shape = tuple(dim if dim > 0 else None for dim in dims)
    return Port(str(name).split(",")[0], _numpy_name(kind), shape)


def _constants(root: ElementTree.Element) -> list[tuple[str, int, int]]:
    """Type, first byte and number of bytes of every constant."""
    found = []
    for data in root.iterfind("layers/layer[@type='Const']/data"):
        found.append((data.get("element_type", ""), int(data.get("offset", 0)), int(data.get("size", 0))))
    return found


def _check_weights(path: Path, root: ElementTree.Element) -> None:
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise FileNotFoundError(f"no weights beside {path.name}: {weights.name} is missing")
    held = weights.stat().st_size
    needed = max((start + size for _, start, size in _constants(root)), default=0)
    stamp = root.find(f"rt_info/{METADATA_KEY}/checksum")
    wrong = stamp is not None and stamp.get("value") != str(checksum(weights.read_bytes()))
    if held < needed or wrong:
        raise ValueError(f"{weights.name} is damaged, or belongs to another file than {path.name}: export both again")


def weights_of(path: Path) -> str:
    """What an .xml file's weights are stored as: "float32", "float16" or "int8"; see `graph.weights_of`."""
    sizes: collections.Counter[str] = collections.Counter()
    for kind, _, size in _constants(_root(path)):
        sizes[kind] += size
    if 10 * (sizes["i8"] + sizes["u8"]) > sizes.total():
        return "int8"
    return "float16" if sizes["f16"] + sizes["bf16"] > sizes["f32"] else "float32"


def depthwise_filters(path: Path) -> np.ndarray:
    """All 3x3 filters of depthwise convolutions in an .xml file, (filters, 9) float32, where they are float."""
    weights, found = path.with_suffix(".bin").read_bytes(), [np.zeros((0, 9), np.float32)]
    for data in _root(path).iterfind("layers/layer[@type='Const']/data"):
        shape = [int(side) for side in data.get("shape", "").split(",") if side.strip()]
        kind = {"f32": np.float32, "f16": np.float16}.get(data.get("element_type", ""))
        if kind is not None and shape[1:] == [1, 1, 3, 3]:  # (groups, outputs, inputs, 3, 3)
            start = int(data.get("offset", 0))
            values = np.frombuffer(weights, kind, math.prod(shape), start)
            found.append(values.astype(np.float32).reshape(-1, 9))
    return np.concatenate(found)
