"""Export to ONNX: a network (`export_onnx`), or one pooling alone for looking at (`export_pooling`).

Two exporters come with torch. The one built on TorchScript runs the model once and writes down what happened; it
takes seconds. The one built on ``torch.export`` ("dynamo") analyses the code and checks what it assumed; it takes
about ten times as long. Both are given a thin wrapper around the model, so that `litehrnet.model` knows nothing of
export, and both files are cleaned up alike (`litehrnet.onnx_files`).

`check_parity` (`litehrnet.parity`) proves a file against torch; `make_exportable` (`litehrnet.exportable`) prepares
other people's models. Sizes are given height before width.
"""

from __future__ import annotations

import contextlib
import io
import json
import logging
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from . import blocks
from ._version import __version__
from .exportable import make_exportable
from .files import written_whole
from .model import LiteHRNet, check_size
from .parity import Parity, check_parity
from .pooling import make_pool, pool_params

if TYPE_CHECKING:
    import onnx

__all__ = [
    "DYNAMIC",
    "EXPORTERS",
    "Parity",
    "check_parity",
    "export_onnx",
    "export_pooling",
    "make_exportable",
    "opsets",
]

EXPORTERS = ("dynamo", "torchscript")
DYNAMIC = (False, "batch", "size")
DEFAULT_OPSET = 18


class Heatmaps(nn.Module):
    """The wrapper that is exported: `model.heatmaps` under the input's name, without the check of the size."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model = model

    def forward(self, image: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, joints, H / 4, W / 4)."""
        return self.model.heatmaps(image)


class Pooling(nn.Module):
    """The wrapper that is exported for one pooling alone: the output size is fixed."""

    def __init__(self, pool: nn.Module, output_size: tuple[int, int]) -> None:
        super().__init__()
        self.pool = pool
        self.output_size = output_size

    def forward(self, image: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, *output_size)."""
        return self.pool(image, self.output_size)


def opsets(exporter: str) -> range:
    """The opsets that an exporter of the installed torch can write.

    Raises:
        ValueError: the exporter is unknown.
    """
    from torch.onnx import _constants

    _check_choice("exporter", exporter, EXPORTERS)
    if exporter == "torchscript":
        return range(11, _constants.ONNX_TORCHSCRIPT_EXPORTER_MAX_OPSET + 1)
    return range(18, _constants.ONNX_MAX_OPSET + 1)


def export_onnx(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] = (256, 192),
    dynamic: bool | str = False,
    exporter: str = "dynamo",
    opset: int = DEFAULT_OPSET,
) -> Path:
    """Write a network as one self-contained ONNX file, with input "image" and output "heatmaps".

    Args:
        model: a `LiteHRNet`, or the fast module that `litehrnet.fusion.fuse` makes of one.
        path: the file to write; it appears when it is whole and has passed onnx's checker, never before.
        size: (height, width) in pixels; what the network is traced at.
        dynamic: False, nothing may change; "batch", any batch size; "size", any batch and any size whose sides are
            multiples of 32.
        exporter: "dynamo" or "torchscript".
        opset: version of ONNX's operator set, one of `opsets(exporter)`.

    Returns:
        The path of the file. Its metadata key "litehrnet" holds JSON: variant, size, dynamic, joints, mean, std,
        pooling, fused, version.

    Raises:
        ValueError: a size that the network cannot run, an unknown choice, or choices that do not go together; the
            sentence says why and names the nearest way.
    """
    size = check_size(size)
    _check_choice("dynamic", dynamic, DYNAMIC)
    _check_opset(exporter, opset)
    _check_together(model, size, dynamic, exporter)
    graph = _to_onnx(Heatmaps(model), (3, *size), dynamic, exporter, opset, "heatmaps")
    return _finish(graph, path, opset, dynamic, {"litehrnet": json.dumps(describe(model, size, dynamic))})


def export_pooling(
    input_size: int | Sequence[int],
    output_size: int | Sequence[int],
    mode: str,
    path: str | Path,
    exporter: str = "torchscript",
    opset: int = DEFAULT_OPSET,
) -> Path:
    """Write one pooling alone, for looking at: input "image" (1, 1, H, W), output "pooled".

    Args:
        input_size: pixels before pooling: one number for a square map, or (height, width).
        output_size: pixels after pooling, likewise.
        mode: "adaptive" (which exporters may refuse), "computed" (one AveragePool) or "exact" (two MatMuls).
        path: the file to write.
        exporter: "torchscript" or "dynamo".
        opset: as in `export_onnx`.

    Raises:
        ValueError: computed pooling cannot enlarge, or an unknown choice.
        RuntimeError: what the exporter itself raises on adaptive pooling that it cannot write.
    """
    before, after = _pair(input_size, "input_size"), _pair(output_size, "output_size")
    if mode == "computed":
        for n, m in zip(before, after, strict=True):
            pool_params(n, m)
    _check_opset(exporter, opset)
    graph = _to_onnx(Pooling(make_pool(mode), after), (1, *before), False, exporter, opset, "pooled")
    return _finish(graph, path, opset, False, {})


def describe(model: nn.Module, size: tuple[int, int], dynamic: bool | str) -> dict[str, object]:
    """What a file says about itself, under the metadata key "litehrnet"."""
    from .heatmaps import MEAN, STD

    return {
        "variant": model.variant.name,
        "size": list(size),
        "dynamic": dynamic,
        "joints": model.num_joints,
        "mean": list(MEAN),
        "std": list(STD),
        "pooling": getattr(model, "pooling", "computed"),
        "fused": bool(getattr(model, "fused", False)),
        "version": __version__,
    }


def _check_choice(name: str, value: object, choices: Sequence[object]) -> None:
    if not any(value is choice or (isinstance(value, str) and value == choice) for choice in choices):
        raise ValueError(f"unknown {name} {value!r}; choose one of {', '.join(map(repr, choices))}")


def _check_opset(exporter: str, opset: int) -> None:
    possible = opsets(exporter)
    if isinstance(opset, bool) or opset not in possible:
        other = {"dynamo": "torchscript", "torchscript": "dynamo"}[exporter]
        raise ValueError(
            f"the {exporter} exporter writes opsets {possible[0]} to {possible[-1]}, not {opset}; "
            f"the {other} exporter writes {opsets(other)[0]} to {opsets(other)[-1]}"
        )


def _check_together(model: nn.Module, size: tuple[int, int], dynamic: bool | str, exporter: str) -> None:
    """Refuse what cannot work before the slow part, with the reason and the nearest way."""
    if not hasattr(model, "heatmaps"):
        raise ValueError(
            f"{type(model).__name__} has no `heatmaps` method: pass a LiteHRNet or a fused one; for a model of the "
            "public repositories call litehrnet.make_exportable(model) and then torch.onnx.export"
        )
    fixed = getattr(model, "size", None)
    if fixed is not None and tuple(fixed) != size:
        raise ValueError(
            f"this module was fused for {fixed[0]}x{fixed[1]} and cannot be exported at {size[0]}x{size[1]}; "
            f"fuse the original model for {size[0]}x{size[1]}"
        )
    if dynamic != "size":
        return
    if any(side % 32 for side in size):
        nearest = " x ".join(str(-(-side // 32) * 32) for side in size)
        raise ValueError(
            f"a file of dynamic size takes multiples of 32, and is traced at one; {size[0]}x{size[1]} is not: "
            f"the nearest is {nearest}, or use dynamic='batch'"
        )
    if fixed is not None:
        raise ValueError(
            f"a graph fused for {fixed[0]}x{fixed[1]} has that size built in; use dynamic='batch', or export the "
            "model that is not fused"
        )
    if not isinstance(model, LiteHRNet) or not model.variant.channel_weighting:
        return
    if model.pooling == "exact":
        raise ValueError(
            "exact pooling holds matrices of one size, so its size cannot be dynamic; at multiples of 32 "
            "litehrnet.set_pooling(model, 'computed') gives the same values and any size"
        )
    if model.pooling == "adaptive" and exporter == "torchscript":
        raise ValueError(
            "the torchscript exporter cannot write adaptive pooling of dynamic size, since AveragePool needs a "
            "constant kernel; litehrnet.set_pooling(model, 'computed') gives the same values and can be written "
            "(or use exporter='dynamo')"
        )


def _pair(size: int | Sequence[int], name: str) -> tuple[int, int]:
    from .pooling import check_side

    sides = tuple(size) if isinstance(size, Sequence) else (size, size)
    if len(sides) != 2:
        raise ValueError(f"{name} is one number or (height, width), got {size!r}")
    return check_side(sides[0], name), check_side(sides[1], name)


def _to_onnx(
    module: nn.Module, shape: tuple[int, int, int], dynamic: bool | str, exporter: str, opset: int, output: str
) -> onnx.ModelProto:
    """Run one exporter on zeros of `shape` (C, H, W); the module's mode is restored."""
    import onnx

    first = next(module.parameters(), torch.zeros(()))
    # Batch 2 where it may change: torch.export takes a batch of 1 for a constant.
    image = torch.zeros(2 if dynamic else 1, *shape, dtype=first.dtype, device=first.device)
    options = {"input_names": ["image"], "output_names": [output], "opset_version": opset}
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        with torch.no_grad(), _quiet(), _shuffle_by_index(bool(dynamic)):
            if exporter == "torchscript":
                buffer = io.BytesIO()
                axes = {0: "batch"} | ({2: "height", 3: "width"} if dynamic == "size" else {})
                both = {"image": axes, output: axes} if dynamic else None
                torch.onnx.export(module, (image,), buffer, dynamo=False, dynamic_axes=both, **options)
                return onnx.load_model_from_string(buffer.getvalue())
            dim = torch.export.Dim
            # As multiples of 32: then every halving inside is provably whole.
            dims = {0: dim("batch")} | ({2: 32 * dim("h"), 3: 32 * dim("w")} if dynamic == "size" else {})
            shapes = {"image": dims} if dynamic else None
            program = torch.onnx.export(
                module, (image,), dynamo=True, dynamic_shapes=shapes, external_data=False, verbose=False, **options
            )
            return program.model_proto
    finally:
        for part, training in modes.items():
            part.training = training


def _finish(
    graph: onnx.ModelProto, path: str | Path, opset: int, dynamic: bool | str, metadata: dict[str, str]
) -> Path:
    import onnx

    from .onnx_files import check, clean, found_opset

    graph = clean(graph, dynamic)
    if found_opset(graph) != opset:
        raise ValueError(f"opset {opset} was asked for and the exporter wrote {found_opset(graph)}; ask for that one")
    onnx.helper.set_model_props(graph, metadata)
    check(graph)
    path = Path(path)
    with written_whole(path) as temporary:
        onnx.save_model(graph, temporary)
    return path


@contextlib.contextmanager
def _shuffle_by_index(wanted: bool) -> Iterator[None]:
    """Write the channel shuffle as one Gather with a constant index.

    As two reshapes it needs the height and width, which a graph of dynamic size would have to ask for, 49 times (the
    torchscript exporter asks for them as soon as the batch is free).
    """
    usual = blocks.channel_shuffle

    def by_index(x: Tensor, groups: int) -> Tensor:
        channels = int(x.shape[1])
        index = torch.arange(channels, device=x.device).reshape(groups, channels // groups).T.reshape(-1)
        return x.index_select(1, index)  # (N, C, H, W)

    try:
        if wanted:
            blocks.channel_shuffle = by_index
        yield
    finally:
        blocks.channel_shuffle = usual


@contextlib.contextmanager
def _quiet() -> Iterator[None]:
    """Hush what every export says and no reader can act on, each by its name."""

    def not_torchvision(record: logging.LogRecord) -> bool:
        # Its operators are not used here; one such line a missing operator.
        return not record.getMessage().startswith("torchvision is not installed")

    registration = logging.getLogger("torch.onnx._internal.exporter._registration")
    registration.addFilter(not_torchvision)
    try:
        with warnings.catch_warnings():
            # Choosing the older exporter is what the caller asked for.
            warnings.filterwarnings("ignore", message="You are using the legacy TorchScript-based ONNX export")
            # Sizes and averaging matrices become constants in the file, as they should.
            for message in ("Converting a tensor to a Python", "torch.from_numpy results are registered as constants"):
                warnings.filterwarnings("ignore", category=torch.jit.TracerWarning, message=message)
            yield
    finally:
        registration.removeFilter(not_torchvision)
