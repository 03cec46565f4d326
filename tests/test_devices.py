"""ncnn, OpenVINO and int8: converted files compute what torch computes, and wrong calls never reach a runtime."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import beyond, proved, same, within
from tiny import share_lost, switched_off, tiny_model

import litehrnet
from litehrnet import cli
from litehrnet.export import check_parity, export, export_ncnn, export_openvino, int8
from litehrnet.export.int8 import KEEP_FLOAT, conv_kinds, quantize_int8, select_convs
from litehrnet.export.ncnn import ncnn_layers, trace
from litehrnet.fusion import fuse
from litehrnet.measure import bench
from litehrnet.runtimes import load, ncnn, runtime_of, signature
from litehrnet.runtimes.parity import weights_of
from litehrnet.runtimes.signature import checksum

SIZE = (64, 32)
MISSING = [name for name in ("ncnn", "pnnx", "openvino") if importlib.util.find_spec(name) is None]
pytestmark = pytest.mark.skipif(bool(MISSING), reason=f"the extra `devices` is not installed: {', '.join(MISSING)}")


def images(batch: int = 1, size: tuple[int, int] = SIZE, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((batch, 3, *size), dtype=np.float32)


def difference(got: np.ndarray, expected: np.ndarray) -> float:
    """Relative to the largest expected value."""
    assert got.shape == expected.shape
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@pytest.fixture(scope="module")
def torch_heatmaps(reference_model: Callable) -> Callable[[np.ndarray], np.ndarray]:
    return load(reference_model("litehrnet18"), "torch")


@pytest.fixture(scope="module")
def converted(reference_model: Callable, tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """`converted("ncnn", "fused", "float16")`: the graph file, made once."""
    folder = tmp_path_factory.mktemp("converted")
    made: dict[tuple[str, str, str], Path] = {}

    def make(runtime: str, graph: str = "computed", weights: str = "float32") -> Path:
        key = runtime, graph, weights
        if key not in made:
            model = reference_model("litehrnet18", pooling="computed" if graph == "fused" else graph)
            network = fuse(model, SIZE, target=runtime) if graph == "fused" else model
            suffix = {"ncnn": ".ncnn.param", "openvino": ".xml"}[runtime]
            (folder / "-".join(key)).mkdir()
            made[key] = export(network, folder / "-".join(key) / f"net{suffix}", size=SIZE, weights=weights)[0]
        return made[key]

    return make


# Parity


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["ncnn", "openvino"])
@pytest.mark.parametrize("graph", ["computed", "fused", pytest.param("adaptive", marks=pytest.mark.slow)])
def test_a_converted_file_computes_what_torch_computes(
    converted: Callable, torch_heatmaps: Callable, runtime: str, graph: str
) -> None:
    run = load(converted(runtime, graph), runtime)
    for batch in (3, 1, 2):  # ncnn runs them one by one; OpenVINO has a graph for one image and another for more
        same(run(images(batch)), torch_heatmaps(images(batch)), 1e-4)


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["ncnn", pytest.param("openvino", marks=pytest.mark.slow)])
def test_half_weights_halves_the_file_and_stays_near(
    converted: Callable, torch_heatmaps: Callable, runtime: str
) -> None:
    half, whole = converted(runtime, "fused", "float16"), converted(runtime, "fused")
    error = difference(load(half, runtime)(images()), torch_heatmaps(images()))
    within(error, 2e-2)
    beyond(error, 1e-5, "rounded at all")
    ratio = half.with_suffix(".bin").stat().st_size / whole.with_suffix(".bin").stat().st_size
    assert 0.49 < ratio < 0.52


@pytest.mark.numeric
def test_two_threads_and_sixteen_bits_compute_the_same(converted: Callable, torch_heatmaps: Callable) -> None:
    for runtime in ("ncnn", "openvino"):
        path = converted(runtime)
        same(load(path, runtime, threads=2)(images()), torch_heatmaps(images()), 1e-4)
        for precision in ("float16", "bfloat16"):
            # Measured: 0.02 at most in bfloat16, which OpenVINO also takes for float16; float16 is eight times finer.
            bound = 0.03 if (runtime, precision) == ("ncnn", "float16") else 0.3
            same(load(path, runtime, precision=precision)(images()), torch_heatmaps(images()), bound, precision)


@pytest.mark.numeric
@pytest.mark.parametrize("dynamic", [None, "size", pytest.param("batch", marks=pytest.mark.slow)])
def test_openvino_reads_onnx_files_of_every_kind(
    exported: Callable, torch_heatmaps: Callable, dynamic: str | None
) -> None:
    """OpenVINO 2026.4 is wrong on a shuffle by Gather before a depthwise convolution; no file of ours holds one."""
    run = load(exported(dynamic=dynamic)[1], "openvino")
    for batch in (1,) if dynamic is None else (1, 3):
        same(run(images(batch)), torch_heatmaps(images(batch)), 1e-4)


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["ncnn", "openvino"])
def test_parity_of_a_converted_file(converted: Callable, reference_model: Callable, runtime: str) -> None:
    model = reference_model("litehrnet18")
    rows = check_parity(model, converted(runtime))
    assert [(row.size, row.batch) for row in rows] == [(SIZE, 1), (SIZE, 3)]
    proved(rows)
    assert all(row.same_peaks for row in rows)
    torch.manual_seed(0)
    other = litehrnet.create_model("litehrnet18")
    assert not any(row.ok for row in check_parity(other, converted(runtime)))
    half = converted(runtime, "fused", "float16")  # its weights say themselves that they are float16
    proved(check_parity(model, half))
    assert not any(row.ok for row in check_parity(model, half, tolerance=1e-5))


# Files


def test_only_the_two_files_stay_and_the_param_says_size_and_checksum(converted: Callable) -> None:
    path = converted("ncnn")
    assert sorted(file.name for file in path.parent.iterdir()) == ["net.ncnn.bin", "net.ncnn.param"]
    assert ncnn.input_size(path) == SIZE
    line = next(line for line in path.read_text().splitlines() if line.startswith("Input"))
    stamp = checksum(path.with_suffix(".bin").read_bytes())
    assert line.split()[-4:] == ["0=32", "1=64", "2=3", f"31={stamp}"]
    assert sorted(file.name for file in converted("openvino").parent.iterdir()) == ["net.bin", "net.xml"]


@pytest.mark.parametrize("category", [DeprecationWarning, FutureWarning])
def test_what_torch_says_of_its_tracer_does_not_reach_the_user(
    monkeypatch: pytest.MonkeyPatch, category: type[Warning]
) -> None:
    """Releases of torch deprecate it in different ways; pnnx takes nothing else."""

    def old(*_: object, **__: object) -> str:
        warnings.warn("`torch.jit.trace` is deprecated", category, stacklevel=2)
        warnings.warn("something else", category, stacklevel=2)
        return "traced"

    monkeypatch.setattr(torch.jit, "trace", old)
    with pytest.warns(category) as told:
        assert trace(tiny_model(), (32, 32)) == "traced"
    assert [str(one.message) for one in told] == ["something else"]


def test_what_ncnn_makes_of_the_graph(converted: Callable) -> None:
    plain, fused = ncnn_layers(converted("ncnn")), ncnn_layers(converted("ncnn", "fused"))
    assert plain["ShuffleChannel"] == 49 and plain["Pooling"] == 80 and plain["Interp"] == 61
    assert plain["Convolution"] + plain["ConvolutionDepthWise"] + plain["InnerProduct"] == 301
    assert "ShuffleChannel" not in fused and "Slice" not in fused
    assert list(plain.values()) == sorted(plain.values(), reverse=True)


def test_a_failed_conversion_leaves_the_old_files(converted: Callable, tmp_path: Path, monkeypatch) -> None:

    target = tmp_path / "net.ncnn.param"
    target.write_text("the old file")
    monkeypatch.setattr(
        subprocess, "run", lambda *a, **k: subprocess.CompletedProcess(a, 3, "", "one\nno such operator")
    )
    with pytest.raises(RuntimeError, match=r"exit code 3\): no such operator"):
        export_ncnn(litehrnet.create_model("litehrnet18"), target, SIZE)
    assert [file.name for file in tmp_path.iterdir()] == ["net.ncnn.param"]
    assert target.read_text() == "the old file"


# Refusals


@pytest.mark.parametrize("shape", [(1, 3, 64, 64), (1, 3, 32, 64), (1, 3, 61, 32), (1, 1, 64, 32), (3, 64, 32)])
@pytest.mark.parametrize("runtime", ["ncnn", "openvino"])
def test_a_wrong_size_is_refused_before_the_runtime_is_called(
    converted: Callable, monkeypatch: pytest.MonkeyPatch, runtime: str, shape: tuple[int, ...]
) -> None:
    """At another size, ncnn crashes or gives wrong results."""
    run = load(converted(runtime), runtime)

    def called(*_: object) -> None:
        raise AssertionError("the runtime was called")

    monkeypatch.setattr(ncnn, "_run_one", called)
    with pytest.raises(ValueError):
        run(np.zeros(shape, np.float32))


def test_not_finite_values_and_other_types_are_refused(converted: Callable) -> None:
    run = load(converted("ncnn"), "ncnn")
    broken = images()
    broken[0, 0, 0, 0] = np.nan
    with pytest.raises(ValueError, match="not finite"):
        run(broken)
    with pytest.raises(ValueError, match="float32"):
        run(images().astype(np.float64))


def copy_of(path: Path, folder: Path) -> Path:
    for file in (path, path.with_suffix(".bin")):
        (folder / file.name).write_bytes(file.read_bytes())
    return folder / path.name


def test_weights_that_do_not_belong_to_the_graph_are_refused(
    converted: Callable, reference_model: Callable, tmp_path: Path
) -> None:
    """ncnn itself reads them and returns nonsense."""
    path = copy_of(converted("ncnn"), tmp_path)
    weights = path.with_suffix(".bin")
    whole = weights.read_bytes()
    for other in (converted("ncnn", "fused").with_suffix(".bin").read_bytes(), whole[: len(whole) // 2], b""):
        weights.write_bytes(other)
        with pytest.raises(ValueError, match=r"net\.ncnn\.bin is damaged, or belongs to another file"):
            load(path, "ncnn")
    weights.unlink()
    with pytest.raises(FileNotFoundError, match=r"net\.ncnn\.bin is missing"):
        load(path, "ncnn")


@pytest.mark.parametrize("runtime", ["ncnn", "openvino"])
@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("of another export", lambda whole, other: other),
        ("cut", lambda whole, other: whole[: len(whole) // 2]),
        ("one byte short", lambda whole, other: whole[:-1]),
        ("longer", lambda whole, other: whole + b"1234"),
        ("empty", lambda whole, other: b""),
        ("one bit flipped", lambda whole, other: whole[:5000] + bytes([whole[5000] ^ 1]) + whole[5001:]),
        ("same length", lambda whole, other: bytes(len(whole))),
    ],
)
def test_weights_of_any_other_content_are_refused(
    converted: Callable, tmp_path: Path, runtime: str, name: str, change: Callable
) -> None:
    path = copy_of(converted(runtime), tmp_path)
    weights = path.with_suffix(".bin")
    weights.write_bytes(change(weights.read_bytes(), converted(runtime, "fused").with_suffix(".bin").read_bytes()))
    for call in (load, signature):
        with pytest.raises(
            ValueError, match=rf"^{weights.name} is damaged, or belongs to another file than {path.name}"
        ):
            call(path)
    weights.unlink()
    for call in (load, signature):
        with pytest.raises(FileNotFoundError, match=rf"no weights beside {path.name}: {weights.name} is missing"):
            call(path)


@pytest.mark.numeric
def test_external_weights_of_an_onnx_file_are_looked_for(tmp_path: Path) -> None:
    import onnx

    source = export(tiny_model(), tmp_path / "m.onnx", size=(32, 32), exporter="torchscript")[0]
    path, data = tmp_path / "split.onnx", tmp_path / "split.data"
    onnx.save(onnx.load(source), path, save_as_external_data=True, location=data.name, size_threshold=1024)
    np.testing.assert_array_equal(load(path)(images(size=(32, 32))), load(source)(images(size=(32, 32))))
    whole = data.read_bytes()
    # Nothing in the file shows that weights of the same length are other ones (our own files never keep weights
    # outside); a comparison does.
    model = tiny_model()
    proved(check_parity(model, path))
    with torch.no_grad():
        model.head.final_layer.weight *= 1.5
    other = onnx.load(export(model, tmp_path / "other.onnx", size=(32, 32), exporter="torchscript")[0])
    onnx.save(other, tmp_path / "o.onnx", save_as_external_data=True, location="o.data", size_threshold=1024)
    swapped = (tmp_path / "o.data").read_bytes()
    assert len(swapped) == len(whole) and swapped != whole
    data.write_bytes(swapped)
    assert not check_parity(tiny_model(), path)[0].ok
    for content in (whole[: len(whole) // 2], b""):
        data.write_bytes(content)
        for call in (load, signature):
            with pytest.raises(ValueError, match=r"^split\.data is cut, or belongs to another file than split\.onnx"):
                call(path)
    data.unlink()
    for call in (load, signature):
        with pytest.raises(FileNotFoundError, match=r"^split\.onnx keeps weights in split\.data, which is missing"):
            call(path)


@pytest.mark.parametrize("blocked", [("torch",), ("torch", "onnx")])
def test_exported_files_run_where_torch_is_not_installed(
    converted: Callable, exported: Callable, tmp_path: Path, blocked: tuple[str, ...]
) -> None:
    files = [exported()[1], converted("openvino"), converted("ncnn")]
    code = f"""
import sys
sys.modules.update(dict.fromkeys({blocked!r}))
import numpy as np
from litehrnet.runtimes import load
for name in sys.argv[1:]:
    run = load(name)
    print(run.runtime, run.size, run(np.zeros((1, 3, *run.size), np.float32)).shape)
"""
    done = subprocess.run([sys.executable, "-c", code, *map(str, files)], capture_output=True, text=True, check=False)
    assert done.stdout.splitlines() == [
        f"{name} {SIZE} (1, 17, 16, 8)" for name in ("onnxruntime", "openvino", "ncnn")
    ], done.stderr


def test_openvino_files_of_the_first_edition_stay_readable(converted: Callable, tmp_path: Path) -> None:
    """Their metadata was where OpenVINO's own converter puts it, with dynamic false, and there was no checksum."""
    from xml.etree import ElementTree

    path = copy_of(converted("openvino"), tmp_path)
    tree = ElementTree.parse(path)
    information = tree.getroot().find("rt_info")
    information.remove(information.find("litehrnet"))
    old = information.find("framework/litehrnet")
    old.set("value", json.dumps({"variant": "litehrnet18", "size": list(SIZE), "dynamic": False}))
    tree.write(path)
    assert signature(path).metadata["dynamic"] is None and signature(path).metadata["variant"] == "litehrnet18"
    assert load(path)(images()).shape == (1, 17, 16, 8)
    weights = path.with_suffix(".bin")
    weights.write_bytes(weights.read_bytes()[:-1000])
    with pytest.raises(ValueError, match=r"net\.bin is damaged"):
        load(path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda text: text[: len(text) // 2], "cannot load"),
        (lambda text: text.replace("ShuffleChannel", "Shuffled", 1), "cannot load"),
        (lambda text: "", "is not an ncnn .param file, but an empty file"),
        (lambda text: "<xml/>", "its first line is not 7767517"),
        (lambda text: "7767517\n", "does not say its input's size"),
        (lambda text: text.replace("1=64", "1=sixty-four", 1), "is damaged: its Input line"),
    ],
)
def test_a_damaged_param_file_is_one_sentence(
    converted: Callable, tmp_path: Path, change: Callable[[str], str], message: str
) -> None:
    path = copy_of(converted("ncnn"), tmp_path)
    path.write_text(change(path.read_text()))
    with pytest.raises(ValueError, match=message):
        load(path, "ncnn")


def test_a_binary_param_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "net.ncnn.param"
    path.write_bytes(bytes(range(128, 256)))
    with pytest.raises(ValueError, match=r"not an ncnn \.param file in text form"):
        load(path, "ncnn")


def test_a_damaged_openvino_file_is_one_sentence(converted: Callable, tmp_path: Path) -> None:
    path = copy_of(converted("openvino"), tmp_path)
    path.write_text(path.read_text()[:1000])
    with pytest.raises(ValueError, match=r"net\.xml is not an OpenVINO \.xml file, or it is damaged"):
        load(path, "openvino")
    with pytest.raises(FileNotFoundError, match="no such file"):
        load(tmp_path / "none.xml", "openvino")


def test_a_file_that_does_not_say_its_size_needs_it(converted: Callable, tmp_path: Path) -> None:
    path = copy_of(converted("ncnn"), tmp_path)
    text = path.read_text()
    stamp = checksum(path.with_suffix(".bin").read_bytes())
    path.write_text(text.replace(f" 0=32 1=64 2=3 31={stamp}", "", 1))  # as pnnx itself writes it
    assert ncnn.input_size(path) is None
    with pytest.raises(ValueError, match=r"give it: load\(\.\.\., size=\(height, width\)\)"):
        load(path, "ncnn")
    run = load(path, "ncnn", size=SIZE)
    assert run(images()).shape == (1, 17, 16, 8)
    with pytest.raises(ValueError, match="only"):
        run(images(size=(64, 64)))
    with pytest.raises(ValueError, match="was converted at 64x32"):
        load(converted("ncnn"), "ncnn", size=(96, 64))


def test_choices_are_refused_with_what_there_is(converted: Callable, tmp_path: Path) -> None:
    model = litehrnet.create_model("litehrnet18")
    for call, message in (
        (lambda: export_ncnn(model, tmp_path / "net.param", SIZE), "must end in .ncnn.param"),
        (lambda: export_ncnn(model, tmp_path / "net.ncnn.param", (60, 30)), "nearest heights are 29 to 32"),
        (lambda: export_ncnn(model, tmp_path / "net.ncnn.param", SIZE, "int8"), "choose one of 'float32', 'float16'"),
        (lambda: export_openvino(model, tmp_path / "net.onnx", SIZE), "must end in .xml"),
        (lambda: export_openvino(model, tmp_path / "net.xml", SIZE, "half"), "choose one of 'float32', 'float16'"),
        (lambda: load(converted("ncnn"), "ncnn", precision="int8"), "choose one of 'float32', 'float16'"),
        (lambda: load(converted("openvino"), "openvino", size=SIZE), "size is for ncnn"),
        (lambda: check_parity(model, converted("ncnn"), runtime="onnx"), "did you mean 'onnxruntime'"),
        (lambda: check_parity(model, converted("openvino"), [(96, 64)]), "net.xml takes height 64 only"),
        (lambda: export(model, tmp_path / "net.keras"), r"no ending of a format .* \.onnx \(onnx\), \.ncnn\.param"),
        (lambda: export(model, tmp_path / "net.xml", to="openvin"), "did you mean 'openvino'"),
        (lambda: export(model, tmp_path / "net.xml", opset=18), "opset is an option of onnx files, not of openvino"),
        (lambda: export(model, tmp_path / "net.xml", dynamic="size"), "dynamic is an option of onnx and coreml files"),
    ):
        with pytest.raises(ValueError, match=message):
            call()
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["ncnn", "openvino", "pnnx"])
def test_a_missing_extra_is_one_sentence_with_the_command(
    converted: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    path = {"ncnn": converted("ncnn"), "openvino": converted("openvino"), "pnnx": tmp_path / "net.ncnn.param"}[name]
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(ImportError, match=rf"^{name} is not installed; install it with: pip install {name}$"):
        if name == "pnnx":
            export_ncnn(litehrnet.create_model("litehrnet18"), path, SIZE)
        else:
            load(path, name)


# int8


@pytest.fixture(scope="module")
def quantized(exported: Callable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    source = exported("litehrnet18")[1]
    return quantize_int8(source, tmp_path_factory.mktemp("int8") / "int8.onnx", [images(seed=k) for k in range(4)])


def test_kinds_of_convolutions(exported: Callable) -> None:
    import collections

    import onnx

    graph = onnx.load_model(exported("litehrnet18")[1])
    kinds = conv_kinds(graph)
    # 16 blocks of 2, 3 and 4 branches: 4, 8 and 4 of them.
    assert collections.Counter(kinds.values()) == {
        "depthwise": 96,
        "weighting": 128,
        "dense": 75,
        "first": 1,
        "final": 1,
    }
    chosen, kept = select_convs(graph)
    assert {kinds[name] for name in chosen} == {"first", "dense"} and {kinds[name] for name in kept} == set(KEEP_FLOAT)
    with pytest.raises(ValueError, match=r"unknown kind 'last'"):
        select_convs(graph, ["last"])


def test_int8_changes_only_what_it_says(quantized: Path, exported: Callable) -> None:
    import onnx

    source = exported("litehrnet18")[1]
    graph = onnx.load_model(quantized).graph
    whole = sum(np.prod(tensor.dims) for tensor in onnx.load_model(source).graph.initializer if len(tensor.dims) == 4)
    small = [
        tensor for tensor in graph.initializer if tensor.data_type == onnx.TensorProto.INT8 and len(tensor.dims) == 4
    ]
    assert len(small) == 76  # first and dense
    assert sum(np.prod(tensor.dims) for tensor in small) > 0.4 * whole
    scales = {node.input[0]: node.input[1] for node in graph.node if node.op_type == "DequantizeLinear"}
    sizes = {tensor.name: int(np.prod(tensor.dims)) for tensor in graph.initializer}
    assert all(sizes[scales[tensor.name]] == tensor.dims[0] for tensor in small)  # one scale per channel


@pytest.mark.numeric
def test_int8_stays_near_and_says_so(quantized: Path, exported: Callable) -> None:

    source = exported("litehrnet18")[1]
    expected, got = load(source)(images(seed=9)), load(quantized)(images(seed=9))
    noise = np.square(got - expected).mean() / np.square(expected).mean()
    beyond(noise, 1e-6, "another graph")
    within(noise, 0.2, "7 dB at least")
    about = signature(quantized)
    assert about.metadata["weights"] == "int8" and about.metadata["variant"] == "litehrnet18"
    assert quantized.stat().st_size < source.stat().st_size


def test_int8_refuses_what_cannot_be(exported: Callable, tmp_path: Path) -> None:
    source, path = exported("litehrnet18")[1], tmp_path / "int8.onnx"
    every = ("first", "depthwise", "weighting", "dense", "final")
    for options, message in (
        ({"images": []}, "needs calibration images"),
        ({"activations": "int4"}, "choose one of 'int8', 'int16'|Choose one of 'int8', 'int16'"),
        ({"method": "mean"}, "choose one of 'minmax', 'percentile', 'entropy'"),
        ({"operators": "convs"}, "choose one of 'convolutions', 'all'"),
        ({"keep_float": ["head"]}, r"unknown kind 'head'"),
        ({"keep_float": every}, "nothing is left to quantise"),
        ({"operators": "all", "keep_float": ("depthwise",)}, "nothing stays float"),
    ):
        with pytest.raises(ValueError, match=message):
            quantize_int8(source, path, **{"images": [images()], **options})
    assert not path.exists()


@pytest.mark.numeric
def test_sixteen_bit_activations_keep_what_eight_bits_lose(tmp_path: Path) -> None:
    """On a network of two blocks, everything quantised."""
    model = tiny_model()
    source = export(model, tmp_path / "m.onnx", size=(32, 32), exporter="torchscript")[0]
    calibration = [images(size=(32, 32), seed=seed) for seed in range(4)]
    expected, noise = load(source)(images(size=(32, 32), seed=9)), {}
    for kind in ("int8", "int16"):
        path = quantize_int8(source, tmp_path / f"{kind}.onnx", calibration, "all", activations=kind)
        assert weights_of(path) == "int8"
        noise[kind] = difference(load(path)(images(size=(32, 32), seed=9)), expected)
    beyond(noise["int16"], 1e-6, "rounded at all")
    assert 3 * noise["int16"] < noise["int8"]
    with pytest.raises(ValueError, match=r"^int16\.onnx has values quantised to more than 8 bits"):
        load(tmp_path / "int16.onnx", "openvino")


@pytest.mark.numeric
@pytest.mark.parametrize("fused", [False, True])
def test_int8_keeps_what_channels_without_weights_hold(tmp_path: Path, fused: bool) -> None:
    """A bias is stored in steps of the weights' own, which are next to nothing where the weights are."""
    size = (32, 32)
    source = export(switched_off(tiny_model()), tmp_path / "m.onnx", size=size, exporter="torchscript", fused=fused)[0]
    calibration = [images(size=size, seed=seed) for seed in range(2)]
    for operators in ("convolutions", "all"):
        for kind in ("int8", "int16"):
            path = quantize_int8(source, tmp_path / "small.onnx", calibration, operators, activations=kind)
            within(share_lost(load(path)(calibration[0]), load(source)(calibration[0])), 0.1, f"{operators}, {kind}")


def test_an_int8_file_that_computes_something_else_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever its quantiser did: the calibration images show it."""
    import onnx
    from onnx import numpy_helper

    def faulty(prepared: Path, target: Path, *_: object) -> None:
        graph = onnx.load_model(prepared)
        last = next(node for node in graph.graph.node if node.output[0] == graph.graph.output[0].name)
        for tensor in graph.graph.initializer:
            if tensor.name in last.input:
                tensor.CopyFrom(numpy_helper.from_array(-numpy_helper.to_array(tensor), tensor.name))
        onnx.save_model(graph, target)

    source = export(tiny_model(), tmp_path / "m.onnx", size=(32, 32), exporter="torchscript")[0]
    monkeypatch.setattr(int8, "_quantise", faulty)
    with pytest.raises(ValueError, match=r"^int8 loses \d{3}% of what the float32 file finds .* no file was kept"):
        quantize_int8(source, tmp_path / "small.onnx", [images(size=(32, 32))])
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def quantised_graph(path: Path, kind: str, domain: str) -> Path:
    """A file from another tool: rounded to a type and back, then averages of 4x4 pixels, as large as heatmaps are."""
    import onnx

    make = onnx.helper
    number = make.np_dtype_to_tensor_dtype(np.dtype(kind))
    zero = 0 if kind.startswith("int") else int(np.iinfo(kind).max) // 2 + 1
    constants = [
        make.make_tensor("scale", onnx.TensorProto.FLOAT, [], [12 / int(np.iinfo(np.dtype(kind)).max)]),
        make.make_tensor("zero", number, [], [zero]),
    ]
    nodes = [
        make.make_node("QuantizeLinear", ["x", "scale", "zero"], ["q"], domain=domain),
        make.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"], domain=domain),
        make.make_node("AveragePool", ["d"], ["y"], kernel_shape=[4, 4], strides=[4, 4]),
    ]
    x = make.make_tensor_value_info("x", onnx.TensorProto.FLOAT, ["n", 3, *SIZE])
    y = make.make_tensor_value_info("y", onnx.TensorProto.FLOAT, None)
    sets = [make.make_opsetid("", 21), make.make_opsetid("com.microsoft", 1)]
    graph = make.make_graph(nodes, "g", [x], [y], constants)
    onnx.save(make.make_model(graph, opset_imports=sets, ir_version=10), path)
    return path


@pytest.mark.numeric
@pytest.mark.parametrize("domain", ["", "com.microsoft"])
@pytest.mark.parametrize("kind", ["uint8", "int8", "uint16", "int16"])
def test_openvino_refuses_values_of_sixteen_bits(tmp_path: Path, kind: str, domain: str) -> None:
    """OpenVINO reads such files, its own too, and computes them wrongly."""
    import openvino

    path = quantised_graph(tmp_path / "m.onnx", kind, domain)
    expected = images().reshape(1, 3, 16, 4, 8, 4).mean((3, 5))
    same(load(path)(images()), expected, 0.3)
    openvino.save_model(openvino.Core().read_model(path), tmp_path / "m.xml", compress_to_fp16=False)
    for file in (path, path.with_suffix(".xml")):
        if kind.endswith("int8"):
            same(load(file, "openvino")(images()), expected, 0.3)
        else:
            with pytest.raises(ValueError, match=rf"^{file.name} has values quantised to more than 8 bits, which Open"):
                load(file, "openvino")


@pytest.mark.slow
def test_int8_of_everything_leaves_no_float_convolution(exported: Callable, tmp_path: Path, capsys) -> None:
    import onnx

    path = quantize_int8(exported("litehrnet18")[1], tmp_path / "all.onnx", [images()], "all", method="percentile")
    graph = onnx.load_model(path).graph
    made = {name: node.op_type for node in graph.node for name in node.output}
    assert all(made[node.input[0]] == "DequantizeLinear" for node in graph.node if node.op_type == "Conv")
    assert np.isfinite(load(path)(images(seed=9))).all()
    assert capsys.readouterr().out == ""


# Command line


@pytest.mark.parametrize(
    ("runtime", "suffix"), [("ncnn", ".ncnn.param"), pytest.param("openvino", ".xml", marks=pytest.mark.slow)]
)
def test_export_to_a_runtime(
    reference_model: Callable, tmp_path: Path, capsys: pytest.CaptureFixture, runtime: str, suffix: str
) -> None:
    checkpoint, output = tmp_path / "my.pth", tmp_path / f"my{suffix}"
    torch.save({"state_dict": reference_model("litehrnet18").state_dict()}, checkpoint)
    call = [
        "export",
        str(checkpoint),
        "--size",
        "64x32",
        "--fused",
        "--weights",
        "float16",
        "--to",
        runtime,
        "-o",
        str(output),
    ]
    assert cli.main(call) == 0
    said = capsys.readouterr().out
    assert said.splitlines()[1].startswith(f"{runtime}, ") and "float16 weights" in said and "same peaks" in said
    assert {file.name for file in tmp_path.iterdir()} == {"my.pth", f"my{suffix}", output.with_suffix(".bin").name}
    assert load(output, runtime)(images()).shape == (1, 17, 16, 8)


def test_export_to_a_runtime_refuses_and_leaves_nothing(
    tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    checkpoint = tmp_path / "my.pth"
    torch.save({"state_dict": litehrnet.create_model("litehrnet18").state_dict()}, checkpoint)
    base = ["export", str(checkpoint), "--size", "64x32", "--to", "ncnn"]
    for more, message in (
        (["-o", str(tmp_path / "my.param")], "must end in .ncnn.param, such as model.ncnn.param"),
        (["--dynamic", "batch"], "belongs to ONNX and Core ML files, not to --to ncnn"),
        (["-o", str(tmp_path / "none" / "my.ncnn.param")], "does not exist"),
    ):
        assert cli.main([*base, *more]) == 1
        assert message in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "pnnx", None)
    assert cli.main([*base, "-o", str(tmp_path / "my.ncnn.param")]) == 1
    assert "pip install pnnx" in capsys.readouterr().err
    assert [file.name for file in tmp_path.iterdir()] == ["my.pth"]


# Arrays and callers of every kind

VIEWS = {
    "reversed": lambda x: x[..., ::-1],
    "in Fortran's order": np.asfortranarray,
    "channels last in memory": lambda x: np.ascontiguousarray(x.transpose(0, 2, 3, 1)).transpose(0, 3, 1, 2),
    "every other image": lambda x: np.concatenate([x, -x])[::2],
}


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino", "ncnn"])
def test_how_an_array_lies_in_memory_makes_no_difference(
    converted: Callable, exported: Callable, runtime: str, view: str
) -> None:
    source = {"torch": exported()[0], "onnxruntime": exported(dynamic="size")[1]}.get(runtime)
    run = load(source or converted(runtime), runtime)
    array = VIEWS[view](images(2))
    array.setflags(write=False)
    expected = run(array.copy(order="C"))
    for _ in range(3):  # freed memory may hold the right numbers for a while
        np.testing.assert_array_equal(run(array), expected)


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["torch", "onnxruntime", "openvino", "ncnn"])
def test_threads_that_share_a_function_get_their_own_heatmaps(
    converted: Callable, exported: Callable, runtime: str
) -> None:
    source = {"torch": exported()[0], "onnxruntime": exported()[1]}.get(runtime)
    run = load(source or converted(runtime), runtime)
    own = [images(seed=seed) for seed in range(4)]
    expected = [run(x) for x in own]
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(run, own * 25))
    for k, maps in enumerate(found):
        same(maps, expected[k % 4], 1e-5)


@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "ncnn"])
def test_a_file_tells_its_runtime_and_its_size(converted: Callable, exported: Callable, runtime: str) -> None:
    path = exported()[1] if runtime == "onnxruntime" else converted(runtime)
    assert runtime_of(path) == runtime
    assert load(path).size == SIZE


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["openvino", "ncnn"])
def test_predict_takes_converted_files(
    converted: Callable, exported: Callable, capsys: pytest.CaptureFixture, runtime: str
) -> None:
    photo, found = str(litehrnet.files.data_path("astronaut.jpg")), []
    for model in (exported()[1], converted(runtime)):
        assert cli.main(["predict", photo, "--model", str(model), "--json"]) == 0
        result = json.loads(capsys.readouterr().out)
        assert tuple(result["input_size"]) == SIZE
        found.append([(joint["x"], joint["y"]) for joint in result["people"][0]["joints"]])
    within(np.abs(np.subtract(*found)).max(), 1, "pixels")


def test_converting_leaves_every_mode_and_takes_float32_only(tmp_path: Path) -> None:
    model = tiny_model().train()
    model.backbone.stem.conv1.bn.eval()
    modes = [part.training for part in model.modules()]
    export_ncnn(model, tmp_path / "m.ncnn.param", (32, 32))
    assert [part.training for part in model.modules()] == modes
    for half in (model.double(), model.half()):
        with pytest.raises(ValueError, match=r"must be float32 to be exported"):
            export_ncnn(half, tmp_path / "half.ncnn.param", (32, 32))


@pytest.mark.parametrize("runtime", ["openvino", "ncnn"])
def test_bench_runs_a_file_at_its_own_size_and_counts_its_weights(converted: Callable, runtime: str) -> None:
    path = converted(runtime)
    (row,) = bench([path], runtime=runtime, sessions=1, rounds=2).rows
    assert row.size == SIZE
    assert row.megabytes == pytest.approx((path.stat().st_size + path.with_suffix(".bin").stat().st_size) / 1e6)
    assert row.megabytes > 2


@pytest.mark.parametrize(
    ("name", "change", "words"),
    [
        ("one stacked array", lambda x: x[0], r"shape \(N, 3, H, W\)"),
        ("float64", lambda x: x.astype(np.float64), "float32"),
        ("another size", lambda x: np.zeros((1, 3, 96, 32), np.float32), "height 64 only"),
        ("NaN", lambda x: np.full_like(x, np.nan), "not finite"),
    ],
)
def test_calibration_images_are_checked_like_any(
    exported: Callable, tmp_path: Path, name: str, change: Callable, words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        quantize_int8(exported()[1], tmp_path / "q.onnx", [images(), change(images())])
    assert list(tmp_path.iterdir()) == []
