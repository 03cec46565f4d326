"""What is behind and in front of the people: places, photographs, noise and shapes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFilter

from .wardrobe import any_colour

Image32 = NDArray[np.float32]  # (H, W, 3), 0..1

# Pictures without people and with a free licence, which come with two packages; data/renderings.md names their authors.
_SKIMAGE = (
    "coffee.png",
    "chelsea.png",
    "rocket.jpg",
    "grass.png",
    "gravel.png",
    "brick.png",
    "hubble_deep_field.jpg",
    "clock_motion.png",
    "retina.jpg",
    "text.png",
)
_SKLEARN = ("china.jpg", "flower.jpg")
_GROUNDS = (3, 4, 5)  # grass, gravel, brick


@cache
def photographs() -> tuple[NDArray[np.uint8], ...]:
    """The photographs (H, W, 3), read from the installed packages."""
    import skimage
    import sklearn

    folder = Path(skimage.__file__).parent / "data"
    paths = [folder / name for name in _SKIMAGE]
    paths += [Path(sklearn.__file__).parent / "datasets" / "images" / name for name in _SKLEARN]
    return tuple(np.asarray(Image.open(path).convert("RGB")) for path in paths)


@cache
def cloth_textures(size: int = 128) -> NDArray[np.float32]:
    """Squares of the photographs for printing on cloth: (T, size, size, 3), 0..1."""
    squares = []
    for photo in photographs():
        side = min(photo.shape[:2])
        top, left = (photo.shape[0] - side) // 2, (photo.shape[1] - side) // 2
        square = Image.fromarray(photo[top : top + side, left : left + side]).resize(
            (size, size), Image.Resampling.BILINEAR
        )
        squares.append(np.asarray(square, np.float32) / 255)
    return np.stack(squares)


@dataclass(frozen=True)
class Camera:
    """A pinhole camera: world axes as in body.py, pixels as in raster.py."""

    position: NDArray  # (3,) metres
    axes: NDArray  # (3, 3): rows are right, down, forward
    focal: float  # pixels
    centre: tuple[float, float]  # x, y of the optical axis, pixels

    def project(self, points: NDArray) -> NDArray[np.float32]:
        """(N, 3) points to (N, 3): x, y in pixels, depth in metres."""
        seen = (points - self.position) @ self.axes.T
        depth = seen[:, 2]
        near = np.maximum(depth, 1e-3)
        x, y = self.focal * seen[:, 0] / near + self.centre[0], self.focal * seen[:, 1] / near + self.centre[1]
        return np.stack([x, y, depth], 1).astype(np.float32)


def noise(rng: np.random.Generator, height: int, width: int, slope: float) -> Image32:
    """Coloured noise whose spectrum falls as 1 / frequency ** slope, as that of photographs does (slope 1 to 2)."""
    h, w = 128, 96
    frequency = np.hypot(np.fft.fftfreq(h)[:, None], np.fft.rfftfreq(w)[None]) + 1 / 160
    spectrum = rng.normal(size=(3, *frequency.shape)) + 1j * rng.normal(size=(3, *frequency.shape))
    field = np.fft.irfft2(spectrum / frequency**slope, s=(h, w))  # (3, h, w)
    field /= field.std(axis=(1, 2), keepdims=True) + 1e-9
    grey = rng.uniform(0.2, 0.95)
    field = grey * field[:1] + (1 - grey) * field
    picture = np.clip(0.5 + 0.2 * field, 0, 1).transpose(1, 2, 0) * any_colour(rng) * 1.6
    return _resize(np.clip(picture, 0, 1), height, width)


def _resize(picture: NDArray, height: int, width: int) -> Image32:
    image = Image.fromarray((np.clip(picture, 0, 1) * 255).astype(np.uint8)).resize(
        (width, height), Image.Resampling.BICUBIC
    )
    return np.asarray(image, np.float32) / 255


def photo_crop(rng: np.random.Generator, height: int, width: int) -> Image32:
    """A random piece of a random photograph, turned, mirrored and recoloured."""
    photos = photographs()
    photo = photos[rng.integers(len(photos))]
    zoom = rng.uniform(0.25, 1.0)
    h = max(24, int(min(photo.shape[0], photo.shape[1] * height / width) * zoom))
    w = max(24, int(h * width / height))
    h, w = min(h, photo.shape[0]), min(w, photo.shape[1])
    top, left = rng.integers(photo.shape[0] - h + 1), rng.integers(photo.shape[1] - w + 1)
    piece = photo[top : top + h, left : left + w]
    if rng.random() < 0.5:
        piece = piece[:, ::-1]
    if rng.random() < 0.15:
        piece = piece[::-1]
    picture = _resize(piece / 255.0, height, width)
    return _recoloured(rng, picture)


def _recoloured(rng: np.random.Generator, picture: Image32) -> Image32:
    if rng.random() < 0.2:
        picture = picture[..., rng.permutation(3)]
    grey = picture.mean(-1, keepdims=True)
    picture = grey + rng.uniform(0.2, 1.2) * (picture - grey)
    tint = 1 + rng.normal(0, 0.12, 3)
    return np.clip(np.clip(picture, 0, 1) ** rng.uniform(0.6, 1.6) * tint, 0, 1).astype(np.float32)


def _palette(rng: np.random.Generator, count: int) -> NDArray:
    """Colours that occur together: from one photograph, or drawn."""
    if rng.random() < 0.6:
        photos = photographs()
        photo = photos[rng.integers(len(photos))]
        pixels = photo[rng.integers(photo.shape[0], size=count), rng.integers(photo.shape[1], size=count)] / 255
        return np.clip(pixels * (1 + rng.normal(0, 0.12, 3)), 0, 1)
    return np.stack([any_colour(rng) for _ in range(count)])


def shapes(rng: np.random.Generator, height: int, width: int, count: int, base: Image32 | None = None) -> Image32:
    """Overlapping shapes, the small ones on top, which hide each other as things in a picture do ("dead leaves")."""
    picture = (np.full((height, width, 3), any_colour(rng)) if base is None else base) * 255
    image = Image.fromarray(picture.astype(np.uint8))
    draw = ImageDraw.Draw(image)
    colours = (_palette(rng, count) * 255).astype(int)
    sizes = np.sort(np.exp(rng.uniform(np.log(5), np.log(0.55 * height), count)))[::-1]
    for colour, size in zip(colours, sizes, strict=True):
        x, y = rng.uniform(0, width), rng.uniform(0, height)
        a, b = size * rng.uniform(0.2, 1, 2)
        match rng.integers(4):
            case 0:
                draw.ellipse([x - a / 2, y - b / 2, x + a / 2, y + b / 2], tuple(colour))
            case 1:
                draw.rectangle([x - a / 2, y - b / 2, x + a / 2, y + b / 2], tuple(colour))
            case 2:
                angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
                draw.polygon([(x + a * np.cos(t), y + b * np.sin(t)) for t in angles], tuple(colour))
            case 3:
                end = rng.uniform(-1, 1, 2) * size * 1.5
                draw.line([x, y, x + end[0], y + end[1]], tuple(colour), int(rng.uniform(1, 9)))
    return np.asarray(image, np.float32) / 255


def _textured(rng: np.random.Generator, u: NDArray, v: NDArray, ground: bool) -> Image32:
    """A surface with coordinates u, v in metres: a photographed ground, planks, tiles or plain; (H, W, 3)."""
    base = np.broadcast_to(any_colour(rng), (*u.shape, 3)).astype(np.float32)
    kind = rng.random()
    if kind < (0.5 if ground else 0.2):
        photos = photographs()
        photo = photos[_GROUNDS[rng.integers(3)]].mean(-1) / 255
        scale = photo.shape[0] / rng.uniform(0.8, 3.0)
        value = photo[(v * scale).astype(int) % photo.shape[0], (u * scale).astype(int) % photo.shape[1]]
        return (base * (0.5 + value[..., None])).astype(np.float32)
    if kind < 0.75:
        period = rng.uniform(0.12, 0.9)
        lines = ((u / period) % 1 < 0.06) | (
            ((v / (period * rng.choice([1.0, 4.0]))) % 1 < 0.06) & (rng.random() < 0.7)
        )
        each = np.sin(np.floor(u / period) * 12.9898 + 4.1) * 43758.5453 % 1
        return (
            base
            * (0.85 + 0.3 * each[..., None]).astype(np.float32)
            * np.where(lines, rng.uniform(0.4, 0.9), 1)[..., None].astype(np.float32)
        )
    return base


def place(rng: np.random.Generator, camera: Camera, ground: float, distance: float, height: int, width: int) -> Image32:
    """A room or a landscape that matches the camera: ground, horizon or wall, and things on it.

    Args:
        camera: where the picture is seen from, in pixels of the picture.
        ground: height of the ground, metres. distance: metres from the camera to the person.
        height, width: of the picture.
    """
    rows, columns = np.mgrid[0:height, 0:width].astype(np.float32)
    seen = np.stack(
        [(columns - camera.centre[0]) / camera.focal, (rows - camera.centre[1]) / camera.focal, np.ones_like(rows)], -1
    )
    rays = seen @ camera.axes  # (H, W, 3) in world axes
    drop = camera.position[2] - ground
    with np.errstate(divide="ignore", invalid="ignore"):
        reach = np.where(rays[..., 2] < -1e-4, drop / -rays[..., 2], np.inf)
    indoors = rng.random() < 0.5
    wall = distance + rng.uniform(0.5, 6) if indoors else rng.uniform(20, 90)
    to_wall = wall / np.maximum(rays[..., 1], 1e-3)
    on_ground = reach < to_wall
    spot = np.minimum(np.where(np.isfinite(reach), reach, 0), 200)
    floor = _textured(rng, spot * rays[..., 0] + 300, spot * rays[..., 1] + 300, True)
    if indoors:
        u, v = to_wall * rays[..., 0], camera.position[2] + to_wall * rays[..., 2] - ground
        back = _textured(rng, u + 300, v + 300, False)
        for _ in range(rng.integers(0, 9)):  # pictures, windows, cupboards
            left, low = rng.uniform(-4, 4), rng.choice([0.0, rng.uniform(0, 2.2)])
            inside = (u > left) & (u < left + rng.uniform(0.2, 1.6)) & (v > low) & (v < low + rng.uniform(0.2, 2.0))
            back = np.where(inside[..., None], any_colour(rng) * rng.uniform(0.6, 1.3), back)
    else:
        up = np.clip(rays[..., 2] / np.linalg.norm(rays, axis=-1), 0, 1)[..., None]
        low, high = rng.uniform(0.55, 1.0, 3), np.array([0.3, 0.5, 0.8]) * rng.uniform(0.5, 1.2)
        back = low + (high - low) * np.minimum(1, up * rng.uniform(1, 4))
        back = np.clip(back + (noise(rng, height, width, 1.7) - 0.5) * rng.choice([0, 0.35]), 0, 1)
        bearing = np.arctan2(rays[..., 0], rays[..., 1])
        for _ in range(rng.integers(0, 4)):  # hills, woods, rows of houses
            phases, waves = rng.uniform(0, 6.3, 4), rng.uniform(3, 60, 4)
            ridge = sum(
                np.sin(bearing * w + p) / (1 + 0.15 * w) for w, p in zip(waves, phases, strict=True)
            ) * 0.04 + rng.uniform(0, 0.25)
            if rng.random() < 0.4:
                step = rng.uniform(0.03, 0.2)
                ridge = 0.05 + 0.3 * (np.sin(np.floor(bearing / step) * 12.9898 + phases[0]) * 43758.5453 % 1)
            under = rays[..., 2] / np.maximum(rays[..., 1], 1e-3) < ridge
            colour = any_colour(rng) * (0.75 + 0.5 * noise(rng, height, width, rng.uniform(0.8, 1.3)))
            back = np.where(under[..., None], colour, back)
    picture = np.where(on_ground[..., None], floor, back)
    picture = picture * (0.8 + 0.4 * noise(rng, height, width, 1.9).mean(-1, keepdims=True))
    if rng.random() < 0.5:
        picture = shapes(rng, height, width, int(rng.integers(3, 18)), np.clip(picture, 0, 1))
    return np.clip(picture, 0, 1).astype(np.float32)


def background(
    rng: np.random.Generator, camera: Camera, ground: float, distance: float, height: int, width: int
) -> tuple[Image32, bool]:
    """A picture to put behind the people (H, W, 3), and whether it has a ground on which shadows fall."""
    kind = rng.random()
    grounded = False
    if kind < 0.33:
        picture = photo_crop(rng, height, width)
    elif kind < 0.7:
        picture, grounded = place(rng, camera, ground, distance, height, width), True
    elif kind < 0.84:
        picture = shapes(rng, height, width, int(rng.integers(20, 160)))
    elif kind < 0.93:
        picture = noise(rng, height, width, rng.uniform(0.7, 2.0))
    else:
        ramp = np.linspace(0, 1, height)[:, None, None] * rng.uniform(-1, 1) + np.linspace(0, 1, width)[
            None, :, None
        ] * rng.uniform(-1, 1)
        ramp = (ramp - ramp.min()) / (np.ptp(ramp) + 1e-6)
        picture = any_colour(rng) * (1 - ramp) + any_colour(rng) * ramp
    if rng.random() < 0.5:
        image = Image.fromarray((picture * 255).astype(np.uint8)).filter(ImageFilter.GaussianBlur(rng.exponential(1.6)))
        picture = np.asarray(image, np.float32) / 255
    return np.asarray(picture, np.float32), grounded


def occluder(rng: np.random.Generator, box: NDArray, height: int, width: int) -> tuple[Image32, NDArray[np.float32]]:
    """Something between the camera and the person.

    Args:
        box: x, y, w, h of the person.

    Returns:
        its colours (H, W, 3) and its cover (H, W), 0..1.
    """
    x, y, w, h = box
    mask = Image.new("L", (width, height), 0)
    draw = ImageDraw.Draw(mask)
    kind = rng.integers(4)
    if kind == 0:  # a table, a fence or a car in front of the legs
        top = y + h * rng.uniform(0.5, 0.85)
        lean = rng.normal(0, 8)
        left, right = (-5, width + 5) if rng.random() < 0.5 else np.sort(rng.uniform(x - 0.3 * w, x + 1.3 * w, 2))
        draw.polygon([(left, top), (right, top + lean), (right, height + 5), (left, height + 5)], 255)
    elif kind == 1:  # a post
        middle, thick = x + w * rng.uniform(0, 1), rng.uniform(3, 0.22 * w + 4)
        lean = rng.normal(0, 25)
        draw.line([middle - lean, -5, middle + lean, height + 5], 255, int(thick))
    elif kind == 2:
        cx, cy = x + w * rng.uniform(-0.05, 1.05), y + h * rng.uniform(0.2, 1)
        a, b = w * rng.uniform(0.12, 0.3), h * rng.uniform(0.06, 0.22)
        draw.ellipse([cx - a, cy - b, cx + a, cy + b], 255)
    else:
        cx, cy = x + w * rng.uniform(-0.05, 1.05), y + h * rng.uniform(0.2, 1)
        angles = np.sort(rng.uniform(0, 2 * np.pi, rng.integers(3, 8)))
        size = rng.uniform(0.08, 0.24) * h
        draw.polygon([(cx + size * np.cos(t), cy + size * np.sin(t)) for t in angles], 255)
    soft = mask.filter(ImageFilter.GaussianBlur(rng.uniform(0.4, 1.5)))
    fill = rng.random()
    if fill < 0.4:
        colours = photo_crop(rng, height, width)
    elif fill < 0.6:
        colours = noise(rng, height, width, rng.uniform(0.8, 1.8))
    else:
        ramp = np.linspace(0, 1, height)[:, None, None]
        colours = np.broadcast_to(any_colour(rng) * (1 - ramp) + any_colour(rng) * ramp, (height, width, 3))
    return np.asarray(colours, np.float32), np.asarray(soft, np.float32) / 255
