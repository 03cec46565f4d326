"""A network is rebuilt from its ONNX file, and exported again: at another size, from another tool's file, as int8."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from bounds import same
from onnx import TensorProto, helper, numpy_helper
from PIL import Image
from reference import reference_input, reference_model

import litehrnet
from litehrnet import cli
from litehrnet.export import check_parity, export_onnx
from litehrnet.export.cleaning import half_storage
from litehrnet.export.rebuild import network_of
from litehrnet.files import data_path
from litehrnet.runtimes import load, signature
from litehrnet.runtimes.parity import weights_of


@pytest.fixture(scope="module")
def graph(exported: Callable) -> onnx.ModelProto:
    """An exported file without names or metadata, as another tool would have made it."""
    graph = onnx.load(exported()[1])
    del graph.metadata_props[:]
    return graph


def saved(graph: onnx.ModelProto, path: Path) -> Path:
    onnx.save(graph, path)
    return path


@pytest.mark.numeric
def test_the_network_of_a_file(exported: Callable) -> None:
    model, path = exported()
    network = network_of(path)
    assert (network.variant, network.num_joints) == (model.variant, model.num_joints)
    images = reference_input((96, 64), seed=3)
    same(load(network)(images.numpy()), load(model)(images.numpy()), 1e-3)


def test_batch_norms_that_were_not_folded(exported: Callable, graph: onnx.ModelProto, tmp_path: Path) -> None:
    """The first convolution gets a batch norm that undoes what was done to its weights."""
    odd = copy.deepcopy(graph)
    conv = next(node for node in odd.graph.node if node.op_type == "Conv")
    tensors = {tensor.name: tensor for tensor in odd.graph.initializer}
    weight, bias = (numpy_helper.to_array(tensors[name]) for name in conv.input[1:3])
    channels = len(weight)
    slope, mean = np.linspace(0.5, 2, channels), np.linspace(-1, 1, channels)
    values = {
        "scale": slope * np.sqrt(0.25 + 1e-5), "shift": bias, "mean": mean, "variance": np.full(channels, 0.25),
    }  # fmt: skip
    tensors[conv.input[1]].CopyFrom(
        numpy_helper.from_array((weight / slope[:, None, None, None]).astype(np.float32), conv.input[1])
    )
    tensors[conv.input[2]].CopyFrom(numpy_helper.from_array(mean.astype(np.float32), conv.input[2]))
    for name, value in values.items():
        odd.graph.initializer.append(numpy_helper.from_array(value.astype(np.float32), f"norm.{name}"))
    output, conv.output[0] = conv.output[0], "before.norm"
    norm = helper.make_node("BatchNormalization", ["before.norm", *(f"norm.{name}" for name in values)], [output])
    place = list(odd.graph.node).index(conv)
    odd.graph.node.insert(place + 1, norm)
    path = saved(odd, tmp_path / "norm.onnx")
    assert all(row.ok for row in check_parity(exported()[0], path))
    assert all(row.ok for row in check_parity(network_of(path), path))


def test_float16_weights(graph: onnx.ModelProto, tmp_path: Path) -> None:
    path = saved(half_storage(graph), tmp_path / "half.onnx")
    assert all(row.ok for row in check_parity(network_of(path), path, tolerance=1e-4))


def test_the_public_graph(exported: Callable, tmp_path: Path) -> None:
    """Its fuse step runs some convolutions twice."""
    public = litehrnet.with_fuse_step(exported()[0], "public")
    path = export_onnx(public, tmp_path / "public.onnx", (64, 32), exporter="torchscript")
    assert all(row.ok for row in check_parity(exported()[0], path))
    assert all(row.ok for row in check_parity(network_of(path), path))


def test_what_cannot_be_rebuilt(exported: Callable, graph: onnx.ModelProto, tmp_path: Path) -> None:
    fewer = copy.deepcopy(graph)
    relu = next(node for node in fewer.graph.node if node.op_type == "Sigmoid")
    relu.op_type = "Tanh"
    with pytest.raises(ValueError, match="does not compute what one computes from them"):
        network_of(saved(fewer, tmp_path / "tanh.onnx"))
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, (1, 3, 64, 32)) for name in "xy")
    weight = numpy_helper.from_array(np.ones((3, 3, 1, 1), np.float32), "w")
    other = helper.make_graph([helper.make_node("Conv", ["x", "w"], ["y"])], "other", [x], [y], [weight])
    with pytest.raises(ValueError, match="has 1 convolutions, and their shapes are not those of"):
        network_of(saved(helper.make_model(other), tmp_path / "other.onnx"))
    whole = onnx.load(exported()[1])
    helper.set_model_props(whole, {"litehrnet": '{"fused": true}'})
    with pytest.raises(ValueError, match="is fused, so its convolutions"):
        network_of(saved(whole, tmp_path / "fused.onnx"))
    with pytest.raises(ValueError, match="is not an exported file"):
        network_of(data_path("litehrnet18_256x192.safetensors"))


class TestCommand:
    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def call(self, capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
        code = cli.main(["export", *map(str, arguments), "--exporter", "torchscript"])
        return code, *capsys.readouterr()

    def test_a_fixed_file_at_another_size(self, capsys: pytest.CaptureFixture, exported: Callable) -> None:
        model, path = exported()
        code, out, err = self.call(capsys, path, "--size", "96x64")
        assert (code, err) == (0, "") and "rebuilt from the weights in " in out
        assert out.splitlines()[-1] == "model-96x64.onnx" and signature("model-96x64.onnx").size == (96, 64)
        assert all(row.ok for row in check_parity(model, "model-96x64.onnx"))

    def test_weights_stay_as_they_were(self, capsys: pytest.CaptureFixture, graph: onnx.ModelProto) -> None:
        saved(half_storage(graph), Path("half.onnx"))
        assert self.call(capsys, "half.onnx", "--size", "32x32", "-o", "small.onnx")[0] == 0
        assert weights_of("small.onnx") == "float16"

    def test_the_size_is_the_checkpoints_own(
        self, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = litehrnet.load_pretrained("litehrnet18")
        model.trained_size = (64, 96)
        monkeypatch.setattr("litehrnet.cli.models.load_model", lambda *_: copy.deepcopy(model))
        code, out, _ = self.call(capsys, "litehrnet18")
        assert code == 0 and "64x96 (height x width, as trained)" in out and "note: " not in out
        code, out, _ = self.call(capsys, "litehrnet18", "--size", "32x32")
        assert code == 0 and "note: the weights were trained at 64x96; at other sizes" in out

    def test_names_of_the_joints_are_stored(self, capsys: pytest.CaptureFixture, tmp_path: Path) -> None:
        """In COCO's form, whose bones count from 1; predict and check read them from the file."""
        names = [f"knuckle {k}" for k in range(21)]
        coco = {"categories": [{"id": 1, "name": "hand", "keypoints": names, "skeleton": [[1, 2], [2, 3]]}]}
        Path("hand.json").write_text(json.dumps(coco))
        torch.save(reference_model("litehrnet18", 21).state_dict(), "hand.pth")
        code, _, err = self.call(capsys, "hand.pth", "--size", "64x32", "--joints", "hand.json")
        assert code == 0, err
        assert signature("hand.onnx").metadata["joint_set"]["names"] == names
        assert cli.main(["predict", str(data_path("astronaut.jpg")), "--model", "hand.onnx", "--json"]) == 0
        found = json.loads(capsys.readouterr().out)
        assert [joint["name"] for joint in found["people"][0]["joints"]] == names
        assert found["skeleton"] == [[0, 1], [1, 2]]
        code, _, err = self.call(capsys, "hand.pth", "--joints", "coco", "--overwrite")
        assert code == 1 and "--joints coco names 17 joints, and the model has 21" in err

    @pytest.mark.parametrize("activations", ["int8", "int16"])
    def test_int8_with_pictures_of_ones_own(
        self, capsys: pytest.CaptureFixture, exported: Callable, activations: str, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        Path("photos").mkdir()
        for number in range(2):
            Image.open(data_path("astronaut.jpg")).rotate(10 * number).save(f"photos/{number}.jpg")
        Path("photos/notes.txt").write_text("no picture")
        arguments = ("--weights", "int8", "--calibrate", "photos", "--activations", activations, "-o", "small.onnx")
        code, out, err = self.call(capsys, exported()[1], *arguments)
        assert code == 0, err
        assert "int8: on the 2 calibration pictures joints move by" in out and "int8 weights" in out
        lost = re.search(r"(\d+)% of them by more than 2", out)
        assert lost is not None and ("warning: most joints are lost" in out) == (int(lost[1]) > 50)
        assert weights_of("small.onnx") == "int8" and sorted(p.name for p in Path().iterdir()) == [
            "photos",
            "small.onnx",
        ]
        types = {t.data_type for t in onnx.load("small.onnx").graph.initializer}
        assert (TensorProto.UINT16 in types) == (activations == "int16")
        if activations == "int8":
            monkeypatch.setattr("litehrnet.cli.check._diagnose", lambda *_: None)  # it takes its time
            assert cli.main(["check", "small.onnx", "--checkpoint", "litehrnet18"]) == 1
            assert "note: the file is in int8, which rounds more than this tolerance" in capsys.readouterr().out
        with pytest.raises(ValueError, match="int8 weights; give the float32 file"):
            network_of("small.onnx")

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--weights", "int8"), "add --calibrate FOLDER"),
            (("--calibrate", "."), "--calibrate . goes with --weights int8 only"),
            (("--weights", "int8", "--calibrate", "."), "holds no pictures"),
            (("--weights", "int8", "--calibrate", "nowhere"), "no such file"),
            (("--weights", "int8", "--calibrate", __file__), "give the folder that holds the pictures"),
            (("--weights", "int8", "--calibrate", ".", "-o", "my.lhr"), "makes a file for ONNX Runtime, OpenVINO"),
        ],
    )
    def test_wrong_calls(self, capsys: pytest.CaptureFixture, arguments: tuple, words: str) -> None:
        code = cli.main(["export", "litehrnet18", *arguments])
        out, err = capsys.readouterr()
        assert (code, out) == (1, "") and words in err and len(err.splitlines()) == 1 and not list(Path().iterdir())
