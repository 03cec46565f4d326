"""The network that a run starts with: weights for these joints, or an old backbone with a new head."""

from __future__ import annotations

import warnings
from pathlib import Path

import torch

from ..checkpoints import BUNDLED, PUBLIC, CheckpointNote, from_checkpoint, load_pretrained
from ..checkpoints.joints import JOINT_SETS, JointSet, plain_name
from ..model import LiteHRNet, set_pooling
from ..registry import create_model

__all__ = ["start_model"]


def start_model(start: str | Path | LiteHRNet | None, joint_set: JointSet, model: str = "litehrnet18") -> LiteHRNet:
    """A network for these joints, ready to be trained.

    Args:
        start: a file, the name of bundled or public weights, a model, or None for random weights.
        joint_set: the joints to learn. Those that the start finds under the same name keep their row of the head; the
            others get a new one, which gives nearly flat heatmaps.
        model: a key of `VARIANTS`, for random weights.

    Raises:
        FileNotFoundError, ValueError, ConnectionError: as `from_checkpoint` and `load_pretrained`.

    Warns:
        CheckpointNote: rows of the head are new.
    """
    if start is None:
        # Computed pooling gives the same values and is the fastest of the three to train.
        return _with_flat_rows(create_model(model, len(joint_set), "computed"), range(len(joint_set)))
    old = start if isinstance(start, LiteHRNet) else _load(start)
    known = _names(old.joints, old.num_joints)
    wanted = [plain_name(name) for name in joint_set.names]
    if known is None and old.num_joints == len(joint_set):
        known = wanted  # nothing says otherwise
    rows = {k: known.index(name) for k, name in enumerate(wanted) if known and name in known}
    new = LiteHRNet(old.variant, len(joint_set), "computed").eval()
    new.trained_size = old.trained_size
    state = {key: value for key, value in old.state_dict().items() if "final_layer" not in key}
    new.load_state_dict(state, strict=False)
    missing = [k for k in range(len(joint_set)) if k not in rows]
    _with_flat_rows(new, missing)
    with torch.no_grad():
        for name, value in new.head.final_layer.named_parameters():
            held = dict(old.head.final_layer.named_parameters())[name]
            for k, row in rows.items():
                value[k] = held[row]
    if missing:
        source = "the start" if isinstance(start, LiteHRNet) else str(start)
        unknown = ", ".join(joint_set.names[k] for k in missing)
        note = (
            f"{source} knows none of these joints: the whole head is new"
            if len(missing) == len(joint_set)
            else f"{source} does not know {unknown}: that part of the head is new"
        )
        warnings.warn(note, CheckpointNote, stacklevel=2)
    return set_pooling(new, "computed")


def _load(start: str | Path) -> LiteHRNet:
    if not Path(start).is_file() and str(start) in (*BUNDLED, *PUBLIC):
        return load_pretrained(str(start))
    return from_checkpoint(start)


def _names(joints: JointSet | None, count: int) -> list[str] | None:
    """The plain names of what a model finds; seventeen joints without names are COCO's, as in every public file."""
    coco = JOINT_SETS["coco"]
    known = coco if joints is None and count == len(coco) else joints
    return None if known is None else [plain_name(name) for name in known.names]


def _with_flat_rows(model: LiteHRNet, rows: object) -> LiteHRNet:
    """The same model, in which some rows of the head give nearly flat heatmaps, the same each time."""
    chosen = list(rows)  # type: ignore[call-overload]
    final = model.head.final_layer
    generator = torch.Generator().manual_seed(0)
    fresh = 0.001 * torch.randn(final.weight.shape, generator=generator)
    with torch.no_grad():
        final.weight[chosen] = fresh[chosen]
        if final.bias is not None:
            final.bias[chosen] = 0.0
    return model
