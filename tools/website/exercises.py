"""Links between an exercise and its solution."""

from __future__ import annotations

import re
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from nbformat import NotebookNode

from . import pages

_EXERCISE = re.compile(r"Exercise (\d+)\b")


def counterpart(path: Path) -> Path | None:
    """The notebook of a lesson's solutions, or the lesson of a notebook of solutions; None where there is none."""
    folder = path.parent
    other = (folder.parent if folder.name == "solutions" else folder / "solutions") / path.name
    return other if other.is_file() else None


def anchors(notebook: NotebookNode) -> dict[str, str]:
    """The anchor of each exercise's heading, by the exercise's number."""
    cells = (cell.source for cell in notebook.cells if cell.cell_type == "markdown" and _EXERCISE.search(cell.source))
    soup = BeautifulSoup("\n".join(pages.markdown(source) for source in cells), "html.parser")
    return {number: unquote(heading["id"]) for number, heading in _headings(soup).items()}


def connect(soup: BeautifulSoup, path: Path, other: Path, found: dict[str, str]) -> None:
    """Put a link below each exercise to its solution, or below each solution back to its exercise.

    Args:
        soup: the page of `path`; changed in place.
        path, other: the notebooks, as `counterpart` pairs them.
        found: the exercises' anchors in `other`.
    """
    solutions = path.parent.name == "solutions"
    target = f"../{other.name}" if solutions else f"solutions/{other.name}"
    for number, heading in _headings(soup).items():
        if number not in found:
            continue
        words = f"Back to exercise {number}" if solutions else "Solution"
        link = soup.new_tag("a", attrs={"href": f"{target}#{found[number]}"}, string=words)
        paragraph = soup.new_tag("p", attrs={"class": "beside"})
        paragraph.append(link)
        _last_of(heading).insert_after(paragraph)


def _headings(soup: BeautifulSoup) -> dict[str, Tag]:
    """The exercises' headings with an anchor, by number."""
    found = ((_EXERCISE.match(tag.get_text()), tag) for tag in soup(["h2", "h3"], id=True))
    return {match.group(1): tag for match, tag in found if match is not None}


def _last_of(heading: Tag) -> Tag:
    """The last part of the page that belongs to a heading: before the next part with a heading of its own."""
    part = heading.find_parent("section") or heading
    while (following := part.find_next_sibling()) is not None and not following.find(["h1", "h2", "h3"]):
        part = following
    return part
