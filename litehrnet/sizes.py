"""Sides and sizes in pixels: parsing them, checking them, and which of them the network can run at.

Torch-free. Sizes are given height before width.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np

__all__ = ["LARGEST_AREA", "check_memory", "check_side", "check_size", "is_legal_side", "parse_size"]

SIZE_STEP = 32  # sides of 32m - 3 .. 32m give a largest map of exactly 8m, which halves three times
LARGEST_AREA = 4096 * 4096  # pixels of one image
BYTES_PER_PIXEL = 180  # PyTorch's memory for one image in float32, measured on Lite-HRNet-18 from 1536x1536 up


def parse_size(text: str) -> tuple[int, int]:
    """Parse a size, height before width: "256x192", also with X, ×, * or a comma between the numbers.

    Whether the network runs at that size is for `check_size` to decide.

    Raises:
        ValueError: the text is not two whole numbers.

    >>> parse_size("256x192"), parse_size(" 384 × 288 ")
    ((256, 192), (384, 288))
    """
    match = re.fullmatch(r"\s*([0-9]{1,18})\s*[xX×*,]\s*([0-9]{1,18})\s*", text)
    if match is None:
        raise ValueError(f"{text!r} is not height x width in pixels, such as 256x192")
    height, width = (int(side) for side in match.groups())
    return height, width


def check_side(value: object, name: str) -> int:
    """Return `value` as an int, or say in one sentence why it is not a number of pixels.

    Accepts Python ints and NumPy integers. Refuses bools, floats and anything below 1.

    Raises:
        ValueError: `value` is not an integer, or is below 1.

    >>> check_side(12, "input")
    12
    """
    try:
        number = None if isinstance(value, (bool, np.bool_)) else operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        number = None
    if number is None:
        raise ValueError(f"{name} must be an integer number of pixels, got {value!r} ({type(value).__name__})")
    if number < 1:
        raise ValueError(f"{name} must be at least 1 pixel, got {number}")
    return number


def is_legal_side(side: int) -> bool:
    """Whether the network runs with this many pixels on a side: 32m - 3 .. 32m.

    >>> [is_legal_side(side) for side in (189, 192, 193, 256)]
    [True, True, False, True]
    """
    return side > 0 and -side % SIZE_STEP <= 3


def check_size(size: Sequence[int]) -> tuple[int, int]:
    """Return (height, width) as ints, or say which sizes near it the network can run at.

    The fuse step upsamples by fixed factors, so ceil(H / 4) and ceil(W / 4) must be multiples of 8; that is, each
    side is 32m - 3 .. 32m. Beyond `LARGEST_AREA` pixels, most machines would run out of memory.

    Raises:
        ValueError: `size` is not two integers, a side is not legal (the message gives the nearest legal ranges), or
            the image is too large.

    >>> check_size((256, 192))
    (256, 192)
    >>> check_size((480, 854))
    Traceback (most recent call last):
    ...
    ValueError: the network cannot run at 480x854 (height x width); the nearest widths are 829 to 832 and 861 to 864
    """
    try:
        sides = tuple(operator.index(side) for side in size)
    except TypeError:
        sides = ()
    if len(sides) != 2 or any(isinstance(side, (bool, np.bool_)) for side in size):
        raise ValueError(f"a size is two integers, height before width, such as (256, 192); got {size!r}")
    height, width = sides
    wrong = [
        f"the nearest {name}s are {_around(side)}"
        for name, side in (("height", height), ("width", width))
        if not is_legal_side(side)
    ]
    if height > 0 and width > 0 and height * width > LARGEST_AREA:
        side = int(LARGEST_AREA**0.5)
        raise ValueError(
            f"{height}x{width} (height x width) is too large: {height * width:,} pixels would need about "
            f"{height * width * BYTES_PER_PIXEL / 1e9:,.0f} GB of memory; the limit is {LARGEST_AREA:,} pixels, "
            f"such as {side}x{side}"
        )
    if wrong:
        raise ValueError(f"the network cannot run at {height}x{width} (height x width); {', '.join(wrong)}")
    return height, width


def check_memory(size: Sequence[int], batch: int = 1) -> None:
    """Refuse a batch of images for which this machine's free memory is certainly not enough.

    Where the system does not say how much is free (it does on Linux), nothing is refused.

    Args:
        size: (height, width) in pixels.
        batch: images.

    Raises:
        ValueError: PyTorch would need more than is free; the message says how much.
    """
    height, width = size
    needed, free = height * width * batch * BYTES_PER_PIXEL, _free_memory()
    if free is not None and needed > free:
        raise ValueError(
            f"{batch} image{'s' if batch > 1 else ''} of {height}x{width} (height x width) would need about "
            f"{needed / 1e9:,.0f} GB of memory, and {free / 1e9:,.0f} GB are free; use a smaller size or batch"
        )


def _free_memory(table: Path = Path("/proc/meminfo")) -> int | None:
    """Bytes that programs can still take, or None where the system does not say."""
    found = re.search(r"^MemAvailable: *(\d+) kB$", table.read_text() if table.is_file() else "", re.MULTILINE)
    return int(found[1]) * 1024 if found else None


def _around(side: int) -> str:
    below = side // SIZE_STEP * SIZE_STEP
    ranges = [f"{end - 3} to {end}" for end in (below, below + SIZE_STEP) if end > 0]
    return " and ".join(ranges if below > 0 else [f"29 to {SIZE_STEP}"])
