"""From the model to OpenVINO's two files. Sizes are given height before width."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Sequence
from pathlib import Path

from torch import nn

from ..checks import require
from ..files import written_whole
from ..runtimes.signature import METADATA_KEY, checksum
from .onnx import describe, export_onnx
from .writers import check_order

__all__ = ["SUFFIX", "export_openvino"]

SUFFIX = ".xml"


def export_openvino(
    model: nn.Module, path: str | Path, size: Sequence[int] | None = None, weights: str = "float32"
) -> list[Path]:
    """Convert a network for OpenVINO: NAME.xml (the graph) and NAME.bin (the weights).

    The .xml file's `rt_info` holds the metadata that `export_onnx` writes, and a checksum of the .bin file, since
    OpenVINO itself reads whatever weights it finds.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .xml file to write; the .bin file goes beside it, under the same name.
        size: (height, width), by default as in `export_onnx`; the batch stays free.
        weights: "float32", or "float16" for half the file.

    Returns:
        The paths of the .xml and the .bin file.

    Raises:
        ImportError: OpenVINO is not installed.
        ValueError: as `litehrnet.export.writers.check_order`.
    """
    network, path, size = check_order(model, path, size, weights, SUFFIX)
    metadata = describe(network, size, "batch", weights)
    openvino = require("openvino")
    with tempfile.TemporaryDirectory() as name:
        # Export a batch of one, and free the batch afterwards: only so can the fast exporter write adaptive pooling.
        source = export_onnx(network, Path(name) / "net.onnx", size=size, exporter="torchscript")
        converted = openvino.convert_model(source)
        converted.reshape([-1, 3, *size])
        converted.set_rt_info(json.dumps(metadata), [METADATA_KEY, "metadata"])
        result = Path(name) / "net.xml"
        half = weights == "float16"
        openvino.save_model(converted, result, compress_to_fp16=half)
        # The checksum is known only now; the .bin file does not change when the .xml file gets one more entry.
        numbers = result.with_suffix(".bin").read_bytes()
        converted.set_rt_info(str(checksum(numbers)), [METADATA_KEY, "checksum"])
        openvino.save_model(converted, result, compress_to_fp16=half)
        if result.with_suffix(".bin").read_bytes() != numbers:
            raise RuntimeError("OpenVINO wrote the same weights differently the second time")
        with written_whole(path.with_suffix(".bin")) as weights_path, written_whole(path) as graph_path:
            graph_path.write_bytes(result.read_bytes())
            weights_path.write_bytes(numbers)
    return [path, path.with_suffix(".bin")]
