"""Draw the pictures of notebook 08: the roads to the devices, and the browser demo with a result.

python tools/draw_device_pictures.py              into notebooks/figures/
python tools/draw_device_pictures.py --to FOLDER  elsewhere, to look at them first

The demo is the page itself in headless chromium, with the bundled weights; run this again when they change.
"""

from __future__ import annotations

import argparse
import importlib.util
import io
import json
import shutil
import sys
import threading
from pathlib import Path
from types import ModuleType

import matplotlib

from litehrnet.files import data_path

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "notebooks" / "figures"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip
PERSON = 14  # of data/heldout
ENLARGED = 2  # the renderings are small, and the page shows a photograph pixel by pixel


def load_demo() -> ModuleType:
    """examples/browser/serve.py as a module."""
    spec = importlib.util.spec_from_file_location("serve_demo", ROOT / "examples" / "browser" / "serve.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


def photograph(target: Path, browser: str, checkpoint: Path | None = None) -> None:
    """Open the page, give it a rendering and its box, wait for the joints, and store what it shows.

    Args:
        target: the PNG to write.
        browser: path of the system's chromium.
        checkpoint: other weights than the bundled ones.
    """
    from PIL import Image
    from playwright.sync_api import Route, sync_playwright

    told = json.loads(data_path("heldout/people.json").read_text())
    bbox = next(person["bbox"] for person in told["annotations"] if person["image_id"] == PERSON)
    box = dict(zip(("x", "y", "width", "height"), (ENLARGED * side for side in bbox), strict=True))
    small = Image.open(data_path(f"heldout/{PERSON:06}.jpg"))
    picture = io.BytesIO()
    small.resize((ENLARGED * small.width, ENLARGED * small.height), Image.Resampling.LANCZOS).save(picture, "PNG")
    demo = load_demo()
    server = demo.make_server(demo.assemble(checkpoint=checkpoint))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_address[1]}/"

    def only_ours(route: Route) -> None:
        if route.request.url.startswith((home, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    try:
        with sync_playwright() as player:
            chromium = player.chromium.launch(executable_path=browser, args=QUIET)
            page = chromium.new_page(viewport={"width": 1000, "height": 1250})
            page.route("**/*", only_ours)
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
                    line.textContent = line.textContent.replace(/^\\d+ ms/, "… ms");
                }""",
                box,
            )
            page.screenshot(path=target, full_page=True)
            chromium.close()
    finally:
        server.shutdown()
        server.server_close()


def main(folder: Path, checkpoint: Path | None) -> None:
    """Write both pictures into `folder`."""
    from PIL import Image

    from litehrnet.course.draw import roads

    matplotlib.use("Agg")
    roads().savefig(folder / "08_take_it_to_devices.png")
    browser = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if browser is None:
        raise SystemExit(f"no browser found; one of these is needed: {', '.join(BROWSERS)}")
    target = folder / "08_browser_demo.png"
    photograph(target, browser, checkpoint)
    shown = Image.open(target).convert("RGB")
    shown.resize((800, round(800 * shown.height / shown.width)), Image.Resampling.LANCZOS).save(target, optimize=True)
    print(f"{target.name}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--to", type=Path, default=FIGURES, metavar="FOLDER", help="where to write")
    parser.add_argument("--checkpoint", type=Path, help="other weights than the bundled ones")
    arguments = parser.parse_args()
    main(arguments.to, arguments.checkpoint)
