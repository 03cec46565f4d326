"""Reading everybody's weights: bundled ones, public ones, and whatever file a reader brings.

The names inside a file differ by where it comes from; they are brought to one form, that of the official repository's
current code, which is ours too::

    module.backbone.stem. ...           DataParallel
    keypoint_head.final_layer.weight    official repository, mmpose 0.x
    head.final_layer.weight             mmpose 1.x, this package

Every file is read with `weights_only=True`: a checkpoint is a pickle, and a pickle can run code. Nothing is loaded
before all of it fits.
"""

from __future__ import annotations

import json
import pickle
import struct
import warnings
from collections.abc import Iterable, Mapping
from pathlib import Path

import torch
from torch import Tensor

from ..files import data_path, written_whole
from ..model import VARIANTS, LiteHRNet, Variant, create_model
from .public import PUBLIC, fetch

__all__ = ["PUBLIC", "from_checkpoint", "load_checkpoint", "load_pretrained", "read_metadata", "save_weights"]

BUNDLED = {"litehrnet18": "litehrnet18_256x192.safetensors"}


# EMA before raw weights; `state_dict` first, because mmengine swaps the averaged weights into it before it saves.
_CONTAINERS = ("state_dict", "ema", "ema_state_dict", "model", "module")
_PREFIXES = ("module.", "_orig_mod.")
_RENAMED = {"keypoint_head.": "head."}
# No weights of the network; the last is of torch's own averaged models.
_IGNORED = ("data_preprocessor.", "ema_backbone_", "ema_keypoint_head_", "ema_head_", "n_averaged")
_STAGES = ("backbone.stage0.", "backbone.stage1.", "backbone.stage2.")
_FINAL = "head.final_layer.weight"
# What torch's reader was seen to raise on pickles with flipped bits: nearly anything.
_OF_DAMAGED_PICKLES = (
    ArithmeticError, AssertionError, AttributeError, EOFError, LookupError, MemoryError, OSError, RuntimeError,
    TypeError, ValueError, struct.error,
)  # fmt: skip
_SHOWN = 6  # rows of each kind in an error's table


def load_checkpoint(model: LiteHRNet, path: str | Path) -> LiteHRNet:
    """Fill `model` with the weights of a file, and return it; it stays in the mode (train or eval) it is in.

    Args:
        model: from `create_model`, of the variant and the number of joints that the file holds.
        path: a `.pth`, `.pt` or `.safetensors` file; a bare state dict or one under `state_dict`, `ema` or `model`;
            names of the official repository, of mmpose 0.x and 1.x, with or without DataParallel's `module.`.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is no checkpoint of this network; one sentence says what it is, or one table which
            entries are missing, unexpected or of another shape. The model is then as it was.
    """
    path = Path(path)
    state = _read_state(path)
    _check_fits(state, model, path)
    model.load_state_dict(state)
    return model


def from_checkpoint(path: str | Path) -> LiteHRNet:
    """Build the model that a file holds: its variant and its number of joints are told from keys and shapes.

    Args:
        path: as for `load_checkpoint`.

    Returns:
        The filled model, in eval mode.

    Raises:
        FileNotFoundError, ValueError: as `load_checkpoint`.

    >>> model = from_checkpoint(data_path("litehrnet18_256x192.safetensors"))
    >>> model.variant.name, model.num_joints
    ('litehrnet18', 17)
    """
    path = Path(path)
    state = _read_state(path)
    model = create_model(_tell_variant(state, path).name, _tell_joints(state, path))
    _check_fits(state, model, path)
    model.load_state_dict(state)
    return model


def load_pretrained(name: str = "litehrnet18") -> LiteHRNet:
    """Weights by name: those that come with the package, or a public file, downloaded once.

    Args:
        name: "litehrnet18" (bundled, at once and offline; data/litehrnet18_256x192.md describes them), or a key of
            `PUBLIC`, such as "litehrnet18_coco_256x192".

    Returns:
        The filled model, in eval mode.

    Raises:
        ValueError: the name is unknown, or the file that came is not the one that its authors published.
        ConnectionError: the file is not in torch's hub cache and could not be fetched; the sentence names the address
            and where to put the file by hand.
    """
    if name in BUNDLED:
        return from_checkpoint(data_path(BUNDLED[name]))
    if name not in PUBLIC:
        raise ValueError(f"no weights named {name!r}; there are {', '.join((*BUNDLED, *PUBLIC))}")
    return from_checkpoint(fetch(PUBLIC[name]))


def read_metadata(path: str | Path) -> dict[str, str]:
    """What a `.safetensors` file says about itself, as text by name; empty where it says nothing.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a whole safetensors file.

    >>> read_metadata(data_path("litehrnet18_256x192.safetensors"))["joints"]
    '17'
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        header = file.read(min(length, path.stat().st_size))
    try:
        return dict(json.loads(header).get("__metadata__") or {})
    except (AttributeError, TypeError, ValueError) as error:  # no JSON, or JSON of another form
        raise ValueError(f"{path} is no whole safetensors file: {error}") from error


def save_weights(model: LiteHRNet, path: str | Path, **metadata: str) -> Path:
    """Write a small `.safetensors` file: convolution weights as float16, all else (batch norm, biases) as float32.

    Args:
        model: whose weights to write.
        path: the file, which appears only when it is whole.
        metadata: text to carry along (`read_metadata` gives it back); variant and joints are added.

    Returns:
        The path.

    Raises:
        ValueError: a convolution's weight is too large for float16 (65504).
    """
    from safetensors.torch import save

    tensors = {}
    for key, value in model.state_dict().items():
        kept = value.half() if value.ndim == 4 else value.float() if value.is_floating_point() else value
        if not kept.isfinite().all():
            raise ValueError(f"{key} reaches {float(value.abs().max()):.3g}, and float16 ends at 65504")
        tensors[key] = kept.detach().cpu().contiguous()
    metadata = {"variant": model.variant.name, "joints": str(model.num_joints), **metadata}
    with written_whole(path) as temporary:
        temporary.write_bytes(save(tensors, metadata=metadata))
    return Path(path)


# ---------------------------------------------------------------------- reading a file


def _read_state(path: Path) -> dict[str, Tensor]:
    """The state dict of a file, in our names."""
    state = _canonical(_unwrap(_read_file(path), path), path)
    if not any(key.startswith("backbone.stem.") for key in state):
        shown = ", ".join(list(state)[:3])
        raise ValueError(
            f"{path} holds another network: {len(state)} entries, none under backbone.stem. ({shown}, ...)"
        )
    broken = [key for key, value in state.items() if value.is_floating_point() and not value.isfinite().all()]
    if broken:
        raise ValueError(f"{path} holds NaN or infinity in {len(broken)} entries, the first of them {broken[0]}")
    return state


def _read_file(path: Path) -> object:
    """Whatever a file holds, read without running code; the kind is told from its first bytes, not from its suffix."""
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint {path}")
    if path.is_dir():
        raise ValueError(f"{path} is a folder; give the checkpoint file in it")
    with path.open("rb") as file:
        head = file.read(64)
    if not head:
        raise ValueError(f"{path} is empty: 0 bytes")
    if head[8:9] == b"{":
        return _read_safetensors(path)
    if head[:2] != b"PK" and head[:1] != b"\x80":  # a zip archive (torch >= 1.6), or a bare pickle
        hint = "a pointer of Git LFS: run `git lfs pull`" if head.startswith(b"version https://git-lfs") else ""
        page = head.lstrip().lower().startswith((b"<!doctype", b"<html"))
        hint = hint or ("a web page: the download went wrong" if page else "")
        raise ValueError(f"{path} is no checkpoint but {hint or f'a file that begins with {head[:16]!r}'}")
    try:
        with warnings.catch_warnings():
            # Refused below, in our own words.
            warnings.filterwarnings("ignore", message=".*looks like a TorchScript archive", category=UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError as error:
        if "Unsupported" not in str(error) and "GLOBAL" not in str(error) and "weights_only" not in str(error).lower():
            raise ValueError(_damaged(path, error)) from error
        raise ValueError(
            f"{path} holds more than tensors (a whole pickled model, or a trainer's objects), and reading that would "
            "run code from the file, which is refused; where it came from, save the weights alone with "
            f"torch.save(model.state_dict(), ...) ({_first_line(error)})"
        ) from error
    except _OF_DAMAGED_PICKLES as error:
        if "TorchScript" in str(error):
            raise ValueError(
                f"{path} is a TorchScript program, not a checkpoint; where it came from, save the weights alone with "
                "torch.save(model.state_dict(), ...)"
            ) from error
        raise ValueError(_damaged(path, error)) from error


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise ValueError(_damaged(path, error)) from error


def _damaged(path: Path, error: BaseException) -> str:
    return f"{path} is cut short or damaged ({path.stat().st_size} bytes): {_first_line(error)}"


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0][:160]


def _unwrap(held: object, path: Path) -> Mapping[str, Tensor]:
    """The state dict, from under whatever names trainers put it."""
    while isinstance(held, Mapping) and held and not all(isinstance(value, Tensor) for value in held.values()):
        inside = next((name for name in _CONTAINERS if isinstance(held.get(name), Mapping)), None)
        if inside is None:
            raise ValueError(
                f"{path} holds no state dict, neither bare nor under {', '.join(_CONTAINERS)}; "
                f"it has {', '.join(map(repr, list(held)[:6]))}"
            )
        held = held[inside]
    if not isinstance(held, Mapping):
        raise ValueError(f"{path} holds a {type(held).__name__}, not a state dict; save model.state_dict()")
    if not held:
        raise ValueError(f"{path} holds an empty state dict: 0 entries")
    return held


def _canonical(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The same entries in our names."""
    renamed: dict[str, Tensor] = {}
    for key, value in state.items():
        name = str(key)
        while name.startswith(_PREFIXES):
            name = name.split(".", 1)[1]
        for old, new in _RENAMED.items():
            name = new + name.removeprefix(old) if name.startswith(old) else name
        if name.startswith(_IGNORED):
            continue
        if name in renamed:
            raise ValueError(f"{path} holds {name} twice, under different prefixes; keep one of them")
        renamed[name] = value
    return renamed


# ---------------------------------------------------------------------- which network, does it fit


def _tell_variant(state: Mapping[str, Tensor], path: Path) -> Variant:
    modules = tuple(
        len({key.split(".")[2] for key in state if key.startswith(stage)}) for stage in _STAGES
    )  # ("backbone", "stage0", "1", ...)
    weighting = any(".cross_resolution_weighting." in key for key in state)
    final = state.get(_FINAL)
    width = final.shape[1] if final is not None and final.ndim == 4 else None
    for variant in VARIANTS.values():
        if (modules, weighting) == (variant.modules, variant.channel_weighting) and width == variant.channels[0]:
            return variant
    kind = "channel weighting" if weighting else "shuffle blocks"
    described = f"{'-'.join(map(str, modules))} modules, {kind}, {width or 'no'} channels before {_FINAL}"
    raise ValueError(f"{path} holds none of the variants {', '.join(VARIANTS)}: it has {described}")


def _tell_joints(state: Mapping[str, Tensor], path: Path) -> int:
    if _FINAL not in state:
        raise ValueError(f"{path} has no {_FINAL}, so that its number of joints is not known")
    return state[_FINAL].shape[0]


def _check_fits(state: dict[str, Tensor], model: LiteHRNet, path: Path) -> None:
    """Raise one table of all that does not fit; add the counters that files from before torch 0.4.1 lack."""
    own = model.state_dict()
    for key in own:
        if key.endswith(".num_batches_tracked"):
            state.setdefault(key, torch.tensor(0))
    rows = {
        "missing": [f"{key}  {_shape(own[key])}" for key in own if key not in state],
        "unexpected": [f"{key}  {_shape(state[key])}" for key in state if key not in own],
        "wrong shape": [
            f"{key}  {_shape(state[key])} in the file, {_shape(own[key])} in the model"
            for key in own
            if key in state and state[key].shape != own[key].shape
        ],
    }
    if any(rows.values()):
        wanted = f"{model.variant.name} with {model.num_joints} joints"
        raise ValueError(f"{path} does not fit {wanted}; nothing was loaded{_hint(state, model, path)}\n{_table(rows)}")


def _hint(state: Mapping[str, Tensor], model: LiteHRNet, path: Path) -> str:
    try:
        name, joints = _tell_variant(state, path).name, _tell_joints(state, path)
    except ValueError:
        return ""
    if (name, joints) == (model.variant.name, model.num_joints):
        return ""
    return f". It holds {name} with {joints} joints: litehrnet.from_checkpoint(path) builds that model"


def _table(rows: Mapping[str, Iterable[str]]) -> str:
    lines = []
    for kind, found in rows.items():
        found = list(found)
        lines += [f"  {kind:<12} {row}" for row in found[:_SHOWN]]
        if len(found) > _SHOWN:
            lines.append(f"  {kind:<12} ... and {len(found) - _SHOWN} more")
    return "\n".join(lines)


def _shape(tensor: Tensor) -> str:
    return "x".join(map(str, tensor.shape)) or "scalar"
