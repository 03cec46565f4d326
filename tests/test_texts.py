"""README, CONTRIBUTING, Makefile and CI say what is there."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest
import update_readme

ROOT = Path(__file__).resolve().parents[1]
README = (ROOT / "README.md").read_text()
MAKEFILE = (ROOT / "Makefile").read_text()
TARGETS = set(re.findall(r"^([a-z-]+):", MAKEFILE, re.MULTILINE))


def test_readme_tables_are_up_to_date() -> None:
    """The tables are those that `tools/update_readme.py` writes from the notebooks and the newest benchmark."""
    assert update_readme.updated(README) == README


@pytest.mark.parametrize("arguments", [("check",), ("format", "--check")])
def test_ruff_has_nothing_to_say(arguments: tuple[str, ...]) -> None:
    """Neither of code nor of notebooks nor of the code in Markdown, as CONTRIBUTING.md promises."""
    done = subprocess.run(
        [sys.executable, "-m", "ruff", *arguments, "--no-cache", "."], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_readme_without_its_markers_is_refused() -> None:
    """A README whose marked part was lost is reported, not rewritten."""
    with pytest.raises(ValueError, match="no part 'measured'"):
        update_readme.updated(README.replace("<!-- measured:", "<!-- lost:"))


def test_readme_names_the_tested_versions() -> None:
    """Each version in README.md is the one in constraints.txt."""
    tested = README.partition("## Tested with")[2].partition("##")[0]
    named = re.findall(r"\b([a-z]+) (\d+(?:\.\d+)+)\b", tested)
    constraints = (ROOT / "constraints.txt").read_text().splitlines()
    assert len(named) >= 5
    for package, version in named:
        assert f"{package}=={version}" in constraints


@pytest.mark.parametrize("name", ["README.md", "CONTRIBUTING.md", ".github/workflows/test.yml", ".ci/run"])
def test_make_commands_exist(name: str) -> None:
    """Every `make X` that a text names is in the Makefile."""
    named = set(
        re.findall(r"\bmake (tutorial|test[a-z-]*|lab|refresh|bench|demo|install|clean)\b", (ROOT / name).read_text())
    )
    assert named
    assert named <= TARGETS


def test_makefile_lists_what_it_has() -> None:
    """`make` alone lists every target, each with a few words."""
    done = subprocess.run(["make", "--no-print-directory"], cwd=ROOT, capture_output=True, text=True, check=True)
    listed = set(re.findall(r"make ([a-z-]+)", done.stdout))
    assert listed >= {"tutorial", "test", "test-all", "lab", "refresh", "bench", "demo"}
    assert listed == set(re.findall(r"^\.PHONY: (.*)$", MAKEFILE, re.MULTILINE)[0].split())


def test_commands_of_the_readme_exist(capsys: pytest.CaptureFixture[str]) -> None:
    """Every option after `litehrnet export`, `check`, `predict` in the texts is one that the command has."""
    from litehrnet.cli import main

    text = README + (ROOT / "notebooks" / "cheat_sheet.md").read_text()
    lines = re.findall(r"^litehrnet (\w+)(.*?)(?:#.*)?$", text, re.MULTILINE)
    assert {command for command, _ in lines} >= {"export", "check", "predict"}
    for command, rest in lines:
        with pytest.raises(SystemExit) as stopped:
            main([command, "--help"])
        assert stopped.value.code == 0
        words = capsys.readouterr().out
        for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", rest):
            assert re.search(rf"(?<![\w-]){re.escape(option)}(?![\w-])", words), f"litehrnet {command} has no {option}"


def test_python_of_the_readme_runs() -> None:
    """The names that the README's Python imports and calls exist."""
    import litehrnet
    import litehrnet.export

    for name in ("from_checkpoint", "load_pretrained", "make_exportable"):
        assert callable(getattr(litehrnet, name))
    for name in re.findall(r"from litehrnet\.export import (.+)", README)[0].split(", "):
        assert callable(getattr(litehrnet.export, name))


def test_ci_runs_make_test_and_tolerates_no_browser() -> None:
    """The script is executable, valid, and its last word is `make test`."""
    path = ROOT / ".ci" / "run"
    assert path.stat().st_mode & 0o111
    assert subprocess.run(["bash", "-n", str(path)], check=False).returncode == 0
    assert path.read_text().rstrip().endswith("exec make test")


def test_workflow_holds_no_logic() -> None:
    """The workflow runs `make test` and `make tutorial`, and nothing else by itself."""
    text = (ROOT / ".github" / "workflows" / "test.yml").read_text()
    assert re.findall(r"^ *- run: (.+)$", text, re.MULTILINE) == ["make test", "make tutorial"]
    assert "schedule:" in text
    assert "run: |" not in text


DYING_PYTHON = """#!/bin/sh
# The first time it dies in the middle of making the environment; the second time it is the real one.
test -e {folder}/died && exec {python} "$@"
touch {folder}/died
mkdir -p .venv/bin && touch .venv/bin/python
kill -9 $$
"""


def test_a_killed_set_up_is_done_again(tmp_path: Path) -> None:
    """An environment whose making was killed has a Python but no pip; the next `make` begins again."""
    (tmp_path / "Makefile").write_text(MAKEFILE)
    python = tmp_path / "python"
    python.write_text(DYING_PYTHON.format(folder=tmp_path, python=sys.executable))
    python.chmod(0o755)
    command = ["make", f"PYTHON={python}", ".venv/bin/activate"]
    assert subprocess.run(command, cwd=tmp_path, capture_output=True, check=False).returncode != 0
    assert (tmp_path / ".venv/bin/python").exists() and not (tmp_path / ".venv/bin/pip").exists()
    subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)
    assert (tmp_path / ".venv/bin/pip").exists()
    assert "is up to date" in subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True).stdout
