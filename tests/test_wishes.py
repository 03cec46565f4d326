"""What compilers for accelerators refuse: found by operator, rank, free sizes and opset, and a way round each."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import onnx
import pytest
from onnx import TensorProto, helper
from tiny import tiny_model

import litehrnet
from litehrnet import cli
from litehrnet.cli.check import COMPILERS
from litehrnet.export import export_onnx
from litehrnet.export.c import export_c
from litehrnet.export.wishes import TARGETS, wishes_of
from litehrnet.fusion import fuse
from litehrnet.runtimes.graph import read_graph

SIZE = (64, 64)


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., onnx.ModelProto]:
    folder = tmp_path_factory.mktemp("wishes")

    def make(name: str, fused: bool = False, **options: object) -> onnx.ModelProto:
        path = folder / f"{name}.onnx"
        model = fuse(tiny_model(), SIZE, target="openvino") if fused else tiny_model()
        return read_graph(export_onnx(model, path, SIZE, exporter="torchscript", **options))

    return make


def words(found: list) -> str:
    return "\n".join(map(str, found))


def test_the_shuffle_has_five_dimensions_and_the_fused_graph_none(graph: Callable) -> None:
    plain = words(wishes_of(graph("plain"), "rknn"))
    assert "Transpose with 5 dimensions, where 4 are the most: export with --fused" in plain
    assert wishes_of(graph("fused", fused=True), "rknn") == []


def test_free_sizes_opsets_and_decoding_are_named(graph: Callable) -> None:
    free = words(wishes_of(graph("free", dynamic="size"), "rknn"))
    assert "3 free sides of the input: export for one size, without --dynamic" in free
    assert "1 free side of the input" in words(wishes_of(graph("batch", dynamic="batch"), "tflite"))
    assert "opset 11, where 12 to 19 are read: export with --opset 12" in words(wishes_of(graph("o", opset=11), "rknn"))
    assert "opset 20, where 12 to 19 are read: export with --opset 19" in words(wishes_of(graph("p", opset=20), "rknn"))
    for target in ("rknn", "tflite"):
        assert "ArgMax: export without --decode" in words(wishes_of(graph("d", decode=True), target))


def test_a_list_of_known_operators_and_kinds_of_resize(graph: Callable) -> None:
    fused = graph("fused2", fused=True)
    armnn = words(wishes_of(fused, "armnn"))
    assert "Resize (nearest): Arm NN's delegate" in armnn and "Conv" not in armnn
    assert "Resize (nearest)" in words(wishes_of(fused, "tflite")) and "linear" not in words(wishes_of(fused, "tflite"))


@pytest.mark.parametrize("target", ["coreml", "qnn", "tensorrt"])
def test_what_these_lists_hold_is_granted_and_decoding_is_not(graph: Callable, target: str) -> None:
    assert wishes_of(graph("fused3", fused=True), target) == [] == wishes_of(graph("plain2"), target)
    free = words(wishes_of(graph("free2", dynamic="size"), target))
    assert ("free sides of the input" in free) == (target == "qnn")
    decoding = words(wishes_of(graph("d2", decode=True), target))
    assert ("GatherElements" in decoding) == (target != "tensorrt")  # which TensorRT supports


def resize_graph(**attributes: str) -> onnx.ModelProto:
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 1, side, side]) for name, side in ZOOMED]
    node = helper.make_node("Resize", ["x", "", "scales"], ["y"], **attributes)
    scales = helper.make_tensor("scales", TensorProto.FLOAT, [4], [1, 1, 2, 2])
    return helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], [scales]))


ZOOMED = (("x", 4), ("y", 8))


@pytest.mark.parametrize(
    ("attributes", "granted"),
    [
        ({"mode": "nearest"}, False),  # half_pixel, ONNX's default
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "ceil"}, False),
        ({"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}, True),
        ({"mode": "linear", "coordinate_transformation_mode": "align_corners"}, True),
        ({"mode": "linear", "coordinate_transformation_mode": "asymmetric"}, False),
        ({"mode": "cubic"}, False),
    ],
)
def test_a_kind_of_resize_that_core_ml_lacks_is_named(attributes: dict, granted: bool) -> None:
    found = words(wishes_of(resize_graph(**attributes), "coreml"))
    assert (found == "") == granted and (granted or f"Resize ({attributes['mode']}" in found)
    assert wishes_of(resize_graph(**attributes), "qnn") == []


@pytest.mark.parametrize(
    ("kind", "point", "refused"),
    [
        (TensorProto.INT8, 0, []),
        (TensorProto.INT8, 3, ["1 with a zero point other than 0"]),
        (TensorProto.UINT8, 0, ["1 quantised to uint8, where float4e2m1, float8e4m3fn, int4, int8 are taken"]),
        (TensorProto.UINT16, 9, ["1 quantised to uint16", "1 with a zero point other than 0"]),
    ],
)
def test_tensorrt_quantises_symmetrically(kind: int, point: int, refused: list[str]) -> None:
    values = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [4]), helper.make_tensor_value_info("y", kind, [4])]
    constants = [helper.make_tensor("s", TensorProto.FLOAT, [], [0.1]), helper.make_tensor("z", kind, [], [point])]
    node = helper.make_node("QuantizeLinear", ["x", "s", "z"], ["y"])
    model = helper.make_model(helper.make_graph([node], "g", values[:1], values[1:], constants))
    model.opset_import[0].version = 21
    found = [str(each) for each in wishes_of(model, "tensorrt")]
    assert len(found) == len(refused) and all(map(str.startswith, found, refused))


def test_a_graph_of_another_tool() -> None:
    value = helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 2, 2, 2, 2])
    out = helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 2, 2, 2, 2])
    nodes = [helper.make_node("Relu", ["x"], ["z"]), helper.make_node("Relu", ["z"], ["y"])]
    model = helper.make_model(helper.make_graph(nodes, "g", [value], [out]))
    model.opset_import[0].version = 13
    assert words(wishes_of(model, "rknn")) == (
        "2 x Relu with 5 dimensions, where 4 are the most: export with --fused, which moves no channels"
    )
    with pytest.raises(ValueError, match="unknown target 'npu'"):
        wishes_of(model, "npu")


def test_the_command_names_them_and_says_so_by_its_exit_code(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    assert tuple(TARGETS) == COMPILERS
    plain, fused = tmp_path / "plain.onnx", tmp_path / "fused.onnx"
    export_onnx(tiny_model(), plain, SIZE, exporter="torchscript")
    export_onnx(fuse(tiny_model(), SIZE, target="openvino"), fused, SIZE, exporter="torchscript")
    assert cli.main(["check", str(plain), "--for", "rknn"]) == 1
    assert "refused, or left to the CPU:" in capsys.readouterr().out
    assert cli.main(["check", str(fused), "--for", "rknn"]) == 0
    out = capsys.readouterr().out
    assert "nothing known that it refuses" in out and "source: RKNN-Toolkit2" in out
    export_c(litehrnet.create_model("litehrnet18"), tmp_path / "x.lhr", SIZE)
    assert cli.main(["check", str(tmp_path / "x.lhr"), "--for", "rknn"]) == 1
    assert "--for reads ONNX files" in capsys.readouterr().err
