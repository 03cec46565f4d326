"""From the model to Core ML's .mlpackage, through coremltools. Sizes are given height before width.

Conversion works on any system, running only on Apple's: see `litehrnet.runtimes.coreml`, which proves such a file.
"""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from torch import nn

from ..checks import check_choice
from ..files import PACKAGE_SUFFIX, written_whole
from ..fusion import FusedLiteHRNet
from ..model import pooling_of, set_shuffle, shared_copy
from ..runtimes.coreml import coremltools, quiet
from ..runtimes.signature import METADATA_KEY
from .ncnn import trace
from .onnx import DYNAMIC, WEIGHTS, describe
from .writers import check_order

__all__ = ["LARGEST_BATCH", "SIDES", "SUFFIX", "convert", "export_coreml"]

SUFFIX = PACKAGE_SUFFIX
# Core ML wants bounds for what may change. Sides within them must still be ones that the network can run.
SIDES = (32, 1024)
LARGEST_BATCH = 32


def export_coreml(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None = None,
    weights: str = "float32",
    dynamic: str | None = None,
) -> Path:
    """Convert a network into an ML program for Core ML, for iOS 15 or macOS 12 and later.

    Input "image" and output "heatmaps" are float32 arrays, as in torch. The Neural Engine computes in float16, so only
    a file with float16 weights can run there; with float32 weights Core ML computes in float32 on the CPU or GPU.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .mlpackage to write, a folder that users see as one file.
        size: (height, width); the default is that of `export_onnx`. Where sizes may change, the one to prepare for.
        weights: "float32"; or "float16" for half the file, and then Core ML also computes in float16.
        dynamic: None, nothing may change; "batch", batches of 1 to 32; "size", these batches and sides of 32 to 1024
            that the network can run.

    Returns:
        The path of the package; its metadata key "litehrnet" holds the same as in an ONNX file.

    Raises:
        ImportError: coremltools is not installed.
        ValueError: as `litehrnet.export.writers.check_order`; an unknown choice, or choices that do not go together.
    """
    check_choice("dynamic", dynamic, DYNAMIC)
    network, path, size = check_order(model, path, size, weights, SUFFIX, WEIGHTS)
    _check_together(network, size, dynamic)
    converted = convert(network, size, weights, dynamic)
    converted.user_defined_metadata[METADATA_KEY] = json.dumps(describe(network, size, dynamic, weights))
    with written_whole(path) as temporary, quiet():
        converted.save(str(temporary))
    return path


def convert(model: nn.Module, size: tuple[int, int], weights: str = "float32", dynamic: str | None = None) -> Any:
    """The network as coremltools' own model, without any check: what coremltools refuses is its own error.

    Args:
        model, size, weights, dynamic: as in `export_coreml`.

    Raises:
        ImportError: coremltools is not installed.
    """
    tools = coremltools()
    if dynamic is not None:
        # Written out, each shuffle would ask for height and width; this way it is one gather by a constant index.
        model = set_shuffle(shared_copy(model), "index")

    def between(least: int, most: int, usual: int) -> Any:
        return tools.RangeDim(least, max(most, usual), default=usual)

    batch = 1 if dynamic is None else between(1, LARGEST_BATCH, 1)
    sides = [between(*SIDES, side) if dynamic == "size" else side for side in size]
    # coremltools draws bars of its progress.
    with quiet(), contextlib.redirect_stderr(io.StringIO()):
        return tools.convert(
            trace(model, size),
            inputs=[tools.TensorType("image", shape=(batch, 3, *sides), dtype=np.float32)],
            outputs=[tools.TensorType("heatmaps", dtype=np.float32)],
            convert_to="mlprogram",
            compute_precision={"float32": tools.precision.FLOAT32, "float16": tools.precision.FLOAT16}[weights],
            minimum_deployment_target=tools.target.iOS15,
            skip_model_load=True,
        )


def _check_together(model: nn.Module, size: tuple[int, int], dynamic: str | None) -> None:
    """Refuse what coremltools cannot convert; say why, and what would work."""
    pooling = pooling_of(model)
    if dynamic is not None and pooling not in (None, "computed"):
        reason = (
            "coremltools converts adaptive pooling only where every size is known"
            if pooling == "adaptive"
            else "exact pooling holds matrices of one size"
        )
        raise ValueError(f"{reason}; litehrnet.set_pooling(model, 'computed') gives the same values and any size")
    if dynamic == "size" and isinstance(model, FusedLiteHRNet) and model.size is not None:
        raise ValueError(
            f"a graph fused for {size[0]}x{size[1]} has that size built in; use dynamic='batch', or fuse the original "
            "model with target='openvino', which leaves the size free"
        )
