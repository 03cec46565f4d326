"""From labelled pictures to weights, in torch alone.

`train` does all of it: it reads a keypoint file in COCO's form, starts from bundled, public or your own weights, and
leaves the best weights, the state to go on from, a log and a curve in a folder. `recipe` says what a run computes,
`loop` computes it, `crops` and `losses` are its parts.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .crops import Augmentation
    from .fit import Interrupted, Trained, train
    from .loop import Trainer
    from .recipe import Recipe

# From each public name to the module that defines it.
_LAZY = {
    "Augmentation": "crops",
    "Interrupted": "fit",
    "Recipe": "recipe",
    "Trained": "fit",
    "Trainer": "loop",
    "train": "fit",
}

__all__ = ["Augmentation", "Interrupted", "Recipe", "Trained", "Trainer", "train"]


def __getattr__(name: str) -> object:
    if name in _LAZY:
        return getattr(importlib.import_module(f".{_LAZY[name]}", __name__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
