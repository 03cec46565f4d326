"""The figures of the network and of its cost: readable, and true to the live modules that they are drawn from."""

from __future__ import annotations

import re

import matplotlib
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from readable import shown

from litehrnet import create_model
from litehrnet.blocks import FuseStep
from litehrnet.complexity import count, readme_count

matplotlib.use("Agg")
from litehrnet.course import draw

SIZE = (256, 192)


pytestmark = pytest.mark.usefixtures("closed_figures")


@pytest.fixture(scope="module")
def model():
    return create_model("litehrnet18")


@pytest.fixture(scope="module")
def cost(model):
    return count(model, SIZE)


def words(figure: Figure) -> list[str]:
    return [text.get_text() for text in shown(figure)]


FIGURES = {
    "four_resolutions": lambda model, cost: draw.four_resolutions(model, SIZE),
    "branch_maps": lambda model, cost: draw.branch_maps(
        [torch.rand(1, 40 * 2**i, 64 >> i, 48 >> i) for i in range(4)], np.zeros((256, 192, 3), np.uint8)
    ),
    "number_maps": lambda model, cost: draw.number_maps(
        [torch.rand(4, 4), torch.ones(1, 1)], ["a", "b"], "A sentence."
    ),
    "shuffled_channels": lambda model, cost: draw.shuffled_channels([0, 3, 1, 4, 2, 5]),
    "block_pair": lambda model, cost: draw.block_pair((40, 80), ((64, 48), (32, 24))),
    "fuse_paths": lambda model, cost: draw.fuse_paths(FuseStep((40, 80, 160, 320))),
    "part_bars": lambda model, cost: draw.part_bars({"18": cost.by_part}, "MACs, millions", "A sentence."),
    "pointwise_and_depthwise": lambda model, cost: draw.pointwise_and_depthwise(),
    "costs_along": lambda model, cost: draw.costs_along(model, SIZE),
    "fuse_costs": lambda model, cost: draw.fuse_costs(model, SIZE),
    "conventions": lambda model, cost: draw.conventions(cost.macs, readme_count(model, SIZE), 242.35e6),
}


@pytest.mark.parametrize("name", FIGURES)
def test_figures_hold_a_sentence_and_text_that_can_be_read(name, model, cost):
    figure = FIGURES[name](model, cost)
    figure.draw_without_rendering()
    texts = [text for text in shown(figure) if text.get_text().strip()]
    assert min(text.get_fontsize() for text in texts) >= 8
    assert figure.sentence.endswith(".")
    width, height = figure.get_size_inches() * figure.dpi
    for text in texts:
        box = text.get_window_extent()
        assert box.x0 > -2 and box.x1 < width + 2, text
        assert box.y0 > -2 and box.y1 < height + 2, text


@pytest.mark.parametrize("size", [(256, 192), (96, 160)])
def test_the_network_is_drawn_with_its_own_shapes(model, size):
    drawn = [text for text in words(draw.four_resolutions(model, size)) if re.fullmatch(r"\d+×\d+×\d+", text)]
    with torch.no_grad():
        stages = model.backbone.stages(torch.zeros(1, 3, *size))
    for maps in stages:
        for x in maps:
            assert "×".join(map(str, x.shape[1:])) in drawn
    assert len(drawn) == 2 + (2 + 3 + 4) + 2  # image, stem; the stages' maps; features, heatmaps
    assert f"17×{size[0] // 4}×{size[1] // 4}" in drawn


def test_the_bars_along_the_network_sum_to_its_cost(model, cost):
    axes = draw.costs_along(model, SIZE).axes[0]
    assert sum(bar.get_height() for bar in axes.patches) == pytest.approx(cost.macs / 1e6)
    labels = [label.get_text() for label in axes.get_xticklabels()]
    assert labels[0] == "stem"
    assert labels[1:4] == ["to stage 1", "stage 1, module 1", "stage 1, module 2"]
    assert labels[-2:] == ["head", "heatmaps"]
    assert len(labels) == 1 + 3 + 8 + 2


def test_the_table_of_fuse_paths_sums_to_the_fuse_steps(model, cost):
    figure = draw.fuse_costs(model, SIZE)
    totals = [float(re.search(r"([\d.]+)M", axes.get_title("center"))[1]) for axes in figure.axes]
    assert sum(totals) == pytest.approx(cost.by_part["fuse"] / 1e6, abs=0.2)


def test_fuse_paths_tell_what_the_layers_are():
    texts = words(draw.fuse_paths(FuseStep((40, 80, 160))))
    assert "1×1, 160 → 40\nenlarge 4×" in texts
    assert "3×3 stride 2, 1×1\n40 → 160, in two steps" in texts
    assert texts.count("unchanged") == 3
    assert texts.count("2×") == 3


def test_the_block_pair_names_the_live_counts():
    texts = words(draw.block_pair((40, 80), ((64, 64), (32, 32))))
    assert "Shuffle block: 7.66M" in texts
    assert "Conditional channel weighting: 1.97M" in texts
