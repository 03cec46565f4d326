"""Lite-HRNet step by step: the model, its pooling mathematics, and the road to ONNX and the device.

Importing the package brings in torch and numpy only; everything else is imported on first use.
"""

from __future__ import annotations

import importlib

from ._version import __version__
from .model import VARIANTS, LiteHRNet, Variant, create_model, set_pooling

# Loaded on first use (PEP 562), so that `import litehrnet` costs little more than torch.
_LAZY = {
    "from_checkpoint": "checkpoints",
    "load_checkpoint": "checkpoints",
    "load_pretrained": "checkpoints",
    "make_exportable": "export",
}

__all__ = ["VARIANTS", "LiteHRNet", "Variant", "__version__", "create_model", "set_pooling", *_LAZY]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
