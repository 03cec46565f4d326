"""Where every file of the repository is on the site, and how relative links are turned into links between pages."""

from __future__ import annotations

import os
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

from bs4 import BeautifulSoup

PAGES = {".ipynb", ".md", ".py", ".toml", ".txt", ".yml", ".yaml", ".json", ".sh", ".js", ".html", ".css", ".csv"}
TEXT_NAMES = {"LICENSE", "NOTICE", "Makefile", "run"}


class BrokenLink(Exception):
    """A link of the repository leads nowhere; the message names the file and the link."""


class SiteMap:
    """The map from the repository to the site.

    Args:
        root: the checkout.
        api: modules that have an API page, such as "litehrnet.pooling".
    """

    def __init__(self, root: Path, api: set[str]) -> None:
        self.root = root
        self.api = api

    def page_of(self, path: Path) -> PurePosixPath | None:
        """The page of a file or folder, relative to the site; None for what is copied as it is (pictures, models)."""
        relative = PurePosixPath(path.relative_to(self.root).as_posix())
        if module := self.module_of(path):
            return PurePosixPath("api", *module.split(".")).with_suffix(".html")
        if relative.parts[:1] == ("notebooks",) and path.suffix in {".ipynb", ".md"}:
            return PurePosixPath(*relative.parts[1:]).with_suffix(".html")
        if path.is_dir():
            return PurePosixPath("files") / relative / "index.html"
        if path.suffix in PAGES or path.name in TEXT_NAMES:
            return PurePosixPath("files") / f"{relative}.html"
        return None

    def copy_of(self, path: Path) -> PurePosixPath:
        """Where a file is copied to, relative to the site."""
        relative = PurePosixPath(path.relative_to(self.root).as_posix())
        return PurePosixPath(*relative.parts[1:]) if relative.parts[0] == "notebooks" else "files" / relative

    def module_of(self, path: Path) -> str | None:
        """The module with an API page that a file (or a package's folder) holds, or None."""
        relative = path.relative_to(self.root)
        parts = [part for part in relative.with_suffix("").parts if part != "__init__"]
        module = ".".join(parts)
        is_module = path.suffix == ".py" or (path.is_dir() and (path / "__init__.py").is_file())
        return module if is_module and module in self.api else None


def rewrite(soup: BeautifulSoup, source: Path, page: PurePosixPath, site: SiteMap) -> tuple[set[Path], set[Path]]:
    """Turn the relative links and images of a page into links within the site.

    Args:
        soup: the page; changed in place.
        source: the file of the repository that the page was made from.
        page: the page's place on the site.
        site: the map.

    Returns:
        (pages, copies): files and folders that the links lead to, by what becomes of them.

    Raises:
        BrokenLink: a relative link leads to no file of the repository.
    """
    pages: set[Path] = set()
    copies: set[Path] = set()
    for tag, attribute in [(tag, "href") for tag in soup("a", href=True)] + [(tag, "src") for tag in soup("img")]:
        address = urlsplit(tag[attribute])
        if address.scheme or address.netloc or not address.path or tag.find_parent(class_="drawn"):
            continue  # elsewhere, on this page, or a figure that the site made
        path = Path(os.path.normpath(source.parent / unquote(address.path)))
        if not path.is_relative_to(site.root) or not path.exists():
            raise BrokenLink(f"{source.relative_to(site.root)}: the link {tag[attribute]} leads nowhere")
        target = site.page_of(path) if tag.name == "a" else None
        (copies if target is None else pages).add(path)
        target = target or site.copy_of(path)
        fragment = f"#{address.fragment}" if address.fragment else ""
        tag[attribute] = relative_link(page, target) + fragment
    return pages, copies


def relative_link(page: PurePosixPath, target: PurePosixPath | str) -> str:
    """The link from one page of the site to another."""
    return os.path.relpath(target, page.parent)
