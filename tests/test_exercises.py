"""Every exercise's check: right on the solution, "unsolved" on the stub, "wrong" on an answer that is none.

The wrong answers that people really write have a test file per notebook: test_exercises_*.py.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import nbformat
import numpy as np
import pytest
from solved import NOTEBOOKS, solutions, stub

from litehrnet.course import exercises


def checks_of(path: Path) -> list[tuple[str, str]]:
    """(notebook, exercise) for each `check_exercise(exercise)` in a notebook of solutions."""
    source = "\n".join(cell.source for cell in nbformat.read(path, 4).cells if cell.cell_type == "code")
    return [(path.stem, name) for name in re.findall(r"\bcheck_(\w+)\(\1\)", source)]


FOUND = [pair for path in sorted((NOTEBOOKS / "solutions").glob("[0-9]*.ipynb")) for pair in checks_of(path)]
SOLVED: dict[str, dict[str, object]] = {}


def test_every_notebook_has_exercises_and_every_check_belongs_to_one() -> None:
    assert {notebook for notebook, _ in FOUND} == {path.stem for path in NOTEBOOKS.glob("[0-9]*.ipynb")}
    checks = {name for name in dir(exercises) if name.startswith("check_")} - {"check_cases"}
    assert checks == {f"check_{name}" for _, name in FOUND}


def returns(value: object) -> Callable[..., object]:
    """An exercise that is answered with one value, whatever is asked."""
    return lambda *_: value


@pytest.mark.parametrize(("notebook", "name"), FOUND, ids=lambda value: value)
def test_right_on_the_solution_unsolved_on_the_stub_and_wrong_on_nothing(notebook: str, name: str) -> None:
    if notebook not in SOLVED:
        SOLVED[notebook] = solutions(notebook)
    check = getattr(exercises, f"check_{name}")
    assert check(SOLVED[notebook][name]).state == "right"
    assert check(stub).state == "unsolved"
    for answer in (None, 0, [0], "text", {}, object(), [1, "two"], np.zeros((2, 3, 4))):
        verdict = check(returns(answer))
        assert verdict.state == "wrong"
        assert "your code raised" not in verdict.message
    assert "return" in check(lambda *_: None).message
