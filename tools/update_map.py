"""Write the map of the course in notebook 00 from what the notebooks say about themselves; its outputs stay.

python tools/update_map.py            # write
python tools/update_map.py --check    # exit code 1 if the map is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

import nbformat
from course import ROOT, Card, card, numbered, read

START = ROOT / "notebooks" / "00_start_here.ipynb"
HEADING = "## The map of the course"
TABLE = re.compile(r"^\|.*\|$(?:\n\|.*\|$)*", re.MULTILINE)


def row(one: Card) -> str:
    """One line of the table; a title's second half says best what its notebook does, else the first sentence does."""
    title, _, rest = one.title.partition(": ")
    sentence = f"{rest[0].upper()}{rest[1:]}." if rest else one.sentence
    picture = ""
    if isinstance(one.picture, Path):
        source = one.picture.relative_to(START.parent).as_posix()
        picture = f'<img src="{source}" width="200" alt="Opening picture of notebook {one.number}">'
    minutes = re.sub(r" minutes?$", "", one.minutes)
    return f"| {picture} | [{one.number} {title}]({one.path.name}) | {sentence} | {minutes} |"


def updated(text: str) -> str:
    """The cell that holds the map, with its table written again.

    Raises:
        ValueError: there is not exactly one table in it.
    """
    lines = ["| | notebook | what you do | minutes |", "|---|---|---|---|"]
    lines += [row(card(path)) for path in numbered(START.parent)]
    new, count = TABLE.subn(lambda _: "\n".join(lines), text)
    if count != 1:
        raise ValueError(f"the map of the course is one table; its cell holds {count}")
    return new


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args().check
    notebook = read(START)
    (cell,) = (cell for cell in notebook.cells if HEADING in cell.source)
    new = updated(cell.source)
    if check:
        return int(new != cell.source)
    cell.source = new
    nbformat.write(notebook, START)
    return 0


if __name__ == "__main__":
    sys.exit(main())
