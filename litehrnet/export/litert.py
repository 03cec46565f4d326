"""From the model to LiteRT's .tflite file, through litert-torch. Sizes are given height before width.

LiteRT computes with the channels last. In a fused graph litert-torch brings all of it into that order, and two
transpositions are left, of the input and of the output; a plain graph is cut up by its shuffles.
"""

from __future__ import annotations

import contextlib
import copy
import io
import re
import warnings
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..checks import check_choice, require
from ..files import written_whole
from ..model import zeros_like_input
from ..runtimes.litert import Operator, read_operators, weights_of
from ..runtimes.session import check_array
from ..runtimes.signature import signature
from .int8 import ACTIVATIONS, OPERATORS, check_kept
from .onnx import WEIGHTS
from .writers import captured, check_order, check_suffix

__all__ = ["SUFFIX", "dense_convolutions", "export_litert", "quantize_litert"]

SUFFIX = ".tflite"
QUANTIZER = "ai_edge_quantizer"  # litert-torch needs it, too
CONVOLUTIONS = ("CONV_2D", "DEPTHWISE_CONV_2D")
_LARGEST, _LARGE = 2.0**31 - 1, 2.0**30  # the largest bias in steps, and what one that did not fit is stored as
_INT64 = 4  # TensorType.INT64 of LiteRT's schema: biases beside 16-bit activations


def export_litert(
    model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32"
) -> Path:
    """Convert a network for LiteRT (TensorFlow Lite), for one image of one size; input and output are as in torch.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .tflite file to write.
        size: (height, width), the only one that the result runs at; the default is that of `export_onnx`.
        weights: "float32", or "float16" for about half the file; the arithmetic stays float32. For int8 see
            `quantize_litert`.

    Raises:
        ImportError: litert-torch is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX, WEIGHTS)
    converter = require("litert_torch", "litert-torch")
    shown = converter.config.show_progress
    with written_whole(path) as temporary:
        named = temporary.with_name(f"{temporary.name}{SUFFIX}")  # litert-torch insists on the ending
        try:
            converter.config.show_progress = False  # it would be printed between the command's own lines
            with captured(network):
                converter.convert(network, (zeros_like_input(size),)).export(str(named))
            if weights == "float16":
                quantizer = _quantizer(named)
                for kind in CONVOLUTIONS:
                    _to_float16(quantizer, kind)
                temporary.write_bytes(_quantised(quantizer))
            else:
                temporary.write_bytes(named.read_bytes())
        finally:
            converter.config.show_progress = shown
            named.unlink(missing_ok=True)
    return path


def quantize_litert(
    source: str | Path,
    path: str | Path,
    images: Iterable[np.ndarray],
    operators: str = "convolutions",
    activations: str = "int8",
) -> Path:
    """Write a .tflite file with int8 weights from a float32 one, by LiteRT's own quantiser.

    The choices are those of `litehrnet.export.int8.quantize_int8`: by default the first and the dense convolutions are
    quantised, and what feeds a sigmoid, the depthwise convolutions and the last one stay in float. With everything
    quantised, 8 bits between operators move most joints, and 16 keep nearly all; on the CPU, LiteRT computes 16 bits
    with slow reference kernels.

    Args:
        source: the float32 .tflite file.
        path: the file to write.
        images: calibration inputs, (1, 3, H, W) float32 each.
        operators: "convolutions", or "all": every operator that has an int8 form.
        activations: "int8" or "int16", the bits of the values between operators.

    Returns:
        `path`.

    Raises:
        ImportError: ai-edge-quantizer is not installed.
        FileNotFoundError: there is no such source.
        ValueError: an unknown choice, no images or one that the file does not take, a file that is not in float32, a
            path that does not end in .tflite, or an int8 file that finds something else in the calibration images
            (`litehrnet.export.int8.check_kept`).
    """
    check_choice("operators", operators, OPERATORS)
    check_choice("activations", activations, ACTIVATIONS)
    source, path, images = Path(source), check_suffix(path, SUFFIX), list(images)
    if not images:
        raise ValueError("int8 needs calibration images, and there are none")
    taken = signature(source)
    for image in images:
        check_array(image, taken)
    stored = weights_of(source)
    if stored != "float32":
        raise ValueError(f"{source.name} holds {stored} weights; int8 is made from the float32 file")
    quantizer = _quantizer(source)
    bits = int(activations.removeprefix("int"))
    kinds = require(f"{QUANTIZER}.qtyping", "ai-edge-quantizer").TFLOperationName
    if operators == "all":
        quantizer.add_static_config(".*", kinds.ALL_SUPPORTED, bits, 8)
        plain = require(f"{QUANTIZER}.algorithm_manager", "ai-edge-quantizer").AlgorithmName.NO_QUANTIZE
        for end in (kinds.INPUT, kinds.OUTPUT):  # images and heatmaps stay float32
            quantizer.update_quantization_recipe(regex=".*", operation_name=end, algorithm_key=plain)
    else:
        names = "|".join(re.escape(name) for name in dense_convolutions(source))
        quantizer.add_static_config(f"^(?:{names});?$", kinds.CONV_2D, bits, 8)
    singles = [image[place : place + 1] for image in images for place in range(len(image))]
    with written_whole(path) as temporary:
        temporary.write_bytes(_quantised(quantizer, source, singles))
        check_kept(source, temporary, singles, "litert")
    return path


def dense_convolutions(path: Path) -> list[str]:
    """The outputs of those convolutions of a file that become int8, by name.

    These are all but the depthwise ones, those that lead to a sigmoid, and the last.
    """
    every = read_operators(path)
    made = {output: operator for operator in every for output in operator.outputs}
    kept: set[str] = set()
    for operator in every:
        if operator.kind == "LOGISTIC":
            _keep_before(operator, made, kept, 2)
    used = {name for operator in every for name in operator.inputs}
    last = {name for operator in every for name in operator.outputs if name not in used}
    for operator in every:
        if last & set(operator.outputs):
            _keep_before(operator, made, kept, 1)
    return [one.outputs[0] for one in every if one.kind == "CONV_2D" and one.outputs[0] not in kept]


def _keep_before(operator: Operator, made: dict[str, Operator], kept: set[str], convolutions: int) -> None:
    """Note the convolutions that lead to an operator, going back over this many of them and whatever is between."""
    if operator.kind == "CONV_2D":
        kept.update(operator.outputs)
        convolutions -= 1
    if not convolutions:
        return
    for name in operator.inputs:
        before = made.get(name)
        if before is not None and before.kind in ("CONV_2D", "RELU", "LOGISTIC", "TRANSPOSE", "RESHAPE"):
            _keep_before(before, made, kept, convolutions)


def _quantizer(path: Path) -> Any:
    return require(f"{QUANTIZER}.quantizer", "ai-edge-quantizer").Quantizer(str(path))


def _to_float16(quantizer: Any, kind: str) -> None:
    """Let the weights of one kind of operator be stored in float16; the arithmetic stays float32."""
    types = require(f"{QUANTIZER}.qtyping", "ai-edge-quantizer")
    weights = types.TensorQuantizationConfig(num_bits=16, dtype=types.TensorDataType.FLOAT)
    config = types.OpQuantizationConfig(
        weight_tensor_config=weights, compute_precision=types.ComputePrecision.FLOAT, explicit_dequantize=True
    )
    key = require(f"{QUANTIZER}.algorithm_manager", "ai-edge-quantizer").AlgorithmName.FLOAT_CASTING
    kind = types.TFLOperationName(kind)
    quantizer.update_quantization_recipe(regex=".*", operation_name=kind, op_config=config, algorithm_key=key)


def _quantised(quantizer: Any, source: Path | None = None, images: Sequence[np.ndarray] = ()) -> bytes:
    """Run the quantiser; with images, the values between operators take their ranges from them."""
    ranges = None
    with _quiet():
        if source is not None:
            interpreter = require("ai_edge_litert.interpreter", "ai-edge-litert").Interpreter(str(source))
            ((name, ports),) = interpreter.get_signature_list().items()
            (port,) = ports["inputs"]
            ranges = quantizer.calibrate({name: [{port: image} for image in images]}, num_threads=1)
        small = bytes(quantizer.quantize(ranges, enable_progress_report=False).quantized_model)
    return small if source is None else _biases_that_fit(small, source)


def _biases_that_fit(small: bytes, source: Path) -> bytes:
    """Store again what the quantiser cut off: biases too large for the step that their channel's weights give them.

    A bias is a 32-bit number of steps, each the input's step times that of the channel's weights. A channel whose
    weights are all 0, or nearly, has so short a step that its bias no longer fits; the quantiser stores the largest
    number that does, which may be a billionth of it. The fused graph has such channels, whose bias of 40 makes a
    sigmoid 1, and so has a trained network whose batch norm has switched a channel off. Here the weights of these
    channels get longer steps; what that rounds off is below 2^-22 of the bias for each 8-bit input.
    """
    tools = require("ai_edge_litert.tools.flatbuffer_utils", "ai-edge-litert")
    before, model = tools.read_model(str(source)), tools.read_model_from_bytearray(bytearray(small))
    floats = {
        tensor.name: (before.buffers[tensor.buffer].data, tensor.shape)
        for tensor in before.subgraphs[0].tensors
        if before.buffers[tensor.buffer].data is not None
    }
    graph = model.subgraphs[0]
    tensors = graph.tensors
    steps: dict[tuple[int, int], np.ndarray] = {}  # of the input, by the weights and the bias that it meets
    for operator in graph.operators:
        if len(operator.inputs) == 3 and operator.inputs[2] >= 0:
            given, weight, bias = (int(place) for place in operator.inputs)
            names = tensors[weight].name, tensors[bias].name
            quantised = all(_steps(tensors[place]).size for place in (given, weight, bias))
            if quantised and all(name in floats for name in names):
                own = _steps(tensors[given])
                steps[weight, bias] = np.minimum(own, steps.get((weight, bias), own))
    for (weight, bias), own in steps.items():
        values, offsets = (_floats(*floats[tensors[place].name]) for place in (weight, bias))
        old = _steps(tensors[weight])
        needed = np.where(np.abs(offsets) > own * old * _LARGEST, np.abs(offsets) / (own * _LARGE), old)
        if not (needed > old).any():
            continue
        axis = tensors[weight].quantization.quantizedDimension
        shape = np.where(np.arange(values.ndim) == axis, -1, 1)
        levels = np.rint(values / needed.reshape(shape)).clip(-127, 127).astype(np.int8)
        kind = np.int64 if tensors[bias].type == _INT64 else np.int32
        _store(model, tensors[weight], needed, levels)
        _store(model, tensors[bias], needed * own, np.rint(offsets / (needed * own)).astype(kind))
    return bytes(tools.convert_object_to_bytearray(model))


def _steps(tensor: Any) -> np.ndarray:
    """The steps of a quantised tensor, none if it is in float."""
    found = None if tensor.quantization is None else tensor.quantization.scale
    return np.asarray([] if found is None else found, np.float64)


def _floats(data: Any, shape: Sequence[int]) -> np.ndarray:
    return np.frombuffer(bytes(data), np.float32).reshape(shape).astype(np.float64)


def _store(model: Any, tensor: Any, steps: np.ndarray, levels: np.ndarray) -> None:
    """Give a tensor other steps and values, in a buffer that no other tensor shares."""
    buffer = copy.copy(model.buffers[tensor.buffer])
    buffer.data = np.frombuffer(levels.tobytes(), np.uint8)
    tensor.quantization.scale, tensor.buffer = steps.astype(np.float32), len(model.buffers)
    model.buffers.append(buffer)


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Suppress the quantiser's progress, and the interpreter's warning that calibration keeps all tensors."""
    with warnings.catch_warnings(), contextlib.redirect_stderr(io.StringIO()):
        warnings.filterwarnings("ignore", message=".*experimental_preserve_all_tensors")
        yield
