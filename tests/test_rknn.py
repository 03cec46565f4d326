"""The RKNN example: the toolkit's simulator computes what ONNX Runtime computes; skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest
from tiny import tiny_model

from litehrnet.export import export_onnx
from litehrnet.fusion import fuse

PROGRAM = Path(__file__).resolve().parents[1] / "examples" / "rknn" / "convert.py"
SIZE = (64, 32)
INSTALLED = importlib.util.find_spec("rknn") is not None


def run(*arguments: str | Path) -> tuple[int, str]:
    done = subprocess.run([sys.executable, PROGRAM, *arguments], capture_output=True, text=True, check=False)
    return done.returncode, done.stdout


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="rknn-toolkit2 is not installed")
@pytest.mark.parametrize("fused", [False, True])
def test_the_simulator_agrees_and_the_file_is_kept(tmp_path: Path, fused: bool) -> None:
    model = fuse(tiny_model(), SIZE, target="openvino") if fused else tiny_model()
    source = export_onnx(model, tmp_path / "net.onnx", SIZE, exporter="torchscript")
    code, out = run(source)
    assert code == 0 and "0 peaks moved: ok" in out
    assert (tmp_path / "net.rknn").read_bytes().startswith(b"RKNN")


@pytest.mark.slow
@pytest.mark.skipif(not INSTALLED, reason="rknn-toolkit2 is not installed")
def test_what_the_toolkit_refuses_leaves_no_file(tmp_path: Path) -> None:
    source = export_onnx(tiny_model(), tmp_path / "net.onnx", SIZE, exporter="torchscript", dynamic="size")
    code, out = run(source)
    assert code == 1 and "rknn-toolkit2's" in out and "failed" in out
    assert [path.name for path in tmp_path.iterdir()] == ["net.onnx"]


@pytest.mark.skipif(INSTALLED, reason="rknn-toolkit2 is installed")
def test_without_the_toolkit_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    code, out = run(tmp_path / "net.onnx")
    assert code == 1 and out.startswith("rknn-toolkit2 is not installed; in an environment of its own: pip install")
    assert len(out.splitlines()) == 1
