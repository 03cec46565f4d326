"""C in a lesson: compiled and timed where there is a compiler, taken from the stored run where there is none."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from litehrnet.course import c_lab, stored
from litehrnet.course.c_lab import VECTORS, Lab, aligned
from litehrnet.runtimes.c import compiler

ROOT = Path(__file__).resolve().parents[1]
TWICE = "void twice(const float *x, float *y, int n) { for (int i = 0; i < n; i++) y[i] = FACTOR * x[i]; }"


def has_compiler() -> bool:
    try:
        return bool(compiler())
    except ImportError:
        return False


with_compiler = pytest.mark.skipif(not has_compiler(), reason="there is no C compiler")


@pytest.fixture
def without_compiler(monkeypatch):
    monkeypatch.setenv("CC", "no-such-compiler")


def prepared(lab: Lab, factor: int, size: int = 5):
    x, y = aligned(np.arange(size)), aligned(np.zeros(size))
    return lab.compile(TWICE, FACTOR=factor).prepare("twice", x, y, size)


@pytest.mark.parametrize("shape", [(1,), (3, 5), (2, 3, 7)])
def test_aligned_copies_start_at_a_cache_line(shape):
    values = np.random.default_rng(0).standard_normal(shape)
    copy = aligned(values)
    assert copy.ctypes.data % 64 == 0 and copy.flags.c_contiguous
    assert copy.dtype == np.float32 and np.array_equal(copy, values.astype(np.float32))
    assert aligned(values.T).shape == values.T.shape


@with_compiler
def test_a_text_is_compiled_with_its_macros_and_writes_into_the_last_array():
    lab = Lab()
    assert lab.compiles and "compiles" in str(lab)
    assert prepared(lab, 2)().tolist() == [0, 2, 4, 6, 8]
    assert prepared(lab, -3)().tolist() == [0, -3, -6, -9, -12]


@with_compiler
def test_vectors_are_what_the_lesson_says():
    text = "void test(const float *x, float *y) { STORE(y, relu(LOAD(x))); y[V] = V; y[V + 1] = REGISTERS; }"
    x, y = aligned(np.linspace(-1, 1, 16)), aligned(np.zeros(18))
    Lab().compile(VECTORS + text).prepare("test", x, y)()
    lanes = int(y[y > 3][0])
    assert (lanes, int(y[lanes + 1])) in {(16, 32), (8, 16), (4, 32), (4, 16)}
    assert np.array_equal(y[:lanes], np.maximum(x[:lanes], 0))


@with_compiler
@pytest.mark.parametrize(
    ("text", "said"),
    [("void f(float *x) {\n  x[0] = y;\n}", "line 2"), ("int f( {", "line 1"), ("#error stop", "stop")],
)
def test_a_mistake_in_the_text_is_one_sentence_with_its_line(text, said):
    with pytest.raises(RuntimeError, match=said) as raised:
        Lab().compile(text)
    assert "\n" not in str(raised.value)


@with_compiler
def test_wrong_arguments_are_refused():
    functions = Lab().compile(TWICE, FACTOR=1)
    good = aligned(np.zeros(4))
    for bad in (np.zeros(4), aligned(np.zeros((4, 2)))[:, 0], np.zeros(4, np.int32)):
        with pytest.raises(ValueError, match="float32"):
            functions.prepare("twice", bad, good, 4)
    with pytest.raises(ValueError, match="thrice"):
        functions.prepare("thrice", good, good, 4)


@with_compiler
def test_a_race_compares_every_result_with_its_own_expected_one():
    lab = Lab()
    right = np.arange(5.0) * 2
    laps = lab.race("test", {"one": prepared(lab, 2), "wrong": prepared(lab, 4)}, right, rounds=5)
    assert [lap.difference for lap in laps] == [0.0, 1.0]
    assert laps[0].ratio == 1 and lab.laps == laps
    each = lab.race("other", {"one": prepared(lab, 2), "two": prepared(lab, 4)}, [right, 2 * right], rounds=5)
    assert [lap.difference for lap in each] == [0.0, 0.0]


@with_compiler
def test_what_was_measured_is_found_again_without_a_compiler(tmp_path, monkeypatch):
    lab = Lab()
    laps = lab.race("test", {"one": prepared(lab, 2)}, np.arange(5.0) * 2, rounds=5)
    assert lab.measure("number", lambda: 7) == 7
    (tmp_path / "one_c_file").mkdir()
    lab.write(tmp_path / "one_c_file" / "2026-01-01.json")
    monkeypatch.setattr(stored, "BENCHMARKS", tmp_path)
    monkeypatch.setenv("CC", "no-such-compiler")
    other = Lab()
    assert not other.compiles
    assert other.race("test", {"one": prepared(other, 2)}, np.arange(5.0)) == laps
    assert other.measure("number", lambda: 8) == 7
    with pytest.raises(KeyError):
        other.measure("never measured", lambda: 8)


def test_without_a_compiler_one_sentence_says_so_and_nothing_is_run(without_compiler):
    lab = Lab()
    assert not lab.compiles
    assert "no-such-compiler" in str(lab) and "apt install gcc" in str(lab) and "2026" in str(lab)
    with pytest.raises(ImportError, match="no-such-compiler"):
        prepared(lab, 2)()


def test_the_stored_run_is_right_and_knows_every_measurement_of_the_lesson():
    run = stored.stored_run("one_c_file")
    races = [laps for laps in run["results"].values() if isinstance(laps, list) and "difference" in laps[0]]
    assert len(races) >= 8
    assert max(lap["difference"] for laps in races for lap in laps) <= 1e-5
    source = "\n".join(
        line
        for cell in json.loads((ROOT / "notebooks" / "09_one_c_file.ipynb").read_text())["cells"]
        if cell["cell_type"] == "code"
        for line in "".join(cell["source"]).splitlines()
    )
    named = re.findall(r'lab\.(?:race|measure)\(\s*f?"([^"{]+)', source)
    assert len(named) >= 9
    for name in named:
        assert any(known.startswith(name) for known in run["results"]), f"run benchmarks/one_c_file.py: no {name!r}"


@pytest.mark.slow
def test_the_lesson_runs_from_top_to_bottom_without_a_compiler(tmp_path):
    program = (
        f"import sys; sys.path.insert(0, {str(ROOT / 'benchmarks')!r}); import one_c_file; one_c_file.run_lesson()"
    )
    own = {"CC": "no-such-compiler", "LITEHRNET_MODELS": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=os.environ | own, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    assert "not run" in done.stdout.splitlines()[0]
    counted = re.search(r"(\d+) of (\d+) results", done.stdout.splitlines()[-1])
    assert counted and counted[1] == counted[2]


def test_options_do_not_change_what_nan_means():
    assert not any("fast-math" in option for option in c_lab.OPTIONS)
