"""The figures of notebook 10 can be read, and show what they are given."""

from __future__ import annotations

import matplotlib
import numpy as np
import pytest
from matplotlib.colors import to_hex
from readable import check_readable, shown

matplotlib.use("Agg")
from litehrnet.course import draw
from litehrnet.files import data_path
from litehrnet.measure.accuracy import Accuracy, JointAccuracy
from litehrnet.people import read_people

PEOPLE = read_people(data_path("own_joints/train.json"), data_path("heldout"))
MILESTONES = [(0, None, 0.1, 0.2), (40, 9.0, 0.3, 0.25), (80, 7.5, 0.2, 0.4)]
HISTORY = [{"crops": crops, "loss": loss, "oks": oks, "pck": pck} for crops, loss, oks, pck in MILESTONES]
RUNS = [
    {"what": what, "pictures": pictures, "seed": seed, "pck": share + pictures / 100 + seed / 50}
    for what, share in (("head", 0.1), ("all", 0.3))
    for pictures in (5, 10, 24)
    for seed in (1, 2)
]
FOLDS = {"one": [{"oks": 0.1}, {"oks": 0.3}], "another": [{"oks": 0.25}, {"oks": 0.35}]}


def accuracy(share: float) -> Accuracy:
    """A result in which every joint is found so often."""
    rows = [JointAccuracy(name, 40, 0.5, share, 9.6) for name in PEOPLE.joint_set.names]
    return Accuracy(47, 47, (256, 192), False, 0.4, share, {}, rows)


@pytest.mark.parametrize(
    "make",
    [
        lambda: draw.labelled_people(PEOPLE, [6, 11, 14], columns=2),
        lambda: draw.labelled_people(PEOPLE, range(24), columns=8),
        lambda: draw.target_maps(np.zeros((3, 256, 192)), np.ones((3, 64, 48)), np.array([1, 0, 1]), PEOPLE.joint_set),
        lambda: draw.silence_or_guess(np.linspace(0, 25, 9), np.arange(9.0), 12.6),
        lambda: draw.run_curve(HISTORY, 5),
        lambda: draw.found_and_labelled(PEOPLE, {6: np.zeros((3, 2)), 14: np.ones((3, 2))}, ["OKS 0.90", "OKS 0.10"]),
        lambda: draw.pictures_needed(RUNS, 0.13),
        lambda: draw.hills_on(PEOPLE, 20, {"sigma 1": np.eye(64, 48), "sigma 4": np.ones((64, 48))}),
        lambda: draw.found_within({"head": [0.1, 0.5], "all": [0.2, 0.9]}, [5, 20], limit=12.8),
        lambda: draw.who_is_in_which_fold(["ana", "ben", "ana"], {"one by one": [0, 1, 2], "by person": [0, 1, 0]}),
    ],
)
def test_figures_hold_a_sentence_and_text_that_can_be_read(make):
    figure = make()
    if not any(text.get_text() for text in shown(figure)):
        assert figure.sentence.endswith(".")
        return
    check_readable(figure)


def test_a_joint_without_a_label_has_no_mark_and_a_hidden_one_is_hollow():
    def marks(index: int) -> list[bool]:
        """For every mark that is drawn, whether it is filled."""
        (axes, *_) = draw.labelled_people(PEOPLE, [index], columns=1).axes
        lines = [line for line in axes.lines if np.isfinite(line.get_xydata()).all()]
        draw.style.plt.close("all")
        return [line.get_markerfacecolor() != "none" for line in lines]

    for index in range(len(PEOPLE)):
        seen = PEOPLE.person(index).joints[:, 2]
        assert marks(index) == [bool(v == 2) for v in seen if v > 0]


def test_a_line_joins_what_was_found_with_its_label_and_nothing_else():
    found = {6: np.full((3, 2), 100.0), 14: PEOPLE.person(14).joints[:, :2] + 5}
    first, second = draw.found_and_labelled(PEOPLE, found, ["a", "b"]).axes
    for axes, labelled in ((first, 1), (second, 3)):  # only the top of the head of person 6 has a label
        assert sum(len(line.get_xdata()) == 2 for line in axes.lines) == 2 * labelled
        assert sum(len(line.get_xdata()) == 1 for line in axes.lines) == 2 * labelled + 3


def test_every_run_is_a_mark_and_the_lines_join_the_means():
    (axes,) = draw.pictures_needed(RUNS, 0.13).axes
    marks = np.concatenate([line.get_xydata() for line in axes.lines if line.get_linestyle() == "None"])
    assert sorted(map(tuple, marks.round(6))) == sorted((run["pictures"], round(run["pck"], 6)) for run in RUNS)
    lines = {line.get_label(): line for line in axes.lines if not line.get_label().startswith("_")}
    assert lines["all weights"].get_ydata() == pytest.approx([0.38, 0.43, 0.57])
    assert lines["the head alone"].get_ydata() == pytest.approx([0.18, 0.23, 0.37])
    assert to_hex(lines["all weights"].get_color()) != to_hex(lines["the head alone"].get_color())


def test_a_table_of_runs_gives_the_mean_and_the_extremes():
    runs = [
        {"what": "all", "pictures": count, "seed": seed, "oks": seed / 10, "joints": {"tip": count / 100 + seed / 50}}
        for seed in (1, 2, 3)
        for count in (24, 10)
    ]
    table = draw.counts_table([*runs, {**runs[0], "what": "head", "oks": 0.9}], "all")
    assert table.columns == ["on the test people", "10 pictures", "24 pictures"]
    told = [[text for text, _ in row] for row in table.rows]
    assert told[0] == ["mean OKS", "0.20 (0.10 to 0.30)", "0.20 (0.10 to 0.30)"]
    assert told[1] == ["tip", "14% (12% to 16%)", "28% (26% to 30%)"]
    assert "3 runs" in table.sentence


def test_every_picture_is_a_mark_in_its_persons_row_and_has_the_look_of_its_fold():
    people, folds = ["ana", "ben", "ana", "cleo"], [2, 0, 1, 0]
    (axes,) = draw.who_is_in_which_fold(people, {"a way": folds}).axes
    assert [text.get_text() for text in axes.get_yticklabels()] == ["ana", "ben", "cleo"]
    assert [line.get_xydata().tolist() for line in axes.lines] == [[[1, 1], [3, 2]], [[2, 0]], [[0, 0]]]
    assert len({(line.get_marker(), to_hex(line.get_color())) for line in axes.lines}) == 3
    with pytest.raises(ValueError, match="folds 0 to 2, and one is called 3"):
        draw.who_is_in_which_fold(people, {"a way": [0, 1, 2, 3]})


def test_every_hill_is_drawn_and_every_limit_has_its_share():
    hills = {"one": np.eye(64, 48), "another": np.full((64, 48), 0.5)}
    first, second = draw.hills_on(PEOPLE, 3, hills, size=(256, 192)).axes
    for axes, heat in ((first, hills["one"]), (second, hills["another"])):
        assert np.array_equal(axes.images[-1].get_array(), heat)
    (axes,) = draw.found_within({"head": [0.1, 0.5, 0.6], "all": [0.2, 0.7, 0.9]}, [5, 10, 20], limit=12.8).axes
    head, everything, limit = axes.lines
    assert head.get_xydata().tolist() == [[5, 0.1], [10, 0.5], [20, 0.6]]
    assert everything.get_ydata().tolist() == [0.2, 0.7, 0.9]
    assert set(limit.get_xdata()) == {12.8}


def test_the_curve_leaves_out_a_loss_that_was_not_measured():
    left, right = draw.run_curve(HISTORY, 5).axes
    assert left.lines[0].get_xydata().tolist() == [[40, 9.0], [80, 7.5]]
    assert [line.get_ydata().tolist() for line in right.lines] == [[0.1, 0.3, 0.2], [0.2, 0.25, 0.4]]


def test_tables_mark_the_chosen_recipe_and_name_every_joint():
    table = draw.recipe_table(FOLDS, "another")
    assert table.columns == ["recipe", "fold 1", "fold 2", "mean OKS"]
    assert [row[-1] for row in table.rows] == [("0.20", ""), ("0.30", "good")]
    table = draw.joints_table({"head": accuracy(0.25), "all": accuracy(0.5)})
    assert [row[0][0] for row in table.rows] == list(PEOPLE.joint_set.names)
    assert [text for text, _ in table.rows[0][1:]] == ["40", "25%", "10 px", "50%", "10 px"]
