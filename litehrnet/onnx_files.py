"""What is done to an ONNX graph after export, and what is asked of one before use: clean, check, read.

Nothing here knows torch.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx

__all__ = ["Signature", "check", "clean", "found_opset", "signature"]


@dataclass(frozen=True)
class Signature:
    """What an ONNX file takes and gives.

    Attributes:
        input, output: names of the first input and output.
        batch, height, width: a number where the file fixes it, None where it is free.
        channels: of the input, None where it is free.
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


def found_opset(graph: onnx.ModelProto) -> int:
    """The version of the standard operator set that the file declares."""
    return next(entry.version for entry in graph.opset_import if entry.domain in ("", "ai.onnx"))


def clean(graph: onnx.ModelProto, dynamic: bool | str) -> onnx.ModelProto:
    """Constants to initializers, identities and duplicates away, names of the free dimensions set.

    Args:
        graph: as an exporter wrote it.
        dynamic: as in `export_onnx`.
    """
    import onnx_ir
    from onnx_ir.passes import Sequential, common

    model = onnx_ir.from_proto(graph)
    Sequential(
        common.LiftConstantsToInitializersPass(lift_all_constants=True, size_limit=0),
        common.IdentityEliminationPass(),
        common.DeduplicateInitializersPass(),
        common.RemoveUnusedNodesPass(),
        common.ClearMetadataAndDocStringPass(),
    )(model)
    graph = onnx_ir.to_proto(model)
    _name_dims(graph, dynamic)
    return graph


def _name_dims(graph: onnx.ModelProto, dynamic: bool | str) -> None:
    """The same names for the free dimensions, whichever exporter wrote the file."""
    import onnx

    free = {False: (), "batch": (0,), "size": (0, 2, 3)}[dynamic]
    names = {"image": ("batch", "", "height", "width"), "heatmaps": ("batch", "", "height/4", "width/4")}
    for value in (*graph.graph.input, *graph.graph.output):
        for axis in free:
            value.type.tensor_type.shape.dim[axis].dim_param = names[value.name][axis]
    if dynamic:
        # The exporters' own names for inner sizes no longer fit; let onnx infer them again.
        del graph.graph.value_info[:]
        graph.CopyFrom(onnx.shape_inference.infer_shapes(graph, data_prop=True))


def check(graph: onnx.ModelProto) -> None:
    """onnx's checker, with full shape inference.

    Raises:
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: what it found.
    """
    import onnx

    onnx.checker.check_model(graph, full_check=True)


def signature(path: str | Path) -> Signature:
    """What a file takes and gives, without its weights being run.

    Raises:
        ValueError: not an ONNX file, or not one image in and one map out.
        FileNotFoundError: there is no such file.
    """
    import onnx
    from google.protobuf.message import DecodeError

    path = Path(path)
    try:
        graph = onnx.load_model(path, load_external_data=False)
    except DecodeError as error:
        raise ValueError(f"{path.name} is not an ONNX file: {error}") from error
    return signature_of(graph, path.name)


def signature_of(graph: onnx.ModelProto, name: str) -> Signature:
    """As `signature`, of a graph in memory; `name` is for the error's sentence."""
    weights = {tensor.name for tensor in graph.graph.initializer}
    inputs = [value for value in graph.graph.input if value.name not in weights]
    if len(inputs) != 1 or not graph.graph.output:
        raise ValueError(
            f"{name} has {len(inputs)} inputs and {len(graph.graph.output)} outputs; one image is expected"
        )
    batch, channels, height, width = _dims(inputs[0], name, "input")
    joints = _dims(graph.graph.output[0], name, "output")[1]
    metadata = {entry.key: entry.value for entry in graph.metadata_props}.get("litehrnet", "{}")
    return Signature(
        inputs[0].name,
        graph.graph.output[0].name,
        batch,
        channels,
        height,
        width,
        joints,
        found_opset(graph),
        json.loads(metadata),
    )


def _dims(value: onnx.ValueInfoProto, name: str, which: str) -> Sequence[int | None]:
    dims = [dim.dim_value if dim.HasField("dim_value") else None for dim in value.type.tensor_type.shape.dim]
    if len(dims) != 4:
        raise ValueError(f"{name}: {which} {value.name!r} has {len(dims)} dimensions, expected 4: (N, C, H, W)")
    return dims
