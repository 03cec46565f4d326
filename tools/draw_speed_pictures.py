"""Draw the opening picture of notebook 07 from the newest report in benchmarks/.

python tools/draw_speed_pictures.py              into notebooks/figures/
python tools/draw_speed_pictures.py --to FOLDER  elsewhere, to look at it first
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

from litehrnet.measure import stored_report

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"


def main(folder: Path) -> None:
    """Write 07_make_it_fast.png into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.course import draw

    report = stored_report()
    inside = report.notes["inside_onnxruntime"]
    profiles = {
        name: inside[key]["by_kind_ms"] for name, key in (("public graph", "public graph"), ("fused graph", "fused"))
    }
    note = f"Lite-HRNet-18 at 256x192, one thread; {report.machine['processor']}, {report.machine['date']}."
    draw.time_by_kind(profiles, note).savefig(folder / "07_make_it_fast.png")
    print(folder / "07_make_it_fast.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
