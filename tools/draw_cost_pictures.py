"""Draw the opening pictures of notebooks 01 and 02, from the live networks.

python tools/draw_cost_pictures.py              into notebooks/figures/
python tools/draw_cost_pictures.py --to FOLDER  elsewhere, to look at them first
"""

from __future__ import annotations

import argparse
from pathlib import Path

import matplotlib

import litehrnet
from litehrnet.complexity import count

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"
SIZE = (256, 192)


def main(folder: Path) -> None:
    """Write both pictures into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.course import draw

    models = {name: litehrnet.create_model(name) for name in litehrnet.VARIANTS}
    draw.four_resolutions(models["litehrnet18"], SIZE).savefig(folder / "01_meet_lite_hrnet.png")
    parts = {name: count(model, SIZE).by_part for name, model in models.items()}
    before = parts["wider_naive_litehrnet18"]["pointwise"] / 1e6
    after = parts["litehrnet18"]["cross_resolution"] / 1e6
    text = f"Channel weighting did its work: {before:.1f} (orange, last bar) became {after:.1f} (pink, first bar)."
    draw.part_bars(parts, "MACs, millions, at 256×192", text).savefig(folder / "02_count_the_cost.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
