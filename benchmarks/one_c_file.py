"""Run lesson 09 on this machine and store what it measures, for readers without a C compiler.

python benchmarks/one_c_file.py              # writes benchmarks/one_c_file/DATE.json in about two minutes
python benchmarks/one_c_file.py --to FOLDER  # elsewhere
"""

from __future__ import annotations

import argparse
from datetime import datetime, timezone
from pathlib import Path

import matplotlib
import nbformat

matplotlib.use("Agg")  # the lesson's figures are drawn, but not shown

HERE = Path(__file__).resolve().parent
LESSON = HERE.parent / "notebooks" / "09_one_c_file.ipynb"


def run_lesson() -> dict[str, object]:
    """What the lesson's cells define, run from top to bottom in a namespace of their own."""
    namespace: dict[str, object] = {}
    for cell in nbformat.read(LESSON, as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, LESSON.name, "exec"), namespace)
    return namespace


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--to", type=Path, default=HERE / "one_c_file", metavar="FOLDER", help="where to write")
    folder = parser.parse_args().to
    lab = run_lesson()["lab"]
    if not lab.compiles:
        parser.error(str(lab))
    folder.mkdir(parents=True, exist_ok=True)
    target = folder / f"{datetime.now(timezone.utc).date().isoformat()}.json"
    lab.write(target)
    print(target)


if __name__ == "__main__":
    main()
