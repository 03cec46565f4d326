"""The checks of notebooks 00 and 06: right on the solution, unsolved on the stub, wrong (with its hint) on mistakes.

And one number that the notebooks' figures share with the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
import torch
from solved import assert_wrong

from litehrnet.cli import predict
from litehrnet.course import draw
from litehrnet.course.exercises import (
    check_flip_back,
    check_heatmap_size,
    check_joint_loss,
    check_relative_difference,
    fine_tune_head,
)

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"
NAMES = ("00_start_here", "06_see_the_heatmaps")
CHECKS = {
    "heatmap_size": check_heatmap_size,
    "relative_difference": check_relative_difference,
    "flip_back": check_flip_back,
    "joint_loss": check_joint_loss,
}


def defined_in(path: Path) -> dict[str, Callable]:
    """The functions that a notebook's cells define, by name; only cells with such a function are run."""
    names: dict[str, object] = {"np": np, "torch": torch}
    for cell in nbformat.read(path, 4).cells:
        if cell.cell_type == "code" and any(f"def {name}(" in cell.source for name in CHECKS):
            exec(compile(cell.source, path.name, "exec"), names)
    return {name: value for name, value in names.items() if name in CHECKS}


@pytest.mark.parametrize(("folder", "state"), [("solutions", "right"), (".", "unsolved")])
def test_solutions_are_right_and_stubs_unsolved(folder: str, state: str) -> None:
    found = {}
    for name in NAMES:
        found |= defined_in(NOTEBOOKS / folder / f"{name}.ipynb")
    assert found.keys() == CHECKS.keys()
    for name, function in found.items():
        assert CHECKS[name](function).state == state, name


def difference(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    return np.abs(ours - theirs)


def squares(heatmaps: torch.Tensor, targets: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
    return (heatmaps - targets) ** 2 * visible[..., None, None]


@pytest.mark.parametrize(
    ("check", "answer", "hint"),
    [
        (check_heatmap_size, lambda height, width: (height // 4, width // 4), "round up"),
        (check_heatmap_size, lambda height, width: (-(-width // 4), -(-height // 4)), "Height comes before"),
        (check_relative_difference, lambda a, b: difference(a, b).max(), "before the division"),
        (check_relative_difference, lambda a, b: difference(a, b).mean() / np.abs(a).max(), "mean"),
        (check_relative_difference, lambda a, b: (difference(a, b) / (np.abs(a) + 1e-30)).max(), "expected"),
        (check_relative_difference, lambda a, b: (a - b).max() / np.abs(a).max(), "both signs"),
        (check_relative_difference, lambda a, b: difference(a, b).max() / a.max(), "negative"),
        (check_flip_back, lambda maps, pairs: maps[..., ::-1], "exchange the pairs"),
        (check_flip_back, lambda maps, pairs: maps, "expected"),
        (check_flip_back, lambda maps, pairs: swapped(maps, pairs), "not mirrored"),
        (check_flip_back, lambda maps, pairs: swapped(maps, pairs)[..., ::-1, :], "upside down"),
        (check_joint_loss, lambda a, b, v: ((a - b) ** 2).mean(), "without annotation as well"),
        (check_joint_loss, lambda a, b, v: squares(a, b, v).mean(), "annotated joints only"),
        (check_joint_loss, lambda a, b, v: squares(a, b, v).sum(), "number of pixels"),
        (check_joint_loss, lambda a, b, v: None, "return"),
    ],
)
def test_mistakes_are_wrong_and_named(check: Callable, answer: Callable, hint: str) -> None:
    assert_wrong(check, answer, hint)


def swapped(maps: np.ndarray, pairs: tuple) -> np.ndarray:
    maps = maps.copy()
    for a, b in pairs:
        maps[:, [a, b]] = maps[:, [b, a]]
    return maps


def test_fine_tuning_learns_what_can_be_learned() -> None:
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(6, 4, 8, 6, generator=generator)
    truth, head = torch.nn.Conv2d(4, 2, 1), torch.nn.Conv2d(4, 2, 1)
    with torch.no_grad():
        targets = truth(features)

    def loss(heatmaps: torch.Tensor, targets: torch.Tensor, visible: torch.Tensor) -> torch.Tensor:
        return squares(heatmaps, targets, visible).mean()

    curves = fine_tune_head(head, features, targets, torch.ones(6, 2), loss, train=4, steps=300, learning_rate=0.05)
    assert list(curves) == ["4 images it learns from", "2 others"]
    for losses in curves.values():
        assert len(losses) == 300 and losses[-1] < 1e-3 * losses[0]
    with pytest.raises(ValueError, match="1 to 5, got 6"):
        fine_tune_head(head, features, targets, torch.ones(6, 2), loss, train=6)


def test_figures_and_command_line_doubt_the_same_joints() -> None:
    assert predict.LEAST_SCORE == draw.HOLLOW_BELOW
