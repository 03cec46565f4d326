"""The system's chromium, without a window and without access to other hosts."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from playwright.sync_api import Page, Route

BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
QUIET = (
    "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync",
)  # fmt: skip


def find_browser() -> str | None:
    """The path of the system's chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def wanted_browser() -> str:
    """The path of the system's chromium; without one, the program ends with a message."""
    path = find_browser()
    if path is None:
        raise SystemExit(f"no browser found; one of these is needed: {', '.join(BROWSERS)}")
    return path


@contextmanager
def window(browser: str, address: str, width: int, height: int) -> Iterator[Page]:
    """A page that reaches `address` and nothing else; closed on exit.

    Args:
        browser: path of the program.
        address: with what every request must begin.
        width: of the window, in pixels.
        height: of the window.
    """
    from playwright.sync_api import sync_playwright

    def only_ours(route: Route) -> None:
        if route.request.url.startswith((address, "data:", "blob:")):
            route.continue_()
        else:
            route.abort()

    with sync_playwright() as player:
        chromium = player.chromium.launch(executable_path=browser, args=QUIET)
        context = chromium.new_context(accept_downloads=True, viewport={"width": width, "height": height})
        page = context.new_page()
        page.route("**/*", only_ours)
        yield page
        chromium.close()
