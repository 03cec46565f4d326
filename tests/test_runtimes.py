"""One call over PyTorch and ONNX Runtime: equal heatmaps, and everything wrong refused before it runs."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from bounds import same, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tiny import tiny_model

from litehrnet import cli, create_model
from litehrnet.checkpoints.saving import save_weights
from litehrnet.cli.models import runner
from litehrnet.fusion import fuse
from litehrnet.runtimes import RUNTIMES, load, megabytes, signature
from litehrnet.runtimes.session import check_array
from litehrnet.runtimes.signature import KINDS, METADATA_KEY, kind_of, read_metadata
from litehrnet.sizes import is_legal_side

QUICK = settings(deadline=None, max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])


def images(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).standard_normal(shape, dtype=np.float32)


@pytest.fixture(scope="module")
def free(exported: Callable) -> Path:
    """A file of free size."""
    return exported(dynamic="size")[1]


@pytest.mark.numeric
@pytest.mark.parametrize("shape", [(1, 3, 64, 32), (3, 3, 96, 64), (2, 3, 61, 95)])
def test_both_give_the_same(exported: Callable, shape: tuple[int, ...]) -> None:
    model, path = exported(dynamic="size")
    x = images(*shape)
    ours, theirs = load(model, "torch")(x), load(path)(x)
    assert ours.dtype == theirs.dtype == np.float32
    assert ours.shape == theirs.shape == (shape[0], 17, -(-shape[2] // 4), -(-shape[3] // 4))
    same(theirs, ours, 1e-4)


@pytest.mark.parametrize(("trained", "expected"), [((96, 64), (96, 64)), (None, (256, 192))])
def test_a_module_runs_at_the_size_that_it_was_trained_at(
    tmp_path: Path, trained: tuple[int, int] | None, expected: tuple[int, int]
) -> None:
    model = create_model("litehrnet18")
    model.trained_size = trained
    save_weights(model, tmp_path / "my.safetensors")
    assert load(model).size == load(tmp_path / "my.safetensors").size == load(fuse(model, (64, 32))).size == expected


def test_input_is_not_changed_and_may_be_a_view(free: Path) -> None:
    x = images(4, 3, 64, 32)
    before = x.copy()
    run = load(free)
    assert np.array_equal(run(x[::2]), run(np.ascontiguousarray(x[::2])))
    assert np.array_equal(x, before)


def test_torch_takes_a_checkpoint(tmp_path: Path) -> None:
    from litehrnet.files import data_path

    assert load(data_path("litehrnet18_256x192.safetensors"), "torch")(images(1, 3, 32, 32)).shape == (1, 17, 8, 8)


@pytest.mark.numeric
def test_torch_runs_in_eval_mode_and_leaves_every_mode() -> None:
    model, x = tiny_model(), images(2, 3, 32, 32)
    expected = load(model, "torch")(x)
    state = {key: value.clone() for key, value in model.state_dict().items()}
    model.train().backbone.stem.conv1.bn.eval()
    modes = [part.training for part in model.modules()]
    for run in (load(model, "torch"), load(model, "torch", threads=2)):
        same(run(x), expected, 1e-4)
    assert [part.training for part in model.modules()] == modes
    assert all(torch.equal(state[key], value) for key, value in model.state_dict().items())


def test_torch_leaves_the_number_of_threads_alone() -> None:
    before = torch.get_num_threads()
    load(tiny_model(), "torch", threads=before + 1)(images(1, 3, 32, 32))
    assert torch.get_num_threads() == before


@QUICK
@given(sides=st.tuples(st.integers(1, 130), st.integers(1, 130)))
def test_every_size_runs_or_is_refused_with_the_nearest(free: Path, sides: tuple[int, int]) -> None:
    x = images(1, 3, *sides)
    if all(map(is_legal_side, sides)):
        check_array(x)
        return
    wrong = next(side for side in sides if not is_legal_side(side))
    with pytest.raises(ValueError, match=rf"cannot run at {sides[0]}x{sides[1]} \(height x width\)") as error:
        check_array(x)
    assert f"{wrong // 32 * 32 + 29} to {wrong // 32 * 32 + 32}" in str(error.value)


@QUICK
@given(shape=st.lists(st.integers(0, 6), max_size=5).filter(lambda s: len(s) != 4 or s[1] != 3 or not s[0]))
def test_every_other_shape_is_refused(shape: list[int]) -> None:
    with pytest.raises(ValueError, match=r"\(N, 3, H, W\)"):
        check_array(np.zeros(shape, np.float32))


@QUICK
@given(kind=st.sampled_from(["float64", "float16", "uint8", "int64", "bool", "complex64", "object"]))
def test_every_other_dtype_is_refused(kind: str) -> None:
    with pytest.raises(ValueError, match=f"float32 array.*{kind}"):
        check_array(np.zeros((1, 3, 32, 32), kind))


@pytest.mark.parametrize("wrong", [[[1.0]], None, torch.zeros(1, 3, 32, 32)])
def test_what_is_no_array_is_refused(wrong: object) -> None:
    with pytest.raises(ValueError, match="float32 array"):
        check_array(wrong)


def test_channels_last_is_named() -> None:
    with pytest.raises(ValueError, match="channels come first"):
        check_array(images(1, 32, 32, 3))


@pytest.mark.parametrize("value", [np.nan, np.inf, -np.inf])
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime"])
def test_values_that_are_not_finite_are_refused(exported: Callable, runtime: str, value: float) -> None:
    model, path = exported(dynamic="size")
    x = images(1, 3, 64, 32)
    x[0, 2, 63, 31] = value
    with pytest.raises(ValueError, match="not finite"):
        load(model if runtime == "torch" else path, runtime)(x)


@pytest.mark.parametrize(
    ("shape", "words"), [((2, 3, 64, 32), "batch 1 only, got 2"), ((1, 3, 32, 32), "height 64 only, got 32")]
)
def test_what_a_fixed_file_does_not_take(exported: Callable, shape: tuple[int, ...], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(exported()[1])(images(*shape))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"runtime": "tensorrt"}, "onnxruntime"),
        ({"threads": 0}, "at least 1"),
        ({"threads": True}, "at least 1"),
        ({"threads": 1.5}, "at least 1"),
        ({"precision": "float16"}, "computes in float32 here"),
        ({"precision": "f16"}, "Choose one of 'float32', 'float16', 'bfloat16'"),
        ({"threads": 100_000}, "at most .* on this machine"),
    ],
)
def test_arguments(free: Path, arguments: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(free, **arguments)


def test_table_holds_what_the_text_promises() -> None:
    assert list(RUNTIMES)[:5] == ["torch", "onnxruntime", "openvino", "ncnn", "c"]
    assert set(RUNTIMES) == {row.runtime for row in KINDS.values()} - {"coreml"} | {"torch"}


def test_files_that_are_not_there_or_not_files(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="nowhere"):
        load(tmp_path / "nowhere.onnx")
    for runtime in ("onnxruntime", "openvino", "ncnn"):
        with pytest.raises(ValueError, match="export it first"):
            load(tiny_model(), runtime)


def small_graph(path: Path, dims: list, kind: str = "Relu", inputs: int = 1, scale: float = 1.0) -> Path:
    """A one-operator file, for what exporters elsewhere might write."""
    make = onnx.helper
    names = ["x", "z"][:inputs]
    values = [make.make_tensor_value_info(name, 1, dims) for name in names]
    node = make.make_node(kind, names, ["y"])
    graph = make.make_graph([node], "g", values, [make.make_tensor_value_info("y", 1, dims)])
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.mark.parametrize(
    ("dims", "options", "words"),
    [
        ([1, 32, 32, 3], {}, "channels come last"),
        ([1, 1, 32, 32], {}, "takes 1 channels"),
        ([1, 3, 32], {}, "3 dimensions"),
        (["n", 3, "h", "w"], {"kind": "Add", "inputs": 2}, "2 inputs"),
    ],
)
def test_files_of_another_kind(tmp_path: Path, dims: list, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        load(small_graph(tmp_path / "m.onnx", dims, **options))


def pooling_graph(
    path: Path, after: Sequence[onnx.NodeProto] = (), *, kind: int = 1, taken: int = 1, weights: Sequence = ()
) -> Path:
    """A file from another tool: averages of 4x4 pixels, as large as heatmaps are, then whatever comes `after`.

    Args:
        path: the file to write.
        after: nodes from "pooled" to "y".
        kind: ONNX's number of the output's type.
        taken: and of the input's.
        weights: initializers of `after`.
    """
    make = onnx.helper
    pool = make.make_node("AveragePool", ["x"], ["pooled" if after else "y"], kernel_shape=[4, 4], strides=[4, 4])
    x = make.make_tensor_value_info("x", taken, ["n", 3, "h", "w"])
    graph = make.make_graph([pool, *after], "g", [x], [make.make_tensor_value_info("y", kind, None)], weights)
    onnx.save(make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10), path)
    return path


def pooled(x: np.ndarray) -> np.ndarray:
    n, c, h, w = x.shape
    return x.reshape(n, c, h // 4, 4, w // 4, 4).mean((3, 5))


def test_error_of_the_runtime_becomes_ours(tmp_path: Path) -> None:
    # It says that every side is free, and adds a constant that fits one width only.
    constant = onnx.numpy_helper.from_array(np.ones((1, 1, 1, 16), np.float32), "c")
    add = onnx.helper.make_node("Add", ["pooled", "c"], ["y"])
    run = load(pooling_graph(tmp_path / "liar.onnx", [add], weights=[constant]))
    assert run(images(1, 3, 32, 64)).shape == (1, 3, 8, 16)
    with pytest.raises(ValueError, match=r"liar.onnx does not run at \(1, 3, 32, 96\)"):
        run(images(1, 3, 32, 96))


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_names_may_differ(tmp_path: Path, runtime: str) -> None:
    x = images(2, 3, 32, 64)
    run = load(pooling_graph(tmp_path / "m.onnx"), runtime)
    same(run(x), pooled(x), 1e-5)
    assert (run.signature.input, run.signature.output) == ("x", "y")


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])
def test_float16_ends_are_fed_what_they_declare(tmp_path: Path, runtime: str) -> None:
    x = images(2, 3, 32, 64)
    run = load(pooling_graph(tmp_path / "m.onnx", kind=10, taken=10), runtime)
    maps = run(x)
    assert maps.dtype == np.float32 and run.signature.inputs[0].dtype == "float16"
    same(maps, pooled(x.astype(np.float16).astype(np.float32)), 2e-2)


NODE = onnx.helper.make_node
CHANNELS_LAST = NODE("Transpose", ["pooled"], ["y"], perm=[0, 2, 3, 1])


@pytest.mark.parametrize(
    ("after", "kind", "words"),
    [
        ([CHANNELS_LAST], 1, r"shape \(1, 8, 16, 3\), where .* \(1, joints, 8, 16\); its channels come last"),
        ([NODE("Transpose", ["pooled"], ["y"], perm=[0, 1, 3, 2])], 1, "height and width are swapped"),
        ([NODE("Flatten", ["pooled"], ["y"])], 1, "post-processing"),
        ([NODE("Cast", ["pooled"], ["y"], to=7)], 7, "int64 .*post-processing"),
        ([NODE("ArgMax", ["pooled"], ["y"], axis=1)], 7, "int64 .*post-processing"),
        ([NODE("AveragePool", ["pooled"], ["y"], kernel_shape=[2, 2], strides=[2, 2])], 1, r"\(1, 3, 4, 8\)"),
    ],
)
def test_what_is_no_heatmap_of_this_input_is_refused(tmp_path: Path, after: list, kind: int, words: str) -> None:
    run = load(pooling_graph(tmp_path / "m.onnx", after, kind=kind))
    with pytest.raises(ValueError, match=rf"^m\.onnx gives (?=.*{words})"):
        run(images(1, 3, 32, 64))


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "an empty file"),
        (b"PK\x03\x04 and more", "a zip archive, as PyTorch checkpoints are"),
        (b"\x80\x02}q\x00.", "a pickle, as old PyTorch checkpoints are"),
        (b"\x10\x00\x00\x00\x00\x00\x00\x00{}", "a safetensors file"),
        (b"version https://git-lfs.github.com/spec/v1", "a Git LFS pointer"),
        (b"<!DOCTYPE html>", "a web page"),
        (b"\x89PNG\r\n\x1a\n", "a picture"),
    ],
)
@pytest.mark.parametrize("ending", [".onnx", ".ONNX", ".xml", ".ncnn.param"])
def test_a_file_that_is_not_what_its_name_says_is_named(tmp_path: Path, content: bytes, what: str, ending: str) -> None:
    path = tmp_path / f"m{ending}"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=rf"^m\{ending} is not an .* file, but {what}"):
        load(path)
    with pytest.raises(ValueError, match=rf"^m\{ending} is not an .* file"):
        signature(path)


@pytest.mark.parametrize("described", [{}, {"names": []}, {"names": ["nose", "nose"]}, {"categories": 3}])
def test_a_file_that_describes_its_joints_wrongly_is_named(tmp_path: Path, described: dict) -> None:
    path = pooling_graph(tmp_path / "m.onnx")
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {METADATA_KEY: json.dumps({"joint_set": described})})
    onnx.save(graph, path)
    with pytest.raises(ValueError, match=r"^m\.onnx describes its joints wrongly: "):
        runner(str(path), None)


def test_each_runtime_refuses_the_files_of_the_others(tmp_path: Path) -> None:
    contents = {".onnx": b"\x08\x0a", ".xml": b'<?xml version="1.0"?>', ".param": b"7767517\n1 1\n"}
    contents[".lhr"] = b"lhrnet\x1a\n"
    contents |= {".pte": b"\x20\0\0\0ET12", ".tflite": b"\x1c\0\0\0TFL3", ".mnn": b"\0" * 8, ".mlpackage": b"\0"}
    assert set(contents) == {row.suffix for row in KINDS.values()}
    for ending, content in contents.items():
        path = tmp_path / f"m{ending}"
        path.write_bytes(content)
        for runtime, row in RUNTIMES.items():
            if runtime != "torch" and kind_of(path) not in row.kinds:
                with pytest.raises(ValueError, match=rf"^m\{ending} is an? .* file, and {runtime} reads an? "):
                    load(path, runtime)


LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5)
JSON = st.recursive(
    LEAVES, lambda more: st.lists(more, max_size=3) | st.dictionaries(st.text(max_size=3), more, max_size=2)
)
STORED = ("variant", "size", "dynamic", "joints", "mean", "std", "pooling", "fused", "version", "weights", "joint_set")


@QUICK
@given(held=st.dictionaries(st.sampled_from((*STORED, "other")), JSON, max_size=3) | JSON)
def test_odd_metadata_is_one_sentence_or_does_no_harm(tmp_path: Path, held: object) -> None:
    """Any JSON at every key, or instead of the whole."""
    path, text = pooling_graph(tmp_path / "m.onnx"), json.dumps(held)
    graph = onnx.load(path)
    onnx.helper.set_model_props(graph, {METADATA_KEY: text})
    onnx.save(graph, path)
    for read in (signature, lambda file: load(file).signature, lambda file: load(file, "openvino").signature):
        try:
            found = read(path)
        except ValueError as error:
            assert str(error).startswith("m.onnx: its metadata 'litehrnet' ") and len(str(error).splitlines()) == 1
            continue
        assert all(type(side) is int and side > 0 for side in found.size) and len(found.size) == 2
        assert found.dynamic == "size" and found.metadata.keys() == held.keys()
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = cli.main(["check", str(path)])
    assert (code, len(err.getvalue().splitlines())) == (1, 1) or "onnx's checker" in out.getvalue()


@pytest.mark.parametrize(
    "text", ["1" * 5000, "[" * 100_000, '{"variant": "\\u001b[2J"}', '{"version": "\\ud800"}', "{", ""]
)
def test_metadata_that_is_no_json_or_no_text(text: str) -> None:
    with pytest.raises(ValueError, match=r"^m\.onnx: its metadata 'litehrnet' ") as error:
        read_metadata(text, "m.onnx")
    assert str(error.value).isprintable()


@pytest.mark.parametrize(
    ("held", "words"), [({"joints": []}, "joints is "), ({"pooling": 3}, "pooling is 3"), ({"size": 5}, None)]
)
def test_odd_metadata_of_a_file_for_c(tmp_path: Path, held: dict, words: str | None) -> None:
    """Its size, variant and weights are in the header itself, which counts."""
    from litehrnet.export.c import export_c
    from litehrnet.runtimes.lhr import pack, read_header

    path = export_c(create_model("naive_litehrnet18"), tmp_path / "m.lhr", (64, 32))
    path.write_bytes(pack(dataclasses.replace(read_header(path), metadata=held), np.zeros(1)))
    if words is None:
        assert signature(path).size == (64, 32)
    else:
        with pytest.raises(ValueError, match=f"^m.lhr: its metadata 'litehrnet' says {words}"):
            signature(path)


@pytest.mark.parametrize("dynamic", [None, "batch", "size"])
def test_a_session_tells_what_the_graph_tells(exported: Callable, dynamic: str | None) -> None:
    path = exported(dynamic=dynamic)[1]
    found, session = signature(path), load(path).signature
    assert (found.inputs, found.outputs, found.metadata) == (session.inputs, session.outputs, session.metadata)
    assert found.dynamic == dynamic and found.size == load(path).size == (64, 32) and found.joints == 17
    ours = load(path, "openvino").signature
    assert (ours.inputs, ours.metadata) == (found.inputs, found.metadata) and ours.joints == 17


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "ncnn"])
def test_a_folder_is_called_one(tmp_path: Path, runtime: str) -> None:
    with pytest.raises(IsADirectoryError, match="is a folder"):
        load(tmp_path, runtime)
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "m.onnx", runtime)


@pytest.mark.parametrize("blocked", [False, True])
def test_megabytes_count_the_files_of_weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, blocked: bool) -> None:
    """`bench` and the command line show this number; without `onnx` an ONNX file's own bytes are all that is known."""
    weight = onnx.numpy_helper.from_array(np.ones((300, 500), np.float32), "w")
    node = onnx.helper.make_node("Add", ["x", "w"], ["y"])
    x, y = (onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, [300, 500]) for name in "xy")
    graph = onnx.helper.make_model(onnx.helper.make_graph([node], "g", [x], [y], [weight]))
    path, beside = tmp_path / "a.onnx", tmp_path / "numbers.raw"
    onnx.save(graph, path, save_as_external_data=True, location=beside.name)
    if blocked:
        monkeypatch.setitem(sys.modules, "onnx", None)
    bytes_ = path.stat().st_size + (0 if blocked else beside.stat().st_size)
    assert beside.stat().st_size >= 600_000 and megabytes(path) == bytes_ / 1e6

    for name in ("b.xml", "c.ncnn.param"):
        (tmp_path / name).write_bytes(b"12345")
        (tmp_path / name).with_suffix(".bin").write_bytes(b"123")
        assert megabytes(tmp_path / name) == 8e-6
    (tmp_path / "d.pth").write_bytes(b"12")
    assert megabytes(tmp_path / "d.pth") == 2e-6


LOADED = """
import sys
import numpy as np
from litehrnet.runtimes import load
images = np.random.default_rng(0).standard_normal((1, 3, 64, 32), dtype=np.float32)
exact = load(sys.argv[1], "openvino")(images)
print(np.abs(load(sys.argv[1], "openvino", precision=sys.argv[2])(images) - exact).max() / np.abs(exact).max())
"""


@pytest.mark.numeric
@pytest.mark.parametrize("precision", ["float16", "bfloat16"])
def test_a_processor_without_a_precision_computes_in_float32(exported: Callable, precision: str) -> None:
    """OpenVINO may believe that a processor can compute in 16 bits where oneDNN knows that it cannot."""
    pytest.importorskip("openvino")
    path = exported()[1]
    done = subprocess.run(
        [sys.executable, "-c", LOADED, str(path), precision],
        env=os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    within(float(done.stdout), 0.5)
