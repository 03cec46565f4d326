"""What the notebooks say about themselves: their order, title, sentence, minutes and picture.

The index page, the README's table and the tests all read it from here.
"""

from __future__ import annotations

import base64
import importlib.util
import re
import sys
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from urllib.parse import unquote

import nbformat
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[1]

# Ways through the course: name, for whom, numbers of the notebooks (none: all of them, in order).
PATHS = (
    ("For an engineer", "from a checkpoint to a device", ("00", "03", "04", "05", "08")),
    ("For a student", "everything, in order", ()),
)

# Parts of pictures, as fractions (left, top, right, bottom): of the README's picture, what the site's first page shows;
# of a notebook's, what its card shows, the whole where none is given. A drawing's texts are left out on cards, since
# nobody could read them.
RESULT = (0.0, 0.09, 0.53, 0.98)
DETAILS = {
    "01": (0.0, 0.1, 1.0, 1.0),
    "02": (0.16, 0.1, 1.0, 0.88),
    "03": (0.0, 0.0, 0.68, 0.83),
    "04": (0.5, 0.28, 1.0, 0.95),
    "05": (0.0, 0.11, 1.0, 0.98),
    "06": (0.5, 0.13, 1.0, 1.0),
    "07": (0.0, 0.2, 1.0, 0.75),
    "10": (0.0, 0.0, 0.5, 0.66),
    "11": (0.12, 0.14, 0.9, 1.0),
    "12": (0.14, 0.0, 1.0, 0.82),
}

LIVE_ONLY = "Run the notebook to see Netron's live drawing here."

_IMAGE = re.compile(r"!\[[^\]]*\]\(\s*<?([^)\s>]+)>?[^)]*\)|<img\b[^>]*?\bsrc=[\"']([^\"']+)[\"'][^>]*>")
_WORDS = ("", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
_AMOUNT = rf"\d+|{'|'.join(_WORDS[1:])}"
_MINUTES = re.compile(rf"\b({_AMOUNT})(?:\s*(?:to|or|-|–)\s*({_AMOUNT}))?\s+minutes?\b", re.IGNORECASE)
_WITHOUT_LINKS = re.compile(r"\[([^\]]*)\]\([^)]*\)")
_NO_PARAGRAPH = ("#", "!", "<", "|", "-", "*", ">", "$", "`")


@dataclass(frozen=True)
class Card:
    """One notebook on the index page.

    Attributes:
        path: the notebook.
        number: "00", "01", ...
        title: its first heading, as Markdown.
        sentence: the first sentence of its first paragraph, as Markdown.
        minutes: what it says it takes, such as "15 minutes" or "2 to 3 minutes".
        picture: its first picture: the bytes of an SVG or PNG, or the path of such a file; None when it has none.
    """

    path: Path
    number: str
    title: str
    sentence: str
    minutes: str
    picture: bytes | Path | None


def numbered(folder: Path) -> list[Path]:
    """The notebooks of the course, in order: those whose names begin with two digits."""
    return sorted(folder.glob("[0-9][0-9]_*.ipynb"))


def read(path: Path) -> NotebookNode:
    """A notebook in today's format."""
    return nbformat.read(path, as_version=4)


def drop_dead_frames(notebook: NotebookNode) -> None:
    """Replace, in place, frames that show a port of this machine: without a running kernel they stay empty."""
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "<iframe" in data.get("text/html", ""):
                del data["text/html"]
                data["text/plain"] = LIVE_ONLY


def card(path: Path) -> Card:
    """What a notebook says about itself.

    Raises:
        ValueError: it has no title, no opening sentence or does not say its minutes.
    """
    notebook = read(path)
    prose = "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    title = re.search(r"^# +(.+?)\s*#*\s*$", prose, re.MULTILINE)
    minutes = _MINUTES.search(_after(prose, "What you'll need"))
    sentence = _first_sentence(prose)
    missing = [
        name
        for name, found in (("a title", title), ("an opening sentence", sentence), ("its minutes", minutes))
        if not found
    ]
    if missing:
        raise ValueError(f"{path.name} does not give {', '.join(missing)}")
    low, high = (_digits(amount) for amount in minutes.groups())
    return Card(
        path,
        path.name[:2],
        title.group(1),
        sentence,
        f"{low} to {high} minutes" if high else f"{low} minute{'s' * (low != '1')}",
        _picture(path, notebook),
    )


def longest(minutes: str) -> int:
    """The minutes of a `Card` as a number; of a range, the larger one."""
    return int(re.findall(r"\d+", minutes)[-1])


def repository(root: Path = ROOT) -> str | None:
    """The address of the public repository, which pyproject.toml alone names; None while it has none."""
    found = re.search(r'^Repository = "(https://[^"]+?)/?"$', (root / "pyproject.toml").read_text(), re.MULTILINE)
    return found.group(1) if found else None


def load_demo() -> ModuleType:
    """examples/browser/serve.py as a module."""
    spec = importlib.util.spec_from_file_location("serve_demo", ROOT / "examples" / "browser" / "serve.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def _digits(amount: str | None) -> str | None:
    return str(_WORDS.index(amount.lower())) if amount and amount.lower() in _WORDS else amount


def _after(prose: str, heading: str) -> str:
    return prose.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'").partition(heading)[2]


def _first_sentence(prose: str) -> str | None:
    for block in re.split(r"\n\s*\n", prose):
        text = " ".join(block.split())
        if text and not text.startswith(_NO_PARAGRAPH):
            return _WITHOUT_LINKS.sub(r"\1", re.match(r".*?[.!?](?=\s|$)|.+", text).group(0))
    return None


def _picture(path: Path, notebook: NotebookNode) -> bytes | Path | None:
    """The first image in the prose if it comes before any cell's figure, else the first figure."""
    for cell in notebook.cells:
        if cell.cell_type == "markdown":
            for match in _IMAGE.finditer(cell.source):
                source = unquote(match.group(1) or match.group(2))
                if source.startswith("attachment:"):
                    data = cell.attachments[source.removeprefix("attachment:")]
                    return base64.b64decode(next(iter(data.values())))
                if (path.parent / source).is_file():
                    return path.parent / source
        for output in cell.get("outputs", ()):
            data = output.get("data", {})
            if "image/svg+xml" in data:
                return data["image/svg+xml"].encode()
            if "image/png" in data:
                return base64.b64decode(data["image/png"])
    return None
