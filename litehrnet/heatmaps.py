"""From a photograph to the network's input, and from heatmaps back to joints in the photograph.

This file needs only NumPy and Pillow, so it runs on a device without PyTorch. Coordinates follow the public code:
integer values are pixel centres, as in OpenCV's `warpAffine`, and heatmap pixel h is input pixel 4 h. Sizes are given
height before width, points x before y.

Sources: Xiao et al., *Simple Baselines for Human Pose Estimation and Tracking*, ECCV 2018 (crop and quarter-pixel
shift); the COCO keypoint evaluation (object keypoint similarity).
"""

from __future__ import annotations

import operator
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageOps

from .images import read_image

__all__ = [
    "COCO_FLIP_PAIRS",
    "COCO_NAMES",
    "COCO_SIGMAS",
    "COCO_SKELETON",
    "MEAN",
    "STD",
    "crop_person",
    "decode",
    "oks",
    "read_image",
    "to_image",
    "to_input",
]

MEAN = (123.675, 116.28, 103.53)  # of ImageNet's red, green and blue, on the scale 0..255
STD = (58.395, 57.12, 57.375)
HEATMAP_STRIDE = 4  # input pixels per heatmap pixel

COCO_NAMES = (
    "nose", "left eye", "right eye", "left ear", "right ear", "left shoulder", "right shoulder", "left elbow",
    "right elbow", "left wrist", "right wrist", "left hip", "right hip", "left knee", "right knee", "left ankle",
    "right ankle",
)  # fmt: skip
# Left and right are the person's own.
COCO_FLIP_PAIRS = ((1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14), (15, 16))
COCO_SKELETON = (
    (0, 1), (0, 2), (1, 2), (1, 3), (2, 4), (3, 5), (4, 6), (5, 6), (5, 7), (7, 9), (6, 8), (8, 10),
    (5, 11), (6, 12), (11, 12), (11, 13), (13, 15), (12, 14), (14, 16),
)  # fmt: skip
# How far apart annotators place a joint, relative to the person's size.
COCO_SIGMAS = (
    0.026, 0.025, 0.025, 0.035, 0.035, 0.079, 0.079, 0.072, 0.072, 0.062, 0.062, 0.107, 0.107, 0.087, 0.087, 0.089,
    0.089,
)  # fmt: skip


def crop_person(
    image: np.ndarray,
    box: Sequence[float],
    size: Sequence[int] = (256, 192),
    padding: float = 1.25,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut one person out of a photograph, at the network's input size.

    The box is extended to the input's aspect ratio and padded, both about its centre. As in the public code, the
    photograph is sampled bilinearly without antialiasing, and everything outside it is black.

    Args:
        image: RGB, (H, W, 3) uint8.
        box: x, y, width, height in the photograph's pixels; it may extend beyond the border.
        size: height and width of the crop.
        padding: factor by which the box's sides are multiplied.

    Returns:
        The crop, (*size, 3) uint8, and the 2x3 matrix that takes (x, y, 1) in the photograph to (x, y) in the crop.

    Raises:
        ValueError: the image, the box, the size or the padding does not have this form; or the box is outside the
            image, or is too small or too large to be cropped.

    >>> crop, to_crop = crop_person(np.zeros((400, 300, 3), np.uint8), (100, 80, 60, 160))
    >>> crop.shape, to_crop.round(6).tolist()
    ((256, 192, 3), [[1.28, 0.0, -70.4], [0.0, 1.28, -76.8]])
    """
    image = _check_image(image)
    x, y, box_width, box_height = _check_box(box, image.shape)
    height, width = _check_crop_size(size)
    if not (np.isfinite(padding) and padding > 0):
        raise ValueError(f"the padding must be a positive number such as 1.25, got {padding!r}")

    scale = min(width / box_width, height / box_height) / padding  # crop pixels per pixel of the photograph
    if not (1e-6 <= scale <= 1e6 and max(abs(x), abs(y)) < 1e12):
        raise ValueError(
            f"the box {_shown(box)} (x, y, width, height) cannot be cropped: one pixel of the photograph would "
            f"be {scale:.1e} pixels of the crop"
        )
    to_crop = np.array(
        [
            [scale, 0.0, width / 2 - scale * (x + box_width / 2)],
            [0.0, scale, height / 2 - scale * (y + box_height / 2)],
        ]
    )
    return _warp(image, to_crop, (height, width)), to_crop


def _warp(image: np.ndarray, to_crop: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Sample `image` for every pixel of a crop; like OpenCV's warpAffine with a black border."""
    # Pillow repeats the last pixel at the border; with a black frame of one pixel, the border fades to black instead.
    framed = ImageOps.expand(Image.fromarray(image), border=1, fill=0)
    to_photo = _invert(to_crop)
    linear, shift = to_photo[:, :2], to_photo[:, 2]
    # Pillow puts the centre of pixel i at i + 0.5, so shift by half a pixel in the crop and back in the photograph.
    shift = shift - linear @ (0.5, 0.5) + 0.5 + 1  # and the frame's pixel
    coefficients = (*linear[0], shift[0], *linear[1], shift[1])
    height, width = size
    return np.array(framed.transform((width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR))


def to_input(crop: np.ndarray) -> np.ndarray:
    """Normalise one crop for the network.

    Args:
        crop: RGB on the scale 0..255, (H, W, 3), uint8 or floating point.

    Returns:
        (1, 3, H, W) float32: ``(value - MEAN) / STD``.

    Raises:
        ValueError: the shape or the dtype is wrong, or a value is NaN or not on the scale 0..255.

    >>> to_input(np.zeros((256, 192, 3), np.uint8)).shape
    (1, 3, 256, 192)
    """
    crop = np.asarray(crop)
    _check_rgb(crop, "crop")
    if np.issubdtype(crop.dtype, np.floating):
        _check_values(crop)
    elif crop.dtype != np.uint8:
        raise ValueError(f"a crop is uint8 or floating point on the scale 0..255, got {crop.dtype}")
    mean, std = np.array(MEAN, np.float32), np.array(STD, np.float32)
    normalised = (crop.astype(np.float32) - mean) / std  # (H, W, 3)
    return np.ascontiguousarray(normalised.transpose(2, 0, 1)[None])  # (1, 3, H, W)


def decode(heatmaps: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Find the peak of every heatmap, as a joint in input pixels.

    The peak is moved by a quarter of a heatmap pixel (one input pixel) towards the larger of its two neighbours, in x
    and in y. As in the public code, peaks in the first two rows or columns, or in the last, are not moved. Unlike the
    public code, this returns the peak of a map that is nowhere positive, not (-1, -1); its low score shows it.

    If several separate pixels share the maximum, the first one counts, as in the public code. If they touch, they form
    a plateau, and its centre is the joint. A network's float heatmaps almost never have a plateau. Heatmaps rounded to
    eight bits often do, and there the first pixel would be wrong by half the plateau's size.

    Args:
        heatmaps: (N, K, h, w), floating point, finite; an array, or a PyTorch tensor on any device.

    Returns:
        Joints x, y, (N, K, 2) float32, and scores, the peaks' values, (N, K) float32.

    Raises:
        ValueError: not four dimensions, an empty map, or a value that is not finite.

    >>> maps = np.zeros((1, 1, 64, 48), np.float32)
    >>> maps[0, 0, 20, 10], maps[0, 0, 20, 11] = 1.0, 0.5
    >>> joints, scores = decode(maps)
    >>> joints.tolist(), scores.tolist()
    ([[[41.0, 80.0]]], [[1.0]])
    """
    maps = _as_array(heatmaps)
    if maps.ndim != 4 or 0 in maps.shape[2:]:
        raise ValueError(f"heatmaps have four dimensions, (N, K, h, w), none of them empty; got shape {maps.shape}")
    if not np.issubdtype(maps.dtype, np.floating):
        raise ValueError(f"heatmaps are floating point, got {maps.dtype}")
    if not np.isfinite(maps).all():
        raise ValueError("the heatmaps hold NaN or infinity, so they have no peak; look at the network's input")
    n, k, h, w = maps.shape
    index = maps.reshape(n, k, h * w).argmax(axis=2)  # (N, K); the first of equal values
    y, x = np.divmod(index, w)
    at = np.arange(n)[:, None], np.arange(k)[None]  # broadcasts with (N, K)
    scores = maps[(*at, y, x)]
    inside = (x > 1) & (x < w - 1) & (y > 1) & (y < h - 1)
    left, right, above, below = (
        maps[(*at, np.clip(y + dy, 0, h - 1), np.clip(x + dx, 0, w - 1))]
        for dy, dx in ((0, -1), (0, 1), (-1, 0), (1, 0))
    )
    shift = 0.25 * inside[..., None] * np.sign(np.stack([right - left, below - above], axis=2))  # (N, K, 2)
    peaks = np.stack([x, y], axis=2) + shift
    for each in zip(*np.nonzero((maps == scores[..., None, None]).sum(axis=(2, 3)) > 1), strict=True):
        centre, pixels = _plateau(maps[each] == scores[each], int(y[each]), int(x[each]))
        peaks[each] = centre if pixels > 1 else peaks[each]
    return (HEATMAP_STRIDE * peaks).astype(np.float32), scores.astype(np.float32)


def _plateau(maxima: np.ndarray, y: int, x: int) -> tuple[tuple[float, float], int]:
    """Centre (x, y) and number of the pixels of `maxima`, (h, w) bool, that are connected to pixel (y, x)."""
    reached = np.zeros((maxima.shape[0] + 2, maxima.shape[1] + 2), bool)  # with a frame of one pixel
    reached[y + 1, x + 1] = True
    inner, before = reached[1:-1, 1:-1], 0
    while before < (before := int(inner.sum())):
        rows = reached[:-2] | reached[1:-1] | reached[2:]  # a step up and down, then left and right, so diagonals too
        inner |= maxima & (rows[:, :-2] | rows[:, 1:-1] | rows[:, 2:])
    ys, xs = np.nonzero(inner)
    return (float(xs.mean()), float(ys.mean())), len(xs)


def _as_array(heatmaps: object) -> np.ndarray:
    """Convert an array or a tensor to a NumPy array, without importing PyTorch.

    NumPy refuses tensors that need a gradient, are on another device or are bfloat16.
    """
    if hasattr(heatmaps, "detach"):
        tensor = heatmaps.detach().cpu()
        heatmaps = (tensor.float() if str(tensor.dtype) == "torch.bfloat16" else tensor).numpy()
    array = np.asarray(heatmaps)
    return array.astype(np.float32) if array.dtype.name == "bfloat16" else array


def to_image(joints: np.ndarray, to_crop: np.ndarray) -> np.ndarray:
    """Take joints from the crop back to the photograph.

    Args:
        joints: (..., 2), x, y in input pixels, as `decode` returns them.
        to_crop: the 2x3 matrix from `crop_person`.

    Returns:
        The same shape, float64, in the photograph's pixels.

    Raises:
        ValueError: the joints have another shape, or the matrix cannot be inverted.

    >>> to_image([[96.0, 128.0]], [[1.28, 0.0, -70.4], [0.0, 1.28, -76.8]]).round(6).tolist()
    [[130.0, 160.0]]
    """
    joints = np.asarray(joints, dtype=np.float64)
    if joints.ndim < 1 or joints.shape[-1] != 2:
        raise ValueError(f"joints have the shape (..., 2), x before y; got {joints.shape}")
    to_photo = _invert(to_crop)
    places: np.ndarray = joints @ to_photo[:, :2].T + to_photo[:, 2]  # (..., 2)
    return places


def oks(
    joints: np.ndarray,
    target: np.ndarray,
    area: float,
    sigmas: Sequence[float] = COCO_SIGMAS,
) -> float:
    """Object keypoint similarity, COCO's measure of a pose: 1 when every joint is right, 0 when all are far off.

    It is the mean of ``exp(-d^2 / (2 area (2 sigma)^2))`` over the annotated joints, where d is the distance in pixels.
    The larger the person, and the less precisely a joint can be annotated, the larger the distance that is tolerated.

    Args:
        joints: (K, 2), x, y.
        target: (K, 3), x, y, v; v is 0 where there is no annotation.
        area: the person's area in pixels, from the annotation.
        sigmas: K spreads, one per joint.

    Raises:
        ValueError: the shapes do not agree, the area is not positive, or the target has no annotated joint.

    >>> target = np.array([[10.0, 20.0, 2.0]] * 17)
    >>> oks(target[:, :2], target, area=900.0)
    1.0
    """
    joints, target = np.asarray(joints, np.float64), np.asarray(target, np.float64)
    spreads = np.asarray(sigmas, np.float64)
    count = len(joints)
    if joints.shape != (count, 2) or target.shape != (count, 3) or spreads.shape != (count,):
        raise ValueError(
            "joints (K, 2), target (K, 3) and sigmas (K,) must agree on K; "
            f"got {joints.shape}, {target.shape} and {spreads.shape}"
        )
    if not (np.isfinite(area) and area > 0):
        raise ValueError(f"the area must be a positive number of pixels, got {area!r}")
    annotated = target[:, 2] > 0
    if not annotated.any():
        raise ValueError("the target has no annotated joint (v > 0), so there is nothing to compare with")
    squared = ((joints - target[:, :2]) ** 2).sum(axis=1)
    return float(np.exp(-squared / (2 * area * (2 * spreads) ** 2))[annotated].mean())


def _invert(matrix: np.ndarray) -> np.ndarray:
    """The 2x3 matrix that undoes a 2x3 matrix."""
    matrix = np.asarray(matrix, dtype=np.float64)
    if matrix.shape != (2, 3):
        raise ValueError(f"an affine matrix has the shape (2, 3), got {matrix.shape}")
    linear, shift = matrix[:, :2], matrix[:, 2]
    if not np.isfinite(matrix).all() or np.linalg.det(linear) == 0:
        raise ValueError(f"this matrix cannot be inverted: {matrix.tolist()}")
    inverse = np.linalg.inv(linear)
    return np.column_stack([inverse, -inverse @ shift])


def _check_rgb(image: np.ndarray, name: str) -> None:
    if image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        hint = "; a network's input is not a picture" if image.ndim == 4 else ""
        raise ValueError(f"the {name} must be RGB, (H, W, 3); got shape {image.shape}{hint}")


def _check_image(image: np.ndarray) -> np.ndarray:
    image = np.asarray(image)
    _check_rgb(image, "image")
    if image.dtype != np.uint8:
        raise ValueError(f"the image must be uint8, 0..255; got {image.dtype}")
    return np.ascontiguousarray(image)


def _check_box(box: Sequence[float], shape: tuple[int, ...]) -> tuple[float, float, float, float]:
    values = np.asarray(box, dtype=np.float64)
    if values.shape != (4,) or not np.isfinite(values).all():
        raise ValueError(f"a box is four finite numbers, x, y, width, height; got {box!r}")
    x, y, width, height = values.tolist()
    if width <= 0 or height <= 0:
        raise ValueError(f"the box's width and height must be positive, got {width:g} and {height:g} in {_shown(box)}")
    if x >= shape[1] or y >= shape[0] or x + width <= 0 or y + height <= 0:
        raise ValueError(f"the box {_shown(box)} is outside the image of {shape[0]}x{shape[1]} (height x width)")
    return x, y, width, height


def _shown(box: Sequence[float]) -> str:
    return ", ".join(f"{value:g}" for value in np.asarray(box, dtype=np.float64).tolist())


def _check_crop_size(size: Sequence[int]) -> tuple[int, int]:
    try:
        sides = tuple(operator.index(side) for side in size)
    except TypeError:
        sides = ()
    if len(sides) != 2 or min(sides) < 1 or any(isinstance(side, (bool, np.bool_)) for side in size):
        raise ValueError(f"a size is two positive integers, height before width, such as (256, 192); got {size!r}")
    return sides


def _check_values(crop: np.ndarray) -> None:
    """Refuse floating-point values unless they are clearly on the scale 0..255."""
    if not np.isfinite(crop).all():
        raise ValueError("the crop holds NaN or infinity; every heatmap would be NaN")
    low, high = float(crop.min()), float(crop.max())
    if low < 0 or high > 255:
        raise ValueError(f"the crop's values must be in 0..255, got {low:g}..{high:g}; is it normalised already?")
    if 0 < high <= 1:
        raise ValueError(f"the crop's values are in {low:g}..{high:g}; multiply by 255, the scale is 0..255")
