"""From the model to LiteRT's .tflite file, through litert-torch. Sizes are given height before width."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import nn

from ..checks import check_choice, require
from ..files import written_whole
from ..model import eval_mode, zeros_like_input
from ..runtimes.signature import DEFAULT_SIZE
from ..sizes import check_size
from .ncnn import check_suffix
from .onnx import check_exportable

__all__ = ["SUFFIX", "export_litert"]

SUFFIX = ".tflite"


def export_litert(
    model: nn.Module, path: str | Path, size: Sequence[int] = DEFAULT_SIZE, weights: str = "float32"
) -> Path:
    """Convert a network for LiteRT (TensorFlow Lite), for one image of one size; input and output are as in torch.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the .tflite file to write.
        size: (height, width), the only one that the result runs at.
        weights: "float32".

    Raises:
        ImportError: litert-torch is not installed.
        ValueError: an illegal size, unknown weights, weights that are not float32 or not finite, or a path that does
            not end in .tflite.
    """
    size = check_size(size)
    check_choice("weights", weights, ("float32",))
    path = check_suffix(path, SUFFIX)
    check_exportable(model, size)
    converter = require("litert_torch", "litert-torch")
    with warnings.catch_warnings(), eval_mode(model), torch.no_grad(), torch.autocast("cpu", enabled=False):
        warnings.simplefilter("ignore", FutureWarning)  # raised by torch and litert-torch about their own code
        warnings.simplefilter("ignore", DeprecationWarning)
        converted = converter.convert(model, (zeros_like_input(size),))
    with written_whole(path) as temporary:
        named = temporary.with_name(f"{temporary.name}{SUFFIX}")  # litert-torch insists on the ending
        try:
            converted.export(str(named))
            temporary.write_bytes(named.read_bytes())
        finally:
            named.unlink(missing_ok=True)
    return path
