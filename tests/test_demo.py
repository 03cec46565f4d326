"""The browser demo in headless chromium: Python's heatmaps and joints from both engines, how fast they are, the last
choice wins, faults are sentences."""

from __future__ import annotations

import base64
import contextlib
import http.client
import importlib.util
import io
import json
import re
import shutil
import socket
import subprocess
import sys
import tarfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
from bounds import same, within
from PIL import Image

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
    """The demo with both engines, put together; skips where one of them cannot be had."""
    if shutil.which("npm") is None:
        pytest.skip("no npm on this machine, which fetches onnxruntime-web")
    folder = demo.assemble(tmp_path_factory.mktemp("demo"))
    for reason in json.loads((folder / "model.json").read_text())["leftOut"]:
        pytest.skip(f"no C engine for the browser here: {reason}")
    return folder


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
        camera = ["--use-fake-device-for-media-stream", "--use-fake-ui-for-media-stream"]
        browser = player.chromium.launch(executable_path=browser_path, args=["--no-sandbox", "--disable-gpu", *camera])
        page = browser.new_page(viewport={"width": 1100, "height": 1400})
        page.elsewhere = elsewhere
        page.asked = []
        page.on("request", lambda request: page.asked.append(request.url))
        page.route("**/*", route)
        page.goto(home)
        page.wait_for_selector("body.ready", timeout=120_000)
        yield page
        browser.close()
    server.shutdown()
    server.server_close()


def encode(array: np.ndarray) -> str:
    return base64.b64encode(np.ascontiguousarray(array).tobytes()).decode()


@pytest.mark.numeric
@pytest.mark.browser
@pytest.mark.parametrize("engine", ["c", "onnxruntime"])
def test_the_page_gives_pythons_heatmaps_on_a_stored_input(page: object, folder: Path, engine: str) -> None:
    """One tensor, through an engine in the page and ONNX Runtime in Python: equal within 1e-4 of the largest value."""
    crop, _ = crop_person(read_image(data_path("astronaut.jpg")), (120, 0, 300, 512), SIZE)
    x = to_input(crop)
    expected = load(folder / "model.onnx")(x)
    answer = page.evaluate(
        """async ([text, engine]) => {
            const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
            const app = await import("./app.js");
            const result = await app.runNetwork(new Float32Array(bytes.buffer), engine);
            return {heatmaps: Array.from(result.heatmaps), shape: [result.joints, result.h, result.w]};
        }""",
        [encode(x), engine],
    )
    got = np.array(answer["heatmaps"], np.float32).reshape(1, *answer["shape"])
    assert got.shape == expected.shape == (1, 17, 64, 48)
    same(got, expected, 1e-4)


@pytest.mark.browser
def test_all_engines_are_timed_in_the_page(page: object) -> None:
    """The C engine is the faster one; how much faster is measured on a quiet machine."""
    set_photo(page, as_upload(read_image(data_path("astronaut.jpg"))))
    page.click("#compare")
    page.wait_for_function("document.getElementById('times').textContent.includes('times as')", timeout=60_000)
    shown = re.fullmatch(
        r"the C engine [\d.]+ ms\. ONNX Runtime [\d.]+ ms, ([\d.]+) times as long; "
        r"the heatmaps differ by (\de-\d) of their largest value\.",
        page.locator("#times").inner_text(),
    )
    assert shown is not None
    assert float(shown[1]) > 1.2
    assert float(shown[2]) <= 1e-4
    assert sum(url.endswith("ort-wasm-simd-threaded.wasm") for url in page.asked) == 1
    assert page.inner_text("#compare") == "Time them" and page.is_enabled("#compare")
    assert not page.is_visible("#progress")


@pytest.mark.browser
def test_another_engine_finds_the_same_joints(page: object) -> None:
    set_photo(page, as_upload(read_image(data_path("astronaut.jpg"))))
    first = shown_joints(page)
    assert "with the C engine" in page.locator("#status").inner_text()
    page.check("input[value=onnxruntime]")
    page.wait_for_function("document.getElementById('status').textContent.includes('with ONNX Runtime')")
    assert np.abs(shown_joints(page) - first).max() <= 0.1
    page.check("input[value=c]")
    page.wait_for_function("document.getElementById('status').textContent.includes('with the C engine')")
    assert np.array_equal(shown_joints(page), first)


@pytest.mark.browser
@pytest.mark.parametrize("gone", ["model.onnx", "ort/ort.wasm.bundle.min.mjs", "ort/ort-wasm-simd-threaded.wasm"])
def test_the_page_works_without_the_other_engines_files(
    page: object, demo: ModuleType, folder: Path, gone: str
) -> None:
    """They are fetched when they are asked for, and one that is missing is named."""
    with another_page(page, demo, folder, without=gone) as other:
        other.wait_for_selector("body.ready")
        other.check("input[value=onnxruntime]")
        other.wait_for_selector("#status[data-kind=error]", timeout=20_000)
        assert f"{gone} is missing" in other.locator("#status").inner_text()
        assert other.is_checked("input[value=c]")
        set_photo(other, as_upload(read_image(data_path("astronaut.jpg"))))
        assert "with the C engine" in other.inner_text("#status")


@pytest.mark.browser
@pytest.mark.parametrize("box", [(0.0, 0.0, 512.0, 512.0), (150.5, -20.0, 200.0, 380.0)])
def test_the_page_finds_pythons_joints_on_a_png(
    page: object, folder: Path, tmp_path: Path, box: tuple[float, float, float, float]
) -> None:
    """A PNG goes through the page's own reading, cropping and decoding; joints agree within a pixel."""
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


@pytest.mark.parametrize("failing", ["build_engine", "fetch_runtime", "both"])
def test_one_engine_is_enough(
    demo: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, failing: str
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("it cannot be had")

    def works(target: Path, _: object = None) -> None:
        folder = target if target.name == "ort" else target.parent
        folder.mkdir(exist_ok=True)
        for name in ("litehrnet.wasm", *(Path(name).name for name in demo.FILES)):
            (folder / name).write_bytes(b"wasm")

    for name in ("build_engine", "fetch_runtime"):
        monkeypatch.setattr(demo, name, fails if failing in (name, "both") else works)
    monkeypatch.setattr(demo, "export_onnx", lambda _, path, **__: path.write_bytes(b"onnx"))
    monkeypatch.setattr(demo, "BUILD", tmp_path / "demo")
    monkeypatch.setattr(sys, "argv", ["serve.py", "--build-only"])
    code = demo.main()
    said = capsys.readouterr().err
    assert said.startswith("demo: ") and "it cannot be had" in said and len(said.splitlines()) == 1
    assert code == (1 if failing == "both" else 0)
    if failing != "both":
        about = json.loads((tmp_path / "demo" / "model.json").read_text())
        expected = {"build_engine": ["onnxruntime", "webgpu"], "fetch_runtime": ["c"]}[failing]
        assert [engine["name"] for engine in about["engines"]] == expected


def test_the_page_and_the_package_share_their_constants(root: Path) -> None:
    """pose.js repeats numbers of heatmaps.py; they must not drift apart."""
    from litehrnet import heatmaps

    text = (root / "examples" / "browser" / "pose.js").read_text()
    numbers = {name: re.search(rf"export const {name} = (.*?);", text, re.S)[1] for name in ("MEAN", "STD")}
    assert tuple(map(float, numbers["MEAN"].strip("[]").split(","))) == heatmaps.MEAN
    assert tuple(map(float, numbers["STD"].strip("[]").split(","))) == heatmaps.STD


def test_the_page_is_told_names_bones_paddings_and_threshold(demo: ModuleType, folder: Path) -> None:
    """What `litehrnet predict` uses goes into model.json, so that page and command cannot drift apart."""
    from litehrnet.cli import predict
    from litehrnet.heatmaps import COCO_NAMES, COCO_SKELETON

    about = json.loads((folder / "model.json").read_text())
    size_of = {path.name: path.stat().st_size for path in folder.rglob("*") if path.is_file()}
    assert about == {
        "size": list(SIZE),
        "joints": {"names": list(COCO_NAMES), "skeleton": [list(bone) for bone in COCO_SKELETON]},
        "padding": predict.PADDING,
        "wholePadding": predict.WHOLE_PADDING,
        "leastScore": predict.LEAST_SCORE,
        "engines": [
            {"name": "c", "label": "the C engine", "bytes": size_of["litehrnet.wasm"], "weights": size_of["model.lhr"]},
            *(
                {
                    "name": name,
                    "label": label,
                    "bytes": sum(size_of[Path(file).name] for file in files),
                    "weights": size_of["model.onnx"],
                }
                for name, label, files in demo.RUNTIMES
            ),
        ],
        "leftOut": [],
        "sample": {"file": "sample.jpg", "box": list(demo.SAMPLE_BOX)},
    }
    assert (folder / "sample.jpg").read_bytes() == data_path("astronaut.jpg").read_bytes()


def set_photo(page: object, picture: object) -> None:
    page.evaluate("document.getElementById('status').textContent = ''")
    page.set_input_files("#file", picture)
    page.wait_for_function("document.getElementById('status').textContent.includes(' ms in the network')")


def shown_joints(page: object) -> np.ndarray:
    """(K, 3): x, y and score, as the table shows them."""
    return np.array(
        page.evaluate(
            """() => Array.from(document.querySelectorAll("#joints tr")).map(
                (row) => Array.from(row.children).slice(1).map((cell) => Number(cell.textContent)))"""
        )
    )


def as_upload(photo: np.ndarray, name: str = "photo.png") -> dict[str, object]:
    memory = io.BytesIO()
    Image.fromarray(photo).save(memory, "PNG")
    return {"name": name, "mimeType": "image/png", "buffer": memory.getvalue()}


@pytest.mark.browser
@pytest.mark.parametrize("number", ["a wide one", "a tall one", "transparent"])
def test_page_and_command_agree_on_a_whole_photograph(
    page: object, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture, number: str
) -> None:
    """The same padding, the same threshold, and white where a picture is transparent."""
    from litehrnet.cli import main

    photo = read_image(data_path("astronaut.jpg"))
    photo = {"a wide one": photo[40:400], "a tall one": photo[:, 60:360], "transparent": photo}[number]
    if number == "transparent":
        clear = np.full(photo.shape[:2], 255, np.uint8)
        clear[:, :130] = clear[300:] = 0
        photo = np.dstack([photo, clear])
    upload = as_upload(photo)
    (tmp_path / "photo.png").write_bytes(upload["buffer"])
    assert main(["predict", str(tmp_path / "photo.png"), "--model", str(folder / "model.onnx"), "--json"]) == 0
    joints = json.loads(capsys.readouterr().out)["people"][0]["joints"]
    expected = np.array([[joint["x"], joint["y"], joint["score"]] for joint in joints])
    set_photo(page, upload)
    got = shown_joints(page)
    sure = expected[:, 2] > 0.2
    assert sure.sum() >= 1
    # Crops differ by one level in places, which may reverse a quarter shift: half a heatmap pixel in each axis.
    heatmap_pixel = 4 * max(photo.shape[0] / SIZE[0], photo.shape[1] / SIZE[1])
    assert np.abs(got[sure, :2] - expected[sure, :2]).max() <= 0.6 * heatmap_pixel
    assert np.abs(got[:, 2] - expected[:, 2]).max() <= 0.02
    corner = page.evaluate(
        "Array.from(document.getElementById('photo').getContext('2d').getImageData(20, 500, 1, 1).data)"
    )
    assert corner == [255, 255, 255, 255] or number != "transparent"


@pytest.mark.browser
def test_a_photograph_leaves_nothing_of_the_one_before(page: object) -> None:
    """A wholly transparent picture of the same size gives the joints of a white one."""
    photo = read_image(data_path("astronaut.jpg"))
    set_photo(page, as_upload(np.full_like(photo, 255)))
    white = shown_joints(page)
    set_photo(page, as_upload(photo))
    assert not np.array_equal(shown_joints(page), white)
    set_photo(page, as_upload(np.zeros((*photo.shape[:2], 4), np.uint8)))
    assert np.array_equal(shown_joints(page), white)


@pytest.mark.browser
def test_the_last_choice_wins(page: object) -> None:
    """Two boxes one straight after the other, and two photographs: what was asked for last is what is shown."""
    photo = read_image(data_path("astronaut.jpg"))
    set_photo(page, as_upload(photo))
    last = {"x": 100.0, "y": 0.0, "width": 250.0, "height": 400.0}
    joints = page.evaluate(
        """async (last) => {
            const app = await import("./app.js");
            const boxes = [{x: 300, y: 200, width: 60, height: 60}, {x: 5, y: 5, width: 90, height: 400}, last];
            await Promise.all(boxes.map((box) => app.useBox(box)));
            const rows = Array.from(document.querySelectorAll("#joints tr"));
            return rows.map((row) => Array.from(row.children).slice(1, 3).map((cell) => Number(cell.textContent)));
        }""",
        last,
    )
    page.evaluate("async (last) => { await (await import('./app.js')).useBox(last); }", last)
    assert np.array_equal(shown_joints(page)[:, :2], np.array(joints))
    sizes = page.evaluate(
        """async ([slow, quick]) => {
            const app = await import("./app.js");
            const file = async (url, name) => new File([await (await fetch(url)).blob()], name, {type: "image/png"});
            const [one, two] = [await file(slow, "slow.png"), await file(quick, "quick.png")];
            const waiting = [app.openFile(one), app.openFile(two)];
            await Promise.all(waiting);
            const {width, height} = document.getElementById("photo");
            return [height, width];
        }""",
        [data_url(np.tile(photo, (5, 5, 1))), data_url(photo[:48, :64])],
    )
    assert sizes == [48, 64]


def data_url(photo: np.ndarray) -> str:
    return "data:image/png;base64," + base64.b64encode(as_upload(photo)["buffer"]).decode()


@pytest.mark.browser
def test_a_release_without_a_press_is_no_error(page: object) -> None:
    set_photo(page, as_upload(read_image(data_path("astronaut.jpg"))))
    errors: list[str] = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    before = page.locator("#status").inner_text()
    page.evaluate(
        """for (const type of ["pointerup", "pointercancel", "pointerup"])
            document.getElementById("photo").dispatchEvent(new PointerEvent(type, {pointerId: 1, bubbles: true}))"""
    )
    assert errors == [] and page.locator("#status").inner_text() == before


@pytest.mark.browser
@pytest.mark.parametrize(
    ("gone", "words"),
    [
        ("model.lhr", "model.lhr is missing"),
        ("litehrnet.wasm", "litehrnet.wasm is missing"),
        ("model.json", "model.json is missing"),
        ("pose.js", "app.js"),
        ("app.js", "app.js"),
        ("engine_c.js", "app.js"),
        ("engine_webgpu.js", "app.js"),
    ],
)
def test_a_missing_part_is_named(page: object, demo: ModuleType, folder: Path, gone: str, words: str) -> None:
    """Also where the page's own module cannot run."""
    with another_page(page, demo, folder, without=gone) as other:
        other.wait_for_selector("#status[data-kind=error]", timeout=20_000)
        said = other.locator("#status").inner_text()
        assert words in said and 'run "make demo" again' in said


@pytest.mark.browser
def test_a_damaged_description_is_named(page: object, demo: ModuleType, folder: Path) -> None:
    for body in ("<html>not found</html>", "{}", "[1, 2", '{"size": [256, 192]}'):
        with another_page(page, demo, folder, instead={"model.json": body}) as other:
            other.wait_for_selector("#status[data-kind=error]", timeout=20_000)
            assert "model.json does not describe the network" in other.locator("#status").inner_text()


@pytest.mark.browser
def test_without_a_server_or_without_script_the_page_says_so(page: object, folder: Path) -> None:
    browser = page.context.browser
    opened = browser.new_page()
    opened.goto((folder / "index.html").as_uri())
    opened.wait_for_selector("#status[data-kind=error]", timeout=20_000)
    assert "works only when it comes from its server" in opened.locator("#status").inner_text()
    opened.close()
    context = browser.new_context(java_script_enabled=False)
    opened = context.new_page()
    opened.goto(page.url)
    assert opened.locator("noscript p").is_visible()
    assert not opened.locator("#status").is_visible()
    context.close()


def size_words(*sizes: int) -> str:
    """As the page shows bytes: "4.5 MB", "21 MB"."""
    millions = sum(sizes) / 1e6
    return f"{millions:.{1 if millions < 10 else 0}f} MB"


@pytest.mark.browser
def test_what_is_loaded_is_announced_counted_and_can_be_stopped(page: object, demo: ModuleType, folder: Path) -> None:
    """Program and weights in one number; a photograph given meanwhile is kept; nothing empty is shown before."""
    engines = {engine["name"]: engine for engine in json.loads((folder / "model.json").read_text())["engines"]}
    first, other_one = (size_words(engines[name]["bytes"], engines[name]["weights"]) for name in ("c", "onnxruntime"))
    with another_page(page, demo, folder, hold=("model.lhr", "ort/ort-wasm-simd-threaded.wasm")) as other:
        other.wait_for_selector("#progress:visible")
        assert f"({first})" in other.inner_text("#status")
        assert re.findall(r"\(([\d.]+ MB)\)", other.inner_text("#choices")) == [first, other_one]
        assert re.fullmatch(rf"[\d.]+ of {first}", other.inner_text("#amount"))
        assert not other.is_visible("#stop"), "without the first engine there is nothing to go on with"
        other.set_input_files("#file", as_upload(read_image(data_path("astronaut.jpg")), "early.png"))
        other.wait_for_function("document.getElementById('status').textContent.includes('early.png')")
        other.wait_for_selector("#photo:visible")
        assert not other.is_visible("#results") and not other.is_visible("#save-json")
        other.release()
        wait_for_answer(other)
        assert other.locator("#joints tr").count() == 17
        assert other.is_visible("#save-json")
        bar = other.evaluate("(({max, value}) => [max, value])(document.getElementById('loaded'))")
        assert bar == [engines["c"]["bytes"] + engines["c"]["weights"]] * 2
        assert not other.is_visible("#progress")
        assert other.inner_text("#compare") == f"Time them (downloads {other_one})"
        for begin in (lambda: other.click("#compare"), lambda: other.check("input[value=onnxruntime]")):
            begin()
            other.wait_for_function("document.getElementById('amount').textContent.startsWith('7 of')")
            assert other.inner_text("#status") == "Downloading ONNX Runtime …"
            other.click("#stop")
            assert other.inner_text("#status") == "Stopped; the C engine stays in use."
            other.wait_for_selector("#compare:enabled")
            assert other.is_checked("input[value=c]") and not other.is_visible("#progress")
        other.click("#compare")  # a choice ends it, too
        other.wait_for_selector("#progress:visible")
        other.locator("input[value=c]").dispatch_event("change")
        wait_for_answer(other)
        assert other.is_enabled("#compare") and not other.is_visible("#progress")


@contextlib.contextmanager
def another_page(
    page: object,
    demo: ModuleType,
    folder: Path,
    without: str = "",
    instead: dict[str, str] | None = None,
    hold: tuple[str, ...] = (),
) -> Iterator[object]:
    """The page once more, with a file missing, replaced, or with files held back until `release` is called."""
    held: list[object] = []
    other = page.context.browser.new_page()

    def route(call: object) -> None:
        name = call.request.url.removeprefix(page.url)
        if without and name == without:
            call.fulfill(status=404, body="not found")
        elif name in (instead or {}):
            call.fulfill(status=200, body=instead[name])
        elif name in hold:
            held.append(call)
        else:
            call.continue_()

    other.release = lambda: [call.continue_() for call in held]
    other.route("**/*", route)
    other.goto(page.url)
    try:
        yield other
    finally:
        other.unroute_all(behavior="ignoreErrors")
        other.close()


class TestServer:
    @pytest.fixture
    def get(self, demo: ModuleType, tmp_path: Path) -> Iterator[Callable[[str], tuple[int, bytes]]]:
        """`get("/x.js")`: status and content of a small folder's server."""
        home = tmp_path / "demo"
        (home / "ort").mkdir(parents=True)
        (home / "index.html").write_text("the page")
        (home / "x.js").write_text("script")
        (home / "ort" / "y.wasm").write_bytes(b"wasm")
        (tmp_path / "secret.txt").write_text("secret")
        (tmp_path / "demo-other").mkdir()
        (tmp_path / "demo-other" / "z.txt").write_text("secret")
        (home / "out.txt").symlink_to("../secret.txt")
        (home / "away").symlink_to("../demo-other")
        (home / "loop").symlink_to("loop")
        (home / "in.js").symlink_to("x.js")
        server = demo.make_server(home)
        threading.Thread(target=server.serve_forever, daemon=True).start()

        def call(path: str) -> tuple[int, bytes]:
            connection = http.client.HTTPConnection("127.0.0.1", server.server_address[1], timeout=20)
            connection.putrequest("GET", path, skip_host=False)
            connection.endheaders()
            answer = connection.getresponse()
            content = answer.status, answer.read()
            connection.close()
            return content

        yield call
        server.shutdown()
        server.server_close()

    @pytest.mark.parametrize(
        ("path", "content"),
        [("/", b"the page"), ("/x.js?v=1", b"script"), ("/ort/y.wasm", b"wasm"), ("/in.js", b"script")],
    )
    def test_files_of_the_folder(self, get: Callable, path: str, content: bytes) -> None:
        assert get(path) == (200, content)

    @pytest.mark.parametrize(
        "path",
        [
            "/out.txt", "/away/z.txt", "/../secret.txt", "/%2e%2e/secret.txt", "/..%2fsecret.txt", "/%00", "/x.js%00",
            "/loop", "/ort/", "/ort", "/away/", "/" + "n" * 5000, "/nowhere.js", "/x.js/",
        ],
    )  # fmt: skip
    def test_nothing_else(self, get: Callable, capfd: pytest.CaptureFixture, path: str) -> None:
        status, content = get(path)
        assert status == 404 and b"secret" not in content
        assert capfd.readouterr().err == ""

    @pytest.mark.parametrize("error", [ConnectionResetError("gone"), BrokenPipeError("gone"), ZeroDivisionError("no")])
    def test_only_a_page_that_hangs_up_is_no_error(
        self, demo: ModuleType, tmp_path: Path, capfd: pytest.CaptureFixture, error: Exception
    ) -> None:
        with demo.make_server(tmp_path) as server:
            try:
                raise error
            except Exception:
                server.handle_error(None, ("127.0.0.1", 1))
        assert ("ZeroDivisionError: no" in capfd.readouterr().err) == isinstance(error, ZeroDivisionError)


class TestCommand:
    @pytest.fixture
    def call(
        self, demo: ModuleType, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture, tmp_path: Path
    ) -> Callable[..., tuple[int, str]]:
        monkeypatch.setattr(demo, "BUILD", tmp_path / "build")

        def run(*arguments: str) -> tuple[int, str]:
            monkeypatch.setattr(sys, "argv", ["serve.py", *arguments])
            try:
                code = demo.main()
            except SystemExit as error:
                code = error.code
            return code, capsys.readouterr().err

        return run

    def test_a_busy_port_is_found_before_the_build(
        self, call: Callable, demo: ModuleType, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def never(*_: object, **__: object) -> None:
            raise AssertionError("nothing is built for a port that is taken")

        monkeypatch.setattr(demo, "assemble", never)
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            port = taken.getsockname()[1]
            code, err = call("--port", str(port))
        assert code == 1 and err.startswith(f"demo: port {port} cannot be used") and len(err.splitlines()) == 1

    @pytest.mark.parametrize("port", ["65536", "-1", "http", "8.5", ""])
    def test_what_is_no_port(self, call: Callable, port: str) -> None:
        code, err = call(f"--port={port}")
        assert code == 2 and "is not a port" in err

    @pytest.mark.parametrize("kind", ["missing", "folder", "text", "cut", "another package", "empty"])
    def test_a_wrong_package(self, call: Callable, tmp_path: Path, kind: str) -> None:
        package = tmp_path / "package.tgz"
        if kind == "folder":
            package.mkdir()
        elif kind == "text":
            package.write_text("no archive")
        elif kind == "empty":
            package.write_bytes(b"")
        elif kind in ("another package", "cut"):
            with tarfile.open(package, "w:gz") as archive:
                entry = tarfile.TarInfo("package/dist/ort.wasm.bundle.min.mjs")
                content = np.random.default_rng(0).bytes(5000)
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
            if kind == "cut":
                package.write_bytes(package.read_bytes()[:3000])
        code, err = call("--package", str(package), "--build-only")
        assert code == 1 and "package.tgz" in err and len(err.splitlines()) == 1
        assert not (tmp_path / "build" / "ort").exists()

    def test_a_wrong_checkpoint(self, call: Callable, demo: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(demo, "fetch_runtime", lambda *_: None)
        code, err = call("--checkpoint", __file__, "--build-only")
        assert code == 1 and len(err.splitlines()) == 1


@pytest.mark.numeric
def test_the_pages_decoding_is_pythons(demo: ModuleType, root: Path, tmp_path: Path) -> None:
    """pose.js on maps with ties and plateaus, in Node."""
    if shutil.which("node") is None:
        pytest.skip("no Node.js on this machine")
    rng = np.random.default_rng(3)
    maps = np.concatenate([rng.integers(-2, 3, (1, 40, 9, 7)), rng.standard_normal((1, 10, 9, 7))], axis=1)
    maps = maps.astype(np.float32)
    maps[0, 0] = 0.5
    script = tmp_path / "run.mjs"
    script.write_text(
        f"import {{ decode }} from {json.dumps((root / 'examples/browser/pose.js').as_uri())};\n"
        f"const maps = new Float32Array({json.dumps(maps.ravel().tolist())});\n"
        "console.log(JSON.stringify(decode(maps, 50, 9, 7)));\n"
    )
    done = subprocess.run(["node", script], capture_output=True, text=True, check=True)
    got = np.array([[joint["x"], joint["y"], joint["score"]] for joint in json.loads(done.stdout)])
    joints, scores = decode(maps)
    within(np.abs(got[:, :2] - joints[0]).max(), 1e-3, "pixels")
    within(np.abs(got[:, 2] - scores[0]).max(), 1e-4, "scores")


def wait_for_answer(page: object) -> None:
    page.wait_for_function("document.getElementById('status').textContent.includes(' ms in the network')")


@pytest.mark.browser
def test_the_sample_is_looked_at_and_saved_as_the_command_prints_it(
    page: object, folder: Path, tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    """One click; the saved JSON has the command's form and, within a pixel, its joints (a JPEG is decoded twice)."""
    from litehrnet.cli import main

    page.evaluate("document.getElementById('status').textContent = ''")
    page.click("#sample")
    box = json.loads((folder / "model.json").read_text())["sample"]["box"]
    page.wait_for_function("document.querySelectorAll('#joints tr').length === 17")
    page.wait_for_function("import('./app.js').then((app) => JSON.parse(app.asJson()).people[0].box[2] === 345)")
    wait_for_answer(page)
    with page.expect_download() as download:
        page.click("#save-json")
    assert download.value.suggested_filename == "sample.joints.json"
    download.value.save_as(tmp_path / "joints.json")
    saved = json.loads((tmp_path / "joints.json").read_text())
    command = ["predict", str(folder / "sample.jpg"), "--model", str(folder / "model.onnx"), "--json", "--box"]
    assert main([*command, ",".join(map(str, box))]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert saved.keys() == printed.keys()
    assert saved["skeleton"] == printed["skeleton"]
    (mine,), (its,) = saved["people"], printed["people"]
    assert mine["box"] == its["box"] == box
    for joint, other in zip(mine["joints"], its["joints"], strict=True):
        assert joint["name"] == other["name"]
        if other["score"] > 0.3:
            assert np.hypot(joint["x"] - other["x"], joint["y"] - other["y"]) < 2


def drag(page: object, box: tuple[float, float, float, float]) -> None:
    """Draw a box, in pixels of the photograph, and wait until somebody was looked for in it."""
    frame = page.locator("#photo").bounding_box()
    scale = frame["width"] / page.evaluate("document.getElementById('photo').width")
    x, y, width, height = (scale * side for side in box)
    before = page.locator("#people li").count()
    page.mouse.move(frame["x"] + x, frame["y"] + y)
    page.mouse.down()
    page.mouse.move(frame["x"] + x + width, frame["y"] + y + height, steps=3)
    page.mouse.up()
    page.wait_for_function("(n) => document.querySelectorAll('#people li').length === n", arg=before + 1)
    wait_for_answer(page)


def people_of(page: object) -> list[dict[str, object]]:
    return json.loads(page.evaluate("import('./app.js').then((app) => app.asJson())"))["people"]


@pytest.mark.browser
def test_several_people_are_listed_drawn_and_saved(page: object) -> None:
    """Each box is one person; the table shows the chosen one, the JSON all, and a person can be taken away."""
    photo = read_image(data_path("astronaut.jpg"))
    set_photo(page, as_upload(np.concatenate([photo, photo], axis=1)))  # two people, side by side
    assert not page.locator("#people").is_visible()
    assert len(people_of(page)) == 1
    whole = people_of(page)[0]["box"]
    assert whole == [0, 0, 2 * photo.shape[1], photo.shape[0]]
    page.locator("#photo").scroll_into_view_if_needed()
    boxes = [(30, 10, 330, 490), (542, 10, 330, 490)]
    for box in boxes:
        drag(page, box)
    people = people_of(page)
    assert len(people) == 2
    for person, box in zip(people, boxes, strict=True):
        assert np.abs(np.array(person["box"]) - box).max() <= 3
    joints = [np.array([[joint["x"], joint["y"], joint["score"]] for joint in one["joints"]]) for one in people]
    # A few pixels apart, because the boxes differ; a joint that the network hardly finds may jump.
    apart = np.abs((joints[1] - joints[0])[:, :2] - (photo.shape[1], 0)).max(axis=1)
    assert np.median(apart) < 12, apart
    assert np.abs(shown_joints(page) - joints[1]).max() <= 0.06
    page.locator("#people li button").nth(0).click()
    assert np.abs(shown_joints(page) - joints[0]).max() <= 0.06
    assert page.locator("#people li button[aria-pressed=true]").inner_text().startswith("Person 1")
    for k in range(2):  # both are in the picture: a coloured joint is where each one's nose is
        x, y = joints[k][0, :2]
        colour = page.evaluate(
            "([x, y]) => [...document.getElementById('photo').getContext('2d').getImageData(x, y, 1, 1).data]",
            [round(x), round(y)],
        )
        assert min(colour[:3]) > 230, "the nose is white"
    page.check("input[value=onnxruntime]")
    page.wait_for_function("document.getElementById('status').textContent.includes('with ONNX Runtime')")
    again = people_of(page)
    assert [one["box"] for one in again] == [one["box"] for one in people]
    page.check("input[value=c]")
    page.wait_for_function("document.getElementById('status').textContent.includes('with the C engine')")
    page.evaluate("document.getElementById('status').textContent = ''")
    page.click("#whole")
    wait_for_answer(page)
    assert [one["box"] for one in people_of(page)] == [whole]
    page.click("#unbox")  # the boxes are only put aside
    page.wait_for_function("!document.getElementById('people').hidden")
    assert people_of(page) == people and not page.is_visible("#unbox")
    page.get_by_role("button", name="Remove person 1").click()
    assert people_of(page) == people[1:]
    page.get_by_role("button", name="Remove person 1").click()
    page.wait_for_function("document.getElementById('people').hidden")
    assert people_of(page)[0]["box"] == whole


@pytest.mark.browser
def test_the_camera_gives_a_photograph_and_is_let_go(page: object) -> None:
    """Chromium's imitated camera: its picture is looked at, and no track runs on, taken or closed."""
    page.click("#open-camera")
    page.wait_for_function("document.getElementById('view').videoWidth > 0")
    page.evaluate("window.track = document.getElementById('view').srcObject.getTracks()[0]")
    page.click("#close-camera")
    assert page.evaluate("window.track.readyState") == "ended"
    assert not page.locator("#camera").is_visible()
    page.click("#open-camera")
    page.wait_for_function("document.getElementById('view').videoWidth > 0")
    size = page.evaluate("(view => [view.videoWidth, view.videoHeight])(document.getElementById('view'))")
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate("window.track = document.getElementById('view').srcObject.getTracks()[0]")
    page.click("#shoot")
    wait_for_answer(page)
    assert page.evaluate("window.track.readyState") == "ended"
    assert page.evaluate("(photo => [photo.width, photo.height])(document.getElementById('photo'))") == size
    assert json.loads(page.evaluate("import('./app.js').then((app) => app.asJson())"))["photo"] == "camera.png"


@pytest.mark.browser
def test_a_camera_that_is_refused_is_a_sentence(page: object) -> None:
    page.evaluate(
        """() => {
            navigator.mediaDevices.getUserMedia = async () => { throw new DOMException("no", "NotAllowedError"); };
        }"""
    )
    page.click("#open-camera")
    page.wait_for_selector("#status[data-kind=error]")
    assert "The camera cannot be used: the browser does not allow it." in page.locator("#status").inner_text()
    assert not page.locator("#camera").is_visible()
    page.evaluate("() => { delete navigator.mediaDevices.getUserMedia; }")


@pytest.mark.browser
def test_on_a_phone_the_photograph_is_seen_first(page: object) -> None:
    """After the sample was chosen, all of it is on the first screen, nothing is wider than the screen."""
    before = page.viewport_size
    page.set_viewport_size({"width": 390, "height": 844})
    page.evaluate("document.getElementById('status').textContent = ''")
    page.click("#sample")
    wait_for_answer(page)
    page.evaluate("scrollTo(0, 0)")
    frame = page.locator("#photo").bounding_box()
    assert frame["y"] < 844 / 3
    assert frame["y"] + frame["height"] < 844
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator("#drop").bounding_box()["y"] > frame["y"] + frame["height"]
    page.set_viewport_size({"width": 844, "height": 390})  # the same phone, lying; the button is below
    page.emulate_media(reduced_motion="reduce")
    page.evaluate("document.getElementById('status').textContent = ''")
    page.click("#sample")
    wait_for_answer(page)
    frame, words = page.locator("#photo").bounding_box(), page.locator("#status").bounding_box()
    assert frame["y"] >= 0 and frame["y"] + frame["height"] <= words["y"] <= 390 - words["height"]
    page.emulate_media(reduced_motion="no-preference")
    page.set_viewport_size(before)


@pytest.mark.browser
def test_pointing_at_a_joint_shows_its_heatmap(page: object) -> None:
    """The photograph changes around the joint, and again when the pointer leaves; a tap names it and draws no box."""
    page.click("#sample")
    wait_for_answer(page)
    page.wait_for_function("document.querySelectorAll('#joints tr').length === 17")
    photo = page.locator("#photo")
    photo.scroll_into_view_if_needed()
    frame = photo.bounding_box()
    side = page.evaluate("document.getElementById('photo').width")
    x, y = shown_joints(page)[0, :2] * frame["width"] / side
    pixels = "document.getElementById('photo').toDataURL().length"
    page.mouse.move(frame["x"] + 2, frame["y"] + 2)
    before = page.evaluate(pixels)
    page.mouse.move(frame["x"] + x, frame["y"] + y)
    assert photo.get_attribute("title").startswith("nose ")
    assert page.evaluate(pixels) != before
    page.mouse.move(frame["x"] + 2, frame["y"] + 2)
    assert page.evaluate(pixels) == before
    page.evaluate("document.getElementById('boxing').click()")
    people = people_of(page)
    session = page.context.new_cdp_session(page)
    for kind, points in (("touchStart", [{"x": frame["x"] + x, "y": frame["y"] + y}]), ("touchEnd", [])):
        session.send("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})
    page.wait_for_function("/^nose [01]\\.\\d\\d$/.test(document.getElementById('status').textContent)")
    assert photo.get_attribute("title") == page.inner_text("#status")
    assert page.evaluate(pixels) != before and people_of(page) == people
    assert page.get_attribute("#boxing", "aria-pressed") == "true"
    drag(page, (60, 20, 300, 480))
    assert page.get_attribute("#boxing", "aria-pressed") == "false"


@pytest.mark.browser
def test_a_photograph_can_be_pasted(page: object) -> None:
    """From the clipboard, as from a file."""
    page.evaluate("document.getElementById('status').textContent = ''")
    page.evaluate(
        """async () => {
            const blob = await (await fetch("./sample.jpg")).blob();
            const data = new DataTransfer();
            data.items.add(new File([blob], "pasted.jpg", {type: "image/jpeg"}));
            document.dispatchEvent(new ClipboardEvent("paste", {clipboardData: data}));
        }"""
    )
    wait_for_answer(page)
    assert json.loads(page.evaluate("import('./app.js').then((app) => app.asJson())"))["photo"] == "pasted.jpg"


@pytest.mark.browser
def test_crop_and_decoding_are_the_packages_on_ten_pictures(page: object, folder: Path) -> None:
    """Each picture as a PNG, with the box around its person: joints agree within 0.05 pixels of the crop."""
    people = json.loads(data_path("heldout/people.json").read_text())["annotations"]
    network = load(folder / "model.onnx")
    names, worst = set(), 0.0
    for person in people[:10]:
        photo = read_image(data_path(f"heldout/{person['image_id']:06}.jpg"))
        names.add(person["image_id"])
        crop, to_crop = crop_person(photo, person["bbox"], SIZE)
        joints, scores = decode(network(to_input(crop)))
        address = "data:image/png;base64," + base64.b64encode(as_upload(photo)["buffer"]).decode()
        mine, its = page.evaluate(
            """async ([address, [x, y, width, height]]) => {
                const app = await import("./app.js");
                const bitmap = await createImageBitmap(await (await fetch(address)).blob());
                const {width: wide, height: high} = bitmap;
                const canvas = Object.assign(document.createElement("canvas"), {width: wide, height: high});
                const pen = canvas.getContext("2d");
                pen.drawImage(bitmap, 0, 0);
                const image = pen.getImageData(0, 0, wide, high);
                const found = await app.findPerson(image, {x, y, width, height});
                return [[...found.crop], found.joints.map((joint) => [joint.x, joint.y])];
            }""",
            [address, person["bbox"]],
        )
        assert np.abs(np.array(mine, int) - crop.reshape(-1)).max() <= 1
        difference = np.abs(np.array(its) - to_image(joints[0], to_crop)) * to_crop[0, 0]
        worst = max(worst, difference[scores[0] > 0.2].max())
    assert len(names) == 10
    assert worst <= 0.05


def shown_box(page: object) -> list[float]:
    """x, y, width and height of the box that the status speaks of."""
    shown = re.search(r"is (\d+)×(\d+) pixels \(height×width\), its corner at (\d+), (\d+)", page.inner_text("#status"))
    height, width, x, y = map(float, shown.groups())
    return [x, y, width, height]


@pytest.mark.browser
def test_a_box_is_drawn_moved_and_resized_by_keys(page: object) -> None:
    """N begins one, Enter takes up the chosen person's; arrows, with and without Shift; Escape leaves all as it was."""
    photo = read_image(data_path("astronaut.jpg"))
    set_photo(page, as_upload(photo))
    canvas = page.locator("#photo")
    assert "arrows" in page.locator("#" + canvas.get_attribute("aria-describedby")).text_content()
    canvas.focus()
    before = people_of(page)
    page.keyboard.press("n")
    x, y, width, height = shown_box(page)
    assert 0 < x < x + width < photo.shape[1] and 0 < y < y + height < photo.shape[0]
    for key in ("ArrowLeft", "ArrowLeft", "ArrowUp", "Shift+ArrowRight", "Shift+ArrowDown", "Shift+ArrowDown"):
        page.keyboard.press(key)
    step = round(512 / 50)
    assert shown_box(page) == [x - 2 * step, y - step, width + step, height + 2 * step]
    page.keyboard.press("Escape")
    assert people_of(page) == before
    page.keyboard.press("n")
    for _ in range(80):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Shift+ArrowUp")
    left, _, wide, high = shown_box(page)
    assert left + wide == photo.shape[1] and high == 8
    for _ in range(45):
        page.keyboard.press("Shift+ArrowDown")
        page.keyboard.press("ArrowLeft")
    chosen = shown_box(page)
    page.evaluate("document.getElementById('status').textContent = ''")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    assert [person["box"] for person in people_of(page)] == [chosen]
    by_keys = shown_joints(page)
    page.evaluate("async ([x, y, width, height]) => (await import('./app.js')).useBox({x, y, width, height})", chosen)
    assert np.array_equal(shown_joints(page), by_keys)
    assert [person["box"] for person in people_of(page)] == [chosen, chosen]
    page.locator("#people li button").first.click()
    canvas.focus()
    page.keyboard.press("Enter")  # the first person's box moves, and only that
    page.keyboard.press("ArrowRight")
    moved = shown_box(page)
    page.evaluate("document.getElementById('status').textContent = ''")
    page.keyboard.press("Enter")
    wait_for_answer(page)
    assert [person["box"] for person in people_of(page)] == [moved, chosen]
    page.keyboard.press("n")
    page.locator("#save-json").focus()  # who leaves the photograph leaves the box
    assert [person["box"] for person in people_of(page)] == [moved, chosen]


@pytest.mark.browser
def test_webgpu_is_offered_only_where_it_can_run(page: object) -> None:
    """This browser was started without a graphics processor: the page says so, and goes on without."""
    assert page.locator("input[value=webgpu]").count() == 0
    assert page.locator("input[value=c]").count() == 1
    said = page.inner_text("#left-out")
    assert re.fullmatch(
        r"ONNX Runtime on WebGPU is not offered: this browser has (no WebGPU here|.*processor for it)\.", said
    )


@pytest.mark.browser
@pytest.mark.numeric
@pytest.mark.slow
def test_webgpu_gives_the_same_heatmaps(
    page: object, demo: ModuleType, folder: Path, browser_path: str, tmp_path: Path
) -> None:
    """Where a graphics processor is imitated, at a small size: the page names the imitation and the difference."""
    shutil.copytree(folder / "ort", tmp_path / "ort")
    small = demo.assemble(tmp_path, size=(64, 64))
    x = to_input(crop_person(read_image(data_path("astronaut.jpg")), (120, 0, 300, 512), (64, 64))[0])
    expected = load(small / "model.onnx")(x)
    flags = ["--no-sandbox", "--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader", "--enable-features=Vulkan"]
    server = demo.make_server(small)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    with page.context.browser.browser_type.launch(executable_path=browser_path, args=flags) as browser:
        page = browser.new_page()
        page.goto(f"http://127.0.0.1:{server.server_address[1]}/")
        page.wait_for_selector("body.ready", timeout=120_000)
        if page.locator("input[value=webgpu]").count() == 0:
            pytest.skip(f"no imitated graphics processor in this chromium: {page.inner_text('#left-out')}")
        maps = page.evaluate(
            """async (text) => {
                const bytes = Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
                const app = await import("./app.js");
                return [...(await app.runNetwork(new Float32Array(bytes.buffer), "webgpu")).heatmaps];
            }""",
            encode(x),
        )
        same(np.array(maps, np.float32).reshape(expected.shape), expected, 1e-4)
        set_photo(page, as_upload(read_image(data_path("astronaut.jpg"))))
        page.check("input[value=webgpu]")
        page.wait_for_function(
            "document.getElementById('status').textContent.includes('on WebGPU, input')", timeout=200_000
        )
        assert "that this browser imitates, which is slow" in page.inner_text("#status")
        page.click("#compare")
        page.wait_for_function("document.getElementById('times').textContent.length > 0", timeout=200_000)
        shown = re.search(
            r"on WebGPU \d+ ms, .*; the heatmaps (?:differ by (\de-\d) of|are the same)", page.inner_text("#times")
        )
        assert shown and float(shown[1] or 0) <= 1e-4
    server.shutdown()
    server.server_close()
