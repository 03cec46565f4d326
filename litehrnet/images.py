"""Photographs from files, whatever kind they are, and joints drawn on them: Pillow and numpy only."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps

__all__ = ["draw_joints", "read_image"]

# Okabe and Ito's blue, vermilion and grey: left, right, middle, as in the course's figures.
SIDE_COLOURS = {"left": "#0072B2", "right": "#D55E00", "middle": "#767676"}
_SIXTEEN_BITS = 257  # 65535 / 255


def read_image(path: str | Path) -> np.ndarray:
    """A photograph as RGB, (H, W, 3) uint8, turned upright as its EXIF data asks.

    Grayscale, palette, CMYK and 16-bit images are converted; what is transparent becomes white; of an animation the
    first frame is taken.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file is not an image that Pillow reads, or it is damaged.

    >>> from litehrnet.files import data_path
    >>> read_image(data_path("astronaut.jpg")).shape
    (512, 512, 3)
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"no such file: {path}")
    try:
        with Image.open(path) as image:
            return np.array(_to_rgb(ImageOps.exif_transpose(image)))
    # What Pillow's readers raise.
    except (OSError, RuntimeError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        reason = "no reader knows it" if isinstance(error, Image.UnidentifiedImageError) else error
        raise ValueError(f"{path.name} is not a photograph that can be read ({reason})") from error


def _to_rgb(image: Image.Image) -> Image.Image:
    if image.mode.startswith("I"):  # Pillow would cut 16 bits off at 255: a white image
        values = np.asarray(image).astype(np.int64)
        high = values.max(initial=0)
        values = values // _SIXTEEN_BITS if high > 255 else values
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known scale")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def draw_joints(
    image: np.ndarray,
    joints: np.ndarray,
    scores: np.ndarray,
    skeleton: Sequence[tuple[int, int]],
    names: Sequence[str],
    least_score: float = 0.0,
) -> np.ndarray:
    """One person's joints and bones on a copy of a photograph.

    Args:
        image: RGB, (H, W, 3) uint8.
        joints: (K, 2), x, y in pixels; they may lie outside.
        scores: (K,); joints below `least_score` are left out, and so are their bones.
        skeleton: pairs of joints to connect.
        names: K names; "left ..." and "right ..." get a colour each.
        least_score: see `scores`.

    Returns:
        The picture, shape as `image`.
    """
    picture = Image.fromarray(image).convert("RGB")
    pen = ImageDraw.Draw(picture)
    radius = max(2.0, max(picture.size) / 150)
    colours = [SIDE_COLOURS.get(name.split(" ")[0], SIDE_COLOURS["middle"]) for name in names]
    shown = [score >= least_score for score in scores]
    points = [tuple(float(value) for value in joint) for joint in joints]
    for a, b in skeleton:
        if shown[a] and shown[b]:
            colour = colours[a] if colours[a] == colours[b] else SIDE_COLOURS["middle"]
            pen.line([points[a], points[b]], fill=colour, width=max(1, round(radius * 0.8)))
    for (x, y), colour, visible in zip(points, colours, shown, strict=True):
        if visible:
            pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=colour, outline="white")
    return np.asarray(picture)
