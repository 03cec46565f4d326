"""People in a picture, found by an exported detector: YOLOX, YOLOv5 to YOLO11 and later, RTMDet, as their tools export
them to ONNX or OpenVINO.

The shapes of its outputs show which kind of detector a file holds, and the kind determines how the picture is prepared.
If it leaves a choice, every way is tried until a picture has people in it; the one that finds a person with the highest
score is kept. Torch-free.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from .files import existing_file
from .heatmaps import MEAN, STD
from .runtimes.loading import open_session
from .runtimes.session import Session
from .runtimes.signature import kind_of

__all__ = ["Detection", "Detector", "load_detector", "suppress"]

PERSON = 0  # number of the class, in COCO and in detectors with a single class
SCORE = 0.4  # boxes below this do not count
SHARED = 0.6  # two boxes whose intersection over union is larger belong to one person
FREE_SIDE = 640  # the side used for files that leave their size free
STRIDES = (8, 16, 32)
_GREY = 114  # fills the space around the picture
_FLAT = 2.0  # grid cells: boxes that span less have not been decoded


class Detection(NamedTuple):
    """A person.

    Attributes:
        box: x, y, width, height in the picture's pixels.
        score: from 0 to 1.
    """

    box: tuple[float, float, float, float]
    score: float


Preparing = Callable[[np.ndarray], np.ndarray]
_MEAN, _STD = np.array(MEAN, np.float32), np.array(STD, np.float32)
# From RGB on the scale 0..255, (H, W, 3), to what a detector takes.
_PREPARING: dict[str, Preparing] = {
    "RGB 0..1": lambda image: image / 255,
    "BGR 0..255": lambda image: image[..., ::-1],
    "BGR, normalised": lambda image: ((image - _MEAN) / _STD)[..., ::-1],
    "RGB, normalised": lambda image: (image - _MEAN) / _STD,
    "RGB 0..255": lambda image: image,
}


@dataclass(frozen=True)
class Kind:
    """A family of detectors.

    Attributes:
        name: the family's name, for messages.
        preparing: keys of `_PREPARING` that its tools use, the most common first.
    """

    name: str
    preparing: tuple[str, ...]


KINDS = {
    "columns": Kind("YOLOv8 to YOLO11", ("RGB 0..1",)),  # (1, 4 + classes, boxes)
    "rows": Kind("YOLOv5 to YOLOv7", ("RGB 0..1",)),  # (1, boxes, 5 + classes), three boxes per cell
    "yolox": Kind("YOLOX", ("BGR 0..255", "RGB 0..1", "BGR, normalised")),  # the same, one box per cell
    "six": Kind("YOLOv10 and later", ("RGB 0..1",)),  # (1, boxes, 6): corners, score, class
    "labels": Kind("RTMDet or YOLOX", ("BGR, normalised", "BGR 0..255", "RGB 0..1")),  # boxes and labels
}


def load_detector(path: str | Path, threads: int = 1, score: float = SCORE) -> Detector:
    """An exported detector as a function of pictures.

    Args:
        path: an .onnx or .xml file with one picture (1, 3, H, W) as its input.
        threads: threads within one operator.
        score: boxes below this are left out.

    Raises:
        ValueError: the file is not a detector that is known here.
        FileNotFoundError, ImportError: as `litehrnet.runtimes.load`.
    """
    path = existing_file(path)
    if kind_of(path) not in ("onnx", "openvino"):
        raise ValueError(f"{path} is not an exported detector (.onnx or .xml)")
    _, session = open_session(path, None, threads)
    return Detector(session, score)


class Detector:
    """Finds people: a function from a picture, (H, W, 3) uint8 RGB, to a list of `Detection`, highest score first.

    Raises:
        ValueError: the file is not a detector that is known here.

    Attributes:
        size: height and width of its input.
        kind: a key of `KINDS`, known after the first picture.
        preparing: a key of `_PREPARING`, known after the first picture with people in it.
    """

    def __init__(self, session: Session, score: float = SCORE) -> None:
        signature = session.signature
        if signature is None or len(signature.inputs) != 1:
            raise ValueError("a detector takes one picture, and this file is not one")
        port = signature.inputs[0]
        if port.shape is None or len(port.shape) != 4 or port.shape[1] not in (3, None):
            raise ValueError(f"{signature.name} takes {port.shape}, and a detector takes (1, 3, H, W)")
        self.name, self._session, self._type, self._score = signature.name, session, port.dtype, score
        self.size = (port.shape[2] or FREE_SIDE, port.shape[3] or FREE_SIDE)
        self.kind: str | None = None
        self.preparing: str | None = None

    def __call__(self, image: np.ndarray) -> list[Detection]:
        """The people in a picture."""
        square, scale = _fitted(image, self.size)
        if self.preparing is not None:
            return self._detect(square, scale, self.preparing)
        first = self._run(square, "RGB 0..1")
        self.kind = self.kind or kind_of_outputs(first, self.size, self.name)
        ways = {way: self._detect(square, scale, way) for way in KINDS[self.kind].preparing}
        best = max(ways, key=lambda way: max((found.score for found in ways[way]), default=0.0))
        if ways[best]:
            self.preparing = best
        return ways[best]

    def _run(self, square: np.ndarray, way: str) -> list[np.ndarray]:
        prepared = np.ascontiguousarray(_PREPARING[way](square).transpose(2, 0, 1)[None])
        return self._session.run([prepared.astype(self._type)])

    def _detect(self, square: np.ndarray, scale: float, way: str) -> list[Detection]:
        assert self.kind is not None
        corners, scores = decoded(self._run(square, way), self.kind, self.size)
        sure = scores >= self._score
        corners, scores = corners[sure] / scale, scores[sure]
        kept = suppress(corners, scores)
        return [
            Detection((float(x), float(y), float(right - x), float(bottom - y)), float(score))
            for (x, y, right, bottom), score in zip(corners[kept], scores[kept], strict=True)
            if right > x and bottom > y
        ]


def _fitted(image: np.ndarray, size: tuple[int, int]) -> tuple[np.ndarray, float]:
    """The picture in the upper left corner of a grey one of this size, float32; and the factor it was scaled by."""
    scale = min(size[0] / image.shape[0], size[1] / image.shape[1])
    height, width = (max(1, round(side * scale)) for side in image.shape[:2])
    square = np.full((*size, 3), _GREY, np.float32)
    small = Image.fromarray(image).resize((width, height), Image.Resampling.BILINEAR)
    square[:height, :width] = np.asarray(small)
    return square, scale


def kind_of_outputs(outputs: Sequence[np.ndarray], size: tuple[int, int], name: str) -> str:
    """Which family a detector belongs to, a key of `KINDS`.

    Args:
        outputs: what it gave for one picture.
        size: height and width of its input.
        name: the file's name, for the error message.

    Raises:
        ValueError: the outputs are not those of any known family.

    >>> kind_of_outputs([np.zeros((1, 84, 8400))], (640, 640), "yolo11n.onnx")
    'columns'
    """
    shapes = [output.shape for output in outputs]
    if _boxes_and_labels(outputs) is not None:
        return "labels"
    if len(outputs) == 1 and len(shapes[0]) == 3 and shapes[0][0] == 1:
        _, rows, columns = shapes[0]
        cells = sum(-(-size[0] // stride) * -(-size[1] // stride) for stride in STRIDES)
        if columns == 6 and rows not in (cells, 3 * cells):
            return "six"
        if rows == cells and columns > 5:
            return "yolox"
        if columns == cells and rows > 4:
            return "columns"
        if rows == 3 * cells and columns > 5:
            return "rows"
    shown = ", ".join(str(shape) for shape in shapes)
    raise ValueError(
        f"{name} gives {shown}, which is none of the detectors that are known: YOLOv5 to YOLO11 and later (one "
        "output), YOLOX, RTMDet (boxes and labels)"
    )


def _boxes_and_labels(outputs: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray] | None:
    """Boxes (N, 5) with scores, and labels (N,), of two outputs in either order."""
    if len(outputs) != 2:
        return None
    boxes = next((output for output in outputs if output.ndim == 3 and output.shape[2] == 5), None)
    labels = next((output for output in outputs if output.ndim == 2), None)
    return None if boxes is None or labels is None else (boxes[0], labels[0])


def decoded(
    outputs: Sequence[np.ndarray], kind: str, size: tuple[int, int], person: int = PERSON
) -> tuple[np.ndarray, np.ndarray]:
    """Corners (N, 4), left, top, right, bottom in the detector's input, and the scores (N,) of the class "person"."""
    if kind == "labels":
        both = _boxes_and_labels(outputs)
        if both is None:  # nothing found, in a shape of its own
            return np.zeros((0, 4)), np.zeros(0)
        boxes, labels = both
        return boxes[:, :4].astype(np.float64), np.where(labels == person, boxes[:, 4], 0.0)
    values = outputs[0][0].astype(np.float64)
    if kind == "six":
        return values[:, :4], np.where(values[:, 5].round() == person, values[:, 4], 0.0)
    if kind == "columns":
        values = values.T  # (N, 4 + classes)
        return _corners(values[:, :4]), values[:, 4 + person]
    centred = values[:, :4]
    if kind == "yolox" and np.ptp(centred[:, :2]) < max(size) / min(STRIDES) / _FLAT:
        centred = _from_cells(centred, size)
    return _corners(centred), values[:, 4] * values[:, 5 + person]


def _from_cells(values: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Centres and sides in pixels, from YOLOX's offsets in cells and logarithms of sides in cells."""
    parts = []
    for side in STRIDES:
        rows, columns = -(-size[0] // side), -(-size[1] // side)
        y, x = np.divmod(np.arange(rows * columns), columns)
        parts.append(np.column_stack([x, y, np.full(len(x), side)]))
    grid = np.concatenate(parts)  # (cells, 3)
    stride = grid[:, 2:]
    return np.column_stack([(values[:, :2] + grid[:, :2]) * stride, np.exp(values[:, 2:].clip(max=20)) * stride])


def _corners(centred: np.ndarray) -> np.ndarray:
    """Left, top, right, bottom of centres and sides."""
    half = centred[:, 2:] / 2
    return np.column_stack([centred[:, :2] - half, centred[:, :2] + half])


def suppress(corners: np.ndarray, scores: np.ndarray, shared: float = SHARED) -> np.ndarray:
    """The boxes to keep, highest score first: none overlaps an earlier one by more than `shared`.

    Args:
        corners: (N, 4), left, top, right, bottom.
        scores: (N,).
        shared: intersection over union.
    """
    order, kept = np.argsort(-scores, kind="stable"), []
    areas = np.prod((corners[:, 2:] - corners[:, :2]).clip(min=0), axis=1)
    while len(order):
        first, order = order[0], order[1:]
        kept.append(first)
        low, high = (
            np.maximum(corners[first, :2], corners[order, :2]),
            np.minimum(corners[first, 2:], corners[order, 2:]),
        )
        both = np.prod((high - low).clip(min=0), axis=1)
        order = order[both <= shared * (areas[first] + areas[order] - both)]
    return np.array(kept, int)
