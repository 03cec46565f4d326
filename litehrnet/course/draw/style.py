"""The visual language: one palette per subject, readable on white pages, on dark ones and by colour-blind readers.

Colours are Okabe and Ito's. A colour means one thing within a subject (the branches, the parts of the network, the
runtimes), not throughout the course. In a notebook a figure is an SVG on white, with a PNG beside it for
viewers that do not draw SVG, and its sentence follows as text; photographs are PNGs. The site gives an SVG the colours
of the page: there `INK`, `MUTED`, `GRID` and white change with the theme; `ON_COLOUR` and `ON_DARK` do not.
"""

from __future__ import annotations

import base64
import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from html import escape
from typing import Any, ClassVar, overload

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch
from matplotlib.text import Text
from matplotlib.ticker import FuncFormatter
from matplotlib.typing import ColorType
from PIL import Image

__all__ = [
    "BRANCH_COLOURS",
    "INK",
    "LEFT_COLOUR",
    "MIDDLE_COLOUR",
    "MUTED",
    "ON_COLOUR",
    "ON_DARK",
    "PART_COLOURS",
    "PLAIN_COLOURS",
    "RIGHT_COLOUR",
    "CourseFigure",
    "Table",
    "arrow",
    "box",
    "caption",
    "enliven",
    "figure_style",
    "ink_on",
    "new_figure",
    "packed",
    "packed_photo",
    "plain_log",
]

INK = "#222222"
MUTED = "#767676"
PHOTO_INK = MUTED  # beside photographs, whose PNG has no background of its own: readable on white and on black
GRID = "#dddddd"
ON_COLOUR, ON_DARK = "#212121", "#fefefe"  # text on a filled area, which is the same in every theme

BLUE, SKY, GREEN, ORANGE, VERMILION, PURPLE, YELLOW = (
    "#0072B2", "#56B4E9", "#009E73", "#E69F00", "#D55E00", "#CC79A7", "#F0E442",
)  # fmt: skip

BRANCH_COLOURS = (BLUE, GREEN, ORANGE, VERMILION)  # branch 0 is the largest map
LEFT_COLOUR, RIGHT_COLOUR, MIDDLE_COLOUR = BLUE, VERMILION, MUTED  # the person's own left and right
PART_COLOURS = {
    "stem": "#999999",
    "transitions": "#bbbbbb",
    "depthwise": SKY,
    "cross_resolution": PURPLE,
    "spatial": YELLOW,
    "pointwise": ORANGE,
    "fuse": BLUE,
    "head": GREEN,
    "final": "#555555",
}
PLAIN_COLOURS = {"adaptive": BLUE, "computed": ORANGE, "exact": GREEN, "torch": VERMILION, "onnx": BLUE}

_RC: Any = {  # matplotlib's types know each key by name
    "figure.facecolor": "white",
    "savefig.facecolor": "white",
    "figure.dpi": 110,
    "savefig.dpi": 110,
    "font.size": 10,
    "svg.fonttype": "none",  # text stays text
    "svg.hashsalt": "litehrnet",  # the same file in every run
    "axes.titlesize": 11,
    "axes.titlelocation": "left",
    "axes.edgecolor": MUTED,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "xtick.labelsize": 9,
    "ytick.labelsize": 9,
    "axes.prop_cycle": plt.cycler(color=[BLUE, ORANGE, GREEN, VERMILION, PURPLE, SKY]),
    "legend.frameon": False,
    "legend.fontsize": 9,
    "grid.color": GRID,
    "image.interpolation": "nearest",
}


def ink_on(area: ColorType) -> str:
    """The colour of text on a filled area, `ON_COLOUR` or `ON_DARK`: the one with more contrast (WCAG 2, 1.4.3).

    Args:
        area: any colour of matplotlib's, opaque.

    >>> ink_on("#9ecae1") == ON_COLOUR, ink_on(BLUE) == ON_DARK
    (True, True)
    """
    return max(ON_COLOUR, ON_DARK, key=lambda ink: _contrast(ink, area))


def _contrast(one: ColorType, other: ColorType) -> float:
    """The ratio of two colours' luminances, from 1 to 21."""
    darker, lighter = sorted(_luminance(colour) for colour in (one, other))
    return (lighter + 0.05) / (darker + 0.05)


def _luminance(colour: ColorType) -> float:
    channels = np.asarray(to_rgb(colour), dtype=float)  # (3,), sRGB
    linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
    return float(linear @ (0.2126, 0.7152, 0.0722))


PHOTO_DPI = 80  # photographs make large PNGs, and a notebook stores them all
_SVG_DPI = 150  # of what is made of pixels inside an SVG
_PAD = 0.1  # inches around everything that is drawn, so that no title touches the edge


class CourseFigure(Figure):
    """A figure with the sentence that says what to see in it; it shows itself in a notebook.

    Attributes:
        sentence: the caption, which is the alternative text as well.
        of_pixels: whether it shows photographs, and is therefore a PNG alone, with a transparent background.
        living: what moves in its place on the site, and from which numbers; see `enliven`.
    """

    sentence: str = ""
    of_pixels: bool = False
    living: dict[str, Any] | None = None

    def svg(self) -> str:
        """The figure as an SVG, byte for byte the same in every run."""
        return self._saved("svg", _SVG_DPI, metadata={"Date": None, "Creator": None}).decode()

    def png(self) -> bytes:
        """The figure as a PNG."""
        return self._saved("png", self.dpi)

    def _saved(self, kind: str, dpi: float, **options: Any) -> bytes:
        for text in self.findobj(Text):
            if to_hex(text.get_color()) in ("#000000", INK):  # matplotlib's own black, too
                text.set_color(PHOTO_INK if self.of_pixels else INK)
        buffer = io.BytesIO()
        with figure_style():
            ground = "none" if self.of_pixels else "white"
            self.savefig(
                buffer, format=kind, dpi=dpi, bbox_inches="tight", pad_inches=_PAD, facecolor=ground, **options
            )
        return buffer.getvalue()

    def _ipython_display_(self) -> None:
        """Show the picture, then its sentence as text: what Jupyter calls."""
        from IPython.display import display

        pictures = {"image/png": base64.b64encode(self.png()).decode()}
        if not self.of_pixels:
            pictures = {"image/svg+xml": self.svg(), **pictures}
        living = {"living": self.living} if self.living else {}
        display(
            {**pictures, "text/plain": self.sentence or repr(self)},
            metadata={kind: {"alt": self.sentence} | living for kind in pictures},
            raw=True,
        )
        if self.sentence:
            lines = {"text/markdown": f"*{self.sentence}*", "text/plain": self.sentence}
            display(lines, metadata={"text/markdown": {"caption": True}}, raw=True)


class Table:
    """A table with a caption: real HTML, so that it can be read on a phone, searched and copied.

    Args:
        columns: the column headings; the first is above the rows' names.
        rows: one list of texts each, as long as `columns`; (text, kind) gives a cell one of `KINDS`, whose mark is put
            before the text. Numbers are passed as text, already rounded.
        sentence: what to see in it.

    Raises:
        ValueError: a row has another number of cells than there are columns, or a kind is unknown.

    >>> print(Table(["way", "ms"], [["plain", "15.0"], ["fused", ("11.2", "good")]]))
    way    ms
    plain  15.0
    fused  ✓ 11.2
    """

    KINDS: ClassVar[dict[str, str]] = {"good": "✓", "bad": "✗", "worst": "⚠", "none": ""}

    def __init__(
        self, columns: Sequence[str], rows: Sequence[Sequence[str | tuple[str, str]]], sentence: str = ""
    ) -> None:
        self.columns, self.sentence = list(columns), sentence
        self.rows = [[cell if isinstance(cell, tuple) else (cell, "") for cell in row] for row in rows]
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"the row {row[0][0]!r} has {len(row)} cells for {len(self.columns)} columns")
            for _, kind in row:
                if kind and kind not in self.KINDS:
                    raise ValueError(f"a cell's kind is {kind!r}; it can be {', '.join(self.KINDS)}")

    def _text(self, cell: tuple[str, str]) -> str:
        return f"{self.KINDS.get(cell[1], '')} {cell[0]}".strip()

    def __repr__(self) -> str:
        lines = [self.columns, *([self._text(cell) for cell in row] for row in self.rows)]
        widths = [max(len(line[k]) for line in lines) for k in range(len(self.columns))]
        return "\n".join(
            "  ".join(text.ljust(width) for text, width in zip(line, widths, strict=True)).rstrip() for line in lines
        )

    def _repr_html_(self) -> str:
        """What Jupyter shows."""
        head = "".join(f'<th scope="col">{escape(name)}</th>' for name in self.columns)
        body = []
        for name, *cells in self.rows:
            kinds = [f' class="{kind}"' if kind else "" for _, kind in cells]
            shown = "".join(
                f"<td{kind}>{escape(self._text(cell))}</td>" for kind, cell in zip(kinds, cells, strict=True)
            )
            body.append(f'<tr><th scope="row">{escape(self._text(name))}</th>{shown}</tr>')
        words = f"<caption>{escape(self.sentence)}</caption>\n" if self.sentence else ""
        rows = "\n".join(body)
        return f'<table class="results">\n{words}<thead><tr>{head}</tr></thead>\n<tbody>\n{rows}\n</tbody>\n</table>'


@contextmanager
def figure_style() -> Iterator[None]:
    """The course's matplotlib settings, for the time of one figure; the reader's own stay as they are."""
    with plt.rc_context(_RC):
        yield


@overload
def new_figure(
    *, size: tuple[float, float] = ..., photographs: bool = ..., **options: Any
) -> tuple[CourseFigure, Axes]: ...


@overload
def new_figure(
    rows: int, columns: int, *, size: tuple[float, float] = ..., photographs: bool = ..., **options: Any
) -> tuple[CourseFigure, np.ndarray]: ...


def new_figure(
    rows: int = 1,
    columns: int = 1,
    *,
    size: tuple[float, float] = (9.0, 3.5),
    photographs: bool = False,
    **options: Any,
) -> tuple[CourseFigure, Any]:
    """A figure in the course's style.

    Args:
        rows, columns: of panels; without them there is one.
        size: (width, height) in inches, the order that matplotlib uses.
        photographs: whether the figure shows photographs: it is stored as a PNG alone.
        options: passed to `matplotlib.pyplot.subplots`.

    Returns:
        (figure, axes) as `matplotlib.pyplot.subplots` returns them: one `Axes`, or an array of them.
    """
    with figure_style():
        options.setdefault("layout", "constrained")
        if photographs:
            options.setdefault("dpi", PHOTO_DPI)
        figure, axes = plt.subplots(rows, columns, figsize=size, FigureClass=CourseFigure, **options)
        figure.of_pixels = photographs
        if photographs:  # beside a photograph, too, the page shows through
            for one in figure.axes:
                one.patch.set_visible(False)
        return figure, axes


def caption(figure: CourseFigure, text: str) -> None:
    """Give a figure its one sentence that says what to see: its caption, and its alternative text."""
    figure.sentence = " ".join(text.split())


def enliven(figure: CourseFigure, kind: str, **numbers: object) -> None:
    """Let a figure move on the site.

    Args:
        figure: the picture that stays where there is no script: in a notebook, in print.
        kind: name of a module in `tools/website/assets/living`.
        numbers: what the module starts from; JSON's types only.
    """
    figure.living = {"kind": kind, **numbers}


def packed(values: np.ndarray, *, exact: bool = True) -> dict[str, Any]:
    """An array for `enliven`: its shape, and its numbers as base64.

    Args:
        values: any shape.
        exact: whether all digits of float32 are kept. Otherwise each number is one byte, in steps of `step`: a 255th of
            the largest one, which itself is kept; what is negative becomes 0.

    >>> packed(np.array([[0.0, 1.0]]))
    {'shape': [1, 2], 'step': None, 'base64': 'AAAAAAAAgD8='}
    >>> packed(np.array([0.0, 510.0]), exact=False)
    {'shape': [2], 'step': 2.0, 'base64': 'AP8='}
    """
    step = None
    if exact:
        content = np.ascontiguousarray(values, dtype="<f4").tobytes()
    else:
        step = max(float(values.max()), 1e-12) / 255
        content = np.round(np.clip(values / step, 0, 255)).astype(np.uint8).tobytes()
    return {"shape": list(values.shape), "step": step, "base64": base64.b64encode(content).decode()}


def packed_photo(image: np.ndarray, height: int = 192) -> str:
    """A photograph for `enliven`: a small JPEG as a data URI.

    Args:
        image: (H, W, 3) uint8.
        height: of the JPEG, in pixels, at most; its width follows.
    """
    photo = Image.fromarray(image)
    photo.thumbnail((image.shape[1], height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    photo.save(buffer, "JPEG", quality=75)
    return f"data:image/jpeg;base64,{base64.b64encode(buffer.getvalue()).decode()}"


def plain_log(*axes: Axis) -> None:
    """Write a logarithmic axis' numbers as 0.01 or 1e-06: an exponent above the line is too small on a phone."""
    for axis in axes:
        axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))


def box(
    axes: Axes,
    xy: tuple[float, float],
    size: tuple[float, float],
    text: str,
    colour: str,
    *,
    fontsize: float = 9,
    filled: bool = True,
) -> FancyBboxPatch:
    """Draw a labelled box; `xy` is its lower left corner and `size` its width and height, in the axes' units."""
    patch = FancyBboxPatch(
        xy, width=size[0], height=size[1], boxstyle="round,pad=0,rounding_size=0.06", edgecolor=colour,
        facecolor=colour if filled else "white", alpha=0.35 if filled else 1.0, linewidth=1.2,
    )  # fmt: skip
    axes.add_patch(patch)
    axes.text(xy[0] + size[0] / 2, xy[1] + size[1] / 2, text, ha="center", va="center", fontsize=fontsize, color=INK)
    return patch


def arrow(
    axes: Axes, start: tuple[float, float], end: tuple[float, float], colour: str = MUTED, **options: Any
) -> None:
    """Draw an arrow from one point to another, in the axes' units; `options` are those of `FancyArrowPatch`."""
    options.setdefault("mutation_scale", 9)
    options.setdefault("linewidth", 1.1)
    axes.add_patch(FancyArrowPatch(start, end, arrowstyle="-|>", color=colour, shrinkA=0, shrinkB=0, **options))
