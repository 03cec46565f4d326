"""Running ExecuTorch's .pte files on the CPU; ExecuTorch brings torch.

A file holds one method, "forward", for one image of one size. ExecuTorch's threads belong to the process, and an open
file holds on to them: all files that are open at once have the same number.
"""

from __future__ import annotations

import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import first_line, require
from .session import Session
from .signature import Port, Signature

__all__ = ["open_session", "read_signature", "weights_of"]

_open: weakref.WeakSet[Any] = weakref.WeakSet()  # what runs the files that are open


def open_session(path: Path, threads: int, precision: str, size: tuple[int, int] | None = None) -> Session:
    """ExecuTorch on the CPU, one image after the other.

    Args:
        path: the .pte file.
        threads: threads within one operator.
        precision: "float32".
        size: unused.

    Raises:
        ImportError: ExecuTorch is not installed.
        ValueError: ExecuTorch cannot load the file, or another file is open with another number of threads.
    """
    import torch

    _set_threads(threads)
    program, method = _method(path)
    lock = threading.Lock()  # callers share one method and its memory

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        rows = []
        with lock:
            for items in zip(*arrays, strict=True):
                given = [torch.from_numpy(np.ascontiguousarray(item[None])) for item in items]
                rows.append([np.array(found.numpy()) for found in method.execute(given)])
        return [np.concatenate(found) for found in zip(*rows, strict=True)]

    _open.add(run)
    run.program = program  # type: ignore[attr-defined]  # the method only borrows its memory
    return Session(_signature(method, path.name), run)


def _set_threads(threads: int) -> None:
    """Give the process this many threads; a file that is open would go on using the old ones, which are gone."""
    library = require("executorch.extension.pybindings.portable_lib", "executorch")
    before = library._threadpool_get_thread_count()
    if before == threads:
        return
    if len(_open):
        raise ValueError(
            f"ExecuTorch's threads belong to the process, and a file is open with {before}: open this one with "
            f"threads={before}, or in another process"
        )
    library._unsafe_reset_threadpool(threads)


def _method(path: Path) -> tuple[Any, Any]:
    runtime = require("executorch.runtime", "executorch").Runtime.get()
    try:
        program = runtime.load_program(path)
        return program, program.load_method("forward")
    except RuntimeError as error:
        raise ValueError(f"ExecuTorch cannot load {path.name}: {first_line(error)}") from error


def _signature(method: Any, name: str) -> Signature:
    meta = method.metadata
    inputs = [meta.input_tensor_meta(place).sizes() for place in range(meta.num_inputs())]
    outputs = [meta.output_tensor_meta(place).sizes() for place in range(meta.num_outputs())]
    # One image at a time, so any batch.
    return Signature(
        name,
        "executorch",
        tuple(Port(f"input {place}", shape=(None, *sides[1:])) for place, sides in enumerate(inputs)),
        tuple(Port(f"output {place}", shape=(None, *sides[1:])) for place, sides in enumerate(outputs)),
    )


def read_signature(path: Path) -> Signature:
    """What a .pte file takes and gives; ExecuTorch reads it.

    Raises:
        ImportError: ExecuTorch is not installed.
        ValueError: ExecuTorch cannot load the file.
    """
    return _signature(_method(path)[1], path.name)


def weights_of(path: Path) -> str:
    """Always "float32", the only type of weights that `litehrnet.export` writes in this format."""
    return "float32"
