"""Running an ONNX file in ONNX Runtime, on the CPU; neither torch nor `onnx` is needed."""

from __future__ import annotations

import importlib.util
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import first_line, require
from ..files import plainly_named
from .session import Session
from .signature import METADATA_KEY, Port, Signature, read_metadata

__all__ = ["open_session"]

# ONNX Runtime's names of types that NumPy calls otherwise.
_TYPES = {"float": "float32", "double": "float64"}


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """ONNX Runtime on the CPU.

    Args:
        path: the .onnx file.
        threads: threads within one operator.
        precision: "float32": the file decides what is computed in.
        size: unused.

    Raises:
        ImportError: ONNX Runtime is not installed.
        FileNotFoundError: the file keeps its weights in another file, which is missing.
        ValueError: ONNX Runtime cannot load the file.
    """
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors: its warnings speak of graph optimisations
    # ONNX Runtime's own errors share no class but Exception.
    try:
        with plainly_named(path) as (name,):
            session = onnxruntime.InferenceSession(name, options, providers=["CPUExecutionProvider"])
        signature = _signature(session, path.name)
    except Exception as error:
        _explain(path, error)
        raise ValueError(f"ONNX Runtime cannot load {path.name}: {first_line(error)}") from error
    names = [port.name for port in signature.inputs]

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            found: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
        except Exception as error:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"{path.name} does not run at {shapes}: {first_line(error)}") from error
        return found

    return Session(signature, run)


def _explain(path: Path, error: Exception) -> None:
    """Raise a better error than ONNX Runtime's where the reason can be found: in our own sentence, or with `onnx`."""
    if isinstance(error, ValueError) and path.name in str(error):
        raise error
    if importlib.util.find_spec("onnx") is not None:
        from . import graph

        graph.check_external_data(path)


def _signature(session: Any, name: str) -> Signature:
    metadata = session.get_modelmeta().custom_metadata_map
    return Signature(
        name,
        "onnx",
        tuple(_port(value) for value in session.get_inputs()),
        tuple(_port(value) for value in session.get_outputs()),
        metadata=read_metadata(metadata.get(METADATA_KEY), name),
    )


def _port(value: Any) -> Port:
    inner = value.type.removeprefix("tensor(").removesuffix(")")
    shape = tuple(side if isinstance(side, int) and side > 0 else None for side in value.shape)
    return Port(value.name, _TYPES.get(inner, inner), shape)
