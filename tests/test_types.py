"""The package's type hints hold: mypy finds nothing."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


def test_type_hints_hold(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "mypy", "--cache-dir", str(tmp_path)], cwd=ROOT, capture_output=True, text=True
    )
    if "No module named mypy" in done.stderr:
        pytest.fail("mypy is not installed: make install")
    assert done.returncode == 0, done.stdout + done.stderr
