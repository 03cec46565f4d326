"""The site in a real browser: on a desk and on a phone, light and dark, and without a word to other hosts."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from course import ROOT, numbered

from .browser_tools import Visit, open_window

pytestmark = pytest.mark.browser

SIZES = {"desk": {"width": 1280, "height": 900}, "phone": {"width": 360, "height": 780}}


class Quiet(http.server.SimpleHTTPRequestHandler):
    """Serves files without a line for each."""

    def log_message(self, *arguments: object) -> None:
        """Say nothing."""


@pytest.fixture(scope="module")
def address(site: Path) -> Iterator[str]:
    """The site, served on this machine."""
    server = http.server.ThreadingHTTPServer(("localhost", 0), partial(Quiet, directory=str(site)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://localhost:{server.server_port}"
    server.shutdown()


@pytest.fixture
def phone(browser) -> Iterator[Visit]:
    """A window of a phone's size, with touch."""
    visit = open_window(browser, viewport=SIZES["phone"], has_touch=True, is_mobile=True)
    yield visit
    visit.context.close()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", SIZES)
def test_every_page_fits_and_asks_nobody(site: Path, address: str, browser, size: str, scheme: str) -> None:
    """No page is wider than the screen, none asks another host, none complains, every picture is there."""
    visit = open_window(browser, viewport=SIZES[size], color_scheme=scheme)
    every = sorted(path.relative_to(site).as_posix() for path in site.rglob("*.html"))
    sources = [page for page in every if page.startswith(("files/", "api/")) and not page.endswith(".md.html")]
    few = sources[:: 1 + len(sources) // 12]  # they are all made alike
    pages = [page for page in every if page not in sources or (scheme == "light" and page in few)]
    assert len(pages) > 10
    for name in pages:
        visit.page.goto(f"{address}/{name}")
        assert visit.complaints == [], name
        width, ground = visit.page.evaluate(
            "[document.documentElement.scrollWidth, getComputedStyle(document.body).backgroundColor]"
        )
        assert width <= SIZES[size]["width"], f"{name} is {width} pixels wide"
        if not name.startswith("api/"):
            lightness = sum(int(part) for part in ground.removeprefix("rgb(").removesuffix(")").split(","))
            assert (lightness > 600) == (scheme == "light"), name
        missing = visit.page.evaluate(
            """async () => {
                const images = [...document.images];
                images.forEach((image) => (image.loading = "eager"));
                await Promise.all(images.map((image) => image.decode().catch(() => {})));
                return images.filter((image) => !image.naturalWidth).map((image) => image.src.slice(0, 80));
            }"""
        )
        assert missing == [], name
    assert visit.elsewhere == []
    visit.context.close()


def test_every_drawn_figure_follows_the_theme(site: Path) -> None:
    """No page puts a plain copy of a drawing, with its white ground, in the place of the one in the page's colours."""
    drawn = sorted((site / "figures").glob("*.svg"))
    assert len(drawn) > 20
    assert [path.name for path in drawn if "prefers-color-scheme" not in path.read_text()] == []


def test_pages_opened_from_disk(site: Path, window: Visit) -> None:
    """`build/site/index.html` works by a double click: cards, next, contents, and back."""
    page = window.page
    page.goto((site / "index.html").as_uri())
    assert page.locator(".card").count() == len(numbered(ROOT / "notebooks"))
    page.get_by_role("link", name="Start here", exact=True).click()
    page.locator("a[rel=next]").click()
    assert page.url.endswith("/01_meet_lite_hrnet.html")
    page.locator(".side .contents a").last.click()
    assert "#" in page.url
    page.get_by_role("link", name="Glossary").first.click()
    assert page.locator("h1").inner_text().startswith("Glossary")
    assert window.elsewhere == []
    assert window.complaints == []


def test_code_can_be_copied(site: Path, address: str, browser) -> None:
    """The button copies the cell's code, without the button's own word."""
    visit = open_window(browser, permissions=["clipboard-read", "clipboard-write"])
    visit.page.goto(f"{address}/04_fix_the_pooling.html")
    block = visit.page.locator(".input").first
    code = block.locator("pre").inner_text()
    block.hover()
    block.get_by_role("button", name="Copy").click()
    block.get_by_role("button", name="Copied").wait_for()
    copied = visit.page.evaluate("navigator.clipboard.readText()")
    assert copied.strip() == code.strip()
    assert "import" in copied
    visit.context.close()


def test_dark_mode_is_remembered(address: str, window: Visit) -> None:
    """The button turns the page dark, and the next page, the API's too, is dark as well."""
    page = window.page
    page.goto(f"{address}/index.html")
    ground = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(ground)
    page.get_by_role("button", name="Light or dark").click()
    dark = page.evaluate(ground)
    assert dark != light
    page.goto(f"{address}/glossary.html")
    assert page.evaluate(ground) == dark
    page.goto(f"{address}/api/litehrnet/pooling.html")
    assert page.evaluate("document.documentElement.dataset.theme") == "dark"
    page.goto(f"{address}/glossary.html")
    page.get_by_role("button", name="Light or dark").click()
    assert page.evaluate(ground) == light


def test_mathematics_is_drawn(address: str, window: Visit) -> None:
    """Formulas are MathML with a font that came along: a fraction is taller than a letter, and its bars are there."""
    page = window.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    assert page.locator("math").count() >= 3
    assert page.evaluate("document.fonts.ready.then(() => document.fonts.check('16px \"Course Math\"'))")
    assert page.evaluate("[...document.fonts].filter((font) => font.status === 'loaded').length") >= 1
    fraction = page.locator("math mfrac").first.bounding_box()
    letter = page.locator("math mfrac mi").first.bounding_box()
    assert fraction["height"] > 1.8 * letter["height"]


@pytest.mark.parametrize(
    ("start", "words", "first", "target"),
    [
        ("glossary.html", "pool_params", "pool_params", "/api/litehrnet/pooling.html#pool_params"),
        (
            "api/litehrnet/pooling.html",
            "depthwise conv",
            "depthwise convolution",
            "/glossary.html#depthwise-convolution",
        ),
        ("solutions/04_fix_the_pooling.html", "quiz", "Quiz", "#Quiz"),
    ],
)
def test_search_finds_functions_terms_and_headings(
    address: str, window: Visit, start: str, words: str, first: str, target: str
) -> None:
    """From any page, by keys alone: slash, words, Enter."""
    page = window.page
    page.goto(f"{address}/{start}")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill(words)
    page.locator("dialog li a").first.wait_for()
    assert page.locator("dialog li a b").first.inner_text() == first
    page.keyboard.press("Enter")
    page.wait_for_url(f"**{target}")
    assert window.elsewhere == []
    assert window.complaints == []


@pytest.mark.parametrize("words", ["fuse", "heatmap", "pooling", "onnx", "peak", "train"])
def test_search_lists_what_explains_before_what_one_looks_up(address: str, window: Visit, words: str) -> None:
    """Terms and lessons with the word in their heading come first, the package's entries after all of them."""
    page = window.page
    page.goto(f"{address}/index.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill(words)
    page.locator("dialog li a").first.wait_for()
    found = page.evaluate(
        """(words) => rank(window.COURSE_INDEX, words).map(({link, heading}) => [link, heading.toLowerCase()])""", words
    )
    lessons = [k for k, (link, heading) in enumerate(found) if link[:2].isdigit() and f" {words}" in f" {heading}"]
    package = [k for k, (link, _) in enumerate(found) if link.startswith("api/")]
    assert found[0][0].startswith(("0", "1", "glossary.html", "cheat_sheet.html"))
    assert lessons or words == "peak"
    assert max(lessons, default=0) < min(package)


def test_on_a_phone_a_long_table_keeps_the_names_of_its_columns(address: str, phone: Visit) -> None:
    """However far its rows are scrolled; the first column stays, too, and the table fits on the screen."""
    phone.page.goto(f"{address}/08_take_it_to_devices.html")
    tall = """() => [...document.querySelectorAll(".scroll:has(> table)")]
        .findIndex((box) => box.scrollHeight > 1.2 * box.clientHeight && box.scrollWidth > box.clientWidth)"""
    box = phone.page.locator(".scroll:has(> table)").nth(phone.page.evaluate(tall))
    assert box.bounding_box()["height"] < SIZES["phone"]["height"]
    box.evaluate("one => one.scrollTo(60, 300)")
    names = """one => {
        const [outer, head] = [one, one.querySelector("thead th")].map((each) => each.getBoundingClientRect());
        return [head.top - outer.top, head.left - outer.left];
    }"""
    assert max(abs(part) for part in box.evaluate(names)) < 2


def test_on_a_phone_a_caption_stays_in_view(address: str, phone: Visit) -> None:
    """However far its table is scrolled."""
    phone.page.goto(f"{address}/03_watch_the_export_fail.html")
    captions = phone.page.locator(".scroll caption")
    for caption in captions.all():
        caption.evaluate("one => one.closest('.scroll').scrollTo(90, 0)")
        place = caption.bounding_box()
        assert 0 <= place["x"] <= place["x"] + place["width"] <= SIZES["phone"]["width"]
    assert captions.count()


def test_a_figure_opens_within_the_page(address: str, phone: Visit) -> None:
    """A tap shows all of it, larger on demand; Escape, the button and the way back close it where the reader was."""
    page = phone.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    link = page.locator("figure.drawn.more:not(.alive) a.full").first
    link.scroll_into_view_if_needed()
    before = page.evaluate("scrollY")
    stage = page.locator("dialog.viewer .stage")
    hidden = "one => Math.max(one.scrollWidth - one.clientWidth, one.scrollHeight - one.clientHeight)"
    for close in (
        lambda: page.keyboard.press("Escape"),
        lambda: page.get_by_role("button", name="Close").tap(),
        page.go_back,
    ):
        link.tap()
        shown = stage.locator("img")
        assert shown.get_attribute("src") == link.locator("img").get_attribute("src")
        assert stage.evaluate(hidden) <= 0
        assert shown.bounding_box()["width"] == pytest.approx(SIZES["phone"]["width"], abs=1)
        page.get_by_role("button", name="Larger").tap()
        assert stage.evaluate(hidden) > 100
        close()
        stage.wait_for(state="hidden")
        page.wait_for_function("history.state === null")
        assert page.evaluate("scrollY") == before
        assert link.evaluate("one => document.activeElement === one")
    assert page.url.endswith("/04_fix_the_pooling.html")
    box = page.locator("figure.drawn.more:not(.alive) .scroll").first
    page.locator("figure.drawn.more:not(.alive) .slide").first.tap()
    page.wait_for_function("document.querySelector('figure.drawn:not(.alive) .scroll').scrollLeft > 50")
    assert box.evaluate("one => one.scrollLeft") > 0
    assert phone.complaints == []


def test_on_a_phone_the_header_is_an_upward_swipe_away(address: str, browser) -> None:
    """Away while one reads on, there after a swipe up, away after a jump; the lessons close by a tap beside them."""
    visit = open_window(browser, viewport=SIZES["phone"], has_touch=True, is_mobile=True, reduced_motion="reduce")
    page = visit.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    bottom = "document.querySelector('header').getBoundingClientRect().bottom"
    page.evaluate("scrollTo(0, 2000)")
    page.wait_for_function(f"{bottom} <= 0")
    page.evaluate("scrollBy(0, -60)")
    page.wait_for_function(f"{bottom} > 40")
    page.locator(".burger").tap()
    side = page.locator(".side")
    assert side.bounding_box()["height"] == SIZES["phone"]["height"]
    assert page.evaluate("scrollY") == pytest.approx(1940, abs=20)
    page.touchscreen.tap(SIZES["phone"]["width"] - 8, 600)
    assert not side.is_visible()
    page.locator(".burger").tap()
    page.locator(".side .contents a").nth(1).tap()
    page.wait_for_function(f"{bottom} <= 0")
    assert not side.is_visible()
    visit.context.close()


def test_search_says_what_it_waits_for_and_shows_the_place(address: str, window: Visit) -> None:
    """While its index is on the way; then the words are marked where they are."""
    page = window.page
    held = []
    page.route("**/assets/index.js", lambda route: held.append(route))
    page.goto(f"{address}/index.html")
    page.keyboard.press("/")
    page.get_by_role("searchbox").fill("float16")
    status = page.locator("dialog.search [role=status]")
    assert status.inner_text().startswith("Loading")
    page.wait_for_function("document.getElementById('index')")
    held[0].continue_()
    page.locator("dialog.search li a").first.wait_for()
    assert status.inner_text().endswith("found")
    links = page.locator("dialog.search li a").evaluate_all("all => all.map((one) => one.getAttribute('href'))")
    benchmarks = [k for k, link in enumerate(links) if link.startswith("files/benchmarks")]
    assert links.index("11_fewer_bits.html#2.-Sixteen-bits") < min([*benchmarks, 3])
    assert page.locator("dialog.search mark").first.inner_text().lower() == "float16"


def test_the_term_that_a_link_leads_to_is_marked(address: str, window: Visit) -> None:
    """Among seventy others."""
    window.page.goto(f"{address}/glossary.html#heatmap")
    ground = "one => getComputedStyle(one.closest('li')).backgroundColor"
    marked = window.page.locator("#heatmap").evaluate(ground)
    assert marked != window.page.locator("#peak").evaluate(ground)


def test_ticks_are_kept(address: str, window: Visit) -> None:
    """A lesson is done by its tick or by going on; every page shows it, and it can be taken back."""
    page = window.page
    page.goto(f"{address}/00_start_here.html")
    page.locator("a[rel=next]").click()
    page.get_by_label("done").check()
    page.goto(f"{address}/glossary.html")
    done = page.locator(".lessons li.done")
    assert done.evaluate_all("all => all.map((one) => one.dataset.lesson)") == ["00", "01"]
    page.goto(f"{address}/01_meet_lite_hrnet.html")
    page.get_by_label("done").uncheck()
    assert done.count() == 1


def test_a_term_is_explained_on_hover_and_on_focus(address: str, window: Visit) -> None:
    """The glossary's own line, and Escape puts it away."""
    page = window.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    term = page.locator("main a[data-term]").first
    term.hover()
    tip = page.get_by_role("tooltip")
    assert tip.inner_text() == term.get_attribute("data-term")
    page.keyboard.press("Escape")
    assert not tip.is_visible()
    term.focus()
    assert tip.is_visible()


def test_by_touch_a_term_is_explained_before_it_is_left_for(address: str, phone: Visit) -> None:
    """The first tap shows the line and stays; a tap elsewhere puts it away; two taps lead to the glossary."""
    page = phone.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    term = page.locator("main a[data-term]").first
    term.tap()
    tip = page.get_by_role("tooltip")
    assert tip.inner_text().startswith(term.get_attribute("data-term"))
    assert page.url.endswith("/04_fix_the_pooling.html")
    page.locator("h1").tap()
    assert not tip.is_visible()
    term.tap()
    assert tip.is_visible()
    term.tap()
    page.wait_for_url("**/glossary.html#*")


def test_wide_figures_say_that_there_is_more(address: str, browser) -> None:
    """On a phone, until the reader has scrolled to the figure's end; on a desk, where all is seen, none does."""
    for size, expected in (("phone", True), ("desk", False)):
        visit = open_window(browser, viewport=SIZES[size])
        visit.page.goto(f"{address}/04_fix_the_pooling.html")
        figure = visit.page.locator("figure.drawn").first
        figure.locator("img").evaluate("image => image.decode()")
        box = figure.locator(".scroll")
        assert (box.evaluate("one => one.scrollWidth - one.clientWidth") > 8) == expected
        more = "one => one.classList.contains('more')"
        visit.page.wait_for_function(f"({more})(document.querySelector('figure.drawn')) === {str(expected).lower()}")
        box.evaluate("one => one.scrollTo(one.scrollWidth, 0)")
        visit.page.wait_for_function(f"!({more})(document.querySelector('figure.drawn'))")
        visit.context.close()


def test_a_tall_graph_begins_in_its_middle(address: str, browser) -> None:
    """On a phone, where its left edge is a screen full of nothing."""
    visit = open_window(browser, viewport=SIZES["phone"])
    visit.page.goto(f"{address}/03_watch_the_export_fail.html")
    box = visit.page.locator("figure.drawn > .scroll:has(img[src*=exploded_pooling])")
    hidden = box.evaluate("one => one.scrollWidth - one.clientWidth")
    assert hidden > 8
    assert box.evaluate("one => one.scrollLeft") == pytest.approx(hidden / 2, abs=1)
    visit.context.close()


def test_the_marker_follows_the_reader_up_and_down(address: str, window: Visit) -> None:
    """The last heading above a line near the top, from wherever it was reached."""
    page = window.page
    page.goto(f"{address}/04_fix_the_pooling.html")
    here = "[...document.querySelectorAll('.contents a.here')].map((link) => link.hash)"
    links = page.locator(".side .contents a")
    hashes = links.evaluate_all("all => all.map((link) => link.hash)")
    for index in (3, 9, 6, 4):
        page.evaluate(
            "(hash) => document.getElementById(decodeURIComponent(hash.slice(1)))"
            ".scrollIntoView({behavior: 'instant'})",
            hashes[index],
        )
        page.wait_for_function(f"JSON.stringify({here}) === JSON.stringify([{hashes[index]!r}])")


def test_on_a_phone_the_lessons_are_behind_a_button(address: str, browser) -> None:
    """Closed as delivered, so that nothing jumps; opened and closed without script."""
    visit = open_window(browser, viewport=SIZES["phone"], java_script_enabled=False)
    visit.page.goto(f"{address}/04_fix_the_pooling.html")
    side = visit.page.locator(".side")
    assert not side.is_visible()
    visit.page.locator(".burger").click()
    assert side.is_visible()
    visit.page.locator(".burger").click()
    assert not side.is_visible()
    visit.context.close()


@pytest.mark.parametrize("name", ["06_see_the_heatmaps", "07_make_it_fast"])
def test_print_leaves_no_half_of_a_page_empty(address: str, browser, name: str) -> None:
    """What print may not divide is at most half as tall as a sheet of A4 between its margins."""
    millimetre = 96 / 25.4
    visit = open_window(browser, viewport={"width": round(180 * millimetre), "height": 900})
    visit.page.goto(f"{address}/{name}.html")
    visit.page.emulate_media(media="print")
    tall = visit.page.evaluate(
        """async () => {
            const images = [...document.images];
            images.forEach((image) => (image.loading = "eager"));
            await Promise.all(images.map((image) => image.decode()));
            return [...document.querySelectorAll("main *")]
                .filter((one) => getComputedStyle(one).breakInside === "avoid")
                .map((one) => one.getBoundingClientRect().height);
        }"""
    )
    assert len(tall) > 30
    assert max(tall) <= 0.5 * 267 * millimetre
    visit.context.close()


SLOW = {"offline": False, "latency": 150, "downloadThroughput": 180_000, "uploadThroughput": 84_000}  # slow 4G
WATCH = """window.paint = 0; window.shift = 0;
new PerformanceObserver((list) => list.getEntries().forEach((entry) => (paint = entry.startTime)))
    .observe({type: "largest-contentful-paint", buffered: true});
const add = (entry) => (shift += entry.hadRecentInput ? 0 : entry.value);
new PerformanceObserver((list) => list.getEntries().forEach(add))
    .observe({type: "layout-shift", buffered: true});"""


@pytest.mark.slow
def test_pages_are_light_and_quick_on_a_slow_line_and_do_not_jump(address: str, browser) -> None:
    """On slow 4G: at most 600 KB at first, the largest part within 2.5 s, next to no shift while one scrolls."""
    found = {}
    names = ["index.html", *(path.with_suffix(".html").name for path in numbered(ROOT / "notebooks"))]
    for name in names:
        visit = open_window(browser, viewport=SIZES["phone"])
        loaded = []
        line = visit.context.new_cdp_session(visit.page)
        line.send("Network.enable")
        line.send("Network.emulateNetworkConditions", SLOW)
        line.on("Network.loadingFinished", lambda event, loaded=loaded: loaded.append(event["encodedDataLength"]))
        visit.page.add_init_script(WATCH)
        visit.page.goto(f"{address}/{name}")
        visit.page.wait_for_timeout(1500)
        weight = sum(loaded)
        for _ in range(10):
            visit.page.mouse.wheel(0, 700)
            visit.page.wait_for_timeout(60)
        found[name] = weight, visit.page.evaluate("paint"), visit.page.evaluate("shift")
        visit.context.close()
    too_much = {name: one for name, one in found.items() if one[0] > 600_000 or one[1] > 2500 or one[2] > 0.05}
    assert too_much == {}


def test_text_of_figures_can_be_read_on_a_phone(address: str, browser) -> None:
    """An SVG is shown no smaller than its text needs, and scrolls inside its own frame."""
    visit = open_window(browser, viewport=SIZES["phone"])
    visit.page.goto(f"{address}/04_fix_the_pooling.html")
    visit.page.wait_for_selector("figure.alive")  # those that move are not pictures any more
    visit.page.wait_for_load_state("networkidle")
    images = visit.page.locator("figure.drawn:not(.alive) img").element_handles()
    assert images
    for image in images:
        least = float(image.evaluate("one => getComputedStyle(one).minWidth").removesuffix("px"))
        assert image.evaluate("one => one.getBoundingClientRect().width") >= least > 0
    assert visit.page.evaluate("document.documentElement.scrollWidth") <= SIZES["phone"]["width"]
    visit.context.close()
