"""Draw the notebooks' opening pictures, and the browser demo with a result. Netron's: tools/netron_pictures.py.

    python tools/draw_pictures.py                     all, into notebooks/figures/
    python tools/draw_pictures.py 04_fix_the_pooling  some
    python tools/draw_pictures.py --to FOLDER         elsewhere, to look at them first

All show live networks, the bundled weights and the newest stored report; run it again when those change. The right
panel of two_runtimes shows rounding itself, so its pixels differ from processor to processor; nothing else does.
"""

from __future__ import annotations

import argparse
import io
import json
import tempfile
import threading
from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import torch
from chromium import wanted_browser, window
from course import ROOT, load_demo
from PIL import Image

import litehrnet
from litehrnet.complexity import count
from litehrnet.export import export_onnx
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, to_input
from litehrnet.images import read_image
from litehrnet.measure import stored_report
from litehrnet.model import with_fuse_step
from litehrnet.people import read_people
from litehrnet.runtimes import load

matplotlib.use("Agg")
from litehrnet.course import draw

FIGURES = ROOT / "notebooks" / "figures"
SIZE = (256, 192)
BOX = (20, 10, 345, 502)  # of the astronaut, as in notebook 06
PERSON = 14  # of data/heldout, as in notebook 08
ENLARGED = 2  # the renderings are small, and the demo shows a photograph pixel by pixel


# Networks and their answers


def heatmaps_of(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """PyTorch's heatmaps, (1, K, h, w)."""
    with torch.inference_mode():
        return network(torch.from_numpy(images)).numpy()


def heatmaps_of_file(network: torch.nn.Module, images: np.ndarray) -> np.ndarray:
    """ONNX Runtime's heatmaps from an exported file, (1, K, h, w)."""
    with tempfile.TemporaryDirectory() as folder:
        return load(export_onnx(network, Path(folder) / "model.onnx", exporter="torchscript"))(images)


def rendering() -> tuple[np.ndarray, list[float]]:
    """The rendered person and the box around them."""
    people = json.loads(data_path("heldout/people.json").read_text())["annotations"]
    box = next(person["bbox"] for person in people if person["image_id"] == PERSON)
    return read_image(data_path(f"heldout/{PERSON:06}.jpg")), box


# One function per picture


def two_runtimes() -> draw.CourseFigure:
    """The same heatmaps from PyTorch and from ONNX Runtime: the README's picture."""
    crop = held_out_crop()
    model, images = litehrnet.load_pretrained("litehrnet18"), to_input(crop)
    return draw.two_runtimes(crop, heatmaps_of(model, images), heatmaps_of_file(model, images))


def held_out_crop() -> np.ndarray:
    """The rendered person of notebooks 00 and 01, as the network gets them."""
    return crop_person(read_image(data_path("heldout/000020.jpg")), (43, 64, 73, 199), size=SIZE)[0]


def work_and_time() -> draw.CourseFigure:
    """The MACs of the network with channel weighting and of the one with 1x1 convolutions, both equally wide."""
    names = {"with channel weighting": "litehrnet18", "with 1×1 convolutions": "wider_naive_litehrnet18"}
    return draw.work_and_time({text: count(litehrnet.create_model(name), SIZE).macs for text, name in names.items()})


def right_and_wrong() -> draw.CourseFigure:
    """A right file, and one whose fuse step is tidy."""
    crop, _ = crop_person(*rendering())
    model = litehrnet.set_pooling(litehrnet.load_pretrained("litehrnet18"), "computed")
    images = to_input(crop)
    files = [heatmaps_of_file(network, images) for network in (model, with_fuse_step(model, "tidy"))]
    return draw.right_and_wrong(crop, heatmaps_of(model, images), *files)


def photograph_to_joints() -> draw.CourseFigure:
    """From a photograph to its joints."""
    image = read_image(data_path("astronaut.jpg"))
    crop, to_crop = crop_person(image, BOX)
    heatmaps = heatmaps_of(litehrnet.load_pretrained("litehrnet18"), to_input(crop))
    return draw.photograph_to_joints(image, BOX, crop, heatmaps, to_crop)


def stored_kernels() -> tuple[dict[str, float], float, str]:
    """Kernel times of the public and of the fused graph, what multiplying alone would take, and where that was."""
    report = stored_report()
    inside = report.notes["inside_onnxruntime"]
    times = {name: inside[kind]["kernel_ms"] for name, kind in (("public graph", "public graph"), ("fused", "fused"))}
    multiplying = inside["public graph"]["mega_macs"] / inside["peaks"]["gmacs"]
    note = f"Lite-HRNet-18 at 256x192, one thread; {report.machine['processor']}, {report.machine['date']}."
    return times, multiplying, note


def rest_of_the_time() -> draw.CourseFigure:
    """What the public graph's multiplications take of its time, and a question mark for the rest."""
    times, multiplying, note = stored_kernels()
    return draw.rest_of_the_time(times["public graph"], multiplying, note)


def still_to_gain() -> draw.CourseFigure:
    """The public and the fused graph, and a question mark for the least possible time."""
    times, _, note = stored_kernels()
    return draw.still_to_gain(times, note)


def labelled_people() -> draw.CourseFigure:
    """All that notebook 10 learns from."""
    people = read_people(data_path("own_joints/train.json"), data_path("heldout"))
    return draw.labelled_people(people, range(len(people)), columns=8)


def browser_demo() -> Image.Image:
    """The demo page in headless chromium, with a rendering and its box."""
    image, box = rendering()
    small = Image.fromarray(image)
    picture = io.BytesIO()
    small.resize((ENLARGED * small.width, ENLARGED * small.height), Image.Resampling.LANCZOS).save(picture, "PNG")
    sides = dict(zip(("x", "y", "width", "height"), (ENLARGED * side for side in box), strict=True))
    demo = load_demo()
    server = demo.make_server(demo.assemble())
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_address[1]}/"
    try:
        with window(wanted_browser(), home, 1000, 1250) as page:
            page.goto(home)
            page.wait_for_selector("body.ready", timeout=120_000)
            page.set_input_files("#file", {"name": "person.png", "mimeType": "image/png", "buffer": picture.getvalue()})
            page.wait_for_function("document.getElementById('status').textContent.includes(' ms in the network')")
            # The milliseconds are those of one machine at one minute: a stored picture shows none.
            page.evaluate(
                """async (box) => {
                    const app = await import("./app.js");
                    await app.useBox(box);
                    const line = document.getElementById("status");
                    line.textContent = line.textContent.replace(/^[\\d.]+ ms/, "… ms");
                }""",
                sides,
            )
            shown = Image.open(io.BytesIO(page.screenshot(full_page=True))).convert("RGB")
    finally:
        server.shutdown()
        server.server_close()
    return shown.resize((800, round(800 * shown.height / shown.width)), Image.Resampling.LANCZOS)


PICTURES: dict[str, Callable[[], draw.CourseFigure | Image.Image]] = {
    "two_runtimes": two_runtimes,
    "00_start_here": lambda: draw.two_roads(held_out_crop()),
    "01_meet_lite_hrnet": lambda: draw.four_sizes(held_out_crop()),
    "02_count_the_cost": work_and_time,
    "03_watch_the_export_fail": draw.constants_wanted,
    "04_fix_the_pooling": lambda: draw.window_gallery([(8, 2), (10, 3), (11, 4)]),
    "05_export_and_verify": right_and_wrong,
    "06_see_the_heatmaps": photograph_to_joints,
    "07_make_it_fast": rest_of_the_time,
    "08_take_it_to_devices": draw.roads,
    "08_browser_demo": browser_demo,
    "09_one_c_file": draw.register_tile,
    "10_teach_it_your_own_joints": labelled_people,
    "11_fewer_bits": lambda: draw.written_in_bits(0.31),
    "12_measure_the_limits": still_to_gain,
}


def main(arguments: list[str] | None = None) -> None:
    """Write the pictures that were asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="of a picture, without its suffix (default: all)")
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    options = parser.parse_args(arguments)
    if unknown := [name for name in options.names if name not in PICTURES]:
        parser.error(f"no picture {', '.join(unknown)}; there are: {', '.join(PICTURES)}")
    torch.set_num_threads(1)
    for name in options.names or PICTURES:
        picture = PICTURES[name]()
        drawn = isinstance(picture, draw.CourseFigure) and not picture.of_pixels
        target = options.to / f"{name}.{'svg' if drawn else 'png'}"
        if isinstance(picture, Image.Image):
            picture.save(target, optimize=True)
        else:
            target.write_bytes(picture.svg().encode() if drawn else picture.png())
        print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB", flush=True)


if __name__ == "__main__":
    main()
