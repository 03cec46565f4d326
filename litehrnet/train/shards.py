"""Rendered people in shards, as `training/render_people.py` writes them; and people from either kind of source."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from ..checkpoints.joints import JOINT_SETS, JointSet
from ..people import CocoPeople, People, Person, read_people

__all__ = ["ShardPeople", "open_people"]


class ShardPeople:
    """Rendered people with COCO's 17 joints: `shard_*.npz` files, one picture per person.

    Args:
        paths: the shards, in order; the JPEG bytes of all of them are held in memory.
    """

    joint_set = JOINT_SETS["coco"]
    problems = ()

    def __init__(self, paths: Sequence[Path]) -> None:
        if not paths:
            raise ValueError("no shard_*.npz files to read people from")
        self._files: list[tuple[np.ndarray, np.ndarray]] = []
        self._where: list[tuple[int, int]] = []
        boxes, joints, areas = [], [], []
        self._names = [f"{Path(path).parent.name}/{Path(path).name}" for path in paths]
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
        """The annotation."""
        shard, i = self._where[index]
        name = self._names[shard]
        box = tuple(self._boxes[index].tolist())
        return Person(box, self._joints[index], float(self._areas[index]), f"{name}/{i}", (name, i))

    def image(self, index: int, scale: float = 1.0) -> tuple[Image.Image, tuple[int, int]]:
        """The picture; see `litehrnet.people.People.image`."""
        shard, i = self._where[index]
        jpegs, offsets = self._files[shard]
        image = Image.open(io.BytesIO(jpegs[offsets[i] : offsets[i + 1]].tobytes()))
        width, height = image.size
        if scale < 1:
            image.draft("RGB", (int(width * scale), int(height * scale)))
        return image.convert("RGB"), (height, width)


def open_people(source: str | Path, images: str | Path | None = None, joints: JointSet | None = None) -> People:
    """People from a keypoint file in COCO's form and its folder of pictures, or from a folder of shards.

    Raises:
        ValueError: a keypoint file without `images`, shards for other joints than COCO's, or nothing to read.
    """
    source = Path(source)
    if not source.is_dir():
        if images is None:
            raise ValueError(f"{source} names pictures; give the folder that holds them as images=...")
        people: CocoPeople = read_people(source, images, joints)
        return people
    if images is not None:
        raise ValueError(f"{source} is a folder of shards, which hold their pictures; leave out images=...")
    if joints is not None and joints.names != ShardPeople.joint_set.names:
        raise ValueError(f"the shards in {source} have COCO's 17 joints, not {len(joints)} others")
    return ShardPeople(sorted(source.glob("**/shard_*.npz")))
