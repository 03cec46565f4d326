"""Annotated people: keypoint files in COCO's form, with everything that is wrong with them counted and named.

Torch-free. A labelled person is a box, an area and joints. `read_people` reads them, together with the folder of
pictures, and leaves out what cannot be used; `People.problems` says what, how many, and which came first.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np
from PIL import Image, ImageOps

from .checkpoints.joints import JOINT_SETS, JointSet, plain_name
from .files import existing_file, read_json
from .images import read_image

__all__ = ["CocoPeople", "People", "Person", "Problem", "problem_table", "read_people", "with_sigmas"]

USUAL_SIGMA = 0.05  # between an eye (0.025) and a shoulder (0.079)
_ROTATED = (5, 6, 7, 8)  # values of EXIF's orientation that exchange height and width


@dataclass(frozen=True)
class Problem:
    """One kind of fault in the data.

    Attributes:
        what: what is wrong, and what is done about it.
        count: how many annotations or pictures have it.
        first: the first of them.
        used: whether they are used all the same.
    """

    what: str
    count: int
    first: str
    used: bool = False


@dataclass(frozen=True)
class Person:
    """One annotation.

    Attributes:
        box: x, y, width, height in pixels.
        joints: (K, 3) float32: x, y at pixel centres, and 0 (not labelled), 1 (hidden) or 2 (visible).
        area: pixels, for OKS.
        picture: the picture's name; people of one picture share it.
        key: its name in the source: (image id, annotation id), or (shard, index).
    """

    box: tuple[float, float, float, float]
    joints: np.ndarray
    area: float
    picture: str
    key: tuple


class People(Protocol):
    """A list of annotated people whose pictures are decoded on demand."""

    def __len__(self) -> int: ...

    def person(self, index: int) -> Person:
        """The annotation."""

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        """The picture, RGB, and its true height and width.

        If `scale` is below 1, it may be decoded at half or quarter size, but not smaller than `scale`; for JPEG, this
        takes a fraction of the time.
        """


class CocoPeople:
    """People from an annotation file in COCO's form; `read_people` makes it.

    Attributes:
        joint_set: names, bones, mirror pairs and sigmas of the joints.
        problems: what is wrong with the file or its pictures.
        held: the file's content: annotations that were left out, such as crowds, count in COCO's evaluation.
    """

    def __init__(
        self,
        people: Sequence[Person],
        folder: Path,
        joint_set: JointSet,
        problems: Sequence[Problem] = (),
        held: Mapping[str, Any] | None = None,
    ) -> None:
        self._people, self._folder = list(people), folder
        self.joint_set, self.problems, self.held = joint_set, list(problems), held or {}

    def __len__(self) -> int:
        return len(self._people)

    def person(self, index: int) -> Person:
        """The annotation."""
        return self._people[index]

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        """The picture, upright; see `People.image`."""
        path = self._folder / self._people[index].picture
        if scale < 1:
            with Image.open(path) as image:
                if image.format == "JPEG" and image.mode in ("RGB", "L"):
                    height, width = _upright_size(image)
                    image.draft("RGB", (int(image.width * scale), int(image.height * scale)))
                    return ImageOps.exif_transpose(image).convert("RGB"), (height, width)
        picture = Image.fromarray(read_image(path))
        return picture, (picture.height, picture.width)

    def taken(self, indices: Iterable[int]) -> CocoPeople:
        """The people with these indices."""
        return CocoPeople([self._people[i] for i in indices], self._folder, self.joint_set, self.problems, self.held)


def _upright_size(image: Image.Image) -> tuple[int, int]:
    turned = image.getexif().get(0x0112) in _ROTATED
    return (image.width, image.height) if turned else (image.height, image.width)


def with_sigmas(joint_set: JointSet) -> JointSet:
    """The same joints with a sigma each: where they have none, COCO's for a joint of COCO's, else `USUAL_SIGMA`.

    >>> with_sigmas(JointSet(("left_eye", "tail"))).sigmas
    (0.025, 0.05)
    """
    if joint_set.sigmas is not None:
        return joint_set
    coco = JOINT_SETS["coco"]
    known = dict(zip(coco.names, coco.sigmas or (), strict=True))
    return replace(
        joint_set,
        sigmas=tuple(known.get(plain_name(name), USUAL_SIGMA) for name in joint_set.names),
    )


class _Found:
    """The problems, counted by kind."""

    def __init__(self) -> None:
        self._counts: Counter[tuple[str, bool]] = Counter()
        self._firsts: dict[tuple[str, bool], str] = {}

    def add(self, what: str, where: str, used: bool = False) -> None:
        self._counts[what, used] += 1
        self._firsts.setdefault((what, used), where)

    def listed(self) -> list[Problem]:
        return [Problem(what, count, self._firsts[what, used], used) for (what, used), count in self._counts.items()]


def read_people(annotations: str | Path, images: str | Path, joints: JointSet | None = None) -> CocoPeople:
    """Read labelled people and look at every picture's header.

    What cannot be used is left out and listed in `problems`: pictures that are missing, unreadable or of another size;
    annotations without a picture, without a labelled joint or with another number of joints; boxes that are empty or
    outside their picture. A joint outside its picture counts as not labelled.

    Args:
        annotations: a JSON file with `images` and `annotations`, which have `bbox` and `keypoints`.
        images: the folder with the pictures.
        joints: which joints are labelled; by default those of the file's category. Where they have no sigmas,
            `with_sigmas` gives them some.

    Raises:
        FileNotFoundError, NotADirectoryError: there is no such file or folder.
        ValueError: not a file in COCO's form, it does not name its joints and none are given, or it has no person that
            can be used; the message gives the commonest reason.
    """
    path, folder = existing_file(annotations), Path(images)
    if not folder.is_dir():
        raise NotADirectoryError(f"{folder} is not a folder; give the one that holds the pictures of {path.name}")
    held = _read_keypoints(path)
    joint_set = with_sigmas(_joints_of(held, path) if joints is None else joints)
    found = _Found()
    pictures = _pictures(held, folder, found)
    people: list[Person] = []
    seen: set[object] = set()
    for number, entry in enumerate(held["annotations"]):
        where = f"annotation {entry.get('id', f'number {number}')}" if isinstance(entry, Mapping) else f"entry {number}"
        if isinstance(entry, Mapping) and entry.get("iscrowd"):
            found.add("crowds (left out)", where)
            continue
        reason, person, notes = _person(entry, number, pictures, joint_set)
        if person is not None and entry.get("id", number) in seen:
            reason, person = "ids used twice (the first is kept)", None
        if person is None:
            found.add(reason, where)
            continue
        for note in notes:
            found.add(note, where, used=True)
        seen.add(entry.get("id", number))
        people.append(person)
    problems = found.listed()
    if not people:
        raise ValueError(f"{path} has no person that can be used{_commonest(problems, len(joint_set))}")
    return CocoPeople(people, folder, joint_set, problems, held)


def problem_table(problems: Sequence[Problem]) -> str:
    """Problems as text: what, how many, and the first of them.

    >>> print(problem_table([Problem("pictures that are missing (left out)", 2, "a.jpg")]))
    problem                               count  first
    pictures that are missing (left out)      2  a.jpg
    """
    width = max([len(problem.what) for problem in problems] + [len("problem")])
    lines = [f"{'problem':{width}}  count  first"]
    lines += [f"{problem.what:{width}}  {problem.count:>5}  {problem.first}" for problem in problems]
    return "\n".join(lines)


# -------------------------------------------------------------------------------------------------------------- parts


def _read_keypoints(path: Path) -> dict[str, Any]:
    held = read_json(path)
    for part in ("images", "annotations"):
        if not isinstance(held, dict) or not isinstance(held.get(part), list):
            raise ValueError(
                f"{path} is not a keypoint file in COCO's form: it needs a list of images and a list of annotations, "
                f"and has no list of {part}"
            )
    return held


def _joints_of(held: Mapping[str, Any], path: Path) -> JointSet:
    try:
        return JointSet.from_dict(held)
    except ValueError as error:
        counts = Counter(
            len(entry["keypoints"]) // 3
            for entry in held["annotations"]
            if isinstance(entry, Mapping) and isinstance(entry.get("keypoints"), list)
        )
        if not held.get("categories") and set(counts) == {17}:
            return JOINT_SETS["coco"]
        raise ValueError(f"{path} does not name its joints ({error}); give the names as joints='names.json'") from error


def _pictures(held: Mapping[str, Any], folder: Path, found: _Found) -> dict[object, tuple[str, int, int] | str]:
    """From an image id to its file name, height and width, or to the reason why it cannot be used."""
    pictures: dict[object, tuple[str, int, int] | str] = {}
    for number, entry in enumerate(held["images"]):
        if not isinstance(entry, Mapping) or not isinstance(entry.get("file_name"), str) or "id" not in entry:
            found.add("pictures without an id or a file_name (left out)", f"image number {number}")
            continue
        name, image_id = entry["file_name"], entry["id"]
        if not isinstance(image_id, (int, str)):
            found.add("pictures without an id or a file_name (left out)", name)
            continue
        reason = ""
        size = (0, 0)
        try:
            with Image.open(folder / name) as image:
                size = _upright_size(image)
        except FileNotFoundError:
            reason = "pictures that are missing (left out)"
        except (OSError, SyntaxError, ValueError, Image.DecompressionBombError):
            reason = "pictures that cannot be read (left out)"
        said = (entry.get("height"), entry.get("width"))
        if not reason and None not in said and said != size:
            reason = "pictures of another size than the file says (left out)"
            name = f"{name} is {size[0]}x{size[1]}, not {said[0]}x{said[1]}"
        if not reason and image_id in pictures:
            reason = "pictures with an id that another one has (left out)"
        if reason:
            found.add(reason, name)
            pictures.setdefault(image_id, reason)
        else:
            pictures[image_id] = (name, *size)
    return pictures


def _person(
    entry: object, number: int, pictures: Mapping[object, tuple[str, int, int] | str], joint_set: JointSet
) -> tuple[str, Person | None, list[str]]:
    """A usable annotation and notes about it, or the reason why it cannot be used."""
    if not isinstance(entry, Mapping):
        return "annotations that are not objects (left out)", None, []
    keypoints = entry.get("keypoints")
    if not keypoints:
        return "annotations without keypoints (left out)", None, []
    try:
        flat = np.asarray(keypoints, np.float64).ravel()
    except (TypeError, ValueError):
        flat = np.array([np.nan])
    if not np.isfinite(flat).all() or flat.size % 3 or not np.isin(flat[2::3], (0, 1, 2)).all():
        return "keypoints that are not x, y and 0, 1 or 2 (left out)", None, []
    if flat.size != 3 * len(joint_set):
        return f"annotations of {flat.size // 3} joints, where {len(joint_set)} have names (left out)", None, []
    joints = flat.reshape(-1, 3)  # (K, 3)
    image_id = entry.get("image_id")
    picture = pictures.get(image_id) if isinstance(image_id, (int, str)) else None
    if picture is None:
        return "annotations of a picture that is not listed (left out)", None, []
    if isinstance(picture, str):
        return "annotations of a picture that cannot be used (left out)", None, []
    name, height, width = picture
    box = _box(entry.get("bbox"))
    if box is None:
        return "boxes that are missing or empty (left out)", None, []
    x, y, w, h = box
    if x >= width or y >= height or x + w <= 0 or y + h <= 0:
        return "boxes outside their picture (left out)", None, []
    notes = []
    labelled = joints[:, 2] > 0
    inside = (joints[:, 0] > -1) & (joints[:, 0] < width) & (joints[:, 1] > -1) & (joints[:, 1] < height)
    if (labelled & ~inside).any():
        notes.append("people with a joint outside their picture (it counts as not labelled)")
        joints[~inside] = 0
        labelled &= inside
    if not labelled.any():
        return "annotations without a labelled joint (left out)", None, []
    area: Any = entry.get("area")
    if not _is_number(area) or area <= 0:
        notes.append("people without an area (their box's area is used, which makes OKS milder)")
        area = w * h
    return "", Person(box, joints.astype(np.float32), float(area), name, (image_id, entry.get("id", number))), notes


def _is_number(value: object) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)


def _box(held: object) -> tuple[float, float, float, float] | None:
    if not isinstance(held, Sequence) or len(held) != 4 or not all(map(_is_number, held)):
        return None
    x, y, width, height = map(float, held)
    return (x, y, width, height) if width > 0 and height > 0 else None


def _commonest(problems: Sequence[Problem], count: int) -> str:
    if not problems:
        return ": it has no annotations"
    worst = max((p for p in problems if not p.used), key=lambda problem: problem.count)
    hint = f" (the joints that have names are {count})" if "joints, where" in worst.what else ""
    return f": {worst.count} {worst.what.removesuffix(' (left out)')}, first {worst.first}{hint}"
