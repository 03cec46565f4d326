"""What the command line says: facts of a file, parity, tables and JSON of joints, and a line of progress."""

from __future__ import annotations

import contextlib
import json
import math
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

if TYPE_CHECKING:
    from ..runtimes.onnx_files import Signature
    from ..runtimes.parity import Parity

__all__ = ["Person", "as_json", "as_table", "facts", "spinner", "takes", "worst"]


class Person(NamedTuple):
    """One person's joints.

    Attributes:
        box: x, y, width, height in the photograph's pixels.
        names: K names.
        places: (K, 2), x, y in the photograph's pixels.
        scores: (K,), the peaks' values.
    """

    box: Sequence[float]
    names: Sequence[str]
    places: np.ndarray
    scores: np.ndarray

    def rows(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, x, y, score of each joint."""
        for name, (x, y), score in zip(self.names, self.places, self.scores, strict=True):
            yield name, float(x), float(y), float(score)


def as_json(photo: Path, size: tuple[int, int], people: Sequence[Person]) -> str:
    """Everything that was found, for programs."""
    told = [
        {
            "box": list(person.box),
            "joints": [
                {"name": name, "x": round(x, 2), "y": round(y, 2), "score": round(score, 4)}
                for name, x, y, score in person.rows()
            ],
        }
        for person in people
    ]
    return json.dumps({"photo": str(photo), "input_size": list(size), "people": told}, indent=2)


def as_table(people: Sequence[Person]) -> str:
    """Everything that was found, for people."""
    lines = []
    for person in people:
        lines.append(f"box {', '.join(f'{value:g}' for value in person.box)}")
        lines.append(f"  {'joint':16}{'x':>8}{'y':>8}{'score':>8}")
        lines.extend(f"  {name:16}{x:8.1f}{y:8.1f}{score:8.3f}" for name, x, y, score in person.rows())
    return "\n".join(lines)


def facts(path: Path, told: Signature) -> str:
    """Opset, nodes and megabytes of a file."""
    from ..course.netron import summary

    nodes = sum(summary(path).values())
    return f"opset {told.opset}, {nodes:,} nodes, {path.stat().st_size / 1e6:.1f} MB"


def takes(told: Signature) -> str:
    """Which batches and sizes a file runs at."""
    batch = "any batch" if told.batch is None else f"batch {told.batch} only"
    if told.dynamic != "size":
        return f"takes {batch}, {told.height}x{told.width} only"
    sides = [f"{name} {side} only" for name, side in (("height", told.height), ("width", told.width)) if side]
    return f"takes {batch}, {', '.join(sides) or 'any size'} (sides are multiples of 32, or up to 3 pixels less)"


def worst(rows: Sequence[Parity]) -> str:
    """The greatest difference of several comparisons."""
    row = max(rows, key=lambda row: (math.isnan(row.max_rel), row.max_rel))
    peaks = "same peaks" if all(row.same_peaks for row in rows) else "peaks move where torch's values are as high"
    return (
        f"relative difference at most {row.max_rel:.1e} over {len(rows)} inputs "
        f"(at {row.size[0]}x{row.size[1]}, batch {row.batch}), {peaks}"
    )


@contextlib.contextmanager
def spinner(text: str) -> Iterator[None]:
    """A line with the seconds on a terminal's standard error, gone when it is over; nothing elsewhere."""
    if not sys.stderr.isatty():
        yield
        return
    done = threading.Event()

    def turn() -> None:
        started = time.perf_counter()
        while not done.wait(0.1):
            sys.stderr.write(f"\r{text} ... {time.perf_counter() - started:.0f} s ")
            sys.stderr.flush()
        sys.stderr.write("\r\x1b[K")
        sys.stderr.flush()

    thread = threading.Thread(target=turn, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
