"""Loading weights into a model, from a file or by name."""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple, TypeVar

import torch
from torch import nn

from ..checks import check_choice, check_whole
from ..files import data_path
from ..model import VARIANTS, LiteHRNet
from .descriptions import Description, describe
from .joints import JOINT_SETS
from .layouts import FoundState, find_state
from .matching import FINAL, fitting_state, infer_joints, infer_variant, plain_model
from .public import PUBLIC, fetch
from .reading import read_file

__all__ = ["BUNDLED", "CheckpointNote", "from_checkpoint", "load_checkpoint", "load_pretrained"]

BUNDLED = {"litehrnet18": "litehrnet18_256x192.safetensors"}

Model = TypeVar("Model", bound=nn.Module)


class CheckpointNote(UserWarning):
    """A decision made while loading: which of two sets of weights was taken, or that a head is new.

    It is a separate class of warning, so `warnings.simplefilter("ignore", CheckpointNote)` suppresses only these.
    """


class _Checkpoint(NamedTuple):
    path: Path
    state: FoundState
    description: Description


def load_checkpoint(model: Model, path: str | Path) -> Model:
    """Load the weights of a file into `model`, and return it; its mode (train or eval) does not change.

    Args:
        model: from `create_model`, with the same variant and number of joints as the file; it may also be wrapped in
            DataParallel, DistributedDataParallel or torch.compile.
        path: a checkpoint of any kind: `.pth`, `.pt`, `.ckpt` or `.safetensors`, from the official repository, mmpose
            0.x or 1.x, Lightning or your own trainer. Averaged weights (EMA) are preferred to raw ones.

    Returns:
        The same model, with the file's `trained_size`, and with `joints` if the file describes them.

    Raises:
        FileNotFoundError: no such file.
        ValueError: the file is not a checkpoint of this network, or `model` is not one; the message says what it is, or
            lists the entries that are missing, unexpected or of another shape. The model is not changed.

    Warns:
        CheckpointNote: the file holds several sets of weights; the note says which was taken.
    """
    network = plain_model(model, "load_checkpoint fills")
    checkpoint = _read(path)
    state = fitting_state(checkpoint.state.entries, network, checkpoint.path)
    _check_joints(checkpoint, network.num_joints)
    network.load_state_dict(state)
    _take_description(network, checkpoint)
    _say([*checkpoint.state.notes, *checkpoint.description.notes])
    return model


def from_checkpoint(path: str | Path, num_joints: int | None = None) -> LiteHRNet:
    """Build the model that a file holds; the variant and the number of joints are inferred from names and shapes.

    Args:
        path: as for `load_checkpoint`.
        num_joints: a different number of joints than the file has. The backbone is kept and the head is new. It gives
            nearly flat heatmaps, the same at every call, until it is trained. Required for a file that holds only a
            backbone.

    Returns:
        The model with its weights, in eval mode, with `joints` and `trained_size` if the file gives them.

    Raises:
        FileNotFoundError, ValueError: as for `load_checkpoint`.

    Warns:
        CheckpointNote: the head is new, or the file holds several sets of weights.

    >>> model = from_checkpoint(data_path("litehrnet18_256x192.safetensors"))
    >>> model.variant.name, model.num_joints, model.trained_size
    ('litehrnet18', 17, (256, 192))
    """
    if num_joints is not None:
        num_joints = check_whole("num_joints", num_joints)
    checkpoint = _read(path)
    entries, notes = checkpoint.state.entries, [*checkpoint.state.notes, *checkpoint.description.notes]
    variant, joints = infer_variant(entries, checkpoint.path), infer_joints(entries)
    if joints is None and num_joints is None:
        raise ValueError(
            f"{path} holds the backbone of {variant.name} alone, without {FINAL}; give num_joints to add a new head"
        )
    model = LiteHRNet(VARIANTS[variant.name], num_joints or joints or 0).eval()
    new_head = model.num_joints != joints
    if new_head:
        _flatten_head(model)
        head = {f"head.{key}": value for key, value in model.head.state_dict().items()}
        entries = {key: value for key, value in entries.items() if not key.startswith("head.")} | head
        held = "a backbone alone" if joints is None else f"{joints} joints"
        notes.append(f"{path} holds {held}: the head for {model.num_joints} joints is new and has to be trained")
    state = fitting_state(entries, model, checkpoint.path)
    if new_head:
        model.trained_size = checkpoint.description.trained_size
    else:
        _check_joints(checkpoint, model.num_joints)
        _take_description(model, checkpoint)
    model.load_state_dict(state)
    _say(notes)
    return model


def load_pretrained(name: str = "litehrnet18", num_joints: int | None = None) -> LiteHRNet:
    """Weights by name: those that come with the package, or a public file, downloaded once.

    Args:
        name: "litehrnet18" (bundled, so it works offline; data/litehrnet18_256x192.md describes these weights), or a
            key of `PUBLIC`, such as "litehrnet18_coco_256x192".
        num_joints: as for `from_checkpoint`.

    Returns:
        The model with its weights, in eval mode, with `joints` and `trained_size`.

    Raises:
        ValueError: the name is unknown, or the downloaded file is not the one that its authors published.
        ConnectionError: the file is not in torch's hub cache and could not be downloaded; the message gives the
            address, and the place to put the file by hand.

    Warns:
        CheckpointNote: the head is new.

    >>> load_pretrained("litehrnet18").joints.names[:3]
    ('nose', 'left eye', 'right eye')
    """
    check_choice("weights", name, (*BUNDLED, *PUBLIC))
    public = PUBLIC.get(name)
    path = data_path(BUNDLED[name]) if public is None else fetch(public)
    model = from_checkpoint(path, num_joints)
    described = JOINT_SETS.get("coco" if public is None else public.joint_set or "")
    if model.joints is None and described is not None and num_joints in (None, len(described)):
        model.joints = described
    if model.trained_size is None and public is not None:
        model.trained_size = public.size
    return model


# -------------------------------------------------------------------------------------------------------------- parts


def _read(path: str | Path) -> _Checkpoint:
    path = Path(path)
    contents = read_file(path)
    return _Checkpoint(path, find_state(contents.held, path), describe(contents, path))


def _check_joints(checkpoint: _Checkpoint, count: int) -> None:
    described = checkpoint.description.joints
    if described is not None and len(described) != count:
        raise ValueError(
            f"{checkpoint.path} describes {len(described)} joints ({described.names[0]}, ...) and its head has {count} "
            "heatmaps; one of the two belongs to another data set"
        )


def _take_description(model: LiteHRNet, checkpoint: _Checkpoint) -> None:
    model.trained_size = checkpoint.description.trained_size
    if checkpoint.description.joints is not None:
        model.joints = checkpoint.description.joints


def _flatten_head(model: LiteHRNet) -> None:
    """A head to start training with: nearly flat heatmaps, the same each time."""
    final = model.head.final_layer
    nn.init.normal_(final.weight, std=0.001, generator=torch.Generator().manual_seed(0))
    if final.bias is not None:
        nn.init.zeros_(final.bias)


def _say(notes: Iterable[str]) -> None:
    for note in notes:
        warnings.warn(note, CheckpointNote, stacklevel=3)
