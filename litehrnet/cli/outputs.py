"""The files that a command writes: declared and checked before any work, then written together or not at all.

Three rules hold in every command. A command never writes a file that it reads. It replaces a file of another kind only
with `--overwrite`, so repeating an export is easy and a mistyped name never destroys a model. And it finds problems,
such as a missing folder or the ending of another format, before it does the work and not afterwards.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from ..files import is_package, written_together

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Output", "check_outputs", "check_picture", "save_picture", "writing"]


class Output(NamedTuple):
    """A file that a command is going to write.

    Attributes:
        path: where to write it.
        kind: a key of `KINDS`, which decides what may be replaced.
        option: the option that names it on the command line.
        beside: the main file, if this one holds its weights (.bin beside .xml): both are replaced together.
    """

    path: Path
    kind: str
    option: str = "-o"
    beside: Path | None = None


def check_outputs(outputs: Sequence[Output], inputs: Sequence[str | Path], overwrite: bool = False) -> None:
    """Refuse, before any work, outputs that cannot or should not be written.

    Args:
        outputs: all files that the command will write.
        inputs: all files that it reads; names that are not files are ignored.
        overwrite: replace files of another kind.

    Raises:
        ValueError, OSError: which file, and why, in one sentence.
    """
    for number, output in enumerate(outputs):
        for path in inputs:
            if _same(output.path, Path(path)):
                raise ValueError(f"{output.path} is the file that is read; give another name with {output.option}")
        for other in outputs[:number]:
            if _same(output.path, other.path):
                raise ValueError(f"{other.option} and {output.option} name the same file, {output.path}")
        if output.kind in ("report", "numbers", "poses") and output.path.suffix.lower() != ".json":
            raise ValueError(f"cannot write {output.path}: with {output.option} the name must end in .json")
        if output.path.is_file() and not os.access(output.path, os.W_OK):
            raise PermissionError(f"cannot write {output.path}: the file is read-only")
        if not overwrite:
            _check_kind(output)
    _try(outputs)


def _check_kind(output: Output) -> None:
    path = output.path
    if not is_package(path) and (not path.is_file() or path.stat().st_size == 0):
        return
    name, recognise = KINDS[output.kind]
    if output.beside is not None:
        if output.beside.is_file() and recognise(output.beside):
            return
        reason = f"exists, and there is no {output.beside.name} to which it belongs"
    elif not recognise(path):
        reason = f"exists and is not {name}"
    else:
        return
    raise ValueError(f"{path} {reason}; give another name with {output.option}, or replace it with --overwrite")


def _same(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError, ValueError):
        if one.exists() and other.exists():
            return one.samefile(other)
        return one.resolve() == other.resolve()  # two outputs that are not there yet
    return False


class _Tried(Exception):
    """All files could be created."""


def _try(outputs: Sequence[Output]) -> None:
    """Create every file, empty and under its temporary name, and remove it again."""
    with contextlib.suppress(_Tried), written_together([output.path for output in outputs]) as temporaries:
        for output, temporary in zip(outputs, temporaries, strict=True):
            try:
                temporary.touch()
            except OSError as error:  # a name that is too long, a full disk
                raise type(error)(f"cannot write {output.path}: {(error.strerror or str(error)).lower()}") from error
        raise _Tried


@contextlib.contextmanager
def writing(outputs: Sequence[Output]) -> Iterator[tuple[Path, ...]]:
    """Yield temporary paths for the files; if the block succeeds, all of them replace the old files, otherwise none.

    A signal that arrived earlier and was swallowed still stops the command here.
    """
    from .signals import check

    with written_together([output.path for output in outputs]) as temporaries:
        try:
            yield temporaries
        except OSError as error:
            if error.errno is None or (error.filename is not None and Path(error.filename) not in temporaries):
                raise
            names = ", ".join(str(output.path) for output in outputs)
            raise OSError(f"cannot write {names}: {(error.strerror or str(error)).lower()}") from error
        check()


# ---------------------------------------------------------------------- kinds of files, by their content


def _is_onnx(path: Path) -> bool:
    from ..runtimes.graph import read_graph

    try:
        read_graph(path)
    except ValueError:
        return False
    return True


def _begins(path: Path, *words: bytes) -> bool:
    with path.open("rb") as file:
        head = file.read(4096)
    return any(word in head for word in words)


def _is_openvino(path: Path) -> bool:
    return _begins(path, b"<net ")


def _begins_as(kind: str) -> Callable[[Path], bool]:
    """A function that tells from a file's first bytes whether it has a format of `litehrnet.runtimes.signature`."""

    def recognise(path: Path) -> bool:
        from ..runtimes.signature import KINDS as FORMATS

        with path.open("rb") as file:
            return FORMATS[kind].fits(file.read(32))

    return recognise


def _is_mnn(path: Path) -> bool:
    return b"litehrnet" in path.read_bytes()  # MNN's format has no signature, but room for a word of ours


def _is_coreml(path: Path) -> bool:
    return path.is_dir() and (not any(path.iterdir()) or (path / "Manifest.json").is_file())


def _is_picture(path: Path) -> bool:
    from PIL import Image

    try:
        with Image.open(path):
            return True
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        return False


def _is_drawing(path: Path) -> bool:
    return _is_picture(path) or _begins(path, b"<svg", b"%PDF")


def _is_film(path: Path) -> bool:
    from ..videos import is_video

    return is_video(path) or _is_picture(path)


def _json_in(path: Path) -> object:
    try:
        return json.loads(path.read_bytes())
    except ValueError:
        return None


def _is_report(path: Path) -> bool:
    held = _json_in(path)
    return isinstance(held, dict) and {"machine", "rows"} <= held.keys()


def _is_numbers(path: Path) -> bool:
    held = _json_in(path)
    return isinstance(held, dict) and {"model", "data", "oks"} <= held.keys()


def _is_poses(path: Path) -> bool:
    held = _json_in(path)
    return isinstance(held, list) and all(isinstance(one, dict) and "keypoints" in one for one in held)


# What each kind is called, and how a file of it is recognised.
KINDS: dict[str, tuple[str, Callable[[Path], bool]]] = {
    "onnx": ("an ONNX file", _is_onnx),
    "openvino": ("an OpenVINO file", _is_openvino),
    "ncnn": ("an ncnn file", _begins_as("ncnn")),
    "c": ("a .lhr file", _begins_as("c")),
    "executorch": ("a .pte file", _begins_as("executorch")),
    "litert": ("a .tflite file", _begins_as("litert")),
    "mnn": ("an .mnn file of ours", _is_mnn),
    "coreml": ("a Core ML package", _is_coreml),
    "picture": ("a picture", _is_picture),
    "drawing": ("a picture", _is_drawing),
    "film": ("an animation or a video", _is_film),
    "report": ("an earlier report", _is_report),
    "numbers": ("an earlier evaluation", _is_numbers),
    "poses": ("a COCO result file", _is_poses),
}


# ---------------------------------------------------------------------- pictures


def check_picture(path: Path, size: tuple[int, int]) -> None:
    """Refuse a name under which Pillow cannot write a picture of (height, width), by writing a black one to memory.

    Pillow's table of formats is not enough: some formats take no colour, some lack their library, some take only small
    pictures, and one silently shrinks pictures that are too large.
    """
    import io

    from PIL import Image

    endings = "use an image extension such as .png"
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None:
        raise ValueError(f"cannot write {path}: {path.suffix or 'its name'} names no image format; {endings}")
    height, width = size
    memory = io.BytesIO()
    try:
        Image.new("RGB", (width, height)).save(memory, kind)
    except Exception as error:  # each format's writer has its own
        raise ValueError(f"cannot write {path}: Pillow cannot write {kind} here ({error}); {endings}") from error
    if kind in Image.OPEN:
        memory.seek(0)
        with Image.open(memory) as read:
            if read.size != (width, height):
                raise ValueError(f"cannot write {path}: {kind} does not hold {height}x{width} pixels; {endings}")


def save_picture(picture: np.ndarray, path: Path) -> None:
    """Write a picture, (H, W, 3) uint8; the format is inferred from the ending."""
    from PIL import Image

    Image.fromarray(picture).save(path)
