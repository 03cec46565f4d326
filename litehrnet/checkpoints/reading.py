"""Reading a weights file of any kind without running code from it.

A `.pth` file is a pickle, and a pickle can call any function by name. Every file is therefore read with torch's
restricted reader (`weights_only=True`). It calls only the functions that rebuild tensors, and the stand-ins listed
below: inert ones for the objects that trainers store with the weights, and careful ones for NumPy's arrays and numbers.
Everything else is refused, and the message names it.

The kind of a file is inferred from its content; its name does not matter.
"""

from __future__ import annotations

import re
import threading
import warnings
import zipfile
from collections import OrderedDict
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch

from ..checks import first_line
from .saving import read_metadata

__all__ = ["Contents", "read_file"]


class Contents(NamedTuple):
    """What a weights file holds.

    Attributes:
        held: the unpickled object, or the tensors of a safetensors file by name.
        metadata: what a safetensors file says about itself; empty for a pickle.
    """

    held: object
    metadata: dict[str, str]


def read_file(path: Path) -> Contents:
    """Read a weights file of any kind without running code from it.

    Raises:
        FileNotFoundError: no such file.
        ValueError: it is not a weights file, is damaged, or contains something that could run code; the message says
            which.
    """
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the checkpoint file in it")
    if not path.is_file():
        raise ValueError(f"{path} is a pipe or a device, not an ordinary file")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"{path} is empty: 0 bytes")
    if _is_safetensors(head):
        return Contents(_read_safetensors(path), read_metadata(path))
    if head.startswith(b"PK"):  # a zip archive: torch 1.6 and later
        return Contents(_read_pickle(path, _protocol_in_archive(path)), {})
    if head.startswith(_OLDER_TORCH):
        return Contents(_read_pickle(path, head[1]), {})
    raise ValueError(f"{path} is not a checkpoint but {_described(path, head)}")


# ----------------------------------------------------------------------------------------------------- kinds of file

# Protocol 2 and a number, the first of the four pickles in a file of torch before 1.6.
_OLDER_TORCH = b"\x80\x02\x8a\x0a" + (0x1950A86A20F9469CFC6C).to_bytes(10, "little") + b"."
_HEADER_LIMIT = 100_000_000  # bytes; safetensors' own limit for its header
_BEGINNINGS = (
    (b"version https://git-lfs", "a pointer of Git LFS: run `git lfs pull`"),
    (b"<!doctype", "a web page: the download went wrong"),
    (b"<html", "a web page: the download went wrong"),
    (b"\x1f\x8b", "a gzip archive: unpack it first"),
    (b"BZh", "a bzip2 archive: unpack it first"),
    (b"\xfd7zXZ", "an xz archive: unpack it first"),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive: unpack it first"),
    (b"\x89HDF", "an HDF5 file, as Keras writes it"),
)


def _is_safetensors(head: bytes) -> bool:
    """Eight bytes with the length of a JSON object, which follows."""
    return head[8:9] == b"{" and int.from_bytes(head[:8], "little") <= _HEADER_LIMIT


def _described(path: Path, head: bytes) -> str:
    beginning = head.lstrip().lower()
    for start, description in _BEGINNINGS:
        if beginning.startswith(start.lower()):
            return description
    if len(head) > 1 and head.startswith(b"\x80"):
        return f"a bare pickle (protocol {head[1]}); save the weights with torch.save(model.state_dict(), ...)"
    if path.suffix.lower() in (".onnx", ".xml", ".bin", ".param", ".lhr", ".pt2", ".tflite"):
        return f"a {path.suffix} file; give the weights that it was exported from"
    return f"a file that begins with {head[:16]!r}"


def _protocol_in_archive(path: Path) -> int:
    """The pickle protocol of torch's zip archive; other archives are refused."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
            pickled = next((name for name in names if name.rsplit("/", 1)[-1] == "data.pkl"), None)
            start = b"" if pickled is None else archive.open(pickled).read(2)
    except (zipfile.BadZipFile, NotImplementedError, OSError, RuntimeError, ValueError) as error:
        raise ValueError(_damaged(path, error)) from error
    ends = {name.rsplit("/", 1)[-1] for name in names}
    if "constants.pkl" in ends:
        raise ValueError(
            f"{path} is a TorchScript program, not a checkpoint; where it was made, save only the weights, with "
            "torch.save(model.state_dict(), ...)"
        )
    if pickled is None:
        shown = ", ".join(_plain(name) for name in names[:3]) + (", ..." if len(names) > 3 else "")
        kind = "a program of torch.export" if "archive_format" in ends else "a zip archive"
        raise ValueError(f"{path} is {kind}, not a checkpoint; it holds {shown or 'nothing'}")
    return start[1] if len(start) == 2 else 2


# -------------------------------------------------------------------------------------------------------- safetensors


def _read_safetensors(path: Path) -> dict[str, torch.Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, KeyError) as error:  # KeyError: a type that this version does not know
        raise ValueError(_damaged(path, error)) from error


# ------------------------------------------------------------------------------------------------------------ pickles


class _Inert:
    """Stands in for an object that is not needed: accepts any arguments and any state, and keeps nothing."""

    def __new__(cls, *_: object, **__: object) -> _Inert:
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        pass


class _PlainDict:
    """Stands in for subclasses of dict: a call returns an OrderedDict, which torch's reader can fill."""

    def __new__(cls, *items: Any, **_: object) -> OrderedDict[object, object]:  # type: ignore[misc]
        return OrderedDict(items[0]) if items and isinstance(items[0], dict) else OrderedDict()


def _plain_list(*_: object) -> list[object]:
    """Stands in for classes that are filled like a list, such as deque."""
    return []


def _no_bytes(*_: object) -> bytes:
    """Stands in for `bytes`, which the pickles of torch.save call only for empty bytes."""
    return b""


def _attribute(*_: object) -> _Inert:
    """Stands in for `getattr`, with which pickle names methods of a class, as in mmengine's HistoryBuffer."""
    return _Inert()


class _NumberType:
    """Stands in for `numpy.dtype`, for types of numbers only.

    NumPy's own unpickling trusts any flags and sizes in a pickle, and so accepts any address as an object. Here the
    type is built from its short name instead, such as "f4"; `plain` is None for anything but numbers.
    """

    def __init__(self, code: Any = "", *_: object) -> None:
        known = isinstance(code, str) and re.fullmatch(r"b1|[iu][1248]|f[248]|c(?:8|16)", code)
        self.plain = np.dtype(code) if known else None

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if self.plain is not None and state[1] == ">":
            self.plain = self.plain.newbyteorder(">")


class _Numbers(np.ndarray):
    """Stands in for an array, and for the function that rebuilds one; it stays empty unless it holds numbers."""

    def __new__(cls, *_: object) -> _Numbers:
        return np.zeros(0).view(cls)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        _, shape, kind, fortran, values = state
        if isinstance(kind, _NumberType) and kind.plain is not None and isinstance(values, bytes):
            # This compares the lengths.
            super().__setstate__((1, shape, kind.plain, bool(fortran), values))  # type: ignore[arg-type]


def _number(kind: object, value: object = None, *_: object) -> object:
    """Stands in for the function that rebuilds a NumPy number."""
    if isinstance(kind, _NumberType) and kind.plain is not None and isinstance(value, bytes):
        return np.frombuffer(value, kind.plain, count=1)[0]
    return _Inert()


_PATHS = ("Path", "PosixPath", "PurePath", "PurePosixPath", "PureWindowsPath", "WindowsPath")
_STAND_INS: dict[object, tuple[str, ...]] = {
    _Inert: (
        "argparse.Namespace",
        *(f"builtins.{name}" for name in ("bool", "frozenset", "object", "range", "slice", "str", "tuple")),
        "datetime.date",
        "datetime.datetime",
        "datetime.time",
        "datetime.timedelta",
        "datetime.timezone",
        "mmengine.logging.history_buffer.HistoryBuffer",
        "mmengine.logging.log_buffer.LogBuffer",
        "mmengine.logging.message_hub.MessageHub",
        "omegaconf.base.ContainerMetadata",
        "omegaconf.base.Metadata",
        "omegaconf.dictconfig.DictConfig",
        "omegaconf.listconfig.ListConfig",
        *(f"omegaconf.nodes.{kind}Node" for kind in ("Any", "Boolean", "Bytes", "Float", "Integer", "Path", "String")),
        *(f"{module}.{path}" for module in ("pathlib", "pathlib._local") for path in _PATHS),
        "types.SimpleNamespace",
        "typing.Any",
        "uuid.UUID",
    ),
    _PlainDict: (
        "addict.addict.Dict",
        "builtins.dict",
        "collections.defaultdict",
        "easydict.EasyDict",
        "lightning.fabric.utilities.data.AttributeDict",
        "lightning.pytorch.utilities.parsing.AttributeDict",
        "lightning_fabric.utilities.data.AttributeDict",
        "mmcv.utils.config.ConfigDict",
        "mmengine.config.config.ConfigDict",
        "pytorch_lightning.utilities.parsing.AttributeDict",
        "yacs.config.CfgNode",
    ),
    _plain_list: ("builtins.list", "collections.deque"),
    _no_bytes: ("builtins.bytes",),
    _attribute: ("builtins.getattr",),
    int: ("builtins.int",),  # the default of a defaultdict
    float: ("builtins.float",),
    _NumberType: ("numpy.dtype",),
    # NumPy 2 renamed the module that its pickles name.
    _Numbers: ("numpy.ndarray", "numpy.core.multiarray._reconstruct", "numpy._core.multiarray._reconstruct"),
    _number: ("numpy.core.multiarray.scalar", "numpy._core.multiarray.scalar"),
}
_ALLOWED = {(stand_in, name) for stand_in, names in _STAND_INS.items() for name in names}
_ONE_AT_A_TIME = threading.Lock()  # torch's list of allowed names belongs to the whole process


def _read_pickle(path: Path, protocol: int) -> object:
    try:
        with _ONE_AT_A_TIME, warnings.catch_warnings():
            warnings.filterwarnings("ignore", message="Detected pickle protocol")  # `_why` says it, where it matters
            # What the caller has allowed stays allowed afterwards.
            added = _ALLOWED - set(torch.serialization.get_safe_globals())
            # An open file, because torch.load would judge a path by its ending.
            with torch.serialization.safe_globals(list(added)), path.open("rb") as file:  # type: ignore[arg-type]
                return torch.load(file, map_location="cpu", weights_only=True)
    # A pickle with a flipped bit can raise nearly any kind of exception.
    except Exception as error:
        raise ValueError(_why(path, protocol, error)) from error


def _why(path: Path, protocol: int, error: Exception) -> str:
    """The message for a file that torch's reader refused."""
    reason = str(error).rpartition("WeightsUnpickler error: ")[2]
    met = re.search(r"GLOBAL (.+?) (?:was not an allowed|whose module)", reason, re.DOTALL)
    met = met or re.search(r"<(?:class|function|built-in function) '?([^'> ]+)", reason)
    if met:
        return (
            f"{path} holds more than weights: {_plain(met[1])} (part of a whole pickled model, or a trainer's object); "
            "reading that could run code from the file, so it is refused; where it was made, save only the weights, "
            "with torch.save(model.state_dict(), ...)"
        )
    if protocol != 2 and "operand" in reason:
        return (
            f"{path} is written in pickle protocol {protocol}, but the safe reader knows only protocol 2, which "
            "torch.save uses; where it was made, save the weights with torch.save(model.state_dict(), ...)"
        )
    return _damaged(path, error)


def _damaged(path: Path, error: BaseException) -> str:
    reason = str(error).rpartition("WeightsUnpickler error: ")[2].strip() or type(error).__name__
    return f"{path} is cut short or damaged ({path.stat().st_size} bytes): {_plain(first_line(ValueError(reason)))}"


def _plain(text: str) -> str:
    """Text from a file, without control characters and shortened."""
    return "".join(letter if letter.isprintable() else "?" for letter in text)[:160]
