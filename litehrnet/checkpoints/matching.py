"""Which network a set of weights belongs to, and whether it fits: names, shapes and values, checked before loading."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from ..model import VARIANTS, LiteHRNet, Variant

__all__ = ["fitting_state", "infer_joints", "infer_variant", "plain_model"]

FINAL = "head.final_layer.weight"
_FIRST_BRANCH = "backbone.transition0.0.2.weight"  # (channels of the first branch, stem channels, 1, 1)
_STAGES = ("backbone.stage0.", "backbone.stage1.", "backbone.stage2.")
_COUNTER = ".num_batches_tracked"
_SHOWN = 6  # rows of each kind in an error's table


def plain_model(model: nn.Module, doing: str) -> LiteHRNet:
    """The `LiteHRNet` itself, unwrapped from DataParallel, DistributedDataParallel and torch.compile.

    Args:
        model: the argument that the caller received.
        doing: the beginning of the message, such as "load_checkpoint fills".

    Raises:
        ValueError: it is another network, or a fused one.
    """
    inner: object = model
    wrappers = (nn.DataParallel, nn.parallel.DistributedDataParallel)
    while not isinstance(inner, LiteHRNet) and (isinstance(inner, wrappers) or hasattr(inner, "_orig_mod")):
        inner = inner.module if isinstance(inner, wrappers) else inner._orig_mod
    if not isinstance(inner, LiteHRNet):
        hint = "; use the plain model, and fuse it afterwards" if hasattr(inner, "variant") else ""
        raise ValueError(f"{doing} a LiteHRNet, such as create_model makes, not a {type(inner).__name__}{hint}")
    return inner


def infer_variant(entries: Mapping[str, Any], path: Path) -> Variant:
    """The row of `VARIANTS` that fits the names and shapes.

    Raises:
        ValueError: none of them fits; the message describes what the file holds.
    """
    modules = tuple(
        len({key.split(".")[2] for key in entries if key.startswith(stage)}) for stage in _STAGES
    )  # ("backbone", "stage0", "1", ...)
    weighting = any(".cross_resolution_weighting." in key for key in entries)
    counts = [_shape_of(entries.get(_FIRST_BRANCH))[:1], _shape_of(entries.get(FINAL))[1:2]]
    channels = next((shape[0] for shape in counts if shape), None)
    for variant in VARIANTS.values():
        if (modules, weighting) == (variant.modules, variant.channel_weighting) and channels == variant.channels[0]:
            return variant
    kind = "channel weighting" if weighting else "shuffle blocks"
    described = f"{'-'.join(map(str, modules))} modules, {kind}, {channels or 'no'} channels in the first branch"
    raise ValueError(f"{path} holds none of the variants {', '.join(VARIANTS)}: it has {described}")


def infer_joints(entries: Mapping[str, Any]) -> int | None:
    """How many heatmaps the head returns; None if there is only a backbone."""
    shape = _shape_of(entries.get(FINAL))
    return shape[0] if len(shape) == 4 and shape[0] > 0 else None


def fitting_state(entries: Mapping[str, Any], model: LiteHRNet, path: Path) -> dict[str, Tensor]:
    """The entries as tensors that `model` can load directly; counters that very old files lack are added.

    Raises:
        ValueError: something does not fit; the message is a table of names and shapes, or a sentence on the values.
    """
    own = model.state_dict()
    state = {**{key: torch.tensor(0) for key in own if key.endswith(_COUNTER)}, **entries}
    rows = {
        "missing": [f"{key}  {_shown_shape(own[key])}" for key in own if key not in state],
        "unexpected": [f"{key}  {_shown_shape(state[key])}" for key in state if key not in own],
        "wrong shape": [
            f"{key}  {_shown_shape(state[key])} in the file, {_shown_shape(own[key])} in the model"
            for key in own
            if key in state and _is_array(state[key]) and _shape_of(state[key]) != _shape_of(own[key])
        ],
    }
    if any(rows.values()):
        wanted = f"{model.variant.name} with {model.num_joints} joints"
        hint = _hint(entries, model, path)
        raise ValueError(f"{path} does not fit {wanted}; nothing was loaded{hint}\n{_table(rows)}")
    return _usable(state, own, path)


# ------------------------------------------------------------------------------------------------------------ values


def _usable(state: Mapping[str, Any], own: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """Convert every entry to the model's type, or say which is the first that cannot be converted."""
    converted, problems = {}, {}
    for key, value in state.items():
        value = _as_tensor(value)
        problem = _wrong_kind(key, value)
        if not problem:
            converted[key] = value.detach().to(own[key].dtype)
            problem = _wrong_values(key, value, converted[key])
        if problem:
            problems[key] = problem
    if problems:
        first = next(iter(problems))
        count = f"{len(problems)} entries that cannot be used" if len(problems) > 1 else "an entry that cannot be used"
        raise ValueError(f"{path} holds {count}: {first} {problems[first]}")
    return converted


def _as_tensor(value: Any) -> Any:
    """Convert NumPy arrays and numbers to tensors; return anything else unchanged."""
    if isinstance(value, (np.ndarray, np.number)) and np.asarray(value).dtype.kind in "biufc":
        try:
            return torch.from_numpy(np.array(value))  # a copy, because torch warns about read-only arrays
        except TypeError:  # a type that torch does not have, such as longdouble
            return value
    return value


def _wrong_kind(key: str, value: Any) -> str:
    """Why an entry can never be a weight, or "" if it can."""
    if not isinstance(value, Tensor):
        return f"is a {type(value).__name__}, not a tensor"
    if value.is_quantized:
        return f"is quantised ({value.dtype}); load the float weights"
    if value.is_nested or value.layout is not torch.strided:
        return f"is a sparse or nested tensor ({value.layout}); save it dense, with .to_dense()"
    if value.is_meta:
        return "has a shape but no values (a tensor of the meta device)"
    if key.endswith(_COUNTER):
        return "" if value.dtype not in (torch.bool, torch.complex64, torch.complex128) else f"is {value.dtype}"
    return "" if value.is_floating_point() else f"is {value.dtype}, and weights are floating-point numbers"


def _wrong_values(key: str, value: Tensor, converted: Tensor) -> str:
    """Why the values cannot be weights, or "" if they can; `converted` is in the model's type."""
    wide = value.detach().to(torch.float64)  # isfinite does not support every small type
    if not wide.isfinite().all():
        low = value.dtype == torch.float16 and key.endswith("running_var")
        hint = "; float16 ends at 65504, so save the weights again from the float32 model" if low else ""
        return f"is NaN or infinity in {int((~wide.isfinite()).sum())} of {wide.numel()} values{hint}"
    if not converted.isfinite().all():
        most = torch.finfo(converted.dtype).max
        return f"reaches {float(wide.abs().max()):.3g}, and the model's {converted.dtype} ends at {most:.5g}"
    if key.endswith("running_var") and (wide < 0).any():
        return f"is a variance and reaches {float(wide.min()):.3g}, below zero"
    if key.endswith(_COUNTER) and (wide != wide.round()).any():
        return f"is a counter and holds {float(wide.max()):.3g}, which is not a whole number"
    return ""


# ------------------------------------------------------------------------------------------------------- the sentence


def _hint(entries: Mapping[str, Any], model: LiteHRNet, path: Path) -> str:
    """What the file holds, if it is a different model."""
    try:
        name = infer_variant(entries, path).name
    except ValueError:
        return ""
    joints = infer_joints(entries)
    if joints is None:
        return f". It holds the backbone of {name} alone: litehrnet.from_checkpoint(path, num_joints=...) adds a head"
    if (name, joints) == (model.variant.name, model.num_joints):
        return ""
    other = (
        "" if name != model.variant.name else f", and with num_joints={model.num_joints} its backbone with a new head"
    )
    return f". It holds {name} with {joints} joints: litehrnet.from_checkpoint(path) builds that model{other}"


def _table(rows: Mapping[str, Iterable[str]]) -> str:
    lines = []
    for kind, found in rows.items():
        found = list(found)
        lines += [f"  {kind:<12} {row}" for row in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"  {kind:<12} ... and {len(found) - _SHOWN} more")
    return "\n".join(lines)


def _is_array(value: object) -> bool:
    return isinstance(value, (Tensor, np.ndarray, np.number))


def _shape_of(value: object) -> tuple[int, ...]:
    """The shape of a dense entry; () for a number, and for anything that is not a tensor or has no single shape."""
    if isinstance(value, Tensor):
        return () if value.is_nested else tuple(value.shape)
    return value.shape if isinstance(value, np.ndarray) else ()


def _shown_shape(value: object) -> str:
    return "x".join(map(str, _shape_of(value))) or ("scalar" if _is_array(value) else type(value).__name__)
