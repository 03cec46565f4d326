"""People's boxes from a JSON file, for each picture by its name."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ..files import existing_file

__all__ = ["read_boxes"]

Box = tuple[float, float, float, float]
FORMS = (
    'a COCO file, {"photo.jpg": [[x, y, width, height], ...]}, a list of such boxes for every picture, or what '
    "predict --json printed"
)


def read_boxes(path: Path) -> dict[str | None, list[Box]]:
    """The boxes in a file, by the name of the picture without its folder; under None those for every picture.

    Args:
        path: JSON: a COCO annotation file; names to lists of boxes; a list of boxes; or what `litehrnet predict --json`
            printed, one object or one in every line.

    Raises:
        ValueError: another form, or no boxes at all; the message says which.
    """
    content = existing_file(path).read_bytes()
    try:
        held = json.loads(content)
    except ValueError as error:  # bytes that are not UTF-8, too
        try:
            held = [json.loads(line) for line in content.splitlines() if line.strip()]
        except ValueError:
            raise ValueError(f"{path} is not JSON: {error}") from error
    found: dict[str | None, list[Box]] = {}
    try:
        for name, box in _boxes(held):
            key = None if name is None else Path(name).name
            found.setdefault(key, []).append(_checked(box))
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(f"{path} holds no boxes in a known form: {FORMS}") from error
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    if not found:
        raise ValueError(f"{path} holds no boxes; it should be {FORMS}")
    return found


def _boxes(held: Any) -> Iterator[tuple[str | None, Any]]:
    if isinstance(held, Mapping) and "annotations" in held:
        names = {image["id"]: image["file_name"] for image in held["images"]}
        yield from ((names[entry["image_id"]], entry["bbox"]) for entry in held["annotations"] if "bbox" in entry)
    elif isinstance(held, Mapping) and "people" in held:
        yield from ((held["photo"], person["box"]) for person in held["people"])
    elif isinstance(held, Mapping):
        yield from ((name, box) for name, boxes in held.items() for box in boxes)
    elif held and all(isinstance(entry, Mapping) and "people" in entry for entry in held):
        first: set[str] = set()  # of a video only the frame that comes first counts
        for entry in held:
            if entry.get("frame") is None or entry["photo"] not in first:
                yield from _boxes(entry)
            first.add(entry["photo"])
    else:
        yield from ((None, box) for box in held)


def _checked(box: Sequence[Any]) -> Box:
    values = [float(value) for value in box]
    if len(values) != 4 or not all(map(math.isfinite, values)) or min(values[2:]) <= 0:
        raise ValueError(f"{box!r} is not x, y, width, height in pixels, with a width and a height above 0")
    x, y, width, height = values
    return x, y, width, height
