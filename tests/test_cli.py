"""The command line, as an engineer meets it: what it prints, what it writes, how it ends, and what it never leaves."""

from __future__ import annotations

import io
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

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
from litehrnet.cli.terminal import spinner
from litehrnet.files import data_path
from litehrnet.heatmaps import COCO_NAMES
from litehrnet.images import read_image
from litehrnet.runtimes import parity
from litehrnet.runtimes.onnx_files import signature

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
        assert lines[1].startswith("opset 18, 1,070 nodes, 5.0 MB, torchscript, ")
        assert lines[2] == "takes batch 1 only, 64x32 only"
        assert lines[3].startswith("parity: relative difference at most ") and lines[3].endswith("same peaks")
        assert lines[4] == "mine.onnx"

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
        told = signature("other.onnx")
        assert code == 0 and left() == ["other.onnx"] and "opset 17" in out and "float16 weights" in out
        assert (told.opset, told.dynamic, told.metadata["weights"]) == (17, "size", "float16")

    def test_fused_and_free(self, run: Callable, checkpoint: Path) -> None:
        code, out, _ = run("export", checkpoint, *FAST, "--fused", "--dynamic", "size")
        assert code == 0 and "litehrnet18, fused, 17 joints" in out and "takes any batch, any size" in out
        assert "note: in ONNX Runtime a fused file of free size is no faster" in out
        assert signature("mine.onnx").metadata["fused"] is True

    def test_no_file_when_parity_fails(
        self, run: Callable, checkpoint: Path, ours: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        shutil.copy(ours, "mine.onnx")
        monkeypatch.setattr("litehrnet.export.network.export_onnx", lambda model, path, *_: shutil.copy(ours, path))
        monkeypatch.setitem(parity.TOLERANCES, "float32", 1e-12)
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
        assert code == 0 and "note: some weights lie in another file" in out and out.splitlines()[-1] == "ok"
        Path("split.onnx.data").unlink()
        code, out, err = run(*arguments)
        assert code == 1 and "Traceback" not in err and out.splitlines()[-1] == "not ok"

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
            (("--size", "65x32"), "the network cannot run at 65x32"),
        ],
    )
    def test_a_bad_call_is_not_blamed_on_the_file(
        self, run: Callable, exported: Callable, checkpoint: Path, options: tuple, words: str
    ) -> None:
        code, out, err = run("check", exported()[1], "--checkpoint", checkpoint, *options)
        assert code == 1 and words in err and "not ok" not in out

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
            assert code == 1 and "is no JSON object" in err

    def test_no_onnx_file(self, run: Callable) -> None:
        code, out, err = run("check", PHOTO)
        assert (code, out) == (1, "") and "is not an ONNX file" in err


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
        told = json.loads(out)
        assert (code, err, left()) == (0, "out.png\n", ["out.png"])
        assert told["input_size"] == [64, 32]
        assert [person["box"] for person in told["people"]] == [[10, 20, 200, 300], [200, 100, 100.5, 200]]
        _, table, _ = run("predict", PHOTO, "--model", ours, *boxes)
        first = told["people"][0]["joints"][0]
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

            def fail(*_: object, error: Exception = error) -> None:
                raise error

            monkeypatch.setattr("litehrnet.cli.models.runner", fail)
            code, _, err = run("predict", PHOTO, "--model", ours)
            assert code == 1
            said = "there is not enough memory for this (143 TiB were asked for); use a smaller --size"
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
        code, out, _ = run("bench", ours, other, "--rounds", 2, "--size", "32x32", "-o", "told.json")
        assert code == 0 and "| model.onnx |" in out and "| other.onnx |" in out and "processor: " in out
        assert len(json.loads(Path("told.json").read_text())["rows"]) == 2

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
        told = self.call("--help").stdout
        assert all(f"  {name}" in told for name in ("export", "check", "predict", "bench", "view"))

    def test_an_error_is_one_line_without_traceback(self, tmp_path: Path) -> None:
        done = self.call("check", tmp_path / "nowhere.onnx")
        assert (done.returncode, done.stdout) == (1, "") and len(done.stderr.splitlines()) == 1

    def test_interrupt(self, run: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr("litehrnet.export.network.export_onnx", interrupt)
        assert run("export", "litehrnet18", *FAST)[0] == 130 and left() == []


class TestBoxes:
    NUMBER = st.floats(-1e4, 1e4, width=32)

    @settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(box=st.tuples(NUMBER, NUMBER, NUMBER, NUMBER))
    def test_any_box_gives_finite_joints_or_one_sentence(
        self, run: Callable, monkeypatch: pytest.MonkeyPatch, box: tuple[float, ...]
    ) -> None:
        maps = np.random.default_rng(0).standard_normal((1, 17, 16, 8)).astype(np.float32)
        monkeypatch.setattr("litehrnet.cli.models.runner", lambda *_: (lambda x: maps, (64, 32)))
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
        told = sys.stderr.getvalue()
        assert "exporting ... 0 s" in told and told.endswith("\r\x1b[K") and "\n" not in told

    def test_goes_when_the_work_fails(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(sys, "stderr", self.Terminal())
        with pytest.raises(ValueError, match="broken"), spinner("exporting"):
            raise ValueError("broken")
        assert sys.stderr.getvalue().endswith("\r\x1b[K")

    def test_is_silent_elsewhere(self, capsys: pytest.CaptureFixture) -> None:
        with spinner("exporting"):
            time.sleep(0.15)
        assert capsys.readouterr() == ("", "")
