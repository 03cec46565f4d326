"""Draw the opening pictures of notebooks 03, 04 and 05. Netron's pictures: tools/netron_pictures.py.

python tools/draw_export_pictures.py              into notebooks/figures/
python tools/draw_export_pictures.py --to FOLDER  elsewhere, to look at them first
"""

from __future__ import annotations

import argparse
import json
import tempfile
from pathlib import Path

import matplotlib
import numpy as np
import torch

import litehrnet
from litehrnet.export import export_onnx
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, read_image, to_input
from litehrnet.model import with_fuse_step
from litehrnet.runtimes import load

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"


def heatmaps() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """A rendered person's crop; its heatmaps from PyTorch, from a right file, and from one whose fuse step is tidy."""
    number = 14  # as in notebook 08
    people = json.loads(data_path("heldout/people.json").read_text())["annotations"]
    crop, _ = crop_person(read_image(data_path(f"heldout/{number:06}.jpg")), people[number]["bbox"])
    images = to_input(crop)
    model = litehrnet.set_pooling(litehrnet.load_pretrained("litehrnet18"), "computed")
    tidy = with_fuse_step(model, "tidy")
    with torch.inference_mode():
        found = [model(torch.from_numpy(images)).numpy()]
    with tempfile.TemporaryDirectory() as folder:
        for network in (model, tidy):
            path = export_onnx(network, Path(folder) / "model.onnx", exporter="torchscript")
            found.append(load(path)(images))
    return crop, *found


def main(folder: Path) -> None:
    """Write the pictures into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.course.draw import constants_wanted, right_and_wrong, window_gallery

    constants_wanted().savefig(folder / "03_watch_the_export_fail.png")
    window_gallery([(8, 2), (10, 3), (11, 4)]).savefig(folder / "04_fix_the_pooling.png")
    torch.set_num_threads(1)
    right_and_wrong(*heatmaps()).savefig(folder / "05_export_and_verify.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
