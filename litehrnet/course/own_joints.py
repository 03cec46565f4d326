"""From a few labelled pictures to joints of one's own: what notebook 10 and its stored run share."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from ..heatmaps import crop_person
from ..measure.accuracy import PCK_SHARE
from ..people import CocoPeople
from ..train.crops import Augmentation, gaussian_targets, training_crop
from ..train.losses import heatmap_loss

__all__ = ["crops_of", "guess_without_looking", "in_crops", "subset_file", "train_head"]


def crops_of(
    people: CocoPeople, size: tuple[int, int], times: int = 1, seed: int = 1, sigma: float = 2.0
) -> tuple[Tensor, Tensor, Tensor]:
    """Varied crops of every person, and the heatmaps that a network should return for them.

    Args:
        people: the labelled people.
        size: height and width of the crops.
        times: crops per person; each is scaled, turned, coloured and flipped in its own way.
        seed: of all that varies.
        sigma: standard deviation of the Gaussians, in heatmap pixels.

    Returns:
        Images (N, 3, H, W), targets (N, K, h, w) and weights (N, K), 0 where a joint has no label or is outside.
    """
    rng = np.random.default_rng(seed)
    made = [
        training_crop(people, index, people.joint_set, size, rng, Augmentation())
        for _ in range(times)
        for index in range(len(people))
    ]
    targets, weights = gaussian_targets(np.stack([joints for _, joints in made]), size, sigma)
    images = np.stack([image for image, _ in made])
    return torch.from_numpy(images), torch.from_numpy(targets), torch.from_numpy(weights)


def train_head(
    head: nn.Module,
    features: Tensor,
    targets: Tensor,
    weights: Tensor,
    loss: str = "mse",
    steps: int = 300,
    lr: float = 1e-2,
) -> list[float]:
    """Train a head, in place, on features that stay the same; every step sees all of them.

    Args:
        head: from features to heatmaps.
        features: (N, C, h, w).
        targets: (N, K, h, w), the heatmaps that are wanted.
        weights: (N, K), 1 where a joint has a label, else 0.
        loss: a kind of `litehrnet.train.losses.heatmap_loss`.
        steps: of AdamW.
        lr: its learning rate.

    Returns:
        The loss before each step.
    """
    optimizer = torch.optim.AdamW(head.parameters(), lr=lr, weight_decay=0.0)
    losses = []
    for _ in range(steps):
        value = heatmap_loss(head(features), targets, weights, loss)
        optimizer.zero_grad()
        value.backward()
        optimizer.step()
        losses.append(value.item())
    return losses


def guess_without_looking(known: CocoPeople, others: CocoPeople, size: tuple[int, int]) -> float:
    """The share of joints that are found by always saying the same: the mean place of each joint in a crop.

    Args:
        known: the people whose mean is taken.
        others: the people to guess for.
        size: height and width of the crops.

    Returns:
        The PCK, as `litehrnet.measure.accuracy` measures it.
    """
    placed, wanted = in_crops(known, size), in_crops(others, size)
    mean = np.nanmean(np.where(placed[..., 2:] > 0, placed[..., :2], np.nan), axis=0)  # (K, 2)
    distances = np.linalg.norm(wanted[..., :2] - mean, axis=2)
    return float((distances[wanted[..., 2] > 0] <= PCK_SHARE * size[0]).mean())


def in_crops(people: CocoPeople, size: tuple[int, int], found: np.ndarray | None = None) -> np.ndarray:
    """Everybody's joints in the pixels of their crops.

    Args:
        people: the labelled people.
        size: height and width of the crops.
        found: (people, K, 2), joints that were found, in the pictures' pixels; by default the labels.

    Returns:
        (people, K, 3): x and y in the crop's pixels, and v of the label, 0 where there is none.
    """
    placed = []
    for index in range(len(people)):
        person = people.person(index)
        _, to_crop = crop_person(np.asarray(people.image(index)[0]), person.box, size)
        joints = person.joints[:, :2] if found is None else found[index]
        placed.append(np.c_[joints @ to_crop[:, :2].T + to_crop[:, 2], person.joints[:, 2]])
    return np.stack(placed)


def subset_file(source: Path, indices: Iterable[int], target: Path) -> Path:
    """Write a keypoint file with some of another one's people, and return its path.

    Args:
        source: a file in COCO's form with one person per picture.
        indices: which of its annotations to keep, from 0.
        target: the file to write.
    """
    held = json.loads(source.read_text(encoding="utf-8"))
    chosen: Sequence[dict] = [held["annotations"][index] for index in indices]
    pictures = {one["image_id"] for one in chosen}
    held |= {"annotations": chosen, "images": [one for one in held["images"] if one["id"] in pictures]}
    target.write_text(json.dumps(held), encoding="utf-8")
    return target
