"""The index that the pages' search looks through: headings, terms, functions and the text below them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from bs4 import BeautifulSoup, Tag

TEXT = 700  # characters of text kept for each heading
# Loaded when a reader searches for the first time: a script, because a page opened from disk may not fetch.
ASSIGNMENT = "window.COURSE_INDEX = "


@dataclass(frozen=True)
class Entry:
    """One thing to find.

    Attributes:
        link: from the site's root, with its anchor.
        page: the page's title.
        heading: what is found there: a heading, a term or a function.
        text: the first words below it.
    """

    link: str
    page: str
    heading: str
    text: str


def entries(soup: BeautifulSoup, link: str, page: str) -> list[Entry]:
    """A page's headings of level 1 to 3 and its terms, each with the text up to the next."""
    found: list[Entry] = []
    anchor, heading, words = "", "", ""

    def close() -> None:
        if heading:
            found.append(
                Entry(f"{link}{f'#{anchor}' if anchor else ''}", page, heading, " ".join(words.split())[:TEXT])
            )

    for tag in soup.find_all(["h1", "h2", "h3", "p", "li", "pre", "figcaption", "td", "th"]):
        if tag.name in {"h1", "h2", "h3"}:
            close()
            anchor, heading, words = tag.get("id") or "", _without_links(tag), ""
        elif tag.name == "li" and (term := tag.find("a", id=True, recursive=False)) is not None:
            strong = tag.find("strong")
            if strong is not None:
                text = tag.get_text().removeprefix(strong.get_text()).lstrip(": ")
                found.append(Entry(f"{link}#{term['id']}", page, strong.get_text(), " ".join(text.split())[:TEXT]))
        elif len(words) < TEXT and not tag.find(["p", "li"]):
            words += f" {tag.get_text()}"
    close()
    return found


def _without_links(tag: Tag) -> str:
    return " ".join("".join(text for text in tag.find_all(string=True) if text.parent is None
                            or "anchor-link" not in (text.parent.get("class") or ())).split())  # fmt: skip


def script(found: list[Entry]) -> str:
    """The index as a script."""
    return f"{ASSIGNMENT}{json.dumps([asdict(entry) for entry in found], ensure_ascii=False, separators=(',', ':'))};\n"
