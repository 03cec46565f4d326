"""Running MNN's files on the CPU, one image after the other."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import require
from .session import Session
from .signature import Port, Signature

__all__ = ["open_session", "read_signature", "weights_of"]


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """MNN on the CPU.

    Args:
        path: the .mnn file.
        threads: threads within one operator.
        precision: "float32"; MNN is asked for it, since by itself it may take less.
        size: unused.

    Raises:
        ImportError: MNN is not installed.
        ValueError: MNN cannot load the file.
    """
    mnn = require("MNN")
    interpreter, session = _open(mnn, path, threads)
    inputs, outputs = interpreter.getSessionInputAll(session), interpreter.getSessionOutputAll(session)
    lock = threading.Lock()  # callers share one session and its tensors

    def run_one(items: Sequence[np.ndarray]) -> list[np.ndarray]:
        for tensor, item in zip(inputs.values(), items, strict=True):
            given = np.ascontiguousarray(item[None])
            layout = mnn.Tensor_DimensionType_Caffe  # channels first
            tensor.copyFrom(mnn.Tensor(given.shape, mnn.Halide_Type_Float, given, layout))
        interpreter.runSession(session)
        found = []
        for tensor in outputs.values():
            shape = tensor.getShape()
            into = np.empty(shape, np.float32)
            plain = mnn.Tensor(shape, mnn.Halide_Type_Float, into, mnn.Tensor_DimensionType_Caffe)
            tensor.copyToHostTensor(plain)
            found.append(np.array(plain.getNumpyData(), np.float32).reshape(shape))
        return found

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with lock:
            rows = [run_one(items) for items in zip(*arrays, strict=True)]
        return [np.concatenate(found) for found in zip(*rows, strict=True)]

    return Session(_signature(inputs, outputs, path.name), run)


def _open(mnn: Any, path: Path, threads: int = 1) -> tuple[Any, Any]:
    interpreter = mnn.Interpreter(str(path))
    session = None
    if interpreter is not None:
        session = interpreter.createSession({"numThread": threads, "precision": "high", "backend": "CPU"})
    if session is None:
        raise ValueError(f"MNN cannot load {path.name}: it is damaged, or no MNN file")
    return interpreter, session


def _signature(inputs: dict[str, Any], outputs: dict[str, Any], name: str) -> Signature:
    def ports(tensors: dict[str, Any]) -> tuple[Port, ...]:
        # One image at a time, so any batch.
        return tuple(Port(key, shape=(None, *tensor.getShape()[1:])) for key, tensor in tensors.items())

    return Signature(name, "mnn", ports(inputs), ports(outputs))


def read_signature(path: Path) -> Signature:
    """What an .mnn file takes and gives; MNN reads it.

    Raises:
        ImportError: MNN is not installed.
        ValueError: MNN cannot load the file.
    """
    interpreter, session = _open(require("MNN"), path)
    inputs, outputs = interpreter.getSessionInputAll(session), interpreter.getSessionOutputAll(session)
    return _signature(inputs, outputs, path.name)


def weights_of(path: Path) -> str:
    """Always "float32", the only type of weights that `litehrnet.export` writes in this format."""
    return "float32"
