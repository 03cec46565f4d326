"""One call over every runtime: float32 images in, float32 heatmaps out; and what an exported file takes and gives.

`load` runs a file or a torch module, `signature` reads what a file takes, `check_parity` (in `parity`) proves that a
file computes what torch computes. There is one file per runtime. Exported files load and run without torch, and
without the `onnx` package.
"""

from .graph import summary
from .loading import DEFAULT_SIZE, DEVICES, PRECISIONS, RUNTIMES, Run, Runtime, load, runtime_of
from .signature import Port, Signature, megabytes, signature

__all__ = [
    "DEFAULT_SIZE",
    "DEVICES",
    "PRECISIONS",
    "RUNTIMES",
    "Port",
    "Run",
    "Runtime",
    "Signature",
    "load",
    "megabytes",
    "runtime_of",
    "signature",
    "summary",
]
