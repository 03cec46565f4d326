"""Draw the course's pictures of ONNX graphs with Netron itself, in headless chromium.

python tools/netron_pictures.py              into notebooks/figures/
python tools/netron_pictures.py --to FOLDER  elsewhere, to look at them first

On a static page Netron's frame is a dead link, so a stored picture stands in. Each is exported by Netron's own menu
command, not photographed. Beside each PNG is a JSON file with a hash of the graph's nodes; tests/test_figures.py
makes the graphs again and says when a picture is out of date.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from chromium import wanted_browser, window
from course import ROOT

import litehrnet
from litehrnet.course import netron as graph
from litehrnet.export import export_onnx, export_pooling
from litehrnet.fusion import fuse

if TYPE_CHECKING:
    import onnx
    from playwright.sync_api import Route

DOTS_PER_INCH = 160  # of what Netron exports, so that its smallest words, 20 dots, are 9 points
FIGURES = ROOT / "notebooks" / "figures"
BLOCK = "/backbone/stage0/stage0.0/layers/layers.0/"
FUSED_BLOCK = "/stages.0/stages.0.1/blocks.0/"


@dataclass(frozen=True)
class Picture:
    """One stored picture of a graph.

    Attributes:
        name: of the PNG and JSON files, without suffix.
        shows: what the graph is, in a few words.
        make: writes the ONNX file into a folder and returns its path.
    """

    name: str
    shows: str
    make: Callable[[Path], Path]


def make_block(folder: Path) -> Path:
    """One conditional channel weighting block with two branches, cut out of the whole exported network."""
    model = litehrnet.create_model("litehrnet18", pooling="computed")
    whole = export_onnx(model, folder / "whole.onnx", exporter="torchscript")
    return cut(whole, BLOCK, folder / "conditional_channel_weighting.onnx")


def make_fused_block(folder: Path) -> Path:
    """The same block, as `litehrnet.fusion.fuse` writes it."""
    fused = fuse(litehrnet.create_model("litehrnet18"), (256, 192))
    whole = export_onnx(fused, folder / "whole.onnx", exporter="torchscript")
    return cut(whole, FUSED_BLOCK, folder / "fused_weighting.onnx")


def make_exploded_pooling(folder: Path) -> Path:
    """Adaptive pooling from 5x5 to 3x3 pixels as the newer exporter writes it."""
    return export_pooling(5, 3, "adaptive", folder / "adaptive_5_to_3.onnx", exporter="dynamo")


PICTURES = (
    Picture("05_block_in_netron", "one conditional channel weighting block with two branches", make_block),
    Picture("07_fused_block_in_netron", "the same block in the fused graph", make_fused_block),
    Picture("03_exploded_pooling", "one adaptive pooling, 5x5 to 3x3, by torch.export", make_exploded_pooling),
)


def cut(path: Path, prefix: str, target: Path) -> Path:
    """Extract the nodes whose names start with `prefix` into a file of their own.

    Raises:
        ValueError: no node has such a name.
    """
    import onnx

    whole = onnx.load_model(path).graph
    inside = [node for node in whole.node if node.name.startswith(prefix)]
    if not inside:
        raise ValueError(f"no node of {path.name} has a name that starts with {prefix}")
    weights = {tensor.name for tensor in whole.initializer} | {""}
    made = {name for node in inside for name in node.output}
    used = {name for node in whole.node if node not in inside for name in node.input}
    inputs = dict.fromkeys(name for node in inside for name in node.input if name not in made | weights)
    outputs = [name for node in inside for name in node.output if name in used]
    onnx.utils.extract_model(path, target, list(inputs), outputs)
    return target


def fingerprint(model: onnx.ModelProto) -> str:
    """A hash of a graph's nodes: their operators, integer attributes and how they are joined; no names, no weights."""
    numbers: dict[str, int] = {}
    rows = []
    for node in model.graph.node:
        attributes = sorted((a.name, a.i, tuple(a.ints), a.s.decode()) for a in node.attribute)
        joined = [numbers.get(name, -1) for name in node.input]
        rows.append([node.op_type, attributes, joined])
        for name in node.output:
            numbers[name] = len(numbers)
    return hashlib.sha256(json.dumps(rows).encode()).hexdigest()


def draw(path: Path, target: Path, browser: str) -> None:
    """Open a file in Netron, without a window, and store what its menu command "Export as PNG" gives."""
    host, port = graph.serve(path)
    address = f"http://{host}:{port}"

    def with_common_brackets(route: Route) -> None:
        """Netron puts sizes between two brackets that few fonts have."""
        response = route.fetch()
        route.fulfill(response=response, body=response.text().replace(r"\u3008", "(").replace(r"\u3009", ")"))

    try:
        with window(browser, address, 1280, 1600) as page:
            page.context.add_cookies([{"name": "consent", "value": "1", "url": address}])
            page.route(f"{address}/view.js*", with_common_brackets)
            page.goto(address)
            page.locator("body.default").wait_for(timeout=60_000)
            page.locator("g.graph-node, g.node").first.wait_for()
            with page.expect_download() as download:
                page.keyboard.press("Control+Shift+E")
            download.value.save_as(target)
    finally:
        graph.stop()


def shrink(path: Path, width: int) -> None:
    """Limit a picture's width and colours, so that the repository stays small; note how large it is meant to be."""
    from PIL import Image

    image = Image.open(path).convert("RGBA")
    resolution = DOTS_PER_INCH * min(width / image.width, 1.0)
    ground = Image.new("RGBA", image.size, "white")
    image = Image.alpha_composite(ground, image).convert("RGB")
    if image.width > width:
        image = image.resize((width, round(image.height * width / image.width)), Image.Resampling.LANCZOS)
    image.quantize(64).save(path, optimize=True, dpi=(resolution, resolution))


def main(folder: Path, width: int = 1400) -> None:
    """Write every picture and its JSON file into `folder`."""
    import onnx

    browser = wanted_browser()
    torch.set_num_threads(1)
    for picture in PICTURES:
        with tempfile.TemporaryDirectory() as temporary:
            path = picture.make(Path(temporary))
            target = folder / f"{picture.name}.png"
            draw(path, target, browser)
            shrink(target, width)
            model = onnx.load_model(path)
        facts = {"shows": picture.shows, "nodes": len(model.graph.node), "fingerprint": fingerprint(model)}
        (folder / f"{picture.name}.json").write_text(json.dumps(facts, indent=2) + "\n")
        print(f"{target.name}: {facts['nodes']} nodes, {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    main(parser.parse_args().to)
