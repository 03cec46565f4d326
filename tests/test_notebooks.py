"""How every notebook is built and stored: what nbval does not look at.

nbval compares only marked cells, skips a cell without its count, and stays green when a cell's code was swallowed. So
the counts, the outputs, the sections, the links, the formulas and the last cell are held here.
"""

from __future__ import annotations

import ast
import base64
import io
import re
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from urllib.parse import unquote, urlsplit

import link_glossary
import numpy as np
import pytest
from bs4 import BeautifulSoup
from course import numbered, read
from latex2mathml.converter import convert
from nbformat import NotebookNode
from nbformat.v4 import new_markdown_cell, new_notebook
from PIL import Image
from website import pages

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "notebooks"
COURSE = numbered(FOLDER)
SOLUTIONS = numbered(FOLDER / "solutions")
TEMPLATE = FOLDER / "template.ipynb"
TEXTS = [FOLDER / "glossary.md", FOLDER / "cheat_sheet.md", *(ROOT / name for name in ("README.md", "CONTRIBUTING.md"))]
CHECKED = "nbval-check-output"
SECTIONS = ["In practice", "Quiz", "On your own", "Further reading"]
OPENING = re.compile(
    r"# [A-Z0-9][^\n]+\n\n[^\n]+\n\n"  # a title and a sentence
    r"\*\*The question\.\*\* [^\n]+\?[^\n]*\n\n\*\*Predict\.\*\* [^\n]+\n\n!\[[^\n]+\n\n"
    r"(?:[^<\n][^\n]*\n\n)?"  # why one would want to know
    r"<details><summary>\d+ minutes[^\n]*: what you'll do, learn and need</summary>\n\n"
    r"\*\*What you'll do\*\*\n\n.+\*\*What you'll learn\*\*\n\n.+\*\*What you'll need\*\*\n\n.+</details>",
    re.DOTALL,
)
THIS_MACHINE = re.compile(r"(?<![\w.])/(?:home|root|tmp|Users|work|var/folders|private)/|[A-Z]:\\\\Users")
TIME_STAMP = re.compile(r"\b20\d\d-\d\d-\d\d[ T]\d\d:\d\d")


def name(path: Path) -> str:
    """A test's label."""
    return path.relative_to(FOLDER).with_suffix("").as_posix()


every_notebook = pytest.mark.parametrize("path", [*COURSE, *SOLUTIONS, TEMPLATE], ids=name)
every_lesson = pytest.mark.parametrize("path", [*COURSE, TEMPLATE], ids=name)


def held(*paths: Path) -> pytest.MarkDecorator:
    """A rule for some of the notebooks, as a test's parameter."""
    return pytest.mark.parametrize("path", paths, ids=name)


def code_cells(path: Path) -> list[NotebookNode]:
    """The code cells of a notebook."""
    return [cell for cell in read(path).cells if cell.cell_type == "code"]


def prose(path: Path) -> str:
    """The Markdown of a notebook or of a text, with straight apostrophes."""
    if path.suffix == ".md":
        return path.read_text()
    cells = (cell.source for cell in read(path).cells if cell.cell_type == "markdown")
    return "\n\n".join(cells).replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")


def is_marked(cell: NotebookNode) -> bool:
    """Whether nbval compares this cell's output."""
    return CHECKED in cell.metadata.get("tags", [])


def headings(path: Path) -> list[str]:
    """The headings of level 2, outside code."""
    return re.findall(r"^## +(.+?)\s*$", re.sub(r"```.*?```", "", prose(path), flags=re.DOTALL), re.MULTILINE)


def test_the_course_is_whole() -> None:
    """Notebooks in order, each with its solutions, and a template for the next one."""
    numbers = [int(path.name[:2]) for path in COURSE]
    assert numbers == sorted(set(numbers)) and numbers[0] == 0
    assert [path.name for path in SOLUTIONS] == [path.name for path in COURSE]
    assert TEMPLATE.is_file()


@every_notebook
def test_executed_from_top_to_bottom(path: Path) -> None:
    """Counts run 1..n, so nbval skips no cell; marked cells have something to compare with."""
    cells = code_cells(path)
    assert [cell.execution_count for cell in cells] == list(range(1, len(cells) + 1))
    empty = [cell.source for cell in cells if is_marked(cell) and not cell.outputs]
    assert empty == []
    assert any(is_marked(cell) for cell in cells)


@every_notebook
def test_the_end_was_reached(path: Path) -> None:
    """The last code cell is compared, and claims something: an unknown magic would swallow a cell and stay green."""
    last = code_cells(path)[-1]
    assert is_marked(last)
    assert any(output.get("text") or output.get("data", {}).get("text/plain") for output in last.outputs)


@held(*COURSE, *SOLUTIONS, TEMPLATE)
def test_the_last_cell_is_a_claim(path: Path) -> None:
    """It does not say the same whatever happened above."""
    names = {node.id for node in ast.walk(ast.parse(code_cells(path)[-1].source)) if isinstance(node, ast.Name)}
    assert names - {"print"}


@every_notebook
def test_tags_speak_to_nbval(path: Path) -> None:
    """Every tag is one that nbval knows, and no comment does a tag's work: a reader would have to read it."""
    for number, cell in enumerate(code_cells(path), 1):
        assert set(cell.metadata.get("tags", [])) <= {CHECKED, "raises-exception"}, f"code cell {number}"
        assert "NBVAL_" not in cell.source, f"code cell {number} holds a marker comment"


@held(*COURSE, *SOLUTIONS, TEMPLATE)
def test_all_imports_are_in_the_set_up_cell(path: Path) -> None:
    """A reader sees at once what a notebook needs, and no later cell stops for a missing package."""
    for number, cell in enumerate(code_cells(path)[1:], 2):
        imports = [node for node in ast.walk(ast.parse(cell.source)) if isinstance(node, (ast.Import, ast.ImportFrom))]
        assert not imports, f"code cell {number} imports"


@held(*COURSE, *SOLUTIONS, TEMPLATE)
def test_nothing_distracts_from_the_lesson(path: Path) -> None:
    """No regular expressions, no private source, no hook or default by lambda, no method or class replaced."""
    for number, cell in enumerate(code_cells(path), 1):
        for node in ast.walk(ast.parse(cell.source)):
            where = f"code cell {number}, line {getattr(node, 'lineno', 0)}"
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                imported = {alias.name for alias in node.names} | {getattr(node, "module", None)}
                assert not imported & {"re", "inspect"}, where
                assert "graph" not in {alias.asname for alias in node.names}, f"{where}: call netron by its name"
            if isinstance(node, ast.Assign):
                replaced = {target.attr for target in node.targets if isinstance(target, ast.Attribute)}
                assert not replaced & {"forward", "__class__"}, where
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "").startswith("register_"):
                assert not any(isinstance(argument, ast.Lambda) for argument in node.args), where
            if isinstance(node, ast.Lambda):
                assert not node.args.defaults, f"{where}: a lambda with a default binds late otherwise; name it"


@every_notebook
def test_no_cell_begins_with_a_magic(path: Path) -> None:
    """An unknown magic takes its whole cell with it; the notebooks need none."""
    lines = [line for cell in code_cells(path) for line in cell.source.splitlines()]
    assert [line for line in lines if re.match(r"\s*[%!]", line)] == []


@every_notebook
def test_stored_outputs_are_clean(path: Path) -> None:
    """No unannounced error, no stderr, no SVG, nothing of the machine or the hour that it ran on."""
    for number, cell in enumerate(code_cells(path), 1):
        announced = "raises-exception" in cell.metadata.get("tags", [])
        for output in cell.outputs:
            where = f"code cell {number}"
            assert output.output_type != "error" or announced, f"{where} holds an error"
            assert output.get("name") != "stderr", f"{where} wrote to stderr: {output.text[:80]}"
            data = output.get("data", {})
            assert not is_marked(cell) or "image/svg+xml" not in data, f"{where} holds SVG, which nbval compares"
            assert "<iframe" not in data.get("text/html", ""), f"{where} holds a frame, dead without a kernel"
            texts = [output.get("text", ""), *(str(text) for kind, text in data.items() if kind.startswith("text/"))]
            for text in texts:
                assert not THIS_MACHINE.search(text), f"{where} names a folder of a machine: {text[:200]}"
                if is_marked(cell):
                    assert not TIME_STAMP.search(text), f"{where} is compared and holds a time: {text[:200]}"


@every_notebook
def test_each_cell_prints_one_text(path: Path) -> None:
    """A text that the kernel sent in pieces is stored as one, or the next run would store other pieces."""
    for number, cell in enumerate(code_cells(path), 1):
        names = [output.get("name") for output in cell.outputs]
        pairs = [pair for pair in pairwise(names) if pair[0] and pair[0] == pair[1]]
        assert not pairs, f"code cell {number} holds its text in pieces"


@every_notebook
def test_stored_without_traces_of_a_machine(path: Path) -> None:
    """No time stamps, no scrolled or collapsed cells: only what a reader needs."""
    notebook = read(path)
    assert set(notebook.metadata) <= {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    for cell in notebook.cells:
        assert set(cell.metadata) <= {"tags"}
    assert path.stat().st_size < 2_500_000


@every_notebook
def test_figures_are_shown(path: Path) -> None:
    """A cell that draws says plt.show(), so that no object's name is printed under the figure."""
    for number, cell in enumerate(code_cells(path), 1):
        drawn = any("image/png" in output.get("data", {}) for output in cell.outputs)
        named = any(re.match(r"<(Figure|Axes|matplotlib|module)", output.get("data", {}).get("text/plain", ""))
                    for output in cell.outputs if output.output_type == "execute_result")  # fmt: skip
        assert not named, f"code cell {number} prints the name of an object"
        if drawn and "plt" in cell.source:
            assert "plt.show()" in cell.source, f"code cell {number} draws without plt.show()"


@every_lesson
def test_sections_and_opening(path: Path) -> None:
    """A question, something to predict and a picture first; lists folded; the fixed sections in their order; three
    answers folded."""
    text = prose(path)
    opening = read(path).cells[0].source
    assert OPENING.match(opening), "see template.ipynb for the order of the opening"
    question = opening.partition("**Predict.**")[2].partition("![")[0]
    assert "?" in question, "a prediction is asked for"
    found = [heading for heading in headings(path) if heading in SECTIONS]
    assert found == SECTIONS
    quiz = text.partition("## Quiz")[2].partition("## On your own")[0]
    assert quiz.count("<details>") == quiz.count("</details>") == quiz.count("<summary>") == 3


@every_lesson
def test_the_opening_picture_does_not_come_again(path: Path) -> None:
    """A drawing below does not show all of its words, whatever its numbers, nor a photograph nearly all its pixels."""
    source = re.search(r"!\[[^\]]*\]\(([^)]+)\)", read(path).cells[0].source).group(1)
    shown = [output.data for cell in code_cells(path) for output in cell.outputs if "data" in output]
    if source.endswith(".svg"):
        drawings = [words_of(data["image/svg+xml"]) for data in shown if "image/svg+xml" in data]
        asked = words_of((path.parent / source).read_text())
        assert asked
        assert [words for words in drawings if asked <= words] == []
    else:
        asked = look_of((path.parent / source).read_bytes())
        looks = [look_of(base64.b64decode(data["image/png"])) for data in shown if "image/png" in data]
        assert [alike for look in looks if (alike := np.corrcoef(asked, look)[0, 1]) > 0.9] == []


def words_of(svg: str) -> set[str]:
    """The words of a drawing; what was measured, and so has a decimal point, is left out."""
    texts = (re.sub(r"\d+\.\d+", "", text).strip() for text in re.findall(r"<text\b[^>]*>([^<]*)</text>", svg))
    return {text for text in texts if len(text) > 2}


def look_of(picture: bytes) -> np.ndarray:
    """A picture as 48x48 grey values on white, whatever its size."""
    image = Image.open(io.BytesIO(picture)).convert("RGBA")
    ground = Image.new("RGBA", image.size, "white")
    ground.alpha_composite(image)
    return np.asarray(ground.convert("L").resize((48, 48)), float).ravel()


def test_a_picture_that_comes_again_is_found() -> None:
    """With other numbers and in other company, or at another size and in another file."""
    first = "<svg><text x='1'>public graph</text><text>17.5 ms</text><text>fused</text></svg>"
    again = "<svg><text>fused</text><text>also this</text><text y='2'>public graph</text><text>3.2 ms</text></svg>"
    other = "<svg><text>public graph</text><text>something else</text></svg>"
    assert words_of(first) <= words_of(again)
    assert not words_of(first) <= words_of(other)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (6, 8, 3), np.uint8)).resize((400, 300))
    looks = []
    for shown in (picture, picture.resize((300, 225)), picture.rotate(180)):
        file = io.BytesIO()
        shown.save(file, "PNG")
        looks.append(look_of(file.getvalue()))
    one, smaller, turned = looks
    assert np.corrcoef(one, smaller)[0, 1] > 0.9
    assert np.corrcoef(one, turned)[0, 1] < 0.9


@held(*COURSE)
def test_a_prediction_is_taken_up(path: Path) -> None:
    """The opening asks for a prediction; where the answer appears, a sentence says so."""
    later = "\n".join(cell.source for cell in read(path).cells[1:] if cell.cell_type == "markdown")
    assert re.search(r"predict|guess (near|was)|was your (first )?guess", later, re.IGNORECASE)


@every_lesson
def test_every_section_has_something_to_change(path: Path) -> None:
    """A reader's hands learn, too: each numbered section names one thing to change and run again."""
    parts = re.split(r"^(?=## )", prose(path), flags=re.MULTILINE)
    sections = [part for part in parts if re.match(r"## \d+\. ", part)]
    assert sections
    idle = [part.splitlines()[0] for part in sections if not re.search(r"and run (it|the cell) again", part, re.I)]
    assert idle == []


def exercises(path: Path) -> dict[str, list[NotebookNode]]:
    """The code cells below each heading "Exercise N: ..." of a notebook, by the heading's text."""
    found: dict[str, list[NotebookNode]] = {}
    title = None
    for cell in read(path).cells:
        if cell.cell_type == "code":
            if title:
                found[title].append(cell)
            continue
        for line in cell.source.splitlines():
            if line.startswith("#"):
                match = re.fullmatch(r"#{2,3} (Exercise \d+: .+)", line)
                title = match and match.group(1)
                if title:
                    found[title] = []
    return found


@held(*COURSE, TEMPLATE)
def test_exercises_have_three_cells(path: Path) -> None:
    """A slow obvious answer, a stub, a ready check, below a heading that a link can name; two exercises at least."""
    found = exercises(path)
    assert [title.split(":")[0] for title in found] == [f"Exercise {n + 1}" for n in range(len(found))]
    assert len(found) >= 2
    for title, cells in found.items():
        assert len(cells) == 3 or title == list(found)[-1], f"{title} has {len(cells)} code cells"
        slow, stub, check = cells[:3]
        assert "NotImplementedError" not in slow.source, title
        assert re.fullmatch(r"def \w+\([^:]*\):\n    raise NotImplementedError", stub.source), title
        assert re.match(r"check_\w+\(", check.source), title
        assert is_marked(slow) and is_marked(check), title
    sources = (cell.source for cell in code_cells(path))
    assert sum(source.count("raise NotImplementedError") for source in sources) == len(found)


@held(*COURSE, TEMPLATE)
def test_every_exercise_ends_in_something_to_look_at(path: Path) -> None:
    """Below the check, and before the next exercise, the reader's own function draws or prints something."""
    cells = read(path).cells
    heads = [n for n, cell in enumerate(cells) if re.search(r"^#{2,3} Exercise \d+: ", cell.source, re.MULTILINE)]
    end = next(n for n, cell in enumerate(cells) if re.search(r"^## Further reading", cell.source, re.MULTILINE))
    for first, last in pairwise([*heads, end]):
        sources = [cell.source for cell in cells[first:last] if cell.cell_type == "code"]
        (function,) = (found.group(1) for s in sources if (found := re.match(r"def (\w+).+\n +raise NotImpl", s)))
        used = [{node.id for node in ast.walk(ast.parse(s)) if isinstance(node, ast.Name)} for s in sources]
        shown = [names for s, names in zip(sources, used, strict=True) if function in names and s.count("\n") > 0]
        assert shown, f"{function} is checked, and then nothing comes of it"


@held(*COURSE)
def test_every_exercise_is_solved(path: Path) -> None:
    """The solutions have the same headings, and below each the same check."""
    solutions = exercises(FOLDER / "solutions" / path.name)
    assert list(solutions) == list(exercises(path))
    for title, cells in exercises(path).items():
        source = "\n".join(cell.source for cell in solutions[title])
        assert cells[2].source.split("(")[0] in source, title
        assert "NotImplementedError" not in source, title


@pytest.mark.parametrize("path", COURSE, ids=name)
def test_small_steps(path: Path) -> None:
    """30 to 110 cells, short ones, and never more than three code cells without prose."""
    notebook = read(path)
    assert 30 <= len(notebook.cells) <= 110
    kinds = "".join("c" if cell.cell_type == "code" else "m" for cell in notebook.cells)
    assert "cccc" not in kinds
    lengths = [
        sum(bool(line.strip()) and not line.strip().startswith("#") for line in cell.source.splitlines())
        for cell in code_cells(path)
    ]
    assert 2 <= statistics.median(lengths) <= 6
    assert max(lengths[1:]) <= 26  # the set-up cell is as long as what a notebook needs


@held(*COURSE, *SOLUTIONS, TEMPLATE)
def test_no_cell_is_long(path: Path) -> None:
    """20 lines at most, but for the set-up cell, which is as long as what a notebook needs."""
    assert max(len(cell.source.splitlines()) for cell in code_cells(path)[1:]) <= 20


@held(*COURSE, *SOLUTIONS, TEMPLATE)
def test_lines_of_code_are_short(path: Path) -> None:
    """A page shows them beside the prose, and a phone alone: 96 characters at most."""
    long = [line for cell in code_cells(path) for line in cell.source.splitlines() if len(line) > 96]
    assert long == []


MARKDOWN = sorted(path for folder in ("", "notebooks", "examples", "data", "benchmarks") for path in
                  (ROOT / folder).glob("*.md" if folder in {"", "notebooks"} else "**/README.md"))  # fmt: skip


@pytest.mark.parametrize("path", [*COURSE, *SOLUTIONS, *MARKDOWN], ids=lambda path: f"{path.parent.name}/{path.name}")
def test_lines_of_code_in_prose_are_short(path: Path) -> None:
    """As short as those of the cells: longer ones are cut at the edge of a page."""
    if path.suffix == ".md":
        texts = [path.read_text()]
    else:
        texts = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    blocks = [block for text in texts for block in re.findall(r"^```.*?^```", text, re.DOTALL | re.MULTILINE)]
    assert [line for block in blocks for line in block.splitlines() if len(line) > 96] == []


def anchors(path: Path) -> set[str]:
    """What a link into a file of the course may name."""
    page = pages.from_notebook(read(path)) if path.suffix == ".ipynb" else pages.from_markdown(path)
    return {tag["id"] for tag in page.soup(id=True)}


@pytest.mark.parametrize("path", [*COURSE, *SOLUTIONS, TEMPLATE, *TEXTS], ids=lambda path: path.name)
def test_links_and_pictures(path: Path) -> None:
    """Relative links and their anchors exist; others are https; pictures have words."""
    html = pages.markdown(re.sub(r"attachment:[^)]+", "attachment", prose(path)), {"attachment": {"image/png": ""}})
    soup = BeautifulSoup(html, "html.parser")
    for tag in soup(["a", "img"]):
        address = urlsplit(tag.get("href") or tag.get("src") or "")
        if address.scheme or address.netloc:
            assert address.scheme in {"https", "mailto", "data"}, f"{address.geturl()} is not https"
            continue
        if not address.path:
            continue
        target = (path.parent / unquote(address.path)).resolve()
        assert target.exists(), f"{address.geturl()} leads nowhere"
        assert target.is_relative_to(ROOT), f"{address.geturl()} leads out of the checkout"
        if address.fragment and target.suffix in {".ipynb", ".md"}:
            assert unquote(address.fragment) in anchors(target), f"{address.geturl()}: no such anchor"
    for image in soup("img"):
        assert len(image.get("alt", "")) >= 10, f"the picture {image.get('src', '')[:60]} needs words"


@pytest.mark.parametrize("path", [*COURSE, *SOLUTIONS, *TEXTS], ids=lambda path: path.name)
def test_formulas_can_be_drawn(path: Path) -> None:
    """Every formula becomes MathML; a doubled backslash before a word would end the line and spell the word."""
    text = re.sub(r"```.*?```|`[^`]*`", "", prose(path), flags=re.DOTALL)
    for match in re.finditer(r"\$\$(.+?)\$\$|(?<![\\$\w])\$(?!\s)([^$\n]+?)(?<!\s)\$(?!\d)", text, re.DOTALL):
        formula = match.group(1) or match.group(2)
        assert not re.search(r"\\\\[a-z]{3}", formula), f"doubled backslash: {formula}"
        mathml = convert(formula)
        unknown = re.search(r"<mi>(\\[a-zA-Z]+)</mi>", mathml)
        assert unknown is None, f"{unknown and unknown.group(1)} is not known in {formula}"


@pytest.mark.parametrize("path", COURSE, ids=name)
def test_pictures_in_the_prose_are_whole(path: Path) -> None:
    """Every PNG that is stored in a notebook opens, and none is blank."""
    for cell in code_cells(path):
        for output in cell.outputs:
            if "image/png" in output.get("data", {}):
                image = Image.open(io.BytesIO(base64.b64decode(output.data["image/png"]))).convert("L")
                low, high = image.getextrema()
                assert high - low > 50
                assert min(image.size) >= 40


def test_spelling(tmp_path: Path) -> None:
    """Common slips, by codespell, in the prose and in the code's own words."""
    for path in [*COURSE, *SOLUTIONS]:
        target = tmp_path / f"{name(path).replace('/', '_')}.md"
        target.write_text("\n".join(cell.source for cell in read(path).cells))
    texts = [
        *(path for path in TEXTS if path.is_file()),
        ROOT / "litehrnet",
        ROOT / "tests",
        ROOT / "tools",
        ROOT / "training",
        tmp_path,
    ]
    command = [
        sys.executable,
        "-m",
        "codespell_lib",
        "-L",
        "caf,notin",
        "--skip",
        "*.pyc,*.npz,*.keys.txt",
        *map(str, texts),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.stdout == ""


@pytest.mark.parametrize("path", COURSE, ids=name)
def test_terms_are_linked_at_first_use(path: Path) -> None:
    """`make refresh` would add no link to the glossary."""
    assert not link_glossary.link_file(path, write=False)


@pytest.mark.parametrize(
    ("text", "linked"),
    [
        ("A branch, two branches.", "A [branch](glossary.md#branch), two branches."),
        ("# A branch\n\n`branch` and [a branch](x.md)", None),
        ("ONNX Runtime is one.", "[ONNX Runtime](glossary.md#onnx-runtime) is one."),
        ("Two Macs, one MAC.", "Two Macs, one [MAC](glossary.md#mac)."),
        ("$branch$ | branch\n| branch |", "$branch$ | [branch](glossary.md#branch)\n| branch |"),
    ],
)
def test_linking_leaves_code_headings_and_longer_terms(text: str, linked: str | None) -> None:
    """The first use outside code, formulas, headings, tables and links is linked, once."""
    glossary = "".join(
        f'- <a id="{term.lower().replace(" ", "-")}"></a>**{term}**: what it is.\n'
        for term in ("branch", "MAC", "ONNX Runtime", "runtime")
    )
    notebook = new_notebook(cells=[new_markdown_cell("# T\n\nA branch."), new_markdown_cell(text)])
    assert link_glossary.link(notebook, link_glossary.terms(glossary)) == (linked is not None)
    assert notebook.cells[1].source == (linked or text)
    assert notebook.cells[0].source == "# T\n\nA branch."
    assert not link_glossary.link(notebook, link_glossary.terms(glossary))


def test_glossary_is_in_order() -> None:
    """One line per term, each with its own anchor, in alphabetical order; every link into it exists (see above)."""
    text = (FOLDER / "glossary.md").read_text()
    terms = re.findall(r'^- <a id="([a-z0-9-]+)"></a>\*\*(.+?)\*\*: .+[.)]$', text, re.MULTILINE)
    assert len(terms) == sum(line.startswith("- ") for line in text.splitlines()) > 30
    words = [re.sub(r"\W", "", word).lower() for _, word in terms]
    assert words == sorted(words)
    assert len({anchor for anchor, _ in terms}) == len(terms)
