"""Core ML packages: converted, read back, and their operators computed in torch; Core ML itself runs on Apple's."""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import beyond, same
from tiny import tiny_model
from torch import nn
from torch.nn import functional as F

from litehrnet import cli, set_pooling
from litehrnet.export import check_parity, export
from litehrnet.export.coreml import LARGEST_BATCH, SIDES, SUFFIX, convert, export_coreml
from litehrnet.export.onnx import describe
from litehrnet.files import existing_file, is_package, written_together, written_whole
from litehrnet.fusion import fuse
from litehrnet.runtimes import coreml, load, megabytes, signature
from litehrnet.runtimes.parity import weights_of

SIZE = (64, 32)
INSTALLED = importlib.util.find_spec(coreml.PACKAGE) is not None
converted = pytest.mark.skipif(not INSTALLED, reason="the extra `coreml` is not installed")


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A package of the tiny network, made once for each set of options."""
    folder, made = tmp_path_factory.mktemp("coreml"), {}

    def make(name: str, **options: object) -> Path:
        if name not in made:
            made[name] = export(tiny_model(), folder / f"{name}{SUFFIX}", size=SIZE, **options)[0]
        return made[name]

    return make


@converted
@pytest.mark.numeric
@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_one_size_computes_what_torch_computes(package: Callable, fused: bool) -> None:
    path = package(f"one-{fused}", fused=fused)
    about = signature(path)
    assert (about.kind, about.batch, about.height, about.width, about.output) == ("coreml", 1, *SIZE, "heatmaps")
    assert about.metadata.items() >= {"variant": "tiny", "size": list(SIZE), "weights": "float32"}.items()
    images = np.random.default_rng(0).standard_normal((1, 3, *SIZE), dtype=np.float32)
    same(coreml.imitate(path).run([images])[0], load(tiny_model())(images), 1e-4)
    other = tiny_model()
    with torch.no_grad():
        other.head.final_layer.weight[0] += 1
    assert not all(row.ok for row in check_parity(other, path))


@converted
@pytest.mark.slow
@pytest.mark.parametrize("fused", [False, True])
def test_free_sizes_and_batches_are_right_where_they_were_not_traced(package: Callable, fused: bool) -> None:
    path = package(f"free-{fused}", fused=fused, dynamic="size")
    port = signature(path).inputs[0]
    assert port.shape == (None, 3, None, None) and port.bounds == ((1, LARGEST_BATCH), (3, 3), SIDES, SIDES)
    rows = check_parity(tiny_model(), path, sizes=[SIZE, (96, 160), (128, 64)], batches=[1, 3])
    assert len(rows) == 6 and all(row.ok for row in rows)
    with pytest.raises(ValueError, match=f"takes height {SIDES[0]} to {SIDES[1]}, got {SIDES[1] + 32}"):
        check_parity(tiny_model(), path, sizes=[(SIDES[1] + 32, 64)])


@converted
@pytest.mark.slow
def test_a_free_batch(package: Callable) -> None:
    path = package("batch", dynamic="batch")
    assert (signature(path).batch, signature(path).height) == (None, SIZE[0])
    assert all(row.ok and row.batch in (1, 3) for row in check_parity(tiny_model(), path))


@converted
@pytest.mark.numeric
@pytest.mark.slow
def test_float16_halves_the_file_and_is_computed_rounded(package: Callable) -> None:
    single, half = package("one-False"), package("half", weights="float16")
    assert (weights_of(single), weights_of(half)) == ("float32", "float16")
    assert megabytes(half) < 0.65 * megabytes(single)
    (row,) = check_parity(tiny_model(), half)
    assert row.ok
    beyond(row.max_rel, 1e-5, "rounding to float16 shows")


@converted
@pytest.mark.slow
def test_the_graph_holds_the_networks_operators_and_weights(package: Callable) -> None:
    """Every convolution is in the package, with the weights that folding its batch norm gives."""
    model, path = tiny_model(), package("one-False")
    convolutions = [module for module in model.modules() if isinstance(module, nn.Conv2d)]
    counts = coreml.operators(path)
    assert counts["conv"] == len(convolutions) and "batch_norm" not in counts
    assert counts["upsample_bilinear"] == 3  # the head
    assert {"reshape", "transpose"} <= counts.keys()  # the shuffles, in five dimensions
    fused = coreml.operators(package("one-True", fused=True))
    assert not {"reshape", "transpose", "gather", "split"} & fused.keys()


@converted
@pytest.mark.slow
def test_adaptive_pooling_is_what_coremltools_cannot_convert_once_anything_is_free() -> None:
    """The lesson's claim, shown by coremltools itself; computed pooling is the only difference."""
    model = tiny_model("adaptive")
    for dynamic, error, words in (
        ("size", AttributeError, "'list' object has no attribute 'val'"),
        ("batch", ValueError, "Adaptive pooling is only supported when input tensor size is known"),
    ):
        with pytest.raises(error, match=words):
            convert(model, SIZE, dynamic=dynamic)
    assert convert(set_pooling(model, "computed"), SIZE, dynamic="size") is not None


@converted
@pytest.mark.slow
def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    arguments = ["litehrnet18", "--to", "coreml", "--size", "64x32"]
    assert cli.main(["export", *arguments]) == 0
    out = capsys.readouterr().out
    assert "coreml, " in out and "was not run: the file's operators were computed" in out
    assert is_package("litehrnet18.mlpackage")
    assert cli.main(["export", *arguments, "--dynamic", "size", "--fused"]) == 0  # over its own earlier file
    assert "any batch from 1 to 32, any size (sides from 32 to 1024 are multiples of 32" in capsys.readouterr().out
    assert cli.main(["check", "litehrnet18.mlpackage"]) == 0 and "not compared" in capsys.readouterr().out
    assert cli.main(["check", "litehrnet18.mlpackage", "--checkpoint", "litehrnet18", "--size", "96x64"]) == 0
    assert "was not run" in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ["litehrnet18.mlpackage"]


@converted
def test_damaged_packages_and_files_of_that_name(tmp_path: Path) -> None:
    (tmp_path / "file.mlpackage").write_bytes(b"x")
    (tmp_path / "empty.mlpackage").mkdir()
    for name, words in (("file", "is not an .mlpackage file"), ("empty", "it is damaged, or no Core ML package")):
        for read in (signature, weights_of, coreml.operators, coreml.imitate):
            with pytest.raises(ValueError, match=words):
                read(tmp_path / f"{name}.mlpackage")


class Odd(nn.Module):
    """Operators that the network does not have: one that is computed here, and one that is not."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.hardswish(F.pad(x, (1, 1, 1, 1), mode="reflect"))


@converted
@pytest.mark.slow
def test_an_operator_that_is_not_computed_here_is_named(tmp_path: Path) -> None:
    path = tmp_path / "odd.mlpackage"
    convert(Odd(), SIZE).save(str(path))
    with pytest.raises(ValueError, match=r"odd\.mlpackage holds operators that are not computed here: .*pad"):
        coreml.imitate(path)


def test_without_coremltools_one_sentence_says_what_to_install(tmp_path: Path) -> None:
    if INSTALLED:
        pytest.skip("the extra `coreml` is installed")
    with pytest.raises(ImportError, match="coremltools is not installed; install it with: pip install coremltools"):
        export_coreml(tiny_model(), tmp_path / "m.mlpackage", SIZE)
    (tmp_path / "m.mlpackage").mkdir()
    with pytest.raises(ImportError, match="pip install coremltools"):
        signature(tmp_path / "m.mlpackage")


def test_what_cannot_be_converted_is_refused_before_any_work(tmp_path: Path) -> None:
    fixed = fuse(tiny_model(), SIZE, target="onnxruntime")
    for model, options, words in (
        (tiny_model("adaptive"), {"dynamic": "size"}, r"set_pooling\(model, 'computed'\)"),
        (tiny_model("adaptive"), {"dynamic": "batch"}, "only where every size is known"),
        (tiny_model("exact"), {"dynamic": "size"}, "matrices of one size"),
        (fixed, {"dynamic": "size"}, "fused for 64x32 has that size built in"),
        (tiny_model(), {"weights": "int8"}, "unknown weights 'int8'"),
        (tiny_model(), {"dynamic": "sizes"}, "unknown dynamic 'sizes'"),
    ):
        with pytest.raises(ValueError, match=words):
            export_coreml(model, tmp_path / "m.mlpackage", SIZE, **options)
    with pytest.raises(ValueError, match=r"must end in \.mlpackage"):
        export_coreml(tiny_model(), tmp_path / "m.mlmodel", SIZE)
    assert describe(fixed, SIZE, None, "float32")["fused"] and not list(tmp_path.iterdir())


def test_no_runtime_here_runs_a_package(tmp_path: Path) -> None:
    path = tmp_path / "m.mlpackage"
    path.mkdir()
    with pytest.raises(ValueError, match=r"^m\.mlpackage: a Core ML package runs on Apple's systems only"):
        load(path)
    with pytest.raises(ValueError, match=r"m\.mlpackage is an \.mlpackage file, and ncnn reads"):
        load(path, "ncnn")
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere.mlpackage")


class TestFolders:
    """A package is a folder that is read, written and replaced like a file."""

    def test_is_read_as_a_file(self, tmp_path: Path) -> None:
        package, folder = tmp_path / "a.MLPACKAGE", tmp_path / "a.onnx"
        package.mkdir(), folder.mkdir()
        assert existing_file(package) == package and is_package(package) and not is_package(folder)
        with pytest.raises(IsADirectoryError):
            existing_file(folder)

    @pytest.mark.parametrize("before", ["nothing", "package", "file"])
    def test_replaces_what_was_there_or_leaves_it(self, tmp_path: Path, before: str) -> None:
        path = tmp_path / "a.mlpackage"
        if before == "package":
            path.mkdir()
            (path / "old").write_text("old")
        elif before == "file":
            path.write_text("old")

        def state() -> object:
            return sorted(each.name for each in path.iterdir()) if path.is_dir() else path.exists() and path.read_text()

        was = state()
        with pytest.raises(KeyError), written_whole(path) as temporary:
            temporary.mkdir()
            raise KeyError
        assert state() == was
        with pytest.raises(OSError), written_together([path, tmp_path / "b"]) as (first, _):
            first.mkdir()  # the second file was never written, so the first is put back
        assert state() == was and len(list(tmp_path.iterdir())) == (before != "nothing")
        with written_whole(path) as temporary:
            temporary.mkdir()
            (temporary / "new").write_text("new")
        assert state() == ["new"] and [each.name for each in tmp_path.iterdir()] == ["a.mlpackage"]

    def test_a_folder_that_is_no_package_is_never_replaced(self, tmp_path: Path) -> None:
        (tmp_path / "a").mkdir()
        with pytest.raises(IsADirectoryError), written_whole(tmp_path / "a"):
            pass

    def test_another_folder_of_that_name_wants_overwrite(self, tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
        path = tmp_path / "a.mlpackage"
        path.mkdir()
        (path / "diary.txt").write_text("dear diary")
        assert cli.main(["export", "litehrnet18", "-o", str(path)]) == 1
        assert "exists and is not a Core ML package" in capsys.readouterr().err
        assert (path / "diary.txt").is_file()
