"""Figures as files of the site: SVGs that follow the page's theme, photographs as WebP, words as HTML around them."""

from __future__ import annotations

import base64
import io
import json
import re
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any

from nbformat import NotebookNode
from PIL import Image

SMALLEST_TEXT = 11  # CSS pixels, on the narrowest phone: a wider figure scrolls instead of shrinking further
PIXELS_PER_POINT = 96 / 72
PHOTO_TEXT = 9  # points; what `litehrnet.course.draw` writes beside photographs is no smaller
QUALITY = 82  # of WebP

# The colours of `litehrnet.course.draw.style` that follow the theme: light, dark.
THEME = {
    "#222222": ("ink", "#222222", "#e4e8ee"),
    "#000000": ("ink", "#222222", "#e4e8ee"),
    "#767676": ("muted", "#6b6b6b", "#a0a9b5"),
    "#dddddd": ("grid", "#dddddd", "#3a424d"),
    "#eeeeee": ("faint", "#eeeeee", "#2a3038"),  # of stored figures' grids
    "#cccccc": ("frame", "#cccccc", "#4a525d"),  # matplotlib's, around a legend
    "#ffffff": ("page", "#ffffff", "#14171c"),
    "#555555": ("dark-part", "#555555", "#8d949e"),
    "#f4f4f4": ("nothing", "#f4f4f4", "#1d2229"),
}

# What is a good colour for an area is too pale, or too dark, for words of 11 pixels: contrast of at least 4.5.
WORDS = {
    "#0072b2": ("blue-words", "#0072b2", "#56b4e9"),
    "#009e73": ("green-words", "#007a59", "#2fc79a"),
    "#e69f00": ("amber-words", "#8a6000", "#e69f00"),
    "#d55e00": ("vermilion-words", "#b34f00", "#f28c4e"),
}

_STYLE_FONT = re.compile(r"font(?:-size)?:\s*(?:[a-z]+ )*?([\d.]+)px")
_BEHIND_WORDS = re.compile(r'(<g id="text_\d+">\s*)<g id="patch_\d+">\s*<path d="[^"]*" style="fill: #ffffff"/>\s*</g>')
_SIZE = re.compile(r'<svg\b[^>]*?\bviewBox="0 0 ([\d.]+) ([\d.]+)"')


@dataclass(frozen=True)
class Picture:
    """A figure's file and what its HTML needs to know.

    Attributes:
        name: of the file.
        content: of the file.
        width, height: in CSS pixels, at which text has its natural size.
        least: the width in CSS pixels below which its smallest text would fall under `SMALLEST_TEXT`.
    """

    name: str
    content: bytes
    width: int
    height: int
    least: int


def themed(svg: str) -> str:
    """An SVG of `litehrnet.course.draw`, or of any tool that writes colours as #rrggbb, in the colours of the page.

    A browser tells an SVG in an `img` the colour scheme of the page around it. The white background is removed.
    """
    body = svg[svg.index("<svg") :]
    body = re.sub(r"<!--.*?-->|<metadata>.*?</metadata>", "", body, flags=re.DOTALL)
    body = re.sub(r"\s*\n\s*", "\n", body)
    body = re.sub(r'(<g id="patch_1">\s*<path d="[^"]*" style="fill: )#ffffff', r"\1none", body, count=1)
    for colour, (name, _, _) in WORDS.items():
        body = re.sub(rf"(<text\b[^>]*?\bfill: ){colour}", rf"\1var(--{name})", body, flags=re.IGNORECASE)
    for colour, (name, _, _) in THEME.items():
        body = re.sub(colour, f"var(--{name})", body, flags=re.IGNORECASE)
    pairs = [*THEME.values(), *WORDS.values()]
    light, dark = ("".join(f"--{name}:{pair[k]};" for name, *pair in pairs) for k in (0, 1))
    style = (
        f"<style>svg{{color-scheme:light dark;fill:var(--ink);{light}}}"
        f"@media (prefers-color-scheme:dark){{svg{{{dark}}}}}</style>"
    )
    return re.sub(r"(<svg\b[^>]*>)", lambda match: match.group(1) + style, body, count=1)


def from_svg(svg: str, name: str) -> Picture:
    """The file of an SVG.

    Raises:
        ValueError: it has no viewBox that begins at 0 0.
    """
    found = _SIZE.search(svg)
    if found is None:
        raise ValueError(f"{name} has no viewBox, so its size is unknown")
    points = [float(number) for number in found.groups()]
    width, height = (round(PIXELS_PER_POINT * side) for side in points)
    smallest = min((float(size) for size in _STYLE_FONT.findall(svg)), default=float(SMALLEST_TEXT))
    least = width if not smallest else width * SMALLEST_TEXT / (PIXELS_PER_POINT * smallest)
    return Picture(f"{name}.svg", themed(svg).encode(), width, height, round(least))


def from_pixels(picture: bytes, name: str, *, shown: int | None = None) -> Picture:
    """The file of a PNG or JPEG, as WebP.

    Args:
        picture: the file's content.
        name: of the new file, without its suffix.
        shown: the width in CSS pixels at which the page shows it: the file is made small, twice as wide as that.
            Without it, the picture's own resolution (96 dots per inch if it gives none) says how large it is.
    """
    with Image.open(io.BytesIO(picture)) as image:
        scale = 96 / image.info.get("dpi", (96, 96))[0]
        width, height = (round(scale * side) for side in image.size)
        kind = "RGBA" if image.mode in {"RGBA", "LA", "P"} else "RGB"
        pixels = image.convert(kind)
        if shown is not None:
            width, height = shown, round(shown * image.height / image.width)
            pixels.thumbnail((2 * width, 2 * height), Image.Resampling.LANCZOS)
        small = io.BytesIO()
        pixels.save(small, "WEBP", quality=QUALITY, method=6)
    least = width * SMALLEST_TEXT / (PIXELS_PER_POINT * PHOTO_TEXT)
    return Picture(f"{name}.webp", small.getvalue(), width, height, round(least))


def from_file(path: Path, *, shown: int | None = None) -> Picture:
    """The file of the site for a picture of the repository: SVGs get the page's colours, all else becomes WebP."""
    if path.suffix == ".svg":
        return from_svg(path.read_text(), path.stem)
    small = path.stem if shown is None else f"{path.stem}-{shown}"
    return from_pixels(path.read_bytes(), small, shown=shown)


def thumbnail(picture: bytes, name: str, part: tuple[float, float, float, float], *, shown: int = 320) -> Picture:
    """A part of a picture without its texts, for a card.

    Args:
        picture: an SVG or a file of pixels.
        name: of the new file, without its suffix.
        part: what is shown, as fractions of the picture: left, top, right, bottom.
        shown: its width in CSS pixels.
    """
    left, top, right, bottom = part
    if b"<svg" in picture[:1000]:
        svg = re.sub(r"<text\b.*?</text>", "", picture.decode(), flags=re.DOTALL)
        svg = _BEHIND_WORDS.sub(r"\1", svg)
        whole = from_svg(svg, name)
        width, height = (float(number) for number in _SIZE.search(svg).groups())
        box = f"{left * width:.1f} {top * height:.1f} {(right - left) * width:.1f} {(bottom - top) * height:.1f}"
        content = re.sub(rb'viewBox="[^"]*"', f'viewBox="{box}"'.encode(), whole.content, count=1)
        content = re.sub(rb'(<svg\b[^>]*?) width="[^"]*"', rb"\1", content, count=1)
        content = re.sub(rb'(<svg\b[^>]*?) height="[^"]*"', rb"\1", content, count=1)
        return Picture(whole.name, content, shown, round(shown * (bottom - top) * height / ((right - left) * width)), 0)
    with Image.open(io.BytesIO(picture)) as image:
        box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
        cut = io.BytesIO()
        image.crop(tuple(round(side) for side in box)).save(cut, "PNG")
    return from_pixels(cut.getvalue(), name, shown=shown)


def take_out(notebook: NotebookNode, name: str) -> list[Picture]:
    """Take the pictures out of a notebook's outputs, in place: HTML that names their files stays.

    Args:
        notebook: executed; its outputs are changed.
        name: what the files' names begin with.

    Returns:
        The pictures, in order. The HTML finds them in `figures/` beside the page.
    """
    pictures: list[Picture] = []
    for cell in notebook.cells:
        kept: list[NotebookNode] = []
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if kept and _is_caption(output) and "<figure" in kept[-1].get("data", {}).get("text/html", ""):
                kept[-1].data["text/html"] = _with_caption(kept[-1].data["text/html"], data["text/plain"])
                continue
            kind = next((kind for kind in ("image/svg+xml", "image/png", "image/jpeg") if kind in data), None)
            if kind is not None:
                label = f"{name}-{len(pictures) + 1}"
                content = data[kind]
                made = from_svg(content, label) if "svg" in kind else from_pixels(base64.b64decode(content), label)
                pictures.append(made)
                metadata = output.get("metadata", {}).get(kind, {})
                output["data"] = NotebookNode(
                    {"text/html": figure(made, metadata.get("alt", ""), metadata.get("living"))}
                )
            kept.append(output)
        if "outputs" in cell:
            cell.outputs = kept
    return pictures


def figure(picture: Picture, alt: str, living: dict[str, Any] | None = None) -> str:
    """The HTML of a figure: it scrolls where the screen is too narrow for its text, and leads to its file.

    Args:
        picture: its file.
        alt: its alternative text.
        living: what `litehrnet.course.draw.style.enliven` was given, if the figure can move.
    """
    moves = ""
    if living:
        numbers = {key: value for key, value in living.items() if key != "kind"}
        moves = f' data-fig="{escape(living["kind"])}" data-numbers="{escape(json.dumps(numbers))}"'

    image = (
        f'<img src="figures/{picture.name}" width="{picture.width}" height="{picture.height}" alt="{escape(alt)}" '
        f'loading="lazy" decoding="async">'
    )
    return (
        f'<figure class="drawn"{moves}><div class="scroll" tabindex="0" style="--least:{picture.least}px">'
        f'<a class="full" href="figures/{picture.name}" title="See the whole figure">{image}</a></div></figure>'
    )


def _is_caption(output: NotebookNode) -> bool:
    return bool(output.get("metadata", {}).get("text/markdown", {}).get("caption"))


def _with_caption(html: str, words: str) -> str:
    return html.replace("</figure>", f"<figcaption>{escape(words)}</figcaption></figure>")


def write(pictures: list[Picture], folder: Path) -> None:
    """Write the files into a folder, which is created if it does not exist."""
    folder.mkdir(parents=True, exist_ok=True)
    for picture in pictures:
        (folder / picture.name).write_bytes(picture.content)
