"""The proof: for every format, for other networks with inputs of their own, and never vacuous."""

from __future__ import annotations

import copy
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from bounds import beyond, proved, within
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_model
from torch import nn

import litehrnet
from litehrnet.export import check_parity, explain, export, export_onnx, quiet
from litehrnet.export.onnx import check_exportable
from litehrnet.runtimes import parity
from litehrnet.runtimes.parity import Parity, compare, weights_of

SIZE = (64, 32)
FORMATS = {"onnx": ".onnx", "openvino": ".xml", "ncnn": ".ncnn.param", "c": ".lhr"}


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory, exported: Callable) -> dict[str, Path]:
    """One trained-like network in every format; see `model`."""
    folder, (model, _) = tmp_path_factory.mktemp("formats"), exported()
    return {
        name: export(model, folder / f"net{end}", size=SIZE, **QUICK.get(name, {}))[0] for name, end in FORMATS.items()
    }


QUICK = {"onnx": {"exporter": "torchscript"}}


@pytest.fixture(scope="module")
def model(exported: Callable) -> nn.Module:
    return exported()[0]


@pytest.mark.numeric
@pytest.mark.parametrize("name", FORMATS)
def test_every_format_is_proved_by_one_call(model: nn.Module, files: dict[str, Path], name: str) -> None:
    rows = check_parity(model, files[name], [SIZE], [1])
    proved(rows, 1e-4)
    assert len(rows) == 1 and len(rows[0].per_joint) == 17 and max(rows[0].per_joint) == pytest.approx(rows[0].max_rel)
    assert explain(rows[0]) == "all 17 joints agree"
    with torch.autocast("cpu", torch.bfloat16):
        assert check_parity(model, files[name], [SIZE], [1])[0].max_rel == rows[0].max_rel


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"sizes": []}, "no sizes to compare at, which proves nothing"),
        ({"batches": []}, "no batches to compare at, which proves nothing"),
        ({"batches": [1.5]}, "batch must be an integer of at least 1, got 1.5"),
        ({"batches": [0]}, "batch must be an integer of at least 1, got 0"),
        ({"batches": ["1"]}, "batch must be an integer"),
        ({"inputs": []}, "no inputs to compare on, which proves nothing"),
        ({"inputs": [np.zeros((1, 3, 64, 32))], "batches": [1]}, "not both"),
        ({"tolerance": float("nan")}, "at least 0 and below 1"),
        ({"tolerance": float("inf")}, "at least 0 and below 1"),
        ({"tolerance": -1e-4}, "at least 0 and below 1"),
        ({"tolerance": 1}, "at least 0 and below 1"),
        ({"tolerance": "1e-4"}, "at least 0 and below 1"),
    ],
)
def test_a_proof_of_nothing_is_refused(
    model: nn.Module, files: dict[str, Path], name: str, arguments: dict, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        check_parity(model, files[name], **arguments)


@pytest.mark.parametrize("name", ["onnx", "openvino", "ncnn"])
def test_what_a_file_does_not_take_costs_no_memory(model: nn.Module, files: dict[str, Path], name: str) -> None:
    with pytest.raises(ValueError, match="takes height 64 only, got 2048"):
        check_parity(model, files[name], [(2048, 2048)], [1])


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_a_reference_that_is_less_exact_is_refused(files: dict[str, Path], dtype: torch.dtype) -> None:
    with pytest.raises(ValueError, match=r"computes in b?float16 and cannot judge a file; load its weights again"):
        check_parity(tiny_model().to(dtype), files["onnx"])


@pytest.mark.numeric
def test_a_reference_in_float64_is_taken(model: nn.Module, files: dict[str, Path]) -> None:
    import copy

    proved(check_parity(copy.deepcopy(model).double(), files["onnx"]))


def test_a_checkpoint_is_no_exported_file(model: nn.Module, tmp_path: Path) -> None:
    from litehrnet.files import data_path

    with pytest.raises(ValueError, match="is a checkpoint, not an exported file"):
        check_parity(model, data_path("litehrnet18_256x192.safetensors"))


def test_values_that_are_not_finite_are_not_exported() -> None:
    model = tiny_model()
    check_exportable(model, SIZE)
    with torch.no_grad():
        model.backbone.stem.conv1.bn.running_var[3] = torch.inf
    with pytest.raises(ValueError, match=r"running_var .*not finite .*load the weights again"):
        check_exportable(model, SIZE)


# What a failed proof says

MAPS = st.integers(0, 2**32 - 1).map(lambda seed: np.random.default_rng(seed).standard_normal((2, 5, 4, 3)))


@settings(deadline=None)
@given(MAPS, st.sets(st.integers(0, 4), min_size=1, max_size=4))
def test_the_joints_that_differ_are_named(maps: np.ndarray, wrong: set[int]) -> None:
    theirs = maps.copy()
    for joint in wrong:
        theirs[1, joint] = np.flip(theirs[1, joint])
    row = compare(maps, theirs, (16, 12))
    assert not row.ok and set(row.different_joints) == wrong and row.factor is None
    most = max(wrong, key=lambda joint: row.per_joint[joint])
    for names in ("abcde", None):  # whichever are fewer are listed
        said = explain(row, names=names)
        if len(wrong) < 3:
            assert said.endswith("; the others agree")
            told, fewer = said.split(" of 5")[0], wrong
        else:
            assert said.startswith(
                f"{len(wrong)} of 5 joints differ, {names[most] if names else f'joint {most}'} the most"
            )
            told, fewer = said.rpartition("; only ")[2].rpartition(" agree")[0], set(range(5)) - wrong
        words = told.removeprefix("joints ").removeprefix("joint ").replace(" and ", ", ").split(", ")
        assert sorted(words) == sorted((names or "01234")[joint] for joint in fewer)


@settings(deadline=None)
@given(MAPS, st.sampled_from([-2.0, -1.0, 0.004, 0.5, 1.01, 255.0]))
def test_a_common_factor_is_found(maps: np.ndarray, factor: float) -> None:
    row = compare(maps, factor * maps, (16, 12))
    assert not row.ok and row.factor == pytest.approx(factor)
    assert "on another scale" in explain(row)


@settings(deadline=None)
@given(MAPS, st.floats(0.2, 3))
def test_an_offset_is_no_factor(maps: np.ndarray, offset: float) -> None:
    row = compare(maps, maps + offset, (16, 12))
    assert row.factor is None and explain(row).startswith("all 5 joints differ")


def test_a_parity_of_the_first_edition_can_still_be_made() -> None:
    row = Parity((64, 32), 1, 0.5, 0.25, True, False)
    assert repr(row) == "Parity(size=(64, 32), batch=1, max_abs=0.5, max_rel=0.25, same_peaks=True, ok=False)"


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize(("variant", "joints"), [("naive_litehrnet18", 17), ("litehrnet18", 5)])
def test_a_file_of_another_variant_is_named(files: dict[str, Path], name: str, variant: str, joints: int) -> None:
    torch.manual_seed(0)
    other = litehrnet.create_model(variant, joints)
    if name == "ncnn" and joints == 17:  # its files have no place for the name
        assert not check_parity(other, files[name], [SIZE], [1])[0].ok
        return
    words = r"gives .* of shape \(1, 17, 16, 8\) where torch gives"
    if name != "ncnn":
        words = f"holds litehrnet18 with 17 joints, and the model is {variant} with {joints} joints"
    with pytest.raises(ValueError, match=words):
        check_parity(other, files[name], [SIZE], [1])


@pytest.mark.numeric
def test_a_file_that_computes_the_same_is_right_whatever_it_says(model: nn.Module, exported: Callable, tmp_path: Path):
    graph = onnx.load(exported()[1])
    onnx.helper.set_model_props(graph, {"litehrnet": '{"variant": "litehrnet30", "joints": 5}'})
    onnx.save(graph, tmp_path / "m.onnx")
    proved(check_parity(model, tmp_path / "m.onnx"))


# Other networks


class TwoInTwoOut(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.line = nn.Linear(6, 4)

    def forward(self, rows: torch.Tensor, places: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        values = self.line(rows)  # (N, 4)
        return values, values.softmax(-1).gather(1, places)


def write(module: nn.Module, inputs: tuple, path: Path, dynamo: bool = False) -> Path:
    with quiet(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(module.eval(), inputs, path, dynamo=dynamo, opset_version=18)
    return path


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_any_module_on_inputs_of_its_own(tmp_path: Path, runtime: str) -> None:
    torch.manual_seed(0)
    module, inputs = TwoInTwoOut(), (torch.randn(3, 6), torch.tensor([[0, 1], [2, 2], [3, 0]]))
    path = write(module, inputs, tmp_path / "two.onnx")
    entries = [inputs, (torch.randn(3, 6).numpy(), inputs[1].numpy())]
    rows = check_parity(module, path, inputs=entries, runtime=runtime)
    proved(rows)
    assert len(rows) == 2 and rows[0].batch == 3 and rows[0].size == ()
    with torch.no_grad():
        module.line.weight[2] += 1
    rows = check_parity(module, path, inputs=entries, runtime=runtime)
    assert not any(row.ok for row in rows)
    for wrong, words in (
        (inputs[0], "takes 2 inputs .*, got 1"),
        ((inputs[1], inputs[0][:2]), r"takes .* as \(3, 6\), got \(3, 2\)"),
        ("rows", "an input is an array or a tensor"),
    ):
        with pytest.raises(ValueError, match=words):
            check_parity(module, path, inputs=wrong, runtime=runtime)


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Sequential(nn.Conv1d(2, 3, 3), nn.ReLU()), (1, 2, 9)),
        (nn.Conv2d(1, 2, 3), (2, 1, 11, 7)),
        (nn.Conv3d(1, 2, 2), (1, 1, 4, 5, 3)),
        (nn.Linear(3, 3), (3,)),
        (nn.AdaptiveAvgPool2d((2, 3)), (1, 4, 8, 9)),
    ],
)
def test_any_rank(tmp_path: Path, module: nn.Module, shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    x = torch.randn(shape)
    (row,) = check_parity(module, write(module, (x,), tmp_path / "m.onnx"), inputs=x)
    proved([row])
    assert row.size == shape[2:] and row.batch == shape[0]


@pytest.mark.parametrize(
    ("module", "shape"),
    [(nn.Conv2d(3, 4, 3), (1, 3, 53, 40)), (nn.Linear(5, 2), (2, 5)), (nn.Conv2d(1, 4, 3), (1, 1, 32, 32))],
)
def test_another_network_without_inputs_is_told_of_them(
    tmp_path: Path, module: nn.Module, shape: tuple[int, ...]
) -> None:
    path = write(module, (torch.zeros(shape),), tmp_path / "m.onnx")
    with pytest.raises(ValueError, match=rf"; if this {type(module).__name__} is not .* as inputs=example$"):
        check_parity(module, path)


# What the weights say


@pytest.mark.numeric
def test_the_tolerance_follows_the_weights_not_the_metadata(tmp_path: Path) -> None:
    model = tiny_model()
    path = export_onnx(model, tmp_path / "m.onnx", SIZE, exporter="torchscript")
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {"litehrnet": '{"weights": "float16"}'})
    onnx.save(graph, path)
    assert weights_of(path) == "float32"
    with torch.no_grad():
        model.head.final_layer.weight *= 1.001
    (row,) = check_parity(model, path)
    beyond(row.max_rel, 1e-4, "above the tolerance of float32")
    within(row.max_rel, 2e-2, "below that of float16")
    assert not row.ok and row.factor is not None


@pytest.mark.numeric
def test_float16_arithmetic_of_other_tools_is_judged_as_float16(tmp_path: Path) -> None:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    model = tiny_model()
    source = export_onnx(model, tmp_path / "m.onnx", SIZE, exporter="torchscript")
    for keep, name in ((True, "inside.onnx"), (False, "whole.onnx")):
        graph = convert_float_to_float16(onnx.load(source), keep_io_types=keep)
        del graph.metadata_props[:]
        onnx.save(graph, tmp_path / name)
        assert weights_of(tmp_path / name) == "float16"
        (row,) = check_parity(model, tmp_path / name)
        proved([row], 2e-2)
        beyond(row.max_rel, 1e-5, "rounded at all")
        assert row.tolerance == 2e-2


@pytest.mark.parametrize("name", ["openvino", "ncnn", "c"])
def test_half_files_of_every_format_say_so(model: nn.Module, tmp_path: Path, files: dict[str, Path], name: str) -> None:
    path = export(model, tmp_path / f"m{FORMATS[name]}", size=SIZE, weights="float16")[0]
    assert (weights_of(path), weights_of(files[name])) == ("float16", "float32")


# Differences that rounding explains


@pytest.mark.numeric
@pytest.mark.parametrize(("height", "width"), [(64, 32), (320, 32)])
def test_what_float32_rounds_in_torch_too_is_no_fault(
    model: nn.Module, exported: Callable, monkeypatch: pytest.MonkeyPatch, height: int, width: int
) -> None:
    """With a usual tolerance below rounding, as a very large image has it: rounding passes, and a small fault does not.

    A tolerance that was given is kept.
    """
    file = exported(dynamic="size")[1]
    monkeypatch.setitem(parity.TOLERANCES, "float32", 1e-9)
    (row,) = check_parity(model, file, [(height, width)], [2])
    assert row.ok and row.rounding is not None and row.max_rel <= row.tolerance
    beyond(row.max_rel, 1e-9, "rounding")
    within(row.tolerance, 1e-3, "tolerance")
    (strict,) = check_parity(model, file, [(height, width)], [2], 1e-9)
    assert not strict.ok and strict.rounding is None and strict.tolerance == 1e-9
    faulty = copy.deepcopy(model)
    last = [parameter for parameter in faulty.parameters() if parameter.ndim == 4][-1]
    with torch.no_grad():
        last.mul_(1 + 30 * row.tolerance)
    (wrong,) = check_parity(faulty, file, [(height, width)], [2])
    assert not wrong.ok and wrong.rounding is not None


@pytest.mark.parametrize(("size", "batch"), [((4096, 4096), 10**6), ((64, 32), 10**9), ((96, 96), 5 * 10**8)])
def test_a_batch_that_no_memory_holds_is_refused_at_once(
    model: nn.Module, exported: Callable, size: tuple[int, int], batch: int
) -> None:
    with pytest.raises(ValueError, match=rf"{batch} images of {size[0]}x{size[1]} .* GB are free; use a smaller"):
        check_parity(model, exported(dynamic="size")[1], [size], [1, batch])


def test_the_old_arguments_warn_and_work(tmp_path: Path) -> None:
    model = tiny_model()
    with pytest.warns(DeprecationWarning, match="dynamic=False is now dynamic=None"):
        export_onnx(model, tmp_path / "a.onnx", SIZE, False, "torchscript")
    with pytest.warns(DeprecationWarning, match='fp16=True is now weights="float16"'):
        half = export_onnx(model, tmp_path / "b.onnx", SIZE, exporter="torchscript", fp16=True)
    assert weights_of(half) == "float16"
