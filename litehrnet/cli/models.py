"""What the command line's words stand for: a model by file or name, a runner with its size, a picture's kind."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np

    from ..fusion import FusedLiteHRNet
    from ..model import LiteHRNet
    from ..runtimes.loading import Run

__all__ = ["check_outputs", "check_picture", "fuse_for", "load_model", "runner", "save_picture"]


def load_model(weights: str, variant: str | None = None) -> LiteHRNet:
    """The model that a file or a name stands for; with `variant`, it must be that one."""
    from ..checkpoints.reading import BUNDLED, PUBLIC, from_checkpoint, load_pretrained
    from ..model import VARIANTS

    if variant is not None and variant not in VARIANTS:
        raise ValueError(f"unknown variant {variant!r}; choose one of {', '.join(VARIANTS)}")
    named = weights in (*BUNDLED, *PUBLIC) and not Path(weights).is_file()
    model = load_pretrained(weights) if named else from_checkpoint(weights)
    if variant is not None and model.variant.name != variant:
        raise ValueError(f"{weights} holds {model.variant.name}, not {variant}")
    return model


def fuse_for(model: LiteHRNet, size: tuple[int, int], dynamic: str | None) -> FusedLiteHRNet:
    """The fast graph for one size, or the one that leaves the size free."""
    from ..fusion import fuse

    # What pleases ONNX Runtime most has the size built in.
    return fuse(model, size, target="openvino") if dynamic == "size" else fuse(model, size)


def runner(model: str, size: tuple[int, int] | None) -> tuple[Run, tuple[int, int]]:
    """The model as a function of arrays, and the size to crop for."""
    from ..runtimes.loading import load, runtime_of, usual_size
    from ..sizes import check_size

    runtime = runtime_of(model)
    size = check_size(size or usual_size(model))
    if runtime == "torch":
        return load(load_model(model), runtime), size
    return load(model, runtime, size=size if runtime == "ncnn" else None), size


def check_outputs(source: str | Path, *outputs: Path) -> None:
    """Refuse, before any work, to write over the file that is read."""
    for output in outputs:
        if output.exists() and Path(source).exists() and output.samefile(source):
            raise ValueError(f"{output} is the file that is read; give another name with -o")


def check_picture(path: Path) -> None:
    """Refuse a name whose ending says no kind of picture that Pillow writes."""
    from PIL import Image

    if Image.registered_extensions().get(path.suffix.lower()) not in Image.SAVE:
        raise ValueError(f"{path} has no ending of a kind of picture that can be written, such as .png")


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, whole or not at all; its kind is told from the file's ending."""
    from PIL import Image

    from ..files import written_whole

    check_picture(path)
    with written_whole(path) as temporary:
        Image.fromarray(picture).save(temporary)
