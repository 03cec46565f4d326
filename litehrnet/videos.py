"""Pictures that move: the frames of animations (Pillow) and videos (PyAV), one after the other, and writing them.

A still picture counts as one frame, so whatever takes frames also takes pictures. Frames are upright, RGB, uint8.
"""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, UnidentifiedImageError

from .checks import first_line, require
from .files import existing_file
from .images import read_image, to_rgb

__all__ = ["ANIMATIONS", "VIDEOS", "Film", "Frame", "is_video", "open_film", "writer"]

ANIMATIONS = (".gif", ".webp", ".png")  # what Pillow writes with several frames
VIDEOS = (".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi", ".mpg", ".mpeg", ".wmv", ".ts")
USUAL_RATE = 10.0  # frames per second, for animations that do not state theirs
_CODECS = {".webm": ("libvpx-vp9", "libvpx")}
_USUAL_CODECS = ("libx264", "mpeg4")
_MAGIC = rb"....ftyp(?!hei|hev|avif|mif1|msf1)|\x1aE\xdf\xa3|RIFF....AVI |\x00\x00\x01[\xb0-\xbf]|\x30\x26\xb2\x75"


@dataclass(frozen=True)
class Frame:
    """One frame.

    Attributes:
        number: counted from 0 in the file, frames that were left out included.
        seconds: since the first frame.
        image: RGB, (H, W, 3) uint8.
    """

    number: int
    seconds: float
    image: np.ndarray


@dataclass(frozen=True)
class Film:
    """A file of frames.

    Attributes:
        path: the file.
        size: height and width of a frame.
        count: frames that `frames` gives; None where the file does not say it.
        rate: frames per second that `frames` gives; None for a still picture.
        frames: a new iterator over them.
    """

    path: Path
    size: tuple[int, int]
    count: int | None
    rate: float | None
    frames: Callable[[], Iterator[Frame]]

    @property
    def moves(self) -> bool:
        """Whether it has several frames."""
        return self.rate is not None


def is_video(path: Path) -> bool:
    """Whether a file is a video, by its first bytes."""
    with path.open("rb") as file:
        return re.match(_MAGIC, file.read(16), re.DOTALL) is not None


def open_film(path: str | Path, rate: float | None = None) -> Film:
    """A picture, an animation or a video as frames.

    Args:
        path: anything that `litehrnet.images.read_image` or PyAV reads.
        rate: frames per second to give; frames in between are left out. None: all of them.

    Raises:
        FileNotFoundError, ValueError: there is no such file, or it is damaged or of another kind.
        ImportError: it is a video, and PyAV is not installed.
    """
    path = existing_file(path)
    if is_video(path):
        return _video(path, rate)
    try:
        with Image.open(path) as image:
            count = getattr(image, "n_frames", 1)
            if count > 1 and image.format in ("GIF", "WEBP", "PNG"):
                return _animation(path, image, count, rate)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError, Image.DecompressionBombError):
        pass  # `read_image` says what is wrong
    picture = read_image(path)
    return Film(path, picture.shape[:2], 1, None, lambda: iter([Frame(0, 0.0, picture)]))


def _chosen(frames: Iterator[Frame], rate: float | None) -> Iterator[Frame]:
    """Only as many frames as a rate asks for."""
    due = 0.0
    for frame in frames:
        if rate is None or frame.seconds >= due - 1e-6:
            yield frame
            due = due + 1 / rate if rate is not None else due


def _count(count: int | None, own: float, rate: float | None) -> int | None:
    return count if count is None or rate is None or rate >= own else max(1, round(count * rate / own))


# --------------------------------------------------------------------------------------------------------- animations


def _animation(path: Path, image: Image.Image, count: int, rate: float | None) -> Film:
    lengths = []
    for number in range(count):
        image.seek(number)
        image.load()  # WebP gives the duration of a frame only after decoding it
        lengths.append(float(image.info.get("duration", 0)) / 1e3 or 1 / USUAL_RATE)
    starts = np.concatenate([[0.0], np.cumsum(lengths)[:-1]])
    own = count / sum(lengths)

    def frames() -> Iterator[Frame]:
        with Image.open(path) as opened:
            for number, start in enumerate(starts):
                opened.seek(number)
                yield Frame(number, float(start), np.array(to_rgb(opened.copy())))

    size = (image.height, image.width)
    return Film(path, size, _count(count, own, rate), min(own, rate or own), lambda: _chosen(frames(), rate))


# ------------------------------------------------------------------------------------------------------------- videos


def _video(path: Path, rate: float | None) -> Film:
    av = require("av")
    try:
        with av.open(str(path)) as container:
            if not container.streams.video:
                raise ValueError(f"{path.name} has no pictures, only sound")
            stream = container.streams.video[0]
            own = float(stream.average_rate or stream.base_rate or USUAL_RATE)
            first = next(_decoded(container))
            count = stream.frames or (round(container.duration / 1e6 * own) if container.duration else None)
    except (av.FFmpegError, StopIteration) as error:
        raise ValueError(f"{path.name} is not a video that can be read: {_reason(error)}") from error

    def frames() -> Iterator[Frame]:
        try:
            with av.open(str(path)) as opened:
                for number, picture in enumerate(_decoded(opened)):
                    yield Frame(number, number / own, picture)
        except av.FFmpegError as error:
            raise ValueError(f"{path.name} is damaged: {_reason(error)}") from error

    return Film(path, first.shape[:2], _count(count, own, rate), min(own, rate or own), lambda: _chosen(frames(), rate))


def _decoded(container: Any) -> Iterator[np.ndarray]:
    """Upright frames: phones store their orientation beside the pictures."""
    for frame in container.decode(video=0):
        turns = round(getattr(frame, "rotation", 0) / 90) % 4
        yield np.ascontiguousarray(np.rot90(frame.to_ndarray(format="rgb24"), turns))


def _reason(error: BaseException) -> str:
    """What is wrong, without PyAV's numbers."""
    if isinstance(error, StopIteration):
        return "it holds no frame"
    said = getattr(error, "strerror", None)
    return str(said).lower() if said else first_line(error)


@contextlib.contextmanager
def writer(path: Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    """A function that adds a picture, (H, W, 3) uint8, to a new animation or video; all of one size.

    Args:
        path: the file to write; its ending selects the format, one of `ANIMATIONS` and `VIDEOS`.
        rate: frames per second.

    Raises:
        ValueError: another ending, or a format that cannot be written here.
        ImportError: it is a video, and PyAV is not installed.
    """
    suffix = path.suffix.lower()
    if suffix in ANIMATIONS:
        pictures: list[Image.Image] = []
        yield lambda picture: pictures.append(Image.fromarray(picture))
        if pictures:
            first, *others = pictures
            first.save(path, save_all=True, append_images=others, duration=round(1e3 / rate), loop=0)
        return
    if suffix not in VIDEOS:
        raise ValueError(f"cannot write {path.name}: frames go into a video such as .mp4, or an animation such as .gif")
    with _encoder(path, rate) as add:
        yield add


@contextlib.contextmanager
def _encoder(path: Path, rate: float) -> Iterator[Callable[[np.ndarray], None]]:
    av = require("av")
    names = _CODECS.get(path.suffix.lower(), _USUAL_CODECS)
    codec = next((name for name in names if name in av.codecs_available), None)
    if codec is None:
        raise ValueError(f"cannot write {path.name}: this PyAV has none of the encoders {', '.join(names)}")
    try:
        with av.open(str(path), "w") as container:
            stream = container.add_stream(codec, Fraction(rate).limit_denominator(1001))
            stream.pix_fmt = "yuv420p"

            def add(picture: np.ndarray) -> None:
                height, width = picture.shape[:2]
                even = np.pad(picture, ((0, height % 2), (0, width % 2), (0, 0)), mode="edge")  # which yuv420p needs
                if not stream.codec_context.is_open:
                    stream.height, stream.width = even.shape[:2]
                container.mux(stream.encode(av.VideoFrame.from_ndarray(even, format="rgb24")))

            yield add
            container.mux(stream.encode())
    except av.FFmpegError as error:
        raise ValueError(f"cannot write {path.name}: {_reason(error)}") from error
