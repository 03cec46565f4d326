"""Pixels as the input and joints as outputs of an ONNX file: exact, stated in the file, understood by every command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper
from tiny import tiny_model

from litehrnet import cli
from litehrnet.export import check_parity, export, export_onnx
from litehrnet.export.ends import give_joints
from litehrnet.export.int8 import quantize_int8
from litehrnet.heatmaps import decode, to_input
from litehrnet.measure import bench
from litehrnet.runtimes import load, signature

SIZE = (64, 96)


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    folder, model = tmp_path_factory.mktemp("ends"), tiny_model()
    made: dict[tuple[str, bool, str | None], Path] = {}

    def make(inputs: str = "float32", decoded: bool = False, dynamic: str | None = None) -> Path:
        key = inputs, decoded, dynamic
        if key not in made:
            path = folder / f"{inputs}-{decoded}-{dynamic}.onnx"
            options = {"exporter": "torchscript", "dynamic": dynamic}
            made[key] = export_onnx(model, path, SIZE, inputs=inputs, decode=decoded, **options)
        return made[key]

    return make


def crops(count: int, size: tuple[int, int] = SIZE) -> np.ndarray:
    return np.random.default_rng(3).integers(0, 256, (count, *size, 3), dtype=np.uint8)


def normalised(pixels: np.ndarray) -> np.ndarray:
    return np.concatenate([to_input(one) for one in pixels])


@pytest.mark.parametrize("dynamic", [None, "batch", "size"])
def test_pixels_and_joints_are_those_of_python(files: Callable, dynamic: str | None) -> None:
    plain, whole = load(files(dynamic=dynamic)), files("uint8", True, dynamic)
    session = onnxruntime.InferenceSession(whole, providers=["CPUExecutionProvider"])
    assert [value.name for value in session.get_inputs()] == ["pixels"]
    for count, size in [(1, SIZE)] + [(3, SIZE)] * bool(dynamic) + [(2, (96, 128))] * (dynamic == "size"):
        pixels = crops(count, size)
        expected = plain(normalised(pixels))
        heatmaps, joints, scores = session.run(["heatmaps", "joints", "scores"], {"pixels": pixels})
        assert np.array_equal(heatmaps, expected)
        assert np.array_equal(joints, decode(heatmaps)[0]) and np.array_equal(scores, decode(heatmaps)[1])
        assert np.array_equal(load(whole)(normalised(pixels)), expected)
        only = session.run(["joints"], {"pixels": pixels})
        assert np.array_equal(only[0], joints)


@pytest.mark.parametrize("sides", [(16, 12), (3, 5), (1, 1), (2, 40)])
@pytest.mark.parametrize("free", [False, True])
def test_decoding_in_the_graph_is_exact_for_any_maps(sides: tuple[int, int], free: bool, tmp_path: Path) -> None:
    shape = ["n", 50, "h", "w"] if free else [4, 50, *sides]
    value = helper.make_tensor_value_info("heatmaps", TensorProto.FLOAT, shape)
    source = helper.make_tensor_value_info("maps", TensorProto.FLOAT, shape)
    nodes = [helper.make_node("Identity", ["maps"], ["heatmaps"])]
    model = helper.make_model(helper.make_graph(nodes, "maps", [source], [value]))
    model.ir_version = 10
    model.opset_import[0].version = 18
    give_joints(model)
    onnx.checker.check_model(model, full_check=True)
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    rng = np.random.default_rng(9)
    maps = rng.standard_normal((4, 50, *sides)).astype(np.float32)
    _, joints, scores = session.run(None, {"maps": maps})
    assert np.array_equal(joints, decode(maps)[0]) and np.array_equal(scores, decode(maps)[1])
    # Symmetric around the peak: no move. Two peaks that do not touch: the first counts.
    if min(sides) > 4:
        maps[:] = 0
        maps[:, :, 7, 6] = maps[:, :, 12, 9] = 1
        _, joints, scores = session.run(None, {"maps": maps})
        assert (joints == (24, 28)).all() and (scores == 1).all()


def test_the_file_says_what_it_takes_and_gives(files: Callable, capsys: pytest.CaptureFixture) -> None:
    about = signature(files("uint8", True))
    assert about.pixels and about.decoded and (about.batch, about.channels, about.height, about.width) == (1, 3, *SIZE)
    assert about.metadata["input"] == "uint8" and about.metadata["decoded"] is True and about.size == SIZE
    assert not signature(files()).pixels and not signature(files()).decoded
    assert not cli.main(["check", str(files("uint8", True))])
    assert "takes RGB pixels (uint8, channels last), batch 1 only, 64x96 only" in capsys.readouterr().out


def test_parity_is_proved_through_the_pixels(files: Callable, tmp_path: Path) -> None:
    assert all(row.ok for row in check_parity(tiny_model(), files("uint8", True, "size"), [SIZE, (96, 64)], [1, 2]))
    # A graph that swaps the colours, or that decodes half a pixel off, is found out.
    for name, wrong in {"pixels_mean": lambda x: x[:, ::-1].copy(), "decode_quarter": lambda x: x * 2}.items():
        model = onnx.load(files("uint8", True))
        tensor = next(each for each in model.graph.initializer if each.name == name)
        tensor.CopyFrom(onnx.numpy_helper.from_array(wrong(onnx.numpy_helper.to_array(tensor)), name))
        onnx.save(model, tmp_path / "wrong.onnx")
        try:
            assert not all(row.ok for row in check_parity(tiny_model(), tmp_path / "wrong.onnx"))
        except ValueError as error:
            assert "does not decode its heatmaps" in str(error) and name == "decode_quarter"


def test_images_that_are_no_pixels_are_refused(files: Callable) -> None:
    run = load(files("uint8"))
    for images in (
        np.random.default_rng(0).standard_normal((1, 3, *SIZE), dtype=np.float32),
        np.full((1, 3, *SIZE), 9.0),
    ):
        with pytest.raises(ValueError, match="takes pixels, whole numbers"):
            run(images.astype(np.float32))
    with pytest.raises(ValueError, match="height 64 only"):
        run(normalised(crops(1, (96, 64))))


def test_wrong_calls_are_one_sentence(files: Callable, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="needs opset 13 or later, got 12"):
        export_onnx(tiny_model(), tmp_path / "a.onnx", SIZE, exporter="torchscript", opset=12, decode=True)
    with pytest.raises(ValueError, match="inputs"):
        export_onnx(tiny_model(), tmp_path / "a.onnx", SIZE, inputs="int8")
    with pytest.raises(ValueError, match="inputs is an option of onnx files, not of openvino files"):
        export(tiny_model(), tmp_path / "a.xml", inputs="uint8")
    with pytest.raises(ValueError, match="which int8 would round"):
        quantize_int8(files("uint8"), tmp_path / "a.onnx", [normalised(crops(1))])
    assert not list(tmp_path.iterdir())


def test_bench_and_predict_take_such_files(files: Callable, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    rows = bench([files(), files("uint8", True)], sessions=1, rounds=1).rows
    assert rows[1].max_rel == 0 and rows[1].same_peaks
    photo = tmp_path / "photo.png"
    from PIL import Image

    Image.fromarray(crops(1, (80, 60))[0]).save(photo)
    found = []
    for file in (files(), files("uint8", True)):
        assert not cli.main(["predict", str(photo), "--model", str(file), "--json"])
        found.append(json.loads(capsys.readouterr().out))
    assert found[0] == found[1]


def test_the_command_line_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    target = tmp_path / "my.onnx"
    words = ["export", "litehrnet18", "-o", str(target), "--exporter", "torchscript", "--size", "64x64"]
    assert not cli.main([*words, "--input", "uint8", "--decode"])
    assert signature(target).pixels and signature(target).decoded
    assert cli.main(["export", "litehrnet18", "-o", str(tmp_path / "my.lhr"), "--decode"])
    assert "--decode belongs to ONNX files" in capsys.readouterr().err
