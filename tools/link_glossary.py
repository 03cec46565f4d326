"""Link each notebook's first use of every term to the glossary. Run again, it changes nothing.

    python tools/link_glossary.py            # all numbered notebooks
    python tools/link_glossary.py --check    # exit code 1 if a link is missing

Titles, the opening above its folded lists, headings, code, formulas, tables and links stay as they are.
"""

from __future__ import annotations

import argparse
import re
import sys
from dataclasses import dataclass
from pathlib import Path

import nbformat
from course import ROOT, numbered, read
from nbformat import NotebookNode

GLOSSARY = ROOT / "notebooks" / "glossary.md"
# Words with another meaning, too, so that a link would often mislead.
EVERYDAY = {"exact", "kernel", "module", "path", "trace"}

_TERM = re.compile(r'^- <a id="([a-z0-9-]+)"></a>\*\*(.+?)\*\*:', re.MULTILINE)
# What stays as it is: fenced code, formulas, inline code, links and pictures, tags, headings, rows of tables.
_UNTOUCHED = (
    r"```.*?```|\$\$.*?\$\$|(?<!\\)\$[^$\n]+\$|`[^`]*`|!?\[[^\]]*\]\([^)]*\)|<summary>.*?</summary>|<[^>]+>"
    r"|^ *#.*?$|^ *\|.*?$|https?://\S+"
)


@dataclass(frozen=True)
class Term:
    """One line of the glossary.

    Attributes:
        anchor: its name in a link.
        pattern: how it is recognised, in the singular or plural.
        untouched: where it is not looked for: code and the like, and longer terms that hold it.
    """

    anchor: str
    pattern: re.Pattern[str]
    untouched: re.Pattern[str]


def terms(glossary: str) -> list[Term]:
    """The terms that are linked."""
    words = {word: anchor for anchor, word in _TERM.findall(glossary)}
    found = []
    for word, anchor in words.items():
        if word in EVERYDAY:
            continue
        longer = [re.escape(other) for other in words if word.lower() in other.lower() and word != other]
        untouched = re.compile("|".join([*longer, _UNTOUCHED]), re.MULTILINE | re.DOTALL)
        flags = 0 if re.search("[A-Z]", word) else re.IGNORECASE
        found.append(Term(anchor, re.compile(rf"(?<![\w-]){re.escape(word)}s?(?![\w-])", flags), untouched))
    return found


def link(notebook: NotebookNode, wanted: list[Term]) -> bool:
    """Add, in place, the links that are missing; returns whether there were any."""
    cells = [cell for cell in notebook.cells if cell.cell_type == "markdown"]
    changed = False
    for term in wanted:
        if any(f"glossary.md#{term.anchor})" in cell.source for cell in cells):
            continue
        for number, cell in enumerate(cells):
            start = _end_of_opening(cell.source) if number == 0 else 0
            new = cell.source[:start] + _link_first(cell.source[start:], term)
            if new != cell.source:
                cell.source, changed = new, True
                break
    return changed


def _end_of_opening(source: str) -> int:
    match = re.search(r"^<details>", source, re.MULTILINE)
    return match.start() if match else len(source)


def _link_first(source: str, term: Term) -> str:
    position = 0
    for untouched in [*term.untouched.finditer(source), None]:
        end = untouched.start() if untouched else len(source)
        if match := term.pattern.search(source, position, end):
            return f"{source[: match.start()]}[{match.group()}](glossary.md#{term.anchor}){source[match.end() :]}"
        position = untouched.end() if untouched else end
    return source


def link_file(path: Path, *, write: bool = True) -> bool:
    """Link one notebook; returns whether links were missing."""
    notebook = read(path)
    missing = link(notebook, terms(GLOSSARY.read_text()))
    if missing and write:
        nbformat.write(notebook, path)
    return missing


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    check = parser.parse_args(arguments).check
    missing = [path.name for path in numbered(ROOT / "notebooks") if link_file(path, write=not check)]
    if missing:
        print(f"{'without all links' if check else 'linked'}: {', '.join(missing)}")
    return int(check and bool(missing))


if __name__ == "__main__":
    sys.exit(main())
