"""Optional ends of an ONNX file: an input that takes a camera's pixels, and outputs that give joints ready to draw.

Both are exact. The input's normalisation is that of `litehrnet.heatmaps.to_input`, in the same order; the decoding is
that of `litehrnet.heatmaps.decode`, with one exception: of several equal maxima the first counts, even if they touch. A
network's float heatmaps almost never have equal maxima.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..heatmaps import HEATMAP_STRIDE, MEAN, STD
from ..runtimes.signature import JOINTS, PIXELS, SCORES

if TYPE_CHECKING:
    import onnx

__all__ = ["DECODE_OPSET", "INPUTS", "give_joints", "take_pixels"]

INPUTS = ("float32", "uint8")
DECODE_OPSET = 13  # the first in which Max and Min take integers and Squeeze takes its axes as an input


def take_pixels(graph: onnx.ModelProto) -> None:
    """Let a graph take RGB pixels, (N, H, W, 3) uint8, in place of normalised float32 images (N, 3, H, W).

    The new input is called "pixels"; a transposition and the arithmetic of `to_input` lead from it to the old graph.
    """
    from onnx import TensorProto, helper, numpy_helper

    (image,) = graph.graph.input
    batch, _, height, width = (_side(dim) for dim in image.type.tensor_type.shape.dim)
    for node in graph.graph.node:
        for place, name in enumerate(node.input):
            if name == image.name:
                node.input[place] = "pixels_normalised"
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info(PIXELS, TensorProto.UINT8, [batch, height, width, 3]))
    for name, values in (("pixels_mean", MEAN), ("pixels_std", STD)):
        numbers = np.array(values, np.float32).reshape(1, 3, 1, 1)
        graph.graph.initializer.append(numpy_helper.from_array(numbers, name))
    steps = [
        helper.make_node("Transpose", [PIXELS], ["pixels_first"], name="pixels_transpose", perm=[0, 3, 1, 2]),
        helper.make_node("Cast", ["pixels_first"], ["pixels_float"], name="pixels_cast", to=TensorProto.FLOAT),
        helper.make_node("Sub", ["pixels_float", "pixels_mean"], ["pixels_centred"], name="pixels_sub"),
        helper.make_node("Div", ["pixels_centred", "pixels_std"], ["pixels_normalised"], name="pixels_div"),
    ]
    _replace_nodes(graph, [*steps, *graph.graph.node])


def give_joints(graph: onnx.ModelProto) -> None:
    """Add two outputs beside the heatmaps: "joints", (N, K, 2), x before y in input pixels, and "scores", (N, K).

    A caller who names only these two receives no heatmaps.
    """
    from onnx import TensorProto, helper, numpy_helper

    (heatmaps,) = graph.graph.output
    batch, joints, *sides = (_side(dim) for dim in heatmaps.type.tensor_type.shape.dim)
    steps: list[onnx.NodeProto] = []

    def constant(name: str, value: object, kind: type = np.int64) -> str:
        name = f"decode_{name}"
        graph.graph.initializer.append(numpy_helper.from_array(np.array(value, kind), name))
        return name

    def step(operator: str, *inputs: str, to: str, **attributes: Any) -> str:
        to = to if to in (JOINTS, SCORES) else f"decode_{to}"
        steps.append(helper.make_node(operator, list(inputs), [to], name=f"{to}_node", **attributes))
        return to

    def side(name: str, axis: int) -> str:
        """Height or width: a number in the file, or asked for at run time where the file leaves it free."""
        value = sides[axis - 2]
        if isinstance(value, int):
            return constant(name, [value])
        shape = step("Shape", heatmaps.name, to=f"{name}_shape")
        return step("Gather", shape, constant(f"{name}_axis", [axis]), to=name)

    one, last = constant("one", [1]), constant("last", [-1])
    height, width = side("height", 2), side("width", 3)
    flat = step("Reshape", heatmaps.name, constant("flat_shape", [0, 0, -1]), to="flat")  # (N, K, h * w)
    index = step("ArgMax", flat, to="index", axis=2, keepdims=1)  # (N, K, 1), the first of equal maxima
    peak = step("GatherElements", flat, index, to="peak", axis=2)
    step("Squeeze", peak, last, to=SCORES)
    y = step("Div", index, width, to="y")
    x = step("Sub", index, step("Mul", y, width, to="row"), to="x")
    zero, end = constant("zero", [0]), step("Sub", step("Mul", height, width, to="area"), one, to="end")
    inside = [
        step("Greater", x, one, to="right_of_border"),
        step("Less", x, step("Sub", width, one, to="last_column"), to="left_of_border"),
        step("Greater", y, one, to="below_border"),
        step("Less", y, step("Sub", height, one, to="last_row"), to="above_border"),
    ]
    moves = inside[0]
    for place, condition in enumerate(inside[1:]):
        moves = step("And", moves, condition, to=f"inside_{place}")
    quarter = step("Mul", _cast(steps, moves, "inside"), constant("quarter", 0.25, np.float32), to="quarter_inside")
    places = []
    for name, at, by in (("x", x, one), ("y", y, width)):
        values = []
        for which, operator in (("before", "Sub"), ("after", "Add")):
            neighbour = step(operator, index, by, to=f"{name}_{which}")
            kept = step("Min", step("Max", neighbour, zero, to=f"{name}_{which}_least"), end, to=f"{name}_{which}_kept")
            values.append(step("GatherElements", flat, kept, to=f"{name}_{which}_value", axis=2))
        slope = step("Sign", step("Sub", values[1], values[0], to=f"{name}_slope"), to=f"{name}_sign")
        shift = step("Mul", slope, quarter, to=f"{name}_shift")
        places.append(step("Add", _cast(steps, at, f"{name}_float"), shift, to=f"{name}_place"))
    both = step("Concat", *places, to="places", axis=2)
    step("Mul", both, constant("stride", HEATMAP_STRIDE, np.float32), to=JOINTS)
    _replace_nodes(graph, [*graph.graph.node, *steps])
    graph.graph.output.append(helper.make_tensor_value_info(JOINTS, TensorProto.FLOAT, [batch, joints, 2]))
    graph.graph.output.append(helper.make_tensor_value_info(SCORES, TensorProto.FLOAT, [batch, joints]))


def _cast(steps: list[onnx.NodeProto], value: str, to: str) -> str:
    from onnx import TensorProto, helper

    name = f"decode_{to}"
    steps.append(helper.make_node("Cast", [value], [name], name=f"{name}_node", to=TensorProto.FLOAT))
    return name


def _side(dim: onnx.TensorShapeProto.Dimension) -> int | str:
    return dim.dim_param or dim.dim_value


def _replace_nodes(graph: onnx.ModelProto, nodes: list[onnx.NodeProto]) -> None:
    # Copies, because clearing the list destroys the nodes that it holds.
    nodes = [type(node).FromString(node.SerializeToString()) for node in nodes]
    del graph.graph.node[:]
    graph.graph.node.extend(nodes)
