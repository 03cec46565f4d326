"""The opening pictures: readable, and true to the numbers that they are given."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import matplotlib
import numpy as np
import pytest
import torch
from readable import check_readable, shown

from litehrnet.measure import stored_report

matplotlib.use("Agg")
from litehrnet.course import draw
from litehrnet.course.draw import openings

CROP = np.random.default_rng(0).integers(0, 255, (256, 192, 3), np.uint8)


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.mark.parametrize(
    "make",
    [
        lambda: draw.two_roads(CROP),
        lambda: draw.two_roads(CROP[:, :100]),
        lambda: draw.four_sizes(CROP),
        lambda: draw.work_and_time({"narrow": 1.2e8, "wide": 3.5e8}),
        lambda: draw.rest_of_the_time(17.5, 4.3, "Somewhere, one day."),
        lambda: draw.still_to_gain({"first": 17.5, "second": 11.3}),
        lambda: draw.written_in_bits(-0.31),
    ],
)
def test_figures_hold_a_sentence_and_text_that_can_be_read(make: Callable[[], draw.CourseFigure]) -> None:
    check_readable(make())


def test_each_size_shows_the_mean_of_its_squares() -> None:
    """The largest and the smallest of four maps, pixel by pixel."""
    figure = draw.four_sizes(CROP)
    for panel, stride in zip(figure.axes, (4, 8, 16, 32), strict=True):
        image = panel.images[0].get_array()
        assert image.shape == (256 // stride, 192 // stride, 3)
        assert panel.get_title() == f"{256 // stride}×{192 // stride}"
        corner = CROP[-stride:, -stride:].reshape(-1, 3).mean(axis=0) / 255
        assert np.asarray(image[-1, -1]) == pytest.approx(corner)
    with pytest.raises(ValueError, match="a crop of 250x192 pixels does not divide into squares of 4"):
        draw.four_sizes(CROP[:250])


@pytest.mark.parametrize("value", [0.31, -0.93, 0.0, 1.0, 1e-3])
def test_the_bits_are_the_formats(value: float) -> None:
    """Read back, bit by bit, by numpy and torch."""
    stored = openings._stored(value, 1.0)
    assert {name: len(bits) for name, (bits, _) in stored.items()} == {
        name: sum(count for _, count, _ in fields) for name, fields in openings._FORMATS.items()
    }
    numbers = {name: int(bits, 2) for name, (bits, _) in stored.items()}
    read = {
        "float32": np.array(numbers["float32"], np.uint32).view(np.float32),
        "float16": np.array(numbers["float16"], np.uint16).view(np.float16),
        "bfloat16": np.array(numbers["bfloat16"] << 16, np.uint32).view(np.float32),
        "int8": np.array(numbers["int8"], np.uint8).view(np.int8) / 127,
    }
    for name, number in read.items():
        assert float(number) == pytest.approx(stored[name][1], abs=1e-12)
    assert stored["bfloat16"][1] == float(torch.tensor(value, dtype=torch.bfloat16))
    texts = [text.get_text() for text in shown(draw.written_in_bits(value))]
    assert [text for text in texts if len(text) == 1] == [bit for bits, _ in stored.values() for bit in bits]


def test_an_opening_gives_nothing_away_that_it_was_not_given() -> None:
    """The bars are as long as what is known, and what is asked for is a question mark."""
    bars = draw.rest_of_the_time(20.0, 5.0).axes[0].patches
    assert [round(bar.get_width(), 6) for bar in bars] == [5.0, 15.0]
    for figure, marks in (
        (draw.rest_of_the_time(20.0, 5.0), 1),
        (draw.still_to_gain({"a": 2.0, "b": 1.0}), 1),
        (draw.work_and_time({"a": 2e6, "b": 1e6}), 2),
        (draw.two_roads(CROP), 2),
    ):
        assert [text.get_text() for text in shown(figure)].count("?") == marks


@pytest.mark.parametrize(
    ("picture", "graphs"), [("07_make_it_fast", ["public graph"]), ("12_measure_the_limits", ["public graph", "fused"])]
)
def test_openings_that_show_a_run_show_the_newest(picture: str, graphs: list[str]) -> None:
    """After a new `make bench`, run tools/draw_pictures.py for both."""
    drawn = (Path(__file__).parents[1] / "notebooks" / "figures" / f"{picture}.svg").read_text()
    inside = stored_report().notes["inside_onnxruntime"]
    for graph in graphs:
        assert f"{inside[graph]['kernel_ms']:.1f} ms" in drawn
