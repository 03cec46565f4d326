"""benchmarks/devices.py: every runtime has its rows, what does not run is named, and the tools find their columns."""

from __future__ import annotations

import importlib.util
import itertools
import sys
from pathlib import Path
from types import ModuleType

import pytest
import update_readme

from litehrnet.measure.grid import GridRow
from litehrnet.runtimes import PRECISIONS, RUNTIMES

PROGRAM = Path(__file__).resolve().parents[1] / "benchmarks" / "devices.py"


@pytest.fixture(scope="module")
def devices() -> ModuleType:
    spec = importlib.util.spec_from_file_location("devices", PROGRAM)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules["devices"] = module  # dataclasses look their module up
    spec.loader.exec_module(module)
    return module


def measured(devices: ModuleType, runtime: str, graph: str, weights: str, arithmetic: str) -> GridRow:
    return GridRow(
        f"{graph}, {weights}", runtime, arithmetic, (256, 192), 1, 12.5, 1.2, 1.1, 1.3, 4.5, None, 1e-6, 0.01, 0.0,
        oks=0.7, two_threads=1.1,
    )  # fmt: skip


def test_every_runtime_has_its_rows(devices: ModuleType) -> None:
    assert {road[0] for road in devices.ROADS} == set(RUNTIMES) and devices.BASELINE in devices.ROADS
    for runtime, _, _, arithmetic in devices.ROADS:
        assert arithmetic in RUNTIMES[runtime].precisions and arithmetic in PRECISIONS
    rows = [measured(devices, *road) for road in devices.ROADS]
    assert [devices.in_order(row) for row in rows] == list(range(len(rows)))


def test_the_page_holds_the_columns_that_the_readme_shows(devices: ModuleType) -> None:
    rows = [devices.row_of(measured(devices, *road)) for road in devices.ROADS]
    report = {
        "machine": {"processor": "one", "system": "Linux", "python": "3.11", "date": "2026-01-01"},
        "network": {"variant": "litehrnet18", "size": [256, 192], "weights": "w", "sha256": "0" * 64},
        "people": {"renderings": 16}, "sessions": 6, "rounds": 10, "ncnn_fused_ratio": None, "rows": rows,
        "not_measured": {"plain, float32 in mnn": "MNN is not installed"},
    }  # fmt: skip
    text = devices.page(report, "2026-01-01")
    lines = [line for line in text.splitlines() if line.startswith("|")]
    assert len(lines) == 2 + len(rows) and len({line.count("|") for line in lines}) == 1
    head = [cell.strip() for cell in lines[0].strip("|").split("|")]
    assert set(update_readme.COLUMNS) <= set(head)
    assert "- **plain, float32 in mnn**: MNN is not installed.\n" in text
    assert "| c | fused | float32 | 12.5 | 1.20 (1.10 to 1.30) | x 1.10 | 4.50 |  | 1e-06 | 0.01 | 0% | 0.700 |" in text


@pytest.mark.parametrize("elsewhere", [False, True])
def test_an_int8_file_is_made_as_its_row_says(
    devices: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, elsewhere: bool
) -> None:
    """Here or by another Python's command line: everything or the dense convolutions, 8 bits between them or 16."""
    asked: list[tuple[str, str]] = []

    def quantise(_: object, path: Path, __: object, operators: str, activations: str, **___: object) -> Path:
        asked.append((operators, activations))
        return path

    def export_there(_: object, __: object, path: Path, ___: object, options: list[str]) -> Path:
        given = dict(itertools.pairwise(options))
        asked.append((given["--operators"], given["--activations"]))
        assert given["--weights"] == "int8" and Path(given["--calibrate"]).name == "pictures"
        return path

    monkeypatch.setattr(devices, "quantize_litert", quantise)
    monkeypatch.setattr(
        devices, "quantize_int8", lambda source, path, images, operators, method, activations: quantise(
            source, path, images, operators, activations
        ),
    )  # fmt: skip
    monkeypatch.setattr(devices, "export_elsewhere", export_there)
    monkeypatch.setattr(devices.Writer, "_source", lambda self, runtime, graph: tmp_path / "float32")
    roads = [road for road in devices.ROADS if road[2].startswith("int8")]
    pythons = {road[0]: "python" for road in roads} if elsewhere else {}
    write = devices.Writer(None, tmp_path / "w.pth", (256, 192), (), pythons, tmp_path)
    paths = [write(*road[:3]) for road in roads]
    assert len(set(paths)) == len(roads), "each row has a file of its own"
    for (_, _, weights, _), (operators, activations) in zip(roads, asked, strict=True):
        assert (operators == "all", activations == "int16") == ("everything" in weights, "int16" in weights)
    assert set(asked) == {("convolutions", "int8"), ("convolutions", "int16"), ("all", "int8"), ("all", "int16")}


def test_what_cannot_be_written_is_named_and_the_rest_goes_on(
    devices: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ImportError("it is not installed; install it")

    monkeypatch.setattr(devices, "export", refuse)
    for name in ("onnxruntime-plain-float32.onnx", "c-fused-float32.lhr"):
        (tmp_path / name).touch()  # written by an earlier run
    write = devices.Writer(None, tmp_path / "w.pth", (256, 192), (), {"litert": str(tmp_path / "python")}, tmp_path)
    found, notes = devices.candidates(write, ("c", "mnn", "torch", "litert"))
    assert [(one.runtime, one.model) for one in found] == [
        ("onnxruntime", "plain, float32"), ("torch", "plain, float32"), ("c", "fused, float32"),
    ]  # fmt: skip
    assert notes[:2] == [
        "fused, float16 in c: it is not installed; install it",
        f"plain, float32 in litert: cannot run {tmp_path}/python: No such file or directory",
    ]
    assert [note.split(":")[0] for note in notes if "mnn" in note] == ["plain, float32 in mnn", "fused, float32 in mnn"]
    (tmp_path / "onnxruntime-plain-float32.onnx").unlink()
    with pytest.raises(ImportError):  # nothing can be compared without the baseline
        devices.candidates(write, ())
