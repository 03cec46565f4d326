"""How well joints are found: PCK, OKS, and the poses that COCO's evaluation reads."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ..heatmaps import crop_person, decode, oks, to_image, to_input
from .data import JointSet, People

__all__ = ["Measured", "flip_test", "measure"]

Network = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Measured:
    """The results of one pass over annotated people.

    Attributes:
        oks: one value per person.
        errors: (people, K) distance in units of the crop's height; NaN where a joint has no label.
        joints: (people, K, 2) in the photographs' pixels.
        scores: (people, K) the peaks' values.
    """

    oks: np.ndarray
    errors: np.ndarray
    joints: np.ndarray
    scores: np.ndarray

    def pck(self, share: float = 0.05) -> float:
        """The fraction of labelled joints found within `share` of the crop's height (12.8 pixels of 256)."""
        errors = self.errors[np.isfinite(self.errors)]
        return float((errors <= share).mean())


def flip_test(network: Network, images: np.ndarray, joint_set: JointSet) -> np.ndarray:
    """Average the heatmaps of an image and of its mirror image.

    The mirrored heatmaps are shifted by about one pixel, because heatmap pixel h is at input pixel 4 h and not at the
    centre of its four pixels. The public code moves them back by one pixel, and so does this.

    Args:
        network: (N, 3, H, W) to (N, K, h, w).
        images: (N, 3, H, W).
        joint_set: says which joints change places.
    """
    maps = network(images)
    mirrored = network(np.ascontiguousarray(images[..., ::-1]))[:, joint_set.mirrored, :, ::-1]
    shifted = mirrored.copy()
    shifted[..., 1:] = mirrored[..., :-1]
    return (maps + shifted) / 2


def measure(
    network: Network,
    people: People,
    joint_set: JointSet,
    size: tuple[int, int],
    *,
    indices: Sequence[int] | None = None,
    boxes: Sequence[Sequence[float]] | None = None,
    flip: bool = False,
    progress: Callable[[Sequence[int]], Iterator[int]] = iter,
) -> Measured:
    """Find the joints of annotated people and compare.

    Args:
        network: (1, 3, H, W) float32 to (1, K, h, w).
        people: the annotated people.
        joint_set: sigmas and flip pairs.
        size: height and width of the crops.
        indices: which of the people to use; None for all.
        boxes: boxes to use instead of the annotated ones, one per index.
        flip: average with the mirror image.
        progress: wraps the indices, to show the progress.

    Raises:
        ValueError: the joints have no sigmas.
    """
    if joint_set.sigmas is None:
        raise ValueError("OKS needs a sigma for every joint, and these joints have none")
    indices = range(len(people)) if indices is None else indices
    similarity, errors, found, values = [], [], [], []
    for n, index in enumerate(progress(indices)):
        person = people.person(index)
        box = person.box if boxes is None else boxes[n]
        crop, to_crop = crop_person(np.asarray(people.image(index)[0]), box, size)
        x = to_input(crop)
        maps = flip_test(network, x, joint_set) if flip else network(x)
        joints, scores = decode(maps)
        placed = person.joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
        distance = np.linalg.norm(joints[0] - placed, axis=1) / size[0]
        labelled = person.joints[:, 2] > 0
        errors.append(np.where(labelled, distance, np.nan))
        found.append(to_image(joints[0], to_crop))
        values.append(scores[0])
        known = labelled.any()
        similarity.append(oks(found[-1], person.joints, person.area, joint_set.sigmas) if known else np.nan)
    return Measured(np.array(similarity), np.array(errors), np.array(found), np.array(values))
