"""The reader's side of the exercises: the functions of a solution notebook, and the stub that every exercise has."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import nbformat

from litehrnet.course.exercises.core import Verdict

NOTEBOOKS = Path(__file__).resolve().parents[1] / "notebooks"


def solutions(name: str) -> dict[str, object]:
    """What the solution notebook `name` defines; its cells are run in order, in a namespace of their own."""
    namespace: dict[str, object] = {}
    for cell in nbformat.read(NOTEBOOKS / "solutions" / f"{name}.ipynb", as_version=4).cells:
        if cell.cell_type == "code":
            exec(compile(cell.source, name, "exec"), namespace)
    return namespace


def stub(*_: object) -> object:
    """An exercise that nobody has solved."""
    raise NotImplementedError


def assert_wrong(check: Callable[..., Verdict], answer: Callable[..., object], reason: str) -> None:
    """The check calls this answer wrong, and says why."""
    verdict = check(answer)
    assert verdict.state == "wrong", f"{verdict.state}: {verdict}"
    assert reason in verdict.message, f"{reason!r} is not in {verdict.message!r}"
