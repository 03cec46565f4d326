"""Write the two made parts of README.md: the table of notebooks, and the measured table.

python scripts/update_readme.py            # write
python scripts/update_readme.py --check    # exit code 1 if README.md is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from course import ROOT, card, numbered

README = ROOT / "README.md"
SHOWN = "| 1 | 256x192 | litehrnet18: "  # threads, input and model of the rows that README.md shows


def notebooks() -> str:
    """The table of notebooks: picture, title, sentence and minutes, as each says of itself."""
    lines = ["| | notebook | time |", "|---|---|---|"]
    for path in numbered(ROOT / "notebooks"):
        one = card(path)
        link = path.relative_to(ROOT).as_posix()
        picture = ""
        if isinstance(one.picture, Path):
            source = one.picture.relative_to(ROOT).as_posix()
            picture = f'<img src="{source}" alt="Opening picture of notebook {one.number}" width="220">'
        minutes = one.minutes.replace(" ", "&nbsp;")
        lines.append(f"| {picture} | **[{one.number}]({link})** {one.title}<br>{one.sentence} | {minutes} |")
    return "\n".join(lines)


def measured() -> str:
    """The head of the newest dated run in benchmarks/, and the rows of its first table that matter most."""
    runs = sorted((ROOT / "benchmarks").glob("20[0-9][0-9]-*.md"))
    if not runs:
        return "No run is stored yet; `make bench` makes one."
    blocks = re.split(r"\n\s*\n", runs[-1].read_text())
    head = next(block for block in blocks if not block.startswith(("#", "!", "|")))
    table = next(block for block in blocks if block.startswith("|")).splitlines()
    rows = [line for line in table[2:] if SHOWN in line]
    link = runs[-1].relative_to(ROOT).as_posix()
    shown = "\n".join([*table[:2], *rows])
    return f"{head}\n\n{shown}\n\nOther sizes, variants and thread counts, and what was tried: [{link}]({link})."


def updated(text: str) -> str:
    """README.md with both parts written anew.

    Raises:
        ValueError: a marker is missing.
    """
    for name, make in (("notebooks", notebooks), ("measured", measured)):
        pattern = re.compile(rf"(<!-- {name}: [^>]*-->\n).*?(<!-- end of {name} -->)", re.DOTALL)
        if not pattern.search(text):
            raise ValueError(f"README.md has no part {name!r}")
        part = make()
        text = pattern.sub(lambda match, part=part: f"{match.group(1)}\n{part}\n\n{match.group(2)}", text)
    return text


def main() -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true")
    text = README.read_text()
    new = updated(text)
    if parser.parse_args().check:
        return int(new != text)
    README.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
