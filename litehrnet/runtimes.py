"""One call over PyTorch and ONNX Runtime: float32 images in, float32 heatmaps out, checked before anything runs."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import nn

from .model import check_size
from .onnx_files import Signature, signature

__all__ = ["RUNTIMES", "load"]

Run = Callable[[np.ndarray], np.ndarray]


def load(model: str | Path | nn.Module, runtime: str = "onnxruntime", threads: int = 1) -> Run:
    """A network as a function of numpy arrays.

    Args:
        model: the file to run, or a torch module where the runtime is "torch".
        runtime: a key of `RUNTIMES`.
        threads: threads to use within one operator.

    Returns:
        A function from images (N, 3, H, W), float32, normalised, to heatmaps (N, joints, h, w), float32. It refuses
        a wrong rank, dtype, number of channels or size, and values that are not finite, with a ValueError.

    Raises:
        ValueError: the runtime is unknown, the file is not one of its kind, or `threads` is below 1.
        FileNotFoundError: there is no such file.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"unknown runtime {runtime!r}; choose one of {', '.join(map(repr, RUNTIMES))}")
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be an integer of at least 1, got {threads!r}")
    return RUNTIMES[runtime](model, threads)


def check_array(images: np.ndarray, told: Signature | None = None) -> None:
    """Refuse an array that the network, or this file, cannot take.

    Raises:
        ValueError: rank, channels, dtype, size, batch or values are wrong.
    """
    if not isinstance(images, np.ndarray) or images.dtype != np.float32:
        found = images.dtype if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(f"images must be a float32 array (litehrnet.heatmaps.to_input makes one), got {found}")
    if images.ndim != 4 or images.shape[1] != 3 or not len(images):
        hint = "; channels come first, so transpose it" if images.shape[-1:] == (3,) else ""
        raise ValueError(f"images must have the shape (N, 3, H, W), got {images.shape}{hint}")
    check_size(images.shape[2:])
    if not np.isfinite(images).all():
        raise ValueError("images hold values that are not finite (NaN or infinity)")
    if told is None:
        return
    for name, value, wanted in zip(
        ("batch", "height", "width"),
        (len(images), *images.shape[2:]),
        (told.batch, told.height, told.width),
        strict=True,
    ):
        if wanted is not None and value != wanted:
            raise ValueError(f"this file takes {name} {wanted} only, got {value}; export it with dynamic sizes")
        if wanted is None and name != "batch" and value % 32:
            below = value // 32 * 32
            raise ValueError(
                f"a file of dynamic size takes multiples of 32; {name} {value} lies between {below} and {below + 32}"
            )


def _torch(model: str | Path | nn.Module, threads: int) -> Run:
    if not isinstance(model, nn.Module):
        from .checkpoints import from_checkpoint

        model = from_checkpoint(model)
    model = model.eval()
    first = next(model.parameters())

    def run(images: np.ndarray) -> np.ndarray:
        check_array(images)
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(threads)
            with torch.inference_mode():
                return model(torch.from_numpy(images).to(first)).float().cpu().numpy()
        finally:
            torch.set_num_threads(before)

    return run


def _onnxruntime(model: str | Path | nn.Module, threads: int) -> Run:
    import onnxruntime

    path = _file(model)
    told = signature(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors: its warnings speak of graph optimisations
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(images: np.ndarray) -> np.ndarray:
        check_array(images, told)
        return session.run([told.output], {told.input: images})[0]

    return run


def _file(model: str | Path | nn.Module) -> Path:
    if isinstance(model, nn.Module):
        raise ValueError("this runtime takes an ONNX file, not a torch module; export it first (export_onnx)")
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    return path


RUNTIMES: dict[str, Callable[[str | Path | nn.Module, int], Run]] = {"torch": _torch, "onnxruntime": _onnxruntime}
