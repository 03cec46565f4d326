"""What every runtime's file gives to `load` and to `check_parity`: an opened network, and the checks around it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..sizes import check_size
from .signature import Signature

__all__ = ["Session", "check_array", "check_maps"]


class Session(NamedTuple):
    """An opened network.

    Attributes:
        signature: what it takes and gives; None for a torch module, which does not say.
        run: from one array per input to one array per output, in the file's order and in the file's types. Several
            threads may call it at once.
        size: the (height, width) that a torch module was trained at, if it says so.
    """

    signature: Signature | None
    run: Callable[[Sequence[np.ndarray]], list[np.ndarray]]
    size: tuple[int, int] | None = None


def check_array(images: np.ndarray, signature: Signature | None = None) -> None:
    """Refuse an array that the network, or this file, cannot take.

    Raises:
        ValueError: rank, channels, dtype, size, batch or values are wrong.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.float32:
        found = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images must be a float32 array (litehrnet.heatmaps.to_input makes one), got {found}")
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        hint = "; channels come first, so transpose it" if images.shape[-1:] == (3,) else ""
        raise ValueError(f"images must have the shape (N, 3, H, W), got {images.shape}{hint}")
    check_size(images.shape[2:])
    if signature is not None:
        check_taken(signature, images.shape)
    if not np.isfinite(images).all():
        raise ValueError("images hold values that are not finite (NaN or infinity)")


def check_taken(signature: Signature, shape: Sequence[int]) -> None:
    """Refuse a batch or a size, (N, 3, H, W), that a file does not take.

    Raises:
        ValueError: the file is made for another one.
    """
    batch, _, *size = shape
    wanted = {"batch": (signature.batch, batch), "height": (signature.height, size[0])}
    for name, (own, value) in (wanted | {"width": (signature.width, size[1])}).items():
        if own is not None and value != own:
            way = "export it with dynamic sizes" if signature.kind == "onnx" else "convert one for that size"
            raise ValueError(f"{signature.name} takes {name} {own} only, got {value}; {way}")


def check_maps(maps: np.ndarray, images: Sequence[int], name: str) -> None:
    """Refuse what cannot be the heatmaps of these images.

    Args:
        maps: what the network gave.
        images: the shape of its input, (N, 3, H, W).
        name: of the file, for the sentence.

    Raises:
        ValueError: not (N, joints, ceil(H / 4), ceil(W / 4)), or not numbers with a fraction.
    """
    count, _, height, width = images
    rows, columns = -(-height // 4), -(-width // 4)
    if maps.ndim == 4 and (len(maps), *maps.shape[2:]) == (count, rows, columns) and maps.dtype.kind == "f":
        return
    hint = ""
    if maps.ndim != 4 or maps.dtype.kind != "f":
        hint = "; does the file decode them already (post-processing)?"
    elif maps.shape[1:3] == (rows, columns):
        hint = "; its channels come last: export it with channels first, or transpose what it gives"
    elif maps.shape[2:] == (columns, rows):
        hint = "; its height and width are swapped"
    raise ValueError(
        f"{name} gives {maps.dtype} of shape {maps.shape}, where heatmaps of {height}x{width} (height x width) have "
        f"the shape ({count}, joints, {rows}, {columns}){hint}"
    )
