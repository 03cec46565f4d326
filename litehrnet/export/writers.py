"""What the writers of several formats share: the check of their arguments, the state in which a network is captured,
and running a converter. Sizes are given height before width.
"""

from __future__ import annotations

import contextlib
import subprocess
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from torch import nn

from ..checks import check_choice, last_line
from ..model import eval_mode
from .onnx import WEIGHTS, Network, check_exportable, export_size

__all__ = ["Order", "captured", "check_order", "check_suffix", "run_converter"]


class Order(NamedTuple):
    """What a writer was asked for, after the check.

    Attributes:
        network: the model, which can be written.
        path: the file to write.
        size: (height, width) to write it for.
    """

    network: Network
    path: Path
    size: tuple[int, int]


def check_order(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None,
    weights: str,
    suffix: str,
    stored: Sequence[str] = WEIGHTS,
) -> Order:
    """Check what every writer is given, before anything slow begins.

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the file to write.
        size: (height, width); None: what the module was fused for or trained at, or 256x192.
        weights: what the file is to store its weights as.
        suffix: how the file's name must end.
        stored: what the format can store weights as.

    Raises:
        ValueError: an illegal size, weights that the format does not store, a path with another ending, a network that
            cannot be written, or weights that are not float32 or not finite.
    """
    size = export_size(model, size)
    check_choice("weights", weights, stored)
    path = check_suffix(path, suffix)
    return Order(check_exportable(model, size), path, size)


def check_suffix(path: str | Path, suffix: str) -> Path:
    """Return a path with the ending that a format needs.

    Raises:
        ValueError: it ends otherwise.
    """
    path = Path(path)
    if not path.name.endswith(suffix) or path.name == suffix:
        raise ValueError(f"the file to write must end in {suffix}, such as model{suffix}; got {path.name!r}")
    return path


@contextlib.contextmanager
def captured(model: nn.Module) -> Iterator[None]:
    """The state in which a network is captured: eval mode, no gradients, and not under the caller's autocast.

    Warnings that torch and the converters raise about their own code (FutureWarning, DeprecationWarning) are
    suppressed; the module's mode is restored.
    """
    with warnings.catch_warnings(), eval_mode(model), torch.no_grad(), torch.autocast("cpu", enabled=False):
        warnings.simplefilter("ignore", FutureWarning)
        warnings.simplefilter("ignore", DeprecationWarning)
        yield


def run_converter(failure: str, command: Sequence[str], folder: Path, *results: str) -> list[Path]:
    """Run a converter in a folder, and return the paths of the files that it was run for.

    Args:
        failure: what to say if it fails, such as "pnnx could not convert the model".
        command: the program and its arguments.
        folder: where to run it.
        results: names of the files that it must have written there.

    Raises:
        RuntimeError: it failed or did not write them; the message holds the last line that it printed.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    paths = [folder / name for name in results]
    if done.returncode or not all(path.is_file() for path in paths):
        last = last_line(done.stderr, last_line(done.stdout, "no message"))
        raise RuntimeError(f"{failure} (exit code {done.returncode}): {last}")
    return paths
