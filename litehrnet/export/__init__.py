"""From the model to files: ONNX, ncnn, OpenVINO, int8, and other people's models made exportable."""

from ..runtimes.parity import Parity, check_parity
from .network import DYNAMIC, EXPORTERS, export_onnx, export_pooling, greatest_error, make_exportable, opsets, quiet

__all__ = [
    "DYNAMIC",
    "EXPORTERS",
    "Parity",
    "check_parity",
    "export_onnx",
    "export_pooling",
    "greatest_error",
    "make_exportable",
    "opsets",
    "quiet",
]
