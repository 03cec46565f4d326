"""Where a checkpoint keeps the weights, and what it calls them.

Trainers wrap the same entries in different containers and prefixes::

    {"state_dict": {...}, "meta": {...}, "message_hub": {...}}     mmpose 0.x and 1.x
    {"model": {...}, "model_ema": {...}}                           averaged weights beside the raw ones
    module.backbone.stem.  model.backbone.stem.  net.stem.         DataParallel, Lightning, a bare backbone
    keypoint_head.final_layer.  head.final_layer.                  official repository and mmpose 0.x; mmpose 1.x

There is no list of all containers. Instead, the whole checkpoint is searched for entries under `stem.`, and their names
are converted to those of mmpose 1.x, which this package uses too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from torch import Tensor

__all__ = ["FoundState", "find_state"]

_DEPTH = 5  # of containers within containers
_STEM = re.compile(r"((?:[^.]+\.)*?)(?:backbone\.)?stem\.(?:conv1|branch1|expand_conv|depthwise_conv|linear_conv)\.")
_AVERAGED = re.compile(r"(?:^|_)(?:ema|averaged?|avg|swa)(?:_|$)")
# Which of several sets of raw weights to take, if the file does not say.
_USUAL = ("", "state_dict", "model_state_dict", "model", "net", "network")
_STATISTICS = (".running_mean", ".running_var", ".num_batches_tracked")
# Parts of names that wrappers add, at any depth.
_WRAPPERS = {"module", "_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"}
_HEADS = ("head.", "keypoint_head.", "final_layer.")
_BACKBONE = ("stem.", "stage0.", "stage1.", "stage2.", "transition0.", "transition1.", "transition2.", "head_layer.")
# Entries that do not belong to the network: mmengine's normalisation of images, the counters of averaged models, and
# the raw weights that mmcv's EMA hook keeps as buffers.
_MMCV_EMA = ("ema_backbone_", "ema_keypoint_head_", "ema_head_")
_IGNORED = ("data_preprocessor.", "n_averaged", *_MMCV_EMA)


@dataclass
class FoundState:
    """The weights of a checkpoint.

    Attributes:
        entries: by our names; not yet checked to be tensors.
        notes: which of several sets of weights was taken, and why.
    """

    entries: dict[str, Any]
    notes: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class _Place:
    """One set of the network's weights in a checkpoint: the container's names, then the prefix of its entries."""

    container: tuple[str, ...]
    prefix: str
    entries: Mapping[object, object] = field(repr=False, compare=False)

    @property
    def label(self) -> str:
        return ".".join([*self.container, *filter(None, self.prefix.split("."))])

    @property
    def averaged(self) -> bool:
        return any(_AVERAGED.search(part.lower()) for part in self.label.split("."))


def find_state(held: object, path: Path) -> FoundState:
    """Find the network's weights in a checkpoint of any layout.

    Averaged weights (EMA) are preferred to raw ones.

    Args:
        held: what `read_file` returned.
        path: the file, for the messages.

    Raises:
        ValueError: it holds no weights of this network, or several sets of them and no sign of which to take.
    """
    places = list(_places(held))
    if not places:
        raise ValueError(_what_it_holds(held, path))
    place, note = _choose(places, held, path)
    entries = _our_names(place, places, path)
    raw = [other for other in places if not other.averaged]
    if place.averaged and len(raw) == 1:
        # Some trainers average only the parameters, and use them with the raw network's running statistics.
        others = _our_names(raw[0], places, path).items()
        missing = {key: value for key, value in others if key.endswith(_STATISTICS) and key not in entries}
        entries |= missing
        note += "; their running statistics are those of the raw ones" if missing else ""
    notes = [note] if note else []
    if any(str(name).startswith(_MMCV_EMA) for name in place.entries):
        notes.append(
            f"{path} holds two sets of weights: took the network's own entries, into which mmcv's EMA hook puts the "
            "averages before it saves, and not its ema_ buffers"
        )
    return FoundState(entries, notes)


# -------------------------------------------------------------------------------------------------------- containers


def _places(held: object, container: tuple[str, ...] = (), seen: frozenset[int] = frozenset()) -> Iterator[_Place]:
    """Every set of the network's weights, anywhere in the checkpoint."""
    if not isinstance(held, Mapping) or len(container) > _DEPTH or id(held) in seen:
        return
    prefixes: dict[str, None] = {}
    for name, value in held.items():
        match = _STEM.match(_without_wrappers(name)) if isinstance(value, (Tensor, np.ndarray)) else None
        if match:
            prefixes[match[1]] = None  # a dict keeps the order
    if prefixes:
        yield from (_Place(container, prefix, held) for prefix in prefixes)
        return
    for name, value in held.items():
        if "optim" not in str(name):
            yield from _places(value, (*container, str(name)), seen | {id(held)})


def _choose(places: list[_Place], held: object, path: Path) -> tuple[_Place, str]:
    """The set of weights to load, and a note if there was a choice."""
    note = ""
    if _is_mmengine(held):
        raw = [place for place in places if place.container == ("ema_state_dict",)]
        if raw and len(raw) < len(places):
            # mmengine's EMA hook swaps the two before it saves.
            places = [place for place in places if place not in raw]
            note = (
                f"{path} holds two sets of weights: took state_dict, into which mmengine's EMA hook puts the averages "
                "before it saves, and not ema_state_dict, which then holds the raw weights"
            )
    averaged = [place for place in places if place.averaged]
    if averaged and len(averaged) < len(places):
        raw_labels = ", ".join(_shown(place.label) for place in places if not place.averaged)
        note = (
            f"{path} holds two sets of weights: took the averaged ones, {_shown(averaged[0].label)}, not {raw_labels}"
        )
    wanted = averaged or places
    if len(wanted) > 1:
        usual = [place for name in _USUAL for place in wanted if place.label == name]
        if not usual:
            labels = ", ".join(_shown(place.label) for place in wanted)
            raise ValueError(f"{path} holds this network {len(wanted)} times: {labels}; keep the one that you want")
        others = ", ".join(_shown(place.label) for place in wanted if place is not usual[0])
        wanted, note = usual, f"{path} holds two sets of weights: took {_shown(usual[0].label)}, not {others}"
    return wanted[0], note


def _shown(label: str) -> str:
    return label or "those without a prefix"


def _is_mmengine(held: object) -> bool:
    if not isinstance(held, Mapping):
        return False
    meta = held.get("meta")
    return "message_hub" in held or (isinstance(meta, Mapping) and "mmengine_version" in meta)


def _what_it_holds(held: object, path: Path) -> str:
    """The message for a checkpoint without weights of this network."""
    if not isinstance(held, Mapping):
        return f"{path} holds a {type(held).__name__}, not a state dict; save model.state_dict()"
    states = [held, *(value for value in held.values() if isinstance(value, Mapping))]
    tensors = [[str(name) for name, value in state.items() if isinstance(value, Tensor)] for state in states]
    largest = max(tensors, key=len)
    if largest:
        shown = ", ".join(largest[:3])
        return f"{path} holds another network: {len(largest)} entries, none under backbone.stem. ({shown}, ...)"
    if not held or any(not held.get(name, True) for name in _USUAL):
        return f"{path} holds an empty state dict: 0 entries"
    return f"{path} holds no state dict; it has {', '.join(map(repr, list(held)[:6]))}"


# ------------------------------------------------------------------------------------------------------------- names


def _without_wrappers(name: object) -> str:
    return ".".join(part for part in str(name).split(".") if part not in _WRAPPERS)


def _our_names(place: _Place, places: list[_Place], path: Path) -> dict[str, object]:
    """The entries of one set of weights by our names, without what a trainer stores besides the network."""
    others = [other.prefix for other in places if other.container == place.container and other.prefix != place.prefix]
    named = [(_without_wrappers(name), value) for name, value in place.entries.items()]
    inside = [(name.removeprefix(place.prefix), value) for name, value in named if name.startswith(place.prefix)]
    if place.prefix and not any(name.startswith(_HEADS) for name, _ in inside):
        inside += [(name, value) for name, value in named if name.startswith(_HEADS)]  # the backbone alone is wrapped
    others = [other for other in others if other.startswith(place.prefix)]
    renamed: dict[str, object] = {}
    for name, value in inside:
        if name.startswith(_IGNORED) or any((place.prefix + name).startswith(other) for other in others):
            continue
        ours = _our_name(name)
        if ours in renamed:
            raise ValueError(f"{path} holds {ours} twice, under different prefixes; keep one of them")
        renamed[ours] = value
    return renamed


def _our_name(name: str) -> str:
    if name.startswith("keypoint_head."):
        return "head." + name.removeprefix("keypoint_head.")
    if name.startswith("final_layer."):
        return "head." + name
    return "backbone." + name if name.startswith(_BACKBONE) else name
