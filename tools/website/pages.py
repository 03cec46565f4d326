"""One page each from a notebook, a Markdown file, a source file or a folder: the body, not yet the frame around it."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from urllib.parse import unquote

from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString
from course import drop_dead_frames, read
from jinja2 import pass_context
from nbconvert import HTMLExporter
from nbconvert.filters.markdown_mistune import MarkdownWithMath
from nbformat import NotebookNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexers import TextLexer, get_lexer_for_filename
from pygments.util import ClassNotFound

from .maths import MathRenderer

TEMPLATES = Path(__file__).parent / "templates"
_BAR = '<div class="bar"><span></span><button class="copy" type="button">Copy</button></div>'
WHOLE = 24  # characters of code that a line never divides
LINES = 22  # of a cell that print may divide between two pages
ROWS = 16  # of a table that a phone shows whole; a longer one scrolls below its first row
# What a line never divides: a number and its unit, a date.
TOGETHER = re.compile(r"\d[\d.,]* (?:%|ms|s|MB|GB|KB|px|min|h)(?!\w)|\b\d{4}-\d\d-\d\d\b")
COLUMNS = re.compile(r"\S  +\S")  # in two lines of a printed text or more, which then cannot wrap
LETTERS = 8  # so many different ones, and a list of terms has a row of them to jump by
HIDDEN = {"build", "node_modules", "__pycache__"}


@dataclass
class Page:
    """A page's body.

    Attributes:
        title: for the head and the contents, as plain text.
        soup: the body, with links as the source file has them.
        contents: (anchor, text as HTML, level) of each heading of level 2 and 3.
    """

    title: str
    soup: BeautifulSoup
    contents: list[tuple[str, str, int]] = field(default_factory=list)


class _Exporter(HTMLExporter):
    """nbconvert's HTML, with our cell markup and MathML for the mathematics."""

    @pass_context
    def markdown2html(self, context: dict, source: str) -> str:
        """The Markdown of a cell as HTML, attachments embedded."""
        cell = context.get("cell", {})
        return markdown(source, attachments=cell.get("attachments", {}))


def markdown(source: str, attachments: dict | None = None) -> str:
    """Markdown as Jupyter understands it, as HTML with MathML."""
    renderer = MathRenderer(escape=False, attachments=attachments or {}, anchor_link_text="#")
    return MarkdownWithMath(renderer=renderer).render(source)


def from_notebook(notebook: NotebookNode) -> Page:
    """The page of a notebook with its outputs."""
    drop_dead_frames(notebook)
    exporter = _Exporter(template_name="notebook", extra_template_basedirs=[str(TEMPLATES)])
    body, _ = exporter.from_notebook_node(notebook)
    return _finish(body)


def from_markdown(path: Path) -> Page:
    """The page of a Markdown file."""
    body = BeautifulSoup(f'<section class="prose">\n{markdown(path.read_text())}\n</section>', "html.parser")
    for heading in body(["h1", "h2", "h3", "h4"], id=True):
        # As GitHub names them, where these files are read as well; notebooks keep JupyterLab's names.
        heading["id"] = re.sub(r"[^\w\- ]", "", _text(heading).lower()).replace(" ", "-")
        for link in heading(class_="anchor-link"):
            link["href"] = f"#{heading['id']}"
    return _finish(str(body))


def from_text(path: Path, name: str) -> Page:
    """The page of a source file, highlighted, with a number and an anchor for each line."""
    try:
        lexer = get_lexer_for_filename(path.name)
    except ClassNotFound:
        lexer = TextLexer()
    formatter = HtmlFormatter(linenos="inline", lineanchors="L", anchorlinenos=False)
    code = re.sub(r'(<a id="L)-(\d+")', r"\1\2", highlight(path.read_text(), lexer, formatter))
    page = _finish(f"<h1><code>{escape(name)}</code></h1>\n", title=name)
    page.soup.append(PreformattedString(code))  # as it is: there is no link in it, and parsing it takes long
    return page


def from_folder(path: Path, name: str) -> Page:
    """The page of a folder: links to its contents."""
    children = [
        child for child in sorted(path.iterdir()) if child.name not in HIDDEN and not child.name.startswith(".")
    ]
    items = "\n".join(
        f'<li><a href="{escape(child.name)}">{escape(child.name)}{"/" * child.is_dir()}</a>{_about(child)}</li>'
        for child in children
    )
    return _finish(f"<h1><code>{escape(name)}/</code></h1>\n<ul>\n{items}\n</ul>", title=name)


def _about(path: Path) -> str:
    """What a folder's page says beside a name: a notebook's title."""
    if path.suffix != ".ipynb":
        return ""
    title = re.search(r"^# (.+)$", read(path).cells[0].source, re.MULTILINE)
    return f": {escape(title.group(1))}" if title else ""


def _divide_code(soup: BeautifulSoup, code: Tag) -> None:
    """Let a line end where a reader expects it: never inside a short name or option, in a long one at its joints."""
    words = code.get_text()
    heading = code.find_parent(["h1", "h2", "h3", "h4"]) is not None
    if len(words) <= WHOLE and not heading:
        code["class"] = [*code.get("class", ()), "whole"]
        return
    code.clear()
    for word in re.split(r"(\s+)", words):
        if word.isspace() or not word:
            code.append(word)
        elif len(word) <= WHOLE and not heading:
            code.append(soup.new_tag("span", attrs={"class": "whole"}, string=word))
        else:
            first, *parts = re.split(r"(?<=\w\w\w[._/])(?=\w)|(?<=[=(,])(?=\w)|(?<=[])]\.)(?=\w)", word)
            code.append(first)
            for part in parts:
                code.extend([soup.new_tag("wbr"), part])


def _keep_together(soup: BeautifulSoup) -> None:
    """Let no line end between a number and its unit, or inside a date, in what is read as prose."""
    for text in soup(string=TOGETHER):
        if text.find_parent(["pre", "code", "math", "svg", "script", "style", "h1", "h2", "h3", "h4"]):
            continue
        parts, end = [], 0
        for match in TOGETHER.finditer(text):
            whole = soup.new_tag("span", attrs={"class": "whole"}, string=match.group())
            parts += [text[end : match.start()], whole]
            end = match.end()
        text.replace_with(*(part for part in (*parts, text[end:]) if part))


def _finish(body: str, title: str | None = None) -> Page:
    soup = BeautifulSoup(body, "html.parser")
    for table in soup("table"):
        kind = "scroll long" if len(table("tr")) - 1 > ROWS else "scroll"
        table.wrap(soup.new_tag("div", attrs={"class": kind, "tabindex": "0"}))
        for cell in table("th", scope="row"):
            if len(cell.get_text()) > WHOLE // 2:
                cell["class"] = [*cell.get("class", ()), "words"]
        for cell in table("td"):
            # A sentence beside cells that cannot shrink would become a column of single words on a phone.
            if len(cell.find_parent("tr").find_all(["td", "th"])) > 2 and len(cell.get_text().split()) > 3:
                cell["class"] = [*cell.get("class", ()), "words"]
        if table.find("img"):  # on a phone its rows are a list without a head, where a bare number says nothing
            names = [head.get_text() for head in table("th")]
            for row in table("tr"):
                for name, cell in zip(names, row("td"), strict=False):
                    if cell.get_text().strip().isdigit():
                        cell["data-head"] = name
    for code in soup("code"):
        if not code.find_parent("pre") and not code.find(True):
            _divide_code(soup, code)
    for printed in soup.select(".output > pre"):
        if sum(bool(COLUMNS.search(line)) for line in printed.get_text().splitlines()) < 2:
            printed["class"] = [*printed.get("class", ()), "words"]
    for block in soup.select(".prose > pre"):  # a block of code whose language has no name
        block.wrap(soup.new_tag("div", attrs={"class": "highlight"}))
    for block in soup(class_="input"):
        if block.get_text().count("\n") > LINES:
            block["class"] = [*block["class"], "long"]
    for formula in soup("math", display="block"):
        formula.wrap(soup.new_tag("div", attrs={"class": "scroll formula"}))
    for number, image in enumerate(soup("img"), 1):
        image["alt"] = image.get("alt") or f"Figure {number} of this page"  # what matplotlib alone made has no words
        image["loading"] = "lazy"
    for block in soup(class_="highlight"):
        if block.find("pre") and not block.find_parent(class_="input"):
            block.insert(0, BeautifulSoup(_BAR, "html.parser"))
    _keep_together(soup)
    for tag in soup(["h1", "h2", "h3", "h4"], id=True):
        tag["id"] = unquote(tag["id"])  # nbconvert quotes it like a link
    heading = soup.find("h1")
    contents = [_entry(tag) for tag in soup(["h2", "h3"]) if tag.get("id")]
    if not contents:
        contents = _terms_of(soup)
        _add_letters(soup, contents)
    return Page(title or (_text(heading) if heading else "Untitled"), soup, contents)


def description(soup: BeautifulSoup) -> str:
    """The first paragraph in plain words, for search engines and previews; at most 200 characters."""
    for paragraph in soup("p"):
        text = " ".join(paragraph.get_text().split())
        if len(text) > 30:
            return text if len(text) <= 200 else f"{text[:199].rsplit(' ', 1)[0]} …"
    return ""


def terms(glossary: Path) -> dict[str, str]:
    """Anchor of each term of the glossary, and its line in plain words."""
    soup = BeautifulSoup(markdown(glossary.read_text()), "html.parser")
    found = ((item.find("a", id=True), item) for item in soup("li"))
    return {anchor["id"]: " ".join(item.get_text().split()) for anchor, item in found if anchor is not None}


def _terms_of(soup: BeautifulSoup) -> list[tuple[str, str, int]]:
    """The contents of a list of terms, which has no headings."""
    found = ((item.find("a", id=True, recursive=False), item.find("strong")) for item in soup("li"))
    return [(anchor["id"], escape(_text(term)), 2) for anchor, term in found if anchor is not None and term is not None]


def _add_letters(soup: BeautifulSoup, contents: list[tuple[str, str, int]]) -> None:
    """Above a long list of terms, a row of the letters that they begin with."""
    first: dict[str, str] = {}
    for anchor, term, _ in contents:
        first.setdefault(term[0].upper(), anchor)
    if len(first) < LETTERS:
        return
    row = soup.new_tag("nav", attrs={"class": "letters", "aria-label": "Letters"})
    for letter, anchor in first.items():
        row.append(soup.new_tag("a", attrs={"href": f"#{anchor}"}, string=letter))
    soup.find("a", id=contents[0][0]).find_parent("ul").insert_before(row)


def _text(tag: Tag) -> str:
    copy = BeautifulSoup(str(tag), "html.parser")
    for link in copy(class_="anchor-link"):
        link.decompose()
    return " ".join(copy.get_text().split())


def _entry(tag: Tag) -> tuple[str, str, int]:
    return tag["id"], escape(_text(tag)), int(tag.name[1])
