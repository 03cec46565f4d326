"""What compilers for accelerators refuse: a table of operators, ranks, free sizes and opsets, and a way round each.

A file that ONNX Runtime runs is a legal file, but an accelerator has few operators, most of them for maps of four
dimensions and known size. Its compiler ends with an error, or leaves the rest to the CPU, which costs two copies each
time. `wishes_of` finds that out before the compiler is installed. It cannot replace the compiler: what the table does
not name may still be refused, by this version or the next.
"""

from __future__ import annotations

import collections
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ..checks import check_choice

if TYPE_CHECKING:
    import onnx

__all__ = ["TARGETS", "Finding", "Target", "wishes_of"]

FUSE = "export with --fused, which moves no channels"
FIX_SIZE = "export for one size, without --dynamic"
HEATMAPS_ONLY = "export without --decode, and decode on the CPU"
RESIZED = "export it again with litehrnet export, which writes the other kinds"
SYMMETRIC = "take the float32 file, and let the compiler's own tools quantise it, symmetrically"
OUTSIDE = "end the file before this step, and compute it on the CPU"


@dataclass(frozen=True)
class Target:
    """A row of the table.

    Attributes:
        what: the compiler in words.
        source: where its maker says so.
        opsets: the opsets that it reads; None where it does not say.
        rank: the most dimensions of a tensor; None where it does not say.
        free: whether sizes and batch may be free.
        refused: operators that it refuses or leaves to the CPU, each with a way round it.
        known: where it lists them, the only operators that it takes.
        else_: the way round for all operators that are not in `known`.
        resizes: where it says so, the only kinds of Resize that it takes: mode, where a pixel lands, and (nearest only)
            how that is rounded.
        quantised: where it says so, the only types of a quantised value; their zero point must be 0.
    """

    what: str
    source: str
    opsets: range | None = None
    rank: int | None = None
    free: bool = False
    refused: Mapping[str, str] = field(default_factory=dict)
    known: frozenset[str] = frozenset()
    else_: str = ""
    resizes: frozenset[tuple[str, ...]] = frozenset()
    quantised: frozenset[str] = frozenset()


_DECODING = dict.fromkeys(("ArgMax", "GatherElements", "Sign", "And", "Greater", "Less"), HEATMAPS_ONLY)

_ARMNN = (
    "Add AveragePool BatchNormalization Clip Concat Constant Conv Flatten Gather Gemm GlobalAveragePool LeakyRelu "
    "MatMul MaxPool Relu Reshape Shape Sigmoid Tanh Unsqueeze"
)

_COREML = (
    "Add ArgMax AveragePool Cast Clip Concat Constant Conv ConvTranspose DepthToSpace Div Elu Erf Exp Gelu Gemm "
    "GlobalAveragePool GlobalMaxPool GridSample GroupNormalization InstanceNormalization LayerNormalization LeakyRelu "
    "MatMul Max MaxPool Mul PRelu Pow Reciprocal ReduceMax ReduceMean ReduceSum Relu Reshape Resize Round Shape "
    "Sigmoid Slice Softmax Softplus Split Sqrt Squeeze Sub Tanh Transpose Unsqueeze"
)
_QNN = (
    "Abs Add And ArgMax ArgMin Asin Atan AveragePool BatchNormalization Cast Clip Concat Constant Conv ConvTranspose "
    "Cos DepthToSpace DequantizeLinear Div Elu Equal Exp Expand Flatten Floor Gather Gelu Gemm GlobalAveragePool "
    "Greater GreaterOrEqual GridSample HardSwish InstanceNormalization LRN LayerNormalization LeakyRelu Less "
    "LessOrEqual Log LogSoftmax LpNormalization MatMul Max MaxPool Min Mul Neg Not Or PRelu Pad Pow QuantizeLinear "
    "ReduceMax ReduceMean ReduceMin ReduceProd ReduceSum Relu Reshape Resize Round Sigmoid Sign Sin Slice Softmax "
    "SpaceToDepth Split Sqrt Squeeze Sub Tanh Tile TopK Transpose Unsqueeze Where"
)
_TENSORRT_REFUSES = "Bernoulli BitShift Compress DFT Det MaxRoiPool MaxUnpool Multinomial Unique"
_TENSORRT_REFUSES_INT8 = "ConvInteger DynamicQuantizeLinear MatMulInteger QLinearConv QLinearMatMul"

# Each row names its source. Hailo is missing, because only a guide for its customers lists its layers.
TARGETS: dict[str, Target] = {
    "rknn": Target(
        "RKNN-Toolkit2, for Rockchip's NPUs",
        "RKNN-Toolkit2: release notes of 1.6.0 (opsets), issues 42 (free sizes) and 314 (Reshape), list of ONNX "
        "operators of 2.1.0 (Sign); ZedIoT's guide to opsets for RKNN (decoding outside); 2.5.0 itself refuses opset "
        "20 and free sizes, and takes five dimensions and decoding in its simulator (examples/rknn)",
        opsets=range(12, 20),
        rank=4,
        refused={"Shape": FIX_SIZE, **_DECODING},
    ),
    "tflite": Target(
        "LiteRT's GPU delegate, which the converted file would run in",
        "TensorFlow, GPU delegates for LiteRT, supported operations",
        rank=4,
        refused={
            "Transpose": FUSE,
            "ReduceMean": "export with --fused, and average with AVERAGE_POOL_2D of the whole map",
            "GlobalAveragePool": "it becomes MEAN, which is not in the list: let the CPU (XNNPACK) run the file",
            "Resize (nearest)": "RESIZE_NEAREST_NEIGHBOR is not in the list: let the CPU (XNNPACK) run the file",
            **_DECODING,
        },
    ),
    "armnn": Target(
        "Arm NN's ONNX parser",
        "Arm NN, ONNX operators that the SDK supports",
        known=frozenset(_ARMNN.split()),
        else_="Arm NN's delegate for LiteRT knows more operators: take that road",
    ),
    "coreml": Target(
        "Core ML, through ONNX Runtime's CoreML execution provider (ML programs)",
        "ONNX Runtime, coreml_supported_mlprogram_ops.md, and resize_op_builder.cc of that provider",
        free=True,
        known=frozenset(_COREML.split()),
        else_="what it does not know runs on the CPU; litehrnet export --to coreml writes a package without ONNX",
        resizes=frozenset(
            {("nearest", "asymmetric", "floor"), ("linear", "half_pixel"), ("linear", "align_corners")},
        ),
    ),
    "qnn": Target(
        "Qualcomm's QNN, through ONNX Runtime's QNN execution provider",
        "ONNX Runtime, QNN execution provider: supported ONNX operators, model requirements (no free sizes)",
        known=frozenset(_QNN.split()),
        else_=HEATMAPS_ONLY,
    ),
    "tensorrt": Target(
        "TensorRT's ONNX parser",
        "NVIDIA, ONNX opset guide of TensorRT 11 (opsets); onnx-tensorrt, operators.md of 10.15 (operators, types and "
        "zero points)",
        opsets=range(9, 26),
        free=True,
        refused={
            **dict.fromkeys(_TENSORRT_REFUSES.split(), OUTSIDE),
            **dict.fromkeys(_TENSORRT_REFUSES_INT8.split(), SYMMETRIC),
        },
        quantised=frozenset({"INT8", "INT4", "FLOAT8E4M3FN", "FLOAT4E2M1"}),
    ),
}


@dataclass(frozen=True)
class Finding:
    """One thing that a compiler refuses.

    Attributes:
        what: in words, with the count.
        way: how to get round it.
    """

    what: str
    way: str

    def __str__(self) -> str:
        return f"{self.what}: {self.way}"


def wishes_of(graph: onnx.ModelProto, target: str) -> list[Finding]:
    """What a compiler refuses in an ONNX graph, or leaves to the CPU; nothing if the table knows of nothing.

    Args:
        graph: an exported network.
        target: a key of `TARGETS`.

    Raises:
        ValueError: the target is unknown.
    """
    import onnx

    check_choice("target", target, TARGETS)
    row = TARGETS[target]
    graph = onnx.shape_inference.infer_shapes(graph)
    checks: tuple[Callable[[onnx.ModelProto, Target], Iterator[Finding]], ...] = (
        _opset,
        _free,
        _ranks,
        _operators,
        _resizes,
        _quantised,
    )
    return [finding for check in checks for finding in check(graph, row)]


def _opset(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    own = next((each.version for each in graph.opset_import if each.domain in ("", "ai.onnx")), 0)
    if row.opsets is not None and own not in row.opsets:
        nearest = min(row.opsets, key=lambda opset: abs(opset - own))
        yield Finding(
            f"opset {own}, where {row.opsets[0]} to {row.opsets[-1]} are read", f"export with --opset {nearest}"
        )


def _free(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    sides = [dim for value in graph.graph.input for dim in value.type.tensor_type.shape.dim]
    free = sum(dim.dim_value < 1 for dim in sides)
    if free and not row.free:
        yield Finding(f"{free} free {'sides' if free > 1 else 'side'} of the input", FIX_SIZE)


def _ranks(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    if row.rank is None:
        return
    ranks = {
        value.name: len(value.type.tensor_type.shape.dim) for value in (*graph.graph.value_info, *graph.graph.output)
    }
    wide: dict[str, list[int]] = {}
    for node in graph.graph.node:
        rank = max((ranks.get(name, 0) for name in node.output), default=0)
        if rank > row.rank:
            wide.setdefault(node.op_type, []).append(rank)
    for operator, found in wide.items():
        what = f"{_counted(len(found), operator)} with {max(found)} dimensions, where {row.rank} are the most"
        yield Finding(what, FUSE)


def _operators(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    found = collections.Counter(_name(node) for node in graph.graph.node)
    for operator, count in found.most_common():
        plain = operator.split(" ")[0]
        way = row.refused.get(operator) or row.refused.get(plain)
        if way is None and row.known and plain not in row.known:
            way = row.else_
        if way is not None:
            yield Finding(_counted(count, operator), way)


def _resizes(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    """Kinds of Resize that are not among those that the target lists."""
    if not row.resizes:
        return
    usual = {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "round_prefer_floor"}
    found: collections.Counter[tuple[str, ...]] = collections.Counter()
    for node in graph.graph.node:
        if node.op_type == "Resize":
            given = {each.name: each.s.decode() for each in node.attribute if each.name in usual}
            kind = tuple((usual | given).values())
            found[kind if kind[0] == "nearest" else kind[:2]] += 1
    for kind, count in found.most_common():
        if kind not in row.resizes:
            taken = " or ".join(sorted(" ".join(each) for each in row.resizes if each[0] == kind[0])) or "none of it"
            yield Finding(f"{_counted(count, 'Resize')} ({' '.join(kind)}), where {taken} is taken", RESIZED)


def _quantised(graph: onnx.ModelProto, row: Target) -> Iterator[Finding]:
    """Quantised values of another type, or whose zero point is not 0."""
    import onnx

    if not row.quantised:
        return
    constants = {tensor.name: tensor for tensor in graph.graph.initializer}
    types: collections.Counter[str] = collections.Counter()
    moved = 0
    for node in graph.graph.node:
        if node.op_type in ("QuantizeLinear", "DequantizeLinear") and len(node.input) > 2:
            point = constants.get(node.input[2])
            if point is not None:
                types[onnx.TensorProto.DataType.Name(point.data_type)] += 1
                moved += bool(onnx.numpy_helper.to_array(point).any())
    for kind, count in types.most_common():
        if kind not in row.quantised:
            listed = ", ".join(sorted(row.quantised)).lower()
            yield Finding(f"{count} quantised to {kind.lower()}, where {listed} are taken", SYMMETRIC)
    if moved:
        yield Finding(f"{moved} with a zero point other than 0", SYMMETRIC)


def _name(node: onnx.NodeProto) -> str:
    """The operator; of a Resize also how it interpolates, since "linear" is known where "nearest" is not."""
    if node.op_type != "Resize":
        return node.op_type
    mode = next((each.s.decode() for each in node.attribute if each.name == "mode"), "nearest")
    return f"Resize ({mode})"


def _counted(count: int, operator: str) -> str:
    return operator if count == 1 else f"{count} x {operator}"
