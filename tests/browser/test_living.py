"""The living figures in a real browser: moved by hand, keys and touch, and their numbers compared with Python's."""

from __future__ import annotations

import base64
import http.server
import json
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from playwright.sync_api import Browser, Locator, Page
from torch.nn import functional

from litehrnet.blocks import channel_shuffle
from litehrnet.course import draw
from litehrnet.fusion.layout import Layout
from litehrnet.heatmaps import decode
from litehrnet.measure.profile import KINDS, Kernel, by_kind, by_operator
from litehrnet.pooling import adaptive_windows, computed_windows, is_exact, pool_params

from .browser_tools import open_window
from .test_pages import Quiet

pytestmark = pytest.mark.browser
matplotlib.use("Agg")

ASSETS = Path(__file__).resolve().parents[2] / "tools" / "website" / "assets"
FIGURES: dict[str, dict[str, Any]] = {
    "windows": {"input": 11, "output": 4},
    "exactness": {"maxInput": 30, "maxOutput": 15, "marked": [[16, 8], [24, 6]], "label": "pairs in Lite-HRNet"},
    "quarter": {"sigma": 2.0},
    "fuse": {"x0": [1.0, 2.0, 3.0, 4.0], "x1": 10.0},
}


def random_kernels(chance: np.random.Generator, operators: list[str], number: int) -> list[Kernel]:
    """So many kernels of these operators, each with a time of its own."""
    names, times = chance.choice(operators, number), chance.uniform(1, 90, number)
    each = enumerate(zip(names, times, strict=True))
    return [Kernel(f"{k}", str(op), microseconds, (1,), 0, 0, False) for k, (op, microseconds) in each]


CHANCE = np.random.default_rng(3)
ALL_OPERATORS = [op for ops in KINDS.values() for op in ops]
GRAPHS = {
    "first": random_kernels(CHANCE, [*ALL_OPERATORS, "Erf"], 400),
    "second": random_kernels(CHANCE, ALL_OPERATORS[4:], 250),
    "third": random_kernels(CHANCE, ALL_OPERATORS[:8], 250),
}


def drawn() -> dict[str, dict[str, Any]]:
    """What the course's own drawings hand to the figures that need data: small maps, each unlike the others."""
    chance = np.random.default_rng(0)
    crop = chance.integers(0, 256, (64, 48, 3), dtype=np.uint8)
    maps = np.abs(chance.standard_normal((1, 17, 16, 12))).astype(np.float32)
    other = maps + (1e-6 * chance.standard_normal(maps.shape)).astype(np.float32)
    ways = {"correct": 0.0, "dark": -1.0, "bright": 1.0}
    rates = {"correct": 0.9, "dark": 0.25, "bright": 0.5}
    inputs = {name: np.full((3, 64, 48), level, np.float32) for name, level in ways.items()}
    each = np.abs(chance.standard_normal((3, 17, 16, 12))).astype(np.float32)
    layouts = [Layout.plain(10)]
    for _ in range(3):
        layouts.append(layouts[-1].shuffled())
    crops, weights = [crop, crop[::-1]], torch.rand(2, 6, 8, 6, generator=torch.Generator().manual_seed(0))
    made = [
        draw.two_runtimes(crop, maps, other),
        draw.seen_inputs(inputs, each[:, 9], "left wrist", decode(each)[0], rates),
        draw.weight_maps([np.repeat(np.repeat(one, 4, 0), 4, 1) for one in crops], weights, channels=(1, 4)),
        draw.followed_channels([layout.numbers for layout in layouts]),
        draw.time_lines({"first": GRAPHS["first"]}, GRAPHS),
    ]
    plt.close("all")
    return {figure.living["kind"]: {k: v for k, v in figure.living.items() if k != "kind"} for figure in made}


FIGURES |= drawn()
FRAME = """<!doctype html><html lang="en" data-root=""><meta charset="utf-8"><title>figures</title>
<meta name="viewport" content="width=device-width, initial-scale=1"><link rel="icon" href="data:,">
<link rel="stylesheet" href="assets/style.css"><main>{figures}</main>
<script type="module">
import {{ start }} from "./assets/living/start.js";
await start(document.querySelectorAll("figure[data-fig]"));
document.body.classList.add("started");
</script></html>"""
FIGURE = """<figure class="drawn" id="{kind}" data-fig="{kind}" data-numbers='{numbers}'>
<div class="scroll"><img src="data:image/gif;base64,R0lGODlhAQABAAAAACwAAAAAAQABAAA=" alt="the picture"></div>
<figcaption>What to see.</figcaption></figure>"""


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A page with one figure of each kind, served on this machine."""
    folder = tmp_path_factory.mktemp("figures")
    (folder / "assets").symlink_to(ASSETS)
    shown = [FIGURE.format(kind=kind, numbers=json.dumps(numbers)) for kind, numbers in FIGURES.items()]
    (folder / "index.html").write_text(FRAME.format(figures="\n".join(shown)))
    server = http.server.ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}/"
    server.shutdown()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    """The page, on a screen of a phone's width, once all figures live."""
    visit = open_window(browser, viewport={"width": 390, "height": 844}, has_touch=True)
    visit.page.goto(address)
    visit.page.locator("body.started").wait_for()
    yield visit.page
    assert visit.complaints == []
    assert visit.elsewhere == []
    visit.context.close()


def figure(page: Page, kind: str) -> Locator:
    """One figure."""
    return page.locator(f"#{kind}")


def says(page: Page, kind: str) -> str:
    """The sentence below a figure."""
    return figure(page, kind).locator(".living-says").last.inner_text()


def drawn_windows(shown: Locator) -> list[tuple[int, int]]:
    """The windows that a panel's bars show."""
    return [tuple(map(int, bar.split("-"))) for bar in shown.locator(".bars rect").evaluate_all(
        "bars => bars.map((bar) => bar.dataset.window)")]  # fmt: skip


BESIDE = {"quarter"}  # the picture shows a map of the network, the figure one that is made for a joint
# The words of these pictures speak of their left and right, or of what is above and below.
WITH_WORDS_OF_THEIR_OWN = {"windows", "runtimes", "mistakes", "channels", "rewrites"}


def test_every_picture_gives_way_on_the_screen_and_comes_back_in_print(page: Page) -> None:
    """Nothing is wider than a phone; in print, the pictures and not the figures are there."""
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    for kind in FIGURES:
        assert figure(page, kind).locator(".living").first.is_visible()
        assert figure(page, kind).locator("img").is_visible() == (kind in BESIDE)
        assert figure(page, kind).locator("> figcaption").is_visible() == (kind not in WITH_WORDS_OF_THEIR_OWN)
    small = page.evaluate(
        """() => [...document.querySelectorAll(".living *")]
            .filter((one) => one.getClientRects().length && one.textContent.trim() && !one.children.length)
            .map((one) => parseFloat(getComputedStyle(one).fontSize) * (one.getScreenCTM?.().a ?? 1))
            .filter((size) => size < 11)"""
    )
    assert small == []
    page.emulate_media(media="print")
    for kind in FIGURES:
        assert not figure(page, kind).locator(".living").first.is_visible()
        assert figure(page, kind).locator("img").is_visible()


def test_without_script_the_pictures_stay(browser: Browser, address: str) -> None:
    """The page as it is delivered."""
    visit = open_window(browser, java_script_enabled=False)
    visit.page.goto(address)
    assert visit.page.locator("img").count() == len(FIGURES)
    assert all(image.is_visible() for image in visit.page.locator("img").all())
    visit.context.close()


def test_pooling_is_the_packages_for_every_pair(page: Page) -> None:
    """Kernel, stride, both kinds of windows and exactness, up to the sizes of the lesson's largest map."""
    pairs = [(n, m) for n in range(1, 97) for m in range(1, min(n, 40) + 1)]
    answers = page.evaluate(
        """async (pairs) => {
            const pooling = await import("./assets/living/pooling.js");
            return pairs.map(([n, m]) => [pooling.poolParams(n, m), pooling.isExact(n, m),
                pooling.adaptiveWindows(n, m), pooling.computedWindows(n, m), pooling.differing(n, m)]);
        }""",
        pairs,
    )
    for (n, m), (params, exact, adaptive, computed, differing) in zip(pairs, answers, strict=True):
        assert tuple(params) == pool_params(n, m)
        assert exact == is_exact(n, m)
        assert [tuple(window) for window in adaptive] == adaptive_windows(n, m)
        assert [tuple(window) for window in computed] == computed_windows(n, m)
        assert differing == sum(a != c for a, c in zip(adaptive, computed, strict=True))


@pytest.mark.parametrize(("n", "m"), [(10, 3), (7, 5), (33, 16)])
def test_sliders_move_the_windows(page: Page, n: int, m: int) -> None:
    """Both panels, the outlines and the sentence follow; m never exceeds n."""
    shown = figure(page, "windows")
    for name, value in (("pixels n", n), ("outputs m", m)):
        shown.get_by_label(name).fill(str(value))
    adaptive, computed = adaptive_windows(n, m), computed_windows(n, m)
    assert drawn_windows(shown.locator(".windows.adaptive")) == adaptive
    assert drawn_windows(shown.locator(".windows.computed")) == computed
    other = sum(a != c for a, c in zip(adaptive, computed, strict=True))
    assert shown.locator(".bars .other").count() == other
    kernel, stride = pool_params(n, m)
    assert f"kernel {kernel}, stride {stride}" in shown.inner_text()
    assert f"remainder {n % m}" in says(page, "windows")
    assert ("All windows are the same" in says(page, "windows")) == is_exact(n, m)
    shown.get_by_label("pixels n").fill("2")
    assert shown.get_by_label("outputs m").input_value() == str(min(m, 2))


def test_a_slider_moves_by_arrow_key(page: Page) -> None:
    """One step for each press, and the value is said."""
    field = figure(page, "windows").get_by_label("pixels n")
    field.focus()
    page.keyboard.press("ArrowRight")
    assert field.get_attribute("aria-valuetext") == "12"
    assert says(page, "windows").startswith("12 = 4 × 3 + 0: remainder 0. All windows are the same.")


def test_a_swipe_over_a_slider_scrolls_and_changes_nothing(page: Page) -> None:
    """Up and down it is the page's; from side to side it is the slider's."""
    shown = figure(page, "windows").get_by_label("pixels n")
    line = page.context.new_cdp_session(page)
    for across, down in ((0, -200), (60, 0)):
        shown.evaluate("one => one.scrollIntoView({block: 'center', behavior: 'instant'})")
        box, before, at = shown.bounding_box(), shown.input_value(), page.evaluate("scrollY")
        x, y = box["x"] + 0.3 * box["width"], box["y"] + box["height"] / 2
        line.send("Input.dispatchTouchEvent", {"type": "touchStart", "touchPoints": [{"x": x, "y": y}]})
        for part in (0.2, 0.4, 0.6, 0.8, 1.0):
            page.wait_for_timeout(30)  # between two frames
            point = {"x": x + part * across, "y": y + part * down}
            line.send("Input.dispatchTouchEvent", {"type": "touchMove", "touchPoints": [point]})
        line.send("Input.dispatchTouchEvent", {"type": "touchEnd", "touchPoints": []})
        if down:
            page.wait_for_function("(at) => scrollY > at + 50", arg=at)
            assert shown.input_value() == before
        else:
            page.wait_for_function("([one, before]) => one.value !== before", arg=[shown.element_handle(), before])


def test_the_map_names_pairs_by_touch_and_by_keys(page: Page) -> None:
    """A tap chooses a pair, arrows go on from there, and the windows of that pair are drawn below."""
    shown = figure(page, "exactness")
    grid = shown.locator(".exactness")
    for n, m in ((24, 6), (17, 7), (30, 15)):
        frame = grid.bounding_box()
        x, y = (n - 0.5) / 30 * frame["width"], (15 - m + 0.5) / 15 * frame["height"]
        grid.tap(position={"x": x, "y": y})
        kernel, stride = pool_params(n, m)
        assert says(page, "exactness").startswith(f"{n} to {m}: kernel {kernel}, stride {stride}, remainder {n % m}:")
        assert ("exact." in says(page, "exactness")) == is_exact(n, m)
        assert ("pairs in Lite-HRNet" in says(page, "exactness")) == ([n, m] in FIGURES["exactness"]["marked"])
        assert drawn_windows(shown.locator(".windows.computed")) == computed_windows(n, m)
    grid.focus()
    for key in ("ArrowLeft", "ArrowLeft", "ArrowDown"):
        page.keyboard.press(key)
    assert says(page, "exactness").startswith("28 to 14:")
    shown.get_by_label("input size").fill("23")  # a pair is small for a finger, so there are sliders
    shown.get_by_label("output size").fill("7")
    assert says(page, "exactness").startswith("23 to 7:")
    shown.get_by_label("input size").fill("5")
    assert says(page, "exactness").startswith("5 to 5:")
    drawn = {kind: shown.locator(f".exactness .{kind}").count() for kind in ("exact", "inexact")}
    pairs = [is_exact(n, m) for n in range(1, 31) for m in range(1, min(n, 15) + 1)]
    assert drawn == {"exact": sum(pairs), "inexact": len(pairs) - sum(pairs)}
    shown.get_by_label("pairs in Lite-HRNet").uncheck()
    assert not shown.locator(".rings").is_visible()


def test_the_quarter_step_is_the_packages(page: Page) -> None:
    """The joint that the figure reads is `decode`'s, wherever the true joint is put, on the border too."""
    shown = figure(page, "quarter")
    rows, columns = np.mgrid[:9, :9]
    for x, y in ((17.2, 15.4), (5.1, 20.0), (12.9, 13.1), (0.3, 30.9), (32.0, 4.0)):
        shown.get_by_label("true x").fill(str(x))
        shown.get_by_label("true y").fill(str(y))
        heatmap = np.exp(-((columns - x / 4) ** 2 + (rows - y / 4) ** 2) / (2 * 2.0**2))
        expected = decode(heatmap[None, None])[0][0, 0]
        joint = shown.locator(".living").get_attribute("data-joint")
        assert [float(number) for number in joint.split(",")] == expected.tolist()
        error = float(np.hypot(*(expected - (x, y))))
        assert f"{error:.2f} off" in says(page, "quarter").rpartition("With the quarter step")[2]


def test_the_true_joint_can_be_dragged(page: Page) -> None:
    """From one pixel of the map to another; the sliders follow."""
    shown = figure(page, "quarter")
    drawing = shown.locator("svg")
    drawing.scroll_into_view_if_needed()
    frame = drawing.bounding_box()
    page.mouse.move(frame["x"] + frame["width"] * 0.5, frame["y"] + frame["height"] * 0.5)
    page.mouse.down()
    page.mouse.move(frame["x"] + frame["width"] * 2.5 / 9, frame["y"] + frame["height"] * 6.5 / 9, steps=4)
    page.mouse.up()
    assert abs(float(shown.get_by_label("true x").input_value()) - 8) < 0.3
    assert abs(float(shown.get_by_label("true y").input_value()) - 24) < 0.3
    assert shown.locator(".living").get_attribute("data-peak") == "2,6"


@pytest.mark.parametrize(("x0", "x1"), [([1, 2, 3, 4], 10), ([0.5, -2, 0, 8], -3.25)])
def test_the_fuse_steps_are_torchs(page: Page, x0: list[float], x1: float) -> None:
    """Line after line as torch runs the public code's, and the tidy sums beside them."""
    shown = figure(page, "fuse")
    for k, value in enumerate(x0):
        shown.get_by_label(f"x0[{k // 2}, {k % 2}]").fill(str(value))
    shown.get_by_label("x1", exact=True).fill(str(x1))
    first, second = torch.tensor(x0, dtype=torch.float32).reshape(1, 1, 2, 2), torch.tensor([[[[float(x1)]]]])
    out = [first.clone(), second.clone()]
    y0 = out[0]
    expected = [(y0.clone(), None)]
    y0 += out[0]
    expected.append((y0.clone(), None))
    y0 += functional.interpolate(out[1], scale_factor=2)
    expected.append((y0.clone(), None))
    y1 = functional.avg_pool2d(out[0], 2)
    expected.append((y0.clone(), y1.clone()))
    y1 = y1 + functional.avg_pool2d(out[0], 2)
    expected.append((y0.clone(), y1.clone()))
    y1 = y1 + out[1]
    expected.append((y0.clone(), y1.clone()))
    for number, (large, small) in enumerate(expected, 1):
        stage = shown.locator(".living")
        assert says(page, "fuse").startswith(f"Line {number} of 6.")
        assert [float(value) for value in stage.get_attribute("data-y0").split(",")] == large.flatten().tolist()
        assert stage.get_attribute("data-y1") == ("" if small is None else f"{small.item():g}")
        if number < len(expected):
            shown.get_by_role("button", name="Next line").click()
    tidy = (first + second).flatten().tolist(), (functional.avg_pool2d(first, 2) + second).item()
    texts = shown.locator("figure.small").evaluate_all("all => all.map((one) => one.innerText)")
    assert [float(value) for value in texts[3].split("\n")[:4]] == [round(value, 2) for value in tidy[0]]
    assert float(texts[4].split("\n")[0]) == pytest.approx(tidy[1], abs=0.005)
    assert shown.get_by_role("button", name="Next line").is_disabled()


def unpacked(packed: dict[str, Any]) -> np.ndarray:
    """What the page is handed, as an array."""
    content, step = base64.b64decode(packed["base64"]), packed["step"]
    values = np.frombuffer(content, "<f4") if step is None else np.frombuffer(content, np.uint8) * step
    return values.reshape(packed["shape"])


def heat(page: Page, kind: str) -> np.ndarray:
    """The opacity of a figure's heat, (h, w) in 0 to 1: what the reader sees of a map."""
    pixels = page.evaluate(
        """async (kind) => {
            const image = new Image();
            image.src = document.querySelector(`#${kind} .heat`).getAttribute("href");
            await image.decode();
            const canvas = Object.assign(document.createElement("canvas"), {width: image.width, height: image.height});
            const pen = canvas.getContext("2d");
            pen.drawImage(image, 0, 0);
            const {data} = pen.getImageData(0, 0, image.width, image.height);
            return [image.height, image.width, [...data].filter((_, i) => i % 4 === 3)];
        }""",
        kind,
    )
    return np.array(pixels[2]).reshape(pixels[:2]) / 255


def crosses(page: Page, kind: str) -> list[list[float]]:
    """Where a figure's crosses are, in input pixels."""
    places = figure(page, kind).locator(".joint").evaluate_all("all => all.map((one) => one.getAttribute('transform'))")
    return [[float(number) for number in place[len("translate(") : -1].split()] for place in places]


def test_from_pytorch_to_onnx_runtime_to_their_difference(page: Page) -> None:
    """Two maps that look alike, then a difference that nobody sees until it is multiplied."""
    held = FIGURES["runtimes"]
    torch_map, onnx_map = (unpacked(one) for one in held["maps"])
    apart, top = unpacked(held["difference"]), unpacked(held["maps"][0]).max()
    slider = figure(page, "runtimes").get_by_label("show")
    for stop, values in ((0, torch_map), (1, onnx_map), (2, apart), (7, apart * 1e5), (10, apart * 1e8)):
        slider.fill(str(stop))
        assert np.abs(heat(page, "runtimes") - np.clip(values / top, 0, 1)).max() < 0.01
        if stop < 2:
            assert crosses(page, "runtimes") == held["joints"][stop]
        else:
            seen = int((values > 0.05 * top).sum())
            assert f"{seen} of {apart.size} pixels can be seen" in says(page, "runtimes")
            mantissa, exponent = f"{apart.max():.1e}".split("e")
            assert f"largest difference is {mantissa}e{int(exponent)};" in says(page, "runtimes")
    slider.focus()
    page.keyboard.press("Home")
    page.keyboard.press("ArrowRight")
    assert says(page, "runtimes").startswith("ONNX Runtime: ")


def test_mistakes_are_switched_on(page: Page) -> None:
    """The input, its heatmap and its joints change together, by tap and by key; the OKS is the one that was handed."""
    held = FIGURES["mistakes"]
    top = max(unpacked(way["map"]).max() for way in held["ways"])
    right = np.array(held["ways"][0]["joints"])
    for k in (1, 2, 0):
        way = held["ways"][k]
        figure(page, "mistakes").get_by_label(way["name"]).tap()
        assert np.abs(heat(page, "mistakes") - np.clip(unpacked(way["map"]) / top, 0, 1)).max() < 0.01
        assert crosses(page, "mistakes") == way["joints"]
        assert figure(page, "mistakes").locator("image").first.get_attribute("href") == way["photo"]
        text = says(page, "mistakes")
        assert f"peak of the left wrist is {unpacked(way['map']).max():.2f}. OKS {way['oks']:.2f}." in text
        far = int((np.linalg.norm(np.array(way["joints"]) - right, axis=1) > 4).sum())
        assert (f"{far} of 17 joints are elsewhere" in text) == (k > 0)
    page.keyboard.press("ArrowRight")
    assert says(page, "mistakes").startswith("dark: ")


def test_a_pixel_of_the_small_map_lights_what_it_weights(page: Page) -> None:
    """The lit block is the one that nearest upsampling fills from that pixel, for every pixel that is tapped."""
    held = FIGURES["weights"]
    values = unpacked(held["weights"])
    small = torch.arange(48.0).reshape(1, 1, 8, 6)
    large = functional.interpolate(small, size=held["branch"])[0, 0].numpy()
    shown = figure(page, "weights")
    shown.get_by_label("2", exact=True).check()
    shown.get_by_label("4", exact=True).check()
    grid = shown.locator(".weights")
    frame = grid.bounding_box()
    for row, column in ((0, 0), (7, 5), (3, 2)):
        x, y = (column + 0.5) / 6 * frame["width"], (row + 0.5) / 8 * frame["height"]
        grid.tap(position={"x": x, "y": y})
        rows, columns = np.nonzero(large == 6 * row + column)
        lit = shown.locator(".lit").evaluate(
            "one => ['x', 'y', 'width', 'height'].map((name) => Number(one.getAttribute(name)))"
        )
        assert lit == [columns[0], rows[0], columns[-1] - columns[0] + 1, rows[-1] - rows[0] + 1]
        text = says(page, "weights")
        assert text.startswith(f"Channel 4, row {row}, column {column} of 8x6: weight {values[1, 1, row, column]:.3f}.")
        assert f"{len(rows)} pixels of 64x48" in text
    assert [float(cell) for cell in grid.locator("text").all_text_contents()] == [
        pytest.approx(value, abs=0.0051) for value in values[1, 1].flatten().tolist()
    ]
    grid.focus()
    for key in ("ArrowUp", "ArrowLeft", "ArrowLeft", "ArrowLeft"):
        page.keyboard.press(key)
    assert "row 2, column 0 of 8x6" in says(page, "weights")


def test_channels_are_moved_or_followed(page: Page) -> None:
    """Block after block: the shuffle's order on one side, `Layout.numbers` and nothing that moves on the other."""
    orders = FIGURES["channels"]["orders"]
    shown = figure(page, "channels")
    content = torch.arange(10.0).reshape(1, 10, 1, 1)
    for step, order in enumerate(orders):
        if step:
            shown.get_by_role("button", name="Next block").click()
            content = channel_shuffle(content, 2)
        moves, follows = shown.locator(".channels.moves"), shown.locator(".channels.follows")
        assert moves.get_attribute("data-contents") == ",".join(str(int(value)) for value in content.flatten())
        assert moves.get_attribute("data-labels") == ",".join(map(str, range(10)))
        assert follows.get_attribute("data-contents") == ",".join(map(str, range(10)))
        assert follows.get_attribute("data-labels") == ",".join(map(str, order))
        for drawing in (moves, follows):
            under = drawing.locator("g.works text").evaluate_all("all => all.map((one) => Number(one.textContent))")
            assert sorted(under) == list(range(5, 10))
    assert shown.get_by_role("button", name="Next block").is_disabled()
    shown.get_by_role("button", name="Back").click()
    assert says(page, "channels").startswith(f"Before block {len(orders) - 1}")


def changes_shown(page: Page) -> dict[str, tuple[int, int]]:
    """From each operator that the figure names to its numbers before and after."""
    lines = figure(page, "rewrites").locator(".moved li").all_inner_texts()
    words = [line.replace("→", " ").split() for line in lines]
    return {name: (int(before), int(after)) for name, before, after in words}


def test_one_rewrite_after_the_other_shows_what_the_profile_counted(page: Page) -> None:
    """Kernels, milliseconds and operators of each step, forwards by button and by key, and back by touch."""
    shown = figure(page, "rewrites")
    stage = shown.locator(".living")
    before: dict[str, int] = {}
    longest = max(sum(kernel.microseconds for kernel in ran) for ran in GRAPHS.values())
    for step, (name, ran) in enumerate(GRAPHS.items()):
        if step == 1:
            shown.get_by_role("button", name="Next rewrite").click()
        elif step == 2:
            shown.get_by_label("second", exact=True).focus()
            page.keyboard.press("ArrowRight")
        assert stage.get_attribute("data-step") == name
        assert f"{len(ran)} kernels" in says(page, "rewrites")
        ms = sum(kernel.microseconds for kernel in ran) / 1000
        assert float(stage.get_attribute("data-ms")) == pytest.approx(ms, abs=0.05 * len(ran) / 1000)
        rows = shown.locator(".kinds tbody tr").all_inner_texts()
        table = {kind: (int(number), float(time)) for kind, number, time in (row.split("\t")[:3] for row in rows)}
        for kind, (number, time) in by_kind(ran).items():
            assert table[kind] == (number, pytest.approx(time, abs=0.05 * number / 1000 + 0.051))
        assert sum(number for number, _ in table.values()) == len(ran)
        now = {op: number for op, (number, _) in by_operator(ran).items()}
        expected = {op: (before.get(op, 0), now.get(op, 0)) for op in before | now}
        assert changes_shown(page) == {op: two for op, two in expected.items() if step and two[0] != two[1]}
        gone = sorted(op for op in before if op not in now)
        named = says(page, "rewrites").partition("Gone altogether: ")[2].rstrip(".")
        assert sorted(named.split(", ") if named else []) == gone
        width = shown.locator(".strips path").evaluate_all(
            "all => Math.max(...all.map((one) => one.getBBox().x + one.getBBox().width))"
        )
        assert width == pytest.approx(1000 * 1000 * ms / longest, rel=0.01)
        before = now
    assert shown.get_by_role("button", name="Next rewrite").is_disabled()
    shown.get_by_role("button", name="Back").click()
    shown.get_by_role("button", name="Next rewrite").focus()
    page.keyboard.press("Enter")  # to the end again: the keyboard goes on from the button that is left
    assert shown.get_by_role("button", name="Back").evaluate("one => one === document.activeElement")
    shown.get_by_label("first", exact=True).tap()
    assert says(page, "rewrites").startswith("The first graph: 400 kernels")
    assert shown.get_by_role("button", name="Back").is_disabled()


def test_one_kind_of_kernel_can_be_seen_alone(page: Page) -> None:
    """A tap lets the others fade, another brings them back."""
    shown = figure(page, "rewrites")
    button = shown.get_by_role("button", name="reorder")
    for pressed in ("true", "false"):
        button.tap()
        assert button.get_attribute("aria-pressed") == pressed
        faint = shown.locator(".strips path").evaluate_all("all => all.map((one) => one.classList.contains('faint'))")
        assert faint == [pressed == "true" and kind != "reorder" for kind, _ in FIGURES["rewrites"]["kinds"]]


def test_nothing_glides_where_less_motion_is_wanted(page: Page) -> None:
    """Bars, channels and strips jump to their places for those who asked for that."""
    for what in (".windows .bars rect", ".channels g", ".bar-of-time", ".strips path"):
        one = page.locator(what).first
        assert one.evaluate("one => getComputedStyle(one).transitionDuration") != "0s"
        page.emulate_media(reduced_motion="reduce")
        assert one.evaluate("one => getComputedStyle(one).transitionProperty") == "none"
        page.emulate_media(reduced_motion="no-preference")
