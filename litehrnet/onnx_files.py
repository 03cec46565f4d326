"""What is done to an ONNX graph after export, and what is asked of one before use: clean, check, read.

Nothing here knows torch.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    import onnx_ir

__all__ = ["METADATA_KEY", "Signature", "clean", "findings", "found_opset", "half_storage", "read_graph", "signature"]

METADATA_KEY = "litehrnet"
# Nearest with a whole factor is pixel i // factor under either pair.
_NEAREST = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")}
_TRAINING = {"BatchNormalization", "Dropout", "Identity"}
_HALF_FROM = 64  # numbers in a tensor from which the node that widens it is worth its bytes
_HALF_ERROR = 1e-3  # of the tensor's largest value; float16 rounds by 5e-4 at most where it does not under- or overflow


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
    except DecodeError as error:
        raise ValueError(f"{path.name} is not an ONNX file, or it is damaged ({error})") from error
    if not graph.graph.node or not any(entry.domain in ("", "ai.onnx") for entry in graph.opset_import):
        raise ValueError(f"{path.name} is not an ONNX file, or it is damaged (it holds no operators)")
    return graph


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
    opset = found_opset(graph)
    return Signature(inputs[0].name, output.name, batch, channels, height, width, joints, opset, metadata)


def _dims(value: onnx.ValueInfoProto, name: str) -> Sequence[int | None]:
    dims = [dim.dim_value if dim.dim_value > 0 else None for dim in value.type.tensor_type.shape.dim]
    if len(dims) != 4:
        raise ValueError(f"{name}: {value.name!r} has {len(dims)} dimensions, expected 4: (N, C, H, W)")
    return dims


def clean(graph: onnx.ModelProto, dynamic: bool | str) -> onnx.ModelProto:
    """Bring the graphs of both exporters to one form.

    Constants become initializers, identities and duplicates go, a mean over the whole map becomes GlobalAveragePool,
    a channel shuffle written as an index becomes reshape and transpose, the exporters' notes (which hold paths of this
    machine) go, free dimensions get names, inner shapes are inferred.

    Args:
        graph: as an exporter wrote it.
        dynamic: as in `export_onnx`.
    """
    import onnx
    import onnx_ir
    from onnx_ir.passes import Sequential as Passes
    from onnx_ir.passes import common

    model = onnx_ir.from_proto(graph)
    lift = common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0)
    lift(model)
    for node in model.graph:
        _mean_to_pool(node)
    Passes(
        common.IdentityEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedNodesPass(),
        common.ClearMetadataAndDocStringPass(),
    )(model)
    graph = onnx_ir.to_proto(model)
    _index_to_shuffle(graph)
    _name_dims(graph, dynamic)
    del graph.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(graph, data_prop=True)


def _mean_to_pool(node: onnx_ir.Node) -> None:
    """ReduceMean over height and width, which dynamo writes, is GlobalAveragePool, which torchscript writes."""
    if node.op_type != "ReduceMean" or len(node.inputs) != 2 or node.inputs[1].const_value is None:
        return
    axes = sorted(axis % 4 for axis in node.inputs[1].const_value.numpy().tolist())
    if axes == [2, 3] and node.attributes.get_int("keepdims", 1):
        node.op_type = "GlobalAveragePool"
        node.resize_inputs(1)
        node.attributes.clear()


def _index_to_shuffle(graph: onnx.ModelProto) -> None:
    """Gather with a shuffle's constant index becomes Reshape, Transpose, Reshape, for any height and width.

    The last Reshape asks for the shape of what came in, so no arithmetic on shapes is needed. Gather would be one node,
    but OpenVINO 2026.4 moves it through a following depthwise convolution wrongly, without a word.
    """
    import onnx
    from onnx.helper import make_node

    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    nodes = []
    for node in graph.graph.node:
        index = constants.get(node.input[1]) if node.op_type == "Gather" else None
        order = None if index is None else onnx.numpy_helper.to_array(index)
        if (
            order is None
            or order.ndim != 1
            or order.size % 2
            or not np.array_equal(order, np.arange(order.size).reshape(2, -1).T.ravel())
        ):
            nodes.append(node)
            continue
        (x, _), (y,), half = node.input, node.output, order.size // 2
        target = f"{y}.halves"
        # 0 keeps the batch, -1 is height times width: (N, 2, C / 2, H * W)
        graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([0, 2, half, -1]), target))
        nodes += [
            make_node("Shape", [x], [f"{y}.shape"], name=f"{y}.Shape"),
            make_node("Reshape", [x, target], [f"{y}.split"], name=f"{y}.Reshape"),
            make_node("Transpose", [f"{y}.split"], [f"{y}.turned"], name=f"{y}.Transpose", perm=[0, 2, 1, 3]),
            make_node("Reshape", [f"{y}.turned", f"{y}.shape"], [y], name=f"{y}.Reshape_1"),
        ]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    used = {name for node in nodes for name in node.input}
    kept = [tensor for tensor in graph.graph.initializer if tensor.name in used]
    del graph.graph.initializer[:]
    graph.graph.initializer.extend(kept)


def _name_dims(graph: onnx.ModelProto, dynamic: bool | str) -> None:
    """The same names for the free dimensions, whichever exporter wrote the file."""
    free = {False: (), "batch": (0,), "size": (0, 2, 3)}[dynamic]
    names = {"image": ("batch", "", "height", "width"), "heatmaps": ("batch", "", "height/4", "width/4")}
    for value in (*graph.graph.input, *graph.graph.output):
        for axis in free:
            value.type.tensor_type.shape.dim[axis].dim_param = names[value.name][axis]


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
        mode = attributes.get("mode", b"nearest").decode()
        place = attributes.get("coordinate_transformation_mode", b"half_pixel").decode()
        rounding = attributes.get("nearest_mode", b"round_prefer_floor").decode()
        if mode == "nearest" and (place, rounding) not in _NEAREST:
            yield f"nearest Resize with {place} and {rounding}; torch's is asymmetric and floor"
        if mode == "linear" and place != "align_corners":
            yield f"linear Resize with {place}; the network's is align_corners"


def half_storage(graph: onnx.ModelProto) -> onnx.ModelProto:
    """Store large weights as float16 and widen them with a Cast at load: half the file, arithmetic in float32.

    A tensor that float16 would round by more than a thousandth of its largest value stays as it is.
    """
    import onnx

    graph = onnx.ModelProto.FromString(graph.SerializeToString())
    casts = []
    for tensor in graph.graph.initializer:
        wide = onnx.numpy_helper.to_array(tensor)
        if wide.dtype != np.float32 or wide.size < _HALF_FROM:
            continue
        with np.errstate(over="ignore"):
            half = wide.astype(np.float16)
        if np.abs(half - wide).max() > _HALF_ERROR * np.abs(wide).max():
            continue
        name = tensor.name
        tensor.CopyFrom(onnx.numpy_helper.from_array(half, f"{name}.float16"))
        cast = onnx.helper.make_node("Cast", [tensor.name], [name], name=f"{name}.widen", to=onnx.TensorProto.FLOAT)
        casts.append(cast)
    nodes = [*casts, *graph.graph.node]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
    return graph
