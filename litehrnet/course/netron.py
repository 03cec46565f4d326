"""Looking at an ONNX file: Netron's drawing of it inside a notebook, and the folder for the files of notebooks."""

from __future__ import annotations

import logging
import os
import shutil
import tempfile
import time
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from ..checks import require
from ..files import existing_file

if TYPE_CHECKING:
    from IPython.display import IFrame

__all__ = ["models_folder", "show"]

_SERVED: list[tempfile.TemporaryDirectory[str]] = []  # the folder of the model that is shown now


def models_folder() -> Path:
    """The folder where notebooks put the files they make; it exists when this returns.

    The environment variable LITEHRNET_MODELS if it is set; else build/models of the checkout that this package is
    run from; else a folder "litehrnet-models" among the temporary ones.
    """
    checkout = Path(__file__).resolve().parents[2]
    if "LITEHRNET_MODELS" in os.environ:
        folder = Path(os.environ["LITEHRNET_MODELS"])
    elif (checkout / "pyproject.toml").is_file() and (checkout / "notebooks").is_dir():
        folder = checkout / "build" / "models"
    else:
        folder = Path(tempfile.gettempdir()) / "litehrnet-models"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def show(path: str | Path, height: int = 500) -> IFrame:
    """Netron's drawing of a file as the result of a notebook cell; safe to run again.

    One server shows one model, the last one that was asked for. It listens on this machine only, on a free port, and
    can read nothing but a copy of the file in a folder of its own.

    Args:
        path: an ONNX file.
        height: of the frame, in pixels.

    Raises:
        FileNotFoundError: there is no such file.
        TimeoutError: the server of the cell's last run did not stop within five seconds.
        ImportError: netron is not installed; the message says how to install it.
    """
    from IPython.display import IFrame

    host, port = serve(path)
    return IFrame(f"http://{host}:{port}", width="100%", height=height)


def serve(path: str | Path) -> tuple[str, int]:
    """Start Netron on a copy of the file and return (host, port); what `show` frames.

    Raises:
        FileNotFoundError, TimeoutError, ImportError: as `show`.
    """
    netron = _netron()
    path = existing_file(path)
    logging.getLogger("netron").setLevel(logging.WARNING)
    stop()
    folder = tempfile.TemporaryDirectory(prefix="netron-")
    _SERVED.append(folder)
    copy = shutil.copy(path, folder.name)
    # Netron gives the root logger a handler at INFO if it has none, and every library's chatter would follow.
    root, placeholder = logging.getLogger(), logging.NullHandler()
    root.addHandler(placeholder)
    try:
        return netron.serve(copy, address=("localhost", 0))
    finally:
        root.removeHandler(placeholder)


def _netron() -> ModuleType:
    return require("netron", "netron>=9.3")


def stop() -> None:
    """Stop the server that `show` started, if there is one, and remove its folder.

    Raises:
        TimeoutError: it did not stop within five seconds.
    """
    netron = _netron()
    netron.stop()
    deadline = time.monotonic() + 5
    while netron.status():
        if time.monotonic() > deadline:
            raise TimeoutError("Netron's server did not stop within five seconds; restart the kernel")
        time.sleep(0.02)
    while _SERVED:
        _SERVED.pop().cleanup()
