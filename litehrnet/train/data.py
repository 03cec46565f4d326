"""Annotated people, from rendered shards or from any annotation file in COCO's format."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Protocol

import numpy as np
from PIL import Image

from ..checkpoints.joints import JOINT_SETS, JointSet

__all__ = ["COCO", "CocoPeople", "JointSet", "People", "Person", "ShardPeople", "open_people", "read_joint_set"]


COCO = JOINT_SETS["coco"]


def read_joint_set(path: str | Path) -> JointSet:
    """The joints to train on, from a JSON file of any form that `JointSet.from_json` reads.

    Raises:
        ValueError: the file describes no joints, or has no sigmas, which measuring needs.
    """
    joint_set = JointSet.from_json(path)
    if joint_set.sigmas is None:
        raise ValueError(f"{path} has no sigmas, one per joint, which OKS needs; 0.05 is between an eye and a shoulder")
    return joint_set


@dataclass(frozen=True)
class Person:
    """One annotation.

    Attributes:
        box: x, y, width, height in pixels.
        joints: (K, 3) float32: x, y at pixel centres, and 0 (not labelled), 1 (hidden) or 2 (visible).
        area: pixels, for OKS.
        key: its name in the source: (image id, annotation id), or (shard, index).
    """

    box: tuple[float, float, float, float]
    joints: np.ndarray
    area: float
    key: tuple


class People(Protocol):
    """A list of annotated people whose images are decoded on demand."""

    def __len__(self) -> int: ...

    def person(self, index: int) -> Person:
        """The annotation."""

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        """The photograph, RGB, and its true height and width.

        If `scale` is below 1, it may be decoded at half or quarter size, but not smaller than `scale`; for JPEG, this
        takes a fraction of the time.
        """


def _decode(file: str | Path | IO[bytes], scale: float) -> tuple[Image.Image, tuple[int, int]]:
    image = Image.open(file)
    width, height = image.size
    if scale < 1:
        image.draft("RGB", (int(width * scale), int(height * scale)))
    return image.convert("RGB"), (height, width)


class ShardPeople:
    """Rendered people: `shard_*.npz` files from `training/render_people.py`, one image per person.

    Args:
        paths: the shards, in order; the JPEG bytes of all of them are held in memory.
    """

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise ValueError("no shard_*.npz files to read people from")
        self._files: list[tuple[np.ndarray, np.ndarray]] = []
        self._where: list[tuple[int, int]] = []
        boxes, joints, areas = [], [], []
        self._names = [Path(path).name for path in paths]
        for shard, path in enumerate(paths):
            with np.load(path) as held:
                self._files.append((held["jpegs"], held["offsets"]))
                boxes.append(held["boxes"])
                joints.append(held["joints"])
                areas.append(held["areas"])
            self._where += [(shard, i) for i in range(len(boxes[-1]))]
        self._boxes, self._joints, self._areas = (np.concatenate(parts) for parts in (boxes, joints, areas))

    def __len__(self) -> int:
        return len(self._where)

    def person(self, index: int) -> Person:
        shard, i = self._where[index]
        key = (self._names[shard], i)
        return Person(tuple(self._boxes[index].tolist()), self._joints[index], float(self._areas[index]), key)

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        shard, i = self._where[index]
        jpegs, offsets = self._files[shard]
        return _decode(io.BytesIO(jpegs[offsets[i] : offsets[i + 1]].tobytes()), scale)


class CocoPeople:
    """People from an annotation file in COCO's format: `images`, `annotations` with `bbox` and `keypoints`.

    Args:
        annotations: the JSON file.
        images: the folder with the images that it names.
        joints: how many joints an annotation must have.
        labelled: skip people with fewer labelled joints than this.
    """

    def __init__(self, annotations: Path, images: Path, joints: int = 17, labelled: int = 1) -> None:
        held = json.loads(Path(annotations).read_text())
        self._folder = Path(images)
        self._files = {image["id"]: image["file_name"] for image in held["images"]}
        self._people: list[Person] = []
        for entry in held["annotations"]:
            found = np.asarray(entry.get("keypoints", ()), np.float32).reshape(-1, 3)
            if entry.get("iscrowd") or not len(found) or (found[:, 2] > 0).sum() < labelled:
                continue
            if len(found) != joints:
                raise ValueError(f"annotation {entry['id']} of {annotations} has {len(found)} joints, not {joints}")
            if entry["bbox"][2] <= 0 or entry["bbox"][3] <= 0:
                continue
            area = float(entry.get("area") or entry["bbox"][2] * entry["bbox"][3])
            self._people.append(Person(tuple(entry["bbox"]), found, area, (entry["image_id"], entry["id"])))
        if not self._people:
            raise ValueError(f"{annotations} has no person with at least {labelled} labelled joints")

    def __len__(self) -> int:
        return len(self._people)

    def person(self, index: int) -> Person:
        return self._people[index]

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        return _decode(self._folder / self._files[self._people[index].key[0]], scale)


def shard_paths(folders: Sequence[Path]) -> list[Path]:
    """All complete shards in some folders, sorted by name."""
    return [path for folder in folders for path in sorted(Path(folder).glob("shard_*.npz"))]


def open_people(source: Path, images: Path | None = None, joints: int = 17) -> People:
    """People from a folder of shards, or from an annotation file with its folder of images.

    Raises:
        ValueError: an annotation file without `images`, or nothing to read.
    """
    source = Path(source)
    if source.is_dir():
        return ShardPeople(shard_paths([source]))
    if images is None:
        raise ValueError(f"{source} names images; give the folder that holds them")
    return CocoPeople(source, images, joints)
