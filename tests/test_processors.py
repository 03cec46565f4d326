"""The tool that runs commands as other processors: its variables reach the libraries, and failures are listed."""

from __future__ import annotations

import re
import sys
from pathlib import Path

import processors
import pytest

SAY = "import os, torch; print('said', torch.backends.cpu.get_cpu_capability(), os.environ.get('OMP_NUM_THREADS'))"
MAKEFILE = (Path(__file__).resolve().parents[1] / "Makefile").read_text()


def test_the_libraries_take_this_machine_for_another(capfd: pytest.CaptureFixture[str]) -> None:
    assert processors.main(["old", "threads", "--", sys.executable, "-c", SAY]) == 0
    out = capfd.readouterr().out
    assert re.findall(r"=== as (\w+)", out) == ["old", "threads"]
    first, second = re.findall(r"said (.+) (\w+)", out)
    assert first[0] == "DEFAULT" and second[1] == "2"


def test_one_processor_leaves_nothing_to_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MKL_CBWR", "COMPATIBLE")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    for name, processor in processors.PROCESSORS.items():
        set_here = processors.environment(name)
        assert processor.variables.items() <= set_here.items()
        assert ("MKL_CBWR" in set_here) == ("MKL_CBWR" in processor.variables)
        assert set_here["OMP_NUM_THREADS"] == processor.variables.get("OMP_NUM_THREADS", "1")


def test_a_failure_is_listed_after_all_had_their_turn(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    fail = f"import os; open({str(tmp_path / 'ran')!r}, 'a').write('x'); "
    fail += "raise SystemExit({'SSE41': 3, 'AVX512_CORE': 4}.get(os.environ.get('ONEDNN_MAX_CPU_ISA'), 0))"
    assert processors.main(["all", "--", sys.executable, "-c", fail]) == 1
    assert (tmp_path / "ran").read_text() == "x" * len(processors.PROCESSORS)
    out, err = capfd.readouterr()
    assert "as here: passed" in out and "as oldest: exit code 3" in out
    count = len(processors.PROCESSORS)
    assert f"failed as 2 of {count} processors: avx512 (exit code 4), oldest (exit code 3)" in err


@pytest.mark.parametrize("arguments", [["old"], ["--", "true"], ["pentium", "--", "true"]])
def test_half_a_call_is_refused(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        processors.main(arguments)


def test_a_list_without_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert processors.main([]) == 0
    out = capsys.readouterr().out
    assert all(name in out for name in processors.PROCESSORS)


def test_make_runs_the_bounds_as_others() -> None:
    """One of them in `make test`, all in `make test-processors`, which `make test-all` includes."""
    recipe = dict(re.findall(r"^([\w-]+):.*\n((?:\t.*\n)+)", MAKEFILE, re.MULTILINE))
    assert "$(AS) old -- $(NUMERIC)" in recipe["test"]
    assert "$(AS) all -- $(NUMERIC)" in recipe["test-processors"] and "--margins" in recipe["test-processors"]
    assert re.search(r"^test-all:.*\btest-processors\b", MAKEFILE, re.MULTILINE)
