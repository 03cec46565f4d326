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


def test_pages_opened_from_disk(site: Path, window: Visit) -> None:
    """`build/site/index.html` works by a double click: cards, next, contents, and back."""
    page = window.page
    page.goto((site / "index.html").as_uri())
    assert page.locator(".card").count() == len(numbered(ROOT / "notebooks"))
    page.get_by_role("link", name="Start here", exact=True).click()
    page.locator("a[rel=next]").click()
    assert page.url.endswith("/01_meet_lite_hrnet.html")
    page.locator(".contents a").last.click()
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


def test_search_in_the_package_pages(address: str, window: Visit) -> None:
    """The package's pages find a function by its name."""
    page = window.page
    page.goto(f"{address}/api/litehrnet.html")
    page.get_by_role("searchbox").fill("pool_params")
    page.locator(".search-result").first.wait_for()
    assert "pool_params" in page.locator("main").inner_text()
    assert window.elsewhere == []
