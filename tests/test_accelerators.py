"""`load(..., device=...)`: a device that is not there is refused with the reason; the CPU never stands in."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
import torch
from bounds import same
from test_runtimes import images, pooled, pooling_graph
from tiny import tiny_model

from litehrnet import cli
from litehrnet.files import data_path
from litehrnet.measure import candidates
from litehrnet.runtimes import RUNTIMES, load
from litehrnet.runtimes.pytorch import _without_tf32

AVAILABLE = {
    "cuda": ["CUDAExecutionProvider", "CPUExecutionProvider"],
    "tensorrt": ["TensorrtExecutionProvider", "CUDAExecutionProvider", "CPUExecutionProvider"],
}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return pooling_graph(tmp_path / "m.onnx")


class Asked:
    """Stands in for `InferenceSession`: notes what it is asked for, runs on the CPU, and says what it is told to."""

    def __init__(self, real: Any, says: list[str]) -> None:
        self.real, self.says = real, says
        self.providers: list[tuple[str, dict[str, str]]] = []
        self.fallback = ""

    def __call__(self, name: str, options: Any, providers: list, **other: object) -> SimpleNamespace:
        self.providers = providers
        self.fallback = options.get_session_config_entry("session.disable_cpu_ep_fallback")
        assert other == {"disable_fallback": True}
        inner = self.real(name, providers=["CPUExecutionProvider"])
        parts = ("run", "get_inputs", "get_outputs", "get_modelmeta")
        return SimpleNamespace(**{part: getattr(inner, part) for part in parts}, get_providers=lambda: self.says)


def pretend(monkeypatch: pytest.MonkeyPatch, available: list[str], says: list[str]) -> Asked:
    asked = Asked(onnxruntime.InferenceSession, says)
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", asked)
    return asked


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_build_without_the_provider_says_what_to_install(
    path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(ImportError, match=f"which {device} needs, only CPUExec.*pip install onnxruntime-gpu") as error:
        load(path, device=device)
    assert ("pip install tensorrt" in str(error.value)) == (device == "tensorrt")


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_provider_that_does_not_start_is_no_fall_back(
    path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """ONNX Runtime logs that its library does not load, and goes on with what is left."""
    pretend(monkeypatch, AVAILABLE[device], ["CPUExecutionProvider"])
    with pytest.raises(ValueError, match="could not start it, and fell back to CPUExecutionProvider"):
        load(path, device=device)


def test_a_session_that_raises_names_file_and_device(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA failure 35: driver too old\nmore")

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: AVAILABLE["cuda"])
    monkeypatch.setattr(onnxruntime, "InferenceSession", refuse)
    with pytest.raises(ValueError, match=r"does not run m\.onnx with cuda, .*driver too old$"):
        load(path, device="cuda")


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("device", "first"),
    [("cuda", ("CUDAExecutionProvider", {"use_tf32": "0"})),
     ("tensorrt", ("TensorrtExecutionProvider", {"trt_fp16_enable": "0"}))],
)  # fmt: skip
def test_what_a_device_is_asked_for(path: Path, device: str, first: tuple, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = pretend(monkeypatch, AVAILABLE[device], [first[0], "CPUExecutionProvider"])
    x = images(1, 3, 32, 64)
    same(load(path, device=device)(x), pooled(x), 1e-5)
    assert (asked.providers, asked.fallback) == ([first], "1")


def test_the_real_onnx_runtime_keeps_no_promise_that_it_cannot(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The installed build, told that it has a provider which it lacks."""
    if "CUDAExecutionProvider" in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: AVAILABLE["cuda"])
    with pytest.warns(UserWarning, match="CUDA"), pytest.raises(ValueError, match=r"fall back|fell back"):
        load(path, device="cuda")


@pytest.mark.parametrize("runtime", [name for name, row in RUNTIMES.items() if row.devices == ("cpu",)])
def test_other_runtimes_compute_on_the_cpu_only(path: Path, runtime: str) -> None:
    with pytest.raises(ValueError, match=f"^{runtime} computes on cpu here, not on cuda$"):
        load(path, runtime, device="cuda")


def test_torch(monkeypatch: pytest.MonkeyPatch) -> None:
    model, x = tiny_model(), images(1, 3, 64, 32)
    np.testing.assert_array_equal(load(model, device="cpu")(x), load(model)(x))
    with pytest.raises(ValueError, match=r"^torch computes on cpu or cuda here, not on tensorrt$"):
        load(model, device="tensorrt")
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        load(model, device="gpu")
    if torch.cuda.is_available():
        found = load(model, device="cuda")(x)
        assert next(model.parameters()).device.type == "cpu"
        same(found, load(model)(x), 1e-4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no CUDA device"):
        load(model, device="cuda")


def test_float32_on_a_gpu_is_not_tf32() -> None:
    before = torch.backends.cudnn.allow_tf32
    with _without_tf32("cuda"):
        assert not torch.backends.cudnn.allow_tf32 and torch.backends.cudnn.enabled
    with _without_tf32("cpu"):
        assert torch.backends.cudnn.allow_tf32 == before
    assert torch.backends.cudnn.allow_tf32 == before


PEOPLE = data_path("heldout/people.json")


@pytest.mark.parametrize(
    "command",
    [
        ["evaluate", "m.onnx", PEOPLE, "--images", PEOPLE.parent],
        ["predict", PEOPLE.parent / "000000.jpg", "--model", "m.onnx"],
        ["bench", "m.onnx"],
        ["check", "m.onnx", "--checkpoint", "litehrnet18"],
    ],
    ids=lambda command: command[0],
)
def test_the_command_line_refuses_in_one_line(
    path: Path, command: list, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    monkeypatch.chdir(path.parent)
    assert cli.main([*map(str, command), "--device", "cuda"]) == 1
    error = capsys.readouterr().err
    assert "pip install onnxruntime-gpu" in error and len(error.splitlines()) == 1


def test_compare_says_of_every_combination_why_a_device_does_not_run_it(path: Path) -> None:
    with pytest.raises(ValueError, match="openvino computes on cpu here, not on cuda"):
        candidates({"m": path}, ["openvino"], device="cuda")
    (found,), notes = candidates({"m": path}, ["onnxruntime", "openvino"], device="cuda")
    assert found.task.device == "cuda" and len(notes) == 1
    with pytest.raises(ValueError, match="unknown device 'gpu'"):
        candidates({"m": path}, device="gpu")


def test_a_device_is_for_a_comparison(path: Path, capsys: pytest.CaptureFixture) -> None:
    assert cli.main(["check", str(path), "--device", "cuda"]) == 1
    assert "--device is for a comparison; add --checkpoint" in capsys.readouterr().err
