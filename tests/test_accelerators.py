"""`load(..., device=...)`: a device that is not there is refused with the reason; the CPU never stands in."""

from __future__ import annotations

import os
from collections.abc import Iterator
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
from litehrnet.export import FORMATS, check_parity, export
from litehrnet.files import data_path
from litehrnet.measure import candidates
from litehrnet.model import VARIANTS, LiteHRNet
from litehrnet.runtimes import RUNTIMES, load, pytorch
from litehrnet.runtimes import onnxruntime as ort_runtime

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
    monkeypatch.setenv("NVIDIA_TF32_OVERRIDE", "1")  # restored afterwards, whatever becomes of it
    monkeypatch.delenv("NVIDIA_TF32_OVERRIDE")
    return asked


@pytest.mark.parametrize("device", ["cuda", "tensorrt"])
def test_a_build_without_the_provider_says_what_to_install(
    path: Path, device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: ["CPUExecutionProvider"])
    with pytest.raises(
        ImportError, match=f"which {device} needs, only CPUExec.*pip install onnxruntime-gpu.cuda,cudnn"
    ) as error:
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
    assert os.environ.get("NVIDIA_TF32_OVERRIDE") == {"cuda": None, "tensorrt": "0"}[device]
    os.environ["NVIDIA_TF32_OVERRIDE"] = "1"  # the user's own word
    load(path, device=device)
    assert os.environ["NVIDIA_TF32_OVERRIDE"] == "1"


def test_cuda_s_libraries_are_looked_for_in_pip_s_packages_first(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """The provider does not find them there by itself, and a process without torch has not loaded them."""
    done: list[str] = []

    def preload() -> None:
        assert not asked.providers, "before the session"
        done.append("preloaded")
        print("Failed to load libcublasLt.so.12")

    monkeypatch.setattr(onnxruntime, "preload_dlls", preload, raising=False)
    load(path)
    assert not done
    asked = pretend(monkeypatch, AVAILABLE["cuda"], AVAILABLE["cuda"])
    load(path, device="cuda")
    assert done == ["preloaded"] and capsys.readouterr().out == ""
    monkeypatch.delattr(onnxruntime, "preload_dlls")  # as before ONNX Runtime 1.21
    load(path, device="cuda")


def test_operators_that_a_device_leaves_to_the_cpu_are_an_error_without_a_log_line(
    path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture
) -> None:
    """The real ONNX Runtime, with a provider that it has and that takes no operator."""
    others = [name for name in onnxruntime.get_available_providers() if name == "AzureExecutionProvider"]
    if not others:
        pytest.skip("this ONNX Runtime has no provider beside the CPU's")
    monkeypatch.setitem(ort_runtime._PROVIDERS, "cuda", (others[0], {}))
    with pytest.raises(ValueError, match=r"does not run m\.onnx with cuda, .*default CPU EP.*ask for a shape"):
        load(path, device="cuda")
    assert capfd.readouterr().err == ""


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
    for device in ("cuda:1", torch.device("cuda:1")):
        with pytest.raises(ValueError, match=r"'cuda:1'; start Python with CUDA_VISIBLE_DEVICES=1 .* choose 'cuda'$"):
            load(model, device=device)
    np.testing.assert_array_equal(load(model, device=torch.device("cpu"))(x), load(model)(x))
    if torch.cuda.is_available():
        found = load(model, device="cuda")(x)
        assert next(model.parameters()).device.type == "cpu"
        same(found, load(model)(x), 1e-4)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="finds no CUDA device"):
        load(model, device=torch.device("cuda"))


def test_torch_says_why_a_network_does_not_get_onto_the_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever the driver or the memory lack; a network whose only tensors are buffers is moved as well."""

    def refuse(*_: object, **__: object) -> None:
        raise RuntimeError("CUDA error: no kernel image is available for execution on the device\nmore")

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.nn.Module, "to", refuse)
    held = torch.nn.Module()
    held.register_buffer("mean", torch.zeros(3))
    for model in (tiny_model(), held):
        with pytest.raises(ValueError, match=r"^torch cannot put the network on cuda: CUDA error: .* on the device$"):
            load(model, device="cuda")


@pytest.fixture
def settings() -> Iterator[Any]:
    """torch's settings of how float32 is multiplied, and afterwards its defaults."""
    yield torch.backends
    torch.backends.fp32_precision = torch.backends.mkldnn.conv.fp32_precision = "none"
    torch.backends.cudnn.allow_tf32, torch.backends.cuda.matmul.allow_tf32 = True, False


class Asks(torch.nn.Module):
    """Heatmaps, and a note of how torch would multiply meanwhile."""

    def __init__(self, setting: Any) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))
        self.setting, self.seen = setting, []

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.seen.append(self.setting.fp32_precision)
        return x[:, :1, ::4, ::4] * self.weight


def test_torch_multiplies_float32_with_all_bits_and_restores_what_was_set(settings: Any) -> None:
    """A user who allows fewer bits for training gets a reference with all of them."""
    conv = settings.mkldnn.conv
    model = Asks(conv)
    run = load(model)
    for wide, own in (("none", "bf16"), ("bf16", "none"), ("none", "none")):
        settings.fp32_precision, conv.fp32_precision = wide, own
        before = conv.fp32_precision
        run(images(1, 3, 64, 32))
        assert model.seen.pop() in ("ieee", "none") and conv.fp32_precision == before
    settings.fp32_precision = "bf16"
    run(images(1, 3, 64, 32))
    settings.fp32_precision = "none"
    assert conv.fp32_precision == "none", "what was inherited is inherited again"


def test_a_gpu_s_convolutions_are_not_rounded_to_tensorfloat_32_either(settings: Any) -> None:
    """torch's default, which is why `Asks` cannot show it without a GPU; another thread may leave first."""
    before = settings.cudnn.allow_tf32, settings.cudnn.conv.fp32_precision
    assert before == (True, "tf32"), "if torch changes its default, this test has no subject"
    with pytorch._full_float32("cuda"):
        with pytorch._full_float32("cuda"):
            assert not settings.cudnn.allow_tf32 and not settings.cuda.matmul.allow_tf32
        assert settings.cudnn.conv.fp32_precision == "none" and not settings.cudnn.allow_tf32
    assert (settings.cudnn.allow_tf32, settings.cudnn.conv.fp32_precision) == before
    settings.fp32_precision = "tf32"
    with pytorch._full_float32("cuda"):
        assert settings.cudnn.conv.fp32_precision in ("ieee", "none")
        assert settings.cuda.matmul.fp32_precision in ("ieee", "none")


@pytest.mark.parametrize("to", FORMATS)
def test_weights_that_are_nowhere_are_not_exported(to: str, tmp_path: Path) -> None:
    path = tmp_path / f"net{FORMATS[to].suffix}"
    model = LiteHRNet(VARIANTS["litehrnet18"], 17, "computed")
    with pytest.raises(ValueError, match="meta device, which holds no numbers"):
        export(model.to("meta"), path, size=(64, 32))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.numeric
def test_a_network_on_a_gpu_is_exported_and_judged(tmp_path: Path) -> None:
    if not torch.cuda.is_available():
        pytest.skip("torch finds no GPU")
    model = tiny_model().to("cuda")
    for suffix, options in ((".onnx", {"exporter": "torchscript"}), (".lhr", {})):
        network = LiteHRNet(VARIANTS["litehrnet18"]).eval().to("cuda") if suffix == ".lhr" else model
        path = export(network, tmp_path / f"net{suffix}", size=(64, 32), **options)[0]
        assert all(row.ok for row in check_parity(network, path, sizes=[(64, 32)]))
        assert next(network.parameters()).device.type == "cuda"


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
    assert "pip install onnxruntime-gpu[cuda,cudnn]" in error and len(error.splitlines()) == 1


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
