"""What the command line's words stand for: a model by file or name, a runner with its size, a picture's kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from .fusion import FusedLiteHRNet
    from .model import LiteHRNet
    from .runtimes import Run

__all__ = ["DEFAULT_SIZE", "fuse_for", "load_model", "runner", "save_picture"]

DEFAULT_SIZE = (256, 192)


def load_model(weights: str, variant: str | None = None) -> LiteHRNet:
    """The model that a file or a name stands for; with `variant`, it must be that one."""
    from .checkpoints import BUNDLED, PUBLIC, from_checkpoint, load_pretrained
    from .model import VARIANTS

    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    named = weights in (*BUNDLED, *PUBLIC) and not Path(weights).exists()
    model = load_pretrained(weights) if named else from_checkpoint(weights)
    if variant is not None and model.variant.name != variant:
        raise ValueError(f"{weights} holds {model.variant.name}, not {variant}")
    return model


def fuse_for(model: LiteHRNet, size: tuple[int, int], dynamic: str | None) -> FusedLiteHRNet:
    """The fast graph for one size, or the one that leaves the size free."""
    from .fusion import fuse

    # What pleases ONNX Runtime most has the size built in.
    return fuse(model, size, target="openvino") if dynamic == "size" else fuse(model, size)


def runner(model: str, size: tuple[int, int] | None) -> tuple[Run, tuple[int, int]]:
    """The model as a function of arrays, and the size to crop for."""
    from .model import check_size
    from .onnx_files import signature
    from .runtimes import load

    if not model.endswith(".onnx"):
        return load(load_model(model), "torch"), check_size(size or DEFAULT_SIZE)
    told = signature(model)
    stored = told.metadata.get("size", DEFAULT_SIZE)
    wanted = size or (told.height or stored[0], told.width or stored[1])
    return load(model), check_size(wanted)


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, whole or not at all; its kind is told from the file's ending."""
    from PIL import Image

    from .files import written_whole

    if path.suffix.lower() not in Image.registered_extensions():
        raise ValueError(f"{path} has no ending that says a kind of picture, such as .png")
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary)
