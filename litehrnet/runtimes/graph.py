"""ONNX files as graphs, read with the `onnx` package: what they take and give, what they hold; torch-free."""

from __future__ import annotations

import collections
import math
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import require
from ..files import existing_file
from .signature import KINDS, METADATA_KEY, Port, Signature, content_of, read_metadata

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message

__all__ = [
    "check_external_data",
    "depthwise_filters",
    "found_opset",
    "read_graph",
    "read_signature",
    "summary",
    "weights_of",
]


def read_graph(path: str | Path) -> onnx.ModelProto:
    """Read an ONNX file; weights in other files are not looked for.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        ValueError: it is not an ONNX file, or an empty or truncated one.
        ImportError: `onnx` is not installed.
    """
    library = require("onnx")
    from google.protobuf.message import DecodeError

    path = existing_file(path)
    try:
        graph: onnx.ModelProto = library.load_model_from_string(path.read_bytes())
        _read_texts(graph)
    except (DecodeError, UnicodeDecodeError) as error:
        raise _no_onnx(path, str(error)) from error
    if not any(entry.domain in ("", "ai.onnx") for entry in graph.opset_import):
        raise _no_onnx(path, "it names no set of operators")
    return graph


def _no_onnx(path: Path, reason: str) -> ValueError:
    held = content_of(path)
    if held is not None and held != KINDS["onnx"].what:
        return ValueError(f"{path.name} is not an ONNX file, but {held}")
    return ValueError(f"{path.name} is not an ONNX file, or it is damaged ({reason})")


def _read_texts(message: Message) -> None:
    """Read every text once: if one is not UTF-8, protobuf returns it as bytes, or fails only when it is read.

    Raises:
        UnicodeDecodeError: a text is not UTF-8.
    """
    for field, value in message.ListFields():
        if field.type == field.TYPE_STRING:
            for text in (value,) if isinstance(value, str | bytes) else value:
                if isinstance(text, bytes):
                    text.decode()
        elif field.type == field.TYPE_MESSAGE:
            for one in (value,) if hasattr(value, "ListFields") else value:
                _read_texts(one)


def found_opset(graph: onnx.ModelProto) -> int:
    """The version of the standard operator set that a graph declares."""
    return next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))


def summary(path: str | Path) -> dict[str, int]:
    """Operators of an ONNX file by kind, most frequent first.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `read_graph`.
    """
    counts = collections.Counter(node.op_type for node in read_graph(path).graph.node)
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def read_signature(path: Path) -> Signature:
    """What an ONNX file takes and gives.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `read_graph`; or weights in other files are missing or cut short.
    """
    graph = read_graph(path)
    _check_external(graph, path)
    weights = {tensor.name for tensor in graph.graph.initializer}
    stored = {entry.key: entry.value for entry in graph.metadata_props}.get(METADATA_KEY)
    return Signature(
        path.name,
        "onnx",
        tuple(_port(value) for value in graph.graph.input if value.name not in weights),
        tuple(_port(value) for value in graph.graph.output),
        found_opset(graph),
        read_metadata(stored, path.name),
    )


def _port(value: onnx.ValueInfoProto) -> Port:
    from onnx import TensorProto, helper

    tensor = value.type.tensor_type
    known = tensor.elem_type in TensorProto.DataType.values() and tensor.elem_type != TensorProto.UNDEFINED
    kind = helper.tensor_dtype_to_np_dtype(tensor.elem_type).name if known else "unknown"
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(dim.dim_value if dim.dim_value > 0 else None for dim in tensor.shape.dim)
    return Port(value.name, kind, shape)


def check_external_data(path: Path) -> None:
    """Refuse an ONNX file whose weights in other files are missing or cut short.

    Raises:
        FileNotFoundError, ValueError: a file is missing, or shorter than the weights that should be in it.
        ImportError: `onnx` is not installed.
    """
    _check_external(read_graph(path), path)


def _check_external(graph: onnx.ModelProto, path: Path) -> None:
    for name, needed in external_files(graph).items():
        file = path.parent / name
        if not file.is_file():
            raise FileNotFoundError(f"{path.name} keeps weights in {name}, which is missing beside it")
        held = file.stat().st_size
        if held < needed:
            raise ValueError(
                f"{name} is cut, or belongs to another file than {path.name}: it holds {held:,} bytes of at least "
                f"{needed:,}"
            )


def external_files(graph: onnx.ModelProto) -> dict[str, int]:
    """The files beside it that a graph keeps weights in, with the number of bytes that each must hold at least."""
    found: dict[str, int] = {}
    for tensor in _tensors(graph.graph):
        entries = {entry.key: entry.value for entry in tensor.external_data}
        if "location" in entries:
            numbers = [int(entries[key]) for key in ("offset", "length") if entries.get(key, "").isdecimal()]
            found[entries["location"]] = max(found.get(entries["location"], 0), sum(numbers))
    return found


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    yield from graph.initializer
    for node in graph.node:
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t


def weights_of(path: Path) -> str:
    """What an ONNX file stores its weights as: "float32", "float16" or "int8".

    It is read from the initializers, not from the metadata, which may have been changed or come from another tool. A
    file with any int8 weights is an int8 file; otherwise the type of most numbers counts.
    """
    from onnx import TensorProto

    numbers: collections.Counter[int] = collections.Counter()
    for tensor in _tensors(read_graph(path).graph):
        if len(tensor.dims) > 1:
            numbers[tensor.data_type] += math.prod(tensor.dims)
    if numbers[TensorProto.INT8] or numbers[TensorProto.UINT8]:
        return "int8"
    half = numbers[TensorProto.FLOAT16] + numbers[TensorProto.BFLOAT16]
    return "float16" if half > numbers[TensorProto.FLOAT] else "float32"


def depthwise_filters(path: Path) -> np.ndarray:
    """All 3x3 filters of depthwise convolutions in an ONNX file, (filters, 9) float32."""
    from onnx import numpy_helper

    tensors = (tensor for tensor in _tensors(read_graph(path).graph) if tuple(tensor.dims[1:]) == (1, 3, 3))
    found = [numpy_helper.to_array(tensor, str(path.parent)).astype(np.float32).reshape(-1, 9) for tensor in tensors]
    return np.concatenate(found) if found else np.zeros((0, 9), np.float32)
