"""Choices, whole numbers, threads, first lines and missing packages: the same words everywhere."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from litehrnet.checks import check_choice, check_threads, check_whole, first_line, require

NAMES = st.text(min_size=1, max_size=12)


@given(st.lists(NAMES, min_size=1, unique=True), st.data())
def test_every_choice_passes_and_nothing_else(choices: list[str], data: st.DataObject) -> None:
    check_choice("thing", data.draw(st.sampled_from(choices)), choices)
    other = data.draw(NAMES.filter(lambda name: name not in choices))
    with pytest.raises(ValueError, match=r"^unknown thing ") as caught:
        check_choice("thing", other, choices)
    assert all(repr(choice) in str(caught.value) for choice in choices)


@pytest.mark.parametrize(
    ("value", "closest"),
    [
        ("onnxruntme", "onnxruntime"),
        ("ONNXRUNTIME", "onnxruntime"),
        ("openvin", "openvino"),
        ("onnx", "onnxruntime"),
        ("tensorrt", None),
    ],
)
def test_a_slip_gets_the_closest_choice(value: str, closest: str | None) -> None:
    with pytest.raises(ValueError, match="unknown runtime") as caught:
        check_choice("runtime", value, ("onnxruntime", "openvino", "ncnn"))
    assert (f"did you mean {closest!r}?" in str(caught.value)) == (closest is not None)


@pytest.mark.parametrize("value", [0, 1, True, "None", ["batch"], np.array([1, 2])])
def test_what_is_no_string_is_not_mixed_up(value: object) -> None:
    with pytest.raises(ValueError, match="choose one of None, 'batch', False"):
        check_choice("dynamic", value, (None, "batch", False))
    check_choice("dynamic", None, (None, "batch", False))
    check_choice("dynamic", False, (None, "batch", False))


@given(st.integers(-5, 20), st.integers(-5, 5), st.none() | st.integers(6, 12))
def test_whole_numbers_within_bounds(value: int, least: int, most: int | None) -> None:
    for given_value in (value, np.int64(value), np.int8(value)):
        if least <= value and (most is None or value <= most):
            found = check_whole("batch", given_value, least, most)
            assert found == value and type(found) is int
        else:
            with pytest.raises(ValueError, match=r"^batch must be an integer (of at least|from)"):
                check_whole("batch", given_value, least, most)


@pytest.mark.parametrize("value", [True, np.True_, 1.0, 1.5, "1", None, [1], np.array([1, 2]), np.float32(2), 1 + 0j])
def test_what_is_no_whole_number(value: object) -> None:
    with pytest.raises(ValueError, match=r"^rounds must be an integer of at least 1, got "):
        check_whole("rounds", value)


def test_threads_are_bounded_by_the_machine() -> None:
    processors = os.cpu_count() or 1
    assert check_threads(1) == 1 and check_threads(np.int64(processors)) == processors
    for wrong in (0, -1, True, 1.5, "2"):
        with pytest.raises(ValueError, match="threads must be an integer of at least 1"):
            check_threads(wrong)
    for wrong in (8 * processors + 1, 100_000, 10**30):
        with pytest.raises(ValueError, match=f"at most {8 * processors} on this machine, .* got {wrong}"):
            check_threads(wrong)


@given(st.text(), st.text())
def test_the_first_line_is_one_line_and_never_empty(first: str, second: str) -> None:
    line = first_line(RuntimeError(f"{first}\n{second}"))
    assert line and len(line.splitlines()) == 1 and line == line.strip()
    assert line in f"{first}\n{second}" or line == "RuntimeError"


def test_a_missing_package_comes_with_a_command_that_is_true(monkeypatch: pytest.MonkeyPatch) -> None:
    assert require("json").loads("[1]") == [1]
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(ImportError, match=r"^openvino is not installed; install it with: pip install openvino$"):
        require("openvino")
    with pytest.raises(ImportError, match=r"pip install pillow$"):
        require("no_such_module_of_pillow", "pillow")
    with pytest.raises(ImportError, match=r"pip install 'netron>=9.3'$"):
        require("no_such_module_of_netron", "netron>=9.3")


def test_a_package_that_lacks_something_itself_is_not_called_missing(tmp_path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "half_installed.py").write_text("import what_it_needs")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="what_it_needs"):
        require("half_installed")


def test_it_needs_neither_torch_nor_numpy() -> None:
    code = "import sys; sys.modules.update(torch=None, numpy=None); import litehrnet.checks; print(3)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "3\n"
