"""Checks for the exercises of `09_one_c_file`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from .core import Verdict, check_cases, is_number, listed

__all__ = ["check_best_tile", "check_least_milliseconds", "check_place", "place"]

Buffer = tuple[int, int, int]


def check_least_milliseconds(answer: Callable[..., float]) -> Verdict:
    """Check `least_milliseconds(macs, moved, gigahertz, lanes, units, gigabytes)`: a bound from a processor's data.

    Args:
        answer: takes MACs, bytes to move, 10^9 cycles per second, floats in a vector, multiply-adds of vectors that
            the processor starts in a cycle, and 10^9 bytes per second from memory.

    >>> def least(macs, moved, gigahertz, lanes, units, gigabytes):
    ...     return max(macs / (lanes * units * gigahertz), moved / gigabytes) / 1e6
    >>> check_least_milliseconds(least)
    Right: all 6 cases agree.
    """

    def spec(macs: float, moved: float, gigahertz: float, lanes: int, units: int, gigabytes: float) -> float:
        return max(macs / (gigahertz * 1e9 * lanes * units), moved / (gigabytes * 1e9)) * 1e3

    def hints(case: tuple[Any, ...], expected: float, got: object) -> str | None:
        macs, moved, gigahertz, lanes, units, gigabytes = case
        if not is_number(got):
            return "Return one number."
        number = float(got)
        arithmetic, memory = macs / (gigahertz * lanes * units) / 1e6, moved / gigabytes / 1e6
        if np.isclose(number, arithmetic + memory):
            return "You add both times; arithmetic and memory work at the same time, so the longer one is the limit."
        if np.isclose(number, max(2 * arithmetic, memory)):
            return "A multiply-add is one instruction, not two: MACs per second, not operations per second."
        if np.isclose(number, max(arithmetic * units, memory)):
            return "The processor starts `units` multiply-adds of vectors in every cycle."
        if np.isclose(number, max(arithmetic * lanes, memory)):
            return "Each multiply-add works on a vector of `lanes` numbers."
        if any(np.isclose(number, expected * factor) for factor in (1e-6, 1e-3, 1e3, 1e6)):
            return "Right except for the unit: the answer is in milliseconds."
        return None

    cases = [
        (200e6, 5e6, 3.2, 8, 4, 60.0),  # first, because it tells all hints apart
        (200e6, 5e6, 3.0, 8, 2, 20.0),  # a desktop with AVX2
        (200e6, 5e6, 2.5, 16, 2, 100.0),  # a server with AVX-512
        (200e6, 5e6, 2.4, 4, 2, 10.0),  # a board with a 64-bit Arm core
        (0.0, 60e6, 2.0, 16, 2, 30.0),
        (30e6, 600e6, 2.0, 4, 1, 8.0),
    ]
    return check_cases(answer, spec, cases, hints=hints)


def check_best_tile(answer: Callable[[int], tuple[int, int]]) -> Verdict:
    """Check `best_tile(registers)`: the tile that fits and does the most multiply-adds per load.

    Args:
        answer: takes the number of vector registers and returns (pixels, vectors). Such a tile takes
            pixels * vectors registers for its sums, one for each vector of weights, and one for a pixel; a step of it
            loads every vector and every pixel once. Of equally good tiles the one with more pixels is wanted.

    >>> def best(registers):
    ...     shapes = [(p, v) for p in range(1, registers) for v in range(1, registers) if p * v + v + 1 <= registers]
    ...     return max(shapes, key=lambda shape: (shape[0] * shape[1] / sum(shape), shape[0]))
    >>> check_best_tile(best)
    Right: all 6 cases agree.
    """

    def spec(registers: int) -> tuple[int, int]:
        best, most = (1, 1), (0.0, 0)
        for pixels in range(1, registers):
            for vectors in range(1, registers):
                if pixels * vectors + vectors + 1 <= registers:
                    found = pixels * vectors / (pixels + vectors), pixels
                    if found > most:
                        best, most = (pixels, vectors), found
        return best

    def hints(case: tuple[Any, ...], expected: tuple[int, int], got: object) -> str | None:
        shape = listed(got)
        if not isinstance(shape, list) or len(shape) != 2 or not all(is_number(side) for side in shape):
            return "Return two numbers: pixels and vectors."
        pixels, vectors = (int(side) for side in shape)
        if (vectors, pixels) == expected:
            return "Pixels come first, then vectors."
        if pixels < 1 or vectors < 1:
            return "A tile has at least one pixel and one vector."
        needed = pixels * vectors + vectors + 1
        if needed > case[0]:
            return f"That tile needs {needed} registers: {pixels * vectors} sums, {vectors} weights and a pixel."
        return f"It fits, but {expected[0]} pixels by {expected[1]} vectors do more multiply-adds per load."

    def pair(registers: int) -> Any:
        got = listed(answer(registers))
        return tuple(got) if isinstance(got, list) else got

    return check_cases(pair, spec, [(4,), (8,), (16,), (24,), (32,), (64,)], hints=hints)


def place(buffers: Sequence[Buffer]) -> list[int]:
    """A place for each buffer in one block of memory: the largest first, each as low as it can be.

    Args:
        buffers: (size, first step, last step) of each; two that are needed at the same step may not overlap.

    Returns:
        Where each one starts. Of equally large ones the earlier in the list is placed first.

    >>> place([(4, 0, 1), (2, 1, 2), (4, 2, 3)])
    [0, 4, 0]
    """
    starts = [0] * len(buffers)
    placed: list[int] = []
    for one in sorted(range(len(buffers)), key=lambda number: -buffers[number][0]):
        size, first, last = buffers[one]
        beside = [other for other in placed if buffers[other][1] <= last and first <= buffers[other][2]]
        start = 0
        for other in sorted(beside, key=lambda number: starts[number]):
            if starts[other] - start >= size:
                break
            start = max(start, starts[other] + buffers[other][0])
        starts[one] = start
        placed.append(one)
    return starts


def check_place(answer: Callable[[Sequence[Buffer]], Sequence[int]]) -> Verdict:
    """Check `place(buffers)`: where each buffer starts, the largest placed first, each as low as it can be.

    >>> check_place(place)
    Right: all 7 cases agree.
    """

    def hints(case: tuple[Any, ...], expected: list[int], got: object) -> str | None:
        buffers = case[0]
        if not isinstance(got, list) or len(got) != len(buffers) or not all(is_number(start) for start in got):
            return f"Return a list of {len(buffers)} numbers, in the order of the buffers."
        for a, (size, first, last) in enumerate(buffers):
            for b, (other, begins, ends) in enumerate(buffers[:a]):
                together = first <= ends and begins <= last
                if together and got[a] < got[b] + other and got[b] < got[a] + size:
                    return f"Buffers {b} and {a} are needed at the same step and share memory."
        ends_at = (start + size for start, (size, _, _) in zip(got, buffers, strict=True))
        if max(ends_at) >= sum(size for size, _, _ in buffers):
            return "Nothing is used twice: the place of a buffer is free again after its last step."
        return "Nothing overlaps, but the order is another: place the largest first, each as low as it can be."

    rng = np.random.default_rng(0)

    def some(count: int) -> list[Buffer]:
        firsts, lives, sizes = rng.integers(0, 20, count), rng.integers(0, 6, count), rng.integers(1, 9, count)
        return [(int(s), int(f), int(f + n)) for s, f, n in zip(sizes, firsts, lives, strict=True)]

    cases: list[tuple[list[Buffer]]] = [
        ([(4, 0, 1)],),
        ([(4, 0, 1), (2, 1, 2), (4, 2, 3)],),
        ([(1, 0, 9), (2, 0, 3), (3, 2, 5), (2, 4, 9)],),  # a gap that a later one fills
        ([(2, 0, 0), (2, 0, 0), (2, 1, 1)],),
        (some(8),),
        (some(20),),
        (some(60),),
    ]
    return check_cases(lambda buffers: listed(answer(list(buffers))), place, cases, hints=hints)
