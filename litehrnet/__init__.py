"""Lite-HRNet step by step: the model, its pooling mathematics, and the road to ONNX and the device.

Everything is imported on first use (PEP 562). `litehrnet.heatmaps`, `litehrnet.images` and the runtimes of exported
files therefore work where torch is not installed.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

from ._version import __version__

if TYPE_CHECKING:
    from .checkpoints import from_checkpoint, load_checkpoint, load_pretrained
    from .export import make_exportable
    from .model import VARIANTS, LiteHRNet, Variant, set_pooling, with_fuse_step
    from .registry import create_model, list_models

# From each public name to the module that defines it.
_LAZY = {
    "VARIANTS": "model",
    "LiteHRNet": "model",
    "Variant": "model",
    "create_model": "registry",
    "from_checkpoint": "checkpoints",
    "list_models": "registry",
    "load_checkpoint": "checkpoints",
    "load_pretrained": "checkpoints",
    "make_exportable": "export",
    "set_pooling": "model",
    "with_fuse_step": "model",
}
_MODULES = ("blocks", "complexity", "heatmaps", "images", "model", "pooling")  # `litehrnet.blocks` after one import

__all__ = [
    "VARIANTS",
    "LiteHRNet",
    "Variant",
    "__version__",
    "create_model",
    "from_checkpoint",
    "list_models",
    "load_checkpoint",
    "load_pretrained",
    "make_exportable",
    "set_pooling",
    "with_fuse_step",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    if name in _MODULES:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY, *_MODULES})
