"""Write the course as a folder of pages, build/site/, from the executed notebooks in build/notebooks/.

    python tools/build_site.py

Every link between notebooks, package, tests and texts becomes a link between pages; one that leads nowhere stops the
build. The pages make no request to another host. The old site stays until the new one is complete.
"""

from __future__ import annotations

import argparse
import json
import re
import shutil
import sys
import tempfile
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path, PurePosixPath
from urllib.parse import quote

import jinja2
from bs4 import BeautifulSoup, Tag
from bs4.element import PreformattedString
from course import DETAILS, PATHS, RESULT, ROOT, Card, card, load_demo, longest, numbered, read, repository
from website import api, exercises, figures, links, maths, pages, search

TITLE = "Lite-HRNet, step by step"
HERE = Path(__file__).parent / "website"
SMALL = 320  # CSS pixels: a picture of the prose that asks for no more is shown small, and gets a small file
CARDS = PurePosixPath("assets", "cards")
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
class Place:
    """A page's place in the course, for the frame around it.

    Attributes:
        number: of the lesson, or "" for other pages.
        step: what the page says above its title.
        before, after: title and link of the lessons beside it.
        later: label, title and link of the lessons that come next on the ways that leave some out.
        origin: the file that it was made from.
        api: whether it shows the package's documentation.
    """

    number: str = ""
    step: str = ""
    before: tuple[str, str] | None = None
    after: tuple[str, str] | None = None
    later: tuple[tuple[str, str, str], ...] = ()
    origin: str = ""
    api: bool = False


class Site:
    """One build of the site.

    Args:
        root: the checkout.
        executed: folder with the executed copies of the numbered notebooks.
        out: folder to write, empty.
        package: name of the package whose pages are made, or None.
        demo: folder with the assembled browser demo, or None: then no page leads to one.
    """

    def __init__(
        self, root: Path, executed: Path, out: Path, package: str | None = "litehrnet", demo: Path | None = None
    ) -> None:
        self.root, self.executed, self.out, self.package, self.demo = root, executed, out, package, demo
        self.map = links.SiteMap(root, api.public_modules(package) if package else set())
        self.templates = jinja2.Environment(
            loader=jinja2.FileSystemLoader(HERE / "templates"), trim_blocks=True, undefined=jinja2.StrictUndefined
        )
        self.more = [
            (str(self.map.page_of(root / name)), title, sentence)
            for name, title, sentence in MORE
            if (root / name).exists() and (package or name != "litehrnet")
        ]
        self.repository = repository(root) if (root / "pyproject.toml").is_file() else None
        self.notebooks = numbered(root / "notebooks")
        self.cards = [card(self._executed(path)) for path in self.notebooks]
        self.lessons = [_lesson(one) for one in self.cards]
        glossary = root / "notebooks" / "glossary.md"
        self.terms = pages.terms(glossary) if glossary.is_file() else {}
        self.formula_characters: set[str] = set()
        self.copies: set[Path] = set()
        self.placed: set[PurePosixPath] = set()  # pictures in the page's colours; no copy may take their place
        self.found: list[search.Entry] = []
        self.thumbnails: dict[str, figures.Picture] = {}

    def build(self) -> int:
        """Write all pages; returns how many."""
        shutil.copytree(HERE / "assets", self.out / "assets")
        (self.out / "assets" / "code.css").write_text(api.code_colours())
        if self.package:
            self._write_api(self.package)
        if self.demo:
            shutil.copytree(self.demo, self.out / "demo")
            about = self.out / "demo" / "model.json"
            about.write_text(json.dumps(json.loads(about.read_text()) | {"home": "../index.html"}))
        places = dict(zip(self.notebooks, _places(self.cards), strict=True))
        texts = [self.root / name for name in ("LICENSE", "NOTICE", *(name for name, _, _ in MORE))]
        waiting = {path for path in texts if path.exists() and self.map.module_of(path) is None} | set(self.notebooks)
        done: set[Path] = set()
        while waiting - done:
            for path in sorted(waiting - done):
                waiting |= self._write_page(path, places.get(path, Place()))
                done.add(path)
        self._write_index()
        self._write_mathematics()
        for path in self.copies:
            if self.map.copy_of(path) in self.placed:
                continue
            target = self.out / self.map.copy_of(path)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, target)
        (self.out / "assets" / "index.js").write_text(search.script(self.found))
        return len(list(self.out.rglob("*.html")))

    def _executed(self, path: Path) -> Path:
        """The executed copy of a notebook; itself where there is none (solutions are shown as they are stored)."""
        copy = self.executed / path.name
        return copy if path.parent == self.root / "notebooks" and copy.is_file() else path

    def _write_page(self, path: Path, place: Place) -> set[Path]:
        """Write the page of one file; returns the files that its links lead to and that need a page too."""
        name = path.relative_to(self.root).as_posix()
        where = self.map.page_of(path)
        if path.is_dir():
            page = pages.from_folder(path, name)
        elif path.suffix == ".ipynb":
            notebook = read(self._executed(path))
            figures.write(figures.take_out(notebook, path.stem), self.out / where.parent / "figures")
            page = pages.from_notebook(notebook)
            self._add_launch(page.soup, path, place.number)
            if (other := exercises.counterpart(path)) is not None:
                exercises.connect(page.soup, path, other, exercises.anchors(read(other)))
        elif path.suffix == ".md":
            page = pages.from_markdown(path)
        else:
            page = pages.from_text(path, name)
        # A folder's links are relative to the folder itself, a file's to the folder that contains it.
        base = path / "index" if path.is_dir() else path
        found, copies = links.rewrite(page.soup, base, where, self.map)
        self._place_pictures(page.soup, where, copies)
        self.copies |= copies  # what is no picture is copied as it is
        self._explain_terms(page.soup)
        if path.suffix in {".ipynb", ".md"}:
            self.found += search.entries(page.soup, str(where), page.title)
        self._write(where, page.title, page.soup, contents=page.contents, place=replace(place, origin=name))
        return {target for target in found if self.map.module_of(target) is None}

    def _add_launch(self, soup: BeautifulSoup, path: Path, number: str) -> None:
        """The row under a notebook's title: where to run it, its file, and the tick of a lesson that is done."""
        launch = []
        name = path.relative_to(self.root).as_posix()
        if self.repository:
            site, _, project = self.repository.partition("//")[2].partition("/")
            if site == "github.com":
                binder = f"https://mybinder.org/v2/gh/{project}/HEAD?labpath={quote(name, safe='')}"
                colab = f"https://colab.research.google.com/github/{project}/blob/HEAD/{name}"
                launch += [("Binder", binder, "Run it on mybinder.org"), ("Colab", colab, "Run it on Google Colab")]
            launch.append(("Source", f"{self.repository}/blob/HEAD/{name}", "The notebook in the repository"))
        target = self.out / self.map.copy_of(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
        launch.append(("Download", target.name, "The notebook as a file: run it with `make lab`"))
        row = self.templates.get_template("launch.html.j2").render(launch=launch, number=number)
        if (title := soup.find("h1")) is not None:
            made = BeautifulSoup(row, "html.parser")
            made.find("nav")["class"] = ["launch", "drawn"]  # its links are the site's already
            title.insert_after(made)

    def _place_pictures(self, soup: BeautifulSoup, where: PurePosixPath, copies: set[Path]) -> None:
        """Give the pictures of the prose files of their own: in the page's colours, small, and with their size."""
        made: dict[tuple[Path, int | None], figures.Picture] = {}
        sources = {links.relative_link(where, self.map.copy_of(path)): path for path in copies}
        openings = {one.picture: one for one in self.cards if isinstance(one.picture, Path)}
        for number, image in enumerate(image for image in soup("img") if not image.find_parent(class_="drawn")):
            path = sources.get(image.get("src"))
            if path is None or path.suffix not in {".svg", ".png", ".jpg"}:
                continue
            wish = int(image["width"]) if str(image.get("width", "")).isdigit() else None
            shown = wish if wish and wish <= SMALL else None
            if shown is not None and path in openings:  # as on its card, without words that nobody could read
                picture = self._thumbnail(openings[path])
                image["src"] = links.relative_link(where, CARDS / picture.name)
                image["width"], image["height"] = str(shown), str(round(shown * picture.height / picture.width))
                copies.discard(path)
                continue
            picture = made.setdefault((path, shown), figures.from_file(path, shown=shown))
            target = self.map.copy_of(path).with_name(picture.name)
            figures.write([picture], self.out / target.parent)
            self.placed.add(target)
            image["src"] = links.relative_link(where, target)
            if shown is not None:
                image["width"], image["height"] = str(shown), str(round(shown * picture.height / picture.width))
                continue
            image["width"], image["height"] = str(picture.width), str(picture.height)
            if number == 0:
                image["fetchpriority"] = "high"
                del image["loading"]
            self._frame(soup, image, picture)
        copies -= {path for path, _ in made}

    def _thumbnail(self, one: Card) -> figures.Picture:
        """What a lesson's card shows of its opening picture; the file is written when it is first asked for."""
        if one.number not in self.thumbnails:
            content = one.picture.read_bytes() if isinstance(one.picture, Path) else one.picture
            made = figures.thumbnail(content, one.number, DETAILS.get(one.number, (0.0, 0.0, 1.0, 1.0)), shown=SMALL)
            figures.write([made], self.out / CARDS)
            self.thumbnails[one.number] = made
        return self.thumbnails[one.number]

    @staticmethod
    def _frame(soup: BeautifulSoup, image: Tag, picture: figures.Picture) -> None:
        """A picture of the prose as a figure, like those that come out of cells."""
        outer = image.parent if image.parent.name == "p" and not image.parent.get_text(strip=True) else image
        figure = soup.new_tag("figure", attrs={"class": "drawn"})
        scroll = soup.new_tag("div", attrs={"class": "scroll", "tabindex": "0", "style": f"--least:{picture.least}px"})
        link = soup.new_tag("a", attrs={"class": "full", "href": image["src"], "title": "See the whole figure"})
        outer.replace_with(figure)
        figure.append(scroll)
        scroll.append(link)
        link.append(image.extract())

    def _explain_terms(self, soup: BeautifulSoup) -> None:
        """Put the glossary's line beside each link to a term, for the pages' script to show."""
        for tag in soup("a", href=True):
            page, _, anchor = tag["href"].partition("#")
            if page.endswith("glossary.html") and anchor in self.terms:
                tag["data-term"] = self.terms[anchor]

    def _write_api(self, package: str) -> None:
        """The package's pages, in the same frame as all others."""
        (self.out / "assets" / "api.css").write_text(api.style())
        for module in api.pages(package):
            where = PurePosixPath("api", *module.name.split(".")).with_suffix(".html")
            inside = "".join(
                f'<li><a href="{module.name.rpartition(".")[2]}/{name.rpartition(".")[2]}.html">{name}</a></li>'
                for name in module.inside
            )
            modules = f"<section><h2>Modules</h2><ul>{inside}</ul></section>" if inside else ""
            body = PreformattedString(f'<div class="pdoc">{module.body}{modules}</div>')  # parsing it takes long
            contents = [(anchor, f"<code>{anchor}</code>", 2) for anchor, _ in module.members]
            self.found.append(search.Entry(str(where), module.name, module.name, module.sentence))
            self.found += [
                search.Entry(f"{where}#{anchor}", module.name, anchor, sentence) for anchor, sentence in module.members
            ]
            soup = BeautifulSoup("", "html.parser")
            soup.append(body)
            self._write(where, module.name, soup, contents=contents, place=Place(api=True), words=module.sentence)

    def _write_index(self) -> None:
        shown = []
        for one in self.cards:
            picture = None
            if one.picture is not None:
                made = self._thumbnail(one)
                picture = {"src": str(CARDS / made.name), "width": made.width, "height": made.height}
            title, sentence = (_inline(text) for text in (one.title, one.sentence))
            link = f"{one.path.stem}.html"
            shown.append({"number": one.number, "minutes": one.minutes, "title": title, "sentence": sentence,
                          "link": link, "picture": picture})  # fmt: skip
        paths = []
        for name, purpose, numbers in PATHS:
            chosen = [one for one in self.lessons if one["number"] in numbers or not numbers]
            paths.append({"name": name, "purpose": purpose, "lessons": chosen, "total": _total(chosen),
                          "named": len(chosen) < len(self.lessons)})  # fmt: skip
        body = self.templates.get_template("index.html.j2").render(
            course=TITLE, cards=shown, lead=self._lead(), picture=self._picture(), more=self.more, paths=paths,
            demo=self.demo is not None, export=self._export(),
        )  # fmt: skip
        self._write(PurePosixPath("index.html"), TITLE, BeautifulSoup(body, "html.parser"))

    def _export(self) -> str | None:
        """Where whoever has a checkpoint begins: the README's first commands."""
        readme = self.root / "README.md"
        headings = [anchor for anchor, _, _ in pages.from_markdown(readme).contents]
        return f"{self.map.page_of(readme)}#{headings[0]}" if headings else None

    def _lead(self) -> str:
        """The README's first paragraph: what the course is, in its own words."""
        soup = pages.from_markdown(self.root / "README.md").soup
        paragraphs = (tag for tag in soup("p") if not tag.find("img") and not tag.find_parent("blockquote"))
        return str(next(paragraphs, ""))

    def _picture(self) -> dict[str, str | int] | None:
        """The part of the README's first picture that shows the result."""
        image = pages.from_markdown(self.root / "README.md").soup.find("img")
        if image is None:
            return None
        path = self.root / image["src"]
        made = figures.thumbnail(path.read_bytes(), "result", RESULT, shown=460)
        figures.write([made], self.out / "assets")
        return {"src": f"assets/{made.name}", "width": made.width, "height": made.height}

    def _write(
        self,
        where: PurePosixPath,
        title: str,
        soup: BeautifulSoup,
        *,
        contents: list[tuple[str, str, int]] | None = None,
        place: Place | None = None,
        words: str = "",
    ) -> None:
        formulas = soup("math")
        self.formula_characters |= {character for tag in formulas for character in tag.get_text()}
        place = place or Place()
        html = self.templates.get_template("page.html.j2").render(
            title=title, course=TITLE, version=version("litehrnet"), up="../" * (len(where.parts) - 1),
            origin=place.origin, top=self.more[:3], contents=contents or [], body=str(soup), step=place.step,
            before=place.before, after=place.after, later=place.later, number=place.number, lessons=self.lessons,
            total=_total(self.lessons), repository=self.repository, demo=self.demo is not None, api=place.api,
            description=words or pages.description(soup), has_formulas=bool(formulas),
            figures=bool(soup.select("figure.drawn a.full")),
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


def _lesson(one: Card) -> dict[str, str | int]:
    """A lesson's entry in the list beside every page; its title's first half is enough there."""
    short = _inline(re.split(r"[:,] ", one.title)[0])
    return {"number": one.number, "short": short, "link": f"{one.path.stem}.html", "length": longest(one.minutes)}


def _total(lessons: list[dict[str, str | int]]) -> str:
    hours, minutes = divmod(sum(int(one["length"]) for one in lessons), 60)
    return f"{hours} h {minutes:02} min" if hours else f"{minutes} min"


def _places(cards: list[Card]) -> list[Place]:
    entries = [(f"{one.number} · {_inline(one.title)}", f"{one.path.stem}.html") for one in cards]
    return [
        Place(
            one.number,
            f"Notebook {one.number}, about {one.minutes}",
            entries[i - 1] if i else None,
            entries[i + 1] if i + 1 < len(cards) else None,
            _later(i, [card.number for card in cards], entries),
        )
        for i, one in enumerate(cards)
    ]


def _later(at: int, numbers: list[str], entries: list[tuple[str, str]]) -> tuple[tuple[str, str, str], ...]:
    """On each way that has the lesson and goes on elsewhere than the course: what comes next there."""
    found = []
    for name, _, way in PATHS:
        places = [numbers.index(number) for number in way if number in numbers]
        if at in places[:-1] and (following := places[places.index(at) + 1]) != at + 1:
            found.append((f"Next {name[0].lower()}{name[1:]}", *entries[following]))
    return tuple(found)


def replace_folder(new: Path, old: Path) -> None:
    """Replace `old` by `new`, so that a complete folder exists at almost any time."""
    grave = old.with_name(f".{old.name}-old")
    shutil.rmtree(grave, ignore_errors=True)
    if old.exists():
        old.rename(grave)
    new.rename(old)
    shutil.rmtree(grave, ignore_errors=True)


def assembled_demo(folder: Path) -> Path | None:
    """The browser demo, put together in `folder`; None, and a line that says why, where no engine can be had."""
    try:
        return load_demo().assemble(folder)
    except RuntimeError as error:
        print(f"The site has no browser demo: {error}", file=sys.stderr)
        return None


def main(arguments: list[str] | None = None) -> int:
    """The command line; returns the exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--root", type=Path, default=ROOT, help="the checkout")
    parser.add_argument("--build", type=Path, help="the folder with notebooks/, gets site/ (default: ROOT/build)")
    parser.add_argument("--no-demo", action="store_true", help="leave the browser demo out")
    parser.add_argument("--no-package", action="store_true", help="leave the API's pages out")
    options = parser.parse_args(arguments)
    root = options.root.resolve()
    build = (options.build or root / "build").resolve()
    build.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=".site-", dir=build) as folder:
        new = Path(folder) / "site"
        new.mkdir()
        try:
            demo = None if options.no_demo else assembled_demo(build / "demo")
            package = None if options.no_package else "litehrnet"
            number = Site(root, build / "notebooks", new, package, demo).build()
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
