"""The command line, as an engineer meets it: what it prints, what it writes, how it ends, and what it never leaves."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import io
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import ClassVar

import numpy as np
import onnx
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from reference import reference_model

import litehrnet
from litehrnet import cli, files
from litehrnet.checkpoints.saving import save_weights
from litehrnet.cli import parser, terminal
from litehrnet.cli.models import Runner
from litehrnet.cli.parser import build_parser
from litehrnet.cli.terminal import spinner
from litehrnet.files import data_path
from litehrnet.heatmaps import COCO_NAMES, COCO_SKELETON
from litehrnet.images import read_image
from litehrnet.runtimes import parity, signature

PHOTO = data_path("astronaut.jpg")
FAST = ("--exporter", "torchscript", "--size", "64x32")


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A checkpoint with the weights of the `exported` files."""
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save({"state_dict": reference_model("litehrnet18").state_dict()}, path)
    return path


@pytest.fixture(scope="session")
def ours(exported: Callable) -> Path:
    """An exported file of free size."""
    return exported(dynamic="size")[1]


@pytest.fixture
def run(capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`run("export", ...)` in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main([str(argument) for argument in arguments])
        except SystemExit as error:  # argparse
            code = error.code
        return code, *capsys.readouterr()

    return call


def interrupt(*_: object, **__: object) -> None:
    raise KeyboardInterrupt


def left(folder: Path = Path()) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


class TestExport:
    def test_says_what_it_did(self, run: Callable, checkpoint: Path) -> None:
        code, out, err = run("export", checkpoint, *FAST)
        assert (code, err, left()) == (0, "", ["mine.onnx"])
        lines = out.splitlines()
        assert lines[0] == "litehrnet18, 17 joints, 64x32 (height x width)"
        assert lines[1].startswith("opset 18, 1,070 nodes, 5.0 MB, float32 weights, torchscript, ")
        assert lines[2] == "takes batch 1 only, 64x32 only"
        assert re.fullmatch(r"parity: relative difference \S+ \(at 64x32, batch 1\), same peaks", lines[3])
        assert lines[4] == "mine.onnx"

    def test_a_file_that_is_replaced_is_named(self, run: Callable, ours: Path, checkpoint: Path) -> None:
        shutil.copy(ours, "m.onnx")
        code, out, _ = run("export", checkpoint, *FAST, "-o", "m.onnx")
        assert code == 0 and "note: this replaces the m.onnx that was here" in out

    def test_options_reach_the_file(self, run: Callable, checkpoint: Path) -> None:
        options = (
            "--dynamic",
            "size",
            "--opset",
            17,
            "--weights",
            "float16",
            "--model",
            "litehrnet18",
            "-o",
            "other.onnx",
        )
        code, out, _ = run("export", checkpoint, *FAST, *options)
        about = signature("other.onnx")
        assert code == 0 and left() == ["other.onnx"] and "opset 17" in out and "float16 weights" in out
        assert (about.opset, about.dynamic, about.metadata["weights"]) == (17, "size", "float16")

    @pytest.mark.parametrize("to", ["onnx", "c"])
    def test_the_trained_size_is_the_default(self, run: Callable, tmp_path: Path, to: str) -> None:
        model = reference_model("litehrnet18")
        model.trained_size = (96, 64)
        save_weights(model, tmp_path / "small.safetensors")
        options = ("--to", to, *(("--exporter", "torchscript") if to == "onnx" else ()))
        code, out, _ = run("export", "small.safetensors", *options)
        assert code == 0 and out.startswith("litehrnet18, 17 joints, 96x64 (height x width, as trained)\n")
        code, out, _ = run("export", "small.safetensors", *options, "--size", "64x32")
        assert code == 0 and out.startswith("litehrnet18, 17 joints, 64x32 (height x width)\n")

    def test_several_comparisons_are_counted(self, run: Callable, checkpoint: Path) -> None:
        _, out, _ = run("export", checkpoint, *FAST, "--dynamic", "batch")
        assert re.search(r"parity: relative difference at most \S+ over 2 inputs \(at 64x32, batch [12]\)", out)

    def test_fused_and_free(self, run: Callable, checkpoint: Path) -> None:
        code, out, _ = run("export", checkpoint, *FAST, "--fused", "--dynamic", "size")
        assert code == 0 and "litehrnet18, fused, 17 joints" in out and "takes any batch, any size" in out
        assert "note: in ONNX Runtime a fused file of free size is no faster" in out
        assert signature("mine.onnx").metadata["fused"] is True

    def test_no_file_when_parity_fails(
        self, run: Callable, checkpoint: Path, ours: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copy(ours, "mine.onnx")
        monkeypatch.setattr("litehrnet.export.export", lambda model, path, **_: shutil.copy(ours, path))
        monkeypatch.setitem(parity.TOLERANCES, "float32", 1e-12)
        monkeypatch.setattr(parity, "REACH", 0.0)  # no difference counts as rounding
        code, out, err = run("export", checkpoint, *FAST)
        assert (code, out) == (1, "") and "does not compute what torch computes" in err
        assert left() == ["mine.onnx"] and Path("mine.onnx").read_bytes() == ours.read_bytes()

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("nowhere.pth",), "nowhere.pth"),
            (("litehrnet18", "--size", "480x854"), "829 to 832 and 861 to 864"),
            (("litehrnet18", "--opset", "10"), "11 to 20"),
            (("litehrnet18", "--model", "litehrnet30"), "holds litehrnet18, not litehrnet30"),
            (("litehrnet18", "--model", "hrnet"), "'litehrnet18', 'litehrnet30'"),
            (("litehrnet18", "--pooling", "exact", "--dynamic", "size"), "--pooling computed"),
            (("litehrnet18", "-o", "no/folder/m.onnx"), "folder"),
            ((PHOTO,), "astronaut.jpg"),
        ],
    )
    def test_errors_are_one_sentence(self, run: Callable, arguments: tuple, words: str) -> None:
        code, out, err = run("export", *arguments)
        assert (code, out, left()) == (1, "", [])
        assert err.startswith("litehrnet export: ") and words in err and "Traceback" not in err

    @pytest.mark.parametrize(
        "arguments",
        [
            ("--jsn",),
            ("export",),
            ("export", "litehrnet18", "--size", "256"),
            ("export", "litehrnet18", "--dynamic", "height"),
        ],
    )
    def test_wrong_calls_end_with_2(self, run: Callable, arguments: tuple) -> None:
        code, out, err = run(*arguments)
        assert (code, out, left()) == (2, "", []) and err.startswith("usage: litehrnet")


class TestCheck:
    def test_ours(self, run: Callable, ours: Path, checkpoint: Path) -> None:
        code, out, err = run("check", ours, "--checkpoint", checkpoint, "--size", "96x64", "--batch", 2)
        assert (code, err) == (0, "")
        assert "opset 18, 972 nodes" in out and f"made by litehrnet {litehrnet.__version__}: litehrnet18" in out
        assert "takes any batch, any size" in out and "96x64, batch 2: relative difference" in out
        assert out.splitlines()[-1] == "ok"

    def test_without_a_checkpoint_it_says_that_nothing_was_compared(self, run: Callable, ours: Path) -> None:
        code, out, _ = run("check", ours)
        assert code == 0 and "not compared" in out.splitlines()[-1]

    def test_other_weights(self, run: Callable, ours: Path) -> None:
        code, out, _ = run("check", ours, "--checkpoint", "litehrnet18", "--size", "32x32", "--batch", 1)
        assert code == 1 and "not ok" in out and out.splitlines()[-1] == "not ok"

    @pytest.mark.parametrize("batch", ["n", 2])
    def test_made_elsewhere(self, run: Callable, ours: Path, checkpoint: Path, tmp_path: Path, batch: object) -> None:
        graph = onnx.load(ours)
        del graph.metadata_props[:]
        graph.graph.input[0].type.tensor_type.shape.dim[0].Clear()
        dim = graph.graph.input[0].type.tensor_type.shape.dim[0]
        setattr(dim, "dim_param" if batch == "n" else "dim_value", batch)
        for node in graph.graph.node:
            node.input[:] = ["input.1" if name == "image" else name for name in node.input]
            node.output[:] = ["4242" if name == "heatmaps" else name for name in node.output]
        graph.graph.input[0].name, graph.graph.output[0].name = "input.1", "4242"
        onnx.save(graph, tmp_path / "theirs.onnx")
        code, out, _ = run("check", "theirs.onnx", "--checkpoint", checkpoint, "--size", "64x32")
        assert code == 0 and "made by another tool" in out and "input 'input.1', output '4242'" in out
        assert ("64x32, batch 3: " in out) == (batch == "n") and ("64x32, batch 2: " in out) == (batch == 2)

    def test_weights_in_another_file(self, run: Callable, ours: Path, checkpoint: Path) -> None:
        graph = onnx.load(ours)
        onnx.save(graph, "split.onnx", save_as_external_data=True, location="split.onnx.data", size_threshold=1024)
        arguments = ("check", "split.onnx", "--checkpoint", checkpoint, "--size", "64x32", "--batch", 1)
        code, out, _ = run(*arguments)
        assert code == 0 and "note: some weights are in another file" in out and out.splitlines()[-1] == "ok"
        Path("split.onnx.data").unlink()
        code, out, err = run(*arguments)
        assert (code, out) == (1, "") and "keeps weights in split.onnx.data, which is missing beside it" in err

    @pytest.mark.slow
    def test_joints_that_differ_have_the_names_that_are_given(
        self, run: Callable, exported: Callable, checkpoint: Path
    ) -> None:
        graph = onnx.load(exported()[1])
        scale = onnx.numpy_helper.from_array(np.array([2.0] + [1.0] * 16, np.float32).reshape(1, 17, 1, 1), "scale")
        graph.graph.initializer.append(scale)
        graph.graph.node[-1].output[0] = "before"
        graph.graph.node.append(onnx.helper.make_node("Mul", ["before", "scale"], ["heatmaps"], name="doubled"))
        onnx.save(graph, "first.onnx")
        Path("names.json").write_text(json.dumps({"names": [f"tip {k}" for k in range(17)], "skeleton": []}))
        options = ("--checkpoint", checkpoint, "--joints", "names.json")
        code, out, _ = run("check", "first.onnx", *options, "--batch", 1)
        assert code == 1 and "tip 0 of 17 differs" in out
        assert run("check", "first.onnx", "--joints", "names.json")[0] == 1  # names of what, without a comparison?
        code, _, err = run("check", "first.onnx", *options[:2], "--joints", "mpii")
        assert code == 1 and "names 16 joints, and the model has 17" in err

    def test_a_size_that_fails_is_a_row_and_the_rest_goes_on(
        self, run: Callable, exported: Callable, checkpoint: Path
    ) -> None:
        graph = onnx.load(exported()[1])  # for 64x32, and says that it takes any size
        for side, name in zip(graph.graph.input[0].type.tensor_type.shape.dim[2:], ("h", "w"), strict=True):
            side.dim_param = name
        onnx.save(graph, "liar.onnx")
        sizes = ("--size", "96x64", "--size", "64x32")
        code, out, _ = run("check", "liar.onnx", "--checkpoint", checkpoint, *sizes, "--batch", 1)
        rows = [line for line in out.splitlines() if "batch 1: " in line]
        assert code == 1 and rows[0].startswith("96x64") and "ok" not in rows[0].split() and rows[1].endswith(": ok")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--size", "96x64"), "takes height 64 only, and --size asks for 96x64"),
            (("--size", "99968x99968"), "takes height 64 only"),
            (("--batch", 3), "takes batch 1 only, and --batch asks for 3"),
            (("--size", "65x32"), "takes height 64 only"),
        ],
    )
    def test_a_bad_call_is_not_blamed_on_the_file(
        self, run: Callable, exported: Callable, checkpoint: Path, options: tuple, words: str
    ) -> None:
        code, out, err = run("check", exported()[1], "--checkpoint", checkpoint, *options)
        assert code == 1 and words in err and "not ok" not in out

    def test_a_size_that_no_network_takes(self, run: Callable, ours: Path, checkpoint: Path) -> None:
        code, out, err = run("check", ours, "--checkpoint", checkpoint, "--size", "65x32")
        assert (code, out) == (1, "") and "the network cannot run at 65x32" in err

    @pytest.mark.parametrize("options", [("--size", "64x32"), ("--batch", 2), ("--tolerance", 0.1)])
    def test_options_of_a_comparison_need_one(self, run: Callable, ours: Path, options: tuple) -> None:
        code, out, err = run("check", ours, *options)
        assert (code, out) == (1, "") and f"{options[0]} is for a comparison; add --checkpoint" in err

    def test_what_is_odd_is_noted(self, run: Callable, exported: Callable, tmp_path: Path) -> None:
        graph = onnx.load(exported()[1])
        pool = next(node for node in graph.graph.node if node.op_type == "Resize")
        next(a for a in pool.attribute if a.name == "nearest_mode").s = b"ceil"
        onnx.save(graph, tmp_path / "odd.onnx")
        code, out, _ = run("check", "odd.onnx")
        assert code == 0 and "note: nearest Resize with asymmetric and ceil" in out

    @pytest.mark.parametrize("metadata", ["5", "[]", "null", '"x"', '{"weights": "int8"}'])
    def test_metadata_of_others(
        self, run: Callable, exported: Callable, checkpoint: Path, tmp_path: Path, metadata: str
    ) -> None:
        graph = onnx.load(exported()[1])
        onnx.helper.set_model_props(graph, {"litehrnet": metadata})
        onnx.save(graph, tmp_path / "m.onnx")
        code, out, err = run("check", "m.onnx", "--checkpoint", checkpoint)
        if metadata.startswith("{"):
            assert code == 0 and "made by another tool" in out
        else:
            assert code == 1 and "is not a JSON object" in err

    def test_no_onnx_file(self, run: Callable) -> None:
        code, out, err = run("check", PHOTO)
        assert (code, out) == (1, "") and "is not an exported file" in err


class TestPredict:
    @pytest.mark.parametrize("model", ["file", "name", "checkpoint"])
    def test_models_of_every_kind(self, run: Callable, ours: Path, checkpoint: Path, model: str) -> None:
        which = {"file": ours, "name": "litehrnet18", "checkpoint": checkpoint}[model]
        code, out, err = run("predict", PHOTO, "--model", which, "--size", "64x32")
        lines = out.splitlines()
        assert (code, left()) == (0, []) and lines[0] == "box 0, 0, 512, 512" and len(lines) == 2 + 17
        # The bundled weights were not trained at 64x32.
        assert ("no joint scores 0.5 or more" in err) == (model == "name")
        assert [line[2:18].strip() for line in lines[2:]] == list(COCO_NAMES)

    def test_json_and_table_agree_and_the_picture_is_drawn(self, run: Callable, ours: Path) -> None:
        boxes = ("--box", "10,20,200,300", "--box", "200,100,100.5,200")
        drawing = ("-o", "out.png", "--least-score", -1e9)
        code, out, err = run("predict", PHOTO, "--model", ours, *boxes, "--json", *drawing)
        found = json.loads(out)
        assert (code, err, left()) == (0, "out.png\n", ["out.png"])
        assert found["input_size"] == [64, 32]
        assert [person["box"] for person in found["people"]] == [[10, 20, 200, 300], [200, 100, 100.5, 200]]
        _, table, _ = run("predict", PHOTO, "--model", ours, *boxes)
        first = found["people"][0]["joints"][0]
        assert f"  {first['name']:16}{first['x']:8.1f}{first['y']:8.1f}{first['score']:8.3f}" in table.splitlines()
        drawn, photo = read_image("out.png"), read_image(PHOTO)
        assert drawn.shape == photo.shape and (drawn != photo).any()

    def test_a_file_of_one_size_says_which(self, run: Callable, exported: Callable) -> None:
        path = exported()[1]
        assert run("predict", PHOTO, "--model", path)[0] == 0
        code, _, err = run("predict", PHOTO, "--model", path, "--size", "96x64")
        assert code == 1 and "height 64 only" in err

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            ((__file__,), "is not a photograph"),
            (("nowhere.jpg",), "no such file"),
            ((PHOTO, "--box", "600,0,10,10"), "outside"),
            ((PHOTO, "--box", "0,0,-5,10"), "positive"),
            ((PHOTO, "-o", "out"), "use an image extension"),
            ((PHOTO, "--model", "nowhere.onnx"), "no such file"),
        ],
    )
    def test_errors_leave_nothing(self, run: Callable, arguments: tuple, words: str) -> None:
        code, out, err = run("predict", "--size", "32x32", *arguments)
        assert (code, out, left()) == (1, "", []) and words in err and len(err.splitlines()) == 1

    def test_a_box_may_begin_outside(self, run: Callable, ours: Path) -> None:
        together = run("predict", PHOTO, "--model", ours, "--box=-5,0,300,400", "--json")
        apart = run("predict", PHOTO, "--model", ours, "--box", "-5,0,300,400", "--json")
        assert together[0] == 0 and apart == together

    def test_what_is_beyond_the_machine_is_one_sentence(
        self, run: Callable, ours: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for error in (MemoryError("Unable to allocate 143 TiB"), RuntimeError("you tried to allocate 143 TiB")):

            def fail(*_: object, error: Exception = error, **__: object) -> None:
                raise error

            monkeypatch.setattr("litehrnet.cli.models.runner", fail)
            code, _, err = run("predict", PHOTO, "--model", ours)
            assert code == 1
            said = "there is not enough memory for this (143 TiB were requested); use a smaller --size"
            assert err == f"litehrnet predict: {said}\n"

    def test_a_box_that_is_none_is_a_wrong_call(self, run: Callable) -> None:
        assert run("predict", PHOTO, "--box", "1,2,3")[0] == 2


class TestWhatIsWritten:
    """Never over what is read, never over what is no file, and a link stays a link."""

    def test_a_checkpoint_outlives_its_export(self, run: Callable, checkpoint: Path) -> None:
        for name, options in {
            "model.onnx": (),
            "weights.xml": ("--to", "openvino"),
            "pytorch_model.bin": ("--to", "openvino"),
            "other.ONNX": ("-o", "other.ONNX"),
            "again.onnx": ("-o", "./again.onnx", "--overwrite"),
        }.items():
            shutil.copy(checkpoint, name)
            code, _, err = run("export", name, "--size", "64x32", *options)
            assert (code, err.count("\n")) == (1, 1) and "is the file that is read" in err
            assert Path(name).read_bytes() == checkpoint.read_bytes()
        Path("link.onnx").symlink_to("other.ONNX")
        assert "is the file that is read" in run("export", "other.ONNX", "-o", "link.onnx")[2]

    def test_a_photograph_outlives_its_drawing(self, run: Callable, ours: Path) -> None:
        shutil.copy(PHOTO, "photo.jpg")
        code, _, err = run("predict", "photo.jpg", "--model", ours, "-o", "photo.jpg")
        assert code == 1 and "is the file that is read" in err
        assert Path("photo.jpg").read_bytes() == PHOTO.read_bytes()

    @pytest.mark.parametrize("ending", ["psd", "fli", "xpm", "onnx", ""])
    def test_a_picture_has_an_ending_that_can_be_written(self, run: Callable, ours: Path, ending: str) -> None:
        code, _, err = run("predict", PHOTO, "--model", ours, "-o", f"out.{ending}".rstrip("."))
        assert code == 1 and "use an image extension such as .png" in err
        assert list(Path().iterdir()) == []

    def test_a_link_stays_and_what_it_leads_to_is_written(self, run: Callable, ours: Path) -> None:
        Path("there").mkdir()
        Image.new("L", (3, 5)).save("there/real.png")
        Path("link.png").symlink_to("there/real.png")
        assert run("predict", PHOTO, "--model", ours, "-o", "link.png")[0] == 0
        assert Path("link.png").is_symlink()
        assert read_image("there/real.png").shape == read_image(PHOTO).shape
        assert [path.name for path in Path("there").iterdir()] == ["real.png"]

    def test_a_pipe_is_refused(self, run: Callable, ours: Path) -> None:
        os.mkfifo("pipe.png")
        code, _, err = run("predict", PHOTO, "--model", ours, "-o", "pipe.png")
        assert code == 1 and "cannot write pipe.png: it is a pipe or a device" in err
        assert Path("pipe.png").is_fifo()

    def test_a_folder_that_takes_nothing_is_named_by_the_file(
        self, run: Callable, ours: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def refuse(**_: object) -> None:
            raise PermissionError(13, "Permission denied", "/somewhere/.temporary")

        monkeypatch.setattr(files.tempfile, "TemporaryDirectory", refuse)
        code, _, err = run("predict", PHOTO, "--model", ours, "-o", "out.png")
        assert code == 1 and "cannot write out.png: permission denied" in err and "temporary" not in err


class TestBenchAndView:
    def test_bench(self, run: Callable, ours: Path, tmp_path: Path) -> None:
        other = shutil.copy(ours, tmp_path / "other.onnx")
        code, out, _ = run("bench", ours, other, "--rounds", 2, "--size", "32x32", "-o", "report.json")
        assert code == 0 and "| model.onnx |" in out and "| other.onnx |" in out and "processor: " in out
        assert len(json.loads(Path("report.json").read_text())["rows"]) == 2

    def test_bench_of_a_name_and_a_file(self, run: Callable, ours: Path) -> None:
        options = ("--rounds", 1, "--sessions", 1, "--size", "32x32", "--json")
        code, out, _ = run("bench", "litehrnet18", ours, *options)
        assert code == 0 and [row["runtime"] for row in json.loads(out)["rows"]] == ["torch", "onnxruntime"]

    @pytest.mark.parametrize(
        ("model", "words"),
        [
            ("https://example.org/m.onnx", "'https://example.org/m.onnx' is a web address"),
            ("-", "standard input"),
            ("", "the file name is empty"),
            ("litehrnet-18", "did you mean litehrnet18?"),
            ("nowhere.onnx", "no such file: nowhere.onnx"),
        ],
    )
    @pytest.mark.parametrize("call", [("bench",), ("predict", PHOTO, "--model")])
    def test_what_stands_for_no_model(self, run: Callable, call: tuple, model: str, words: str) -> None:
        code, out, err = run(*call, model)
        assert (code, out) == (1, "") and words in err and len(err.splitlines()) == 1

    def test_bench_of_nothing(self, run: Callable) -> None:
        assert run("bench", "nowhere.onnx")[0] == 1 and run("bench")[0] == 2

    def test_view_serves_until_interrupted(self, run: Callable, ours: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        import webbrowser

        opened: list[str] = []
        monkeypatch.setattr(webbrowser, "open", opened.append)
        monkeypatch.setattr("litehrnet.cli.view._wait", interrupt)
        code, out, _ = run("view", ours)
        assert code == 0 and opened and opened[0] in out and opened[0].startswith("http://localhost:")


class TestProcess:
    """What only a process of its own shows."""

    def call(self, *arguments: object) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "litehrnet", *map(str, arguments)]
        return subprocess.run(command, capture_output=True, text=True, timeout=120)

    def test_help_names_every_command(self) -> None:
        shown = self.call("--help").stdout
        assert all(
            f"  {name}" in shown
            for name in ("export", "check", "compare", "predict", "train", "evaluate", "bench", "view")
        )

    def test_an_error_is_one_line_without_traceback(self, tmp_path: Path) -> None:
        done = self.call("check", tmp_path / "nowhere.onnx")
        assert (done.returncode, done.stdout) == (1, "") and len(done.stderr.splitlines()) == 1

    def test_interrupt(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("litehrnet.export.export", interrupt)
        assert run("export", "litehrnet18", *FAST)[0] == 130 and left() == []


# For every option, a value that is wrong in itself; options that are switches, or take any text, are not here.
WRONG = {
    "size": ["", "256", "256x", "x192", "256x192x3", "-256x192", "2.5x32", "axb", "1e3x32", "256x19２x"],
    "box": ["", "1,2,3", "1,2,3,4,5", "a,b,c,d", "nan,0,1,1", "0,0,inf,1", "1 2 3 4"],
    "count": ["", "0", "-1", "1.5", "two", "nan", "9" * 40, "1e3"],
    "threads": ["", "0", "-3", "100000", "4.0", "many", "9" * 12],
    "finite": ["", "nan", "inf", "-inf", "high", "0,3"],
    "tolerance": ["", "0", "-1e-4", "nan", "inf", "1", "2", "small"],
    "positive": ["", "0", "-1e-4", "nan", "inf", "small"],
    "fps": ["", "0", "-30", "fast", "30 frames", "nan", "0fps"],
    "points": ["", "0", "-1oks", "one", "1%", "inf"],
    "interpreter": ["", "mnn", "mnn=", "=python", "mn=python"],
    "file": ["", "https://example.org/x", "s3://bucket/x", "a\0b"],
}
ANY_TEXT = {"checkpoint", "device", "start", "model", "models", "joints", "print_completion", "reference"}


def wrong_calls() -> Iterator[tuple[str, ...]]:
    """Every option of every command, with every wrong value of its kind; read from the parser itself."""
    parser = build_parser()
    commands = next(action for action in parser._actions if action.dest == "command").choices
    for name, command in commands.items():
        needed = ["x.jpg" for action in command._actions if not action.option_strings and action.nargs in (None, "+")]
        for action in command._actions:
            if action.nargs == 0 or action.dest == "help":
                continue
            if action.choices is not None:
                values = ["", "no", f"{next(iter(action.choices))} ", next(iter(action.choices)).upper()]
            elif action.type is None:
                assert action.dest in ANY_TEXT, f"litehrnet {name} {action.dest}: what is a wrong value?"
                continue
            else:
                values = WRONG[action.type.__name__]
            for value in values:
                if action.option_strings:
                    yield (name, *needed, f"{action.option_strings[-1]}={value}")
                else:
                    others = needed[1:]
                    yield (name, *others, value)


def bench_options() -> list[argparse.Action]:
    commands = next(action for action in build_parser()._actions if action.dest == "command").choices
    return commands["bench"]._actions


class TestEveryOption:
    @pytest.mark.parametrize("call", list(wrong_calls()), ids=lambda call: " ".join(call)[:60].replace("\0", "0"))
    def test_a_wrong_value_is_a_wrong_call(self, run: Callable, call: tuple[str, ...]) -> None:
        code, out, err = run(*call)
        assert (code, out, left()) == (2, "", [])
        last = err.splitlines()[-1]
        assert err.startswith("usage: litehrnet ") and last.startswith(f"litehrnet {call[0]}: error: argument ")
        assert "invalid" not in last or "choose from" in last  # argparse's own "invalid size value" says nothing
        option, _, value = call[-1].partition("=") if call[-1].startswith("-") else ("", "", call[-1])
        assert option in last and (repr(value) in last or value in last.split() or value == "")

    @pytest.mark.parametrize("text", ["64x32", "64X32", "64×32", "64*32", " 64 x 32 ", "64,32"])
    def test_sizes_as_people_write_them(self, text: str) -> None:
        assert parser.size(text) == (64, 32)

    @pytest.mark.parametrize(
        ("call", "meant"),
        [
            (("exprt",), "export"),
            (("predcit", "x"), "predict"),
            (("export", "x", "--dynamc", "size"), "--dynamic"),
            (("export", "x", "--dynamic", "sizes"), "size"),
            (("predict", "x", "--bx=1,2,3,4"), "--box"),
            (("bench", "x", "--runtime", "onnxrt"), "onnxruntime"),
            (("export", "x", "--to", "opnvino"), "openvino"),
        ],
    )
    def test_did_you_mean(self, run: Callable, call: tuple, meant: str) -> None:
        code, _, err = run(*call)
        assert code == 2 and err.rstrip().endswith(f"; did you mean {meant}?")

    @pytest.mark.parametrize(
        ("call", "meant"),
        [
            (("predict", "p.jpg", "--checkpoint", "m.onnx"), "; did you mean --model?"),
            (("predict", "--source", "p.jpg", "x.jpg"), "; PHOTO is given without an option"),
            (("export", "m.pth", "--half"), "; did you mean --weights float16?"),
            (("export", "m.pth", "--precision", "float16"), "; did you mean --weights?"),
            (("export", "m.pth", "--imgsz=256x192"), "; did you mean --size?"),
            (("evaluate", "m.onnx", "--ann-file", "p.json", "--images", "p", "x"), "; DATA is given without an option"),
            (("bench", "m.onnx", "--fp16"), "; did you mean --precision float16?"),
            (("compare", "m.pth", "--img_size", "256x192"), "; did you mean --sizes?"),
            (("train", "p.json", "-o", "r", "--weights", "m.pth"), "; did you mean --start?"),
            (("check", "m.onnx", "my.pth"), "; did you mean --checkpoint my.pth?"),
            (("check", "m.onnx", "--zebra"), "unrecognized arguments: --zebra"),
        ],
    )
    def test_words_of_other_tools(self, run: Callable, call: tuple, meant: str) -> None:
        code, out, err = run(*call)
        assert (code, out) == (2, "") and err.rstrip().endswith(meant)

    def test_what_other_tools_words_stand_for_exists(self) -> None:
        commands = next(action.choices for action in build_parser()._actions if action.dest == "command")
        actions = [action for command in commands.values() for action in command._actions]
        known = {option for action in actions for option in action.option_strings}
        places = {action.metavar for action in actions if not action.option_strings}
        for meant in {one for several in parser.OTHER_NAMES.values() for one in several}:
            assert meant.split(" ")[0] in known | places

    @pytest.mark.parametrize(
        "call", [("photo.jpg", "my.onnx"), ("my.PTH", "photo.jpg"), ("a.jpg", "b.tflite", "-o", "o")]
    )
    def test_a_model_among_the_pictures(self, run: Callable, call: tuple) -> None:
        code, out, err = run("predict", *call)
        model = next(word for word in call if "jpg" not in word)
        assert (code, out, left()) == (1, "", [])
        assert err.rstrip().endswith(f"{model} is a model, not a picture; did you mean --model {model}?")

    def test_a_name_of_weights_that_is_nearly_known(self, run: Callable) -> None:
        code, _, err = run("predict", PHOTO, "--model", "litehrnet81")
        assert code == 1 and "known weights are litehrnet18, " in err and err.rstrip().endswith("litehrnet18?")

    @pytest.mark.parametrize("name", ["export", "check", "compare", "predict", "train", "evaluate", "bench", "view"])
    def test_examples_are_calls_that_parse(self, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
        module = importlib.import_module(f"litehrnet.cli.{name}")
        lines = [line.strip() for line in module.EXAMPLES.strip().splitlines()]
        assert len(lines) >= 2
        for line in lines:
            words = shlex.split(line.split("  #")[0].split(" # ")[0].split(">")[0])
            assert words[:2] == ["litehrnet", name]
            assert parser.parse(words[1:]).command == name

    def test_formats_and_runtimes_are_the_packages_own(self) -> None:
        from litehrnet.cli import export
        from litehrnet.export import FORMATS
        from litehrnet.runtimes import DEVICES, PRECISIONS, RUNTIMES

        assert {name: row.suffix for name, row in FORMATS.items()} == export.SUFFIXES
        assert {option for row in FORMATS.values() for option in row.options} == set(export.ONNX_ONLY)
        options = {action.dest: action.choices for action in bench_options()}
        assert options["runtime"] == tuple(RUNTIMES) and options["precision"] == PRECISIONS
        assert options["device"] == DEVICES
        for name, row in FORMATS.items():
            files = row.files(Path("m" + row.suffix))
            assert len(files) == (2 if name in ("ncnn", "openvino") else 1)

    def test_alone_it_prints_the_help(self, run: Callable) -> None:
        code, out, err = run()
        assert (code, err) == (0, "") and out.startswith("usage: litehrnet") and "bench" in out

    def test_the_old_name_of_float16_still_works_and_says_so(self, capsys: pytest.CaptureFixture) -> None:
        args = parser.parse(["export", "x.pth", "--fp16"])
        assert args.weights == "float16" and "old name of --weights float16" in capsys.readouterr().err
        assert parser.parse(["export", "x.pth"]).weights is None  # as the source has it

    def test_models_may_stand_on_both_sides_of_an_option(self) -> None:
        args = parser.parse(["bench", "a.onnx", "--threads", "1", "b.onnx", "c.onnx", "--json"])
        assert args.models == ["a.onnx", "b.onnx", "c.onnx"] and args.json

    @pytest.mark.parametrize("shell", ["bash", "zsh", "tcsh"])
    def test_completion(self, run: Callable, shell: str) -> None:
        pytest.importorskip("shtab")
        code, out, _ = run("--print-completion", shell)
        assert code == 0 and "least-score" in out and "onnxruntime" in out

    def test_completion_without_its_package(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setitem(sys.modules, "shtab", None)
        code, _, err = run("--print-completion", "bash")
        assert code == 1 and "shtab is not installed; install it with: pip install shtab" in err


class TestRefusals:
    """Options that do not go together: refused in the words of the command line, before the slow part."""

    PYTHON = re.compile(r"litehrnet\.\w|\w=|\(model|storage|fp16|fp32")

    @pytest.mark.parametrize(
        ("options", "words"),
        [
            (("--dynamic", "size", "--size", "62x96"), "multiples of 32"),
            (("--dynamic", "size", "--pooling", "exact"), "--pooling computed"),
            (("--dynamic", "batch", "--pooling", "adaptive", "--exporter", "torchscript"), "--pooling computed"),
            (("--opset", "7"), "opset"),
            (("--opset", "99", "--exporter", "torchscript"), "opset"),
            (("--to", "ncnn", "--opset", "18"), "--opset belongs to ONNX files, not to --to ncnn"),
            (("--to", "openvino", "--exporter", "dynamo"), "--exporter belongs to ONNX files"),
            (("-o", "m.txt"), "none of the endings"),
            (("-o", "m"), "none of the endings"),
            (("-o", "m.onnx", "--to", "ncnn"), "must end in .ncnn.param"),
            (("-o", ".onnx"), "must end in .onnx"),
            (("-o", "no/m.onnx"), "the folder no does not exist"),
            (("--fused", "--pooling", "adaptive"), "leave out --pooling adaptive"),
            (("--fused", "--to", "ncnn", "--pooling", "computed"), "leave out --pooling computed"),
            (("-o", "m.lhr", "--pooling", "exact"), "leave out --pooling exact"),
            (("--size", "100000x100000"), "100000"),
            (("--size", "999999999x32"), "999999999"),
            (("--model", "litehrnet19"), "did you mean 'litehrnet18'?"),
            (("--joints", "nowhere.json"), "no such file: nowhere.json"),
            (("--joints", "hands"), "coco_wholebody_hand"),
        ],
    )
    def test_of_export(self, run: Callable, options: tuple, words: str) -> None:
        code, out, err = run("export", "litehrnet18", *options)
        assert (code, out, left()) == (1, "", []) and words in err and len(err.splitlines()) == 1
        assert not self.PYTHON.search(err), err

    @pytest.mark.parametrize(
        ("call", "words"),
        [
            (("bench", "a.onnx", "--json", "r.json"), "write -o r.json"),
            (("bench", "a.onnx", "-o", "r.txt"), "must end in .json"),
            (("bench", "a.onnx", "-o", "no/r.json"), "the folder no does not exist"),
            (("predict", PHOTO, "-o", "no/out.png"), "the folder no does not exist"),
            (("predict", PHOTO, "--joints", "nowhere.json"), "no such file: nowhere.json"),
            (("predict", PHOTO, "--joints", "mpii"), "names 16 joints, and the model has 17"),
            (("predict", PHOTO, "--joints", "hands"), "coco_wholebody_hand"),
            (("predict", ""), "the file name is empty"),
        ],
    )
    def test_of_the_others(self, run: Callable, call: tuple, words: str) -> None:
        code, out, err = run(*call)
        assert code in (1, 2) and (out, left()) == ("", []) and words in err
        assert "Traceback" not in err and not self.PYTHON.search(err.splitlines()[-1])

    @pytest.mark.parametrize(
        ("to", "missing", "words"),
        [
            ("openvino", ["openvino"], "openvino is not installed; install it with: pip install openvino"),
            ("ncnn", ["pnnx", "ncnn"], "pnnx and ncnn are not installed; install them with: pip install pnnx ncnn"),
            ("litert", ["litert_torch"], "litert-torch is not installed; install it with: pip install litert-torch"),
            ("mnn", ["MNN"], "MNN is not installed; install it with: pip install MNN"),
        ],
    )
    def test_missing_packages_are_named_before_anything_is_loaded(
        self, run: Callable, monkeypatch: pytest.MonkeyPatch, to: str, missing: list[str], words: str
    ) -> None:
        for name in missing:
            monkeypatch.setitem(sys.modules, name, None)
        monkeypatch.setattr("litehrnet.cli.models.load_model", lambda *_: pytest.fail("the checkpoint was read"))
        code, out, err = run("export", "litehrnet18", "--to", to)
        assert (code, out, left()) == (1, "", []) and err.rstrip() == f"litehrnet export: {words}"

    def test_joints_are_read_before_the_checkpoint(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("litehrnet.cli.models.load_model", lambda *_: pytest.fail("the checkpoint was read"))
        code, _, err = run("export", "litehrnet18", "--joints", "nowhere.json")
        assert code == 1 and "no such file: nowhere.json" in err


class TestJoints:
    """No output labels joints with names that are not theirs."""

    @pytest.fixture(scope="class")
    def hand(self, tmp_path_factory: pytest.TempPathFactory) -> Path:
        """A checkpoint of 21 joints that says nothing of them."""
        path = tmp_path_factory.mktemp("hand") / "hand.pth"
        torch.save(reference_model("litehrnet18", num_joints=21).state_dict(), path)
        return path

    def found(self, run: Callable, *arguments: object) -> dict:
        code, out, _ = run("predict", PHOTO, "--size", "32x32", "--json", *arguments)
        assert code == 0
        return json.loads(out)

    def test_unknown_joints_are_numbered(self, run: Callable, hand: Path) -> None:
        found = self.found(run, "--model", hand)
        assert [joint["name"] for joint in found["people"][0]["joints"]] == [f"joint {k}" for k in range(21)]
        assert found["skeleton"] == []

    def test_seventeen_are_cocos(self, run: Callable, checkpoint: Path) -> None:
        found = self.found(run, "--model", checkpoint)
        assert [joint["name"] for joint in found["people"][0]["joints"]] == list(COCO_NAMES)
        assert found["skeleton"] == [list(bone) for bone in COCO_SKELETON]

    def test_a_file_names_them(self, run: Callable, hand: Path) -> None:
        names = [f"finger {k}" for k in range(21)]
        category = {"name": "hand", "keypoints": names, "skeleton": [[1, 2], [20, 21]]}
        Path("hand.json").write_text(json.dumps({"images": [], "categories": [category]}))
        found = self.found(run, "--model", hand, "--joints", "hand.json")
        assert [joint["name"] for joint in found["people"][0]["joints"]] == names
        assert found["skeleton"] == [[0, 1], [19, 20]]

    def test_a_public_set_names_them_in_the_table_and_in_the_picture(self, run: Callable, hand: Path) -> None:
        options = ("--size", "32x32", "--model", hand, "--least-score=-1e9")
        _, numbered, _ = run("predict", PHOTO, *options, "-o", "a.png")
        code, named, _ = run("predict", PHOTO, *options, "-o", "b.png", "--joints", "coco_wholebody_hand")
        assert code == 0 and "  pinky finger 4  " in named and "joint 0" in numbered
        columns = {line.index("score") for line in named.splitlines() if "score" in line}
        assert len(columns) == 1
        assert (read_image("a.png") != read_image("b.png")).any()  # bones

    @pytest.mark.parametrize("content", ["", "{}", "[]", '{"keypoints": []}', '{"names": ["a", "a"]}', "\x80"])
    def test_what_describes_none_is_one_sentence(self, run: Callable, hand: Path, content: str) -> None:
        Path("hand.json").write_bytes(content.encode("latin-1"))
        code, out, err = run("predict", PHOTO, "--size", "32x32", "--model", hand, "--joints", "hand.json")
        assert (code, out) == (1, "") and "hand.json" in err and len(err.splitlines()) == 1


class TestEveryFile:
    """Files that are cut, empty, swapped, renamed, or no files at all, given to every command that reads one."""

    @staticmethod
    def make(kind: str, path: Path, ours: Path, checkpoint: Path) -> None:
        onnx_file, weights = ours.read_bytes(), checkpoint.read_bytes()
        if kind == "folder":
            path.mkdir()
        elif kind == "pipe":
            os.mkfifo(path)
        elif kind == "dangling":
            path.symlink_to("gone")
        elif kind != "missing":
            path.write_bytes(
                {
                    "empty": b"",
                    "one byte": b"\x08",
                    "zero bytes": bytes(4096),
                    "text": b"a few words\n" * 50,
                    "picture": PHOTO.read_bytes(),
                    "half an ONNX file": onnx_file[: len(onnx_file) // 2],
                    "half a checkpoint": weights[: len(weights) // 2],
                    "ONNX": onnx_file,
                    "checkpoint": weights,
                    "XML": b"<?xml version='1.0'?><net name='x' version='11'></net>",
                    "ncnn": b"7767517\n1 1\nInput in0 0 1 in0\n",
                    "web page": b"<!DOCTYPE html><html>404</html>",
                    "LFS pointer": b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 5\n",
                }[kind]
            )

    RIGHT: ClassVar = {"x.onnx": {"ONNX"}, "x.pth": {"checkpoint"}, "x.jpg": {"picture"}}
    KINDS = (
        "missing", "folder", "pipe", "dangling", "empty", "one byte", "zero bytes", "text", "picture",
        "half an ONNX file", "half a checkpoint", "ONNX", "checkpoint", "XML", "ncnn", "web page", "LFS pointer",
    )  # fmt: skip

    @pytest.mark.parametrize("kind", KINDS)
    @pytest.mark.parametrize(
        ("name", "calls"),
        [
            ("x.onnx", [("check", "x.onnx"), ("predict", PHOTO, "--model", "x.onnx"), ("bench", "x.onnx", "--json")]),
            ("x.xml", [("check", "x.xml"), ("predict", PHOTO, "--model", "x.xml"), ("bench", "x.xml")]),
            ("x.ncnn.param", [("check", "x.ncnn.param"), ("predict", PHOTO, "--model", "x.ncnn.param")]),
            ("x.pth", [("export", "x.pth"), ("predict", PHOTO, "--model", "x.pth")]),
            ("x.safetensors", [("export", "x.safetensors"), ("predict", PHOTO, "--model", "x.safetensors")]),
            ("x.jpg", [("predict", "x.jpg", "--model", "OURS")]),
            ("x.json", [("predict", PHOTO, "--model", "OURS", "--joints", "x.json")]),
        ],
    )
    def test_one_sentence_and_nothing_left(
        self, run: Callable, ours: Path, checkpoint: Path, kind: str, name: str, calls: list
    ) -> None:
        if kind in self.RIGHT.get(name, ()) or (kind, name) == ("checkpoint", "x.safetensors"):
            return  # the last: a checkpoint whatever it is called
        self.make(kind, Path(name), ours, checkpoint)
        before = left()
        for call in calls:
            code, out, err = run(*(ours if word == "OURS" else word for word in call))
            assert (code, out, left()) == (1, "", before), call
            assert len(err.splitlines()) == 1 and err.startswith(f"litehrnet {call[0]}: ") and "x." in err, err
            assert len(err) < 600 and "Traceback" not in err and "\x1b" not in err

    def test_notes_say_what_is_doubtful(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        maps = np.zeros((1, 17, 16, 8), np.float32)
        maps[:, :, 4, 5] = 0.4
        monkeypatch.setattr("litehrnet.cli.models.runner", lambda *_, **__: Runner(lambda x: maps, (64, 32), None))
        code, _, err = run("predict", PHOTO, "--box=-300,-300,400,400")
        assert code == 0 and "most of it is outside the photograph of 512x512" in err
        assert "no joint scores 0.5 or more" in err and len(err.splitlines()) == 2
        maps[0, 3, 4, 5] = 0.9
        assert run("predict", PHOTO, "--box", "-100,10,400,400")[2] == ""

    def test_names_that_are_not_utf8(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ours: Path, checkpoint: Path
    ) -> None:
        """Every command that reads a model, and one that writes it."""
        monkeypatch.chdir(tmp_path)
        name = "caf\udce9.onnx"
        shutil.copy(ours, name)
        for call in (
            ("check", name, "--checkpoint", checkpoint, "--size", "32x32", "--batch", 1),
            ("predict", PHOTO, "--model", name, "--size", "32x32"),
            ("bench", name, "--size", "32x32", "--rounds", 1, "--sessions", 1, "--json"),
            ("export", checkpoint, "--exporter", "torchscript", "--size", "32x32", "-o", name),
        ):
            said = io.StringIO()  # pytest's own capture would decode the name
            with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
                code = cli.main([str(word) for word in call])
            assert code == 0, (call, said.getvalue())
        assert left() == [name]

    @pytest.mark.parametrize("what", ["channels last", "twice as large"])
    def test_what_is_no_heatmap_is_not_decoded(self, run: Callable, exported: Callable, what: str) -> None:
        graph = onnx.load(exported()[1])
        (output,) = graph.graph.output
        if what == "channels last":
            node = onnx.helper.make_node("Transpose", [output.name], ["out"], perm=[0, 2, 3, 1])
            shape = (1, 16, 8, 17)
        else:
            scales = onnx.numpy_helper.from_array(np.array([1, 1, 2, 2], np.float32), "scales")
            graph.graph.initializer.append(scales)
            node = onnx.helper.make_node("Resize", [output.name, "", "scales"], ["out"], mode="nearest")
            shape = (1, 17, 32, 16)
        graph.graph.node.append(node)
        del graph.graph.output[:]
        graph.graph.output.append(onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, shape))
        onnx.save(graph, "theirs.onnx")
        code, out, err = run("predict", PHOTO, "--model", "theirs.onnx")
        assert (code, out) == (1, "") and "(1, joints, 16, 8)" in err and len(err.splitlines()) == 1
        assert ("transpose" in err) == (what == "channels last")


class TestOutputs:
    """Everything that a command could replace: an input, a file of another kind, a file that is half there."""

    OTHERS: ClassVar = {
        "text": b"notes of a week", "zip": b"PK\x03\x04" + bytes(40), "picture": None, "onnx": None,
        "json": b'{"name": "a package"}', "xml": b"<?xml version='1.0'?><project/>",
    }  # fmt: skip

    def fill(self, kind: str, path: str, ours: Path) -> bytes:
        if kind == "picture":
            Image.new("RGB", (3, 3)).save(path, "PNG")
        elif kind == "onnx":
            shutil.copy(ours, path)
        else:
            Path(path).write_bytes(self.OTHERS[kind])
        return Path(path).read_bytes()

    @pytest.mark.parametrize("kind", OTHERS)
    @pytest.mark.parametrize(
        ("call", "output", "own"),
        [
            (("export", "litehrnet18", "--size", "32x32"), "m.onnx", "onnx"),
            (("export", "litehrnet18", "--size", "32x32"), "m.xml", None),
            (("export", "litehrnet18", "--size", "32x32"), "m.ncnn.param", None),
            (("predict", PHOTO, "--size", "32x32"), "m.png", "picture"),
            (("bench", "MODEL", "--size", "32x32"), "m.json", None),
        ],
    )
    def test_another_kind_is_kept(
        self, run: Callable, ours: Path, kind: str, call: tuple, output: str, own: str | None
    ) -> None:
        if kind == own:
            return
        before = self.fill(kind, output, ours)
        code, out, err = run(*(ours if word == "MODEL" else word for word in call), "-o", output)
        assert (code, out, left()) == (1, "", [output]) and Path(output).read_bytes() == before
        assert f"{output} exists and is not " in err and "--overwrite" in err and len(err.splitlines()) == 1

    @pytest.mark.parametrize(("main", "weights"), [("m.xml", "m.bin"), ("m.ncnn.param", "m.ncnn.bin")])
    def test_weights_that_belong_to_nothing_are_kept(self, run: Callable, main: str, weights: str) -> None:
        Path(weights).write_bytes(b"somebody's firmware")
        code, _, err = run("export", "litehrnet18", "--size", "32x32", "-o", main)
        assert code == 1 and f"{weights} exists, and there is no {main} to which it belongs" in err
        assert left() == [weights] and Path(weights).read_bytes() == b"somebody's firmware"

    def test_the_same_kind_is_replaced_and_anything_when_asked(self, run: Callable, ours: Path) -> None:
        call = ("predict", PHOTO, "--size", "32x32", "--model", ours, "-o", "m.png")
        assert run(*call)[0] == 0 and run(*call)[0] == 0
        Path("m.png").write_text("notes")
        assert run(*call)[0] == 1 and run(*call, "--overwrite")[0] == 0
        assert read_image("m.png").shape == (512, 512, 3)
        Path("m.png").write_bytes(b"")  # nothing is lost
        assert run(*call)[0] == 0
        call = ("bench", ours, "--rounds", 1, "--sessions", 1, "--size", "32x32", "-o", "r.json")
        assert run(*call)[0] == 0 and run(*call)[0] == 0 and left() == ["m.png", "r.json"]

    @pytest.mark.parametrize("overwrite", [(), ("--overwrite",)])
    def test_an_input_is_never_replaced(self, run: Callable, ours: Path, checkpoint: Path, overwrite: tuple) -> None:
        shutil.copy(ours, "m.json")
        shutil.copy(PHOTO, "p.png")
        shutil.copy(checkpoint, "c.onnx")
        os.link("p.png", "hard.png")
        Path("soft.png").symlink_to("p.png")
        Path("joints.png").write_text(json.dumps({"names": list(COCO_NAMES)}))
        calls = [
            ("predict", "p.png", "-o", "p.png"),
            ("predict", "p.png", "-o", "hard.png"),
            ("predict", "p.png", "-o", "soft.png"),
            ("predict", PHOTO, "--joints", "joints.png", "-o", "joints.png"),
            ("export", "c.onnx", "-o", "c.onnx"),
        ]
        before = {name: Path(name).read_bytes() for name in left()}
        for call in calls:
            code, out, err = run(*call, *overwrite)
            assert (code, out) == (1, "") and "is the file that is read" in err, call
        assert {name: Path(name).read_bytes() for name in left()} == before

    def test_a_switch_is_not_an_output(self, run: Callable, ours: Path) -> None:
        """`bench --json a.onnx b.onnx` reads both."""
        for name in ("a.onnx", "b.onnx"):
            shutil.copy(ours, name)
        code, out, _ = run("bench", "--json", "a.onnx", "b.onnx", "--rounds", 1, "--sessions", 1, "--size", "32x32")
        assert code == 0 and [row["name"] for row in json.loads(out)["rows"]] == ["a.onnx", "b.onnx"]
        assert all(Path(name).read_bytes() == ours.read_bytes() for name in left())

    @pytest.mark.parametrize("ending", ["xbm", "msp", "palm", "hdf", "h5", "grib", "bufr", "wmf", "blp", "ico", "nope"])
    def test_endings_under_which_nothing_can_be_written(
        self, run: Callable, monkeypatch: pytest.MonkeyPatch, ending: str
    ) -> None:
        def never(*_: object) -> None:
            raise AssertionError("no work before the ending is checked")

        monkeypatch.setattr("litehrnet.cli.models.runner", never)
        code, out, err = run("predict", PHOTO, "-o", f"out.{ending}")
        assert (code, out, left()) == (1, "", []) and "use an image extension such as .png" in err

    def test_the_joints_outlive_a_picture_that_cannot_be_written(
        self, run: Callable, ours: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        def full(picture: np.ndarray, path: Path) -> None:
            path.write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr("litehrnet.cli.outputs.save_picture", full)
        code, out, err = run("predict", PHOTO, "--model", ours, "-o", "out.png")
        assert code == 1 and "right ankle" in out and left() == []
        assert "cannot write out.png: no space left on device" in err

    def test_two_files_are_replaced_together_or_not_at_all(
        self, run: Callable, checkpoint: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        pytest.importorskip("openvino")
        call = ("export", checkpoint, "--size", "32x32", "-o", "m.xml")
        assert run(*call)[0] == 0
        before = {name: Path(name).read_bytes() for name in left()}
        replace = Path.replace

        def second_fails(self: Path, target: Path) -> Path:
            if self.suffix == ".bin":
                raise OSError(5, "Input/output error")
            return replace(self, target)

        monkeypatch.setattr(Path, "replace", second_fails)
        assert run(*call, "--weights", "float16")[0] == 1
        assert {name: Path(name).read_bytes() for name in left()} == before == {**before}


class TestBoxes:
    NUMBER = st.floats(-1e4, 1e4, width=32)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(box=st.tuples(NUMBER, NUMBER, NUMBER, NUMBER))
    def test_any_box_gives_finite_joints_or_one_sentence(
        self, run: Callable, monkeypatch: pytest.MonkeyPatch, box: tuple[float, ...]
    ) -> None:
        maps = np.random.default_rng(0).standard_normal((1, 17, 16, 8)).astype(np.float32)
        monkeypatch.setattr("litehrnet.cli.models.runner", lambda *_, **__: Runner(lambda x: maps, (64, 32), None))
        code, out, err = run("predict", PHOTO, "--json", "--box=" + ",".join(map(str, box)))
        if code:
            assert out == "" and len(err.splitlines()) == 1 and "Traceback" not in err
            return
        joints = json.loads(out)["people"][0]["joints"]
        assert np.isfinite([[joint["x"], joint["y"], joint["score"]] for joint in joints]).all()


class TestSpinner:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    def test_shows_seconds_on_a_terminal_and_goes(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        with spinner("exporting"):
            time.sleep(0.3)
        shown = sys.stderr.getvalue()
        assert "exporting ... 0 s" in shown and shown.endswith("\r\x1b[K") and "\n" not in shown

    def test_the_work_can_change_its_name(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        with spinner("reading") as tell:
            time.sleep(0.25)
            tell("writing")
            time.sleep(0.25)
        before, _, after = sys.stderr.getvalue().partition("writing ... 0 s")
        assert "reading ... 0 s" in before and after and "reading" not in after

    def test_goes_when_the_work_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        with pytest.raises(ValueError, match="broken"), spinner("exporting"):
            raise ValueError("broken")
        assert sys.stderr.getvalue().endswith("\r\x1b[K")

    def test_elsewhere_it_speaks_where_it_takes_long(
        self, capsys: pytest.CaptureFixture, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        with spinner("exporting"):
            time.sleep(0.15)
        assert capsys.readouterr() == ("", "")
        monkeypatch.setattr(terminal, "_PATIENCE", 0.1)
        monkeypatch.setattr(terminal, "_AGAIN", 0.1)
        print("what was printed so far")
        with spinner("exporting"):
            time.sleep(0.5)
        out, err = capsys.readouterr()
        assert out == "what was printed so far\n" and len(err.splitlines()) >= 2
        assert set(re.sub(r"\d+ s", "0 s", err).splitlines()) == {"exporting ... 0 s"}

    def test_the_innermost_work_is_shown(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        with spinner("exporting"), spinner("loading"):
            time.sleep(0.3)
            terminal.say("note: half")
        before, note, _ = sys.stderr.getvalue().partition("\x1b[Knote: half\n")
        assert "loading ... 0 s" in before and "exporting" not in before and note

    @pytest.mark.parametrize("count", [3, None])
    def test_a_loop_says_which_one_it_is_at(self, monkeypatch: pytest.MonkeyPatch, count: int | None) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        assert [time.sleep(0.2) or one for one in terminal.counted("abc", count, "person")] == ["a", "b", "c"]
        shown = sys.stderr.getvalue()
        assert re.search(r"person 2 of 3 \.\.\. \d s, \d s left" if count else r"person 2 \.\.\. \d s", shown)
        assert shown.endswith("\r\x1b[K")

    def test_an_error_ends_every_line(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        def fail(people: object, *_: object, **__: object) -> None:
            for _ in terminal.counted(range(3), 3, "person"):
                raise ValueError("broken")

        monkeypatch.setattr("litehrnet.cli.models.model_file", fail)
        code, _, err = run("bench", PHOTO)
        assert (code, err) == (1, "litehrnet bench: broken\n") and not terminal._lines
