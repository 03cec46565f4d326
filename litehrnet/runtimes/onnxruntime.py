"""Running an ONNX file in ONNX Runtime, on the CPU, with CUDA or with TensorRT; neither torch nor `onnx` is needed.

If a device is missing or lacks an operator, ONNX Runtime by itself falls back to the CPU and only logs it. Here that is
an error, so that a result or a time of "cuda" always comes from the GPU.
"""

from __future__ import annotations

import contextlib
import importlib.util
import io
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import first_line, require
from ..files import plainly_named
from .session import Session
from .signature import METADATA_KEY, Port, Signature, read_metadata

__all__ = ["open_session"]

# ONNX Runtime's names of types to NumPy's, where they differ.
_TYPES = {"float": "float32", "double": "float64"}

# The provider of each device and its options. TensorFloat-32 would round every factor to 10 bits of fraction. The
# provider of TensorRT has no option for it (microsoft/onnxruntime, issue 26029), only a variable of the environment.
_NO_TF32 = "NVIDIA_TF32_OVERRIDE"
_ON_CPU = "assigned to the default CPU EP"  # in ONNX Runtime's message about operators that a device leaves to the CPU
_SHAPES = "; operators that ask for a shape always stay there, and litehrnet export writes files without them"
_PROVIDERS: dict[str, tuple[str, dict[str, str]]] = {
    "cpu": ("CPUExecutionProvider", {}),
    "cuda": ("CUDAExecutionProvider", {"use_tf32": "0"}),
    "tensorrt": ("TensorrtExecutionProvider", {"trt_fp16_enable": "0"}),
}


def open_session(
    path: Path, threads: int, precision: str, size: tuple[int, int] | None = None, device: str = "cpu"
) -> Session:
    """ONNX Runtime on the CPU, or on a GPU that runs the whole graph.

    Args:
        path: the .onnx file.
        threads: threads within one operator.
        precision: "float32"; the file itself decides what is computed in.
        size: unused.
        device: a key of `_PROVIDERS`.

    Raises:
        ImportError: ONNX Runtime is not installed, or only without the device's provider.
        FileNotFoundError: the file keeps its weights in another file, which is missing.
        ValueError: ONNX Runtime cannot load the file, or the device does not start or does not run all of it.
    """
    onnxruntime = require("onnxruntime")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # its warnings are about graph optimisations, and its errors are raised as well
    provider, settings = _PROVIDERS[device]
    if device != "cpu":
        _check_installed(device, onnxruntime.get_available_providers())
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        _prepare(onnxruntime, device)
    # ONNX Runtime's own errors share no class but Exception.
    try:
        with plainly_named(path) as (name,):
            session = onnxruntime.InferenceSession(
                name, options, providers=[(provider, settings)], disable_fallback=True
            )
        signature = _signature(session, path.name)
    except Exception as error:
        _explain(path, error)
        if device != "cpu":
            way = _SHAPES if _ON_CPU in str(error) else ""
            raise ValueError(
                f"ONNX Runtime does not run {path.name} with {device}, and would fall back to the CPU: "
                f"{first_line(error)}{way}"
            ) from error
        raise ValueError(f"ONNX Runtime cannot load {path.name}: {first_line(error)}") from error
    got = session.get_providers()
    if got[:1] != [provider]:
        raise ValueError(
            f"ONNX Runtime has {provider} but could not start it, and fell back to {', '.join(got) or 'nothing'}; its "
            f"driver or its libraries are missing (pip install onnxruntime-gpu[cuda,cudnn] brings CUDA's; to load "
            f"{path.name} on the CPU, device='cpu')"
        )
    names = [port.name for port in signature.inputs]

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            found: list[np.ndarray] = session.run(None, dict(zip(names, arrays, strict=True)))
        except Exception as error:
            shapes = ", ".join(str(array.shape) for array in arrays)
            raise ValueError(f"{path.name} does not run at {shapes}: {first_line(error)}") from error
        return found

    return Session(signature, run)


def _check_installed(device: str, available: Sequence[str]) -> None:
    """Refuse a device whose provider this build of ONNX Runtime does not hold."""
    provider = _PROVIDERS[device][0]
    if provider not in available:
        libraries = " (TensorRT's libraries too: pip install tensorrt)" if device == "tensorrt" else ""
        raise ImportError(
            f"this ONNX Runtime has no {provider}, which {device} needs, only {', '.join(available)}; replace it: "
            f"pip uninstall onnxruntime, then pip install onnxruntime-gpu[cuda,cudnn]{libraries}"
        )


def _prepare(onnxruntime: Any, device: str) -> None:
    """Load CUDA's libraries where pip has put them, and let TensorRT compute float32 in float32.

    The provider itself looks for libraries only where the system does; `preload_dlls` looks in pip's packages, too. It
    prints what it does not find; what then does not start is an error of ours.
    """
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):
            onnxruntime.preload_dlls()
    if device == "tensorrt":
        os.environ.setdefault(_NO_TF32, "0")  # NVIDIA's libraries read it once, for the whole process


def _explain(path: Path, error: Exception) -> None:
    """Raise a clearer error than ONNX Runtime's, if it is one of ours or `onnx` can find the reason."""
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
