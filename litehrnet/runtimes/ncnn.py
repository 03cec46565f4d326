"""ncnn's files, read without ncnn, and running them in ncnn on the CPU.

ncnn must be asked for float32: by itself it stores and computes in 16 bits where the processor can.
"""

from __future__ import annotations

import collections
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from ..checks import require
from ..files import plainly_named
from .session import Session
from .signature import Port, Signature, checksum

__all__ = ["input_size", "ncnn_layers", "open_session", "read_signature", "weights_of"]

MAGIC = "7767517"
WIDTH, HEIGHT, CHECKSUM = 0, 1, 31  # keys of an Input line; ncnn knows the first two, and 31 is the last that it reads
_FLOAT16_TAG = b"Gk0\x01"  # before the weights of a layer


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """ncnn on the CPU, from a .param file with its .bin beside it, one image after the other.

    A file runs only at the size that it was converted at: at any other, ncnn crashes or gives wrong results.

    Args:
        path: NAME.ncnn.param, with NAME.ncnn.bin beside it.
        threads: threads within one layer.
        precision: "float32", or "float16" or "bfloat16" for storage (and arithmetic, where the processor has it).
        size: (height, width), for files from other tools that do not say it.

    Raises:
        ImportError: ncnn is not installed.
        FileNotFoundError: there is no .bin beside the .param file.
        ValueError: the file is not ncnn's, does not say its size, or does not belong to the .bin file beside it; or
            ncnn cannot load it.
    """
    ncnn = require("ncnn")
    signature = read_signature(path, size)
    weights = path.with_suffix(".bin")
    net = ncnn.Net()
    net.opt.num_threads = threads
    for option in ("packed", "storage", "arithmetic"):
        setattr(net.opt, f"use_fp16_{option}", precision == "float16")
    net.opt.use_bf16_storage = net.opt.use_bf16_packed = precision == "bfloat16"
    with plainly_named(path, weights) as (graph_name, weights_name):
        failed = net.load_param(str(graph_name)) or net.load_model(str(weights_name))
    if failed:
        raise ValueError(
            f"ncnn cannot load {path.name} with {weights.name}: they are damaged or do not belong together"
        )
    sources, targets = list(net.input_names()), list(net.output_names())

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        one_by_one = [_run_one(net, ncnn, sources, targets, items) for items in zip(*arrays, strict=True)]
        outputs = [np.stack(items) for items in zip(*one_by_one, strict=True)]  # (N, ...) each
        if not all(np.isfinite(output).all() for output in outputs):
            raise RuntimeError(f"ncnn answered with NaN or infinity: does {weights.name} belong to {path.name}?")
        return outputs

    return Session(signature, run)


def _run_one(
    net: Any, ncnn: ModuleType, sources: Sequence[str], targets: Sequence[str], items: Sequence[np.ndarray]
) -> list[np.ndarray]:
    kept = [np.ascontiguousarray(item) for item in items]  # held until the end, because ncnn.Mat only borrows memory
    outputs = []
    with net.create_extractor() as extractor:
        for source, item in zip(sources, kept, strict=True):
            extractor.input(source, ncnn.Mat(item))
        for target in targets:
            code, found = extractor.extract(target)
            if code:
                raise RuntimeError(f"ncnn could not run the network (code {code})")
            outputs.append(np.array(found))  # a copy, because the extractor frees its memory
    return outputs


def read_signature(path: Path, size: tuple[int, int] | None = None) -> Signature:
    """What a .param file takes and gives, after a check of the weights beside it; ncnn is not needed.

    Args:
        path: NAME.ncnn.param, with NAME.ncnn.bin beside it.
        size: (height, width), where the file does not say it.

    Raises:
        FileNotFoundError: there is no .bin beside it.
        ValueError: not an ncnn .param file, one whose size differs from the given one, one without a size if none is
            given, or one that does not belong to the .bin file beside it.
    """
    lines = _lines(path)
    said = input_size(path)
    if said and size and said != size:
        raise ValueError(f"{path.name} was converted at {said[0]}x{said[1]} (height x width), not {size[0]}x{size[1]}")
    height, width = said or size or (None, None)
    if height is None:
        raise ValueError(f"{path.name} does not say its input's size; give it: load(..., size=(height, width))")
    weights = path.with_suffix(".bin")
    if not weights.is_file():
        raise FileNotFoundError(f"no weights beside {path.name}: {weights.name} is missing")
    held = checksum(weights.read_bytes())
    if _input_values(path).get(CHECKSUM, held) != held:  # ncnn itself would run with any weights
        raise ValueError(f"{weights.name} is damaged, or belongs to another file than {path.name}: export both again")
    names = [words[4] for words in lines if words[0] == "Input" and len(words) > 4]
    made = [name for words in lines for name in _outputs(words)]
    used = {name for words in lines for name in _inputs(words)}
    outputs = tuple(Port(name) for name in made if name not in used)
    return Signature(path.name, "ncnn", tuple(Port(name, shape=(None, 3, height, width)) for name in names), outputs)


def input_size(path: Path) -> tuple[int, int] | None:
    """The (height, width) that a .param file says its input has, or None where it does not say.

    `litehrnet.export.ncnn.export_ncnn` writes it into the Input line, where ncnn's own format has a place for it.

    Raises:
        ValueError: not an ncnn .param file.
    """
    values = _input_values(path)
    return (values[HEIGHT], values[WIDTH]) if {HEIGHT, WIDTH} <= values.keys() else None


def ncnn_layers(param: str | Path) -> dict[str, int]:
    """Layers of a .param file by kind, most frequent first.

    Raises:
        ValueError: not an ncnn .param file.
    """
    return dict(collections.Counter(words[0] for words in _lines(Path(param))).most_common())


def weights_of(path: Path) -> str:
    """The type of the weights beside a .param file: "float32" or "float16"."""
    with path.with_suffix(".bin").open("rb") as file:
        return "float16" if file.read(4) == _FLOAT16_TAG else "float32"


def _lines(path: Path) -> list[list[str]]:
    """One list of words per layer: kind, name, number of inputs, of outputs, their names, then key=value pairs."""
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise ValueError(f"{path.name} is not an ncnn .param file in text form") from error
    if not lines or lines[0].strip() != MAGIC:
        raise ValueError(f"{path.name} is not an ncnn .param file: its first line is not {MAGIC}")
    return [line.split() for line in lines[2:] if line.strip()]


def _counts(words: Sequence[str]) -> tuple[int, int]:
    """Inputs and outputs of a layer; none of a damaged line, which ncnn will refuse."""
    counts = words[2:4]
    return (int(counts[0]), int(counts[1])) if len(counts) == 2 and all(map(str.isdecimal, counts)) else (0, 0)


def _inputs(words: Sequence[str]) -> Sequence[str]:
    return words[4 : 4 + _counts(words)[0]]


def _outputs(words: Sequence[str]) -> Sequence[str]:
    inputs, outputs = _counts(words)
    return words[4 + inputs : 4 + inputs + outputs]


def _input_values(path: Path) -> dict[int, int]:
    """Keys and values of the first Input line."""
    words = next((words for words in _lines(path) if words[0] == "Input"), [])
    try:
        return {int(key): int(value) for key, value in (word.split("=") for word in words if "=" in word)}
    except ValueError as error:
        raise ValueError(f"{path.name} is damaged: its Input line reads {' '.join(words)!r}") from error
