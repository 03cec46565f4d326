"""What an ONNX file takes and gives, and what is odd in it; nothing here knows torch."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx
    from google.protobuf.message import Message

__all__ = ["METADATA_KEY", "Signature", "findings", "found_opset", "read_graph", "signature"]

METADATA_KEY = "litehrnet"
# Nearest with a whole factor is pixel i // factor under either pair.
_NEAREST = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")}
_TRAINING = {"BatchNormalization", "Dropout", "Identity"}


@dataclass(frozen=True)
class Signature:
    """What an ONNX file takes and gives.

    Attributes:
        input, output: names of the input and of the first output.
        batch, channels, height, width: of the input; None where the file leaves it free.
        joints: channels of the output, None where it does not say.
        opset: of the standard operators.
        metadata: what `litehrnet.export.export_onnx` stored; empty for a file made elsewhere.
    """

    input: str
    output: str
    batch: int | None
    channels: int | None
    height: int | None
    width: int | None
    joints: int | None
    opset: int
    metadata: dict[str, object]

    @property
    def dynamic(self) -> bool | str:
        """False, "batch" or "size", as `export_onnx` takes it."""
        if self.height is None or self.width is None:
            return "size"
        return "batch" if self.batch is None else False


def read_graph(path: str | Path) -> onnx.ModelProto:
    """Read an ONNX file; weights that lie in other files are not looked for.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is not an ONNX file, or an empty or truncated one.
    """
    import onnx
    from google.protobuf.message import DecodeError

    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        graph = onnx.load_model_from_string(path.read_bytes())
        _read_texts(graph)
    except (DecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path.name} is not an ONNX file, or it is damaged ({error})") from error
    if not any(entry.domain in ("", "ai.onnx") for entry in graph.opset_import):
        raise ValueError(f"{path.name} is not an ONNX file, or it is damaged (it names no set of operators)")
    return graph


def _read_texts(message: Message) -> None:
    """Read every name once: protobuf gives one that is not UTF-8 as bytes, or fails when somebody asks for it.

    Raises:
        UnicodeDecodeError: one is not.
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


def signature(path: str | Path) -> Signature:
    """What a file takes and gives.

    Raises:
        FileNotFoundError, ValueError: as `read_graph`; and where it is not one image in and one map out.
    """
    path = Path(path)
    graph = read_graph(path)
    weights = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in weights]
    if len(inputs) != 1 or not graph.graph.output:
        raise ValueError(
            f"{path.name} has {len(inputs)} inputs and {len(graph.graph.output)} outputs, not one image in"
        )
    output = graph.graph.output[0]
    batch, channels, height, width = _dims(inputs[0], path.name)
    if channels not in (3, None):
        hint = "; its channels come last, export it with channels first" if width == 3 else ""
        raise ValueError(f"{path.name} takes {channels} channels, expected (N, 3, H, W){hint}")
    joints = _dims(output, path.name)[1]
    stored = {entry.key: entry.value for entry in graph.metadata_props}.get(METADATA_KEY, "{}")
    try:
        metadata = json.loads(stored)
    except json.JSONDecodeError as error:
        raise ValueError(f"{path.name}: its metadata {METADATA_KEY!r} is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"{path.name}: its metadata {METADATA_KEY!r} is no JSON object but {stored[:40]}")
    opset = found_opset(graph)
    return Signature(inputs[0].name, output.name, batch, channels, height, width, joints, opset, metadata)


def _dims(value: onnx.ValueInfoProto, name: str) -> Sequence[int | None]:
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim]
    if len(dims) != 4:
        raise ValueError(f"{name}: {value.name!r} has {len(dims)} dimensions, expected 4: (N, C, H, W)")
    return dims


def findings(graph: onnx.ModelProto) -> list[str]:
    """What an exported Lite-HRNet should not hold, one sentence each; nothing for a good file.

    Looked for: Resize that is not torch's, AveragePool with padding, operators left over from training, shapes asked
    for at run time in a file of fixed size, operators outside the standard set, weights in other files.
    """
    fixed = all(dim.dim_value > 0 for value in graph.graph.input for dim in value.type.tensor_type.shape.dim)
    found = {sentence: None for node in graph.graph.node for sentence in _of_node(node, fixed)}
    if any(tensor.external_data for tensor in graph.graph.initializer):
        found["some weights lie in another file"] = None
    return list(found)


def _of_node(node: onnx.NodeProto, fixed: bool) -> Iterator[str]:
    import onnx

    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.domain not in ("", "ai.onnx"):
        yield f"{node.op_type} is no standard operator (domain {node.domain})"
    if node.op_type in _TRAINING:
        yield f"{node.op_type} is left over from training"
    if node.op_type == "Shape" and fixed:
        yield "Shape is asked for in a file of fixed size"
    if node.op_type == "AveragePool" and (any(attributes.get("pads", ())) or attributes.get("ceil_mode", 0)):
        yield "AveragePool with padding or ceil_mode"
    if node.op_type == "Resize":
        usual = {"mode": b"nearest", "coordinate_transformation_mode": b"half_pixel"}
        usual["nearest_mode"] = b"round_prefer_floor"
        mode, place, rounding = ((attributes.get(key) or value).decode() for key, value in usual.items())
        if mode == "nearest" and (place, rounding) not in _NEAREST:
            yield f"nearest Resize with {place} and {rounding}; torch's is asymmetric and floor"
        if mode == "linear" and place != "align_corners":
            yield f"linear Resize with {place}; the network's is align_corners"
