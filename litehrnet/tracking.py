"""People from one frame of a video to the next: boxes that follow the joints, joints that do not jitter, people lost.

Source: Casiez, Roussel and Vogel, *1 Euro Filter: A Simple Speed-based Low-pass Filter for Noisy Input in Interactive
Systems*, CHI 2012.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import numpy as np

__all__ = ["OneEuro", "Person", "Tracker", "box_of_joints", "overlap"]

SEEN = 0.3  # a joint that scores less counts as missing
MARGIN = 1.2  # a person's box is larger than the box around the joints by this factor
PATIENCE = 5  # for this many frames, a lost person is still looked for at the same place
SAME_PERSON = 0.3  # a detected box that overlaps this much belongs to a person already followed
LEAST_SHARE = 0.25  # a person with a smaller share of the joints is lost

BETA = 10.0  # hertz per (person's height per second): independent of the distance from the camera

Box = tuple[float, float, float, float]


class OneEuro:
    """A low-pass filter that lets fast movements pass and smooths slow ones, where jitter shows.

    Args:
        cutoff: in hertz, for what does not move; lower is smoother.
        beta: how much the cutoff grows with speed, in hertz per (unit per second); higher follows more closely.
        speed_cutoff: in hertz, for the speed itself.

    >>> smooth = OneEuro()
    >>> smooth(np.zeros(2), 0.1).tolist()
    [0.0, 0.0]
    """

    def __init__(self, cutoff: float = 1.0, beta: float = 10.0, speed_cutoff: float = 1.0) -> None:
        self.cutoff, self.beta, self.speed_cutoff = cutoff, beta, speed_cutoff
        self._value: np.ndarray | None = None
        self._speed: np.ndarray | None = None

    def __call__(self, value: np.ndarray, seconds: float, fresh: np.ndarray | None = None) -> np.ndarray:
        """The filtered value.

        Args:
            value: any shape, the same in every call.
            seconds: since the call before.
            fresh: broadcasts with `value`; True where the past does not count.
        """
        value = np.asarray(value, np.float64)
        if self._value is None or self._speed is None or seconds <= 0:
            self._value, self._speed = value, np.zeros_like(value)
            return value
        speed = (value - self._value) / seconds
        weight = _weight(self.speed_cutoff, seconds)
        self._speed = weight * speed + (1 - weight) * self._speed
        weights = _weight(self.cutoff + self.beta * np.abs(self._speed), seconds)
        filtered = weights * value + (1 - weights) * self._value
        if fresh is not None:
            filtered, self._speed = np.where(fresh, value, filtered), np.where(fresh, 0.0, self._speed)
        self._value = filtered
        return filtered


def _weight(cutoff: float | np.ndarray, seconds: float) -> float | np.ndarray:
    """The share of a new value in an exponential average with this cutoff frequency."""
    turned = 2 * math.pi * cutoff * seconds
    return turned / (turned + 1)


def box_of_joints(places: np.ndarray, scores: np.ndarray, before: Sequence[float]) -> Box:
    """A person's box, x, y, width, height, around the joints that are there; the last box if fewer than two are.

    Args:
        places: (K, 2).
        scores: (K,).
        before: the last box. No side of the new one is shorter than a fifth of its longer side, because joints may be
            in a line.
    """
    seen = places[scores >= SEEN]
    if len(seen) < 2:
        x, y, width, height = before
        return x, y, width, height
    low, high = seen.min(0), seen.max(0)
    sides = np.maximum(MARGIN * (high - low), max(before[2:]) / 5)
    corner = (low + high) / 2 - sides / 2
    return float(corner[0]), float(corner[1]), float(sides[0]), float(sides[1])


def overlap(one: Sequence[float], other: Sequence[float]) -> float:
    """Intersection over union of two boxes, x, y, width, height.

    >>> overlap((0, 0, 2, 2), (1, 0, 2, 2))
    0.3333333333333333
    """
    sides = [
        min(one[k] + one[k + 2], other[k] + other[k + 2]) - max(one[k], other[k]) for k in (0, 1)
    ]  # width and height
    shared = max(0.0, sides[0]) * max(0.0, sides[1])
    return shared / (one[2] * one[3] + other[2] * other[3] - shared)


@dataclass
class Person:
    """Somebody who is followed.

    Attributes:
        number: counted from 1 through the video.
        box: x, y, width, height: where to look in the next frame.
        places: (K, 2) joints in the frame, smoothed.
        scores: (K,).
        missed: frames in a row in which the joints were not there; 0 while they are.
        home: the box in which the person was first looked for.
    """

    number: int
    box: Box
    home: Box
    places: np.ndarray = field(default_factory=lambda: np.zeros((0, 2)))
    scores: np.ndarray = field(default_factory=lambda: np.zeros(0))
    missed: int = 0
    _filter: OneEuro | None = None

    @property
    def lost(self) -> bool:
        """Whether too few joints are there."""
        return self.missed > 0


class Tracker:
    """Follows people from frame to frame.

    Args:
        find: from an image and a box to joints (K, 2) in the image and their scores (K,).
        smooth: whether joints are smoothed (`OneEuro`).
        keep: whether a person who stays lost is looked for again at the first place; otherwise they are given up.

    Attributes:
        people: those who are followed.
        events: who was lost or found in the last frame, one phrase each.
    """

    def __init__(
        self,
        find: Callable[[np.ndarray, Box], tuple[np.ndarray, np.ndarray]],
        smooth: bool = True,
        keep: bool = True,
    ) -> None:
        self.people: list[Person] = []
        self.events: list[str] = []
        self._find, self._smooth, self._keep = find, smooth, keep
        self._numbers = itertools.count(1)

    def add(self, boxes: Sequence[Sequence[float]]) -> None:
        """Look for people in these boxes as well, unless a person already followed is there.

        If the followed person whose box overlaps most is lost, they continue in the new box.
        """
        for box in boxes:
            x, y, width, height = map(float, box)
            placed: Box = (x, y, width, height)
            near = max(self.people, key=lambda person: overlap(person.box, placed), default=None)
            if near is None or overlap(near.box, placed) < SAME_PERSON:
                self.people.append(Person(next(self._numbers), placed, placed))
            elif near.lost:
                near.box = placed

    def step(self, image: np.ndarray, seconds: float) -> list[Person]:
        """Find the joints of everyone followed, in the next frame.

        Args:
            image: RGB, (H, W, 3) uint8.
            seconds: since the frame before; 0 for the first.
        """
        self.events = []
        for person in list(self.people):
            places, scores = self._find(image, person.box)
            self._update(person, places, scores, seconds, image.shape[:2])
        self._merge()
        return list(self.people)

    def _update(
        self, person: Person, places: np.ndarray, scores: np.ndarray, seconds: float, size: tuple[int, ...]
    ) -> None:
        seen = scores >= SEEN
        here = seen.sum() >= max(1, LEAST_SHARE * len(seen))
        fresh = ~seen | (person.scores < SEEN) if len(person.scores) else np.ones(len(seen), bool)
        if self._smooth:
            person._filter = person._filter or OneEuro()
            person._filter.beta = BETA / max(person.box[2:])
            places = person._filter(places, seconds, fresh[:, None])
        person.places, person.scores = places, scores
        if here:
            if person.lost:
                self.events.append(f"person {person.number} is found again")
            person.missed = 0
            person.box = _inside(box_of_joints(places, scores, person.box), size) or person.box
            return
        person.missed += 1
        if person.missed == 1:
            self.events.append(f"person {person.number} is lost")
        if person.missed > PATIENCE:
            person._filter = None
            if self._keep:
                person.box = person.home
            else:
                self.people.remove(person)

    def _merge(self) -> None:
        """Merge two people whose joints have come to coincide."""
        for one, other in itertools.combinations(list(self.people), 2):
            if other in self.people and one in self.people and not other.lost and not one.lost:
                apart = np.linalg.norm(one.places - other.places, axis=1).mean()
                if apart < 0.05 * max(one.box[2:]):
                    self.people.remove(other)
                    self.events.append(f"person {other.number} is person {one.number}")


def _inside(box: Box, size: tuple[int, ...]) -> Box | None:
    """The box, if some of it is in the picture."""
    x, y, width, height = box
    return box if x < size[1] and y < size[0] and x + width > 0 and y + height > 0 else None
