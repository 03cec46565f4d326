"""`litehrnet compare`: every combination in one table, and what meets a goal."""

from __future__ import annotations

import importlib.util
import itertools
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import same, within
from PIL import Image
from reference import reference_model

from litehrnet import cli
from litehrnet.export import FORMATS
from litehrnet.files import data_path
from litehrnet.measure.alone import Task, measure_alone
from litehrnet.measure.elsewhere import Elsewhere, export_elsewhere
from litehrnet.measure.grid import Goal, Grid, GridRow, candidates, compare_grid
from litehrnet.measure.picture import scatter
from litehrnet.runtimes import load

HELDOUT = data_path("heldout")


def row(model: str, fps: float, oks: float | None = None, **other: object) -> GridRow:
    usual = {
        "runtime": "onnxruntime", "precision": "float32", "size": (64, 32), "threads": 1, "ratio": 1.0, "low": 1.0,
        "high": 1.0, "megabytes": 5.0, "peak_megabytes": None, "max_rel": 1e-6, "shift": 0.01, "moved": 0.0,
    }  # fmt: skip
    return GridRow(model=model, milliseconds=1e3 / fps, oks=oks, **usual | other)


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("weights") / "mine.pth"
    torch.save(reference_model("litehrnet18").state_dict(), path)
    return path


class TestCandidates:
    def test_every_combination(self, exported: Callable, checkpoint: Path) -> None:
        free = exported(dynamic="size")[1]
        found, notes = candidates(
            {"free": free}, ["onnxruntime", "openvino"], ["float32", "bfloat16"], [(64, 32), (32, 32)]
        )
        assert [(c.runtime, c.precision, c.size) for c in found] == [
            ("onnxruntime", "float32", (64, 32)),
            ("onnxruntime", "float32", (32, 32)),
            ("openvino", "float32", (64, 32)),
            ("openvino", "float32", (32, 32)),
            ("openvino", "bfloat16", (64, 32)),
            ("openvino", "bfloat16", (32, 32)),
        ]
        assert notes == ["free in onnxruntime, bfloat16: onnxruntime computes in float32 here"]  # once, for all sizes

    def test_what_does_not_exist_is_said(self, exported: Callable, checkpoint: Path) -> None:
        found, notes = candidates(
            {"a": exported()[1], "b": checkpoint}, ["onnxruntime", "ncnn"], sizes=[(64, 32), (32, 32)]
        )
        assert [(c.model, c.size) for c in found] == [("a", (64, 32))]
        assert "a in onnxruntime, float32, 32x32: the file takes 64x32 only" in notes
        assert "a in ncnn, float32, 64x32: ncnn does not read this file" in notes
        with pytest.raises(ValueError, match="there is nothing to compare: b in ncnn"):
            candidates({"b": checkpoint}, ["ncnn"])
        with pytest.raises(ValueError, match="unknown runtime 'onnx'"):
            candidates({"b": checkpoint}, ["onnx"])

    def test_checkpoints_are_exported(self, checkpoint: Path, tmp_path: Path) -> None:
        told: list[str] = []
        found, notes = candidates(
            {"mine": checkpoint}, ["torch", "c"], sizes=[(64, 32)], folder=tmp_path, fused=False, tell=told.append
        )
        assert told == ["writing mine for c, 64x32"]
        assert not notes and [(c.model, c.runtime) for c in found] == [("mine", "torch"), ("mine, plain", "c")]
        assert found[1].path.suffix == ".lhr" and found[1].path.is_file()


class TestAnotherPython:
    """Here it is this one; what else may differ is the other's."""

    @pytest.mark.numeric
    def test_it_answers_as_this_one_does(self, exported: Callable) -> None:
        path = exported()[1]
        images = np.random.default_rng(0).standard_normal((1, 3, 64, 32), dtype=np.float32)
        with Elsewhere(Task(str(path), "onnxruntime", "float32", 1, (64, 32)), sys.executable) as run:
            same(run(images), load(path)(images), 1e-5)
            with pytest.raises(ValueError, match="takes height 64 only, got 96"):
                run(np.zeros((1, 3, 96, 32), np.float32))
            same(run(images), load(path)(images), 1e-5)

    def test_what_it_cannot_do_is_one_sentence(self, exported: Callable, tmp_path: Path) -> None:
        task = Task(str(exported()[1]), "onnxruntime", "float32", 1, (64, 32))
        with pytest.raises(ValueError, match=r"cannot run .*python: No such file"):
            Elsewhere(task, tmp_path / "python")
        with pytest.raises(ValueError, match=r"cannot run .*python: No such file"):
            measure_alone(task, task, 1, 1, python=tmp_path / "python")
        (tmp_path / "damaged.onnx").write_bytes(b"\x08\x07")
        with pytest.raises(ValueError, match=r"damaged\.onnx is not an ONNX file"):
            Elsewhere(replace(task, path=str(tmp_path / "damaged.onnx")), sys.executable)
        python = tmp_path / "without"
        python.write_text("#!/bin/sh\necho 'No module named litehrnet' >&2\nexit 1\n")
        python.chmod(0o755)
        with pytest.raises(ValueError, match=r"in onnxruntime ended: No module named litehrnet"):
            Elsewhere(task, python)
        with pytest.raises(ValueError, match="No module named litehrnet"):
            export_elsewhere(python, tmp_path / "w.pth", tmp_path / "w.lhr", (64, 32))

    @pytest.mark.slow
    @pytest.mark.numeric
    def test_candidates_are_exported_and_measured_there(self, checkpoint: Path, tmp_path: Path) -> None:
        found, notes = candidates(
            {"mine": checkpoint}, ["c"], sizes=[(64, 32)], folder=tmp_path, pythons={"c": sys.executable}
        )
        assert not notes and found[0].python == sys.executable and found[0].path.is_file()
        grid = compare_grid(found, checkpoint, sessions=1, rounds=1, two_threads=True)
        within(grid.rows[0].max_rel, 1e-4)
        assert grid.rows[0].two_threads > 0
        with pytest.raises(ValueError, match="unknown runtime 'cc'"):
            candidates({"mine": checkpoint}, pythons={"cc": sys.executable})


@pytest.mark.parametrize(("runtime", "module"), [("mnn", "MNN"), ("litert", "litert_torch"), ("executorch",) * 2])
def test_a_runtime_that_is_not_installed_is_said(runtime: str, module: str, checkpoint: Path, tmp_path: Path) -> None:
    if importlib.util.find_spec(module):
        pytest.skip(f"{module} is installed")
    found, notes = candidates({"mine": checkpoint}, ["torch", runtime], sizes=[(64, 32)], folder=tmp_path)
    assert [one.runtime for one in found] == ["torch"]
    (note,) = notes
    assert note.startswith(
        f"mine in {runtime}, float32, 64x32: {module} is not installed; install it with: pip install"
    )
    file = tmp_path / f"net{FORMATS[runtime].suffix}"
    file.write_bytes(b"\0" * 64)
    found, notes = candidates({"mine": checkpoint, "net": file}, sizes=[(64, 32)])
    assert [one.model for one in found] == ["mine"] and "net: " in notes[0] and "is not installed" in notes[0]


def test_a_process_of_its_own(exported: Callable) -> None:
    task = Task(str(exported()[1]), "onnxruntime", "float32", 1, (64, 32))
    found = measure_alone(task, task, sessions=1, rounds=2)
    assert found.milliseconds > 0 and found.ratio == (1, 1, 1) and (found.peak_megabytes or 1) > 0
    with pytest.raises(ValueError, match="takes height 64 only, got 96"):
        measure_alone(Task(task.path, "onnxruntime", "float32", 1, (96, 32)), task, 1, 1)


def test_goals_mark_what_fits() -> None:
    rows = [row("a", 20, 0.7), row("b", 40, 0.695, fits=True), row("c", 90, 0.5)]
    grid = Grid({}, rows, 6, 8, "a", Goal(30, 0.01))
    assert grid.fitting() is rows[1] and "| yes |" in grid.table()
    from litehrnet.measure.grid import _fits

    assert [_fits(one, Goal(30, 0.01), 0.7) for one in rows] == [False, True, False]
    assert [_fits(one, Goal(fps=30), None) for one in rows] == [False, True, True]
    assert [_fits(one, Goal(within=0.2), 0.7) for one in rows] == [True, True, True]
    assert _fits(rows[0], Goal(), 0.7) is None


def test_of_what_fits_the_goal_says_which_is_best() -> None:
    """A loss that was allowed is no fault, so the fastest is; where speed alone was asked for, the joints decide."""
    rows = [
        row("exact", 40, 0.70, fits=True, ratio=1.0),
        row("fast", 90, 0.695, fits=True, ratio=2.1),
        row("as good", 50, 0.70, fits=True, ratio=1.3),
        row("wrong", 200, 0.1, fits=False, ratio=4.0),
    ]
    point = 1 / 100  # of OKS
    both = Goal(30, point)
    for goal, best in ((both, 1), (Goal(within=point), 1), (Goal(fps=30), 2)):
        assert Grid({}, rows, 6, 8, "exact", goal).fitting() is rows[best]
    assert Grid({}, rows[3:], 6, 8, "exact", both).fitting() is None


@pytest.mark.parametrize("ending", [".png", ".svg"])
@pytest.mark.parametrize("judged", [True, False])
def test_the_picture(tmp_path: Path, ending: str, judged: bool) -> None:
    pytest.importorskip("matplotlib")
    rows = [
        row("a", 20, 0.7 if judged else None),
        row("b", 40, 0.6 if judged else None, runtime="ncnn", precision="float16"),
    ]
    path = tmp_path / f"grid{ending}"
    scatter(Grid({}, rows, 6, 8, "a", Goal(30)), path)
    if ending == ".png":
        assert min(Image.open(path).size) > 500
    else:
        assert "<svg" in path.read_text()
    with pytest.raises(ValueError, match="must end in"):
        scatter(Grid({}, rows, 6, 8, "a"), tmp_path / "grid.jpg")


def test_numbers_of_rows_that_are_equally_fast_do_not_touch(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    axes = pytest.importorskip("matplotlib.axes")
    placed = {}

    def annotate(self: object, number: str, at: tuple[float, float], xytext: tuple[int, int], **look: object) -> None:
        placed[number] = xytext

    monkeypatch.setattr(axes.Axes, "annotate", annotate)
    speeds = (43, 260, 12, 77, 39)
    scatter(Grid({}, [row(f"{fps}", fps, 0.58) for fps in speeds], 6, 8, "43", Goal()), tmp_path / "grid.png")
    in_order = [placed[str(1 + speeds.index(fps))] for fps in sorted(speeds)]
    assert all(one != other for one, other in itertools.pairwise(in_order))


def test_joints_of_another_number_are_a_note(exported: Callable, tmp_path: Path) -> None:
    from litehrnet.export import export

    few = export(reference_model("litehrnet18", 5), tmp_path / "few.lhr", size=(64, 32))[0]
    found, _ = candidates({"a": exported()[1], "b": few}, sizes=[(64, 32)])
    grid = compare_grid(found, sessions=1, rounds=1)
    assert [one.model for one in grid.rows] == ["a"] and "it gives 5 joints, and the reference 17" in grid.notes[0]


class TestCommand:
    @pytest.fixture(autouse=True)
    def _in_an_empty_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.chdir(tmp_path)

    def call(self, capsys: pytest.CaptureFixture, *arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main(["compare", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    QUICK = ("--sessions", 1, "--rounds", 1)

    def test_a_table_with_everything(self, capsys: pytest.CaptureFixture, exported: Callable) -> None:
        shutil.copy(exported()[1], "other.onnx")
        people = json.loads((HELDOUT / "people.json").read_text())
        people["annotations"] = people["annotations"][:2]
        Path("people.json").write_text(json.dumps(people))
        goal = ("--annotations", "people.json", "--images", HELDOUT, "--at-least", "1fps", "--within", "1oks")
        code, out, err = self.call(
            capsys, exported()[1], "other.onnx", *goal, *self.QUICK, "-o", "grid.json", "--picture", "grid.svg"
        )
        assert code == 0, err
        lines = [line for line in out.splitlines() if line.startswith("| model.onnx") or line.startswith("| other")]
        assert len(lines) == 2 and all(line.endswith("| yes |") for line in lines) and "fits best: " in out
        held = json.loads(Path("grid.json").read_text())
        assert [one["model"] for one in held["rows"]] == ["model.onnx", "other.onnx"]
        assert held["rows"][1]["max_rel"] == 0 and held["rows"][0]["oks"] == held["rows"][1]["oks"] is not None
        assert Path("grid.svg").read_text().count("<svg") == 1

    def test_joints_without_sigmas_are_judged_by_the_usual_ones(
        self, capsys: pytest.CaptureFixture, exported: Callable
    ) -> None:
        people = json.loads((HELDOUT / "people.json").read_text())
        people["annotations"] = people["annotations"][:1]
        Path("people.json").write_text(json.dumps(people))
        Path("names.json").write_text(json.dumps({"names": people["categories"][0]["keypoints"]}))
        data = ("--annotations", "people.json", "--images", HELDOUT, "--joints", "names.json")
        code, out, err = self.call(capsys, exported()[1], *data, *self.QUICK, "--json")
        assert code == 0, err
        assert 0 <= json.loads(out)["rows"][0]["oks"] <= 1

    @pytest.mark.parametrize(
        ("arguments", "code", "words"),
        [
            (("--annotations", "x.json"), 1, "give both"),
            (("--within", "1oks"), 1, "needs labelled people"),
            (("--joints", "coco"), 1, "add --annotations and --images"),
            (("-o", "grid.txt"), 1, "must end in .json"),
            (("--picture", "grid.gif"), 1, "must end in .png, .svg, .pdf"),
            (("--at-least", "fast"), 2, "is not a number of images per second"),
            (("--within", "-1"), 2, "points of OKS"),
            (("--runtimes", "onnx"), 2, "invalid choice: 'onnx'"),
            (("--python", "mnn"), 2, "is not RUNTIME=PYTHON"),
            (("--python", "mn=python"), 2, "did you mean mnn?"),
            (("--sizes", "64"), 2, "is not height x width"),
            (("--plain",), 1, "--plain says how checkpoints are exported, and none is given"),
            (("--plain", "--runtimes", "onnxruntime", "c"), 1, "and none is given"),
        ],
    )
    def test_wrong_calls(
        self, capsys: pytest.CaptureFixture, exported: Callable, arguments: tuple, code: int, words: str
    ) -> None:
        found, out, err = self.call(capsys, exported()[1], *arguments)
        assert (found, out) == (code, "") and words in err and not list(Path().iterdir())

    @pytest.mark.parametrize("options", [(), ("--runtimes", "torch")])
    def test_plain_where_nothing_is_exported(
        self, capsys: pytest.CaptureFixture, exported: Callable, checkpoint: Path, options: tuple
    ) -> None:
        code, out, err = self.call(capsys, exported()[1], checkpoint, "--plain", *options)
        assert (code, out) == (1, "") and "which torch does not need: add --runtimes" in err

    def test_twice(self, capsys: pytest.CaptureFixture, exported: Callable) -> None:
        code, _, err = self.call(capsys, exported()[1], exported()[1])
        assert code == 1 and "is given twice" in err

    def test_a_runtime_in_which_nothing_runs_fails_the_command(
        self, capsys: pytest.CaptureFixture, exported: Callable
    ) -> None:
        code, out, err = self.call(capsys, exported()[1], *self.QUICK, "--runtimes", "onnxruntime", "c")
        assert code == 1 and "| model.onnx" in out and "c does not read this file" in err

    def test_a_model_of_which_nothing_runs_fails_the_command(
        self, capsys: pytest.CaptureFixture, exported: Callable
    ) -> None:
        from litehrnet.export import export

        export(reference_model("litehrnet18", 5), "few.lhr", size=(64, 32))
        code, out, err = self.call(capsys, exported()[1], "few.lhr", *self.QUICK, "--sizes", "64x32")
        assert code == 1 and "| model.onnx" in out
        assert "few.lhr" in err and "5 joints, and the reference 17" in err
