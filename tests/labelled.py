"""Small labelled people for the tests of measuring and training: discs of one colour per joint on grey noise."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from PIL import Image

from litehrnet.checkpoints.joints import JointSet

FIVE = JointSet(
    ("head", "left hand", "right hand", "left foot", "right foot"), flip_pairs=((1, 2), (3, 4)), sigmas=(0.05,) * 5
)


def drawn_person(rng: np.random.Generator, joints: int = 17) -> tuple[Image.Image, np.ndarray]:
    """Grey noise of 320x256 with a disc of its own colour around every joint, and the joints (K, 3)."""
    pixels = rng.integers(90, 110, (320, 256, 3), dtype=np.uint8)
    places = np.column_stack([rng.uniform(60, 190, joints), rng.uniform(70, 250, joints), np.full(joints, 2)])
    rows, columns = np.mgrid[:320, :256]
    for k, (x, y, _) in enumerate(places):
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < 40] = (255 * k // joints, 255, 255 - 255 * k // joints)
    return Image.fromarray(pixels), places.astype(np.float32)


def labelled_folder(folder: Path, people: int = 3, seed: int = 1, joint_set: JointSet = FIVE) -> Path:
    """Write as many pictures of one person each, and people.json; returns the JSON file."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    held: dict = {"images": [], "annotations": []}
    held["categories"] = [{"id": 1, "name": "person", "keypoints": joint_set.names, "sigmas": joint_set.sigmas}]
    for number in range(people):
        image, places = drawn_person(rng, len(joint_set))
        image.save(folder / f"{number}.jpg", quality=92)
        held["images"].append({"id": number, "file_name": f"{number}.jpg", "height": 320, "width": 256})
        held["annotations"].append(annotation(number, number, places))
    path = folder / "people.json"
    path.write_text(json.dumps(held))
    return path


def annotation(number: int, image: int, places: np.ndarray) -> dict:
    """One person's entry."""
    return {
        "id": number,
        "image_id": image,
        "category_id": 1,
        "bbox": [50, 60, 150, 200],
        "area": 15_000,
        "keypoints": places.ravel().tolist(),
        "num_keypoints": len(places),
        "iscrowd": 0,
    }
