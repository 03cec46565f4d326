"""Running in PyTorch: a checkpoint, or any torch module."""

from __future__ import annotations

import contextlib
import copy
import functools
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..checks import first_line
from ..model import eval_mode
from .session import Session

__all__ = ["open_session", "run_module"]

_threads_lock = threading.Lock()  # the number of torch's threads belongs to the process, not to a model
_FULL = ("ieee", "none")  # torch's words for float32 whose factors are not rounded to fewer bits


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
        ValueError: torch finds no CUDA device, or cannot put the network on it.
    """
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("torch finds no CUDA device here (torch.cuda.is_available() is False), so cuda is refused")
    if not isinstance(model, nn.Module):
        from ..checkpoints import from_checkpoint

        model = from_checkpoint(model)
    if device is not None and any(value.device.type != device for value in (*model.parameters(), *model.buffers())):
        try:
            model = copy.deepcopy(model).to(device)
        except RuntimeError as error:  # a driver that does not fit, or no memory left
            raise ValueError(f"torch cannot put the network on {device}: {first_line(error)}") from error
    module = model

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        with _threads(threads):
            return run_module(module, arrays, device)

    return Session(None, run, getattr(module, "trained_size", None))


def run_module(model: nn.Module, arrays: Sequence[np.ndarray], device: str | None = None) -> list[np.ndarray]:
    """The outputs of a module in eval mode and without autocast, as arrays; its modes are restored.

    float32 is computed in float32. By default, torch lets convolutions on a GPU round their factors to TensorFloat-32,
    10 bits of fraction, and then the result would be no reference for a file.

    Args:
        model: called with one tensor per array. A sequence or a dictionary of tensors counts as several outputs.
        arrays: those of floating-point type are converted to the type of the weights.
        device: where a module without weights computes; others compute where their weights are.

    Raises:
        ValueError: an output is not a tensor.
    """
    floats = (value for value in (*model.parameters(), *model.buffers()) if value.is_floating_point())
    first = next(floats, torch.zeros((), device=device))
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
        _full_float32(first.device.type),
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


class _Rounding:
    """What torch may round the factors of float32 products to, while somebody needs all their bits.

    The settings belong to the process: whoever comes first changes them, and whoever leaves last restores them. torch
    has two kinds, and refuses to read the older ones (`allow_tf32`) where only the newer were set.
    """

    def __init__(self, older: Sequence[Any], newer: Sequence[Any]) -> None:
        self.older, self.newer = older, newer
        self.lock = threading.Lock()
        self.users = 0
        self.undo: list[Callable[[], None]] = []

    @contextlib.contextmanager
    def forbidden(self) -> Iterator[None]:
        with self.lock:
            if not self.users:
                self._forbid()
            self.users += 1
        try:
            yield
        finally:
            with self.lock:
                self.users -= 1
                while self.undo and not self.users:
                    self.undo.pop()()

    def _forbid(self) -> None:
        for setting in self.older:
            with contextlib.suppress(RuntimeError):  # its user took the newer kind
                if setting.allow_tf32:
                    setting.allow_tf32 = False
                    self.undo.append(functools.partial(setattr, setting, "allow_tf32", True))
        for setting in self.newer:
            value = setting.fp32_precision
            if value not in _FULL:
                self.undo.append(functools.partial(_set_precision, setting, value))
                setting.fp32_precision = "ieee"


def _set_precision(setting: Any, value: str) -> None:
    """Restore a setting, which may have had its value from a wider one."""
    setting.fp32_precision = "none"
    if setting.fp32_precision != value:
        setting.fp32_precision = value


_BACKENDS: Any = torch.backends  # whose types do not declare these
_ROUNDING = {
    "cuda": _Rounding((_BACKENDS.cudnn, _BACKENDS.cuda.matmul), (_BACKENDS.cudnn.conv, _BACKENDS.cuda.matmul)),
    "cpu": _Rounding((), (_BACKENDS.mkldnn.conv, _BACKENDS.mkldnn.matmul)),
}


def _full_float32(device: str) -> contextlib.AbstractContextManager[None]:
    """Compute float32 products with all bits of their factors, on one kind of device."""
    return _ROUNDING[device].forbidden() if device in _ROUNDING else contextlib.nullcontext()
