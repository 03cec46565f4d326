"""Write the generated parts of README.md: the table of notebooks, and the two measured tables.

python tools/update_readme.py            # write
python tools/update_readme.py --check    # exit code 1 if README.md is not up to date
"""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from course import ROOT, card, numbered

from litehrnet.measure.report import newest_run

README = ROOT / "README.md"
SHOWN = "| 1 | 256x192 | litehrnet18: "  # threads, input and model of the rows that README.md shows
COLUMNS = ("runtime", "graph", "precision", "ms, 1 thread", "times as fast", "second thread", "file MB", "peak MB")
COLUMNS += ("mean shift px, renderings", "OKS, renderings")  # of the devices' table


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
    run = newest_run(ROOT / "benchmarks", ".md")
    blocks = re.split(r"\n\s*\n", run.read_text())
    head = next(block for block in blocks if not block.startswith(("#", "!", "|")))
    table = next(block for block in blocks if block.startswith("|")).splitlines()
    rows = [line for line in table[2:] if SHOWN in line]
    link = run.relative_to(ROOT).as_posix()
    shown = "\n".join([*table[:2], *rows])
    return f"{head}\n\n{shown}\n\nOther sizes, variants and thread counts, and what was tried: [{link}]({link})."


def devices() -> str:
    """The newest dated run in benchmarks/devices/, the columns that matter most."""
    run = newest_run(ROOT / "benchmarks" / "devices", ".md")
    lines = [line for line in run.read_text().splitlines() if line.startswith("|")]
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    chosen = [rows[0].index(name) for name in COLUMNS]
    shown = "\n".join("| " + " | ".join(row[index] for index in chosen) + " |" for row in rows)
    link = run.relative_to(ROOT).as_posix()
    return f"{shown}\n\nHow it was measured, and the rest of the columns: [{link}]({link})."


def updated(text: str) -> str:
    """README.md with all generated parts written again.

    Raises:
        ValueError: a marker is missing.
    """
    for name, make in (("notebooks", notebooks), ("measured", measured), ("devices", devices)):
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
