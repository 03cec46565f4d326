"""What an exported file takes and gives, whatever its format; torch-free.

`signature` reads it without running the file. OpenVINO's, ncnn's and the C engine's files need no package for that; an
ONNX file needs `onnx`, a Core ML package `coremltools`, and a file for phones its own runtime. A runtime that has
opened a file knows the same, and `litehrnet.runtimes.load` asks it instead.
"""

from __future__ import annotations

import importlib
import importlib.util
import json
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from ..files import existing_file

__all__ = [
    "DEFAULT_SIZE",
    "JOINTS",
    "KINDS",
    "METADATA_KEY",
    "PIXELS",
    "SCORES",
    "FileKind",
    "Port",
    "Signature",
    "check_metadata",
    "checksum",
    "content_of",
    "kind_of",
    "megabytes",
    "read_metadata",
    "signature",
]

METADATA_KEY = "litehrnet"
DEFAULT_SIZE = (256, 192)
LONGEST_NAME = 100
HEATMAPS = "heatmaps"  # the name of the output in our own files
PIXELS = "pixels"  # of the input that takes pixels, (N, H, W, 3) uint8, and normalises them in the graph
JOINTS, SCORES = "joints", "scores"  # the further outputs of a file that decodes its heatmaps


@dataclass(frozen=True)
class FileKind:
    """A row of the table of formats.

    Attributes:
        suffix: how the name ends, in lower case.
        runtime: the key of `litehrnet.runtimes.RUNTIMES` that such a file is run with; "coreml" is not among them,
            since it runs on Apple's systems only.
        reader: the module of this package whose `read_signature` reads it.
        begins: what the content begins with, or has at `at`; none where nothing marks it.
        what: the format in words.
        at: where those bytes are.
    """

    suffix: str
    runtime: str
    reader: str
    begins: tuple[bytes, ...]
    what: str
    at: int = 0

    def fits(self, start: bytes) -> bool:
        """Whether the first bytes of a file are those of this format."""
        return start[self.at :].startswith(self.begins) if self.begins else False


KINDS = {
    "onnx": FileKind(".onnx", "onnxruntime", "graph", (b"\x08",), "an ONNX file"),
    "openvino": FileKind(".xml", "openvino", "openvino", (b"<?xml", b"<net"), "an OpenVINO .xml file"),
    "ncnn": FileKind(".param", "ncnn", "ncnn", (b"7767517",), "an ncnn .param file"),
    "c": FileKind(".lhr", "c", "c", (b"lhrnet\x1a\n",), "a .lhr file"),
    # Two formats on flatbuffers, whose name comes after an offset of four bytes; an MNN file has no such name.
    "executorch": FileKind(".pte", "executorch", "executorch", (b"ET12",), "a .pte file", at=4),
    "litert": FileKind(".tflite", "litert", "litert", (b"TFL3",), "a .tflite file", at=4),
    "mnn": FileKind(".mnn", "mnn", "mnn", (), "an .mnn file"),
    # A folder, which users see as one file.
    "coreml": FileKind(".mlpackage", "coreml", "coreml", (), "an .mlpackage file"),
}

# Files that people pass by mistake.
_OTHERS = {
    b"PK\x03\x04": "a zip archive, as PyTorch checkpoints are",
    b"\x80\x02": "a pickle, as old PyTorch checkpoints are",
    b"\x80\x04": "a pickle",
    b"\x89PNG": "a picture",
    b"\xff\xd8\xff": "a picture",
    b"\x1f\x8b": "a gzip archive",
    b"version https://git-lfs": "a Git LFS pointer, not the file itself",
    b"<!DOCTYPE": "a web page",
    b"<html": "a web page",
}


@dataclass(frozen=True)
class Port:
    """One input or output of a file.

    Attributes:
        name: as the file has it.
        dtype: NumPy's name for it, such as "float32".
        shape: None for every dimension that the file leaves free; None instead of the tuple where it does not say.
        bounds: least and most of every dimension, in formats that limit what is free.
    """

    name: str
    dtype: str = "float32"
    shape: tuple[int | None, ...] | None = None
    bounds: tuple[tuple[int, int], ...] | None = None


@dataclass(frozen=True)
class Signature:
    """What a file takes and gives.

    Attributes:
        name: the file's name.
        kind: its format, a key of `KINDS`.
        inputs, outputs: in the file's order.
        opset: of ONNX's standard operators; None in other formats, and where a runtime does not tell.
        metadata: what `litehrnet.export` stored; empty for files from other tools.
    """

    name: str
    kind: str
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    opset: int | None = None
    metadata: Mapping[str, object] = field(default_factory=dict)

    @property
    def input(self) -> str:
        """The name of the first input."""
        return self.inputs[0].name

    @property
    def output(self) -> str:
        """The name of the output that holds the heatmaps: "heatmaps" if there is one, the first otherwise."""
        return self.outputs[self.output_index].name

    @property
    def output_index(self) -> int:
        """The place of `output` among the outputs."""
        return next((place for place, port in enumerate(self.outputs) if port.name == HEATMAPS), 0)

    @property
    def pixels(self) -> bool:
        """Whether the file takes RGB pixels, (N, H, W, 3) uint8, and normalises them itself."""
        return self.inputs[0].name == PIXELS and self.inputs[0].dtype == "uint8"

    @property
    def decoded(self) -> bool:
        """Whether the file gives joints and scores beside the heatmaps."""
        return {JOINTS, SCORES} <= {port.name for port in self.outputs}

    def _side(self, axis: int) -> int | None:
        """A side of the input, whose axes are (N, C, H, W) or, where it takes pixels, (N, H, W, C)."""
        shape = self.inputs[0].shape
        axis = (0, 3, 1, 2)[axis] if self.pixels else axis
        return shape[axis] if shape is not None and len(shape) > axis else None

    @property
    def batch(self) -> int | None:
        """Images in one call, None where any number goes."""
        return self._side(0)

    @property
    def channels(self) -> int | None:
        """Channels of the input."""
        return self._side(1)

    @property
    def height(self) -> int | None:
        """Height of the input in pixels, None where it is free."""
        return self._side(2)

    @property
    def width(self) -> int | None:
        """Width of the input in pixels, None where it is free."""
        return self._side(3)

    @property
    def joints(self) -> int | None:
        """Channels of the output, None where the file does not say."""
        shape = self.outputs[self.output_index].shape
        return shape[1] if shape is not None and len(shape) > 1 else None

    @property
    def dynamic(self) -> str | None:
        """None, "batch" or "size", as `litehrnet.export.export` takes it."""
        if self.height is None or self.width is None:
            return "size"
        return "batch" if self.batch is None else None

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) to run at: the file's own; where it leaves a side free, the traced one, or 256x192."""
        stored = self.metadata.get("size", DEFAULT_SIZE)
        height, width = stored if isinstance(stored, Sequence) else DEFAULT_SIZE
        return self.height or height, self.width or width

    def check_image_network(self) -> None:
        """Refuse a file that is not one image in and heatmaps out.

        Raises:
            ValueError: it has other inputs, no output, or an input that is not (N, 3, H, W).
        """
        if len(self.inputs) != 1 or not self.outputs:
            raise ValueError(
                f"{self.name} has {len(self.inputs)} inputs and {len(self.outputs)} outputs, where one image goes in "
                "and heatmaps come out"
            )
        port = self.inputs[0]
        if port.shape is None:
            return
        if len(port.shape) != 4:
            raise ValueError(
                f"{self.name}: the input {port.name!r} has {len(port.shape)} dimensions, expected 4: (N, 3, H, W)"
            )
        if self.channels not in (3, None):
            hint = "; its channels come last: export it with channels first" if port.shape[3] == 3 else ""
            raise ValueError(f"{self.name} takes {self.channels} channels, expected (N, 3, H, W){hint}")


def kind_of(path: str | Path) -> str | None:
    """The format of an exported file, a key of `KINDS`; None for anything else, such as a checkpoint.

    It is inferred from how the name ends, and from the content where the ending says nothing.

    >>> kind_of("my.onnx"), kind_of("MY.ONNX"), kind_of("my.ncnn.param"), kind_of("my.pth")
    ('onnx', 'onnx', 'ncnn', None)
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix in (".pth", ".pt", ".safetensors"):
        return None
    for kind, row in KINDS.items():
        if suffix == row.suffix:
            return kind
    if not path.is_file():
        return None
    start = _start(path)
    return next((kind for kind, row in KINDS.items() if row.fits(start)), None)


def content_of(path: Path) -> str | None:
    """What a file holds, in words, if its first bytes tell; otherwise None.

    Messages use it about a file that is not what its name says.
    """
    if path.is_dir():  # a package
        return None
    start = _start(path)
    if not start:
        return "an empty file"
    if start[8:9] == b"{" and not any(start[4:8]):  # eight bytes of length, then JSON
        return "a safetensors file, that is, a checkpoint"
    found = {magic: what for magic, what in _OTHERS.items() if start.startswith(magic)}
    kinds = [row.what for row in KINDS.values() if row.fits(start)]
    return next(iter([*found.values(), *kinds]), None)


def megabytes(path: Path) -> float:
    """The size of a model: of the file named, and of the files beside it that hold its weights.

    These are the .bin file of OpenVINO and ncnn, whatever is in a Core ML package, and whatever an ONNX file names as
    external data; without the package `onnx`, which reads those names, only the ONNX file itself counts.

    Args:
        path: an exported file, or any other, such as a checkpoint.

    Raises:
        FileNotFoundError: there is no such file, or one of those beside it is missing.
    """
    files, kind = ({path} if path.is_file() else {file for file in path.rglob("*") if file.is_file()}), kind_of(path)
    if kind in ("openvino", "ncnn"):
        files.add(path.with_suffix(".bin"))
    if kind == "onnx" and importlib.util.find_spec("onnx"):
        from .graph import external_files, read_graph

        files.update(path.parent / name for name in external_files(read_graph(path)))
    return sum(file.stat().st_size for file in files) / 1e6


def _start(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(32)


def signature(path: str | Path) -> Signature:
    """What an exported file takes and gives, in any of the formats of `KINDS`.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        ValueError: it is not an exported file, or a damaged one.
        ImportError: its format needs a package that is not installed.
    """
    kind = kind_of(path)
    path = existing_file(path)
    if kind is None:
        held = content_of(path)
        endings = ", ".join(row.suffix for row in KINDS.values())
        raise ValueError(f"{path.name} is not an exported file ({endings}){f', but {held}' if held else ''}")
    return reader(kind)(path)


def reader(kind: str) -> Callable[[Path], Signature]:
    """The function that reads the signature of one format."""
    read: Callable[[Path], Signature] = importlib.import_module(f".{KINDS[kind].reader}", __package__).read_signature
    return read


def checksum(weights: bytes) -> int:
    """The checksum of weights that the graph's file keeps: a positive 31-bit integer, since ncnn stores no more."""
    return zlib.crc32(weights) & 0x7FFFFFFF


def _name(value: object) -> bool:
    """Whether this can be shown: a text without control characters, which a terminal would obey."""
    return isinstance(value, str) and value.isprintable() and 0 < len(value) <= LONGEST_NAME


def _count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0


def _size(value: object) -> bool:
    return isinstance(value, list) and len(value) == 2 and all(map(_count, value))


# What each known entry must be; others may be anything.
_ENTRIES: dict[str, tuple[str, Callable[[object], bool]]] = {
    "variant": ("a name", _name),
    "input": ('"float32" or "uint8"', lambda value: value in ("float32", "uint8")),
    "decoded": ("true or false", lambda value: isinstance(value, bool)),
    "size": ("[height, width] in pixels", _size),
    "dynamic": ('null, "batch" or "size"', lambda value: value in (None, "batch", "size")),
    "joints": ("a number of joints", _count),
    "weights": ("a name", _name),
    "pooling": ("a name or null", lambda value: value is None or _name(value)),
    "version": ("a version", _name),
}


def read_metadata(stored: str | None, name: str) -> dict[str, object]:
    """The metadata of a file from its JSON text; empty where there is none.

    Args:
        stored: the text under `METADATA_KEY`.
        name: the file's name, for the sentence.

    Raises:
        ValueError: it is not JSON, not an object, or an entry is not of its kind.

    >>> read_metadata('{"size": [256, 192], "dynamic": false}', "my.onnx")
    {'size': [256, 192], 'dynamic': None}
    """
    if stored is None:
        return {}
    try:
        metadata = json.loads(stored)
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits are a plain ValueError
        raise ValueError(f"{name}: its metadata {METADATA_KEY!r} is not JSON ({error})") from error
    if not isinstance(metadata, dict):
        raise ValueError(f"{name}: its metadata {METADATA_KEY!r} is not a JSON object but {stored[:40]!r}")
    return check_metadata(metadata, name)


def check_metadata(metadata: dict[str, object], name: str) -> dict[str, object]:
    """The metadata of a file, if every known entry is of its kind.

    Raises:
        ValueError: one is not.
    """
    if metadata.get("dynamic") is False:  # as the first edition wrote it
        metadata["dynamic"] = None
    for key, (wanted, fits) in _ENTRIES.items():
        if key in metadata and not fits(metadata[key]):
            raise ValueError(
                f"{name}: its metadata {METADATA_KEY!r} says {key} is {json.dumps(metadata[key])[:40]}, "
                f"which is not {wanted}"
            )
    return metadata
