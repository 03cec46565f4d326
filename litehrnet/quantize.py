"""int8 with ONNX Runtime's static quantisation, and the choice of what stays in float.

Weights become int8 with one scale a channel; activations get a zero point and a scale from calibration images. The
file holds QuantizeLinear and DequantizeLinear nodes around each operator (the QDQ form), which runtimes fuse.
"""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from .files import written_whole
from .onnx_files import signature

if TYPE_CHECKING:
    import onnx

__all__ = ["KEEP_FLOAT", "quantize_int8", "select_convs"]

KEEP_FLOAT = ("depthwise", "weighting", "final")


def conv_kinds(graph: onnx.ModelProto) -> dict[str, str]:
    """The kind of every convolution of a graph, by its node's name.

    Kinds: "depthwise" (one filter a channel); "weighting" (feeds a sigmoid, or feeds what does: the small convolutions
    whose result multiplies a map); "final" (gives the heatmaps); "first" (reads the image); "dense" (all others).

    Args:
        graph: an exported network, whose nodes have names.
    """
    uses: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.graph.node:
        for name in node.input:
            uses.setdefault(name, []).append(node)
    weights = {tensor.name: tensor.dims for tensor in graph.graph.initializer}
    outputs = {value.name for value in graph.graph.output}
    image = graph.graph.input[0].name
    kinds = {}
    for node in graph.graph.node:
        if node.op_type != "Conv":
            continue
        groups = next((attribute.i for attribute in node.attribute if attribute.name == "group"), 1)
        if node.output[0] in outputs:
            kind = "final"
        elif groups > 1 and groups == weights[node.input[1]][0]:
            kind = "depthwise"
        elif node.input[0] == image:
            kind = "first"
        elif _leads_to_sigmoid(node, uses):
            kind = "weighting"
        else:
            kind = "dense"
        kinds[node.name] = kind
    return kinds


def _leads_to_sigmoid(node: onnx.NodeProto, uses: dict[str, list[onnx.NodeProto]]) -> bool:
    """Convolution, then sigmoid; or convolution, ReLU, convolution, sigmoid."""
    following = uses.get(node.output[0], [])
    if any(user.op_type == "Sigmoid" for user in following):
        return True
    convs = [
        conv
        for user in following
        if user.op_type == "Relu"
        for conv in uses.get(user.output[0], [])
        if conv.op_type == "Conv"
    ]
    return bool(convs) and all(
        any(user.op_type == "Sigmoid" for user in uses.get(conv.output[0], [])) for conv in convs
    )


def select_convs(graph: onnx.ModelProto, keep_float: Iterable[str] = KEEP_FLOAT) -> tuple[list[str], list[str]]:
    """Names of the convolutions that become int8, and of those that stay float.

    Raises:
        ValueError: `keep_float` names a kind that there is not.
    """
    known = ("first", "depthwise", "weighting", "dense", "final")
    keep = set(keep_float)
    if keep - set(known):
        raise ValueError(f"unknown kinds {sorted(keep - set(known))}; the kinds are {', '.join(known)}")
    kinds = conv_kinds(graph)
    return (
        [name for name, kind in kinds.items() if kind not in keep],
        [name for name, kind in kinds.items() if kind in keep],
    )


def quantize_int8(
    source: str | Path,
    path: str | Path,
    images: Iterable[np.ndarray],
    keep_float: Iterable[str] = KEEP_FLOAT,
    method: str = "minmax",
) -> Path:
    """Write an int8 file next to a float32 one.

    Only convolutions are quantised. What multiplies a map after a sigmoid stays in float, since an error there is
    multiplied with every pixel; so do depthwise convolutions, whose few products a channel gain nothing in int8 and
    whose channels differ much in range, and the last convolution, whose values are the answer.

    Args:
        source: the float32 ONNX file; its metadata is kept, with "int8" added to what describes the model.
        path: the file to write.
        images: calibration inputs, (N, 3, H, W) float32 each, through the same `to_input` as later.
        keep_float: kinds of convolution that stay in float, of first, depthwise, weighting, dense and final.
        method: how a range is found: "minmax", "entropy" or "percentile".

    Returns:
        `path`.

    Raises:
        ValueError: no images, an unknown kind or method, or a graph without anything to quantise.
    """
    import onnx
    from onnxruntime import quantization
    from onnxruntime.quantization.shape_inference import quant_pre_process

    methods = {
        "minmax": quantization.CalibrationMethod.MinMax,
        "entropy": quantization.CalibrationMethod.Entropy,
        "percentile": quantization.CalibrationMethod.Percentile,
    }
    if method not in methods:
        raise ValueError(f"unknown method {method!r}; choose one of {', '.join(methods)}")
    images = list(images)
    if not images:
        raise ValueError("int8 needs calibration images, and there are none")
    told = signature(source)
    path = Path(path)
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
        graph = onnx.load_model(prepared)
        for number, node in enumerate(graph.graph.node):
            node.name = node.name or f"{node.op_type}_{number}"
        onnx.save_model(graph, prepared)
        chosen, _ = select_convs(graph, keep_float)
        if not chosen:
            raise ValueError("nothing is left to quantise: every kind of convolution is kept in float")
        root = logging.getLogger()
        level = root.level
        root.setLevel(logging.ERROR)  # quantize_static advises to do what quant_pre_process has just done
        try:
            quantization.quantize_static(
                prepared,
                temporary,
                _Reader(told.input, images),
                quant_format=quantization.QuantFormat.QDQ,
                nodes_to_quantize=chosen,
                op_types_to_quantize=["Conv"],
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                calibrate_method=methods[method],
            )
        finally:
            root.setLevel(level)
    return path


class _Reader:
    """Calibration data in the form that onnxruntime.quantization asks for."""

    def __init__(self, name: str, images: list[np.ndarray]) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = iter({name: image} for image in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)
