"""From the model to files for servers, desktops and phones; and other people's models made exportable.

`export` writes every format of `FORMATS`, and infers which from the ending of the file's name.
`litehrnet.export.int8` turns an ONNX file into an int8 file.
"""

from ..runtimes.parity import Parity, check_parity, explain
from .formats import FORMATS, export, format_of
from .ncnn import export_ncnn
from .onnx import DYNAMIC, WEIGHTS, export_onnx
from .openvino import export_openvino
from .pooling import export_pooling, greatest_error
from .public_models import make_exportable
from .torch_exporters import EXPORTERS, opsets, quiet

__all__ = [
    "DYNAMIC",
    "EXPORTERS",
    "FORMATS",
    "WEIGHTS",
    "Parity",
    "check_parity",
    "explain",
    "export",
    "export_ncnn",
    "export_onnx",
    "export_openvino",
    "export_pooling",
    "format_of",
    "greatest_error",
    "make_exportable",
    "opsets",
    "quiet",
]
