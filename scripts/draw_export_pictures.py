"""Draw the opening pictures of notebooks 03, 04 and 05. Netron's pictures: scripts/netron_pictures.py.

python scripts/draw_export_pictures.py              into notebooks/figures/
python scripts/draw_export_pictures.py --to FOLDER  elsewhere, to look at them first
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

import matplotlib
import torch

import litehrnet
from litehrnet.blocks import FuseStep
from litehrnet.export import check_parity, export_onnx
from litehrnet.parity import TOLERANCE, Parity

FIGURES = Path(__file__).resolve().parents[1] / "notebooks" / "figures"


class TidyFuse(FuseStep):
    """The fuse step as everyone expects it, and as the trained weights do not."""

    def forward(self, xs: list[torch.Tensor]) -> list[torch.Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        return [torch.relu(sum(path(x) for path, x in zip(row, xs, strict=True))) for row in self]


def parities() -> dict[str, list[Parity]]:
    """A right file of dynamic size, and one whose fuse step is tidy, compared with the network."""
    sizes, batches = [(256, 192), (96, 160), (320, 32)], [1, 3]
    model = litehrnet.set_pooling(litehrnet.load_pretrained("litehrnet18"), "computed")
    tidy = litehrnet.set_pooling(litehrnet.load_pretrained("litehrnet18"), "computed")
    for part in tidy.modules():
        if isinstance(part, FuseStep):
            part.__class__ = TidyFuse
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        for name, exported in (("our file", model), ("tidy fuse step", tidy)):
            path = export_onnx(exported, Path(folder) / "model.onnx", dynamic="size", exporter="torchscript")
            results[name] = check_parity(model, path, sizes, batches)
    return results


def main(folder: Path) -> None:
    """Write the pictures into `folder`."""
    matplotlib.use("Agg")
    from litehrnet.draw import constants_wanted, parity_chart, window_gallery

    constants_wanted().savefig(folder / "03_watch_the_export_fail.png")
    window_gallery([(8, 2), (10, 3), (11, 4)]).savefig(folder / "04_fix_the_pooling.png")
    torch.set_num_threads(1)
    parity_chart(parities(), TOLERANCE).savefig(folder / "05_export_and_verify.png")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
