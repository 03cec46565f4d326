"""int8 with ONNX Runtime's static quantisation, and the choice of what stays in float.

Weights become int8 with one scale per channel; activations, in 8 or 16 bits, get a zero point and a scale from
calibration images. The file holds QuantizeLinear and DequantizeLinear nodes around each operator (the QDQ form), which
runtimes fuse.

The same int8 file can give different results on another processor: how products are summed depends on its instructions
(VNNI and AMX sum in 32 bits, older ones saturate at 16), and so does what a runtime leaves in float. Therefore, compare
the joints on the processor that will run the file.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from ..checks import check_choice
from ..files import written_whole
from ..runtimes.graph import found_opset, weights_of
from ..runtimes.loading import open_session
from ..runtimes.session import check_array
from ..runtimes.signature import METADATA_KEY, Signature, signature

if TYPE_CHECKING:
    import onnx

__all__ = ["ACTIVATIONS", "KEEP_FLOAT", "METHODS", "OPERATORS", "check_kept", "conv_kinds", "quantize_int8",
           "select_convs"]  # fmt: skip

KINDS = ("first", "depthwise", "weighting", "dense", "final")
KEEP_FLOAT = ("depthwise", "weighting", "final")
METHODS = ("minmax", "percentile", "entropy")
OPERATORS = ("convolutions", "all")
ACTIVATIONS = ("int8", "int16")
_SIXTEEN_BIT_OPSET = 21  # the first whose QuantizeLinear knows 16 bits; below it they are ONNX Runtime's own operators
PERCENTILE = 99.99  # of a tensor's values that the range covers
# The mean square of the error over the variance of the heatmaps; 1 if they were the same everywhere. Everything in int8
# costs 0.2 to 0.65 in Lite-HRNet-18, by graph and ranges; a quantiser that lost the biases of some channels, 1.05.
LOST = 0.6
PROVED = 8  # calibration images that a file is compared on


def conv_kinds(graph: onnx.ModelProto) -> dict[str, str]:
    """The kind of every convolution of a graph, by the name of its node.

    Kinds: "depthwise" (one filter per channel); "weighting" (feeds a sigmoid, or feeds what does: the small
    convolutions whose result multiplies a map); "final" (gives the heatmaps); "first" (reads the image);
    "dense" (all others).

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
        elif groups > 1 and groups == weights.get(node.input[1], (groups,))[0]:
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
        ValueError: `keep_float` names an unknown kind.
    """
    keep = set(keep_float)
    for kind in sorted(keep):
        check_choice("kind", kind, KINDS)
    kinds = conv_kinds(graph)
    return (
        [name for name, kind in kinds.items() if kind not in keep],
        [name for name, kind in kinds.items() if kind in keep],
    )


def quantize_int8(
    source: str | Path,
    path: str | Path,
    images: Iterable[np.ndarray],
    operators: str = "convolutions",
    keep_float: Iterable[str] | None = None,
    method: str = "minmax",
    activations: str = "int8",
) -> Path:
    """Write a file with int8 weights from a float32 one.

    By default only the first and the dense convolutions are quantised: the poses stay close to those of float32, and
    the file shrinks. ONNX Runtime gets no faster, because conversions surround every convolution; OpenVINO can get
    faster. The convolutions before a sigmoid stay in float, because their error is multiplied into every pixel; so do
    the depthwise ones, whose channels differ widely in range, and the last one, whose values are the answer.

    With `operators="all"`, values stay int8 from operator to operator. Whether that is faster than float depends on the
    runtime and the variant, and it costs far more accuracy: in Lite-HRNet-18 most joints move. The cause is the 8 bits
    of the activations: with `activations="int16"` a fully quantised file keeps nearly all joints. Such a file is meant
    for accelerators that require it; `litehrnet.runtimes.load` does not run it in OpenVINO, which computes it wrongly.

    Args:
        source: the float32 ONNX file; its metadata is kept, with "weights" changed to "int8".
        path: the file to write.
        images: calibration inputs, (N, 3, H, W) float32 each, prepared with the same `to_input` as later inputs.
        operators: "convolutions", or "all": every operator that has an int8 form.
        keep_float: with "convolutions", the kinds that stay in float (`conv_kinds`); `KEEP_FLOAT` if None.
        method: how the range of a tensor is found: "minmax", "percentile" (all but one value in 10,000) or "entropy".
        activations: "int8" or "int16", the bits of the values between operators; weights are int8 with one scale per
            channel either way.

    Returns:
        `path`.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such source, or it is a folder.
        ValueError: no images, or one that does not fit the file; a file whose weights are not float32; an unknown kind,
            method or choice of operators; choices that do not go together; a graph with nothing to quantise; or an int8
            file that finds something else in the calibration images (`check_kept`). None of these leaves a file.
    """
    _check_choices(operators, keep_float, method, activations)
    images = list(images)
    source, path = Path(source), Path(path)
    taken = _check_source(source, images)
    with tempfile.TemporaryDirectory() as folder, written_whole(path) as temporary:
        prepared = Path(folder) / "prepared.onnx"
        graph = _prepare(source, prepared, activations)
        chosen = select_convs(graph, KEEP_FLOAT if keep_float is None else keep_float)[0]
        if not chosen:
            raise ValueError("nothing is left to quantise: every kind of convolution is kept in float")
        only = chosen if operators == "convolutions" else None
        _quantise(prepared, temporary, _Reader(taken.input, images), only, method, activations)
        _store_metadata(temporary, dict(taken.metadata) | {"weights": "int8"})
        check_kept(source, temporary, images, "onnxruntime")
    return path


def check_kept(source: Path, path: Path, images: Sequence[np.ndarray], runtime: str) -> None:
    """Refuse an int8 file that no longer computes what its float32 file does, which rounding alone does not explain.

    This catches a fault of the quantiser, or ranges that fit nothing. It does not promise that joints stay in place:
    measure that on people (`litehrnet evaluate`).

    Args:
        source: the float32 file.
        path: the int8 file.
        images: calibration images, of which the first `PROVED` are run.
        runtime: what runs both, a key of `litehrnet.runtimes.RUNTIMES`.

    Raises:
        ValueError: the mean square of the difference is more than `LOST` times the variance of the float32 outputs.
    """
    before, after = (open_session(file, runtime)[1] for file in (source, path))
    assert before.signature is not None
    place = before.signature.output_index
    expected, found = (  # images of a file of free size may differ in size
        np.concatenate([session.run([image])[place].ravel().astype(np.float64) for image in images[:PROVED]])
        for session in (before, after)
    )
    lost = np.square(found - expected).mean() / max(float(expected.var()), float(np.finfo(np.float32).tiny))
    if not lost <= LOST:
        raise ValueError(
            f"int8 loses {lost:.0%} of what the float32 file finds in the calibration images, so no file was kept: "
            "quantise fewer operators, or give the activations 16 bits"
        )


def _check_choices(operators: str, keep_float: Iterable[str] | None, method: str, activations: str) -> None:
    check_choice("method", method, METHODS)
    check_choice("operators", operators, OPERATORS)
    check_choice("activations", activations, ACTIVATIONS)
    if operators == "all" and keep_float is not None:
        # Measured: with the depthwise convolutions kept in float among quantised operators, ONNX Runtime 1.32's basic
        # optimisations change the answer, and no joint is found.
        raise ValueError("keep_float goes with operators='convolutions'; among quantised operators nothing stays float")


def _check_source(source: Path, images: Sequence[np.ndarray]) -> Signature:
    """What the float32 file takes, after a check that it is one and that it takes every calibration image."""
    if not images:
        raise ValueError("int8 needs calibration images, and there are none")
    taken = signature(source)
    if taken.pixels or taken.decoded:
        raise ValueError(
            f"{source.name} normalises its input or decodes its heatmaps in the graph, which int8 would round; make "
            "int8 of a file that does neither"
        )
    stored = weights_of(source)
    if stored != "float32":
        raise ValueError(f"{source.name} holds {stored} weights; int8 is made from the float32 file")
    for image in images:
        check_array(image, taken)
    return taken


def _prepare(source: Path, prepared: Path, activations: str) -> onnx.ModelProto:
    """Write and return the graph as ONNX Runtime's quantiser wants it: optimised, every node with a name."""
    import onnx
    from onnxruntime.quantization.shape_inference import quant_pre_process

    quant_pre_process(str(source), str(prepared), skip_symbolic_shape=True)
    graph = onnx.load_model(prepared)
    for number, node in enumerate(graph.graph.node):
        node.name = node.name or f"{node.op_type}_{number}"
    if activations == "int16" and found_opset(graph) < _SIXTEEN_BIT_OPSET:
        graph = onnx.version_converter.convert_version(graph, _SIXTEEN_BIT_OPSET)
    onnx.save_model(graph, prepared)
    return graph


def _quantise(
    prepared: Path, target: Path, reader: _Reader, only: Sequence[str] | None, method: str, activations: str
) -> None:
    """Run ONNX Runtime's static quantisation on the named convolutions, or on every operator that has an int8 form."""
    from onnxruntime import quantization

    kinds, methods = quantization.QuantType, quantization.CalibrationMethod
    chosen = {} if only is None else {"nodes_to_quantize": list(only), "op_types_to_quantize": ["Conv"]}
    with _quiet():
        quantization.quantize_static(
            prepared,
            target,
            reader,
            quant_format=quantization.QuantFormat.QDQ,
            per_channel=True,
            activation_type={"int8": kinds.QUInt8, "int16": kinds.QUInt16}[activations],
            weight_type=kinds.QInt8,
            calibrate_method=methods[{"minmax": "MinMax", "percentile": "Percentile", "entropy": "Entropy"}[method]],
            extra_options={"CalibPercentile": PERCENTILE} if method == "percentile" else {},
            **chosen,
        )


def _store_metadata(path: Path, metadata: Mapping[str, object]) -> None:
    import onnx

    graph = onnx.load_model(path)
    onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps(metadata)})
    onnx.save_model(graph, path)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress two things: the advice to do what `quant_pre_process` has just done, and printed progress."""
    root = logging.getLogger()
    level = root.level
    root.setLevel(logging.ERROR)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            yield
    finally:
        root.setLevel(level)


class _Reader:
    """Calibration images, in the form that `onnxruntime.quantization` asks for."""

    def __init__(self, name: str, images: list[np.ndarray]) -> None:
        self.feeds: Iterator[dict[str, np.ndarray]] = iter({name: image} for image in images)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.feeds, None)
