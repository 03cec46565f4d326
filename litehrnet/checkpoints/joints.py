"""Which joints a network finds: their names, bones, mirror pairs and sigmas; torch-free.

A `JointSet` comes from a checkpoint (`model.joints`), from a JSON file (`JointSet.from_json`) or by name
(`JOINT_SETS["mpii"]`). Sources of the public sets: COCO and its keypoint evaluation; COCO-WholeBody (Jin et al., ECCV
2020) and its evaluation; MPII and AI Challenger as mmpose's dataset files describe them.
"""

from __future__ import annotations

import itertools
import math
import operator
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ..files import read_json
from ..heatmaps import COCO_FLIP_PAIRS, COCO_NAMES, COCO_SIGMAS, COCO_SKELETON

__all__ = ["JOINT_SETS", "JointSet", "find_joints", "mirror_pairs", "named_joints"]

Pairs = tuple[tuple[int, int], ...]

# "left", "Right", "l_eye", "eye.R", "lEye", "EyeL": whatever marks a side in a name.
_SIDE = re.compile(r"(?i:left|right)|(?<![A-Za-z])[lrLR](?![A-Za-z])|^[lrLR](?=[A-Z])|(?<=[a-z])[LR]$")
_LEFT_TO_RIGHT = {"left": "right", "Left": "Right", "LEFT": "RIGHT", "l": "r", "L": "R"}
_OTHER_SIDE = _LEFT_TO_RIGHT | {right: left for left, right in _LEFT_TO_RIGHT.items()}


@dataclass(frozen=True)
class JointSet:
    """The joints of a network, in the order of its heatmaps. Joints are numbered from 0.

    Lists are accepted in place of tuples. Mirror pairs are sorted, and a pair given both ways counts once.

    Attributes:
        names: one per joint, all different.
        skeleton: the bones to draw, as pairs of joints.
        flip_pairs: the joints that change places in a mirror image.
        sigmas: how precisely annotators place each joint, relative to the person's size, as OKS needs it; None if
            unknown.

    Raises:
        ValueError: a name is missing or given twice, a pair names a joint that does not exist, a joint is in two mirror
            pairs, or the sigmas are not one positive number per joint.

    >>> hand = JointSet(("wrist", "thumb"), skeleton=((0, 1),))
    >>> len(hand), hand.sigmas
    (2, None)
    """

    names: tuple[str, ...]
    skeleton: Pairs = ()
    flip_pairs: Pairs = ()
    sigmas: tuple[float, ...] | None = None

    def __post_init__(self) -> None:
        names = _checked_names(self.names)
        flip_pairs = tuple(sorted({(min(p), max(p)) for p in _checked_pairs("flip_pairs", self.flip_pairs, names)}))
        paired = Counter(joint for pair in flip_pairs for joint in pair)
        twice = [joint for joint, count in paired.items() if count > 1]
        if twice:
            raise ValueError(f"flip_pairs pair joint {twice[0]} ({names[twice[0]]!r}) with two others; a joint has one")
        object.__setattr__(self, "names", names)
        object.__setattr__(self, "skeleton", _checked_pairs("skeleton", self.skeleton, names))
        object.__setattr__(self, "flip_pairs", flip_pairs)
        object.__setattr__(self, "sigmas", _checked_sigmas(self.sigmas, len(names)))

    def __len__(self) -> int:
        """How many joints there are."""
        return len(self.names)

    @property
    def mirrored(self) -> np.ndarray:
        """(K,) integers: for each joint, the joint that it becomes in a mirror image.

        >>> JointSet(("nose", "left eye", "right eye"), flip_pairs=((1, 2),)).mirrored.tolist()
        [0, 2, 1]
        """
        order = np.arange(len(self.names))
        for left, right in self.flip_pairs:
            order[left], order[right] = right, left
        return order

    def to_dict(self) -> dict[str, object]:
        """The set as lists and strings, which JSON can store and `from_dict` reads."""
        return {
            "names": list(self.names),
            "skeleton": [list(bone) for bone in self.skeleton],
            "flip_pairs": [list(pair) for pair in self.flip_pairs],
            "sigmas": None if self.sigmas is None else list(self.sigmas),
        }

    @classmethod
    def from_json(cls, path: str | Path) -> JointSet:
        """Read a JSON file in any of the forms that `from_dict` lists.

        Raises:
            FileNotFoundError: no such file.
            ValueError: the file is not JSON, or describes no joints; the message names the file.
        """
        held = read_json(path)
        try:
            return cls.from_dict(held)
        except ValueError as error:
            raise ValueError(f"{path}: {error}") from error

    @classmethod
    def from_dict(cls, held: object) -> JointSet:
        """A joint set from any of the common descriptions.

        The forms are: our own (`names`, and optionally `skeleton`, `flip_pairs` and `sigmas`, counted from 0); a COCO
        category (`keypoints`, `skeleton` counted from 1, optionally `flip_pairs` and `sigmas`) or a whole COCO
        annotation file; mmpose's `dataset_info` (`keypoint_info`, `skeleton_info`, `sigmas`), and the `dataset_meta`
        that mmpose 1.x makes of it. Pairs may name joints instead of numbering them. Where no mirror pairs are given,
        they are inferred from "left" and "right" in the names.

        Raises:
            ValueError: the description has none of these forms, or `JointSet` refuses what it says.

        >>> JointSet.from_dict({"keypoints": ["left hand", "right hand"], "skeleton": [[1, 2]]}).flip_pairs
        ((0, 1),)
        """
        if isinstance(held, Mapping) and isinstance(held.get("categories"), Sequence):
            held = held["categories"]
        if isinstance(held, Sequence) and not isinstance(held, str):
            held = _one_category(held)
        if not isinstance(held, Mapping):
            raise ValueError(f"joints are described by a JSON object with names, got {type(held).__name__}")
        if "names" in held:
            return _joint_set(held, held["names"], first=0)
        if "keypoints" in held:
            return _joint_set(held, held["keypoints"], first=1)
        if "keypoint_info" in held:
            return _of_dataset_info(held)
        if "keypoint_id2name" in held:
            names = list(_by_number("keypoint_id2name", held["keypoint_id2name"]))
            described = {**held, "skeleton": held.get("skeleton_links"), "sigmas": _rounded(held.get("sigmas"))}
            return _joint_set(described, names, first=0)
        raise ValueError(
            "this describes no joints: it needs names (our own form), keypoints (a COCO category) or keypoint_info "
            f"(mmpose); it has {', '.join(map(repr, list(held)[:6])) or 'nothing'}"
        )


def mirror_pairs(names: Sequence[str]) -> Pairs:
    """The joints that change places in a mirror image, inferred from the sides in their names.

    >>> mirror_pairs(["nose", "left_eye", "right_eye", "ear.L", "ear.R", "bright spot"])
    ((1, 2), (3, 4))
    """
    numbers = {name: number for number, name in enumerate(names)}
    mirrored = [_SIDE.sub(lambda side: _OTHER_SIDE.get(side[0], side[0]), name) for name in names]
    pairs = ((number, numbers.get(other, number)) for number, other in enumerate(mirrored))
    return tuple((number, other) for number, other in pairs if number < other)


def plain_name(name: str) -> str:
    """A joint's name as it is compared with others: without capitals, and with spaces for underscores.

    >>> plain_name("Left_Eye")
    'left eye'
    """
    return name.lower().replace("_", " ").strip()


def named_joints(count: int, known: JointSet | None = None) -> JointSet:
    """Names and bones for `count` heatmaps: the known ones if their number fits, otherwise COCO's or plain numbers.

    Seventeen joints without names are taken to be COCO's, as in every public file with seventeen. Any others are
    numbered, because a wrong name is worse than none.

    >>> named_joints(17).names[0], named_joints(2).names
    ('nose', ('joint 0', 'joint 1'))
    """
    if known is not None and len(known) == count:
        return known
    coco = JOINT_SETS["coco"]
    return coco if count == len(coco) else JointSet(tuple(f"joint {k}" for k in range(count)))


def find_joints(name_or_path: str | Path) -> JointSet:
    """A joint set by its name in `JOINT_SETS`, or from a JSON file; if both exist, the file is taken.

    Raises:
        ValueError: neither a name nor a file, or the file describes no joints.

    >>> len(find_joints("coco_wholebody_hand"))
    21
    """
    if Path(name_or_path).is_file():
        return JointSet.from_json(name_or_path)
    if str(name_or_path) in JOINT_SETS:
        return JOINT_SETS[str(name_or_path)]
    raise ValueError(f"no joints named {str(name_or_path)!r}, and no such file; there are {', '.join(JOINT_SETS)}")


# ---------------------------------------------------------------------------------------------- checking the parts


def _checked_names(names: object) -> tuple[str, ...]:
    if isinstance(names, str) or not isinstance(names, Sequence) or not names:
        raise ValueError(f"names must be a list of at least one joint's name, got {names!r}")
    for name in names:
        if not isinstance(name, str) or not name.strip():
            raise ValueError(f"a joint's name must be text, got {name!r}")
    twice = [name for name, count in Counter(names).items() if count > 1]
    if twice:
        raise ValueError(f"two joints are named {twice[0]!r}; give every joint a name of its own")
    return tuple(names)


def _checked_pairs(part: str, pairs: Any, names: Sequence[str], first: int = 0) -> Pairs:
    """Pairs of joints, named or numbered from `first`, as numbers from 0."""
    try:
        split = [(left, right) for left, right in pairs]
    except (TypeError, ValueError) as error:
        raise ValueError(f"{part} must be a list of pairs of joints, got {pairs!r}") from error
    checked = tuple((_joint(part, left, names, first), _joint(part, right, names, first)) for left, right in split)
    for left, right in checked:
        if left == right:
            raise ValueError(f"{part} pair joint {left + first} ({names[left]!r}) with itself")
    return checked


def _joint(part: str, joint: Any, names: Sequence[str], first: int) -> int:
    if isinstance(joint, str):
        if joint not in names:
            raise ValueError(f"{part} name a joint {joint!r}, which is not among the names")
        return list(names).index(joint)
    try:
        number = operator.index(joint)
    except TypeError:
        number = None
    last = len(names) - 1 + first
    if number is None or isinstance(joint, bool) or not first <= number <= last:
        raise ValueError(f"{part} number the joints from {first} to {last}, got {joint!r}")
    return number - first


def _checked_sigmas(sigmas: Any, count: int) -> tuple[float, ...] | None:
    if sigmas is None:
        return None
    try:
        values = tuple(float(sigma) for sigma in sigmas)
    except (TypeError, ValueError) as error:
        raise ValueError(f"sigmas must be a list of numbers, got {sigmas!r}") from error
    if len(values) != count:
        raise ValueError(f"{count} names but {len(values)} sigmas; give one sigma per joint, or none at all")
    wrong = [value for value in values if not (math.isfinite(value) and value > 0)]
    if wrong:
        raise ValueError(f"sigmas must be positive numbers such as 0.05, got {wrong[0]}")
    return values


# ---------------------------------------------------------------------------------------------- reading descriptions


def _joint_set(held: Mapping[str, Any], names: object, first: int) -> JointSet:
    """The joint set of a description whose pairs count from `first`."""
    checked = _checked_names(names)
    skeleton, flip_pairs = held.get("skeleton"), held.get("flip_pairs")
    return JointSet(
        checked,
        () if skeleton is None else _checked_pairs("skeleton", skeleton, checked, first),
        mirror_pairs(checked) if flip_pairs is None else _checked_pairs("flip_pairs", flip_pairs, checked, first),
        held.get("sigmas"),
    )


def _one_category(categories: Sequence[object]) -> object:
    """The category of a COCO file that has keypoints."""
    described = [entry for entry in categories if isinstance(entry, Mapping) and "keypoints" in entry]
    if not described:
        raise ValueError("none of its categories has keypoints")
    if any(entry["keypoints"] != described[0]["keypoints"] for entry in described):
        named = ", ".join(repr(entry.get("name", "?")) for entry in described)
        raise ValueError(f"its categories have different keypoints ({named}); keep one of them")
    return described[0]


def _by_number(part: str, held: object) -> Iterable[Any]:
    """The values of {0: ..., 1: ...} in order; JSON turns the numbers into strings."""
    if not isinstance(held, Mapping):
        raise ValueError(f"{part} must be an object with a number for each entry, got {type(held).__name__}")
    try:
        numbered = {int(number): value for number, value in held.items()}
    except (TypeError, ValueError, OverflowError) as error:
        raise ValueError(f"{part} must number its entries, got {next(iter(held))!r}") from error
    if sorted(numbered) != list(range(len(numbered))):
        raise ValueError(f"{part} must number its entries from 0 on, got {sorted(numbered)[:6]}")
    return [numbered[number] for number in range(len(numbered))]


def _of_dataset_info(held: Mapping[str, Any]) -> JointSet:
    """The joint set of mmpose's `dataset_info`, where pairs name joints."""
    joints = list(_by_number("keypoint_info", held["keypoint_info"]))
    links = list(_by_number("skeleton_info", held.get("skeleton_info") or {}))
    for part, entries, wanted in (("keypoint_info", joints, "name"), ("skeleton_info", links, "link")):
        if not all(isinstance(entry, Mapping) and wanted in entry for entry in entries):
            raise ValueError(f"every entry of {part} must be an object with a {wanted}")
    described = {
        "skeleton": [link["link"] for link in links],
        "flip_pairs": [
            (joint["name"], joint["swap"]) for joint in joints if joint.get("swap", "") not in ("", joint["name"])
        ],
        "sigmas": _rounded(held.get("sigmas")),
    }
    return _joint_set(described, [joint["name"] for joint in joints], first=0)


def _rounded(sigmas: object) -> object:
    """Sigmas as they were written: mmpose stores 0.026 as the float32 number 0.025999999."""
    if isinstance(sigmas, np.ndarray) and sigmas.dtype == np.float32:
        return [float(f"{sigma:.7g}") for sigma in sigmas.ravel()]
    return sigmas


# --------------------------------------------------------------------------------------------------------- known sets

_FINGERS = ("thumb", "forefinger", "middle finger", "ring finger", "pinky finger")
_HAND_NAMES = tuple(f"{finger} {part}" for finger in _FINGERS for part in (1, 2, 3, 4))  # from the base to the tip
_HAND_SIGMAS = (
    0.029, 0.022, 0.035, 0.037, 0.047, 0.026, 0.025, 0.024, 0.035, 0.018, 0.024, 0.022, 0.026, 0.017, 0.021, 0.021,
    0.032, 0.02, 0.019, 0.022, 0.031,
)  # fmt: skip
_FACE_SIGMAS = (
    0.042, 0.043, 0.044, 0.043, 0.040, 0.035, 0.031, 0.025, 0.020, 0.023, 0.029, 0.032, 0.037, 0.038, 0.043, 0.041,
    0.045, 0.013, 0.012, 0.011, 0.011, 0.012, 0.012, 0.011, 0.011, 0.013, 0.015, 0.009, 0.007, 0.007, 0.007, 0.012,
    0.009, 0.008, 0.016, 0.010, 0.017, 0.011, 0.009, 0.011, 0.009, 0.007, 0.013, 0.008, 0.011, 0.012, 0.010, 0.034,
    0.008, 0.008, 0.009, 0.008, 0.008, 0.007, 0.010, 0.008, 0.009, 0.009, 0.009, 0.007, 0.007, 0.008, 0.011, 0.008,
    0.008, 0.008, 0.010, 0.008,
)  # fmt: skip
_FEET_NAMES = tuple(f"{side} {part}" for side in ("left", "right") for part in ("big toe", "small toe", "heel"))
_FEET_SIGMAS = (0.068, 0.066, 0.066, 0.092, 0.094, 0.094)
# The 68 points of a face in a mirror: jaw, brows, nostrils, eyes, outer and inner lips. The points on the axis (chin,
# bridge and tip of the nose, middles of the lips) are in no pair.
_FACE_PAIRS = (
    *((i, 16 - i) for i in range(8)),
    *((i, 43 - i) for i in range(17, 22)),
    (31, 35), (32, 34),
    (36, 45), (37, 44), (38, 43), (39, 42), (40, 47), (41, 46),
    (48, 54), (49, 53), (50, 52), (55, 59), (56, 58), (60, 64), (61, 63), (65, 67),
)  # fmt: skip


def _fingers(root: int, first: int) -> Pairs:
    """The bones of a hand: from the root to the base of each finger and on to its tip; `first` is thumb 1."""
    chains = ([root, *range(first + 4 * i, first + 4 * i + 4)] for i in range(len(_FINGERS)))
    return tuple(bone for chain in chains for bone in itertools.pairwise(chain))


def _shifted(pairs: Iterable[tuple[int, int]], by: int) -> Pairs:
    return tuple((a + by, b + by) for a, b in pairs)


_COCO = JointSet(COCO_NAMES, COCO_SKELETON, COCO_FLIP_PAIRS, COCO_SIGMAS)

_HAND = JointSet(("wrist", *_HAND_NAMES), _fingers(root=0, first=1), (), _HAND_SIGMAS)

_FACE = JointSet(tuple(f"face {i}" for i in range(68)), (), _FACE_PAIRS, _FACE_SIGMAS)

# 17 of COCO, 6 of the feet, 68 of the face, 21 of each hand. The fingers are joined to COCO's wrists; the hands' own
# roots, joints 91 and 112, are at the same place and have no bone.
_WHOLE_BODY_NAMES = (
    *COCO_NAMES, *_FEET_NAMES, *_FACE.names,
    *(f"{side} {part}" for side in ("left", "right") for part in ("hand root", *_HAND_NAMES)),
)  # fmt: skip
_WHOLE_BODY = JointSet(
    _WHOLE_BODY_NAMES,
    (
        *COCO_SKELETON,
        *((15, 17), (15, 18), (15, 19), (16, 20), (16, 21), (16, 22)),
        *_fingers(root=9, first=92),
        *_fingers(root=10, first=113),
    ),
    (*mirror_pairs(_WHOLE_BODY_NAMES), *_shifted(_FACE_PAIRS, 23)),
    (*COCO_SIGMAS, *_FEET_SIGMAS, *_FACE_SIGMAS, *_HAND_SIGMAS, *_HAND_SIGMAS),
)

_MPII_NAMES = (
    "right ankle", "right knee", "right hip", "left hip", "left knee", "left ankle", "pelvis", "thorax", "upper neck",
    "head top", "right wrist", "right elbow", "right shoulder", "left shoulder", "left elbow", "left wrist",
)  # fmt: skip
_MPII = JointSet(
    _MPII_NAMES,
    (
        (0, 1), (1, 2), (2, 6), (6, 3), (3, 4), (4, 5), (6, 7), (7, 8), (8, 9), (8, 12), (12, 11), (11, 10), (8, 13),
        (13, 14), (14, 15),
    ),
    mirror_pairs(_MPII_NAMES),
    (
        0.089, 0.083, 0.107, 0.107, 0.083, 0.089, 0.026, 0.026, 0.026, 0.026, 0.062, 0.072, 0.179, 0.179, 0.072, 0.062,
    ),
)  # fmt: skip

_AIC_NAMES = (
    "right shoulder", "right elbow", "right wrist", "left shoulder", "left elbow", "left wrist", "right hip",
    "right knee", "right ankle", "left hip", "left knee", "left ankle", "head top", "neck",
)  # fmt: skip
_AIC = JointSet(
    _AIC_NAMES,
    (
        (2, 1), (1, 0), (0, 13), (13, 3), (3, 4), (4, 5), (8, 7), (7, 6), (6, 9), (9, 10), (10, 11), (12, 13), (0, 6),
        (3, 9),
    ),
    mirror_pairs(_AIC_NAMES),
    (
        0.01388152, 0.01515228, 0.01057665, 0.01417709, 0.01497891, 0.01402144, 0.03909642, 0.03686941, 0.01981803,
        0.03843971, 0.03412318, 0.02415081, 0.01291456, 0.01236173,
    ),
)  # fmt: skip

JOINT_SETS: dict[str, JointSet] = {
    "coco": _COCO,
    "mpii": _MPII,
    "aic": _AIC,
    "coco_wholebody": _WHOLE_BODY,
    "coco_wholebody_hand": _HAND,
    "coco_wholebody_face": _FACE,
}
