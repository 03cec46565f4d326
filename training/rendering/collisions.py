"""A quick test for poses that push limbs through the body, with balls along the bones."""

from __future__ import annotations

from functools import cache
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from .body import BodyModel
from .poses import bone_rotations

# Segments between the places where bones begin, with the radius of the flesh around them in metres.
_LIMBS = (
    ("upper_arm", "upperarm02", "lowerarm01", 0.04),
    ("forearm", "lowerarm02", "wrist", 0.032),
    ("hand", "wrist", "finger3-2", 0.03),
    ("thigh", "upperleg02", "lowerleg01", 0.07),
    ("shin", "lowerleg02", "foot", 0.045),
    ("foot", "foot", "toe3-1", 0.035),
)
_SEGMENTS: dict[str, tuple[str, str, float]] = {
    "trunk_low": ("spine05", "spine02", 0.115),
    "trunk_high": ("spine02", "spine01", 0.115),
    "head": ("neck03", "crown", 0.085),
    **{f"{s}_{name}": (f"{a}.{s}", f"{b}.{s}", radius) for s in "LR" for name, a, b, radius in _LIMBS},
}
_NEIGHBOURS = (
    {"upper_arm", "forearm"},
    {"forearm", "hand"},
    {"upper_arm", "hand"},
    {"thigh", "shin"},
    {"shin", "foot"},
)


def _may_touch(a: str, b: str) -> bool:
    """Neighbours touch by nature, and a thigh may be pressed to the belly."""
    if a.startswith("trunk"):
        return b.startswith(("trunk", "head")) or b.endswith(("thigh", "upper_arm"))
    return a[:2] == b[:2] and {a[2:], b[2:]} in _NEIGHBOURS


_PAIRS = [(a, b) for a, b in combinations(_SEGMENTS, 2) if not _may_touch(a, b)]
_NAMES = list(_SEGMENTS)
_FIRST = np.array([_NAMES.index(a) for a, _ in _PAIRS])
_SECOND = np.array([_NAMES.index(b) for _, b in _PAIRS])
_RADII = np.array([radius for _, _, radius in _SEGMENTS.values()])
_STEPS = np.linspace(0, 1, 5)


@cache
def _needed(names: tuple[str, ...], parents: tuple[int, ...]) -> tuple[list[int], list[str], list[int]]:
    """The bones that the segments hang on, as indices and names, and the parents among them."""
    ends = {end for a, b, _ in _SEGMENTS.values() for end in (a, b) if end != "crown"} | {
        "head",
        "finger3-1.L",
        "finger3-1.R",
    }
    keep: set[int] = set()
    for end in ends:
        bone = names.index(end)
        while bone >= 0:
            keep.add(bone)
            bone = parents[bone]
    kept = sorted(keep)
    return kept, [names[i] for i in kept], [kept.index(parents[i]) if parents[i] >= 0 else -1 for i in kept]


def deepest_overlap(model: BodyModel, angles: NDArray) -> float:
    """By how many metres the average body's limbs overlap in this pose (degrees, in the order of `poses.ANGLES`)."""
    kept, names, parents = _needed(tuple(model.bone_names), tuple(model.parents))
    heads = model.canonical_heads[kept]  # (B, 3)
    turns = bone_rotations(angles, names, parents, dict(zip(names, heads, strict=True)))
    posed = np.zeros_like(heads)
    for bone, parent in enumerate(parents):
        if parent >= 0:
            posed[bone] = posed[parent] + turns[parent] @ (heads[bone] - heads[parent])
    at = dict(zip(names, posed, strict=True))
    at["crown"] = at["head"] + turns[names.index("head")] @ np.array([0, 0.01, 0.09])
    starts = np.stack([at[a] for a, _, _ in _SEGMENTS.values()])
    ends = np.stack([at[b] for _, b, _ in _SEGMENTS.values()])
    balls = starts[:, None] + _STEPS[None, :, None] * (ends - starts)[:, None]  # (N, 5, 3)
    gap = np.linalg.norm(balls[_FIRST][:, :, None] - balls[_SECOND][:, None], axis=-1).min((1, 2))  # (P,)
    return float(np.max(_RADII[_FIRST] + _RADII[_SECOND] - gap, initial=0.0))
