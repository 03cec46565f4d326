"""The file format of the C engine, NAME.lhr: its header, read and written. Numpy only.

Little-endian throughout::

    0    8   magic "lhrnet\\x1a\\n"           24  4x3   modules of the three stages
    8    4   version of the format, 1        36  4x4   channels of the four branches
    12   4   CRC-32 of all that follows      52  4     channels after the stem
    16   4   bytes of a weight: 4 or 2       56  4     joints
    20   4   1: channel weighting, 0: naive  60  4x2   height and width that it was trained for
    68   4x3 mean, 80 4x3 deviation (RGB, on the scale 0..255)
    92   32  name of the variant, ended by a zero byte
    124  4   bytes of the joints' names: UTF-8, each ended by a zero byte
    128  4   bytes of what only Python reads: JSON
    132      names, JSON, zero bytes up to a multiple of 4, then the weights
"""

from __future__ import annotations

import json
import struct
import zlib
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from ..files import existing_file

__all__ = ["WEIGHTS", "Header", "pack", "read_header"]

MAGIC = b"lhrnet\x1a\n"
VERSION = 1
WEIGHTS: dict[str, np.dtype[Any]] = {"float32": np.dtype("<f4"), "float16": np.dtype("<f2")}
_START = struct.Struct("<8s2I")  # magic, version, checksum of the rest
_FIXED = struct.Struct("<2I3I4I4I3f3f32s2I")


@dataclass(frozen=True)
class Header:
    """What a .lhr file says about itself.

    Attributes:
        variant: its name.
        channel_weighting: as in `litehrnet.model.Variant`, like `modules`, `channels` and `stem_channels`.
        joints: heatmaps that it gives.
        size: (height, width) that it was trained for; it runs at every legal size.
        mean, std: RGB on the scale 0..255.
        weights: "float32" or "float16".
        names: one per joint.
        metadata: whatever else was stored.
    """

    variant: str
    channel_weighting: bool
    modules: tuple[int, int, int]
    channels: tuple[int, int, int, int]
    stem_channels: int
    joints: int
    size: tuple[int, int]
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    weights: str
    names: tuple[str, ...]
    metadata: dict[str, object] = field(default_factory=dict)


def pack(header: Header, numbers: np.ndarray) -> bytes:
    """The bytes of a file: header, then the weights, rounded to what the header says.

    Raises:
        ValueError: a weight is not finite, or not in the range of float16; a name holds a zero byte, or the variant's
            name is too long.
    """
    if not np.isfinite(numbers).all():
        raise ValueError("a weight is NaN or infinite")
    with np.errstate(over="ignore"):
        stored = numbers.astype(WEIGHTS[header.weights])
    if not np.isfinite(stored).all():
        largest = float(np.abs(numbers).max())
        raise ValueError(f"the largest weight is {largest:g}, beyond the range of {header.weights}")
    variant = header.variant.encode()
    if len(variant) > 31 or any("\0" in name for name in header.names):
        raise ValueError("the variant's name must fit in 31 bytes, and no joint's name may hold a zero byte")
    names = b"".join(name.encode() + b"\0" for name in header.names)
    metadata = json.dumps(header.metadata).encode()
    fixed = _FIXED.pack(
        stored.itemsize,
        header.channel_weighting,
        *header.modules,
        *header.channels,
        header.stem_channels,
        header.joints,
        *header.size,
        *header.mean,
        *header.std,
        variant,
        len(names),
        len(metadata),
    )
    body = fixed + names + metadata
    body += b"\0" * (-(_START.size + len(body)) % 4) + stored.tobytes()
    return _START.pack(MAGIC, VERSION, zlib.crc32(body)) + body


def read_header(path: str | Path) -> Header:
    """What a file says about itself. The weights are not examined: the engine checks them when it loads the file.

    Raises:
        FileNotFoundError, IsADirectoryError: there is no such file, or it is a folder.
        ValueError: not a .lhr file, one of another version, or a damaged one.
    """
    path = existing_file(path)
    content = path.read_bytes()
    if content[: len(MAGIC)] != MAGIC:
        raise ValueError(f"{path.name} is not a .lhr file")
    try:
        _, version, checksum = _START.unpack_from(content)
        if version != VERSION:
            raise ValueError(f"{path.name} has version {version} of the .lhr format, and this package reads {VERSION}")
        if zlib.crc32(content[_START.size :]) != checksum:
            raise ValueError(f"{path.name} is damaged: its checksum does not match")
        return _unpack(content)
    except (struct.error, UnicodeDecodeError, json.JSONDecodeError) as error:
        raise ValueError(f"{path.name} is damaged ({error})") from error


def _unpack(content: bytes) -> Header:
    values = _FIXED.unpack_from(content, _START.size)
    size, weighting, *numbers, variant, names_bytes, metadata_bytes = values
    at = _START.size + _FIXED.size
    names = content[at : at + names_bytes].decode().split("\0")[:-1]
    metadata = json.loads(content[at + names_bytes : at + names_bytes + metadata_bytes])
    return Header(
        variant=variant.split(b"\0")[0].decode(),
        channel_weighting=bool(weighting),
        modules=tuple(numbers[:3]),
        channels=tuple(numbers[3:7]),
        stem_channels=numbers[7],
        joints=numbers[8],
        size=tuple(numbers[9:11]),
        mean=tuple(numbers[11:14]),
        std=tuple(numbers[14:17]),
        weights=next((name for name, kind in WEIGHTS.items() if kind.itemsize == size), "float32"),
        names=tuple(names),
        metadata=metadata if isinstance(metadata, dict) else {},
    )
