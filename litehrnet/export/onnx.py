"""Export to ONNX: a network as one self-contained file.

Both exporters of torch (`torch_exporters`) are given the same module, and their graphs are brought to one form
(`cleaning`). `check_parity` (`litehrnet.runtimes.parity`) proves the file against torch. Sizes are given height before
width.
"""

from __future__ import annotations

import copy
import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias, TypeVar, cast

from torch import nn

from .._version import __version__
from ..checks import check_choice
from ..files import written_whole
from ..fusion import FusedLiteHRNet
from ..heatmaps import MEAN, STD
from ..model import LiteHRNet, check_finite, pooling_of
from ..runtimes.signature import DEFAULT_SIZE, METADATA_KEY
from ..sizes import check_size
from .ends import DECODE_OPSET, INPUTS, give_joints, take_pixels
from .torch_exporters import DEFAULT_OPSET, check_opset, run_exporter, write

__all__ = ["DYNAMIC", "WEIGHTS", "Network", "check_exportable", "describe", "export_onnx", "export_size", "on_cpu"]

Network: TypeAlias = LiteHRNet | FusedLiteHRNet
N = TypeVar("N", bound=nn.Module)
DYNAMIC = (None, "batch", "size")
WEIGHTS = ("float32", "float16")  # what the exporters can store; int8 needs calibration images (`int8.quantize_int8`)


def export_onnx(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None = None,
    dynamic: str | None = None,
    exporter: str = "dynamo",
    opset: int = DEFAULT_OPSET,
    weights: str = "float32",
    *,
    inputs: str = "float32",
    decode: bool = False,
    fp16: bool | None = None,
) -> Path:
    """Write a network as one self-contained ONNX file, with input "image" and output "heatmaps".

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the file to write; it appears only when it is complete and has passed onnx's checker.
        size: (height, width) in pixels, what the network is traced at; by default the size that the module was fused
            for, else the size that it was trained at, else 256x192.
        dynamic: None, nothing may change; "batch", any batch size; "size", any batch and any size that the network can
            run (traced at `size`, which must then be of multiples of 32).
        exporter: "dynamo" or "torchscript".
        opset: version of ONNX's operator set, one of `opsets(exporter)`; it is the one in the file.
        weights: "float32", or "float16" for half the file; input, output and arithmetic stay float32. Heatmaps then
            differ by a few thousandths of their largest value.
        inputs: "float32", normalised images (N, 3, H, W); or "uint8", RGB pixels (N, H, W, 3), which the graph
            normalises exactly as `litehrnet.heatmaps.to_input` does. The input is then called "pixels".
        decode: besides the heatmaps, output "joints", (N, K, 2), x before y in input pixels, and "scores", (N, K), as
            `litehrnet.heatmaps.decode` finds them.
        fp16: deprecated; True is `weights="float16"`.

    Returns:
        The path of the file. Its metadata key "litehrnet" holds JSON: variant, size, dynamic, joints, mean, std,
        pooling, fused, version, weights, input, decoded; and joint_set, if the model knows the names of its joints.

    Raises:
        ValueError: a size that the network cannot run, weights that are not float32 or not finite, an unknown choice,
            or choices that do not go together; the message says why and what would work.
    """
    dynamic, weights = _first_edition(dynamic, weights, fp16)
    size = export_size(model, size)
    check_choice("dynamic", dynamic, DYNAMIC)
    check_choice("weights", weights, WEIGHTS)
    check_choice("inputs", inputs, INPUTS)
    opset = check_opset(exporter, opset)
    if decode and opset < DECODE_OPSET:
        raise ValueError(f"decoding in the graph needs opset {DECODE_OPSET} or later, got {opset}")
    network = check_exportable(model, size)
    _check_together(network, size, dynamic, exporter)
    metadata = describe(network, size, dynamic, weights) | {"input": inputs, "decoded": decode}
    with written_whole(path) as temporary:
        graph = run_exporter(network, (3, *size), dynamic, exporter, opset, "heatmaps")
        ends = [take_pixels] * (inputs == "uint8") + [give_joints] * decode
        write(graph, temporary, opset, dynamic, {METADATA_KEY: json.dumps(metadata)}, weights == "float16", ends)
    return Path(path)


def _first_edition(dynamic: str | bool | None, weights: str | bool, fp16: bool | None) -> tuple[str | None, str]:
    """Translate the first edition's forms of `dynamic` and `weights`, with a warning for each."""
    if dynamic is False:
        warnings.warn("dynamic=False is now dynamic=None", DeprecationWarning, stacklevel=3)
        dynamic = None
    if fp16 is None and isinstance(weights, bool):  # `fp16` was the seventh argument then
        fp16, weights = weights, "float32"
    if fp16 is not None:
        warnings.warn('fp16=True is now weights="float16"', DeprecationWarning, stacklevel=3)
        weights = "float16" if fp16 else weights
    return cast("str | None", dynamic), cast("str", weights)  # other types are refused later


def describe(model: Network, size: tuple[int, int], dynamic: str | None, weights: str) -> dict[str, object]:
    """What a file says about itself, under the metadata key "litehrnet"."""
    joints = model.joints
    return {
        "variant": model.variant.name,
        "size": list(size),
        "dynamic": dynamic,
        "joints": model.num_joints,
        "mean": list(MEAN),
        "std": list(STD),
        "pooling": pooling_of(model),
        "fused": isinstance(model, FusedLiteHRNet),
        "version": __version__,
        "weights": weights,
        **({} if joints is None else {"joint_set": joints.to_dict()}),
    }


def export_size(model: nn.Module, size: Sequence[int] | None) -> tuple[int, int]:
    """The (height, width) to export at: the given one, or what the module was fused for or trained at, or 256x192.

    Raises:
        ValueError: the network cannot run at the given size.
    """
    if size is not None:
        return check_size(size)
    known = _built_in_size(model) or model.trained_size if isinstance(model, LiteHRNet | FusedLiteHRNet) else None
    return known or DEFAULT_SIZE


def check_exportable(model: nn.Module, size: tuple[int, int]) -> Network:
    """Return a model that can be written, on the CPU; refuse any other, and say why and what to do instead.

    Raises:
        ValueError: another network; weights that are not float32, not finite or not there (`on_cpu`); a module fused
            for another size.
    """
    if not isinstance(model, LiteHRNet | FusedLiteHRNet):
        raise ValueError(
            f"{type(model).__name__} is neither a LiteHRNet nor a fused one; for a model of the public repositories "
            "call litehrnet.make_exportable(model) and then torch.onnx.export"
        )
    _check_weights(model)
    fixed = _built_in_size(model)
    if fixed is not None and fixed != size:
        raise ValueError(
            f"this module was fused for {fixed[0]}x{fixed[1]} and cannot be exported at {size[0]}x{size[1]}; "
            f"fuse the original model for {size[0]}x{size[1]}"
        )
    return on_cpu(model)


def on_cpu(model: N) -> N:
    """The model itself if its weights are on the CPU, which writes every file; otherwise a copy of it there.

    Raises:
        ValueError: the weights are on torch's meta device, which holds shapes only.
    """
    devices = {value.device.type for value in (*model.parameters(), *model.buffers())}
    if "meta" in devices:
        raise ValueError("the weights are on torch's meta device, which holds no numbers; load them, then export")
    return model if devices <= {"cpu"} else copy.deepcopy(model).cpu()


def _built_in_size(model: Network) -> tuple[int, int] | None:
    return model.size if isinstance(model, FusedLiteHRNet) else None


def _check_weights(model: nn.Module) -> None:
    others = {str(value.dtype).removeprefix("torch.") for value in model.parameters()} - {"float32"}
    if others:
        raise ValueError(
            f"the weights must be float32 to be exported, got {', '.join(sorted(others))}; load them again in float32 "
            "(float() alone does not bring back what was rounded), and for a smaller file export with "
            "weights='float16'"
        )
    check_finite(model)


def _check_together(model: Network, size: tuple[int, int], dynamic: str | None, exporter: str) -> None:
    """Before the slow part, refuse choices that cannot work together; say why, and what would work."""
    weighted = isinstance(model, LiteHRNet) and model.variant.channel_weighting
    if dynamic and weighted and model.pooling == "adaptive" and exporter == "torchscript":
        raise ValueError(
            "the torchscript exporter cannot write adaptive pooling once anything is dynamic, since AveragePool needs "
            "a constant kernel; litehrnet.set_pooling(model, 'computed') gives the same values and can be written (or "
            "use exporter='dynamo')"
        )
    if dynamic != "size":
        return
    if any(side % 32 for side in size):
        nearest = "x".join(str(-(-side // 32) * 32) for side in size)
        raise ValueError(
            f"a file of dynamic size is traced at multiples of 32, which {size[0]}x{size[1]} is not: the nearest is "
            f"{nearest} (the file runs at every size that the network can), or use dynamic='batch'"
        )
    fixed = _built_in_size(model)
    if fixed is not None:
        raise ValueError(
            f"a graph fused for {fixed[0]}x{fixed[1]} has that size built in; use dynamic='batch', or fuse the "
            "original model with target='openvino', which leaves the size free"
        )
    if weighted and model.pooling == "exact":
        raise ValueError(
            "exact pooling holds matrices of one size, so its size cannot be dynamic; at multiples of 32 "
            "litehrnet.set_pooling(model, 'computed') gives the same values and any size"
        )
