"""The stored pictures belong to today's graphs, and the drawn figures of pooling and export can be read."""

from __future__ import annotations

import base64
import io
import itertools
import json
import re
from datetime import date
from pathlib import Path

import matplotlib
import netron_pictures
import numpy as np
import onnx
import pytest
from bs4 import BeautifulSoup
from PIL import Image
from readable import check_readable

from litehrnet.export import export_pooling
from litehrnet.runtimes.parity import Parity

matplotlib.use("Agg")
from litehrnet.course import draw

ROOT = Path(__file__).resolve().parents[1]
FIGURES = ROOT / "notebooks" / "figures"
REDRAW = "run tools/netron_pictures.py, look at the picture, and commit it"


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.mark.parametrize("picture", netron_pictures.PICTURES, ids=lambda picture: picture.name)
def test_netron_pictures_show_the_graph_that_is_exported_today(picture, tmp_path):
    stored = json.loads((FIGURES / f"{picture.name}.json").read_text())
    graph = onnx.load_model(picture.make(tmp_path))
    assert stored["nodes"] == len(graph.graph.node), REDRAW
    assert stored["fingerprint"] == netron_pictures.fingerprint(graph), REDRAW
    pixels = np.asarray(Image.open(FIGURES / f"{picture.name}.png").convert("L"))
    assert 0.01 < (pixels < 128).mean() < 0.5


def test_the_fingerprint_follows_operators_attributes_and_joins_but_not_names(tmp_path):
    def pooling(mode: str, before: int, after: int) -> onnx.ModelProto:
        return onnx.load_model(export_pooling(before, after, mode, tmp_path / "pool.onnx"))

    first = pooling("computed", 8, 2)
    renamed = pooling("computed", 8, 2)
    renamed.graph.node[0].name = "another"
    renamed.graph.node[0].output[0] = renamed.graph.output[0].name = "elsewhere"
    prints = {netron_pictures.fingerprint(graph) for graph in (first, renamed)}
    assert len(prints) == 1
    for other in (pooling("computed", 8, 4), pooling("exact", 8, 2)):
        assert netron_pictures.fingerprint(other) not in prints

    exact = pooling("exact", 8, 2)
    swapped = onnx.ModelProto.FromString(exact.SerializeToString())
    swapped.graph.node[1].input.reverse()
    assert netron_pictures.fingerprint(exact) != netron_pictures.fingerprint(swapped)


@pytest.mark.browser
def test_netron_draws_a_graph_without_a_window(browser_path, tmp_path):
    path = export_pooling(8, 2, "computed", tmp_path / "pool.onnx")
    netron_pictures.draw(path, tmp_path / "pool.png", browser_path)
    drawn = Image.open(tmp_path / "pool.png").size
    netron_pictures.shrink(tmp_path / "pool.png", 200)
    shrunk = Image.open(tmp_path / "pool.png")
    image = shrunk.convert("RGB")
    assert image.width <= 200
    assert len(image.getcolors()) > 10
    meant = drawn[0] / netron_pictures.DOTS_PER_INCH  # inches, which shrinking does not change
    assert shrunk.width / shrunk.info["dpi"][0] == pytest.approx(meant, rel=0.01)


@pytest.mark.parametrize("picture", netron_pictures.PICTURES, ids=lambda picture: picture.name)
def test_netron_pictures_say_how_large_they_are_meant_to_be(picture):
    """A page that knows no better shows a picture's dots as pixels: words of 20, and a screen full of nothing."""
    with Image.open(FIGURES / f"{picture.name}.png") as image:
        assert 100 <= image.info["dpi"][0] <= netron_pictures.DOTS_PER_INCH + 1


def test_every_picture_that_a_notebook_names_is_there_and_every_stored_picture_is_used():
    texts = [path.read_text() for path in [*(ROOT / "notebooks").glob("*.ipynb"), ROOT / "README.md"]]
    used = {name for text in texts for name in re.findall(r"figures/([\w.-]+\.(?:png|svg))", text)}
    assert sorted(name for name in used if not (FIGURES / name).is_file()) == []
    assert sorted({path.name for kind in ("*.png", "*.svg") for path in FIGURES.glob(kind)} - used) == []


PARITIES = [Parity((256, 192), 1, 1e-3, 2e-6, True, True), Parity((96, 160), 3, 2.0, 0.9, False, False)]
STORED = [
    {"pooling": "exact", "dynamic": "size", "exporter": "dynamo", "refused": "its size cannot be dynamic"},
    {"pooling": "exact", "dynamic": False, "exporter": "dynamo", "ok": True, "nodes": 1102, "seconds": 20.1},
    {"pooling": "exact", "dynamic": False, "exporter": "torchscript", "ok": False, "nodes": 1102, "seconds": 3.2},
]
OUTCOMES = [
    ("one pooling to 8x6, any size", {"older": ("raises", "not accessible"), "newer": ("wrong", "no error")}),
    ("the network, 256x192", {"older": ("works", "a right file")}),
]


@pytest.mark.parametrize(
    "make",
    [
        lambda: draw.pooling_windows(11, 4),
        lambda: draw.pooling_windows(10, 3),
        lambda: draw.window_gallery([(8, 2), (7, 5)]),
        lambda: draw.exactness_map(20, 10, marked=[(8, 4), (99, 1)]),
        lambda: draw.exactness_map(96, 40, marked=[(64, 32)], label="pairs in Lite-HRNet"),
        lambda: draw.pooling_matrices(11, 4),
        draw.constants_wanted,
        lambda: draw.two_maps(np.zeros((8, 6)), np.eye(16)),
        lambda: draw.two_maps(np.zeros((8, 6)), np.ones((8, 6))),
        lambda: draw.operators_before_after({"Conv": 3}, {"Conv": 3, "Add": 1}, ("before", "after")),
        lambda: draw.right_and_wrong(np.zeros((32, 24, 3)), *(np.full((1, 2, 8, 6), v) for v in (1.0, 1.0, 2.0))),
        lambda: draw.parity_chart({"as exported": PARITIES[:1], "tidy": PARITIES[1:]}, 1e-4),
    ],
)
def test_figures_hold_a_sentence_and_text_that_can_be_read(make):
    check_readable(make())


def test_windows_that_differ_are_outlined_and_no_others():
    def outlined(before: int, after: int) -> int:
        right = draw.pooling_windows(before, after).axes[1]
        return sum(not patch.get_fill() for patch in right.patches)

    assert outlined(10, 3) == 0
    assert outlined(11, 4) == 4
    assert outlined(7, 5) == 4


def test_a_table_explains_the_words_that_it_shows():
    assert draw.outcome_table(OUTCOMES).sentence.count(":") == 3
    words = draw.export_kinds(STORED).sentence
    assert "Refused: before any work" in words
    assert "honest" not in words
    assert "Wrong: a file" in words


def test_stored_exports_are_the_newest_run_and_all_that_was_written_is_right():
    report = draw.stored_exports()
    newest = max(path.stem for path in (ROOT / "benchmarks" / "export").glob("*.json"))
    assert report["machine"]["date"] == newest
    assert all(row.get("ok") or "refused" in row for row in report["rows"])
    assert all(row["found"] == row["opset"] for row in report["rows"] if "found" in row)


def test_a_table_is_html_with_marks_and_what_is_silently_wrong_has_the_strongest():
    table = draw.outcome_table([("<any> size", {"older": ("raises", "a & b"), "newer": ("wrong", "no error")})])
    soup = BeautifulSoup(table._repr_html_(), "html.parser")
    assert [cell.get_text() for cell in soup("th")] == ["request", "older", "newer", "<any> size"]
    assert [(cell["class"], cell.get_text()) for cell in soup("td")] == [
        (["bad"], "\N{BALLOT X} raises: a & b"),
        (["worst"], "\N{WARNING SIGN} wrong: no error"),
    ]
    assert soup.find("caption").get_text() == table.sentence
    assert "wrong: no error" in repr(table)
    with pytest.raises(ValueError, match="has 2 cells for 3 columns"):
        draw.Table(["a", "b", "c"], [["one", "two"]])
    with pytest.raises(ValueError, match="'great'; it can be good, bad"):
        draw.Table(["a", "b"], [["one", ("two", "great")]])


@pytest.fixture
def shown(monkeypatch):
    """What a figure hands to Jupyter."""
    outputs = []
    monkeypatch.setattr("IPython.display.display", lambda data, metadata, raw: outputs.append((data, metadata)))
    return outputs


def test_a_drawing_shows_itself_as_svg_with_a_png_beside_it_and_its_sentence_below(shown):
    figure = draw.exactness_map(12, 5, marked=[(8, 4)])
    figure._ipython_display_()
    (pictures, words), (caption, marks) = shown
    assert list(pictures) == ["image/svg+xml", "image/png", "text/plain"]
    numbers = {"kind": "exactness", "maxInput": 12, "maxOutput": 5, "marked": [[8, 4]], "label": "marked pairs"}
    for kind in ("image/svg+xml", "image/png"):
        assert words[kind] == {"alt": figure.sentence, "living": numbers}
    assert caption == {"text/markdown": f"*{figure.sentence}*", "text/plain": figure.sentence}
    assert marks == {"text/markdown": {"caption": True}}
    assert figure.sentence not in pictures["image/svg+xml"]
    assert "output size (pixels)</text>" in pictures["image/svg+xml"]


def test_a_photograph_shows_itself_as_a_png_without_a_ground_of_its_own(shown):
    figure = draw.poses([("someone", np.full((40, 30, 3), 255, np.uint8), np.full((17, 2), np.nan))], "A person.")
    figure._ipython_display_()
    assert list(shown[0][0]) == ["image/png", "text/plain"]
    picture = Image.open(io.BytesIO(base64.b64decode(shown[0][0]["image/png"])))
    assert picture.getpixel((0, 0))[3] == 0


def test_the_same_figure_is_the_same_file():
    first, second = (draw.pooling_matrices(11, 4).svg() for _ in range(2))
    assert first == second
    assert str(date.today().year) not in first


# Viennot's and Machado's matrices for eyes without one kind of cone, on linear RGB.
BLIND = {
    "deuteranopia": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
    "protanopia": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
}


def seen(colour: str, matrix: list[list[float]]) -> np.ndarray:
    """A colour as CIE L*a*b*, as such eyes see it."""
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.array(matrix) @ np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    to_xyz = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])
    xyz = to_xyz @ linear.clip(0, 1) / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


@pytest.mark.parametrize("matrix", BLIND.values(), ids=BLIND)
@pytest.mark.parametrize(
    "palette",
    [
        list(draw.devices.RUNTIME_COLOURS.values()),
        [draw.speed.GRAPH_COLOURS[name] for name in ("plain export", "fused", "fused, blocks of 8")],
        [draw.PLAIN_COLOURS["adaptive"], draw.PLAIN_COLOURS["computed"]],
        [draw.pooling.EXACT, draw.pooling.INEXACT],
        [draw.export.GOOD, draw.export.FAILS],
        [draw.LEFT_COLOUR, draw.RIGHT_COLOUR],
    ],
)
def test_colours_that_alone_tell_things_apart_do_so_for_colour_blind_readers(palette, matrix):
    colours = [seen(colour, matrix) for colour in palette]
    assert min(np.linalg.norm(a - b) for a, b in itertools.combinations(colours, 2)) > 24
