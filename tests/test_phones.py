"""ExecuTorch, LiteRT and MNN: their files compute what torch computes; ExecuTorch delegates the fused graph whole."""

from __future__ import annotations

import importlib
import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import same
from tiny import tiny_model

import litehrnet
from litehrnet.export import check_parity, export
from litehrnet.export.executorch import PARTITIONER
from litehrnet.fusion import fuse
from litehrnet.measure.alone import Task, measure_alone
from litehrnet.runtimes import load, signature

SIZE = (64, 32)
PACKAGES = {  # format: its ending, and the modules that write and run it
    "executorch": (".pte", ("executorch",)),
    "litert": (".tflite", ("litert_torch", "ai_edge_litert")),
    "mnn": (".mnn", ("MNN",)),
}


def installed(name: str) -> bool:
    return all(importlib.util.find_spec(module) is not None for module in PACKAGES[name][1])


@pytest.fixture(params=PACKAGES)
def road(request: pytest.FixtureRequest) -> str:
    if not installed(request.param):
        pytest.skip(f"the extra `{request.param}` is not installed")
    return str(request.param)


@pytest.mark.numeric
@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_a_file_computes_what_torch_computes(road: str, fused: bool, tmp_path: Path) -> None:
    model = tiny_model()
    path = export(model, tmp_path / f"net{PACKAGES[road][0]}", size=SIZE, fused=fused)[0]
    about, run = signature(path), load(path)
    assert (about.kind, about.batch, about.height, about.width) == (road, None, *SIZE) and run.runtime == road
    images = np.random.default_rng(0).standard_normal((3, 3, *SIZE), dtype=np.float32)
    same(run(images), load(model)(images), 1e-4)
    assert all(row.ok and row.batch in (1, 3) for row in check_parity(model, path))
    task = Task(str(path), road, "float32", 1, SIZE)
    assert measure_alone(task, task, sessions=1, rounds=1).milliseconds > 0
    with pytest.raises(ValueError, match="takes height 64 only, got 96"):
        run(np.zeros((1, 3, 96, 32), np.float32))
    other = tiny_model()
    with torch.no_grad():
        other.head.final_layer.weight[0] += 1
    assert not all(row.ok for row in check_parity(other, path))


@pytest.mark.parametrize("name", PACKAGES)
def test_a_missing_package_is_one_sentence_with_the_command(name: str, tmp_path: Path) -> None:
    if installed(name):
        pytest.skip(f"the extra `{name}` is installed")
    ending = PACKAGES[name][0]
    with pytest.raises(ImportError, match="install it with: pip install"):
        export(tiny_model(), tmp_path / f"net{ending}", size=SIZE)
    (tmp_path / f"net{ending}").write_bytes(b"\0\0\0\0" + {"executorch": b"ET12", "litert": b"TFL3"}.get(name, b""))
    with pytest.raises(ImportError, match="install it with: pip install"):
        load(tmp_path / f"net{ending}")


@pytest.mark.parametrize("name", PACKAGES)
def test_weights_that_a_format_cannot_store_are_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="weights"):
        export(tiny_model(), tmp_path / f"net{PACKAGES[name][0]}", size=SIZE, weights="float16")


@pytest.mark.slow
def test_executorch_delegates_the_fused_graph_whole_and_the_plain_one_in_pieces() -> None:
    if not installed("executorch"):
        pytest.skip("the extra `executorch` is not installed")
    lower = importlib.import_module("executorch.exir").to_edge_transform_and_lower
    partitioner = importlib.import_module(PARTITIONER).XnnpackPartitioner
    counts = {}
    model = litehrnet.set_pooling(tiny_model(), "computed")
    for name, network in {"plain": model, "fused": fuse(model, SIZE, target="executorch")}.items():
        captured = torch.export.export(network, (torch.zeros(1, 3, *SIZE),))
        lowered = lower(captured, partitioner=[partitioner()])
        called = [str(node.target) for node in lowered.exported_program().graph.nodes if node.op == "call_function"]
        counts[name] = (called.count("executorch_call_delegate"), sum("upsample_nearest" in each for each in called))
    assert counts["fused"] == (1, 0)
    assert counts["plain"][0] > 1 and counts["plain"][1] > 0
