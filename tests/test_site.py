"""`make tutorial`'s two scripts, on tiny courses: what they build, leave alone, and say when it fails."""

from __future__ import annotations

import base64
import io
import json
import os
import re
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import unquote, urlsplit

import build_site
import nbformat
import outputs
import pytest
import run_notebooks
from bs4 import BeautifulSoup
from course import DETAILS, LIVE_ONLY, PATHS, RESULT, ROOT, card, longest, numbered, read, repository
from fontTools.ttLib import TTFont
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from website import exercises, figures, maths, pages, search
from website.api import public_modules

from litehrnet.course.draw import new_figure, style

HEAVY = 600_000  # bytes: no page asks for more before a reader scrolls
# The smallest picture there is: one white pixel.
PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAIAAACQd1PeAAAADElEQVR4nGP4//8/AAX+Av4N70a4AAAAAElFTkSuQmCC")
OPENING = """# Learn to {verb}

![a picture](figures/pixel.png)

Small numbers come first. Then more.

## What you'll need

{minutes} minutes, and [the other one]({other}), [a word](glossary.md#word), [the code](../litehrnet/code.py),
[its tests](../tests/)."""
MATHS = r"""## The formula: 80 % "off"

Inline $k = n - (m - 1)\,s$ and

$$\text{start}_i = \left\lfloor \frac{i\,n}{m} \right\rfloor$$

```python
answer = 42
```

| a | b |
|---|---|
| 1 | 2 |

<details>
<summary>The answer</summary>

It is **folded**.

</details>"""
PICTURE = """from IPython.display import Image, display
import base64
display(Image(base64.b64decode("{pixel}")))"""


def write_notebook(path: Path, *cells: str) -> None:
    """A notebook; texts that begin with a hash or hold a heading are Markdown, the others code."""
    made = [new_markdown_cell(cell) if cell.startswith("#") else new_code_cell(cell) for cell in cells]
    kernel = {"kernelspec": {"name": "python3", "display_name": "Python 3"}}
    nbformat.write(new_notebook(cells=made, metadata=kernel), path)


def make_course(root: Path) -> Path:
    """A checkout with a course of two notebooks that run."""
    for folder in ("notebooks/figures", "notebooks/solutions", "litehrnet", "tests"):
        (root / folder).mkdir(parents=True)
    (root / "notebooks/figures/pixel.png").write_bytes(PIXEL)
    (root / "notebooks/glossary.md").write_text('# Glossary\n\n<a id="word"></a>**Word**: see [00](00_walk.ipynb).\n')
    (root / "litehrnet/code.py").write_text('"""Code."""\n\nANSWER = 42\n')
    (root / "tests/test_code.py").write_text("def test_nothing():\n    assert True\n")
    (root / "README.md").write_text("# Course\n\n![result](notebooks/figures/pixel.png)\n\nWhat it *is*.\n")
    for name in ("LICENSE", "NOTICE"):
        (root / name).write_text("Yours to use.\n")
    write_notebook(
        root / "notebooks/00_walk.ipynb",
        OPENING.format(verb="walk", minutes=5, other="01_run.ipynb"),
        "import os\nfrom pathlib import Path\nPath(os.environ['LITEHRNET_MODELS'], 'tiny.onnx').write_bytes(b'model')",
        MATHS,
        "import time\nprint('left', file=open('left.txt', 'w'))\nprint('one')\ntime.sleep(0.5)\nprint('walked')",
    )
    write_notebook(
        root / "notebooks/01_run.ipynb",
        OPENING.format(verb="run $x^2$", minutes="2 to 3", other="00_walk.ipynb#What-you'll-need"),
        PICTURE.format(pixel=base64.b64encode(PIXEL).decode()),
        "from IPython.display import IFrame\nIFrame('http://localhost:9', width='100%', height=100)",
        "{'answer': 6 * 7}",
    )
    write_notebook(root / "notebooks/solutions/00_walk.ipynb", "# Solutions", "print(1)")
    return root


@dataclass(frozen=True)
class Done:
    """What a script left: its exit code and what it printed."""

    code: int
    out: str
    err: str


def run(main: Callable[[list[str]], int], *arguments: str | Path) -> Done:
    """Run one of the two scripts as `make tutorial` does, but in this process, which is quicker."""
    out, err = io.StringIO(), io.StringIO()
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.delenv("LITEHRNET_MODELS", raising=False)
        code = main([str(argument) for argument in arguments])
    return Done(code, out.getvalue(), err.getvalue())


def execute(root: Path) -> Done:
    """Execute a course's notebooks as copies."""
    return run(run_notebooks.main, "--source", root / "notebooks", "--build", root / "build")


def build(root: Path) -> Done:
    """Write a course's site, without the package's pages."""
    return run(build_site.main, "--root", root, "--no-package", "--no-demo")


@dataclass(frozen=True)
class Built:
    """A course that was built once: where, what the sources were, and what the scripts said."""

    root: Path
    before: dict[str, bytes]
    ran: Done
    built: Done


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The course of `make_course`, executed and built."""
    root = make_course(tmp_path_factory.mktemp("once") / "checkout")
    return Built(root, tree(root), execute(root), build(root))


@pytest.fixture
def course(once: Built, tmp_path: Path) -> Path:
    """A built course of one's own."""
    return shutil.copytree(once.root, tmp_path / "checkout")


def tree(folder: Path) -> dict[str, bytes]:
    """Every file below a folder with its content."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def broken_links(site: Path) -> list[str]:
    """Every link, image, style or script of a site's pages that leads to no file, no anchor, or to another host."""
    pages = {path: BeautifulSoup(path.read_text(), "html.parser") for path in site.rglob("*.html")}
    anchors = {path: {tag.get("id") or tag.get("name") for tag in soup(True)} for path, soup in pages.items()}
    broken = []
    for page, soup in pages.items():
        for tag in soup(["a", "img", "link", "script", "iframe", "source"]):
            address = urlsplit(tag.get("href") or tag.get("src") or "")
            if address.scheme in {"data", "mailto"} or not (address.path or address.fragment or address.netloc):
                continue
            where = f"{page.relative_to(site)}: {address.geturl()}"
            if address.scheme or address.netloc:
                if tag.name != "a":
                    broken.append(f"{where} asks another host")
                continue
            target = Path(os.path.normpath(page.parent / unquote(address.path))) if address.path else page
            if not target.is_file():
                broken.append(f"{where} leads to no file")
            elif address.fragment and target in pages and unquote(address.fragment) not in anchors[target]:
                broken.append(f"{where} leads to no anchor")
    return broken


def test_tutorial_builds_site_and_models(once: Built) -> None:
    """Progress, models, pages; the sources stay untouched."""
    course, ran, built = once.root, once.ran, once.built
    assert (ran.code, ran.err) == (0, "")
    assert (built.code, built.err) == (0, "")
    lines = ran.out.splitlines()
    assert [line.split()[:3] for line in lines] == [["00_walk", "2/2", "cells"], ["01_run", "3/3", "cells"]]
    assert {name: content for name, content in tree(course).items() if not name.startswith("build")} == once.before
    assert (course / "build/models/tiny.onnx").read_bytes() == b"model"
    site = course / "build/site"
    assert str(site / "index.html") in built.out
    assert broken_links(site) == []
    pages = {str(path.relative_to(site)) for path in site.rglob("*.html")}
    assert pages >= {"index.html", "00_walk.html", "01_run.html", "glossary.html", "solutions/00_walk.html"}
    assert pages >= {"files/README.md.html", "files/litehrnet/code.py.html", "files/tests/test_code.py.html"}


def test_pages_say_what_the_notebooks_say(once: Built) -> None:
    """Cards, previous and next, contents, mathematics, executed outputs, and no dead frame."""
    names = ("index.html", "00_walk.html", "01_run.html")
    index, walk, run = (BeautifulSoup((once.root / "build/site" / name).read_text(), "html.parser") for name in names)
    cards = index(class_="card")
    assert [card["href"] for card in cards] == ["00_walk.html", "01_run.html"]
    assert [card.find("img") is not None for card in cards] == [True, True]
    assert "5 minutes" in cards[0].get_text()
    assert "2 to 3 minutes" in cards[1].get_text()
    assert "Small numbers come first." in cards[0].get_text()
    assert "Then more" not in cards[0].get_text()
    assert "What it is." in index.get_text()
    assert walk.find("a", rel="next")["href"] == "01_run.html"
    assert walk.find("a", rel="prev") is None
    assert run.find("a", rel="prev")["href"] == "00_walk.html"
    assert [link.get_text() for link in walk.select(".contents a")] == ["What you'll need", 'The formula: 80 % "off"']
    assert [tag["display"] for tag in walk.select(".prose math")] == ["inline", "block"]
    assert run.select_one("h1 math") is not None
    assert "$" not in walk.find("main").get_text()
    assert walk.select_one(".output pre").get_text().strip() in {"5", "walked"}
    assert "one\nwalked" in walk.get_text()  # the source holds no outputs: the page shows the executed copy's
    assert walk.find("details").find("strong").get_text() == "folded"
    picture = run.select_one(".output figure.drawn img")
    assert (picture["width"], picture["src"]) == ("1", "figures/01_run-1.webp")
    assert run.find("iframe") is None
    assert [tag.get_text() for tag in run.select(".output pre")] == [LIVE_ONLY, "{'answer': 42}"]
    for image in (*walk("img"), *run("img")):
        assert image["alt"]


def test_failing_notebook_stops_it(course: Path) -> None:
    """The notebook, the cell and the error are named, the code is 1, and what was built before stays."""
    before = tree(course / "build")
    write_notebook(course / "notebooks/01_run.ipynb", "# Learn to fall", "x = 1", "print(x)\n1 / 0", "print('never')")
    write_notebook(course / "notebooks/02_rest.ipynb", "# Learn to rest", "open('rested.txt', 'w')")
    ran = execute(course)
    assert ran.code == 1
    for part in ("01_run.ipynb", "cell 3 of 4", "code cell 2 of 3", "1 / 0", "ZeroDivisionError: division by zero"):
        assert part in ran.err
    assert "Traceback" not in ran.err
    after = tree(course / "build")
    failed = after.pop("failed/01_run.ipynb")
    assert b"ZeroDivisionError" in failed
    assert after.keys() == before.keys()
    assert {name for name in after if after[name] != before[name]} <= {"notebooks/00_walk.ipynb"}


CHECKED = """import os
# NBVAL_CHECK_OUTPUT
print("bound kept:", os.environ["SAID"])"""


@pytest.mark.parametrize("marked", ["tag", "comment"])
def test_a_checked_cell_that_says_something_else_stops_it(
    course: Path, monkeypatch: pytest.MonkeyPatch, marked: str
) -> None:
    """The notebook, the cell and the difference are named, and no page changes; other cells may differ."""
    path = course / "notebooks/01_run.ipynb"
    source = CHECKED if marked == "comment" else CHECKED.replace("# NBVAL_CHECK_OUTPUT\n", "")
    write_notebook(
        path, OPENING.format(verb="run", minutes=2, other="00_walk.ipynb"), "import time\ntime.time()", source
    )
    if marked == "tag":
        notebook = nbformat.read(path, as_version=4)
        notebook.cells[2].metadata.tags = ["nbval-check-output"]
        nbformat.write(notebook, path)
    monkeypatch.setenv("SAID", "True")
    stored = ("--in-place", path, "--source", course / "notebooks", "--build", course / "build")
    assert run(run_notebooks.main, *stored).code == 0
    assert execute(course).code == 0
    before = (course / "build/notebooks/01_run.ipynb").read_bytes()
    monkeypatch.setenv("SAID", "False")
    ran = execute(course)
    assert ran.code == 1
    for part in (
        "01_run.ipynb failed in cell 3 of 3",
        "- bound kept: True",
        "+ bound kept: False",
        "failed/01_run.ipynb",
    ):
        assert part in ran.err
    assert (course / "build/notebooks/01_run.ipynb").read_bytes() == before


@pytest.mark.parametrize(
    "stored", [[], [nbformat.v4.new_output("stream", text="1\n"), nbformat.v4.new_output("error")]]
)
def test_outputs_that_are_missing_or_new_differ(stored: list) -> None:
    """Another number or kind of outputs is a difference, too; a picture's pixels are none."""
    printed = [nbformat.v4.new_output("stream", text="1\n")]
    assert "output fields" in outputs.compare(stored, printed)
    pictures = [[nbformat.v4.new_output("display_data", {"image/png": data})] for data in ("one", "other")]
    assert outputs.compare(*pictures) is None
    parts = [nbformat.v4.new_output("stream", text=text) for text in ("one\n", "two\n")]
    assert outputs.compare(parts, [nbformat.v4.new_output("stream", text="one\ntwo\n")]) is None


def test_dying_kernel_is_told(course: Path) -> None:
    """A cell that ends its process is named like one that raises."""
    write_notebook(course / "notebooks/00_walk.ipynb", "# Learn to die", "import os\nos._exit(3)")
    ran = execute(course)
    assert ran.code == 1
    assert "00_walk.ipynb failed in cell 2 of 2" in ran.err
    assert "kernel died" in ran.err.lower()


@pytest.mark.parametrize(
    ("link", "says"),
    [("07_nowhere.ipynb", "07_nowhere.ipynb leads nowhere"), ("../../outside.md", "outside.md leads nowhere")],
)
def test_broken_link_stops_the_site(course: Path, link: str, says: str) -> None:
    """A link that leads nowhere is named, and the old site stays."""
    before = tree(course / "build/site")
    (course / "notebooks/glossary.md").write_text(f"# Glossary\n\n[see]({link})\n")
    (course.parent / "outside.md").write_text("# Outside\n")
    built = build(course)
    assert built.code == 1
    assert f"notebooks/glossary.md: the link {link}" in built.err
    assert says in built.err
    assert tree(course / "build/site") == before
    assert {path.name for path in (course / "build").iterdir()} == {"models", "notebooks", "site"}


def test_in_place_stores_outputs_without_time_stamps(course: Path) -> None:
    """`make refresh`: outputs and counts are stored, and a second run changes nothing."""
    path = course / "notebooks/00_walk.ipynb"
    frames = course / "notebooks/01_run.ipynb"
    options = ("--in-place", path, frames, "--source", course / "notebooks", "--build", course / "build")
    assert run(run_notebooks.main, *options).code == 0
    first = path.read_text()
    notebook = nbformat.reads(first, as_version=4)
    assert [cell.execution_count for cell in notebook.cells if cell.cell_type == "code"] == [1, 2]
    assert "walked" in first
    assert "iopub" not in first
    assert "<iframe" not in frames.read_text()
    assert LIVE_ONLY in frames.read_text()
    assert notebook.metadata.language_info == {"name": "python"}
    assert run(run_notebooks.main, *options).code == 0
    assert path.read_text() == first


@pytest.mark.parametrize(
    ("opening", "missing"),
    [
        ("Just words.\n\n## What you'll need\n\n3 minutes.", "a title"),
        ("# Title\n\n![p](p.png)\n\n## What you'll need\n\n- 3 minutes", "an opening sentence"),
        ("# Title\n\nWords that take 3 minutes.\n\n## What you'll need\n\nPatience.", "its minutes"),
    ],
)
def test_card_says_what_a_notebook_lacks(tmp_path: Path, opening: str, missing: str) -> None:
    """Without a title, a sentence or minutes there is no card, and the error names the lack."""
    path = tmp_path / "00_bare.ipynb"
    nbformat.write(new_notebook(cells=[new_markdown_cell(opening)]), path)
    with pytest.raises(ValueError, match=f"00_bare.ipynb does not give .*{missing}"):
        card(path)


@pytest.mark.parametrize(
    ("words", "minutes"),
    [
        ("About one minute.", "1 minute"),
        ("10 minutes on a laptop's CPU", "10 minutes"),
        ("Two or three minutes", "2 to 3 minutes"),
        ("15-20 minutes", "15 to 20 minutes"),
    ],
)
def test_card_reads_minutes_in_words_and_digits(tmp_path: Path, words: str, minutes: str) -> None:
    """However a writer puts it, the index page says it one way."""
    path = tmp_path / "00_words.ipynb"
    text = f"# Title\n\nIn 99 minutes, a sentence.\n\n## What you\N{RIGHT SINGLE QUOTATION MARK}ll need\n\n{words}"
    nbformat.write(new_notebook(cells=[new_markdown_cell(text)]), path)
    assert card(path).minutes == minutes


def test_the_course_builds_as_stored(tmp_path: Path) -> None:
    """The real notebooks, texts and package as a site, from the stored outputs: every link leads somewhere."""
    built = run(build_site.main, "--build", tmp_path, "--no-demo")
    assert built.code == 0, built.err
    site = tmp_path / "site"
    assert broken_links(site) == []
    for module in public_modules("litehrnet"):
        assert (site / "api" / f"{module.replace('.', '/')}.html").is_file()
    for page in site.rglob("*.html"):
        assert "<iframe" not in page.read_text()
    assert {page.name: weight for page in site.rglob("*.html") if (weight := first_load(page)) > HEAVY} == {}
    for page in [site / path.with_suffix(".html").name for path in numbered(ROOT / "notebooks")]:
        soup = BeautifulSoup(page.read_text(), "html.parser")
        for image in soup("img"):  # only the data of a figure that moves may hold a picture, in an attribute of its own
            assert not image["src"].startswith("data:")
            assert len(image["alt"]) > 10, page
            assert image["width"].isdigit()
            assert image["height"].isdigit()
    found = json.loads((site / "assets/index.js").read_text().removeprefix(search.ASSIGNMENT).rstrip(";\n"))
    links = {entry["link"] for entry in found}
    assert {"glossary.html#heatmap", "api/litehrnet/pooling.html#pool_params", "04_fix_the_pooling.html#Quiz"} <= links
    for entry in found:
        assert (site / entry["link"].partition("#")[0]).is_file()


def first_load(page: Path) -> int:
    """Bytes fetched before a reader scrolls: the page, styles, scripts, and pictures that are not lazy."""
    soup = BeautifulSoup(page.read_text(), "html.parser")
    names = [tag.get("href") for tag in soup("link")] + [tag["src"] for tag in soup("script", src=True)]
    names += [tag["src"] for tag in soup("img") if tag.get("loading") != "lazy"]
    return page.stat().st_size + sum((page.parent / name).resolve().stat().st_size for name in names)


def test_every_card_shows_a_part_of_its_picture() -> None:
    """Fractions of the picture, left before right and top before bottom, of notebooks that there are."""
    assert DETAILS.keys() <= {path.name[:2] for path in numbered(ROOT / "notebooks")}
    for left, top, right, bottom in (RESULT, *DETAILS.values()):
        assert 0 <= left < right <= 1
        assert 0 <= top < bottom <= 1


def test_the_font_of_formulas_can_draw_a_root(tmp_path: Path) -> None:
    """No formula's text holds the sign: the browser draws it, from the font, or leaves it out without a word."""
    maths.write_font(tmp_path / "m.woff", set("x"))
    drawn = TTFont(tmp_path / "m.woff").getBestCmap()
    assert {ord("x"), ord("\N{SQUARE ROOT}"), ord("\N{MINUS SIGN}")} <= drawn.keys()
    assert ord("\N{INTEGRAL}") not in drawn


DRAWING = """<?xml version="1.0"?><!DOCTYPE svg>
<svg xmlns="http://www.w3.org/2000/svg" width="300pt" height="150pt" viewBox="0 0 300 150">
 <metadata>made in 2020</metadata>
 <g id="patch_1"><path d="M 0 0" style="fill: #ffffff"/></g>
 <g id="patch_2"><path d="M 1 1" style="fill: #FFFFFF; stroke: #767676"/></g>
 <text style="font: 9px 'DejaVu Sans'">a word</text><text style="font-size: 12px; fill: #222222">two</text>
</svg>"""


def test_a_drawing_follows_the_theme_and_says_how_wide_its_text_needs_it() -> None:
    """Its ground goes, ink and lines become the page's, and the smallest text sets the least width."""
    picture = figures.from_svg(DRAWING, "drawing")
    text = picture.content.decode()
    assert text.startswith("<svg")
    assert "2020" not in text
    assert 'd="M 0 0" style="fill: none"' in text
    assert 'd="M 1 1" style="fill: var(--page); stroke: var(--muted)"' in text
    assert "prefers-color-scheme:dark" in text
    assert (picture.width, picture.height) == (400, 200)
    assert picture.least == round(400 * 11 / 12)  # 9 points are 12 CSS pixels at full width
    with pytest.raises(ValueError, match="no viewBox"):
        figures.from_svg("<svg></svg>", "bare")


def test_no_line_of_a_drawing_is_of_one_light_grey_in_both_themes() -> None:
    """Nor the frame that matplotlib puts around a legend, which would be white on a dark page."""
    figure, axes = new_figure()
    axes.plot([1, 2], label="a line")
    axes.axhline(1, color="#EEEEEE")
    axes.legend(frameon=True)
    drawn = figure.svg()
    fixed = {match.lower() for match in re.findall(r"stroke: (#[0-9a-fA-F]{6})", drawn)}
    left = set(re.findall(r"stroke: (#[0-9a-f]{6})", figures.themed(drawn)))
    assert {"#eeeeee", "#cccccc", "#0072b2"} <= fixed
    assert left == {"#0072b2"}


def test_coloured_words_of_a_drawing_can_be_read_in_both_themes() -> None:
    """A contrast of at least 4.5 with the page; areas of the same colour stay as they are."""
    grounds = figures.THEME["#ffffff"][1:]
    for _, *shown in figures.WORDS.values():
        for colour, page in zip(shown, grounds, strict=True):
            assert style._contrast(colour, page) >= 4.5, colour
    svg = figures.themed('<svg><text style="fill: #e69f00">to</text><path style="fill: #e69f00"/></svg>')
    assert '<text style="fill: var(--amber-words)">' in svg
    assert '<path style="fill: #e69f00"/>' in svg


def test_pale_greys_of_stored_drawings_follow_the_theme() -> None:
    """A grid that stays pale on a dark page is its brightest part. (#fefefe is written on areas of a fixed colour.)"""
    drawings = [path.read_text() for path in (ROOT / "notebooks" / "figures").glob("*.svg")]
    for path in numbered(ROOT / "notebooks"):
        results = [output for cell in read(path).cells for output in cell.get("outputs", ())]
        drawings += [output.data["image/svg+xml"] for output in results if "image/svg+xml" in output.get("data", {})]
    found = {colour.lower() for drawing in drawings for colour in re.findall(r"#[0-9a-fA-F]{6}\b", drawing)}
    pale = {c for c in found if len({c[1:3], c[3:5], c[5:7]}) == 1 and int(c[1:3], 16) >= 0xC0}
    assert pale - {"#fefefe"} <= figures.THEME.keys()


def test_a_card_shows_a_part_of_a_drawing_without_its_words() -> None:
    """Nobody could read them there."""
    picture = figures.thumbnail(DRAWING.encode(), "card", (0.5, 0.0, 1.0, 1.0))
    assert b"a word" not in picture.content
    assert b'viewBox="150.0 0.0 150.0 150.0"' in picture.content
    assert (picture.width, picture.height) == (320, 320)


def test_a_card_shows_nothing_of_the_ground_behind_words() -> None:
    """The white box that keeps a word legible on a hatched bar goes with its word; boxes of a diagram stay."""
    ground = '<path d="M 1 1 L 9 9 z" style="fill: #ffffff"/>'
    box = '<path d="M 2 2 L 8 8 z" style="fill: #ffffff; stroke: #222222"/>'
    words = [f'<g id="text_{n}"><g id="patch_{n}">{path}</g><g><text>a word</text></g></g>'
             for n, path in enumerate((ground, box))]  # fmt: skip
    drawing = f'<svg viewBox="0 0 10 10">{"".join(words)}</svg>'
    content = figures.thumbnail(drawing.encode(), "card", (0.0, 0.0, 1.0, 1.0)).content
    assert b"M 1 1" not in content
    assert b"M 2 2" in content
    assert b"a word" not in content


def test_a_figure_takes_its_sentence_along() -> None:
    """What `litehrnet.course.draw` hands to Jupyter becomes one figure: file, alternative text, caption, lazy."""
    words = "Right & wrong are 3 < 4."
    pictures = {"image/svg+xml": DRAWING, "image/png": base64.b64encode(PIXEL).decode(), "text/plain": words}
    metadata = {"image/svg+xml": {"alt": words}}
    caption = {"text/markdown": f"*{words}*", "text/plain": words}
    cell = new_code_cell(
        "draw()",
        outputs=[
            nbformat.v4.new_output("stream", text="before"),
            nbformat.v4.new_output("display_data", pictures, metadata=metadata),
            nbformat.v4.new_output("display_data", caption, metadata={"text/markdown": {"caption": True}}),
            nbformat.v4.new_output("display_data", {"image/png": base64.b64encode(PIXEL).decode()}),
        ],
    )
    notebook = new_notebook(cells=[cell])
    made = figures.take_out(notebook, "lesson")
    assert [picture.name for picture in made] == ["lesson-1.svg", "lesson-2.webp"]
    assert len(cell.outputs) == 3
    soup = BeautifulSoup(cell.outputs[1].data["text/html"], "html.parser")
    assert soup.find("img")["alt"] == soup.find("figcaption").get_text() == words
    assert soup.find("img")["loading"] == "lazy"
    assert soup.find("a")["href"] == soup.find("img")["src"] == "figures/lesson-1.svg"


def test_the_repository_is_named_in_one_place(course: Path) -> None:
    """Without an address there is only the file; with one, Binder, Colab and the source lead to the notebook."""

    def launch() -> dict[str, str]:
        assert build(course).code == 0
        soup = BeautifulSoup((course / "build/site/00_walk.html").read_text(), "html.parser")
        return {link.get_text(): link["href"] for link in soup.select(".launch a")}

    assert launch() == {"Download": "00_walk.ipynb"}
    (course / "pyproject.toml").write_text('[project.urls]\nRepository = "https://github.com/some/one"\n')
    assert repository(course) == "https://github.com/some/one"
    rows = launch()
    assert rows["Binder"] == "https://mybinder.org/v2/gh/some/one/HEAD?labpath=notebooks%2F00_walk.ipynb"
    assert rows["Colab"] == "https://colab.research.google.com/github/some/one/blob/HEAD/notebooks/00_walk.ipynb"
    assert rows["Source"] == "https://github.com/some/one/blob/HEAD/notebooks/00_walk.ipynb"


def test_every_page_lists_the_lessons(once: Built) -> None:
    """With their minutes, and the open one marked; its headings are below it."""
    soup = BeautifulSoup((once.root / "build/site/01_run.html").read_text(), "html.parser")
    lessons = soup.select(".lessons > ol:not(.contents) > li > a")
    assert [link["href"] for link in lessons] == ["00_walk.html", "01_run.html"]
    assert [link.find("small").get_text() for link in lessons] == ["5 min", "3 min"]
    assert [link.get("aria-current") for link in lessons] == [None, "page"]
    assert soup.select_one(".lessons p small").get_text() == "8 min"
    assert soup.select_one("meta[name=description]")["content"] == "Small numbers come first. Then more."
    inner = BeautifulSoup((once.root / "build/site/solutions/00_walk.html").read_text(), "html.parser")
    assert inner.select_one(".lessons > ol:not(.contents) > li > a")["href"] == "../00_walk.html"


def test_terms_bring_their_line_along(once: Built) -> None:
    """A link into the glossary holds the line that a reader would find there."""
    (once.root / "notebooks/glossary.md").write_text('# Glossary\n\n- <a id="word"></a>**Word**: what is *said*.\n')
    assert build(once.root).code == 0
    soup = BeautifulSoup((once.root / "build/site/00_walk.html").read_text(), "html.parser")
    assert soup.find("a", href="glossary.html#word")["data-term"] == "Word: what is said."


def test_a_line_divides_code_only_at_its_joints(tmp_path: Path) -> None:
    """A short name or option stays whole; a long name may end a line after one of its words, never inside."""
    path = tmp_path / "words.md"
    long = "torch.nn.functional.adaptive_avg_pool2d"
    index = "backbone.stage2[0].layers[3][0]"
    path.write_text(f"# Code\n\n`--dynamic size`, `litehrnet export my.pth --weights float16`, `{long}`, `{index}`\n")
    short, command, name, part = pages.from_markdown(path).soup("code")
    assert short["class"] == ["whole"]
    assert [one.get_text() for one in command(class_="whole")] == command.get_text().split()
    assert command.get_text() == "litehrnet export my.pth --weights float16"
    assert "".join("|" if part.name == "wbr" else part for part in name.children if part) == (
        "torch.|nn.functional.|adaptive_|avg_|pool2d"
    )
    assert "".join("|" if one.name == "wbr" else one for one in part.children if one) == (
        "backbone.|stage2[0].|layers[3][0]"
    )


def test_a_line_divides_neither_a_number_and_its_unit_nor_a_date(tmp_path: Path) -> None:
    """In prose; code is left as it is, and so is what only begins like a unit."""
    path = tmp_path / "numbers.md"
    path.write_text("# 5 % off\n\nOn 2026-11-27 it took 10.5 ms, 95 % of `3 ms`, or 12 msgs of 1,024 MB.\n\n    7 ms\n")
    soup = pages.from_markdown(path).soup
    assert [one.get_text() for one in soup.select("span.whole")] == ["2026-11-27", "10.5 ms", "95 %", "1,024 MB"]
    assert soup.p.get_text() == "On 2026-11-27 it took 10.5 ms, 95 % of 3 ms, or 12 msgs of 1,024 MB."


@pytest.mark.parametrize(
    ("text", "wraps"),
    [
        ("They differ by at most 1e-04 of the largest value\n", True),
        ("fresh:\n    differ by at most 1e-02\n", True),
        ("joints: (1, 17, 2)  scores: (1, 17)\nthe first three are the nose and both eyes\n", True),
        ("Conv      289 kernels\nAdd        69 kernels\n", False),
    ],
)
def test_on_a_phone_printed_words_wrap_and_printed_columns_scroll(text: str, wraps: bool) -> None:
    """Columns would stand askew; how a line is indented does not make one."""
    cell = new_code_cell("...", outputs=[nbformat.v4.new_output("stream", text=text)])
    printed = pages.from_notebook(new_notebook(cells=[cell])).soup.select_one(".output > pre")
    assert ("words" in printed.get("class", [])) == wraps
    assert printed.get_text() == text


def test_only_a_long_table_scrolls_below_its_head(tmp_path: Path) -> None:
    """Rows that a phone hides in a box are not looked for."""
    path = tmp_path / "table.md"
    for rows, kinds in ((pages.ROWS, ["scroll"]), (pages.ROWS + 1, ["scroll", "long"])):
        path.write_text("| a | b |\n|---|---|\n" + "| 1 | 2 |\n" * rows)
        assert pages.from_markdown(path).soup.find("table").parent["class"] == kinds


def test_a_command_can_be_copied_without_naming_its_language(tmp_path: Path) -> None:
    """Every block of code has the bar with the button, and one size of letters."""
    path = tmp_path / "commands.md"
    path.write_text("```\nmake\n```\n\n```bash\nmake\n```\n")
    blocks = pages.from_markdown(path).soup.select(".highlight:has(> pre)")
    assert [block.select_one(".bar .copy").get_text() for block in blocks] == ["Copy", "Copy"]


def test_formulas_side_by_side_are_two_where_there_is_no_room(tmp_path: Path) -> None:
    r"""A \qquad parts them, unless it is inside of one."""
    path = tmp_path / "formulas.md"
    path.write_text(r"$$s = \frac{n}{m} \qquad \qquad k = n$$" + "\n\n" + r"$$\text{if \qquad not}$$" + "\n")
    both = pages.from_markdown(path).soup.select(".formulas > .formula > math")
    assert [one.get_text() for one in both] == ["s=nm", "k=n"]
    assert len(pages.from_markdown(path).soup("math")) == 3


def test_a_number_beside_a_picture_keeps_its_heads_name(tmp_path: Path) -> None:
    """A phone shows such a table as a list, without its first row."""
    path = tmp_path / "map.md"
    path.write_text('| | lesson | minutes |\n|---|---|---|\n| <img src="x.svg" alt=""> | walk | 45 |\n')
    assert pages.from_markdown(path).soup.find("td", attrs={"data-head": "minutes"}).get_text() == "45"
    path.write_text("| lesson | minutes |\n|---|---|\n| walk | 45 |\n")
    assert pages.from_markdown(path).soup.find("td", attrs={"data-head": True}) is None


def test_a_list_of_terms_has_contents(tmp_path: Path) -> None:
    """The glossary has no headings; its terms are what the list beside the page holds."""
    path = tmp_path / "terms.md"
    path.write_text('# Terms\n\n- <a id="a-b"></a>**a & b**: both.\n- <a id="c"></a>**c**: one.\n- no term\n')
    assert pages.from_markdown(path).contents == [("a-b", "a &amp; b", 2), ("c", "c", 2)]


def test_a_long_list_of_terms_has_letters(tmp_path: Path) -> None:
    """Each leads to the first term with it."""
    path = tmp_path / "terms.md"
    lines = [f'- <a id="{letter}{k}"></a>**{letter}{k}**: one.' for letter in "abcdefgh" for k in (1, 2)]
    path.write_text("# Terms\n\n" + "\n".join(lines) + "\n")
    links = pages.from_markdown(path).soup.select(".letters a")
    assert [(link.get_text(), link["href"]) for link in links] == [(c.upper(), f"#{c}1") for c in "abcdefgh"]


def test_exercises_and_solutions_lead_to_each_other(tmp_path: Path) -> None:
    """A link at the end of each exercise, before what comes next; and back."""
    lesson, solutions = tmp_path / "04_x.ipynb", tmp_path / "solutions" / "04_x.ipynb"
    solutions.parent.mkdir()
    one, two, last = '### Exercise 1: say "a", then b', "### Exercise 2: no solution", "## Next"
    write_notebook(lesson, "# Lesson", one, "print(1)", two, "print(2)", last)
    write_notebook(solutions, "# Solutions", "## Exercise 1: it is said", "print(1)", "print(3)")
    assert exercises.counterpart(lesson) == solutions
    assert exercises.counterpart(solutions) == lesson
    assert exercises.counterpart(tmp_path / "05_y.ipynb") is None
    for path, words, target in (
        (lesson, "Solution", "solutions/04_x.ipynb#Exercise-1:-it-is-said"),
        (solutions, "Back to exercise 1", '../04_x.ipynb#Exercise-1:-say-"a",-then-b'),
    ):
        other = exercises.counterpart(path)
        page = pages.from_notebook(read(path))
        exercises.connect(page.soup, path, other, exercises.anchors(read(other)))
        (link,) = page.soup.select(".beside a")
        assert (link.get_text(), link["href"]) == (words, target)
        assert link.find_previous("h3" if path is lesson else "h2").get_text().startswith("Exercise 1")
        assert link.find_previous("pre").get_text().strip() == ("print(1)" if path is lesson else "print(3)")
        ids = {tag["id"] for tag in pages.from_notebook(read(other)).soup(["h2", "h3"], id=True)}
        assert link["href"].partition("#")[2] in ids


def test_a_way_that_leaves_lessons_out_has_its_own_next(tmp_path: Path) -> None:
    """Only where it differs from the course's."""
    numbers = [path.name[:2] for path in numbered(ROOT / "notebooks")]
    entries = [(f"title {number}", f"{number}.html") for number in numbers]
    found = {number: build_site._later(k, numbers, entries) for k, number in enumerate(numbers)}
    assert {number for number, later in found.items() if later} == {"00", "05"}
    assert found["05"] == (("Next for an engineer", "title 08", "08.html"),)


def test_a_folder_says_the_titles_of_its_notebooks(tmp_path: Path) -> None:
    """Beside the file's name."""
    write_notebook(tmp_path / "00_walk.ipynb", "# Learn to walk", "print(1)")
    (tmp_path / "walk.py").write_text("")
    items = [item.get_text() for item in pages.from_folder(tmp_path, "steps").soup("li")]
    assert items == ["00_walk.ipynb: Learn to walk", "walk.py"]


def test_search_finds_headings_terms_and_the_text_below() -> None:
    """A heading with its anchor and text up to the next one; a term of the glossary by itself."""
    soup = BeautifulSoup(
        '<h1>Top<a class="anchor-link" href="#Top">#</a></h1><p>First words.</p><h2 id="b">Below</h2><pre>code()</pre>'
        '<li><a id="t"></a><strong>Term</strong>: its line.</li>',
        "html.parser",
    )
    assert search.entries(soup, "page.html", "Top") == [
        search.Entry("page.html", "Top", "Top", "First words."),
        search.Entry("page.html#t", "Top", "Term", "its line."),
        search.Entry("page.html#b", "Top", "Below", "code()"),
    ]


def test_the_ways_through_the_course_name_its_lessons() -> None:
    """Every number is a notebook's, in order, and a lesson's length is a number."""
    numbers = [path.name[:2] for path in numbered(ROOT / "notebooks")]
    for _, _, way in PATHS:
        assert list(way) == [number for number in numbers if number in way]
    assert (longest("2 to 3 minutes"), longest("45 minutes")) == (3, 45)
