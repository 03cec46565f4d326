"""Running LiteRT's .tflite files on the CPU, one image after the other."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from ..checks import first_line, require
from .session import Session
from .signature import Port, Signature

__all__ = ["Operator", "open_session", "read_operators", "read_signature", "weights_of"]


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """LiteRT on the CPU, with its XNNPACK delegate.

    Args:
        path: the .tflite file.
        threads: threads within one operator.
        precision: "float32".
        size: unused.

    Raises:
        ImportError: LiteRT is not installed.
        ValueError: LiteRT cannot load the file.
    """
    interpreter = _open(path, threads)
    interpreter.allocate_tensors()
    inputs, outputs = interpreter.get_input_details(), interpreter.get_output_details()
    lock = threading.Lock()  # callers share one interpreter and its tensors

    def run_one(items: Sequence[np.ndarray]) -> list[np.ndarray]:
        for port, item in zip(inputs, items, strict=True):
            interpreter.set_tensor(port["index"], np.ascontiguousarray(item[None]))
        interpreter.invoke()
        return [interpreter.get_tensor(port["index"]) for port in outputs]

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with lock:
            rows = [run_one(items) for items in zip(*arrays, strict=True)]
        return [np.concatenate(found) for found in zip(*rows, strict=True)]

    return Session(_signature(inputs, outputs, path.name), run)


def _open(path: Path, threads: int = 1, resolver: Any = None) -> Any:
    library = require("ai_edge_litert.interpreter", "ai-edge-litert")
    options = {} if resolver is None else {"experimental_op_resolver_type": resolver}
    try:
        return library.Interpreter(model_path=str(path), num_threads=threads, **options)
    except (RuntimeError, ValueError) as error:
        raise ValueError(f"LiteRT cannot load {path.name}: {first_line(error)}") from error


def _signature(inputs: Sequence[Mapping[str, Any]], outputs: Sequence[Mapping[str, Any]], name: str) -> Signature:
    def ports(details: Sequence[Mapping[str, Any]]) -> tuple[Port, ...]:
        # One image at a time, so any batch.
        return tuple(
            Port(each["name"], np.dtype(each["dtype"]).name, (None, *map(int, each["shape"][1:]))) for each in details
        )

    return Signature(name, "litert", ports(inputs), ports(outputs))


def read_signature(path: Path) -> Signature:
    """What a .tflite file takes and gives; LiteRT reads it.

    Raises:
        ImportError: LiteRT is not installed.
        ValueError: LiteRT cannot load the file.
    """
    interpreter = _open(path)
    return _signature(interpreter.get_input_details(), interpreter.get_output_details(), path.name)


class Operator(NamedTuple):
    """One operator of a file.

    Attributes:
        kind: in LiteRT's words, such as "CONV_2D".
        inputs, outputs: names of the tensors that it reads and gives; constants are among the inputs.
    """

    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]


def read_operators(path: Path) -> list[Operator]:
    """The operators of a .tflite file, in their order; LiteRT reads it.

    Raises:
        ImportError: LiteRT is not installed.
        ValueError: LiteRT cannot load the file.
    """
    library = require("ai_edge_litert.interpreter", "ai-edge-litert")
    # A delegate would put one operator in the place of those that it takes.
    interpreter = _open(path, resolver=library.OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES)
    names = {each["index"]: each["name"] for each in interpreter.get_tensor_details()}

    def named(places: Sequence[int]) -> tuple[str, ...]:
        return tuple(names[place] for place in places if place in names)

    return [
        Operator(each["op_name"], named(each["inputs"]), named(each["outputs"]))
        for each in interpreter._get_ops_details()
    ]


def weights_of(path: Path) -> str:
    """What a .tflite file's weights are stored as, from the types of its tensors: "float32", "float16" or "int8"."""
    kinds = {np.dtype(each["dtype"]).name for each in _open(path).get_tensor_details()}
    return next((kind for kind in ("int8", "float16") if kind in kinds), "float32")
