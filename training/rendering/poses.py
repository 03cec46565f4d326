# ruff: noqa: E501 - a table reads better in long lines than in short ones
"""Key poses from life, the noise around them, and the conversion of joint angles to rotations of the bones.

A pose is a vector of degrees in the order of `ANGLES`. All angles are zero for a body that stands straight, arms hanging
and palms towards the thighs. Left and right have the same signs, so a mirrored pose is a pose with the sides swapped and
turns and leans to the side negated.

* arm: `raise` forwards (negative: backwards), `out` to the side (negative: across the body); the two make one rotation
  about an axis between them. `twist` outwards about the upper arm, `elbow`, `palm` (pronation), `wrist`.
* leg: `raise`, `out`, `twist` likewise, `knee`, `ankle` (toes down).
* root: `pitch` forwards, `roll` to the left. spine and neck: `bend` forwards, `side` to the left, `turn` to the left.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

_ARM = ("raise", "out", "twist", "elbow", "palm", "wrist", "curl")
_LEG = ("raise", "out", "twist", "knee", "ankle")
ANGLES: tuple[str, ...] = (
    "root_pitch", "root_roll", "spine_bend", "spine_side", "spine_turn", "neck_bend", "neck_side", "neck_turn",
    *(f"left_arm_{a}" for a in _ARM), *(f"right_arm_{a}" for a in _ARM),
    *(f"left_leg_{a}" for a in _LEG), *(f"right_leg_{a}" for a in _LEG),
)  # fmt: skip

# Limits and the spread of the noise around a key pose, degrees. The limits follow the ranges of motion that
# physiotherapy textbooks give for healthy adults, rounded inwards; the root may have any orientation.
_LIMITS: dict[str, tuple[float, float, float]] = {
    "root_pitch": (-110, 110, 5), "root_roll": (-110, 110, 3),
    "spine_bend": (-30, 60, 6), "spine_side": (-30, 30, 4), "spine_turn": (-45, 45, 6),
    "neck_bend": (-50, 50, 9), "neck_side": (-30, 30, 6), "neck_turn": (-70, 70, 18),
    "arm_raise": (-60, 178, 11), "arm_out": (-45, 150, 9), "arm_twist": (-85, 95, 12), "arm_elbow": (0, 148, 13),
    "arm_palm": (-80, 85, 20), "arm_wrist": (-60, 65, 12), "arm_curl": (0, 90, 20),
    "leg_raise": (-30, 128, 7), "leg_out": (-25, 60, 4), "leg_twist": (-35, 50, 7), "leg_knee": (0, 145, 8),
    "leg_ankle": (-25, 50, 8),
}  # fmt: skip
_BARE = [name.removeprefix("left_").removeprefix("right_") for name in ANGLES]
LOW: Array = np.array([_LIMITS[name][0] for name in _BARE], float)
HIGH: Array = np.array([_LIMITS[name][1] for name in _BARE], float)
SPREAD: Array = np.array([_LIMITS[name][2] for name in _BARE], float)

_HANG = (4, 9, 0, 14, 15, 5)
_STRAIGHT = (0, 3, 8, 3, 0)
_THIGH = (32, 8, -8, 58, 60, 0)  # a hand that rests on the thigh of a seated person

# name: (family, weight, root, spine, neck, left arm, right arm, left leg, right leg)
_TABLE: dict[str, tuple] = {
    "stand": ("upright", 5, (0, 0), (0, 0, 0), (5, 0, 0), _HANG, _HANG, _STRAIGHT, _STRAIGHT),
    "weight on one leg": ("upright", 4, (0, 4), (3, -7, 4), (5, 3, 10), _HANG, (-4, 14, -10, 25, 30, 5), (0, -2, 10, 0, 0), (14, 8, 16, 24, 8)),
    "hands behind the back": ("upright", 1.5, (0, 0), (-2, 0, 0), (5, 0, 0), (-32, 6, -45, 62, 40, 10), (-34, 6, -42, 66, 40, 10), _STRAIGHT, _STRAIGHT),
    "hands on the hips": ("upright", 2, (0, 2), (0, -3, 0), (0, 0, 0), (-22, 46, -58, 98, 40, -10), (-22, 46, -58, 98, 40, -10), (0, 8, 10, 0, 0), (4, 10, 10, 8, 0)),
    "hand on one hip": ("upright", 2, (0, 3), (0, -5, 4), (3, 4, 8), _HANG, (-22, 46, -58, 98, 40, -10), (0, 0, 8, 0, 0), (12, 8, 14, 20, 6)),
    "hands in the pockets": ("upright", 2, (0, 0), (3, 0, 0), (8, 0, 0), (-12, 20, -25, 42, 30, 10), (-12, 20, -25, 42, 30, 10), _STRAIGHT, _STRAIGHT),
    "arms crossed": ("upright", 2, (0, 0), (2, 0, 0), (3, 0, 0), (34, 6, -62, 104, 20, 5), (26, 8, -64, 108, 20, 5), _STRAIGHT, (5, 8, 12, 10, 0)),
    "hands before the belly": ("upright", 2, (0, 0), (3, 0, 0), (8, 0, 0), (14, 10, -38, 66, 30, 10), (14, 10, -38, 66, 30, 10), _STRAIGHT, _STRAIGHT),
    "phone at the ear": ("upright", 3, (0, 0), (2, 3, 0), (4, -8, 10), _HANG, (38, 30, -15, 142, 0, 0), _STRAIGHT, _STRAIGHT),
    "phone in the hand": ("upright", 3, (0, 0), (6, 0, 0), (28, 0, 0), _HANG, (22, 8, -22, 98, -20, 0), _STRAIGHT, _STRAIGHT),
    "holding something in both hands": ("upright", 3, (0, 0), (5, 0, 0), (20, 0, 0), (26, 8, -16, 84, -20, 0), (26, 8, -16, 84, -20, 0), _STRAIGHT, _STRAIGHT),
    "taking a photograph": ("upright", 2, (0, 0), (2, 0, 0), (2, 0, 0), (62, 12, -14, 104, 0, -10), (62, 12, -14, 104, 0, -10), _STRAIGHT, _STRAIGHT),
    "arm's length picture": ("upright", 2, (0, 0), (0, 0, 5), (0, 5, 5), _HANG, (88, 14, 0, 18, 10, 0), _STRAIGHT, _STRAIGHT),
    "waving": ("upright", 2, (0, 0), (0, 3, 0), (0, 0, 0), _HANG, (30, 78, 72, 92, 0, 0), _STRAIGHT, _STRAIGHT),
    "pointing": ("upright", 2, (0, 0), (0, 0, 8), (0, 0, 15), _HANG, (80, 32, 0, 6, 30, 0), _STRAIGHT, (14, 5, 8, 8, 0)),
    "reaching up": ("upright", 3, (0, 0), (-4, 6, 0), (-15, 0, 0), _HANG, (158, 18, 0, 12, 0, 0), _STRAIGHT, (-6, 5, 8, 5, 20)),
    "both arms up": ("upright", 3, (0, 0), (-5, 0, 0), (-8, 0, 0), (140, 42, 10, 22, 0, 0), (140, 42, 10, 22, 0, 0), (0, 10, 10, 3, 0), (0, 10, 10, 3, 0)),
    "arms spread": ("upright", 2, (0, 0), (0, 0, 0), (0, 0, 0), (8, 86, 0, 12, 60, 0), (8, 86, 0, 12, 60, 0), (0, 10, 10, 3, 0), (0, 10, 10, 3, 0)),
    "hand to the head": ("upright", 2, (0, 0), (0, 0, 0), (5, 0, 0), _HANG, (70, 70, 40, 138, 0, 0), _STRAIGHT, _STRAIGHT),
    "arm around a neighbour": ("upright", 2, (0, 0), (0, 5, 0), (0, 5, 0), (15, 72, 0, 28, 40, 0), _HANG, _STRAIGHT, _STRAIGHT),
    "carrying a box": ("upright", 2, (-4, 0), (-2, 0, 0), (5, 0, 0), (30, 16, -4, 82, -40, 0), (30, 16, -4, 82, -40, 0), (10, 6, 8, 14, 0), (-8, 5, 8, 8, 5)),
    "eating while standing": ("upright", 2, (0, 0), (4, 0, 0), (15, 0, 0), (18, 10, -25, 80, -10, 0), (42, 20, -35, 132, -10, 15), _STRAIGHT, _STRAIGHT),
    "working at a table": ("upright", 2.5, (12, 0), (18, 0, 0), (20, 0, 0), (42, 12, -10, 55, 60, -10), (40, 12, -15, 66, 60, -10), (14, 5, 8, 4, 0), (16, 6, 8, 8, 0)),
    "leaning sideways": ("upright", 1, (0, 0), (0, 24, 0), (0, 10, 0), (-10, 28, -20, 60, 0, 0), (60, 140, 0, 20, 0, 0), (0, 16, 10, 3, 0), (0, 16, 10, 3, 0)),
    "walk, heel down": ("walk", 4, (3, 0), (2, 0, 6), (3, 0, -4), (-20, 8, 0, 14, 15, 5), (24, 6, 0, 26, 15, 5), (26, 3, 6, 6, -8), (-18, 4, 8, 14, 8)),
    "walk, legs passing": ("walk", 3, (3, 0), (2, 0, 0), (3, 0, 0), (-2, 9, 0, 16, 15, 5), (6, 9, 0, 22, 15, 5), (2, 3, 6, 6, 2), (20, 4, 8, 52, 8)),
    "walk, toe off": ("walk", 3, (4, 0), (2, 0, 5), (3, 0, -3), (-24, 8, 0, 18, 15, 5), (26, 7, 0, 30, 15, 5), (18, 3, 6, 10, 0), (-16, 4, 8, 32, 28)),
    "stairs": ("walk", 1.5, (8, 0), (6, 0, 0), (10, 0, 0), (10, 10, 0, 30, 15, 5), (-10, 10, 0, 30, 15, 5), (62, 6, 8, 70, 0), (-4, 4, 8, 10, 16)),
    "run, drive": ("run", 3, (10, 0), (6, 0, 8), (-6, 0, -6), (-48, 12, -8, 92, 0, 0), (42, 6, -18, 96, 0, 0), (68, 4, 4, 88, 0), (-18, 4, 6, 16, 34)),
    "run, heel down": ("run", 3, (8, 0), (4, 0, 8), (-4, 0, -6), (-38, 12, -8, 88, 0, 0), (36, 6, -16, 94, 0, 0), (38, 3, 4, 22, -8), (-4, 4, 6, 98, 20)),
    "sprint": ("run", 1.5, (20, 0), (8, 0, 10), (-15, 0, 0), (-58, 14, -8, 96, 0, 0), (70, 6, -14, 100, 0, 0), (88, 4, 2, 100, 5), (-22, 4, 6, 14, 42)),
    "leap": ("run", 1.5, (5, 0), (0, 0, 5), (-5, 0, 0), (40, 70, 0, 35, 20, 0), (60, 60, 0, 45, 20, 0), (62, 8, 8, 45, 20), (-24, 10, 10, 55, 35)),
    "jump, legs drawn up": ("jump", 1.5, (10, 0), (10, 0, 0), (0, 0, 0), (60, 70, 0, 45, 20, 0), (60, 70, 0, 45, 20, 0), (75, 18, 10, 95, 25), (68, 18, 10, 100, 25)),
    "star jump": ("jump", 1.5, (0, 0), (-5, 0, 0), (-8, 0, 0), (90, 105, 10, 10, 20, 0), (90, 105, 10, 10, 20, 0), (5, 34, 15, 8, 25), (5, 34, 15, 8, 25)),
    "sit on a chair": ("sit", 5, (-6, 0), (8, 0, 0), (5, 0, 0), _THIGH, _THIGH, (88, 10, 6, 84, 0), (86, 10, 6, 82, 0)),
    "sit, hands in the lap": ("sit", 3, (-12, 0), (12, 0, 0), (8, 0, 0), (16, 12, -34, 62, 30, 0), (16, 12, -34, 62, 30, 0), (84, 14, 10, 76, 0), (82, 12, 8, 70, 0)),
    "eat at a table": ("sit", 4, (2, 0), (16, 0, 0), (14, 0, 0), (44, 16, -24, 78, 40, 0), (46, 24, -34, 124, 0, 15), (86, 10, 6, 86, 0), (86, 10, 6, 90, 0)),
    "type at a desk": ("sit", 3, (0, 0), (14, 0, 0), (14, 0, 0), (34, 14, -12, 72, 70, -8), (34, 14, -12, 72, 70, -8), (86, 10, 6, 86, 0), (86, 10, 6, 86, 0)),
    "legs crossed": ("sit", 2.5, (-10, 0), (8, 0, 0), (4, 0, 0), _THIGH, (20, 12, -34, 66, 30, 0), (86, 4, 4, 84, 0), (104, -12, 4, 74, 25)),
    "phone while sitting": ("sit", 3, (-8, 0), (14, 0, 0), (26, 0, 0), (30, 10, -20, 92, -20, 0), (30, 10, -20, 92, -20, 0), (86, 12, 8, 82, 0), (84, 12, 8, 78, 0)),
    "elbows on the knees": ("sit", 2, (18, 0), (28, 0, 0), (-12, 0, 0), (34, 6, -16, 84, 0, 0), (34, 6, -16, 84, 0, 0), (100, 18, 10, 92, 0), (100, 18, 10, 92, 0)),
    "steering": ("sit", 2, (-10, 0), (8, 0, 0), (4, 0, 0), (58, 14, -8, 46, 30, 0), (58, 14, -8, 46, 30, 0), (84, 12, 6, 60, 10), (84, 12, 6, 66, 10)),
    "sit on the floor": ("floor", 2, (-22, 0), (18, 0, 0), (6, 0, 0), (-38, 18, 10, 6, 40, -40), (-38, 18, 10, 6, 40, -40), (72, 10, 14, 22, 20), (84, 12, 14, 62, 15)),
    "sit cross-legged": ("floor", 2, (-4, 0), (18, 0, 0), (8, 0, 0), (34, 22, -14, 56, 50, 0), (34, 22, -14, 56, 50, 0), (70, 58, 46, 132, 20), (66, 58, 48, 128, 20)),
    "hug the knees": ("floor", 1.5, (-12, 0), (34, 0, 0), (4, 0, 0), (62, 10, -18, 52, 20, 0), (62, 10, -18, 52, 20, 0), (112, 8, 6, 122, 15), (110, 8, 6, 120, 15)),
    "kneel": ("floor", 2, (2, 0), (8, 0, 0), (14, 0, 0), (30, 12, -14, 60, 30, 0), (34, 12, -14, 64, 30, 0), (6, 8, 4, 96, 42), (4, 8, 4, 98, 42)),
    "kneel on one knee": ("floor", 2, (6, 0), (12, 0, 0), (8, 0, 0), (40, 10, -8, 50, 30, 0), (30, 12, -14, 64, 30, 0), (92, 10, 8, 88, 0), (4, 6, 4, 92, -18)),
    "on all fours": ("floor", 1, (76, 0), (6, 0, 0), (-40, 0, 0), (82, 6, 0, 6, 60, -50), (82, 6, 0, 6, 60, -50), (78, 6, 4, 88, 42), (74, 6, 4, 86, 42)),
    "squat": ("crouch", 2, (14, 0), (20, 0, 0), (-8, 0, 0), (56, 8, -8, 50, 20, 0), (56, 8, -8, 50, 20, 0), (112, 20, 16, 124, -22), (110, 20, 16, 122, -22)),
    "catcher": ("crouch", 1.5, (20, 0), (18, 0, 0), (-22, 0, 0), (72, 22, -4, 48, 0, 0), (36, 14, -24, 80, 20, 0), (118, 36, 24, 130, -18), (116, 36, 24, 130, -18)),
    "ready for the ball": ("crouch", 3.5, (22, 0), (14, 0, 0), (-18, 0, 0), (38, 24, -14, 72, 20, 0), (38, 24, -14, 72, 20, 0), (52, 20, 12, 56, -14), (52, 20, 12, 56, -14)),
    "bend down": ("crouch", 3, (46, 0), (34, 0, 0), (-8, 0, 0), (82, 8, 0, 12, 20, 0), (76, 8, 0, 14, 20, 0), (56, 6, 8, 14, 0), (52, 6, 8, 18, 0)),
    "lunge, reaching low": ("crouch", 2, (22, 0), (22, 0, -14), (-10, 0, 6), (24, 30, 0, 40, 20, 0), (88, 26, 0, 16, 0, 0), (42, 8, 10, 20, 12), (84, 12, 8, 78, -4)),
    "ski, tuck": ("ski", 2, (40, 0), (26, 0, 0), (-36, 0, 0), (58, 10, -16, 96, 10, 0), (58, 10, -16, 96, 10, 0), (84, 8, 2, 78, -20), (84, 8, 2, 78, -20)),
    "ski, turn": ("ski", 4, (16, 14), (12, -14, 0), (-8, -4, 0), (32, 34, -6, 52, 20, 0), (36, 28, -6, 58, 20, 0), (36, 4, 2, 40, -14), (48, 8, 2, 60, -18)),
    "ski, poles planted": ("ski", 3, (6, 0), (6, 0, 0), (0, 0, 0), (34, 22, -10, 62, 30, 0), (28, 24, -10, 56, 30, 0), (16, 6, 4, 20, -10), (14, 6, 4, 18, -10)),
    "ride a board, low": ("board", 3.5, (18, 0), (14, 0, 22), (-6, 0, 30), (24, 70, 0, 26, 30, 0), (10, 62, 0, 44, 30, 0), (60, 28, 4, 72, -16), (66, 26, 6, 84, -16)),
    "ride a board, upright": ("board", 3, (8, 0), (6, 0, 18), (0, 0, 30), (12, 48, 0, 30, 20, 0), (4, 52, 0, 40, 20, 0), (24, 20, 6, 34, -8), (28, 18, 8, 42, -10)),
    "ride a bicycle": ("ride", 2.5, (32, 0), (18, 0, 0), (-30, 0, 0), (76, 12, 0, 24, 50, -20), (76, 12, 0, 24, 50, -20), (106, 5, 4, 96, 10), (58, 5, 4, 36, 12)),
    "ride a motorcycle": ("ride", 2.5, (10, 0), (14, 0, 0), (-8, 0, 0), (58, 16, -4, 40, 50, -10), (58, 16, -4, 40, 50, -10), (80, 18, 6, 88, 8), (80, 18, 6, 88, 8)),
    "ride a horse": ("ride", 1.5, (2, 0), (4, 0, 0), (0, 0, 0), (24, 12, -14, 82, 30, 0), (24, 12, -14, 82, 30, 0), (52, 34, 8, 70, -12), (52, 34, 8, 70, -12)),
    "bat, waiting": ("swing", 3, (14, 0), (10, 0, -18), (0, 0, 50), (76, -22, -28, 84, 20, 0), (46, 50, 16, 122, 0, 0), (26, 18, 10, 34, -6), (30, 18, 10, 38, -6)),
    "bat, swung": ("swing", 2.5, (6, 0), (6, 6, 28), (4, 0, 10), (66, 48, 0, 34, 40, 0), (72, -14, -20, 48, 0, 0), (14, 18, 12, 6, 0), (2, 22, 0, 44, 28)),
    "racket, forehand": ("swing", 3, (8, 0), (8, 0, -24), (0, 0, 24), (48, 36, 0, 40, 20, 0), (-4, 66, 30, 38, 0, 0), (38, 14, 10, 48, -8), (24, 18, 14, 42, 10)),
    "racket, backhand": ("swing", 2.5, (10, 0), (8, 0, 30), (0, 0, -24), (-18, 42, 0, 40, 20, 0), (62, -26, -30, 46, 10, 0), (30, 14, 10, 44, 0), (42, 12, 10, 52, -8)),
    "racket, serve": ("swing", 2.5, (0, 0), (-12, 14, -16), (-24, 0, 8), (148, 24, 0, 10, 0, 0), (16, 88, 70, 112, 0, 0), (12, 8, 8, 24, 4), (-6, 10, 12, 34, 18)),
    "racket, struck overhead": ("swing", 2, (8, 0), (8, -12, 10), (-12, 0, 0), (24, 22, -20, 76, 20, 0), (142, 34, 0, 14, 20, 0), (8, 6, 8, 8, 28), (-14, 8, 10, 48, 30)),
    "throw, arm back": ("swing", 3, (-6, 0), (-10, -6, -22), (0, 0, 32), (70, 44, 0, 34, 20, 0), (-4, 92, 68, 88, 0, 0), (62, 16, 8, 66, 8), (-2, 8, 14, 22, 0)),
    "throw, followed through": ("swing", 2.5, (28, 0), (22, 0, 26), (-22, 0, -8), (-24, 34, 0, 62, 20, 0), (76, -22, -20, 30, 30, 0), (52, 6, 6, 46, -8), (-20, 8, 8, 44, 34)),
    "throw a disc": ("swing", 2, (8, 0), (8, 0, 26), (0, 0, -16), (8, 28, 0, 42, 20, 0), (58, -22, -30, 72, 20, 10), (20, 12, 8, 26, 0), (28, 12, 8, 34, 0)),
    "kick": ("kick", 2.5, (-8, 0), (10, 0, -10), (12, 0, 0), (30, 62, 0, 34, 20, 0), (-18, 44, 0, 40, 20, 0), (2, 6, 8, 18, 0), (58, 6, 4, 14, 34)),
    "kick, leg back": ("kick", 2, (12, 0), (2, 0, 14), (14, 0, -4), (42, 60, 0, 30, 20, 0), (-32, 34, 0, 40, 20, 0), (28, 4, 8, 26, -4), (-24, 10, 8, 86, 34)),
    "on the back": ("lie", 1, (-86, 0), (4, 0, 0), (8, 0, 0), (14, 24, 0, 30, 20, 0), (60, 60, 30, 120, 0, 0), (14, 8, 12, 20, 24), (36, 10, 10, 70, 10)),
    "on the belly": ("lie", 1, (86, 0), (-16, 0, 0), (-26, 0, 0), (112, 24, -20, 96, 30, 0), (112, 24, -20, 96, 30, 0), (0, 8, 8, 8, 44), (0, 8, 8, 30, 44)),
    "on the side": ("lie", 1, (0, 84), (14, 10, 0), (8, 8, 0), (72, 6, -8, 70, 0, 0), (36, 20, -14, 62, 20, 0), (46, 2, 2, 62, 20), (62, 4, 2, 78, 20)),
    "paddle or push up": ("lie", 1, (78, 0), (-14, 0, 0), (-38, 0, 0), (84, 10, 0, 18, 50, -40), (84, 10, 0, 18, 50, -40), (-4, 6, 6, 6, 10), (-4, 6, 6, 6, 10)),
}  # fmt: skip


def _vector(row: tuple) -> Array:
    root, spine, neck, left_arm, right_arm, left_leg, right_leg = row[2:]
    curl = (35,)
    return np.array((*root, *spine, *neck, *left_arm, *curl, *right_arm, *curl, *left_leg, *right_leg), float)


KEY_POSES: dict[str, Array] = {name: _vector(row) for name, row in _TABLE.items()}
FAMILY: dict[str, str] = {name: row[0] for name, row in _TABLE.items()}
WEIGHT: dict[str, float] = {name: float(row[1]) for name, row in _TABLE.items()}

_ARMS = slice(ANGLES.index("left_arm_raise"), ANGLES.index("left_leg_raise"))
_LEFT_ARM = slice(_ARMS.start, _ARMS.start + len(_ARM))
_RIGHT_ARM = slice(_LEFT_ARM.stop, _ARMS.stop)
_LEFT_LEG = slice(_ARMS.stop, _ARMS.stop + len(_LEG))
_RIGHT_LEG = slice(_LEFT_LEG.stop, len(ANGLES))
# Families whose hands may do something else without making the pose impossible.
_FREE_ARMS = ("upright", "walk", "sit", "crouch", "floor", "kick", "board")
_SIDED = [ANGLES.index(name) for name in ("root_roll", "spine_side", "spine_turn", "neck_side", "neck_turn")]


def mirror(angles: Array) -> Array:
    """The same pose seen in a mirror: sides swapped, turns and leans to the side negated."""
    out = angles.copy()
    out[_LEFT_ARM], out[_RIGHT_ARM] = angles[_RIGHT_ARM], angles[_LEFT_ARM]
    out[_LEFT_LEG], out[_RIGHT_LEG] = angles[_RIGHT_LEG], angles[_LEFT_LEG]
    out[_SIDED] *= -1
    return out


@cache
def _names(families: tuple[str, ...] | None) -> tuple[tuple[str, ...], tuple[float, ...]]:
    names = tuple(n for n in KEY_POSES if families is None or FAMILY[n] in families)
    total = sum(WEIGHT[n] for n in names)
    return names, tuple(WEIGHT[n] / total for n in names)


def _draw(rng: np.random.Generator, families: tuple[str, ...] | None = None) -> str:
    names, chances = _names(families)
    return names[rng.choice(len(names), p=chances)]


def sample_pose(rng: np.random.Generator, families: tuple[str, ...] | None = None) -> tuple[Array, str]:
    """Draw a pose within the joints' limits, in degrees, and the family it comes from: one of `families`, or any.

    One in twelve is drawn anywhere between the limits; the others start from a key pose, often a mix of two of one family,
    sometimes with the arms of another, plus noise that left and right partly share.
    """
    if rng.random() < 0.08:
        angles = LOW + (HIGH - LOW) * rng.beta(2.0, 2.2, len(ANGLES))
        angles[0], angles[1] = rng.normal(0, 25), rng.normal(0, 12)
        return np.clip(angles, LOW, HIGH), "random"
    name = _draw(rng, families)
    family = FAMILY[name]
    angles = KEY_POSES[name].copy()
    if rng.random() < 0.4:
        other = KEY_POSES[_draw(rng, (family,))]
        angles += rng.uniform(0, 1) * (other - angles)
    if family in _FREE_ARMS and rng.random() < 0.35:
        arms = KEY_POSES[_draw(rng, ("upright", "walk", "sit"))]
        arms = mirror(arms) if rng.random() < 0.5 else arms
        which = (_ARMS, _LEFT_ARM, _RIGHT_ARM)[rng.integers(3)]
        angles[which] = arms[which]
    shared = rng.normal(size=len(ANGLES))
    for left, right in ((_LEFT_ARM, _RIGHT_ARM), (_LEFT_LEG, _RIGHT_LEG)):
        shared[right] = 0.5 * shared[left] + np.sqrt(0.75) * shared[right]
    angles += shared * SPREAD * rng.lognormal(-0.1, 0.4)
    if rng.random() < 0.5:
        angles = mirror(angles)
    return np.clip(angles, LOW, HIGH), family


def _about(axis: int, degrees: float) -> Array:
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    i, j = [(1, 2), (2, 0), (0, 1)][axis]
    out = np.eye(3)
    out[i, i], out[i, j], out[j, i], out[j, j] = c, -s, s, c
    return out


def _rotation_vector(vector: Array) -> Array:
    """Rotation matrix of an axis times an angle in radians (Rodrigues)."""
    angle = float(np.linalg.norm(vector))
    if angle < 1e-9:
        return np.eye(3)
    x, y, z = vector / angle
    k = np.array([[0, -z, y], [z, 0, -x], [-y, x, 0]])
    return np.eye(3) + np.sin(angle) * k + (1 - np.cos(angle)) * k @ k


def _between(a: Array, b: Array) -> Array:
    """The smallest rotation that takes direction a to direction b."""
    a, b = a / np.linalg.norm(a), b / np.linalg.norm(b)
    # By hand, because numpy's cross spends most of its time on checks.
    axis = np.array([a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]])
    sine = np.linalg.norm(axis)
    return _rotation_vector(axis / max(sine, 1e-9) * np.arctan2(sine, a @ b))


def _swing(raised: float, out: float) -> Array:
    """Lift a limb that hangs: forwards by `raised`, to the left by `out`, degrees."""
    return _rotation_vector(np.radians([-raised, -out, 0.0]))


_EYE = np.eye(3)
_MIRROR = np.diag([-1.0, 1.0, 1.0])
_DOWN = np.array([0.0, 0.0, -1.0])


def bone_rotations(angles: Array, names: list[str], parents: list[int], heads: dict[str, Array]) -> Array:
    """World rotations of Anny's bones.

    Args:
        angles: degrees, in the order of `ANGLES`.
        names, parents: the bones, each after its parent; -1 for the root.
        heads: where each bone begins at rest, metres, by name.

    Returns:
        (B, 3, 3): bone b turns by this from its place at rest.
    """
    a = dict(zip(ANGLES, (float(v) for v in angles), strict=True))
    local: dict[str, Array] = {}  # turns in the frame of a body that stands straight
    straight: dict[str, Array] = {}  # from rest to standing straight
    local["root"] = _about(1, a["root_roll"]) @ _about(0, a["root_pitch"])
    for share, bone in zip(
        (0.15, 0.2, 0.25, 0.25, 0.15), ("spine05", "spine04", "spine03", "spine02", "spine01"), strict=True
    ):
        local[bone] = _trunk(a, "spine", share)
    for share, bone in zip((0.3, 0.15, 0.2, 0.35), ("neck01", "neck02", "neck03", "head"), strict=True):
        local[bone] = _trunk(a, "neck", share)
    for side, key in (("L", "left"), ("R", "right")):
        flip = _EYE if side == "L" else _MIRROR
        _arm_turns(a, side, key, flip, heads, local, straight)
        _leg_turns(a, side, key, flip, heads, local, straight)
    turned = np.empty((len(names), 3, 3))  # of the straight frame
    out = np.empty((len(names), 3, 3))
    stand = np.empty((len(names), 3, 3))
    for i, (name, parent) in enumerate(zip(names, parents, strict=True)):
        above = turned[parent] if parent >= 0 else _EYE
        turned[i] = above @ local[name] if name in local else above
        stand[i] = straight[name] if name in straight else stand[parent] if parent >= 0 else _EYE
        out[i] = turned[i] @ stand[i]
    return out


def _trunk(a: dict[str, float], key: str, share: float) -> Array:
    bend, side, turn = (share * a[f"{key}_{angle}"] for angle in ("bend", "side", "turn"))
    return _about(2, turn) @ _about(1, side) @ _about(0, bend)


def _arm_turns(a: dict, side: str, key: str, flip: Array, heads: dict, local: dict, straight: dict) -> None:
    raised, out, twist, elbow, palm, wrist, curl = (a[f"{key}_arm_{angle}"] for angle in _ARM)
    shoulder, elbow_at, wrist_at = (heads[f"{b}.{side}"] for b in ("upperarm01", "lowerarm01", "wrist"))
    knuckle = heads[f"finger3-1.{side}"]
    upper = _between(elbow_at - shoulder, _DOWN)
    lower = _between(upper @ (wrist_at - elbow_at), _DOWN) @ upper
    hand = _between(lower @ (knuckle - wrist_at), _DOWN) @ lower
    lift = float(np.hypot(raised, out))
    # The shoulder blade takes a third of what the arm rises above 30 degrees; with it the arm's own share falls.
    blade = float(np.clip((lift - 30) / 3, 0, 45)) * (0.3 + 0.7 * max(out, 0.3 * raised, 0) / max(lift, 1))
    axis = np.radians([-0.35 * blade * raised / max(lift, 1), -blade, 0.0])
    girdle = _rotation_vector(axis)
    arm = girdle.T @ _swing(raised, out)

    def put(bone: str, turn: Array) -> None:
        local[f"{bone}.{side}"] = flip @ turn @ flip

    put("clavicle", _rotation_vector(0.6 * axis))
    put("shoulder01", _rotation_vector(0.4 * axis))
    put("upperarm01", arm @ _about(2, 0.5 * twist))
    put("upperarm02", _about(2, 0.5 * twist))
    put("lowerarm01", _about(0, -elbow) @ _about(2, -0.35 * palm))
    put("lowerarm02", _about(2, -0.65 * palm))
    put("wrist", _about(1, wrist))
    for finger in "12345":
        bend = curl * (0.35 if finger == "1" else 1.0)
        for joint in "123":
            put(f"finger{finger}-{joint}", _about(1, 0.7 * bend))
    for bone, turn in (("upperarm01", upper), ("upperarm02", upper), ("lowerarm01", lower), ("lowerarm02", lower)):
        straight[f"{bone}.{side}"] = turn
    straight[f"wrist.{side}"] = hand


def _leg_turns(a: dict, side: str, key: str, flip: Array, heads: dict, local: dict, straight: dict) -> None:
    raised, out, twist, knee, ankle = (a[f"{key}_leg_{angle}"] for angle in _LEG)
    hip, knee_at, ankle_at = (heads[f"{b}.{side}"] for b in ("upperleg01", "lowerleg01", "foot"))
    upper = _between(knee_at - hip, _DOWN)
    lower = _between(upper @ (ankle_at - knee_at), _DOWN) @ upper

    def put(bone: str, turn: Array) -> None:
        local[f"{bone}.{side}"] = flip @ turn @ flip

    put("upperleg01", _swing(raised, out) @ _about(2, 0.5 * twist))
    put("upperleg02", _about(2, 0.5 * twist))
    put("lowerleg01", _about(0, knee))
    put("foot", _about(0, ankle))
    for bone, turn in (("upperleg01", upper), ("upperleg02", upper), ("lowerleg01", lower), ("lowerleg02", lower)):
        straight[f"{bone}.{side}"] = turn
    straight[f"foot.{side}"] = np.eye(3)
