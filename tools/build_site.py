"""Write the course as a folder of pages, build/site/, from the executed notebooks in build/notebooks/.

    python tools/build_site.py

Every link between notebooks, package, tests and texts becomes a link between pages; one that leads nowhere stops the
build. The pages make no request to another host. The old site stays until the new one is complete.
"""

from __future__ import annotations

import argparse
import io
import shutil
import sys
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path, PurePosixPath

import jinja2
from bs4 import BeautifulSoup
from course import DETAILS, ROOT, Card, card, numbered, read
from PIL import Image
from website import api, links, maths, pages

TITLE = "Lite-HRNet, step by step"
HERE = Path(__file__).parent / "website"
# What the first page lists besides the notebooks: file, title, sentence. Missing files are left out. The first three
# are linked at the top of every page.
MORE = (
    ("notebooks/glossary.md", "Glossary", "one line per term"),
    ("notebooks/cheat_sheet.md", "Cheat sheet", "formula, exactness rule, legal sizes, export and checks on one page"),
    ("litehrnet", "The package", "every function, from its docstring"),
    ("README.md", "README", "the commands, the measured tables, and what to do when something does not work"),
    ("CONTRIBUTING.md", "Contributing", "how a notebook is edited, refreshed and reviewed"),
    ("notebooks/solutions", "Solutions", "of every exercise, after you have tried"),
    ("data/README.md", "Data", "where each file comes from, and its licence"),
)  # fmt: skip


@dataclass(frozen=True)
class Neighbours:
    """A numbered notebook's place in the course: its minutes, and (title, link) before and after it."""

    step: str = ""
    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None


class Site:
    """One build of the site.

    Args:
        root: the checkout.
        executed: folder with the executed copies of the numbered notebooks.
        out: folder to write, empty.
        package: name of the package whose pages are made, or None.
    """

    def __init__(self, root: Path, executed: Path, out: Path, package: str | None = "litehrnet") -> None:
        self.root, self.executed, self.out, self.package = root, executed, out, package
        self.map = links.SiteMap(root, api.public_modules(package) if package else set())
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), trim_blocks=True, undefined=jinja2.StrictUndefined
        )
        self.more = [
            (str(self.map.page_of(root / name)), title, sentence)
            for name, title, sentence in MORE
            if (root / name).exists() and (package or name != "litehrnet")
        ]
        self.formula_characters: set[str] = set()
        self.copies: set[Path] = set()

    def build(self) -> int:
        """Write all pages; returns how many."""
        shutil.copytree(HERE / "assets", self.out / "assets")
        (self.out / "assets" / "code.css").write_text(api.code_colours())
        if self.package:
            api.write_pages(self.package, TITLE, self.out / "api")
        notebooks = numbered(self.root / "notebooks")
        cards = [card(self._executed(path)) for path in notebooks]
        neighbours = dict(zip(notebooks, _neighbours(cards), strict=True))
        texts = [self.root / name for name in ("LICENSE", "NOTICE", *(name for name, _, _ in MORE))]
        waiting = {path for path in texts if path.exists() and self.map.module_of(path) is None} | set(notebooks)
        done: set[Path] = set()
        while waiting - done:
            for path in sorted(waiting - done):
                waiting |= self._write_page(path, neighbours.get(path, Neighbours()))
                done.add(path)
        self._write_index(cards)
        self._write_mathematics()
        for path in self.copies:
            target = self.out / self.map.copy_of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        return len(list(self.out.rglob("*.html")))

    def _executed(self, path: Path) -> Path:
        """The executed copy of a notebook; itself where there is none (solutions are shown as they are stored)."""
        copy = self.executed / path.name
        return copy if path.parent == self.root / "notebooks" and copy.is_file() else path

    def _write_page(self, path: Path, place: Neighbours) -> set[Path]:
        """Write the page of one file; returns the files that its links lead to and that need a page too."""
        name = path.relative_to(self.root).as_posix()
        if path.is_dir():
            page = pages.from_folder(path, name)
        elif path.suffix == ".ipynb":
            page = pages.from_notebook(read(self._executed(path)))
        elif path.suffix == ".md":
            page = pages.from_markdown(path)
        else:
            page = pages.from_text(path, name)
        where = self.map.page_of(path)
        # A folder's links are relative to the folder itself, a file's to the folder that contains it.
        base = path / "index" if path.is_dir() else path
        found, copies = links.rewrite(page.soup, base, where, self.map)
        self.copies |= copies
        self._write(where, page.title, page.soup, contents=page.contents, origin=name, place=place)
        return {target for target in found if self.map.module_of(target) is None}

    def _write_index(self, cards: list[Card]) -> None:
        shown = []
        for one in cards:
            picture = None
            if one.picture is not None:
                picture = f"assets/cards/{one.number}.png"
                (self.out / picture).parent.mkdir(exist_ok=True)
                self._detail(one).save(self.out / picture)
            title, sentence = (_inline(text) for text in (one.title, one.sentence))
            link = f"{one.path.stem}.html"
            shown.append({"number": one.number, "minutes": one.minutes, "title": title, "sentence": sentence,
                          "link": link, "picture": picture})  # fmt: skip
        body = self.templates.get_template("index.html.j2").render(
            course=TITLE, cards=shown, lead=self._lead(), picture=self._picture(), more=self.more
        )
        self._write(PurePosixPath("index.html"), TITLE, BeautifulSoup(body, "html.parser"))

    @staticmethod
    def _detail(one: Card) -> Image.Image:
        """The part of a notebook's picture that its card shows."""
        left, top, right, bottom = DETAILS.get(one.number, (0.0, 0.0, 1.0, 1.0))
        picture = one.picture if isinstance(one.picture, Path) else io.BytesIO(one.picture)
        with Image.open(picture) as image:
            box = (left * image.width, top * image.height, right * image.width, bottom * image.height)
            return image.convert("RGB").crop(tuple(round(side) for side in box))

    def _lead(self) -> str:
        """The README's first paragraph: what the course is, in its own words."""
        soup = pages.from_markdown(self.root / "README.md").soup
        paragraphs = (tag for tag in soup("p") if not tag.find("img") and not tag.find_parent("blockquote"))
        return str(next(paragraphs, ""))

    def _picture(self) -> str | None:
        """The README's first picture: the result."""
        image = pages.from_markdown(self.root / "README.md").soup.find("img")
        if image is None:
            return None
        path = self.root / image["src"]
        self.copies.add(path)
        return str(self.map.copy_of(path))

    def _write(
        self,
        where: PurePosixPath,
        title: str,
        soup: BeautifulSoup,
        *,
        contents: list[tuple[str, str, int]] | None = None,
        origin: str = "",
        place: Neighbours | None = None,
    ) -> None:
        self.formula_characters |= {character for tag in soup("math") for character in tag.get_text()}
        place = place or Neighbours()
        html = self.templates.get_template("page.html.j2").render(
            title=title, course=TITLE, version=version("litehrnet"), up="../" * (len(where.parts) - 1), origin=origin,
            top=self.more[:3],
            contents=contents or [], body=str(soup), step=place.step, before=place.before, after=place.after,
        )  # fmt: skip
        target = self.out / where
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(html)

    def _write_mathematics(self) -> None:
        style = ""
        if self.formula_characters:
            maths.write_font(self.out / "assets" / maths.FONT_NAME, self.formula_characters)
            style = maths.FONT_CSS
        (self.out / "assets" / "math.css").write_text(style)


def _inline(text: str) -> str:
    """A line of Markdown as HTML that can be used inside a link: no paragraph, no links."""
    soup = BeautifulSoup(pages.markdown(text), "html.parser")
    for tag in soup(["p", "a"]):
        tag.unwrap()
    return str(soup).strip()


def _neighbours(cards: list[Card]) -> list[Neighbours]:
    entries = [(f"{one.number} · {_inline(one.title)}", f"{one.path.stem}.html") for one in cards]
    return [
        Neighbours(
            f"Notebook {one.number}, about {one.minutes}",
            entries[i - 1] if i else None,
            entries[i + 1] if i + 1 < len(cards) else None,
        )
        for i, one in enumerate(cards)
    ]


def replace_folder(new: Path, old: Path) -> None:
    """Replace `old` by `new`, so that a complete folder exists at almost any time."""
    grave = old.with_name(f".{old.name}-old")
    shutil.rmtree(grave, ignore_errors=True)
    if old.exists():
        old.rename(grave)
    new.rename(old)
    shutil.rmtree(grave, ignore_errors=True)


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("--build", type=Path, help="the folder with notebooks/, gets site/ (default: ROOT/build)")
    parser.add_argument("--no-package", action="store_true", help="leave the API's pages out")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    build = (options.build or root / "build").resolve()
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=build) as folder:
        new = Path(folder) / "site"
        new.mkdir()
        try:
            number = Site(root, build / "notebooks", new, None if options.no_package else "litehrnet").build()
        except (links.BrokenLink, ValueError) as error:
            print(f"The site was not built: {error}", file=sys.stderr)
            return 1
        replace_folder(new, build / "site")
    models = sorted((build / "models").rglob("*.onnx"))
    print(f"\n{number} pages: open {build / 'site' / 'index.html'}")
    print(f"{len(models)} ONNX files: {build / 'models'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
