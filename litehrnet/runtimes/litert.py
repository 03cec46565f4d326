"""Running LiteRT's .tflite files on the CPU, one image after the other."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import first_line, require
from .session import Session
from .signature import Port, Signature

__all__ = ["open_session", "read_signature", "weights_of"]


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


def _open(path: Path, threads: int = 1) -> Any:
    library = require("ai_edge_litert.interpreter", "ai-edge-litert")
    try:
        return library.Interpreter(model_path=str(path), num_threads=threads)
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


def weights_of(path: Path) -> str:
    """ "float32", which is all that `litehrnet.export` writes in this format."""
    return "float32"
