"""What every runtime's file gives to `load` and to `check_parity`: an opened network, and the checks around it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from ..sizes import check_size
from .signature import Port, Signature

__all__ = ["Session", "check_array", "check_maps", "example_images", "from_normalised"]

NOT_WHOLE = 0.01  # on the scale 0..255; a pixel normalised in float32 and restored is within 1e-4 of a whole number


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


def from_normalised(session: Session) -> Session:
    """Let a session that takes pixels take normalised images instead, as every other one does.

    `litehrnet.heatmaps.to_input` is undone before each run, which gives exactly the pixels that it was given.
    """
    signature = session.signature
    if signature is None or not signature.pixels:
        return session
    shape = (signature.batch, 3, signature.height, signature.width)
    port = Port(signature.input, "float32", None if signature.inputs[0].shape is None else shape)
    name = signature.name

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        return session.run([_pixels(array, name) for array in arrays])

    return Session(dataclasses.replace(signature, inputs=(port,)), run)


def _pixels(images: np.ndarray, name: str) -> np.ndarray:
    """Normalised images (N, 3, H, W) as the pixels they were, (N, H, W, 3) uint8.

    Raises:
        ValueError: they were not pixels.
    """
    from ..heatmaps import MEAN, STD

    values = images.transpose(0, 2, 3, 1) * np.array(STD, np.float32) + np.array(MEAN, np.float32)  # (N, H, W, 3)
    whole = np.rint(values)
    if np.abs(values - whole).max() > NOT_WHOLE or whole.min() < 0 or whole.max() > 255:
        raise ValueError(
            f"{name} takes pixels, whole numbers in 0..255, and normalises them itself; these images are not "
            "normalised pixels (litehrnet.heatmaps.to_input makes such images of a crop)"
        )
    return np.ascontiguousarray(whole.astype(np.uint8))


def example_images(
    signature: Signature | None, batch: int, size: Sequence[int], generator: np.random.Generator
) -> np.ndarray:
    """Random images (batch, 3, H, W) that a file takes: normalised pixels if it takes pixels, otherwise any numbers."""
    if signature is None or signature.metadata.get("input") != "uint8":
        return generator.standard_normal((batch, 3, *size), dtype=np.float32)
    from ..heatmaps import to_input

    pixels = generator.integers(0, 256, (batch, *size, 3), dtype=np.uint8)
    return np.concatenate([to_input(one) for one in pixels])


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
            way = "convert one for that size"
            if signature.kind == "onnx":
                way = "export it with a free batch" if name == "batch" else "export it at that size, or with free sizes"
            raise ValueError(f"{signature.name} takes {name} {own} only, got {value}; {way}")
    limits = signature.inputs[0].bounds
    for name, place, value in (("batch", 0, batch), ("height", 2, size[0]), ("width", 3, size[1])):
        if limits is not None and not limits[place][0] <= value <= limits[place][1]:
            raise ValueError(f"{signature.name} takes {name} {limits[place][0]} to {limits[place][1]}, got {value}")


def check_maps(maps: np.ndarray, images: Sequence[int], name: str) -> None:
    """Refuse what cannot be the heatmaps of these images.

    Args:
        maps: what the network gave.
        images: the shape of its input, (N, 3, H, W).
        name: of the file, for the sentence.

    Raises:
        ValueError: not (N, joints, ceil(H / 4), ceil(W / 4)), or not floating point.
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
