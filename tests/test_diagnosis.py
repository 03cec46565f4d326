"""A cause is planted in a file, and `diagnose` has to name it; for every format in which the cause can occur."""

from __future__ import annotations

import copy
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper, numpy_helper
from reference import reference_model

import litehrnet
from litehrnet import cli
from litehrnet.export import export, export_onnx
from litehrnet.heatmaps import MEAN, STD
from litehrnet.runtimes.diagnosis import diagnose

SIZE = (64, 32)
Plant = Callable[[onnx.ModelProto], None]


@pytest.fixture(scope="module")
def model() -> litehrnet.LiteHRNet:
    return litehrnet.set_pooling(litehrnet.load_pretrained("litehrnet18"), "computed")


@pytest.fixture(scope="module")
def right(model: litehrnet.LiteHRNet, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An ONNX file without a fault."""
    return export_onnx(model, tmp_path_factory.mktemp("right") / "right.onnx", SIZE, exporter="torchscript")


@pytest.fixture(scope="module")
def plain(right: Path) -> onnx.ModelProto:
    """Its graph, without what it says about itself, as another tool would have made it."""
    graph = onnx.load(right)
    del graph.metadata_props[:]
    return graph


def in_front(graph: onnx.ModelProto, *nodes: onnx.NodeProto, shape: tuple = (1, 3, *SIZE)) -> None:
    """Put nodes between a new input, called "given", and the old one, called "image"."""
    old = list(graph.graph.node)
    del graph.graph.node[:]
    graph.graph.node.extend([*nodes, *old])
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("given", TensorProto.FLOAT, shape))


def constant(graph: onnx.ModelProto, name: str, values: object) -> str:
    array = np.asarray(values)
    array = array.astype(np.float32).reshape(1, -1, 1, 1) if array.dtype.kind == "f" else array
    graph.graph.initializer.append(numpy_helper.from_array(array, name))
    return name


def arithmetic(*steps: tuple[str, object]) -> Plant:
    """Plant operators with a constant, one after the other."""

    def plant(graph: onnx.ModelProto) -> None:
        names = ["given", *(f"step{k}" for k in range(len(steps) - 1)), "image"]
        in_front(
            graph,
            *(
                helper.make_node(op, [names[k], constant(graph, f"value{k}", values)], [names[k + 1]])
                for k, (op, values) in enumerate(steps)
            ),
        )

    return plant


def swap_colours(graph: onnx.ModelProto) -> None:
    in_front(graph, helper.make_node("Gather", ["given", constant(graph, "bgr", [2, 1, 0])], ["image"], axis=1))


def swap_colours_and_scale(graph: onnx.ModelProto) -> None:
    names = [constant(graph, "mean", MEAN), constant(graph, "std", STD), constant(graph, "bgr", [2, 1, 0])]
    in_front(
        graph,
        helper.make_node("Gather", ["given", names[2]], ["rgb"], axis=1),
        helper.make_node("Sub", ["rgb", names[0]], ["less"]),
        helper.make_node("Div", ["less", names[1]], ["image"]),
    )


def bytes_in(graph: onnx.ModelProto) -> None:
    names = [constant(graph, "mean", MEAN), constant(graph, "std", STD)]
    in_front(
        graph,
        helper.make_node("Cast", ["given"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Sub", ["float", names[0]], ["less"]),
        helper.make_node("Div", ["less", names[1]], ["image"]),
    )
    graph.graph.input[0].CopyFrom(helper.make_tensor_value_info("given", TensorProto.UINT8, (1, 3, *SIZE)))


def channels_last(graph: onnx.ModelProto) -> None:
    in_front(graph, helper.make_node("Transpose", ["given"], ["image"], perm=[0, 3, 1, 2]), shape=(1, *SIZE, 3))
    name = graph.graph.output[0].name
    dims = [dim.dim_value for dim in graph.graph.output[0].type.tensor_type.shape.dim]
    graph.graph.node.append(helper.make_node("Transpose", [name], ["last"], perm=[0, 2, 3, 1]))
    shape = (dims[0], *dims[2:], dims[1])
    graph.graph.output[0].CopyFrom(helper.make_tensor_value_info("last", TensorProto.FLOAT, shape))


def other_order(graph: onnx.ModelProto) -> None:
    name, dims = graph.graph.output[0].name, [d.dim_value for d in graph.graph.output[0].type.tensor_type.shape.dim]
    order = constant(graph, "order", np.roll(np.arange(dims[1]), 1))
    graph.graph.node.append(helper.make_node("Gather", [name, order], ["rolled"], axis=1))
    graph.graph.output[0].CopyFrom(helper.make_tensor_value_info("rolled", TensorProto.FLOAT, dims))


def rounded(graph: onnx.ModelProto) -> None:
    """Weights that went through float16 and are stored as float32 again."""
    for tensor in graph.graph.initializer:
        values = numpy_helper.to_array(tensor)
        if values.dtype == np.float32 and values.ndim == 4:
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16).astype(np.float32), tensor.name))


MEAN_1, STD_1 = (np.divide(values, 255) for values in (MEAN, STD))
CAUSES: dict[str, tuple[Plant, tuple[str, ...]]] = {
    "BGR": (swap_colours, ("takes BGR",)),
    "BGR, 0..255": (swap_colours_and_scale, ("takes BGR and takes the scale 0..255, with mean and deviation inside",)),
    "0..255": (arithmetic(("Sub", MEAN), ("Div", STD)), ("takes the scale 0..255, with mean and deviation inside",)),
    "0..1": (arithmetic(("Sub", MEAN_1), ("Div", STD_1)), ("takes the scale 0..1, with mean and deviation inside",)),
    "-1..1": (
        arithmetic(("Add", [1.0]), ("Mul", [127.5]), ("Sub", MEAN), ("Div", STD)),
        ("takes the scale -1..1, with mean and deviation inside",),
    ),
    "deviation inside": (arithmetic(("Div", STD)), ("divides by the deviation inside the file, and takes 0..255",)),
    "mean inside": (arithmetic(("Sub", np.divide(MEAN, STD))), ("subtracts the mean inside the file",)),
    "uint8": (bytes_in, ("takes the scale 0..255, with mean and deviation inside",)),
    "channels last": (channels_last, ("takes channels last", "gives heatmaps with the channels last")),
    "joints": (other_order, ("has its joints in another order (its joint 0 is the model's 16",)),
    "float16": (rounded, ("differs by as much as float16 weights or arithmetic do",)),
}


@pytest.mark.parametrize("cause", CAUSES)
def test_a_planted_cause_is_named(
    model: litehrnet.LiteHRNet, plain: onnx.ModelProto, tmp_path: Path, cause: str
) -> None:
    plant, phrases = CAUSES[cause]
    graph = copy.deepcopy(plain)
    plant(graph)
    onnx.checker.check_model(graph)
    path = tmp_path / "planted.onnx"
    onnx.save(graph, path)
    found = diagnose(model, path)
    assert found.matches and len(found.causes) == len(phrases), str(found)
    for said, wanted in zip(found.causes, phrases, strict=True):
        assert wanted in said
    assert "then it matches" in str(found)


@pytest.mark.parametrize("cause", ["0..255", "channels last"])
def test_in_openvino(model: litehrnet.LiteHRNet, plain: onnx.ModelProto, tmp_path: Path, cause: str) -> None:
    openvino = pytest.importorskip("openvino")
    plant, phrases = CAUSES[cause]
    graph = copy.deepcopy(plain)
    plant(graph)
    onnx.save(graph, tmp_path / "planted.onnx")
    path = tmp_path / "planted.xml"
    openvino.save_model(openvino.convert_model(tmp_path / "planted.onnx"), path, compress_to_fp16=False)
    found = diagnose(model, path)
    assert found.matches and all(wanted in said for said, wanted in zip(found.causes, phrases, strict=True)), str(found)


def with_swapped_colours(model: litehrnet.LiteHRNet) -> litehrnet.LiteHRNet:
    """A network whose first convolution takes BGR, so that any exporter plants the cause."""
    other = copy.deepcopy(model)
    conv = other.backbone.stem.conv1.conv
    with torch.no_grad():
        conv.weight.copy_(conv.weight.flip(1))
    return other


@pytest.mark.parametrize("ending", [".ncnn.param", ".lhr"])
def test_in_the_other_formats(model: litehrnet.LiteHRNet, tmp_path: Path, ending: str) -> None:
    path = export(with_swapped_colours(model), tmp_path / f"bgr{ending}", size=SIZE)[0]
    found = diagnose(model, path, SIZE)
    assert found.matches and found.causes == ("it takes BGR",), str(found)


def test_a_right_file_matches_as_it_is(model: litehrnet.LiteHRNet, right: Path) -> None:
    found = diagnose(model, right)
    assert (found.causes, found.matches, found.tried) == ((), True, 1) and str(found).startswith("it matches as it is")


def test_the_tidy_fuse_step(model: litehrnet.LiteHRNet, right: Path, tmp_path: Path) -> None:
    tidy = litehrnet.with_fuse_step(model, "tidy")
    path = export_onnx(tidy, tmp_path / "tidy.onnx", SIZE, exporter="torchscript")
    found = diagnose(model, path)
    assert found.matches and found.causes == ("it has the tidy fuse step, not that of the public code",)
    back = diagnose(tidy, right)
    assert back.matches and back.causes == (
        "it has the fuse step of the public code, where the model has the tidy one",
    )


@pytest.mark.parametrize("kind", ["onnx", "openvino"])
def test_other_weights(model: litehrnet.LiteHRNet, plain: onnx.ModelProto, tmp_path: Path, kind: str) -> None:
    graph, random = copy.deepcopy(plain), np.random.default_rng(0)
    for tensor in graph.graph.initializer:
        if len(tensor.dims) == 4:
            values = 0.1 * random.standard_normal(tuple(tensor.dims))
            tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float32), tensor.name))
    path = tmp_path / "other.onnx"
    onnx.save(graph, path)
    if kind == "openvino":
        openvino = pytest.importorskip("openvino")
        openvino.save_model(openvino.convert_model(path), path.with_suffix(".xml"))
        path = path.with_suffix(".xml")
    found = diagnose(model, path)
    assert not found.matches and "combinations of common causes makes it match" in str(found)
    assert "0 of the model's " in str(found) and "so it holds other weights" in str(found)


def test_another_variant(model: litehrnet.LiteHRNet, tmp_path: Path) -> None:
    path = export_onnx(reference_model("naive_litehrnet18"), tmp_path / "naive.onnx", SIZE, exporter="torchscript")
    assert "as many depthwise filters as naive_litehrnet18, and the model is litehrnet18" in str(diagnose(model, path))


def test_right_weights_and_a_wrong_graph(model: litehrnet.LiteHRNet, plain: onnx.ModelProto, tmp_path: Path) -> None:
    graph = copy.deepcopy(plain)
    for node in graph.graph.node:
        if node.op_type == "Sigmoid":
            node.op_type = "Tanh"
    onnx.save(graph, tmp_path / "tanh.onnx")
    found = diagnose(model, tmp_path / "tanh.onnx")
    assert not found.matches and "the graph differs, or the weights of other layers do" in str(found)


def test_a_file_that_is_right_at_one_size_only(model: litehrnet.LiteHRNet, tmp_path: Path) -> None:
    """What it adds to the image is zero at one size."""
    free = onnx.load(export_onnx(model, tmp_path / "free.onnx", (256, 192), "size", exporter="torchscript"))
    graph = free.graph
    graph.initializer.append(numpy_helper.from_array(np.array([1, 3, 256, 192]), "own"))
    nodes = [
        helper.make_node("Shape", ["given"], ["shape"]),
        helper.make_node("Sub", ["shape", "own"], ["apart"]),
        helper.make_node("Abs", ["apart"], ["far"]),
        helper.make_node("ReduceMax", ["far"], ["most"], keepdims=0),
        helper.make_node("Cast", ["most"], ["wrong"], to=TensorProto.FLOAT),
        helper.make_node("Add", ["given", "wrong"], ["image"]),
    ]
    old = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *old])
    graph.input[0].name = "given"
    del free.metadata_props[:]
    onnx.save(free, tmp_path / "one.onnx")
    found = diagnose(model, tmp_path / "one.onnx", SIZE)
    assert found.matches and found.causes == ("it is made for 256x192, and at 64x32 it computes something else",)


def test_what_cannot_be_diagnosed(model: litehrnet.LiteHRNet, right: Path, tmp_path: Path) -> None:
    torch.save(model.state_dict(), tmp_path / "mine.pth")
    with pytest.raises(ValueError, match="is a checkpoint, not an exported file"):
        diagnose(model, tmp_path / "mine.pth")
    with pytest.raises(ValueError, match="takes height 64 only, got 96"):
        diagnose(model, right, (96, 64))
    fewer = litehrnet.from_checkpoint(tmp_path / "mine.pth", num_joints=5)
    assert "where the model gives (1, 5, 16, 8)" in str(diagnose(fewer, right))


class TestCommand:
    def check(self, capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, list[str]]:
        code = cli.main(["check", *map(str, arguments)])
        return code, capsys.readouterr().out.splitlines()

    @pytest.mark.parametrize("cause", ["0..1", "channels last"])
    def test_check_names_it(
        self, capsys: pytest.CaptureFixture, plain: onnx.ModelProto, tmp_path: Path, cause: str
    ) -> None:
        graph = copy.deepcopy(plain)
        CAUSES[cause][0](graph)
        onnx.save(graph, tmp_path / "planted.onnx")
        code, lines = self.check(capsys, tmp_path / "planted.onnx", "--checkpoint", "litehrnet18")
        assert code == 1 and lines[-1] == "not ok"
        said = next(line for line in lines if line.startswith("diagnosis: "))
        assert CAUSES[cause][1][0] in said and "then it matches" in said
        assert not any("cannot run at" in line for line in lines), "the right cause, and no wrong one before it"

    def test_a_right_file_needs_none(self, capsys: pytest.CaptureFixture, right: Path) -> None:
        code, lines = self.check(capsys, right, "--checkpoint", "litehrnet18")
        assert code == 0 and not any("diagnosis" in line for line in lines)

    def test_float16_files_are_judged_by_their_types(
        self, capsys: pytest.CaptureFixture, plain: onnx.ModelProto, tmp_path: Path
    ) -> None:
        """As another tool writes it: float16 in, float16 weights, float16 out."""
        graph = copy.deepcopy(plain)
        casts = []
        for tensor in graph.graph.initializer:
            values = numpy_helper.to_array(tensor)
            if values.dtype == np.float32 and values.ndim == 4:
                name = tensor.name
                tensor.CopyFrom(numpy_helper.from_array(values.astype(np.float16), f"{name}.half"))
                casts.append(helper.make_node("Cast", [tensor.name], [name], to=TensorProto.FLOAT))
        old = list(graph.graph.node)
        del graph.graph.node[:]
        graph.graph.node.extend([*casts, *old])
        onnx.save(graph, tmp_path / "half.onnx")
        code, lines = self.check(capsys, tmp_path / "half.onnx", "--checkpoint", "litehrnet18")
        assert code == 0 and lines[-1] == "ok"
        assert self.check(capsys, tmp_path / "half.onnx", "--checkpoint", "litehrnet18", "--tolerance", 1e-6)[0] == 1
