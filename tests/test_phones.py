"""ExecuTorch, LiteRT and MNN: their files compute what torch computes; ExecuTorch delegates the fused graph whole."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import same, within
from tiny import share_lost, switched_off, tiny_model

import litehrnet
from litehrnet.export import check_parity, export
from litehrnet.fusion import fuse
from litehrnet.measure.alone import Task, measure_alone
from litehrnet.runtimes import load, signature
from litehrnet.runtimes.parity import weights_of

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
    if road == "executorch":
        with pytest.raises(ValueError, match="a file is open with 1: open this one with threads=1"):
            load(path, threads=2)
    with pytest.raises(ValueError, match="takes height 64 only, got 96"):
        run(np.zeros((1, 3, 96, 32), np.float32))
    other = tiny_model()
    with torch.no_grad():
        other.head.final_layer.weight[0] += 1
    assert not all(row.ok for row in check_parity(other, path))


@pytest.mark.slow
def test_adaptive_pooling_is_right_where_every_size_is_known(road: str, tmp_path: Path) -> None:
    """As the lesson on devices says; ExecuTorch leaves it to its own kernels (below)."""
    model = tiny_model("adaptive")
    path = export(model, tmp_path / f"net{PACKAGES[road][0]}", size=SIZE)[0]
    assert all(row.ok for row in check_parity(model, path))


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
    weights = "int8" if name == "litert" else "float16"
    with pytest.raises(ValueError, match="weights"):
        export(tiny_model(), tmp_path / f"net{PACKAGES[name][0]}", size=SIZE, weights=weights)


@pytest.mark.numeric
@pytest.mark.slow
def test_litert_stores_weights_in_fewer_bits_and_transposes_only_at_its_ends(tmp_path: Path) -> None:
    if not installed("litert"):
        pytest.skip("the extra `litert` is not installed")
    from litehrnet.export.litert import dense_convolutions, quantize_litert
    from litehrnet.runtimes.litert import read_operators

    model = litehrnet.set_pooling(tiny_model(), "computed")
    half = export(model, tmp_path / "half.tflite", size=SIZE, weights="float16", fused=True)[0]
    assert weights_of(half) == "float16" and all(row.ok for row in check_parity(model, half))
    whole = export(model, tmp_path / "whole.tflite", size=SIZE, fused=True)[0]
    assert half.stat().st_size < 0.8 * whole.stat().st_size
    kinds = [operator.kind for operator in read_operators(whole)]
    assert kinds.count("TRANSPOSE") == 2 and 0 < len(dense_convolutions(whole)) < kinds.count("CONV_2D")
    images = [np.random.default_rng(k).standard_normal((1, 3, *SIZE), dtype=np.float32) for k in range(4)]
    small = quantize_litert(whole, tmp_path / "small.tflite", images)
    assert weights_of(small) == "int8" and small.stat().st_size < whole.stat().st_size
    within(share_lost(load(small)(images[0]), load(whole)(images[0])), 0.1)
    with pytest.raises(ValueError, match="holds int8 weights"):
        quantize_litert(small, tmp_path / "again.tflite", images)
    with pytest.raises(ValueError, match="there are none"):
        quantize_litert(whole, tmp_path / "none.tflite", [])


@pytest.mark.numeric
@pytest.mark.slow
def test_litert_quantises_everything_and_keeps_every_bias(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """LiteRT's quantiser cuts off biases of channels that have next to no weights; the fused graph has many."""
    if not installed("litert"):
        pytest.skip("the extra `litert` is not installed")
    from litehrnet.export import litert

    images = [np.random.default_rng(seed).standard_normal((1, 3, *SIZE), dtype=np.float32) for seed in range(4)]
    models = {"as it is": tiny_model(), "switched off": switched_off(tiny_model())}
    for name, model in models.items():
        whole = export(model, tmp_path / "whole.tflite", size=SIZE, fused=True)[0]
        for operators in ("convolutions", "all"):
            for kind in ("int8", "int16"):
                small = litert.quantize_litert(whole, tmp_path / "small.tflite", images, operators, kind)
                lost = share_lost(load(small)(images[0]), load(whole)(images[0]))
                within(lost, 0.1, f"{name}, {operators}, {kind}")
    monkeypatch.setattr(litert, "_biases_that_fit", lambda small, source: small)
    with pytest.raises(ValueError, match=r"^int8 loses \d+% of what the float32 file finds .* no file was kept"):
        litert.quantize_litert(whole, tmp_path / "cut.tflite", images, "all")
    assert not (tmp_path / "cut.tflite").exists()


@pytest.mark.slow
def test_executorch_delegates_the_fused_graph_whole_and_the_plain_one_in_pieces() -> None:
    if not installed("executorch"):
        pytest.skip("the extra `executorch` is not installed")
    from litehrnet.export.executorch import lowered

    counts = {}
    model = litehrnet.set_pooling(tiny_model(), "computed")
    networks = {"adaptive": tiny_model("adaptive"), "plain": model, "fused": fuse(model, SIZE, target="executorch")}
    for name, network in networks.items():
        nodes = lowered(network, SIZE).exported_program().graph.nodes
        called = [str(node.target) for node in nodes if node.op == "call_function"]
        counts[name] = (called.count("executorch_call_delegate"), sum("upsample_nearest" in each for each in called))
        assert sum("adaptive_avg_pool2d" in each for each in called) == 6 * (name == "adaptive")
        others = {each for each in called if each not in ("executorch_call_delegate", "<built-in function getitem>")}
        assert name != "fused" or not others, "nothing is left for ExecuTorch's own kernels, not even a constant"
    assert counts["fused"] == (1, 0)
    assert counts["plain"][0] > 1 and counts["plain"][1] > 0
