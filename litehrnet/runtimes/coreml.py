"""Core ML's packages: what they hold, and their operators computed one after the other in torch.

Core ML itself runs on Apple's systems only. What can be examined anywhere is the file: its graph, the attributes of
its operators, and its weights. coremltools reads them, and `imitate` computes them with torch, as the documentation of
coremltools describes each operator. If the result equals the network's, the file is right. Only a Mac or a phone can
tell how Core ML's own kernels round and how fast they are; so `litehrnet.runtimes.load` refuses these files, and
nothing times them.
"""

from __future__ import annotations

import contextlib
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import require
from ..files import existing_file, is_package
from .session import Session
from .signature import METADATA_KEY, Port, Signature, read_metadata

if TYPE_CHECKING:
    from torch import Tensor

    Given = Mapping[str, Any]
    Operator = Callable[[Given], Tensor | Sequence[Tensor]]

__all__ = ["NOT_RUN", "coremltools", "imitate", "operators", "quiet", "read_signature", "weights_of"]

NOT_RUN = (
    "a Core ML package runs on Apple's systems only, and not in this package; litehrnet check compares it with a "
    "checkpoint, its operators computed one after the other in torch"
)
PACKAGE = "coremltools"
_WEIGHTS = Path("Data") / "com.apple.CoreML" / "weights"  # within the package
_TYPES = {65552: "float16", 65568: "float32", 65600: "float64", 131104: "int32"}  # numbers of ArrayFeatureType
_HALF, _SINGLE = 10, 11  # numbers of MIL's DataType


def coremltools() -> ModuleType:
    """The package coremltools, imported without its remarks on versions.

    Raises:
        ImportError: it is not installed; the message gives the command that installs it.
    """
    with quiet():
        return require(PACKAGE)


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Suppress coremltools' log below errors: versions that it was not tested with, and types that it narrows."""
    log = logging.getLogger(PACKAGE)
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def read_signature(path: Path) -> Signature:
    """What a package takes and gives; coremltools reads it.

    Raises:
        ImportError: coremltools is not installed.
        ValueError: it is not a Core ML package, or a damaged one.
    """
    return _signature(_specification(path), path.name)


def weights_of(path: Path) -> str:
    """What most of the weights are stored as: "float16" or "float32"."""
    counts = {_HALF: 0, _SINGLE: 0}
    for operation in _operations(_specification(path), path.name):
        if operation.type == "const":
            kind = operation.attributes["val"].type.tensorType
            if kind.dataType in counts:
                counts[kind.dataType] += int(np.prod([side.constant.size for side in kind.dimensions], dtype=np.int64))
    return "float16" if counts[_HALF] > counts[_SINGLE] else "float32"


def operators(path: str | Path) -> dict[str, int]:
    """How often each operator occurs in a package, the most frequent first; constants are not counted.

    Raises:
        ImportError, FileNotFoundError, ValueError: as `read_signature`.
    """
    path = existing_file(path)
    counts: dict[str, int] = {}
    for operation in _operations(_specification(path), path.name):
        if operation.type != "const":
            counts[operation.type] = counts.get(operation.type, 0) + 1
    return dict(sorted(counts.items(), key=lambda item: -item[1]))


def imitate(path: str | Path) -> Session:
    """A package as a session: its operators, in the file's order and with its weights, computed in torch on the CPU.

    Values that the file declares as float16 are rounded to float16 after each operator; sums are in float32.

    Raises:
        ImportError: coremltools is not installed.
        FileNotFoundError: there is no such package.
        ValueError: it is damaged, or holds an operator that is not computed here.
    """
    path = existing_file(path)
    specification = _specification(path)
    _operations(specification, path.name)
    load = require("coremltools.converters.mil.frontend.milproto.load", PACKAGE).load
    with quiet():
        program = load(specification, specification.specificationVersion, file_weights_dir=str(path / _WEIGHTS))
    (function,) = program.functions.values()
    steps = [step for step in function.operations if step.op_type != "const"]
    unknown = sorted({step.op_type for step in steps} - set(OPERATORS))
    if unknown:
        raise ValueError(f"{path.name} holds operators that are not computed here: {', '.join(unknown)}")
    names, outputs = list(function.inputs), [output.name for output in function.outputs]
    finished = _finished(steps, set(outputs))
    half = require("coremltools.converters.mil.mil.types", PACKAGE).fp16
    halves = {each.name for step in steps for each in step.outputs if each.dtype == half}

    def run(arrays: Sequence[np.ndarray]) -> list[np.ndarray]:
        import torch

        values = {name: torch.from_numpy(array) for name, array in zip(names, arrays, strict=True)}
        with torch.no_grad(), torch.autocast("cpu", enabled=False):
            for place, step in enumerate(steps):
                given = {name: _value(variable, values) for name, variable in step.inputs.items()}
                found = OPERATORS[step.op_type](given)
                tensors = found if isinstance(found, Sequence) else [found]
                for variable, tensor in zip(step.outputs, tensors, strict=True):
                    values[variable.name] = _rounded(tensor) if variable.name in halves else tensor
                for name in finished.get(place, ()):  # nobody needs it any more
                    del values[name]
        return [values[name].numpy() for name in outputs]

    return Session(_signature(specification, path.name), run)


def _finished(steps: Sequence[Any], kept: set[str]) -> dict[int, list[str]]:
    """The results that are used for the last time, by the place of the step that uses them."""
    last: dict[str, int] = {}
    for place, step in enumerate(steps):
        for variable in (*step.outputs, *_variables(step.inputs.values())):
            if variable.op is None or variable.op.op_type != "const":
                last[variable.name] = place
    finished: dict[int, list[str]] = {}
    for name, place in last.items():
        if name not in kept:
            finished.setdefault(place, []).append(name)
    return finished


def _variables(inputs: Iterable[Any]) -> Iterator[Any]:
    for value in inputs:
        if isinstance(value, list | tuple):
            yield from _variables(value)
        elif value is not None:
            yield value


# ---------------------------------------------------------------------- reading


def _specification(path: Path) -> Any:
    library = coremltools()
    if not is_package(path):
        raise ValueError(f"{path.name} is not an .mlpackage file: a Core ML package is a folder")
    try:
        return library.utils.load_spec(str(path))
    except Exception as error:  # the library's own, of several kinds
        raise ValueError(f"coremltools cannot read {path.name}: it is damaged, or no Core ML package") from error


def _operations(specification: Any, name: str) -> Sequence[Any]:
    """The operations of the one function of a program."""
    if specification.WhichOneof("Type") != "mlProgram":
        raise ValueError(f"{name} holds a network of Core ML's older kind; only ML programs are read")
    functions = list(specification.mlProgram.functions.values())
    if len(functions) != 1:
        raise ValueError(f"{name} holds {len(functions)} functions, where one network is expected")
    operations: Sequence[Any] = functions[0].block_specializations[functions[0].opset].operations
    return operations


def _signature(specification: Any, name: str) -> Signature:
    about = specification.description
    inputs, outputs = (tuple(map(_port, ports)) for ports in (about.input, about.output))
    metadata = read_metadata(about.metadata.userDefined.get(METADATA_KEY), name)
    return Signature(name, "coreml", inputs, outputs, metadata=metadata)


def _port(feature: Any) -> Port:
    kind = feature.type.WhichOneof("Type")
    if kind == "imageType":  # pixels that Core ML itself turns into an array
        return Port(feature.name, "float32", (1, 3, feature.type.imageType.height, feature.type.imageType.width))
    array = feature.type.multiArrayType
    shape: tuple[int | None, ...] | None = tuple(array.shape) or None
    ranges = [(side.lowerBound, side.upperBound) for side in array.shapeRange.sizeRanges]
    ranges = ranges or [
        (min(sides), max(sides)) for sides in zip(*(each.shape for each in array.enumeratedShapes.shapes), strict=True)
    ]
    if ranges:
        shape = tuple(low if low == high else None for low, high in ranges)
    return Port(feature.name, _TYPES.get(array.dataType, "float32"), shape, tuple(ranges) or None)


# ---------------------------------------------------------------------- operators, as coremltools documents them


def _value(variable: Any, values: Mapping[str, Tensor]) -> Any:
    """What an operator is given: a constant, an earlier result, or a list of either."""
    if variable is None:
        return None
    if isinstance(variable, list | tuple):
        return [_value(each, values) for each in variable]
    if variable.name in values:
        return values[variable.name]
    return variable.val


def _tensor(value: Any) -> Tensor:
    import torch

    if isinstance(value, torch.Tensor):
        return value
    array = np.asarray(value)
    return torch.from_numpy(array.astype(np.float32) if array.dtype == np.float16 else array.copy())


def _rounded(tensor: Tensor) -> Tensor:
    import torch

    return tensor.to(torch.float16).to(torch.float32)


def _numbers(value: Any) -> list[int]:
    return [int(number) for number in np.asarray(value).reshape(-1)]


def _padded(given: Given, spatial: int = 2) -> Tensor:
    """The input of a convolution or a pooling with its border; "valid" has none, "custom" lists before and after."""
    from torch.nn import functional as F

    kind = given["pad_type"]
    if kind not in ("valid", "custom"):
        raise ValueError(f"padding of the kind {kind!r} is not computed here")
    pairs = _numbers(given["pad"]) if kind == "custom" else [0] * (2 * spatial)
    # The file lists the first axis first, torch the last axis first.
    backwards = [side for axis in reversed(range(spatial)) for side in pairs[2 * axis : 2 * axis + 2]]
    return F.pad(_tensor(given["x"]), backwards) if any(backwards) else _tensor(given["x"])


def _conv(given: Given) -> Tensor:
    from torch.nn import functional as F

    bias = None if given.get("bias") is None else _tensor(given["bias"])
    strides, dilations = _numbers(given["strides"]), _numbers(given["dilations"])
    weight = _tensor(given["weight"])
    return F.conv2d(_padded(given), weight, bias, strides, 0, dilations, int(given["groups"]))


def _avg_pool(given: Given) -> Tensor:
    from torch.nn import functional as F

    if given["pad_type"] == "custom" and any(_numbers(given["pad"])):
        raise ValueError("average pooling with a border is not computed here")
    ceil = bool(given.get("ceil_mode"))
    return F.avg_pool2d(_padded(given), _numbers(given["kernel_sizes"]), _numbers(given["strides"]), ceil_mode=ceil)


def _resized(given: Given, mode: str) -> Tensor:
    from torch.nn import functional as F

    scale = [float(given["scale_factor_height"]), float(given["scale_factor_width"])]
    corners = None if mode == "nearest" else bool(given["align_corners"])
    return F.interpolate(_tensor(given["x"]), scale_factor=scale, mode=mode, align_corners=corners)


def _split(given: Given) -> Sequence[Tensor]:
    sizes, x = given.get("split_sizes"), _tensor(given["x"])
    if sizes is not None:
        return x.split(_numbers(sizes), int(given["axis"]))
    return x.chunk(int(given["num_splits"]), int(given["axis"]))


def _concat(given: Given) -> Tensor:
    import torch

    if given.get("interleave"):
        raise ValueError("concatenation in turn (interleave) is not computed here")
    return torch.cat([_tensor(each).reshape(-1) if np.ndim(each) == 0 else _tensor(each) for each in given["values"]],
                     int(given["axis"]))  # fmt: skip


def _mean(given: Given) -> Tensor:
    return _tensor(given["x"]).mean(_numbers(given["axes"]), keepdim=bool(given["keep_dims"]))


def _cast(given: Given) -> Tensor:
    import torch

    kinds = {"fp16": torch.float32, "fp32": torch.float32, "int32": torch.int32, "bool": torch.bool}
    return _tensor(given["x"]).to(kinds[str(given["dtype"])])  # fp16 is rounded by what the output declares


def _shape(given: Given) -> Tensor:
    import torch

    return torch.tensor(_tensor(given["x"]).shape, dtype=torch.int32)


OPERATORS: dict[str, Operator] = {
    "add": lambda given: _tensor(given["x"]) + _tensor(given["y"]),
    "avg_pool": _avg_pool,
    "cast": _cast,
    "concat": _concat,
    "conv": _conv,
    "gather": lambda given: _tensor(given["x"]).index_select(
        int(given["axis"]), _tensor(given["indices"]).reshape(-1).long()
    ),
    "matmul": lambda given: _matmul(given),
    "mul": lambda given: _tensor(given["x"]) * _tensor(given["y"]),
    "reduce_mean": _mean,
    "relu": lambda given: _tensor(given["x"]).relu(),
    "reshape": lambda given: _tensor(given["x"]).reshape(_numbers(given["shape"])),
    "shape": _shape,
    "sigmoid": lambda given: _tensor(given["x"]).sigmoid(),
    "split": _split,
    "sub": lambda given: _tensor(given["x"]) - _tensor(given["y"]),
    "transpose": lambda given: _tensor(given["x"]).permute(_numbers(given["perm"])),
    "upsample_bilinear": lambda given: _resized(given, "bilinear"),
    "upsample_nearest_neighbor": lambda given: _resized(given, "nearest"),
}


def _matmul(given: Given) -> Tensor:
    x, y = _tensor(given["x"]), _tensor(given["y"])
    x = x.transpose(-1, -2) if given.get("transpose_x") else x
    return x @ (y.transpose(-1, -2) if given.get("transpose_y") else y)
