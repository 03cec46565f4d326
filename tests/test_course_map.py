"""The map of the course in notebook 00 says of every notebook what that notebook says of itself."""

from __future__ import annotations

import re
from pathlib import Path

import nbformat
import pytest
import update_map
from course import card, numbered

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
ROW = re.compile(
    r"^\| (?:<img src=\"(?P<picture>[^\"]+)\"[^>]*alt=\"[^\"]+\"> )?\| \[(?P<number>\d\d) [^\]]+\]\((?P<file>[^)]+)\) "
    r"\| (?P<sentence>[^|]+) \| (?P<minutes>[\d to]+) \|$",
    re.MULTILINE,
)


def text_of_the_map() -> str:
    """The source of the cell that holds the map."""
    cells = nbformat.read(NOTEBOOKS / "00_start_here.ipynb", as_version=4).cells
    (text,) = (cell.source for cell in cells if update_map.HEADING in cell.source)
    return text


def rows() -> dict[str, re.Match[str]]:
    """The rows of the map by file name."""
    return {row["file"]: row for row in ROW.finditer(text_of_the_map())}


def test_the_map_is_what_the_script_writes() -> None:
    assert update_map.updated(text_of_the_map()) == text_of_the_map(), "run tools/update_map.py"


@pytest.mark.parametrize("text", ["no table", "| a |\n\n| b |"])
def test_only_one_table_is_replaced(text: str) -> None:
    with pytest.raises(ValueError, match="one table"):
        update_map.updated(text)


def test_every_notebook_is_on_the_map_in_order() -> None:
    assert list(rows()) == [path.name for path in numbered(NOTEBOOKS)]


@pytest.mark.parametrize("path", numbered(NOTEBOOKS), ids=lambda path: path.stem)
def test_the_map_agrees_with_the_notebook(path: Path) -> None:
    row, notebook = rows()[path.name], card(path)
    assert row["number"] == notebook.number
    assert row["sentence"].rstrip(".").lower() in f"{notebook.title} {notebook.sentence}".lower()
    assert row["minutes"] == notebook.minutes.removesuffix(" minutes")
    assert row["picture"] and NOTEBOOKS / row["picture"] == notebook.picture
