"""The figures of notebook 09 can be read, and show what they are given."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_rgb
from readable import check_readable, shown

matplotlib.use("Agg")
from litehrnet.course import draw
from litehrnet.course.c_lab import Lap
from litehrnet.course.exercises import place

LAPS = [
    Lap("sum by sum", 1.4, 1.0, 1.0, 1.0, 2e-7),
    Lap("a longer name of a function", 0.0123, 113.8, 99.1, 120.3, 2e-7),
]
RACES = {
    "64x48, 40 channels": Lap("last", 0.05, 0.6, 0.55, 0.65, 1e-7),
    "8x6, 320": Lap("last", 0.01, 4.0, 3.5, 5.5, 0.0),
}
SPEEDS = {(rows, columns): 10.0 * rows + columns for rows in (1, 4, 8, 12) for columns in (1, 3, 4)}
BUFFERS = [(1_500_000, 0, 2), (500_000, 2, 40), (4_000, 3, 3), (500_000, 41, 90), (120, 50, 99)]
SIDES = [128, 64, 8, 64, 1]
APART = [0, *np.cumsum([size for size, _, _ in BUFFERS])[:-1]]
PARTS = {
    "ONNX Runtime, fused": {"stem": 0.4, "blocks": 4.1, "reorders": 0.1},
    "one C file": {"blocks": 1.1, "head": 0.2},
}


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.mark.parametrize(
    "make",
    [
        draw.register_tile,
        lambda: draw.register_tile(4, 2, 8),
        draw.memory_layouts,
        lambda: draw.race_bars(LAPS, "Two functions."),
        lambda: draw.layout_races(RACES),
        lambda: draw.tile_speeds(SPEEDS, 130.0, 32),
        lambda: draw.live_memory(BUFFERS, SIDES),
        lambda: draw.live_memory(BUFFERS, SIDES, 5_400_000),
        lambda: draw.memory_plan(BUFFERS, place(BUFFERS), SIDES),
        lambda: draw.memory_plan(BUFFERS, APART, SIDES),
        lambda: draw.part_times(PARTS),
    ],
)
def test_figures_hold_a_sentence_and_text_that_can_be_read(make):
    check_readable(make())


def test_shapes_that_need_too_many_registers_are_framed_and_no_others():
    def framed(registers: int) -> int:
        return sum(not patch.get_fill() for patch in draw.tile_speeds(SPEEDS, 130.0, registers).axes[0].patches)

    needed = [rows * columns + columns + 1 for rows, columns in SPEEDS]
    for registers in (16, 28, 32, 64):
        assert framed(registers) == sum(number > registers for number in needed)


def luminance(colour) -> float:
    """Of an opaque sRGB colour, as WCAG 2.2 defines it."""
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in to_rgb(colour)]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


@pytest.mark.parametrize("peak", [40.0, 90.0, 400.0])
def test_a_tile_s_share_can_be_read_on_its_colour(peak):
    axes = draw.tile_speeds(SPEEDS, peak, 32).axes[0]
    filled = [patch for patch in axes.patches if patch.get_fill()]
    assert len(filled) == len(axes.texts) == len(SPEEDS)
    for patch, text in zip(filled, axes.texts, strict=True):
        darker, lighter = sorted(luminance(colour) for colour in (patch.get_facecolor(), text.get_color()))
        assert (lighter + 0.05) / (darker + 0.05) > 3.9, text.get_text()  # the best for a grey is 4.5


def test_a_share_of_more_than_the_peak_is_explained():
    assert "More than 100 %" in draw.tile_speeds(SPEEDS, 0.8 * max(SPEEDS.values()), 32).sentence
    assert "100 %" not in draw.tile_speeds(SPEEDS, max(SPEEDS.values()), 32).sentence


def test_memory_at_once_and_the_two_kinds_of_plan_are_said():
    assert "3 MB, but no more than 2.0 MB" in draw.live_memory(BUFFERS, SIDES).sentence
    assert "place of its own" in draw.memory_plan(BUFFERS, APART, SIDES).sentence
    assert "2.0 MB" in draw.memory_plan(BUFFERS, place(BUFFERS), SIDES).sentence


def test_a_race_is_a_table_of_every_lap():
    table = draw.race_table({"one": LAPS, "two": LAPS[:1]})
    assert [row[0][0] for row in table.rows] == ["one: sum by sum", f"one: {LAPS[1].name}", "two: sum by sum"]
    assert [text for text, _ in draw.race_table(LAPS).rows[1][1:]] == ["12.3 µs", "113.80", "99.10 to 120.30", "2e-07"]


def test_every_part_of_the_network_has_its_bar():
    texts = {text.get_text() for text in shown(draw.part_times(PARTS))}
    assert {"4.6 ms", "1.3 ms", "stem", "fuse step", "reorders"} <= texts
