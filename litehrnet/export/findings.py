"""Anything unusual in an ONNX graph: what an exported Lite-HRNet should not hold, one sentence each. Torch-free."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["findings"]

# Nearest with a whole factor is pixel i // factor under either pair.
_NEAREST = {("asymmetric", "floor"), ("half_pixel", "round_prefer_floor")}


def findings(graph: onnx.ModelProto) -> list[str]:
    """What an exported Lite-HRNet should not hold, one sentence each; nothing for a good file.

    Looked for: Resize that is not torch's, AveragePool with padding, operators left over from training, batch norms
    that are not folded, shapes asked for at run time in a file of fixed size, operators outside the standard set,
    weights in other files, more than one output.
    """
    fixed = all(dim.dim_value > 0 for value in graph.graph.input for dim in value.type.tensor_type.shape.dim)
    found = {sentence: None for node in graph.graph.node for sentence in _of_node(node, fixed)}
    if any(tensor.external_data for tensor in graph.graph.initializer):
        found["some weights are in another file"] = None
    outputs = [value.name for value in graph.graph.output]
    if len(outputs) > 1:
        compared = "heatmaps" if "heatmaps" in outputs else outputs[0]
        found[f"it has {len(outputs)} outputs, of which {compared!r} is run and compared"] = None
    return list(found)


def _of_node(node: onnx.NodeProto, fixed: bool) -> Iterator[str]:
    import onnx

    attributes = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    if node.domain not in ("", "ai.onnx"):
        yield f"{node.op_type} is not a standard operator (domain {node.domain})"
    if node.op_type == "Identity":
        yield "Identity does nothing (exporters write it for weights that are used twice)"
    if node.op_type == "Dropout" or (node.op_type == "BatchNormalization" and attributes.get("training_mode", 0)):
        yield f"{node.op_type} is left over from training"
    elif node.op_type == "BatchNormalization":
        yield "BatchNormalization is not folded into its convolution: fold it before storing weights as float16"
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
