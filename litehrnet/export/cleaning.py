"""What happens to an exported graph before it becomes a file: one form for both exporters, and float16 weights.

Nothing here needs torch.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    import onnx
    import onnx_ir

__all__ = ["clean", "half_storage"]

_HALF_FROM = 64  # numbers in a tensor; halving a smaller one saves less than the node that widens it costs
_HALF_ERROR = 1e-3  # of the tensor's largest value; float16 rounds by 5e-4 at most where it does not under- or overflow


def clean(graph: onnx.ModelProto, dynamic: str | None) -> onnx.ModelProto:
    """Bring the graphs of both exporters to one form.

    Constants become initializers, a mean over the whole map becomes GlobalAveragePool, and a channel shuffle written as
    an index becomes reshapes. Identities, duplicates and the exporters' notes (which hold this machine's paths) are
    removed. Free dimensions get names, and inner shapes are inferred.

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
    _name_dims(graph, dynamic)
    del graph.graph.value_info[:]
    if dynamic:
        graph = _index_to_shuffle(graph)
        del graph.graph.value_info[:]
    return onnx.shape_inference.infer_shapes(graph, data_prop=True)


def _mean_to_pool(node: onnx_ir.Node) -> None:
    """ReduceMean over height and width, which dynamo writes, is GlobalAveragePool, which torchscript writes."""
    given = node.inputs[1] if len(node.inputs) == 2 else None
    if node.op_type != "ReduceMean" or given is None or given.const_value is None:
        return
    axes = sorted(axis % 4 for axis in given.const_value.numpy().tolist())
    if axes == [2, 3] and node.attributes.get_int("keepdims") in (None, 1):
        node.op_type = "GlobalAveragePool"
        node.resize_inputs(1)
        node.attributes.clear()


def _index_to_shuffle(graph: onnx.ModelProto) -> onnx.ModelProto:
    """A Gather that interleaves two halves of the channels becomes reshapes by constants, which ask for no shape.

    Where height and width are known: (N, 2, C / 2, H, W), transpose, back, a pattern that OpenVINO knows for a
    shuffle. Where they are not: the halves are joined along the height instead of the channels; in
    memory that is (N, C / 2, 2, H, W), which is the shuffled (N, C, H, W) already. (Gather itself would not do:
    OpenVINO 2026.4 moves it past a following depthwise convolution and then gives wrong values, without an error.)
    """
    import onnx
    from onnx.helper import make_node

    graph = onnx.shape_inference.infer_shapes(graph, data_prop=True)
    sizes = {value.name: _sides(value) for value in graph.graph.value_info}
    makers = {name: node for node in graph.graph.node for name in node.output}
    weights = {tensor.name: tensor for tensor in graph.graph.initializer}

    def constant(*values: int) -> str:
        name = f"shape.{'.'.join(map(str, values))}"
        if name not in weights:
            weights[name] = onnx.numpy_helper.from_array(np.array(values), name)
        return name

    nodes = []
    for node in graph.graph.node:
        channels = _interleaved(node, weights)
        source = makers.get(node.input[0]) if channels else None
        if source is None or source.op_type != "Concat" or len(source.input) != 2:
            nodes.append(node)
            continue
        (x, _), (y,), (height, width) = node.input, node.output, sizes[node.input[0]]
        if height and width:
            apart, turned = f"{y}.apart", f"{y}.turned"
            shape = constant(-1, 2, channels // 2, height, width)
            nodes.append(make_node("Reshape", [x, shape], [apart], name=apart))
            nodes.append(make_node("Transpose", [apart], [turned], name=turned, perm=[0, 2, 1, 3, 4]))
            nodes.append(make_node("Reshape", [turned, constant(-1, channels, height, width)], [y], name=node.name))
        else:
            source.attribute[0].i = 2
            # 0 keeps the batch and the width, -1 is the height.
            nodes.append(make_node("Reshape", [x, constant(0, channels, -1, 0)], [y], name=node.name))
    used = {name for node in nodes for name in node.input}
    for kept, new in (
        (graph.graph.node, nodes),
        (graph.graph.initializer, [t for n, t in weights.items() if n in used]),
    ):
        new = list(new)
        del kept[:]
        kept.extend(new)
    return graph


def _interleaved(node: onnx.NodeProto, weights: dict[str, onnx.TensorProto]) -> int:
    """The number of channels that a Gather interleaves as a shuffle of two groups does; 0 if it does something else."""
    import onnx

    if node.op_type != "Gather" or node.input[1] not in weights:
        return 0
    order = onnx.numpy_helper.to_array(weights[node.input[1]]).ravel()
    wanted = np.arange(order.size - order.size % 2).reshape(2, -1).T.ravel()
    return order.size if np.array_equal(order, wanted) else 0


def _sides(value: onnx.ValueInfoProto) -> tuple[int, int]:
    """Height and width of a map, 0 where they are not known."""
    dims = value.type.tensor_type.shape.dim
    return (dims[2].dim_value, dims[3].dim_value) if len(dims) == 4 else (0, 0)


def _name_dims(graph: onnx.ModelProto, dynamic: str | None) -> None:
    """The same names for the free dimensions, whichever exporter wrote the file."""
    free = {None: (), "batch": (0,), "size": (0, 2, 3)}[dynamic]
    names = {"image": ("batch", "", "height", "width"), "heatmaps": ("batch", "", "height/4", "width/4")}
    for value in (*graph.graph.input, *graph.graph.output):
        for axis in free:
            value.type.tensor_type.shape.dim[axis].dim_param = names[value.name][axis]


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
