"""The bounds' own test: what is broken fails, what is close is listed, and a forgotten marker is noticed."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from pathlib import Path

import bounds
import nbformat
import numpy as np
import pytest
import torch

TESTS = Path(__file__).parent
SETTINGS = """[tool.pytest.ini_options]
markers = ["numeric: x", "slow: x", "browser: x"]
pythonpath = ["{tests}", "{tools}"]
"""
WIDE = """
import pytest
from bounds import beyond, difference, same, within
numeric = pytest.mark.numeric

@numeric
def test_wide():
    within(1e-8, 1e-5)
    within(0, 1e-5)
"""
CLOSE = """
@numeric
def test_close():
    within(1e-9, 1e-5)
    {}
"""
BROKEN = """
@numeric
@pytest.mark.parametrize("value", [1.1e-5, -1, float("nan")])
def test_above(value):
    within(value, 1e-5)

@numeric
def test_below():
    beyond(1, 2)

def test_without_marker():
    within(1e-9, 1)
"""


CELLS = (
    "import numpy as np\nfrom litehrnet.course.compare import differ, relative_difference",
    "print(differ([1.0, 8.0], [1.0, 8.00008], 1e-3))",  # 100 times to spare
    "print(relative_difference([1.0, 2.0], [1.0, 2.4]) < 0.05)",  # 4 times beyond
    "print(np.allclose([2.0], [2.0 + 1e-5], rtol=0, atol=2e-5))",
    "print(differ([np.ones(2), np.ones(3)], [np.ones(2), np.ones(4)], 1e-3))",  # shapes, and no bound
    "def agree(a, b):\n    return np.allclose(a, b)\nprint(agree([3.0], [3.0]))",
)


def run_with_margins(folder: Path, options: tuple[str, ...] = (), **files: str) -> tuple[int, str]:
    """Exit code and output of pytest with `--margins` on files that use the tests' own conftest.py."""
    (folder / "pyproject.toml").write_text(SETTINGS.format(tests=TESTS, tools=TESTS.parent / "tools"))
    (folder / "conftest.py").write_text((TESTS / "conftest.py").read_text())
    for name, text in files.items():
        (folder / f"{name}.py").write_text(text)
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "--margins", "-p", "no:cacheprovider", *options],
        cwd=folder, capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode, done.stdout + done.stderr


SEVERAL = pytest.param(("-n", "2"), marks=pytest.mark.slow)


@pytest.mark.parametrize("options", [(), SEVERAL], ids=["one process", "workers"])
def test_a_bound_with_little_to_spare_is_listed_and_fails(tmp_path: Path, options: tuple[str, ...]) -> None:
    files = {
        "test_most": WIDE + CLOSE.format("within(4e-6, 1e-5, 'heatmaps')"),
        "test_least": WIDE + CLOSE.format("beyond(3e-5, 1e-5)"),
        "test_arrays": WIDE + CLOSE.format("same([8.0, 2.0], [8.0, 4.0], 0.5)"),
    }
    code, text = run_with_margins(tmp_path, options, test_wide=WIDE, **files)
    assert code == 1 and "7 passed" in text
    listed = re.findall(r"^ +([\d.]+)  (\w+)\.py  (\w+): .*?(BELOW 10)?$", text, re.MULTILINE)
    assert listed == [
        ("2.0", "test_arrays", "test_close", "BELOW 10"),
        ("2.5", "test_most", "test_close", "BELOW 10"),
        ("3.0", "test_least", "test_close", "BELOW 10"),
        ("1000.0", "test_wide", "test_wide", ""),
    ]


def test_what_is_broken_fails_and_what_is_wide_passes(tmp_path: Path) -> None:
    code, text = run_with_margins(tmp_path, test_broken=WIDE + BROKEN)
    assert code == 1 and "5 failed, 1 passed" in text
    assert "test_without_marker holds a bound: mark it with @pytest.mark.numeric" in text
    code, text = run_with_margins(tmp_path, ("test_broken.py::test_wide",))
    assert code == 0 and "1000.0  test_broken.py" in text and "BELOW" not in text


def test_checked_cells_of_notebooks_are_measured(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(cell, execution_count=1) for cell in CELLS])
    printed = ("", "differ by at most 1e-03 of the largest value", "False", "True",
               "have different shapes, (3,) and (4,)", "True")  # fmt: skip
    for cell, text in zip(notebook.cells, printed, strict=True):
        cell.outputs = [nbformat.v4.new_output("stream", text=f"{text}\n")] if text else []
        cell.metadata["tags"] = ["nbval-check-output"]
    lesson = tmp_path / "lessons" / "lesson.ipynb"  # not below conftest.py, as the course's are not
    lesson.parent.mkdir()
    (tests := tmp_path / "tests").mkdir()
    options = ("--nbval-lax", "--nbval-current-env", "test_wide.py", str(lesson))

    def run() -> tuple[int, list[tuple[str, ...]]]:
        nbformat.write(notebook, lesson)
        code, text = run_with_margins(tests, options, test_wide=WIDE)
        assert "7 passed" in text, text
        return code, re.findall(r"^ +([\d.]+) .*(Cell \d): .*?(BELOW 10)?$", text, re.MULTILINE)

    assert run() == (1, [("2.0", "Cell 3", "BELOW 10")])
    notebook.cells[3].metadata["tags"] = []
    assert run() == (1, [("4.0", "Cell 2", "BELOW 10")])
    notebook.cells[2].metadata["tags"] = []
    assert run() == (0, [("100.0", "Cell 1", "")])


def test_difference_is_relative_to_the_largest_expected_value() -> None:
    expected = torch.tensor([[1.0, -8.0]])
    assert bounds.difference(expected + torch.tensor([[0.0, 2.0]]), expected) == 0.25
    assert bounds.difference(np.zeros(3), [0, 0, 0]) == 0
    assert bounds.difference([1e-9], [0.0]) == np.inf
    with pytest.raises(AssertionError, match=r"shape \(2,\) instead of \(1, 2\)"):
        bounds.difference([1, 2], expected)


SMALL = 0.01
OF_THEIR_OWN = ("allclose", "assert_allclose", "assert_close", "isclose")
NOT_BY_KERNELS = {  # files whose small numbers no processor changes
    "test_bench.py": "statistics of seeded numbers",
    "test_c_lab.py": "differences that another machine stored",
    "test_demo.py": "crops by two programs, which differ by a grey level, and scores rounded to two decimals",
    "test_exercises_heatmaps.py": "a loss that falls",
    "test_export.py": "numbers that the test itself makes up",
    "test_figures.py": "the constants of sRGB",
    "test_trainers.py": "an initialisation",
}


@pytest.mark.parametrize("path", sorted(TESTS.glob("test_*.py")), ids=lambda path: path.stem)
def test_no_test_has_a_bound_that_margins_does_not_list(path: Path) -> None:
    """A solution of an exercise may compare as learners do; a float64 formula may be `approx` what it should be."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in OF_THEIR_OWN and "exercises" not in path.stem:
            found.append((node.lineno, node.attr))
        if isinstance(node, ast.Compare) and not isinstance(node.ops[0], (ast.Eq, ast.NotEq, ast.In, ast.NotIn)):
            small = [c.value for c in ast.walk(node) if isinstance(c, ast.Constant) and isinstance(c.value, float)]
            if any(0 < abs(value) <= SMALL for value in small) and path.name not in NOT_BY_KERNELS:
                found.append((node.lineno, ast.unparse(node)))
    assert found == []
