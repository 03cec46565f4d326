"""A window that cannot reach other hosts, and where JupyterLab is."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Browser, BrowserContext, Page


def is_local(url: str) -> bool:
    """Whether an address stays on this machine."""
    address = urlsplit(url)
    return address.scheme in {"data", "blob", "file", "about"} or address.hostname in {"localhost", "127.0.0.1", "::1"}


@dataclass
class Visit:
    """A window of the browser, and what it asked of other hosts (each such request is refused)."""

    context: BrowserContext
    page: Page
    elsewhere: list[str]
    complaints: list[str]


def open_window(browser: Browser, **options: object) -> Visit:
    """A fresh window that cannot reach other hosts, with Netron's question about cookies answered."""
    context = browser.new_context(**options)
    context.add_cookies([{"name": "consent", "value": "1", "url": "http://localhost/"}])
    visit = Visit(context, context.new_page(), [], [])

    def refuse(route: object, request: object) -> None:
        visit.elsewhere.append(request.url)
        route.abort()

    context.route(lambda url: not is_local(url), refuse)
    visit.page.on("pageerror", lambda error: visit.complaints.append(str(error)))
    visit.page.on("console", lambda message: visit.complaints.append(message.text) if message.type == "error" else None)
    return visit


@dataclass(frozen=True)
class Lab:
    """A running JupyterLab.

    Attributes:
        url: its address, without the token.
        token: its token.
        folder: what it shows: a copy of the notebooks.
    """

    url: str
    token: str
    folder: Path

    def address(self, notebook: str) -> str:
        """Where a notebook opens, in a workspace of its own."""
        return f"{self.url}lab/tree/{notebook}?token={self.token}&reset"
