"""Draw the opening pictures of notebooks 03 and 04. That of notebook 05 is Netron's: scripts/netron_pictures.py.

python scripts/draw_export_pictures.py              into notebooks/figures/
python scripts/draw_export_pictures.py --to FOLDER  elsewhere, to look at them first
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"


def main(folder: Path) -> None:
    """Write both pictures into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.draw import constants_wanted, window_gallery

    constants_wanted().savefig(folder / "03_watch_the_export_fail.png")
    window_gallery([(8, 2), (10, 3), (11, 4)]).savefig(folder / "04_fix_the_pooling.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
