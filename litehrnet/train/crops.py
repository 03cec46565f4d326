"""Training crops: the paper's flips, scales and rotations, colour and occlusion, and the heatmaps to learn.

All randomness comes from the generator that is passed in. A crop therefore depends only on the seed, the epoch and the
person's number, and a run that was stopped continues exactly.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from PIL import Image, ImageFilter
from torch import Tensor

from ..checkpoints.joints import JointSet
from ..heatmaps import HEATMAP_STRIDE, MEAN, STD, _warp
from ..people import People, Person

__all__ = ["Augmentation", "gaussian_targets", "training_crop"]

Array = TypeVar("Array", np.ndarray, Tensor)

_LUMA = np.array([0.299, 0.587, 0.114], np.float32)


@dataclass(frozen=True)
class Augmentation:
    """How strongly crops vary.

    `flip`, `rotate`, `close_up`, `blur`, `noise`, `grey` and `occlude` are probabilities. A crop is scaled by a factor
    from exp(-scale) to exp(scale). `rotation` (in degrees), `shift` (as a share of the crop) and `colour` (of the
    logarithm of a factor) are standard deviations.

    The paper's recipe has flips, a scale of 0.75 to 1.25, a rotation of 30, and half bodies (here: close-ups) at 0.3.
    """

    flip: float = 0.5
    scale: float = 0.3
    rotation: float = 18.0
    rotate: float = 0.5
    shift: float = 0.04
    close_up: float = 0.25
    blur: float = 0.2
    noise: float = 0.3
    grey: float = 0.1
    colour: float = 0.3
    occlude: float = 0.2


def training_crop(
    people: People,
    index: int,
    joint_set: JointSet,
    size: tuple[int, int],
    rng: np.random.Generator,
    augmentation: Augmentation,
) -> tuple[np.ndarray, np.ndarray]:
    """One normalised crop and its joints.

    Args:
        people: the annotated people.
        index: which of them to crop.
        joint_set: says which joints change places in a flipped crop.
        size: height and width of the crop.
        rng: the source of every random choice.
        augmentation: how much to vary.

    Returns:
        (3, *size) float32, and joints (K, 3) x, y, v in crop pixels.
    """
    a = augmentation
    person = people.person(index)
    joints = person.joints.astype(np.float64)
    box = _close_up(person, rng) if rng.random() < a.close_up else person.box
    flip = rng.random() < a.flip
    to_crop = _random_affine(box, size, flip, rng, a)

    # An image a little coarser than the crop is good enough, and decoding at half size is several times faster.
    image, full_size = people.image(index, scale=0.85 * math.sqrt(abs(np.linalg.det(to_crop[:, :2]))))
    reduced = image.height / full_size[0]  # 1, or a half or a quarter of a JPEG
    to_full = np.array([[1 / reduced, 0, 0.5 / reduced - 0.5], [0, 1 / reduced, 0.5 / reduced - 0.5], [0, 0, 1]])
    crop = _warp(np.asarray(image), to_crop @ to_full, size)  # (H, W, 3) uint8

    placed = joints.copy()
    placed[:, :2] = joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
    if flip:
        placed = placed[joint_set.mirrored]
    return _vary_pixels(crop, rng, a), placed.astype(np.float32)


def _close_up(person: Person, rng: np.random.Generator) -> tuple[float, float, float, float]:
    """A box around the topmost joints, as if a photograph cut the person off, or sometimes around the lowest.

    If few joints are labelled, it is the person's whole box.
    """
    joints = person.joints[person.joints[:, 2] > 0, :2]
    if len(joints) <= 8:
        return person.box
    from_top = joints[np.argsort(joints[:, 1])]
    part = (
        from_top[: rng.integers(5, len(joints))] if rng.random() < 0.75 else from_top[-rng.integers(8, len(joints)) :]
    )
    low, high = part.min(axis=0), part.max(axis=0)
    centre, sides = (low + high) / 2, np.maximum(1.3 * (high - low), 24)
    return (*(centre - sides / 2).tolist(), *sides.tolist())


def _random_affine(
    box: tuple[float, float, float, float], size: tuple[int, int], flip: bool, rng: np.random.Generator, a: Augmentation
) -> np.ndarray:
    """The 2x3 matrix from the image to the crop; without variation, it equals `crop_person`'s."""
    x, y, box_width, box_height = box
    height, width = size
    scale = min(width / box_width, height / box_height) / 1.25
    scale *= math.exp(rng.uniform(-a.scale, a.scale))
    angle = 0.0
    if rng.random() < a.rotate:
        angle = math.radians(np.clip(rng.normal(0, a.rotation), -2 * a.rotation, 2 * a.rotation))
    c, s = scale * math.cos(angle), scale * math.sin(angle)
    linear = np.array([[c, -s], [s, c]])
    if flip:
        linear[0] *= -1
    centre = np.array([x + box_width / 2, y + box_height / 2])
    target = np.array([width, height]) * (0.5 + np.clip(rng.normal(0, a.shift, 2), -0.15, 0.15))
    return np.column_stack([linear, target - linear @ centre])


def _vary_pixels(crop: np.ndarray, rng: np.random.Generator, a: Augmentation) -> np.ndarray:
    """Occlusion, blur, colour and noise, then the normalisation: (H, W, 3) uint8 to (3, H, W) float32."""
    height, width = crop.shape[:2]
    if rng.random() < a.occlude:
        crop = crop.copy()
        for _ in range(rng.integers(1, 3)):
            _occlude(crop, rng)
    if rng.random() < a.blur:
        radius = height / 256 * rng.uniform(0.4, 2.5)
        crop = np.asarray(Image.fromarray(crop).filter(ImageFilter.BoxBlur(radius)))
    if rng.random() < 0.5:
        table = 255 * (np.arange(256, dtype=np.float32) / 255) ** math.exp(rng.normal(0, a.colour))
        pixels = table[crop]
    else:
        pixels = crop.astype(np.float32)
    # Saturation, a tint, contrast and brightness are one matrix and one offset.
    saturation = 0.0 if rng.random() < a.grey else math.exp(rng.normal(0, a.colour))
    mix = saturation * np.eye(3, dtype=np.float32) + (1 - saturation) * _LUMA[:, None]
    mix = mix * np.exp(rng.normal(0, 0.4 * a.colour, 3)).astype(np.float32)
    contrast = math.exp(rng.normal(0, 0.7 * a.colour))
    offset = 128 * (1 - contrast) + 60 * a.colour * rng.normal()
    pixels = pixels.reshape(-1, 3) @ (contrast * mix) + np.float32(offset)
    pixels = pixels.reshape(height, width, 3)
    if rng.random() < a.noise:
        pixels += rng.standard_normal(pixels.shape, dtype=np.float32) * np.float32(rng.uniform(2, 18))
    np.clip(pixels, 0, 255, out=pixels)
    pixels = (pixels - np.asarray(MEAN, np.float32)) / np.asarray(STD, np.float32)
    return np.ascontiguousarray(pixels.transpose(2, 0, 1))


def _occlude(crop: np.ndarray, rng: np.random.Generator) -> None:
    """Cover a rectangle with one colour, or with another piece of the same crop."""
    height, width = crop.shape[:2]
    h, w = (max(2, int(side * rng.uniform(0.06, 0.3))) for side in (height, width))
    y, x = rng.integers(0, height - h), rng.integers(0, width - w)
    if rng.random() < 0.5:
        crop[y : y + h, x : x + w] = rng.integers(0, 256, 3)
    else:
        v, u = rng.integers(0, height - h), rng.integers(0, width - w)
        crop[y : y + h, x : x + w] = crop[v : v + h, u : u + w].copy()


def gaussian_targets(joints: Array, size: tuple[int, int], sigma: float) -> tuple[Array, Array]:
    """The heatmaps that a network should return: one Gaussian of height 1 per joint.

    Args:
        joints: (..., K, 3) x, y, v in crop pixels, an array or a tensor.
        size: height and width of the crop.
        sigma: standard deviation in heatmap pixels (the paper's is 2 at 256x192).

    Returns:
        Targets (..., K, h, w) float32, and weights (..., K) float32: 1 where the joint is labelled and in the crop.
        From a tensor, both are tensors on its device.
    """
    if isinstance(joints, np.ndarray):
        targets, weights = gaussian_targets(torch.from_numpy(joints), size, sigma)
        return targets.numpy(), weights.numpy()
    h, w = (side // HEATMAP_STRIDE for side in size)
    x, y = joints[..., 0].double() / HEATMAP_STRIDE, joints[..., 1].double() / HEATMAP_STRIDE
    across = torch.exp(-((torch.arange(w, device=x.device) - x[..., None]) ** 2) / (2 * sigma**2))  # (..., K, w)
    down = torch.exp(-((torch.arange(h, device=y.device) - y[..., None]) ** 2) / (2 * sigma**2))  # (..., K, h)
    inside = (x > -0.5) & (x < w - 0.5) & (y > -0.5) & (y < h - 0.5)
    weights = (inside & (joints[..., 2] > 0)).float()
    return (down[..., None] * across[..., None, :]).float(), weights
