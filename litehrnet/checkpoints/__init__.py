"""Loading weights: the bundled ones, the public ones, and any file of your own.

`joints.py` needs no torch, so everything here is imported on first use (PEP 562).
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .joints import JOINT_SETS, JointSet, find_joints, named_joints
    from .loading import BUNDLED, CheckpointNote, from_checkpoint, load_checkpoint, load_pretrained
    from .public import PUBLIC
    from .saving import read_metadata, save_weights

# From each public name to the module that defines it.
_LAZY = {
    "BUNDLED": "loading",
    "CheckpointNote": "loading",
    "JOINT_SETS": "joints",
    "JointSet": "joints",
    "PUBLIC": "public",
    "find_joints": "joints",
    "from_checkpoint": "loading",
    "load_checkpoint": "loading",
    "load_pretrained": "loading",
    "named_joints": "joints",
    "read_metadata": "saving",
    "save_weights": "saving",
}

__all__ = [
    "BUNDLED",
    "JOINT_SETS",
    "PUBLIC",
    "CheckpointNote",
    "JointSet",
    "find_joints",
    "from_checkpoint",
    "load_checkpoint",
    "load_pretrained",
    "named_joints",
    "read_metadata",
    "save_weights",
]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
