"""Sides and sizes in pixels: what counts as one, and which of them the network can run.

Nothing here knows torch. Sizes are given height before width.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np

__all__ = ["check_side", "check_size", "is_legal_side"]

SIZE_STEP = 32  # sides of 32m - 3 .. 32m give a largest map of exactly 8m, which halves three times


def check_side(value: object, name: str) -> int:
    """Return `value` as an int, or say in one sentence why it is no number of pixels.

    Accepts Python ints and NumPy integers. Refuses bools, floats and anything below 1.

    Raises:
        ValueError: `value` is not an integer, or is below 1.

    >>> check_side(12, "input")
    12
    """
    try:
        number = operator.index(value)
    except TypeError:
        number = None
    if number is None or isinstance(value, (bool, np.bool_)):
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
    """Return (height, width) as ints, or say which sizes the network can run near it.

    The fuse step upsamples by fixed factors, so ceil(H / 4) and ceil(W / 4) must be multiples of 8; that is, each
    side is 32m - 3 .. 32m.

    Raises:
        ValueError: `size` is not two integers, or a side is not legal; the sentence names the multiples of 32 around.

    >>> check_size((256, 192))
    (256, 192)
    """
    try:
        sides = tuple(operator.index(side) for side in size)
    except TypeError:
        sides = ()
    if len(sides) != 2 or any(isinstance(side, (bool, np.bool_)) for side in size):
        raise ValueError(f"a size is two integers, height before width, such as (256, 192); got {size!r}")
    height, width = sides
    wrong = [
        f"{name} {side} (nearest multiples of 32: {_around(side)})"
        for name, side in (("height", height), ("width", width))
        if not is_legal_side(side)
    ]
    if wrong:
        raise ValueError(
            f"the network cannot run at {height}x{width} (height x width): {' and '.join(wrong)}; "
            "each side must be a multiple of 32, or up to 3 pixels less"
        )
    return height, width


def _around(side: int) -> str:
    below = side // SIZE_STEP * SIZE_STEP
    return f"{below} and {below + SIZE_STEP}" if below > 0 else str(SIZE_STEP)
