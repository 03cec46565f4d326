"""`load`: one call over every runtime of `RUNTIMES`.

Everything is checked before a runtime is called, because some do not check: at a size that its file was not made for,
ncnn crashes or gives wrong results.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from ..checks import check_choice, check_threads
from ..files import existing_file
from ..sizes import check_size
from .coreml import NOT_RUN, imitate
from .session import Session, check_array, check_maps, from_normalised
from .signature import DEFAULT_SIZE, KINDS, Signature, content_of, kind_of

if TYPE_CHECKING:
    from torch import nn

__all__ = ["DEVICES", "PRECISIONS", "RUNTIMES", "Run", "Runtime", "load", "open_for_proof", "open_session",
           "runtime_of"]  # fmt: skip

NOT_HERE = "coreml"  # the runtime that no computer but Apple's has
PRECISIONS = ("float32", "float16", "bfloat16")
DEVICES = ("cpu", "cuda", "tensorrt")


@dataclass(frozen=True)
class Runtime:
    """A row of the table of runtimes.

    Attributes:
        module: the file of this package that opens networks for it, imported when it is first needed.
        kinds: the formats that it reads, keys of `litehrnet.runtimes.signature.KINDS`; none for torch.
        precisions: what it may be asked to compute in.
        devices: of `DEVICES`, those that it may be asked to compute on.
        libraries: modules that opening a network imports; what they take is no memory of the network.
    """

    module: str
    kinds: tuple[str, ...] = ()
    precisions: tuple[str, ...] = ("float32",)
    devices: tuple[str, ...] = ("cpu",)
    libraries: tuple[str, ...] = ()


RUNTIMES: dict[str, Runtime] = {
    "torch": Runtime("pytorch", devices=("cpu", "cuda"), libraries=("litehrnet.checkpoints.loading",)),
    "onnxruntime": Runtime("onnxruntime", ("onnx",), devices=DEVICES, libraries=("onnxruntime",)),
    "openvino": Runtime("openvino", ("openvino", "onnx"), PRECISIONS, libraries=("openvino",)),
    "ncnn": Runtime("ncnn", ("ncnn",), PRECISIONS, libraries=("ncnn",)),
    "c": Runtime("c", ("c",)),
    "executorch": Runtime("executorch", ("executorch",), libraries=("torch", "executorch.runtime")),
    "litert": Runtime("litert", ("litert",), libraries=("ai_edge_litert.interpreter",)),
    "mnn": Runtime("mnn", ("mnn",), libraries=("MNN",)),
}


class Run:
    """A network as a function: images (N, 3, H, W) in, heatmaps (N, joints, ceil(H / 4), ceil(W / 4)) out.

    Both are float32 arrays. A wrong rank, dtype, number of channels, batch or size, and values that are not finite,
    are refused with a ValueError before the runtime is called. Several threads may share one.

    Attributes:
        runtime: the key of `RUNTIMES` that it runs with.
        signature: what the file takes and gives; None for a torch module.
    """

    def __init__(self, runtime: str, session: Session, name: str) -> None:
        self.runtime = runtime
        self.signature: Signature | None = session.signature
        self._run = session.run
        self._size = (session.size or DEFAULT_SIZE) if session.signature is None else session.signature.size
        self._name = name

    @property
    def size(self) -> tuple[int, int]:
        """The (height, width) to run at: the file's own; where it leaves a side free, the traced one, or 256x192.

        For a checkpoint or a module it is the size that the weights were trained at, or 256x192 if that is unknown.
        """
        return self._size

    def __call__(self, images: np.ndarray) -> np.ndarray:
        check_array(images, self.signature)
        taken, index = "float32", 0
        if self.signature is not None:
            taken, index = self.signature.inputs[0].dtype, self.signature.output_index
        maps = self._run([images if taken == "float32" else images.astype(taken)])[index]
        check_maps(maps, images.shape, self._name)
        return np.asarray(maps, dtype=np.float32)

    def __repr__(self) -> str:
        return f"<{self._name} in {self.runtime}>"


def load(
    model: str | Path | nn.Module,
    runtime: str | None = None,
    threads: int = 1,
    precision: str = "float32",
    size: Sequence[int] | None = None,
    device: str | None = None,
) -> Run:
    """A network as a function of NumPy arrays.

    Args:
        model: the file to run, or a torch module. A checkpoint for "torch", an .onnx file for "onnxruntime", an .xml or
            .onnx file for "openvino", a .param file for "ncnn", a .lhr file for "c", a .pte file for "executorch", a
            .tflite file for "litert", an .mnn file for "mnn".
        runtime: a key of `RUNTIMES`; None: inferred from the file.
        threads: threads to use within one operator.
        precision: what the runtime may compute in, one of `PRECISIONS`: float32 unless you ask for less, although
            OpenVINO and ncnn would choose less by themselves.
        size: (height, width), only for ncnn files from other tools, which do not say it.
        device: "cpu"; "cuda" in ONNX Runtime and torch; or "tensorrt" in ONNX Runtime. A device that cannot run the
            whole network is refused; nothing falls back to the CPU. float32 is computed without TensorFloat-32, for
            which "tensorrt" sets NVIDIA_TF32_OVERRIDE=0 in this process, unless it is set. None: the CPU, or where a
            torch module's weights are.

    Returns:
        A function from images (N, 3, H, W), float32, normalised, to heatmaps (N, joints, h, w), float32.

    Raises:
        ValueError: the runtime, the precision or the device is unknown, the device cannot run the file, the file is not
            one of its kind or is not one image in and heatmaps out, or `threads` is below 1 or far above the number of
            processors.
        FileNotFoundError, IsADirectoryError: there is no such file, it is a folder, or its weights are not beside it.
        ImportError: the runtime, or its part for the device, is not installed; the message says how to install it.
    """
    runtime, session = open_session(model, runtime, threads, precision, size, device)
    if session.signature is not None:
        session.signature.check_image_network()
    return Run(runtime, session, Path(model).name if isinstance(model, str | Path) else type(model).__name__)


def open_session(
    model: str | Path | nn.Module,
    runtime: str | None = None,
    threads: int = 1,
    precision: str = "float32",
    size: Sequence[int] | None = None,
    device: str | None = None,
) -> tuple[str, Session]:
    """As `load`, for a network with any inputs and outputs: the runtime's name, and the opened network."""
    file = None if is_module(model) else cast("str | Path", model)
    if runtime is None:
        runtime = "torch" if file is None else runtime_of(file)
    if file is not None and runtime == NOT_HERE:
        raise ValueError(f"{existing_file(file).name}: {NOT_RUN}")
    check_choice("runtime", runtime, RUNTIMES)
    row = RUNTIMES[runtime]
    check_choice("precision", precision, PRECISIONS)
    if precision not in row.precisions:
        raise ValueError(f"{runtime} computes in {' or '.join(row.precisions)} here, not in {precision}")
    if device is not None:
        device = _known_device(device)
        if device not in row.devices:
            raise ValueError(f"{runtime} computes on {' or '.join(row.devices)} here, not on {device}")
    if size is not None and runtime != "ncnn":
        raise ValueError(f"size is for ncnn files that do not say theirs; {runtime} reads it from the model")
    if runtime != "torch":
        if file is None:
            raise ValueError(f"{runtime} takes a file, not a torch module; export it first (litehrnet export)")
        _check_kind(existing_file(file), runtime)
    opener = importlib.import_module(f".{row.module}", __package__).open_session
    session: Session = opener(
        model if file is None else Path(file),
        check_threads(threads),
        precision,
        None if size is None else check_size(size),
        **({"device": device} if len(row.devices) > 1 and device is not None else {}),
    )
    return runtime, from_normalised(session)


def _known_device(device: object) -> str:
    """The device's name, one of `DEVICES`; a `torch.device` counts as its name.

    Raises:
        ValueError: it is none of them, or has a number; CUDA_VISIBLE_DEVICES chooses the GPU.
    """
    name = device if isinstance(device, str) or type(device).__name__ != "device" else str(device)
    number = name.removeprefix("cuda:") if isinstance(name, str) else ""
    if number.isdecimal():
        raise ValueError(
            f"unknown device {name!r}; start Python with CUDA_VISIBLE_DEVICES={number} in the environment, and choose "
            "'cuda'"
        )
    check_choice("device", name, DEVICES)
    return cast("str", name)


def open_for_proof(file: str | Path, runtime: str | None = None, device: str | None = None) -> Session:
    """As `open_session`, but also for a Core ML package: its operators are then computed in torch, on the CPU."""
    if runtime in (None, NOT_HERE) and runtime_of(file) == NOT_HERE:
        if device not in (None, "cpu"):
            raise ValueError(f"the operators of a Core ML package are computed on the cpu here, not on {device}")
        return imitate(file)
    return open_session(file, runtime, device=device)[1]


def is_module(model: object) -> bool:
    """Whether this is a torch module; without importing torch, which has been imported where there is one."""
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(model, torch.nn.Module)


def _check_kind(path: Path, runtime: str) -> None:
    """Refuse a file that the runtime does not read, and one whose content is evidently something else."""
    kind, kinds = kind_of(path), RUNTIMES[runtime].kinds
    readable = [KINDS[name].what for name in kinds]
    if kind is not None and kind not in kinds:
        raise ValueError(f"{path.name} is {KINDS[kind].what}, and {runtime} reads {' or '.join(readable)}")
    held = content_of(path)
    if held is not None and held != KINDS[kind or kinds[0]].what:
        raise ValueError(f"{path.name} is not {KINDS[kind or kinds[0]].what}, but {held}")


def runtime_of(model: str | Path) -> str:
    """The runtime that a file is made for; "torch", for a checkpoint, if nothing says otherwise.

    It is inferred from how the name ends, and from the content where the ending says nothing.

    >>> runtime_of("my.onnx"), runtime_of("my.ncnn.param"), runtime_of("my.pth")
    ('onnxruntime', 'ncnn', 'torch')
    """
    kind = kind_of(model)
    return "torch" if kind is None else KINDS[kind].runtime
