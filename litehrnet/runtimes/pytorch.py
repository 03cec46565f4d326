"""Running in PyTorch: a checkpoint, or any torch module."""

from __future__ import annotations

import contextlib
import copy
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..model import eval_mode
from .session import Session

__all__ = ["open_session", "run_module"]

_threads_lock = threading.Lock()  # the number of torch's threads belongs to the process, not to a model


def open_session(
    model: Path | nn.Module,
    threads: int,
    precision: str,
    size: tuple[int, int] | None = None,
    device: str | None = None,
) -> Session:
    """A module, or the network of a checkpoint, in eval mode whatever mode it is in; its modes are restored.

    Args:
        model: a module, which is run where its weights are, or a checkpoint's path.
        threads: threads within one operator; the process's own number is restored after each run.
        precision: "float32"; the type of the weights decides what is computed in.
        size: unused.
        device: "cpu" or "cuda": a module whose weights are elsewhere is copied there, and is itself not changed. None:
            where its weights are.

    Raises:
        ValueError: torch finds no CUDA device.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device here (torch.cuda.is_available() is False), so cuda is refused")
    if not isinstance(model, nn.Module):
        from ..checkpoints import from_checkpoint

        model = from_checkpoint(model)
    first = next(model.parameters(), None)
    if device is not None and first is not None and first.device.type != device:
        model = copy.deepcopy(model).to(device)
    module = model

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with _threads(threads):
            return run_module(module, arrays)

    return Session(None, run, getattr(module, "trained_size", None))


def run_module(model: nn.Module, arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
    """The outputs of a module in eval mode and without autocast, as arrays; its modes are restored.

    Args:
        model: called with one tensor per array. A sequence or a dictionary of tensors counts as several outputs.
        arrays: those of floating-point type are converted to the type of the weights.

    Raises:
        ValueError: an output is not a tensor.
    """
    first = next(model.parameters(), torch.zeros(()))
    tensors = []
    for array in arrays:
        # torch refuses arrays with negative strides, and warns about read-only ones.
        tensor = torch.from_numpy(np.require(array, requirements=["C", "W"]))
        tensors.append(tensor.to(first) if tensor.is_floating_point() else tensor.to(first.device))
    training = any(part.training for part in model.modules())
    with (
        eval_mode(model) if training else contextlib.nullcontext(),
        torch.inference_mode(),
        torch.autocast(first.device.type, enabled=False),
        _without_tf32(first.device.type),
    ):
        return [_array(value) for value in _flat(model(*tensors))]


def _flat(outputs: object) -> Iterator[Tensor]:
    if isinstance(outputs, Tensor):
        yield outputs
    elif isinstance(outputs, dict):
        yield from _flat(list(outputs.values()))
    elif isinstance(outputs, list | tuple):
        for output in outputs:
            yield from _flat(output)
    else:
        raise ValueError(f"the module returned {type(outputs).__name__}, not a tensor or several")


@contextlib.contextmanager
def _without_tf32(device: str) -> Iterator[None]:
    """Keep float32 whole: on a GPU, torch's convolutions otherwise round it to 10 bits (TF32), a relative 1e-3."""
    if device != "cuda":
        yield
        return
    cudnn = torch.backends.cudnn
    with cudnn.flags(cudnn.enabled, cudnn.benchmark, deterministic=cudnn.deterministic, allow_tf32=False):
        yield


def _array(value: Tensor) -> np.ndarray:
    value = value.float() if value.is_floating_point() and value.dtype != torch.float64 else value
    return value.cpu().numpy()


@contextlib.contextmanager
def _threads(wanted: int) -> Iterator[None]:
    """Run with this many threads, and restore the process's number.

    Callers that need another number than the process has take turns: otherwise one would restore what another has set.
    """
    if torch.get_num_threads() == wanted:
        yield
        return
    with _threads_lock:
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(wanted)
            yield
        finally:
            torch.set_num_threads(before)
