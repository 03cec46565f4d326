"""Draw the opening pictures of notebooks 00 and 06, from the weights that come with the course.

python tools/draw_heatmap_pictures.py              into notebooks/figures/
python tools/draw_heatmap_pictures.py --to FOLDER  elsewhere, to look at them first
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib
import torch

import litehrnet
from litehrnet.export import export_onnx
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, read_image, to_input
from litehrnet.runtimes import load

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"
BOX = (20, 10, 345, 502)  # as in the notebooks


def main(folder: Path) -> None:
    """Write both pictures into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.course import draw

    image = read_image(data_path("astronaut.jpg"))
    crop, to_crop = crop_person(image, BOX)
    images = to_input(crop)
    model = litehrnet.load_pretrained("litehrnet18")
    with torch.inference_mode():
        heatmaps = model(torch.from_numpy(images)).numpy()
    with tempfile.TemporaryDirectory() as temporary:
        got = load(export_onnx(model, Path(temporary) / "model.onnx", exporter="torchscript"))(images)
    draw.two_runtimes(crop, heatmaps, got).savefig(folder / "00_start_here.png")
    draw.photograph_to_joints(image, BOX, crop, heatmaps, to_crop).savefig(folder / "06_see_the_heatmaps.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
