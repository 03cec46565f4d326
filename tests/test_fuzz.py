"""Damaged files: each ends in one clear sentence or in a model that loads; never in a crash, a hang or a leftover.

The damage is done and read in a process of its own, which writes down each case before it begins, so that a crash
names its case.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from tiny import tiny_model

from litehrnet.export import export_onnx
from litehrnet.runtimes.graph import read_graph

SECONDS = 240  # for all the cases of one kind; a hang shows as running out of it
QUICK, MANY = 24, 400


def damaged(content: bytes, cases: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """Name and content of files that are not what they were: cut, flipped, shifted, swapped, or something else."""
    rng = np.random.default_rng(seed)
    yield "empty", b""
    yield "text", b"no model at all\n"
    yield "json", b'{"state_dict": {}}'
    yield "zeros", bytes(4096)
    yield "ones", b"\xff" * 4096
    yield "noise", rng.bytes(4096)
    yield "picture", b"\x89PNG\r\n\x1a\n" + rng.bytes(200)
    yield "doubled", content + content
    yield "headless", content[64:]
    for keep in (1, 7, 100, len(content) // 2, len(content) - 1):
        yield f"first {keep} bytes", content[:keep]
    for case in range(cases):
        spoilt = bytearray(content)
        # Most damage near the ends, where the structure is; the middle is numbers.
        place = int(len(content) * rng.random() ** 3)
        place = place if rng.random() < 0.6 else len(content) - 1 - place
        kind = ("flip", "byte", "hole", "noise")[case % 4]
        if kind == "flip":
            spoilt[place] ^= 1 << int(rng.integers(8))
        elif kind == "byte":
            spoilt[place] = int(rng.integers(256))
        elif kind == "hole":
            del spoilt[place : place + int(rng.integers(1, 50))]
        else:
            spoilt[place : place + 16] = rng.bytes(min(16, len(content) - place))
        yield f"{kind} at {place} ({case})", bytes(spoilt)


def read_all(kind: str, source: Path, folder: Path, cases: int) -> None:
    """In a process of its own: read every damaged file, and say what became of each."""
    from litehrnet import from_checkpoint
    from litehrnet.runtimes import load

    torch.set_num_threads(1)
    image = np.zeros((1, 3, 32, 32), np.float32)
    for name, content in damaged(source.read_bytes(), cases, seed=7):
        print(json.dumps({"case": name}), flush=True)
        path = folder / f"damaged{source.suffix}"
        path.write_bytes(content)
        try:
            if kind == "onnx":
                load(path)(image)
            else:
                from_checkpoint(path)
            outcome = "loads"
        except ValueError as error:
            outcome = str(error)
        except Exception as error:
            outcome = f"UNEXPECTED {type(error).__name__}: {error}"
        path.unlink()
        print(
            json.dumps({"case": name, "outcome": outcome, "left": sorted(p.name for p in folder.iterdir())}), flush=True
        )


def outcomes(kind: str, source: Path, folder: Path, cases: int) -> dict[str, str]:
    """Run `read_all` and return what came of each case."""
    command = [sys.executable, __file__, kind, str(source), str(folder), str(cases)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    lines = [json.loads(line) for line in done.stdout.splitlines() if line.startswith('{"case"')]
    assert done.returncode == 0, f"the process ended with {done.returncode} at {lines[-1]}: {done.stderr[-2000:]}"
    assert all(line["left"] == [] for line in lines if "left" in line)
    return {line["case"]: line["outcome"] for line in lines if "outcome" in line}


def check_outcomes(outcome_of: dict[str, str], cases: int, name: str) -> None:
    assert len(outcome_of) == 14 + cases
    bad = {case: what for case, what in outcome_of.items() if what.startswith("UNEXPECTED")}
    assert bad == {}
    refused = {case: what for case, what in outcome_of.items() if what != "loads"}
    assert len(refused) >= 10  # what is no model at all
    for case, what in refused.items():
        assert name in what or "heatmaps" in what, f"{case}: the sentence does not name the file: {what}"


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("whole")
    return export_onnx(tiny_model(), folder / "whole.onnx", (32, 32), exporter="torchscript")


@pytest.fixture(scope="module")
def checkpoints(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    import litehrnet

    folder = tmp_path_factory.mktemp("whole")
    state = litehrnet.create_model("naive_litehrnet18").state_dict()
    torch.save({"state_dict": state}, folder / "whole.pth")
    torch.save(state, folder / "older.pt", _use_new_zipfile_serialization=False)
    save_file({key: value.contiguous() for key, value in state.items()}, folder / "whole.safetensors")
    return {"pth": folder / "whole.pth", "pt": folder / "older.pt", "safetensors": folder / "whole.safetensors"}


SLOW = pytest.mark.slow


@pytest.mark.parametrize("text", [b"variant", b"Conv", b"heatmaps"])
def test_onnx_with_a_name_that_is_no_text(onnx_file: Path, tmp_path: Path, text: bytes) -> None:
    """In the metadata, an operator, an output: protobuf itself takes bytes that are not UTF-8 for a name."""
    content = onnx_file.read_bytes()
    assert text in content
    path = tmp_path / "damaged.onnx"
    path.write_bytes(content.replace(text, b"\xb2" + text[1:], 1))
    with pytest.raises(ValueError, match=r"damaged\.onnx is not an ONNX file, or it is damaged \('utf-8'"):
        read_graph(path)


@pytest.mark.parametrize("cases", [QUICK, pytest.param(MANY, marks=SLOW)])
def test_onnx(onnx_file: Path, tmp_path: Path, cases: int) -> None:
    check_outcomes(outcomes("onnx", onnx_file, tmp_path, cases), cases, "damaged.onnx")


@pytest.mark.parametrize("kind", ["pth", "pt", "safetensors"])
@pytest.mark.parametrize("cases", [QUICK, pytest.param(MANY, marks=SLOW)])
def test_checkpoints(checkpoints: dict[str, Path], tmp_path: Path, kind: str, cases: int) -> None:
    check_outcomes(outcomes("checkpoint", checkpoints[kind], tmp_path, cases), cases, f"damaged.{kind}")


def test_whole_files_load(onnx_file: Path, checkpoints: dict[str, Path]) -> None:
    from litehrnet import from_checkpoint
    from litehrnet.runtimes import load

    assert load(onnx_file)(np.zeros((1, 3, 32, 32), np.float32)).shape == (1, 17, 8, 8)
    for path in checkpoints.values():
        assert from_checkpoint(path).variant.name == "naive_litehrnet18"


@pytest.mark.parametrize("command", ["check", "predict"])
def test_the_command_line_ends_with_one_sentence(
    onnx_file: Path, tmp_path: Path, command: str, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from litehrnet import cli
    from litehrnet.files import data_path

    monkeypatch.chdir(tmp_path)
    for name, content in damaged(onnx_file.read_bytes(), 0, seed=1):
        Path("x.onnx").write_bytes(content)
        photo = str(data_path("astronaut.jpg"))
        arguments = ["check", "x.onnx"] if command == "check" else ["predict", photo, "--model", "x.onnx"]
        code, (out, err) = cli.main(arguments), capsys.readouterr()
        if name != "doubled":  # two ONNX files, one behind the other, are one with the fields of both
            assert code == 1 and out == "" and len(err.splitlines()) == 1, name
        assert [p.name for p in tmp_path.iterdir()] == ["x.onnx"]


if __name__ == "__main__":
    read_all(sys.argv[1], Path(sys.argv[2]), Path(sys.argv[3]), int(sys.argv[4]))
