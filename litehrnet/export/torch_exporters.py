"""The two exporters of torch behind one quiet call, and the steps that turn a graph into a file.

One exporter is built on TorchScript: it runs the model once and records what happened, in seconds. The other is built
on ``torch.export`` ("dynamo"): it analyses the code, checks its assumptions, and takes about ten times as long.
"""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from ..checks import check_choice, check_whole
from ..model import declare_multiples, eval_mode, set_shuffle, shared_copy
from ..runtimes.graph import found_opset
from . import cleaning
from .findings import findings

if TYPE_CHECKING:
    import onnx

__all__ = ["DEFAULT_OPSET", "EXPORTERS", "OPSETS", "check_opset", "opsets", "quiet", "run_exporter", "write"]

# Below 11 ONNX has no bilinear Resize with align_corners; above 20 the torchscript exporter says that it is not
# supported. Below 18 the dynamo exporter logs a failed conversion and keeps 18; 25 is the newest that it converts to.
OPSETS = {"dynamo": range(18, 26), "torchscript": range(11, 21)}
EXPORTERS = tuple(OPSETS)
DEFAULT_OPSET = 18


def opsets(exporter: str) -> range:
    """The opsets that an exporter can write.

    Raises:
        ValueError: the exporter is unknown.
    """
    check_choice("exporter", exporter, EXPORTERS)
    return OPSETS[exporter]


def check_opset(exporter: str, opset: object) -> int:
    """Return the opset as an int, or raise a ValueError that names the opsets that the exporter can write."""
    possible = opsets(exporter)
    try:
        number = check_whole("opset", opset)
    except ValueError as error:
        raise ValueError(f"{error}; {_ranges(exporter)}") from None
    if number not in possible:
        raise ValueError(f"opset {number} is out of reach: {_ranges(exporter)}")
    return number


def _ranges(exporter: str) -> str:
    others = ", ".join(
        f"the {other} exporter {opsets(other)[0]} to {opsets(other)[-1]}" for other in EXPORTERS if other != exporter
    )
    return f"the {exporter} exporter writes opsets {opsets(exporter)[0]} to {opsets(exporter)[-1]}, {others}"


def run_exporter(
    module: nn.Module, shape: tuple[int, int, int], dynamic: str | None, exporter: str, opset: int, output: str
) -> onnx.ModelProto:
    """Run one exporter on zeros of `shape` (C, H, W); the module's mode is restored."""
    import onnx

    first = next(module.parameters(), torch.zeros(()))
    # torch.export takes a 1 for a constant. So a free batch is traced as 2, and free sides, 32 * Dim, as at least 64.
    if dynamic == "size" and exporter == "dynamo":
        shape = (shape[0], max(shape[1], 64), max(shape[2], 64))
    image = torch.zeros(2 if dynamic else 1, *shape, dtype=first.dtype, device=first.device)
    options: dict[str, Any] = {"input_names": ["image"], "output_names": [output], "opset_version": opset}
    if dynamic:
        # One Gather by a constant index, which `cleaning.clean` replaces by something better. Written out, each of the
        # 49 shuffles needs height and width as numbers, and the graph would have to ask for them every time (the
        # torchscript exporter asks for them as soon as the batch is free).
        module = set_shuffle(shared_copy(module), "index")
    if dynamic == "size":
        module = declare_multiples(module)
    # Under the caller's autocast the graph would hold its casts.
    with eval_mode(module), torch.no_grad(), torch.autocast(first.device.type, enabled=False), quiet():
        if exporter == "torchscript":
            buffer: Any = io.BytesIO()  # torch takes one, and does not declare it
            axes = {0: "batch"} | ({2: "height", 3: "width"} if dynamic == "size" else {})
            both = {"image": axes, output: axes} if dynamic else None
            torch.onnx.export(module, (image,), buffer, dynamo=False, dynamic_axes=both, **options)
            return onnx.load_model_from_string(buffer.getvalue())
        dim = torch.export.Dim
        # Declared as multiples of 32, so torch.export can prove that every halving inside is whole.
        dims = {0: dim("batch")} | ({2: 32 * dim("h"), 3: 32 * dim("w")} if dynamic == "size" else {})
        shapes = (dims,) if dynamic else None
        program: Any = torch.onnx.export(
            module, (image,), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **options
        )
        graph: onnx.ModelProto = program.model_proto
        return graph


def write(
    graph: onnx.ModelProto,
    path: Path,
    opset: int,
    dynamic: str | None,
    metadata: dict[str, str],
    half: bool = False,
    ends: Sequence[Callable[[onnx.ModelProto], None]] = (),
) -> None:
    """Clean, check and write the graph of an exporter; each of `ends` changes the clean graph's inputs or outputs.

    Raises:
        ValueError: the opset is not the one that was asked for.
        RuntimeError: the graph holds what it should not (`findings.findings`).
        onnx.checker.ValidationError, onnx.shape_inference.InferenceError: what onnx's own checker finds.
    """
    import onnx

    graph = cleaning.clean(graph, dynamic)
    found = found_opset(graph)
    if found != opset:
        raise ValueError(f"opset {opset} was asked for, and the installed torch wrote {found}; ask for that one")
    wrong = findings(graph)
    if wrong:
        raise RuntimeError(f"the exported graph is not correct: {'; '.join(wrong)}")
    for end in ends:
        end(graph)
    if half:
        graph = cleaning.half_storage(graph)
    onnx.helper.set_model_props(graph, metadata)
    onnx.checker.check_model(graph, full_check=True)
    onnx.save_model(graph, path)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress exactly these messages of torch's exporters, which no reader can act on; errors are raised as usual.

    - log lines that begin with "torchvision is not installed" (one per operator of torchvision; none is used here),
    - DeprecationWarning "You are using the legacy TorchScript-based ONNX export" (that is what the caller asked for),
    - FutureWarning about `isinstance(treespec, LeafSpec)` (torch's own code, about itself),
    - TracerWarning "Converting a tensor to a Python ..." and "torch.from_numpy results are registered as constants"
      (sizes and averaging matrices are meant to be constants in the file),
    - the dump of the whole graph, thousands of lines, that the torchscript exporter prints with every error.
    """

    def not_torchvision(record: logging.LogRecord) -> bool:
        return not record.getMessage().startswith("torchvision is not installed")

    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.addFilter(not_torchvision)
    try:
        with warnings.catch_warnings(), _no_dump():
            warnings.filterwarnings(
                "ignore", category=DeprecationWarning, message="You are using the legacy TorchScript-based ONNX export"
            )
            warnings.filterwarnings("ignore", category=FutureWarning, message=r"`isinstance\(treespec, LeafSpec\)`")
            for message in ("Converting a tensor to a Python", "torch.from_numpy results are registered as constants"):
                warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, message=message)
            yield
    finally:
        registration.removeFilter(not_torchvision)


@contextlib.contextmanager
def _no_dump() -> Iterator[None]:
    """Switch the torchscript exporter's log off, and restore it afterwards.

    That exporter means to turn its log on only on request. But it tests whether a function exists where it means to
    call it, so the first export of a process turns the log on for good. Inside the block, the log is off and the
    function that would turn it on is disabled.
    """
    try:
        utils: Any = importlib.import_module("torch.onnx._internal.torchscript_exporter.utils")
    except ImportError:  # another version of torch has it elsewhere; then the dump stays
        yield
        return
    usual, was_on = utils.setup_onnx_logging, torch._C._jit_is_onnx_log_enabled()
    utils.setup_onnx_logging = lambda verbose: contextlib.nullcontext()
    torch._C._jit_set_onnx_log_enabled(False)
    try:
        yield
    finally:
        utils.setup_onnx_logging = usual
        torch._C._jit_set_onnx_log_enabled(was_on)
