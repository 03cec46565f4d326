"""The browser demo: in headless chromium it gives Python's heatmaps and joints, and it refuses what is no image."""

from __future__ import annotations

import base64
import importlib.util
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person, decode, read_image, to_image, to_input
from litehrnet.runtimes import load

SIZE = (256, 192)


@pytest.fixture(scope="module")
def demo(root: Path) -> ModuleType:
    """examples/browser/serve.py as a module."""
    spec = importlib.util.spec_from_file_location("serve_demo", root / "examples" / "browser" / "serve.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def folder(demo: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo, put together; skips where the page's runtime cannot be fetched."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine, which fetches onnxruntime-web")
    return demo.assemble(tmp_path_factory.mktemp("demo"))


@pytest.fixture(scope="module")
def page(demo: ModuleType, folder: Path, browser_path: str) -> Iterator[object]:
    """The page, loaded and ready, with every request to another host refused and counted."""
    sync_api = pytest.importorskip("playwright.sync_api")
    server = demo.make_server(folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    home = f"http://127.0.0.1:{server.server_address[1]}/"
    elsewhere: list[str] = []

    def route(call: object) -> None:
        if call.request.url.startswith((home, "data:", "blob:")):
            call.continue_()
        else:
            elsewhere.append(call.request.url)
            call.abort()

    with sync_api.sync_playwright() as player:
        browser = player.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu"])
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        page.elsewhere = elsewhere
        page.route("**/*", route)
        page.goto(home)
        page.wait_for_selector("body.ready", timeout=120_000)
        yield page
        browser.close()
    server.shutdown()
    server.server_close()


def encode(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


@pytest.mark.browser
def test_the_page_gives_pythons_heatmaps_on_a_stored_input(page: object, folder: Path) -> None:
    """One tensor, through ONNX Runtime in the page and in Python: equal within 1e-4 of the largest value."""
    crop, _ = crop_person(read_image(data_path("astronaut.jpg")), (120, 0, 300, 512), SIZE)
    x = to_input(crop)
    expected = load(folder / "model.onnx")(x)
    answer = page.evaluate(
        """async (text) => {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const app = await import("./app.js");
            const result = await app.runNetwork(new Float32Array(bytes.buffer));
            return {heatmaps: Array.from(result.heatmaps), shape: [result.joints, result.h, result.w]};
        }""",
        encode(x),
    )
    got = np.array(answer["heatmaps"], np.float32).reshape(1, *answer["shape"])
    assert got.shape == expected.shape == (1, 17, 64, 48)
    assert np.abs(got - expected).max() <= 1e-4 * np.abs(expected).max()


@pytest.mark.browser
@pytest.mark.parametrize("box", [(0.0, 0.0, 512.0, 512.0), (150.5, -20.0, 200.0, 380.0)])
def test_the_page_finds_pythons_joints_on_a_png(
    page: object, folder: Path, tmp_path: Path, box: tuple[float, float, float, float]
) -> None:
    """A PNG goes through the page's own reading, cropping and decoding; joints agree within a pixel."""
    from PIL import Image

    photo = read_image(data_path("astronaut.jpg"))
    picture = tmp_path / "photo.png"
    Image.fromarray(photo).save(picture)
    crop, to_crop = crop_person(photo, box, SIZE)
    joints, scores = decode(load(folder / "model.onnx")(to_input(crop)))
    expected = to_image(joints[0], to_crop)

    page.set_input_files("#file", picture)
    page.wait_for_function("document.getElementById('status').textContent.includes(' ms in the network')")
    answer = page.evaluate(
        """async ([x, y, width, height]) => {
            const app = await import("./app.js");
            await app.useBox({x, y, width, height});
            return Array.from(document.querySelectorAll("#joints tr")).map(
                (row) => Array.from(row.children).slice(1).map((cell) => Number(cell.textContent)));
        }""",
        list(box),
    )
    got = np.array(answer)  # (K, 3): x, y, score, rounded as the table shows them
    assert got.shape == (17, 3)
    sure = scores[0] > 0.2  # a flat map's peak may fall anywhere after another rounding
    assert sure.sum() >= 1
    assert np.abs(got[sure, :2] - expected[sure]).max() <= 1.0
    assert np.abs(got[:, 2] - scores[0]).max() <= 0.02


@pytest.mark.browser
def test_the_page_refuses_what_is_no_image(page: object, tmp_path: Path) -> None:
    """A text file under an image's name, and an empty file: one sentence, and the page goes on."""
    for name, content in (("notes.png", b"this is no picture"), ("empty.jpg", b"")):
        (tmp_path / name).write_bytes(content)
        page.set_input_files("#file", tmp_path / name)
        page.wait_for_function(f"document.getElementById('status').textContent.includes('{name}')")
        assert page.locator("#status").get_attribute("data-kind") == "error"
        assert "not a photograph" in page.locator("#status").inner_text()


@pytest.mark.browser
def test_the_page_asks_no_other_host(page: object) -> None:
    assert page.elsewhere == []


def test_without_npm_the_demo_says_what_to_do(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(demo.shutil, "which", lambda name: None)
    with pytest.raises(RuntimeError, match=r"npm fetches onnxruntime-web@[\d.]+.*--package"):
        demo.fetch_runtime(tmp_path / "ort")


def test_the_page_and_the_package_share_their_constants(root: Path) -> None:
    """pose.js repeats numbers of heatmaps.py; they must not drift apart."""
    import re

    from litehrnet import heatmaps

    text = (root / "examples" / "browser" / "pose.js").read_text()
    numbers = {name: re.search(rf"export const {name} = (.*?);", text, re.S)[1] for name in ("MEAN", "STD")}
    assert tuple(map(float, numbers["MEAN"].strip("[]").split(","))) == heatmaps.MEAN
    assert tuple(map(float, numbers["STD"].strip("[]").split(","))) == heatmaps.STD
    names = tuple(re.findall(r'"([^"]+)"', re.search(r"export const NAMES = \[(.*?)\];", text, re.S)[1]))
    assert names == heatmaps.COCO_NAMES
    pairs = re.findall(r"\[(\d+), (\d+)\]", re.search(r"export const SKELETON = \[(.*?)\];", text, re.S)[1])
    assert tuple((int(a), int(b)) for a, b in pairs) == heatmaps.COCO_SKELETON
