"""One call over PyTorch, ONNX Runtime, OpenVINO and ncnn: float32 images in, float32 heatmaps out.

Everything is checked before a runtime is called: ncnn ends the process, or answers wrongly, at a size that its file was
not made for.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..model import eval_mode
from ..sizes import check_size
from . import c
from .backends import ncnn_input, read_openvino, run_ncnn, run_openvino
from .lhr import read_header
from .onnx_files import Signature, signature

__all__ = ["RUNTIMES", "Runtime", "load", "runtime_of", "usual_size"]

Run = Callable[[np.ndarray], np.ndarray]
Model = str | Path | nn.Module
DEFAULT_SIZE = (256, 192)
SUFFIXES = {".onnx": "onnxruntime", ".xml": "openvino", ".param": "ncnn", ".lhr": "c"}


def load(
    model: str | Path | nn.Module,
    runtime: str = "onnxruntime",
    threads: int = 1,
    precision: str = "f32",
    size: Sequence[int] | None = None,
) -> Run:
    """A network as a function of numpy arrays.

    Args:
        model: the file to run, or a torch module where the runtime is "torch". A checkpoint for "torch", an .onnx file
            for "onnxruntime", an .onnx or .xml file for "openvino", a .param file for "ncnn".
        runtime: a key of `RUNTIMES`.
        threads: threads to use within one operator.
        precision: what the runtime may compute in; float32 unless asked, since OpenVINO and ncnn take less by
            themselves.
        size: (height, width), only for ncnn files made elsewhere, which do not say it.

    Returns:
        A function from images (N, 3, H, W), float32, normalised, to heatmaps (N, joints, h, w), float32. It refuses
        a wrong rank, dtype, number of channels or size, and values that are not finite, with a ValueError.

    Raises:
        ValueError: the runtime or the precision is unknown, the file is not one of its kind, or `threads` is below 1.
        FileNotFoundError: there is no such file.
        ImportError: the runtime is not installed; the sentence holds the command that installs it.
    """
    if runtime not in RUNTIMES:
        raise ValueError(f"unknown runtime {runtime!r}; choose one of {', '.join(map(repr, RUNTIMES))}")
    if isinstance(threads, bool) or not isinstance(threads, int) or threads < 1:
        raise ValueError(f"threads must be an integer of at least 1, got {threads!r}")
    entry = RUNTIMES[runtime]
    if precision not in entry.precisions:
        raise ValueError(f"{runtime} computes in {' or '.join(entry.precisions)} here, not in {precision!r}")
    if size is not None and runtime != "ncnn":
        raise ValueError(f"size is for ncnn files that do not say theirs; {runtime} reads it from the model")
    return entry.make(model, threads, precision, size)


def runtime_of(model: str | Path) -> str:
    """The runtime that a file is made for, told from how its name ends; "torch", for a checkpoint, if by nothing else.

    >>> runtime_of("my.onnx"), runtime_of("my.ncnn.param"), runtime_of("my.pth")
    ('onnxruntime', 'ncnn', 'torch')
    """
    return SUFFIXES.get(Path(model).suffix, "torch")


def usual_size(model: str | Path) -> tuple[int, int]:
    """The (height, width) that a file takes; where it leaves a side free, the one it was made at, or 256x192.

    Raises:
        FileNotFoundError, ValueError, ImportError: as `load`.
    """
    path, runtime = Path(model), runtime_of(model)
    if runtime == "torch":
        return DEFAULT_SIZE
    path = _file(path)
    if runtime == "ncnn":
        return ncnn_input(path) or DEFAULT_SIZE
    if runtime == "c":
        return read_header(path).size
    told = signature(path) if runtime == "onnxruntime" else read_openvino(path)[1]
    height, width = told.metadata.get("size", DEFAULT_SIZE)
    return told.height or height, told.width or width


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
            way = "export it with dynamic sizes" if told.opset else "convert one for that size"  # ONNX has opsets
            raise ValueError(f"this file takes {name} {wanted} only, got {value}; {way}")


def _torch(model: Model, threads: int, precision: str, size: Sequence[int] | None) -> Run:
    if not isinstance(model, nn.Module):
        from ..checkpoints import from_checkpoint

        model = from_checkpoint(model)
    first, parts = next(model.parameters()), list(model.modules())

    def run(images: np.ndarray) -> np.ndarray:
        check_array(images)
        # Torch takes no reversed array, and warns of one that is only to be read.
        images = np.require(images, requirements=["C", "W"])
        mode = eval_mode(model) if any(part.training for part in parts) else contextlib.nullcontext()
        before = torch.get_num_threads()
        try:
            torch.set_num_threads(threads)
            with mode, torch.inference_mode():
                return model(torch.from_numpy(images).to(first)).float().cpu().numpy()
        finally:
            torch.set_num_threads(before)

    return run


def _onnxruntime(model: Model, threads: int, precision: str, size: Sequence[int] | None) -> Run:
    import onnxruntime

    path = _file(model)
    told = signature(path)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3  # errors: its warnings speak of graph optimisations
    # ONNX Runtime's own errors share no class but Exception.
    try:
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:
        raise ValueError(f"ONNX Runtime cannot load {path.name}: {_first_line(error)}") from error

    def run(images: np.ndarray) -> np.ndarray:
        try:
            return session.run([told.output], {told.input: images})[0]
        except Exception as error:
            raise ValueError(f"{path.name} does not run at {images.shape}: {_first_line(error)}") from error

    return _checked(told, run)


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def _openvino(model: Model, threads: int, precision: str, size: Sequence[int] | None) -> Run:
    return _checked(*run_openvino(_file(model), threads, precision))


def _ncnn(model: Model, threads: int, precision: str, size: Sequence[int] | None) -> Run:
    return _checked(*run_ncnn(_file(model), threads, precision, None if size is None else check_size(size)))


def _c(model: Model, threads: int, precision: str, size: Sequence[int] | None) -> Run:
    engine = c.Engine(_file(model), threads)
    return _checked(c.signature_of(engine.header), engine)


def _checked(told: Signature, run: Run) -> Run:
    def run_checked(images: np.ndarray) -> np.ndarray:
        check_array(images, told)
        return run(images)

    return run_checked


def _file(model: str | Path | nn.Module) -> Path:
    if isinstance(model, nn.Module):
        raise ValueError("this runtime takes a file, not a torch module; export it first (litehrnet export)")
    path = Path(model)
    if not path.is_file():
        raise FileNotFoundError(f"{path} is a folder, not a model's file" if path.is_dir() else f"no such file: {path}")
    return path


@dataclass(frozen=True)
class Runtime:
    """A row of the table of runtimes.

    Attributes:
        make: from (model, threads, precision, size) to the function that runs arrays.
        precisions: what it may be asked to compute in.
    """

    make: Callable[[Model, int, str, Sequence[int] | None], Run]
    precisions: tuple[str, ...] = ("f32",)


RUNTIMES: dict[str, Runtime] = {
    "torch": Runtime(_torch),
    "onnxruntime": Runtime(_onnxruntime),
    "openvino": Runtime(_openvino, ("f32", "f16", "bf16")),
    "ncnn": Runtime(_ncnn, ("f32", "f16", "bf16")),
    "c": Runtime(_c),
}
