"""The figures of heatmaps, speed and devices can be read, and show what they are given."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from readable import check_readable, shown

from litehrnet.fusion.layout import Layout
from litehrnet.heatmaps import crop_person
from litehrnet.measure import stored_report
from litehrnet.measure.profile import Kernel, Peaks

matplotlib.use("Agg")
from litehrnet.course import draw, stored

IMAGE = np.full((120, 160, 3), 90, np.uint8)
BOX = (30, 10, 60, 100)
CROP, TO_CROP = crop_person(IMAGE, BOX, (64, 64))
HEATMAPS = np.random.default_rng(0).random((1, 17, 16, 16), dtype=np.float32)
JOINTS = np.stack([np.linspace(5, 150, 17), np.linspace(5, 110, 17)], axis=1)
KERNELS = [
    Kernel("wide", "Conv", 40.0, (1, 40, 64, 48), 4_000_000, 1_000_000, depthwise=False),
    Kernel("each", "Conv", 20.0, (1, 40, 64, 48), 1_000_000, 1_000_000, depthwise=True),
    Kernel("one", "Conv", 4.0, (1, 10, 1, 1), 400, 2_000, depthwise=False),
    Kernel("move", "ReorderInput", 9.0, (1, 40, 64, 48), 0, 1_000_000, depthwise=False),
]
LAYOUTS = [Layout.plain(10), Layout.plain(10).shuffled(), Layout.plain(10).shuffled().shuffled()]


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.mark.parametrize(
    "make",
    [
        lambda: draw.poses([("one", IMAGE, JOINTS), ("two", IMAGE, JOINTS, np.linspace(0, 1, 17))], "Two people."),
        lambda: draw.person_crop(IMAGE, BOX, CROP, TO_CROP),
        lambda: draw.heatmap_gallery(CROP, HEATMAPS),
        lambda: draw.two_runtimes(CROP, HEATMAPS, HEATMAPS + 1e-6),
        lambda: draw.peak_values(HEATMAPS[0, 0], "nose"),
        lambda: draw.score_scatter(np.linspace(0, 1, 30), np.linspace(40, 1, 30), 12.8),
        lambda: draw.bars({"correct": 0.7, "a long name of a mistake": 0.1}, "mean OKS", "Two bars.", right="correct"),
        lambda: draw.bars({"one": 12.0, "other": 0.0}, "milliseconds", "Two more.", digits=1, unit=" ms"),
        lambda: draw.loss_curves({"ten": [1.0, 0.1], "others": [1.0, 0.5]}),
        lambda: draw.time_by_kind({"one": {"convolution": 5.0, "reorder": 0.1}, "two": {"pooling": 2.0}}, "A machine."),
        lambda: draw.time_lines({"one": KERNELS, "two": KERNELS[:2]}),
        lambda: draw.speed_bars(stored_report().rows),
        lambda: draw.followed_channels([layout.numbers for layout in LAYOUTS]),
        draw.blocked_layout,
        draw.fuse_sums,
        lambda: draw.roofline(KERNELS, Peaks(60.0, 25.0, 90.0)),
        draw.roads,
        lambda: draw.int8_line([-2.0, 0.1, 0.5], -1.0, 1.0),
        lambda: draw.channel_ranges({"one": np.ones((4, 1, 3, 3)), "two": np.ones((4, 8, 1, 1))}),
        lambda: draw.runtime_bars(draw.stored_devices()),
        lambda: draw.precision_costs(draw.stored_devices()),
    ],
)
def test_figures_hold_a_sentence_and_text_that_can_be_read(make):
    check_readable(make())


def test_the_whole_way_of_one_person_has_a_title_for_each_step():
    figure = draw.photograph_to_joints(IMAGE, BOX, CROP, HEATMAPS, TO_CROP)
    assert [axes.get_title() for axes in figure.axes] == [
        "photograph and box", "crop", "17 heatmaps, as one", "joints",
    ]  # fmt: skip


def test_joints_below_the_threshold_are_hollow_and_lose_their_limbs():
    def drawn(scores: np.ndarray | None) -> tuple[int, int]:
        _, axes = draw.new_figure()
        draw.pose_on(axes, IMAGE, JOINTS, scores)
        lines = axes.get_lines()
        return (
            sum(line.get_marker() == "o" and line.get_markerfacecolor() == "none" for line in lines),
            sum(line.get_marker() != "o" for line in lines),
        )

    assert drawn(None)[0] == 0
    below = np.full(17, draw.HOLLOW_BELOW)
    assert drawn(below) == drawn(None)  # the threshold itself counts as found
    below[9] = draw.HOLLOW_BELOW - 1e-3
    hollow, limbs = drawn(below)
    assert hollow == 1
    assert limbs < drawn(None)[1]
    assert drawn(np.zeros(17)) == (17, 0)


def test_only_numbers_outside_the_range_are_called_clipped():
    assert "clipped" not in draw.int8_line([0.0, 1.0], 0.0, 1.0).sentence
    assert "clipped" in draw.int8_line([0.0, 1.2], 0.0, 1.0).sentence


def test_a_machine_is_named_where_its_numbers_are_drawn():
    report = draw.stored_devices()
    for make in (draw.runtime_bars, draw.precision_costs):
        sentence = make(report).sentence
        assert report["machine"]["processor"] in sentence
        assert report["machine"]["date"] in sentence


def test_every_stored_precision_has_its_full_name_and_its_mark():
    for row in draw.stored_devices()["rows"]:
        assert row["precision"].split(",")[0] in draw.devices.MARKS


def test_bars_show_every_row_of_the_report():
    rows = draw.stored_devices()["rows"]
    texts = [text.get_text() for text in shown(draw.runtime_bars(draw.stored_devices()))]
    assert [text for text in texts if text.endswith(" ms")] == [f"{row['ms_1']:.1f} ms" for row in rows]


def test_the_newest_run_is_found_and_its_lack_is_said(tmp_path, monkeypatch):
    monkeypatch.setattr(stored, "BENCHMARKS", tmp_path)
    (tmp_path / "devices").mkdir()
    with pytest.raises(FileNotFoundError, match=r"no dated report in .*devices"):
        stored.stored_run("devices")
    for date in ("2024-12-31", "2025-02-01", "quick"):
        (tmp_path / "devices" / f"{date}.json").write_text(f'{{"date": "{date}"}}')
    assert stored.stored_run("devices") == {"date": "2025-02-01"}


def test_bars_mark_the_right_one_and_refuse_what_they_cannot_show():
    figure = draw.bars({"right": 0.5, "wrong": 0.25}, "mean OKS", "Two.", right="right", digits=1)
    first, second = figure.axes[0].patches
    assert first.get_facecolor() != second.get_facecolor() and first.get_width() == 2 * second.get_width()
    assert {"0.5", "0.2"} <= {text.get_text() for text in shown(figure)}
    for values, right in (({}, None), ({"one": -1.0}, None), ({"one": 1.0}, "other")):
        with pytest.raises(ValueError, match=r"bars show|no bar is called"):
            draw.bars(values, "x", "y", right=right)
