"""What the command line's words for a model stand for: a file or a name, loaded, or as a function of arrays."""

from __future__ import annotations

import contextlib
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..fusion import FusedLiteHRNet
    from ..model import LiteHRNet
    from ..runtimes.loading import Run

__all__ = ["fuse_for", "load_model", "runner"]


def load_model(weights: str, variant: str | None = None) -> LiteHRNet:
    """The model that a file or a name stands for; with `variant`, it must be that one.

    Raises:
        FileNotFoundError, ValueError: neither a file nor a known name, or weights of another variant.
    """
    from ..checkpoints import BUNDLED, PUBLIC, from_checkpoint, load_pretrained
    from ..checks import check_choice
    from ..files import existing_file
    from ..model import VARIANTS
    from .parser import did_you_mean

    if variant is not None:
        check_choice("variant", variant, VARIANTS)
    names = (*BUNDLED, *PUBLIC)
    if weights in names and not Path(weights).is_file():
        with _notes_on_stderr():
            model = load_pretrained(weights)
    elif _looks_like_a_name(weights):
        raise ValueError(
            f"no file and no known weights are named {weights!r}; known weights are {', '.join(names)}"
            f"{did_you_mean(weights, names)}"
        )
    else:
        with _notes_on_stderr():
            model = from_checkpoint(existing_file(weights))
    if variant is not None and model.variant.name != variant:
        raise ValueError(f"{weights} holds {model.variant.name}, not {variant}")
    return model


@contextlib.contextmanager
def _notes_on_stderr() -> Iterator[None]:
    """Print what loading has to say, such as that averaged weights were taken, as a line instead of a warning."""
    from ..checkpoints import CheckpointNote

    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", CheckpointNote)
        yield
    for warning in caught:
        if issubclass(warning.category, CheckpointNote):
            print(f"note: {warning.message}", file=sys.stderr)
        else:
            warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)


def _looks_like_a_name(weights: str) -> bool:
    """Whether somebody who wrote this meant a name rather than a file."""
    return bool(weights) and not Path(weights).suffix and Path(weights).name == weights and not Path(weights).exists()


def fuse_for(model: LiteHRNet, size: tuple[int, int], dynamic: str | None) -> FusedLiteHRNet:
    """The fast graph for one size, or the one that leaves the size free."""
    from ..fusion import fuse

    # What pleases ONNX Runtime most has the size built in.
    return fuse(model, size, target="openvino") if dynamic == "size" else fuse(model, size)


def runner(model: str, size: tuple[int, int] | None, precision: str = "float32") -> tuple[Run, tuple[int, int]]:
    """The model as a function of arrays, and the size to crop for."""
    from ..runtimes.loading import load, runtime_of, usual_size
    from ..sizes import check_size

    short = {"float32": "f32", "float16": "f16", "bfloat16": "bf16"}[precision]
    size = None if size is None else check_size(size)
    runtime = runtime_of(model)
    if runtime == "torch":
        return load(load_model(model), runtime, precision=short), size or usual_size(model)
    return load(model, runtime, precision=short, size=size if runtime == "ncnn" else None), size or usual_size(model)
