"""The texts that the commands print: errors, facts about a file, parity, and joints as a table or as JSON."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np

    from ..runtimes import Signature
    from ..runtimes.parity import Parity

__all__ = ["NOT_RUN", "Person", "as_json", "as_line", "as_table", "facts", "in_options", "sentence", "takes", "worst"]

# What a comparison of a Core ML package means.
NOT_RUN = (
    "note: Core ML runs on Apple's systems only, and was not run: the file's operators were computed one after the "
    "other in torch, which proves its graph and its weights"
)


class Person(NamedTuple):
    """One person's joints.

    Attributes:
        box: x, y, width, height in the photograph's pixels.
        names: K names.
        places: (K, 2), x, y in the photograph's pixels.
        scores: (K,), the peaks' values.
        track: in a video, the person's number, from 1.
        lost: in a video, whether too few joints are there.
    """

    box: Sequence[float]
    names: Sequence[str]
    places: np.ndarray
    scores: np.ndarray
    track: int | None = None
    lost: bool = False

    def rows(self) -> Iterator[tuple[str, float, float, float]]:
        """Name, x, y, score of each joint."""
        for name, (x, y), score in zip(self.names, self.places, self.scores, strict=True):
            yield name, float(x), float(y), float(score)


def as_json(
    photo: Path, size: tuple[int, int], people: Sequence[Person], skeleton: Sequence[tuple[int, int]] = ()
) -> str:
    """All joints as JSON, for programs; `skeleton` holds pairs of joints, numbered from 0."""
    return json.dumps(_as_object(photo, size, people, skeleton, {}), indent=2)


def as_line(
    photo: Path,
    size: tuple[int, int],
    people: Sequence[Person],
    skeleton: Sequence[tuple[int, int]] = (),
    about: Mapping[str, object] | None = None,
) -> str:
    """The same in one line, for many pictures; `about` says which frame of a video it is."""
    return json.dumps(_as_object(photo, size, people, skeleton, about or {}))


def _as_object(
    photo: Path,
    size: tuple[int, int],
    people: Sequence[Person],
    skeleton: Sequence[tuple[int, int]],
    about: Mapping[str, object],
) -> dict[str, object]:
    found = [
        {
            **({} if person.track is None else {"track": person.track, "lost": person.lost}),
            "box": [round(float(side), 2) for side in person.box],
            "joints": [
                {"name": name, "x": round(x, 2), "y": round(y, 2), "score": round(score, 4)}
                for name, x, y, score in person.rows()
            ],
        }
        for person in people
    ]
    bones = [list(bone) for bone in skeleton]
    return {"photo": str(photo), **about, "input_size": list(size), "skeleton": bones, "people": found}


def as_table(people: Sequence[Person]) -> str:
    """All joints as a table, for people."""
    width = max((len(name) for person in people for name in person.names), default=0)
    width = max(16, width + 2)
    lines = []
    for person in people:
        lines.append(f"box {', '.join(f'{value:g}' for value in person.box)}")
        lines.append(f"  {'joint':{width}}{'x':>8}{'y':>8}{'score':>8}")
        lines.extend(f"  {name:{width}}{x:8.1f}{y:8.1f}{score:8.3f}" for name, x, y, score in person.rows())
    return "\n".join(lines)


def facts(path: Path, about: Signature) -> str:
    """The format of a file and its megabytes; for an ONNX file also the opset and the number of nodes."""
    from ..runtimes import megabytes, summary

    what = about.kind
    if about.kind == "onnx":
        what = f"opset {about.opset}, {sum(summary(path).values()):,} nodes"
    return f"{what}, {megabytes(path):.1f} MB"


def channels_last(about: Signature) -> bool:
    """Whether a file takes normalised images with the channels last, which no file of this package does."""
    shape = about.inputs[0].shape
    return shape is not None and len(shape) == 4 and shape[3] == 3 and shape[1] != 3 and not about.pixels


def takes(about: Signature) -> str:
    """Which batches and sizes a file accepts."""
    batch = f"any batch{_limits(about, 0)}" if about.batch is None else f"batch {about.batch} only"
    if about.pixels:
        batch = f"RGB pixels (uint8, channels last), {batch}"
    shape = about.inputs[0].shape
    if shape is not None and channels_last(about):
        return f"takes {batch}, {shape[1] or 'any height'}x{shape[2] or 'any width'} only, channels last"
    if about.height and about.width:
        return f"takes {batch}, {about.height}x{about.width} only"
    sides = [f"{name} {side} only" for name, side in (("height", about.height), ("width", about.width)) if side]
    free = next((f"sides{_limits(about, place)}" for place in (2, 3) if _limits(about, place)), "sides")
    return f"takes {batch}, {', '.join(sides) or 'any size'} ({free} are multiples of 32, or up to 3 pixels less)"


def _limits(about: Signature, place: int) -> str:
    """ " from ... to ...", for a dimension of the input that is free within bounds; nothing for any other."""
    bounds, shape = about.inputs[0].bounds, about.inputs[0].shape
    if bounds is None or shape is None or shape[place] is not None:
        return ""
    return f" from {bounds[place][0]} to {bounds[place][1]}"


def worst(rows: Sequence[Parity]) -> str:
    """The greatest difference of several comparisons."""
    row = max(rows, key=lambda row: (math.isnan(row.max_rel), row.max_rel))
    peaks = "same peaks" if all(row.same_peaks for row in rows) else "peaks differ only where torch's values tie"
    where = f"at {row.size[0]}x{row.size[1]}, batch {row.batch}"
    noise = "" if row.rounding is None else f", where torch's own float32 differs from float64 by {row.rounding:.1e}"
    if len(rows) == 1:
        return f"relative difference {row.max_rel:.1e} ({where}{noise}), {peaks}"
    return f"relative difference at most {row.max_rel:.1e} over {len(rows)} inputs ({where}{noise}), {peaks}"


def sentence(error: BaseException) -> str:
    """An error's message, in the words of the command line.

    >>> sentence(OSError(28, "No space left on device", "out.png"))
    'out.png: no space left on device'
    >>> sentence(MemoryError("Unable to allocate 143. TiB for an array with shape (1, 2)"))
    'there is not enough memory for this (143 TiB were requested); use a smaller --size'
    """
    text = str(error).strip()
    if isinstance(error, MemoryError) or "allocate" in text:
        amount = re.search(r"allocate ([\d.]+?)\.? ?(bytes|[KMGTPE]i?B)", text)
        asked = ""
        if amount:
            number, unit = amount.groups()
            asked = f"{float(number) / 2**30:.1f} GiB" if unit == "bytes" else f"{number} {unit}"
            asked = f" ({asked} were requested)"
        return f"there is not enough memory for this{asked}; use a smaller --size"
    if isinstance(error, OSError) and error.errno is not None and error.strerror:
        reason = error.strerror[0].lower() + error.strerror[1:]
        names = " to ".join(str(name) for name in (error.filename, error.filename2) if name is not None)
        return f"{names or 'reading or writing failed'}: {reason}"
    return in_options(text) or type(error).__name__


_OPTIONS = (
    # litehrnet.set_pooling(model, 'computed') -> --pooling computed
    (re.compile(r"litehrnet\.set_pooling\(\w+, ['\"](\w+)['\"]\)"), r"--pooling \1"),
    # exporter='dynamo' -> --exporter dynamo; size=(height, width) -> --size HxW
    (re.compile(r"\bload\(\.\.\., size=\(height, width\)\)"), "--size HxW"),
    (re.compile(r"\bresume=True"), "--resume"),
    (re.compile(r"\b(images|joints|validate)=(?:\.\.\.|'names\.json')"), r"--\1 ..."),
    (
        re.compile(r"\b(device|dynamic|exporter|opset|pooling|precision|runtime|threads|weights)=['\"]?([\w.]+)['\"]?"),
        r"--\1 \2",
    ),
)


def in_options(text: str) -> str:
    """Turn advice that names Python arguments into advice that names options of the command line.

    >>> in_options("litehrnet.set_pooling(model, 'computed') gives the same values (or use exporter='dynamo')")
    '--pooling computed gives the same values (or use --exporter dynamo)'
    """
    for python, option in _OPTIONS:
        text = python.sub(option, text)
    return text
