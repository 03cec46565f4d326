"""Running an ONNX file in ONNX Runtime, on the CPU, with CUDA or with TensorRT; neither torch nor `onnx` is needed.

If a device is missing or lacks an operator, ONNX Runtime by itself falls back to the CPU and only logs it. Here that is
an error, so that a result or a time of "cuda" always comes from the GPU.
"""

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

# ONNX Runtime's names of types to NumPy's, where they differ.
_TYPES = {"float": "float32", "double": "float64"}

# The provider of each device and its options. TensorFloat-32 would round every factor to 10 bits of fraction.
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
    options.log_severity_level = 3  # errors only: its warnings are about graph optimisations
    provider, settings = _PROVIDERS[device]
    if device != "cpu":
        _check_installed(device, onnxruntime.get_available_providers())
        options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
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
            raise ValueError(
                f"ONNX Runtime does not run {path.name} with {device}, and would fall back to the CPU: "
                f"{first_line(error)}"
            ) from error
        raise ValueError(f"ONNX Runtime cannot load {path.name}: {first_line(error)}") from error
    got = session.get_providers()
    if got[:1] != [provider]:
        raise ValueError(
            f"ONNX Runtime has {provider} but could not start it, and fell back to {', '.join(got) or 'nothing'}; its "
            f"driver or its libraries are missing (load {path.name} on the CPU with device='cpu')"
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
            f"pip uninstall onnxruntime, then pip install onnxruntime-gpu{libraries}"
        )


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
