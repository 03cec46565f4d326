"""Reading photographs of any format and drawing joints on them, with Pillow and NumPy only."""

from __future__ import annotations

import re
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageOps, UnidentifiedImageError

from .files import existing_file

__all__ = ["draw_heatmaps", "draw_joints", "read_image", "to_rgb"]

# Okabe and Ito's blue, vermilion and grey: left, right, middle, as in the course's figures.
SIDE_COLOURS = {"left": "#0072B2", "right": "#D55E00", "middle": "#767676"}
_SIXTEEN_BITS = 257  # 65535 / 255
# A 16-bit picture that never exceeds 14 bits is more likely a depth map or raw data than a photograph.
_FEW_BITS = 16383


def read_image(path: str | Path) -> np.ndarray:
    """Read a photograph as RGB, (H, W, 3) uint8, turned upright according to its EXIF data.

    Greyscale, palette, CMYK and 16-bit images are converted; transparent pixels become white; an animation gives its
    first frame.

    Raises:
        FileNotFoundError, IsADirectoryError, PermissionError, ValueError: there is no such file
            (`litehrnet.files.existing_file`).
        ValueError: the file is not an image that Pillow reads, or it is damaged; common formats that Pillow does not
            read are named in the message.

    >>> from litehrnet.files import data_path
    >>> read_image(data_path("astronaut.jpg")).shape
    (512, 512, 3)
    """
    path = existing_file(path)
    try:
        with warnings.catch_warnings():
            # Up to twice its limit, Pillow only warns; a photograph of 100 million pixels is fine.
            warnings.simplefilter("ignore", Image.DecompressionBombWarning)
            with Image.open(path) as image:
                return np.array(to_rgb(ImageOps.exif_transpose(image)))
    except UnidentifiedImageError as error:
        reason = _other_kind(path)
        raise ValueError(f"{path.name} is not a photograph that can be read ({reason})") from error
    except Image.DecompressionBombError as error:
        limit = 2 * (Image.MAX_IMAGE_PIXELS or 0) / 1e6
        raise ValueError(
            f"{path.name} is not a photograph that can be read (more than {limit:.0f} million pixels; make it smaller)"
        ) from error
    # What Pillow's readers raise.
    except (OSError, RuntimeError, SyntaxError, ValueError) as error:
        raise ValueError(f"{path.name} is not a photograph that can be read ({_reason(error)})") from error


def _reason(error: Exception) -> str:
    """What Pillow says about a damaged file; its decoders give only a number."""
    text = str(error).strip() or type(error).__name__
    return "it is damaged" if text.startswith("broken data stream") else text.splitlines()[0]


# Files that are easily taken for photographs: the offset of their signature, the signature, and what to do.
_OTHER_KINDS = (
    (4, rb"ftyp(heic|heix|hevc|heim|heis|mif1|msf1)", "it is HEIC, as iPhones store it; convert it to JPEG or PNG"),
    (4, rb"ftypavif", "it is AVIF, which this Pillow does not read; convert it to JPEG or PNG"),
    (4, rb"ftyp", "it is a video; save one frame as PNG"),
    (0, rb"\x1aE\xdf\xa3", "it is a video; save one frame as PNG"),
    (0, rb"RIFF....AVI ", "it is a video; save one frame as PNG"),
    (0, rb"\x00\x00\x01[\xb0-\xbf]", "it is a video; save one frame as PNG"),
    (0, rb"\xff\x0a|\x00\x00\x00\x0cJXL ", "it is JPEG XL, which Pillow does not read; convert it to JPEG or PNG"),
    (0, rb"%PDF", "it is a PDF; save the page as PNG"),
    (0, rb"\x93NUMPY", "it is a NumPy array; save it as PNG"),
    (0, rb"PK\x03\x04", "it is an archive; unpack it"),
    (0, rb"\x1f\x8b|7z\xbc\xaf|BZh", "it is compressed; unpack it"),
    (0, rb"version https://git-lfs", "it is a pointer of Git LFS; run `git lfs pull`"),
    (0, rb"\s*(<!doctype html|<html)", "it is a web page: the download went wrong"),
    (
        0,
        rb"(\xef\xbb\xbf)?\s*(<\?xml.*?)?(<!--.*?-->\s*)?(<!doctype svg.*?)?<svg",
        "it is a drawing (SVG); convert it to PNG",
    ),
)


def _other_kind(path: Path) -> str:
    """What a file that Pillow does not know really is."""
    with path.open("rb") as file:
        head = file.read(2048)
    if not head:
        return "the file is empty: 0 bytes"
    for place, mark, what in _OTHER_KINDS:
        if re.match(mark, head[place:], re.IGNORECASE | re.DOTALL):
            return what
    if not any(head):
        return "it holds zero bytes only: the copy or the download went wrong"
    return f"Pillow knows no image format that begins with {head[:8]!r}"


def to_rgb(image: Image.Image) -> Image.Image:
    """A Pillow image of any mode as RGB; transparent pixels become white.

    Raises:
        ValueError: its values are on no scale that is known.
    """
    if image.mode.startswith("I"):  # Pillow would clip 16-bit values at 255, which gives a white image
        values = np.asarray(image).astype(np.int64)
        high = int(values.max(initial=0))
        if 255 < high <= _FEW_BITS or high > 65535:
            raise ValueError(
                f"its values reach {high}, which is neither 8 nor 16 bits: a depth map or raw sensor data; scale it "
                "to 0..255 or 0..65535 first"
            )
        values = values // _SIXTEEN_BITS if high > 255 else values
        return Image.fromarray(values.clip(0, 255).astype(np.uint8)).convert("RGB")
    if image.mode == "F":
        raise ValueError("its pixels are floating-point numbers without a known scale")
    if "transparency" in image.info or image.mode in ("RGBA", "RGBa", "LA", "La", "PA"):
        image = image.convert("RGBA")
        return Image.alpha_composite(Image.new("RGBA", image.size, "white"), image).convert("RGB")
    return image.convert("RGB")


def _side(name: str) -> str:
    """The side that a joint's name begins with: "left", "right", or else "middle"."""
    return next((side for side in ("left", "right") if name.lower().startswith(side)), "middle")


def draw_joints(
    image: np.ndarray,
    joints: np.ndarray,
    scores: np.ndarray,
    skeleton: Sequence[tuple[int, int]],
    names: Sequence[str],
    least_score: float = 0.0,
) -> np.ndarray:
    """Draw one person's joints and bones on a copy of a photograph.

    Args:
        image: RGB, (H, W, 3) uint8.
        joints: (K, 2), x, y in pixels; they may be outside the image.
        scores: (K,); joints that score less than `least_score` are left out, with their bones.
        skeleton: pairs of joints to connect.
        names: K names; "left" or "right" at the beginning decides the colour.
        least_score: see `scores`.

    Returns:
        The picture, with the shape of `image`.
    """
    picture = Image.fromarray(image).convert("RGB")
    pen = ImageDraw.Draw(picture)
    radius = max(2.0, max(picture.size) / 150)
    colours = [SIDE_COLOURS[_side(name)] for name in names]
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


# From nothing to the peak: black, violet, orange, pale yellow, as in matplotlib's "inferno".
_HEAT = ((0.0, (0, 0, 4)), (0.35, (120, 28, 109)), (0.7, (237, 105, 37)), (1.0, (252, 255, 164)))
_OPAQUE = 0.75  # at the peak
_STRIDE = 4  # input pixels per heatmap pixel


def draw_heatmaps(image: np.ndarray, heatmaps: np.ndarray, to_crop: np.ndarray) -> np.ndarray:
    """Lay one person's heatmaps over a copy of a photograph: at each place the highest of all joints.

    Args:
        image: RGB, (H, W, 3) uint8.
        heatmaps: (K, h, w); what is not positive is not drawn.
        to_crop: the 2x3 matrix from `litehrnet.heatmaps.crop_person`.

    Returns:
        The picture, with the shape of `image`.
    """
    highest = np.asarray(heatmaps, np.float32).max(0).clip(0, 1)  # (h, w)
    linear, shift = np.asarray(to_crop)[:, :2] / _STRIDE, np.asarray(to_crop)[:, 2] / _STRIDE
    shift = shift - linear @ (0.5, 0.5) + 0.5  # Pillow puts the centre of pixel i at i + 0.5
    coefficients = (*linear[0], shift[0], *linear[1], shift[1])
    height, width = image.shape[:2]
    warped = Image.fromarray(highest).transform(
        (width, height), Image.Transform.AFFINE, coefficients, Image.Resampling.BILINEAR
    )
    heat = np.asarray(warped)[..., None]  # (H, W, 1)
    stops = [stop for stop, _ in _HEAT]
    channels = [np.interp(heat[..., 0], stops, [colour[k] for _, colour in _HEAT]) for k in range(3)]
    mixed = image * (1 - _OPAQUE * heat) + _OPAQUE * heat * np.stack(channels, axis=-1)
    return mixed.round().astype(np.uint8)
