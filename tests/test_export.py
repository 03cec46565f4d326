"""Export: what is written, what is refused, that it computes what torch computes, and that nothing is left over."""

from __future__ import annotations

import json
import logging
import shutil
import subprocess
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from bounds import beyond, proved, same, within
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from reference import reference_model
from tiny import tiny_model

import litehrnet
from litehrnet.blocks import ChannelShuffle
from litehrnet.cli import text as cli_text
from litehrnet.export import check_parity, export_onnx, export_pooling, greatest_error
from litehrnet.export import cleaning as onnx_clean
from litehrnet.export import onnx as export
from litehrnet.export import torch_exporters as exporters
from litehrnet.export.findings import findings
from litehrnet.fusion import fuse
from litehrnet.heatmaps import MEAN, STD, crop_person, to_input
from litehrnet.images import read_image
from litehrnet.pooling import adaptive_windows, computed_windows, is_exact
from litehrnet.runtimes import load, parity, signature, summary
from litehrnet.runtimes.signature import METADATA_KEY

Exported = Callable[..., tuple[litehrnet.LiteHRNet, Path]]
KINDS = (None, "batch", "size")
SLOW = pytest.mark.slow
OTHERS = ("naive_litehrnet18", *(pytest.param(v, marks=SLOW) for v in ("litehrnet30", "wider_naive_litehrnet18")))
PARTS = ("depthwise_convs", "bn", "fuse_layers", "final_layer")


@pytest.fixture(scope="session")
def dynamo(tmp_path_factory: pytest.TempPathFactory) -> tuple[litehrnet.LiteHRNet, Path]:
    """The tiny network through torch.export, fixed size: the one quick export of that exporter."""
    model = tiny_model()
    return model, export_onnx(model, tmp_path_factory.mktemp("dynamo") / "model.onnx", (64, 32))


@pytest.fixture(scope="session")
def half(tmp_path_factory: pytest.TempPathFactory) -> tuple[litehrnet.LiteHRNet, Path]:
    """The tiny network with its weights stored as float16."""
    model, path = tiny_model(), tmp_path_factory.mktemp("half") / "m.onnx"
    return model, export_onnx(model, path, (128, 96), exporter="torchscript", weights="float16")


class TestFile:
    @pytest.mark.parametrize("dynamic", KINDS)
    def test_is_whole_and_alone(self, exported: Exported, tmp_path: Path, dynamic: str | None) -> None:
        model, path = exported(dynamic=dynamic)
        assert sorted(path.parent.iterdir()) == [path]
        moved = Path(shutil.copy(path, tmp_path / "elsewhere.onnx"))
        session = onnxruntime.InferenceSession(moved)
        assert [value.name for value in session.get_inputs()] == ["image"]
        assert [value.name for value in session.get_outputs()] == ["heatmaps"]
        x = np.zeros((1, 3, 64, 32), np.float32)
        assert session.run(None, {"image": x})[0].shape == (1, model.num_joints, 16, 8)

    @pytest.mark.parametrize(
        ("dynamic", "wanted"),
        [
            (None, (1, 3, 64, 32)),
            ("batch", ("batch", 3, 64, 32)),
            ("size", ("batch", 3, "height", "width")),
        ],
    )
    def test_dimensions(self, exported: Exported, dynamic: str | None, wanted: tuple) -> None:
        graph = onnx.load(exported(dynamic=dynamic)[1])
        dims = graph.graph.input[0].type.tensor_type.shape.dim
        assert tuple(dim.dim_param or dim.dim_value for dim in dims) == wanted
        assert signature(exported(dynamic=dynamic)[1]).dynamic == dynamic

    @pytest.mark.parametrize("dynamic", KINDS)
    def test_metadata(self, exported: Exported, dynamic: str | None) -> None:
        stored = signature(exported(dynamic=dynamic)[1]).metadata
        assert stored == {
            "variant": "litehrnet18",
            "size": [64, 32],
            "dynamic": dynamic,
            "joints": 17,
            "mean": list(MEAN),
            "std": list(STD),
            "pooling": "computed",
            "fused": False,
            "version": litehrnet.__version__,
            "weights": "float32",
            "input": "float32",
            "decoded": False,
        }

    @pytest.mark.parametrize("dynamic", KINDS)
    def test_graph_is_correct(self, exported: Exported, dynamic: str | None) -> None:
        path = exported(dynamic=dynamic)[1]
        graph = onnx.load(path)
        onnx.checker.check_model(graph, full_check=True)
        assert findings(graph) == []
        counts = summary(path)
        assert counts["Conv"] == 301 and counts["AveragePool"] == 32
        assert not {"Shape", "BatchNormalization", "Dropout", "Identity", "Constant", "Cast"} & set(counts)

    def test_free_size_costs_no_nodes(self, exported: Exported) -> None:
        fixed, batch, size = (sum(summary(exported(dynamic=dynamic)[1]).values()) for dynamic in KINDS)
        assert fixed == batch == 1070 and size == 972

    def test_tells_no_path_of_this_machine(self, dynamo: tuple, exported: Exported, root: Path) -> None:
        for path in (dynamo[1], exported()[1]):
            content = path.read_bytes()
            assert str(root).encode() not in content and b"site-packages" not in content


class TestParity:
    @pytest.mark.numeric
    @pytest.mark.parametrize("dynamic", KINDS)
    def test_torchscript(self, exported: Exported, dynamic: str | None) -> None:
        rows = check_parity(*exported(dynamic=dynamic))
        proved(rows)
        assert all(row.same_peaks for row in rows)
        assert {row.batch for row in rows} == ({1, 3} if dynamic else {1})
        assert len({row.size for row in rows}) == (4 if dynamic == "size" else 1)

    @pytest.mark.numeric
    @pytest.mark.parametrize("variant", OTHERS)
    def test_other_variants(self, exported: Exported, variant: str) -> None:
        model, path = exported(variant, pooling="adaptive" if "naive" in variant else "computed", dynamic="size")
        proved(check_parity(model, path, [(96, 64)], [2]))

    @pytest.mark.numeric
    @pytest.mark.parametrize("pooling", ["adaptive", "exact"])
    def test_other_poolings_and_sizes(self, tmp_path: Path, pooling: str) -> None:
        model = tiny_model(pooling)
        path = export_onnx(model, tmp_path / "m.onnx", (61, 95), exporter="torchscript")
        proved(rows := check_parity(model, path))
        assert [row.size for row in rows] == [(61, 95)]
        assert findings(onnx.load(path)) == []

    @pytest.mark.numeric
    @settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(
        sides=st.tuples(st.integers(1, 4), st.integers(1, 4)),
        less=st.tuples(*[st.integers(0, 3)] * 2),
        n=st.integers(1, 4),
    )
    def test_any_legal_size_and_batch(self, exported: Exported, sides: tuple, less: tuple, n: int) -> None:
        size = tuple(32 * side - off for side, off in zip(sides, less, strict=True))
        (row,) = check_parity(*exported(dynamic="size"), [size], [n])
        proved([row])
        assert (row.size, row.batch) == (size, n)

    @pytest.mark.numeric
    def test_dynamo(self, dynamo: tuple) -> None:
        model, path = dynamo
        proved(rows := check_parity(model, path))
        assert [row.same_peaks for row in rows] == [True]
        assert findings(onnx.load(path)) == []

    def test_both_exporters_give_the_same_operators(self, dynamo: tuple, tmp_path: Path) -> None:
        other = export_onnx(dynamo[0], tmp_path / "m.onnx", (64, 32), exporter="torchscript")
        assert summary(dynamo[1]) == summary(other)

    @pytest.mark.numeric
    @pytest.mark.parametrize("part", PARTS)
    def test_sees_one_changed_layer(self, exported: Exported, part: str) -> None:
        model, path = exported()
        other = reference_model("litehrnet18", pooling="computed")
        weights = dict(other.named_parameters())
        name = next(name for name in weights if part in name and name.endswith("weight"))
        with torch.no_grad():
            weights[name] *= 1.1
        assert not all(row.ok for row in check_parity(other, path))
        proved(check_parity(model, path))

    def test_sees_the_tidy_fuse_step(self, exported: Exported) -> None:
        model, path = exported()
        assert not any(row.ok for row in check_parity(litehrnet.with_fuse_step(model, "tidy"), path))

    def test_leaves_the_model_alone(self, exported: Exported) -> None:
        path = exported()[1]
        model = reference_model("litehrnet18").train()
        before = {key: value.clone() for key, value in model.state_dict().items()}
        check_parity(model, path)
        assert all(part.training for part in model.modules())
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())

    @pytest.mark.parametrize(
        ("size", "batch", "words"), [((96, 64), 1, "height 64 only"), ((64, 32), 2, "batch 1 only")]
    )
    def test_names_what_a_fixed_file_takes(self, exported: Exported, size: tuple, batch: int, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            check_parity(*exported(), [size], [batch])


class TestCompare:
    MAPS = np.random.default_rng(0).standard_normal((2, 3, 8, 6))

    def test_equal(self) -> None:
        row = parity.compare(self.MAPS, self.MAPS, (32, 24))
        assert (row.size, row.batch, row.max_abs, row.max_rel) == ((32, 24), 2, 0.0, 0.0)
        assert row.ok and row.same_peaks and row.per_joint == (0.0,) * 3 and row.factor is None

    def test_small_difference_that_moves_a_peak_between_equals_is_fine(self) -> None:
        ours = np.zeros((1, 1, 4, 4))
        ours[0, 0, 1, 1], ours[0, 0, 2, 2] = 1.0, 1.0 - 2e-5
        theirs = ours.copy()
        theirs[0, 0, 2, 2] += 4e-5
        row = parity.compare(ours, theirs, (16, 16))
        assert row.ok and not row.same_peaks

    def test_peak_that_moves_to_a_lower_place_is_not(self) -> None:
        ours = np.zeros((1, 2, 4, 4))
        ours[0, 0, 0, 0] = 1e6  # so large that the other map's error is relatively small
        ours[0, 1, 1, 1], ours[0, 1, 2, 2] = 150.0, 10.0
        theirs = ours.copy()
        theirs[0, 1, 1, 1] = 0.0
        row = parity.compare(ours, theirs, (16, 16), tolerance=1.2e-4)
        assert row.max_rel > 1.2e-4 and not row.ok
        row = parity.compare(ours, theirs, (16, 16), tolerance=1.45e-4)
        assert not row.same_peaks and not row.ok

    @pytest.mark.parametrize("bad", [np.nan, np.inf])
    def test_values_that_are_not_finite_are_not_ok(self, bad: float) -> None:
        theirs = self.MAPS.copy()
        theirs[1, 2, 3, 4] = bad
        for ours, other in ((self.MAPS, theirs), (theirs, theirs), (theirs, self.MAPS), (-theirs, self.MAPS)):
            row = parity.compare(ours, other, (32, 24))
            assert not row.ok and not row.max_rel <= 1
        assert "at most nan" in cli_text.worst([parity.compare(self.MAPS, self.MAPS, (32, 24)), row])

    def test_other_shape(self) -> None:
        with pytest.raises(ValueError, match=r"\(2, 2, 8, 6\).*\(2, 3, 8, 6\)"):
            parity.compare(self.MAPS, self.MAPS[:, :2], (32, 24))


class TestOpsets:
    @pytest.mark.numeric
    @pytest.mark.parametrize("opset", [11, 20])
    def test_torchscript_ends(self, tmp_path: Path, opset: int) -> None:
        self._holds(tmp_path, "torchscript", opset)

    @pytest.mark.slow
    def test_every_row_of_the_stored_table(self, root: Path, tmp_path: Path) -> None:
        script = [sys.executable, root / "tools" / "export_table.py"]
        subprocess.run([*script, "--tables", "opsets", "--size", "64x32", "--output", tmp_path], check=True)
        made, stored = (
            [row for row in json.loads(max(folder.glob("*.json")).read_text())["rows"] if row["table"] == "opsets"]
            for folder in (tmp_path, root / "benchmarks" / "export")
        )
        same = ("exporter", "opset", "found", "nodes", "operators", "same_peaks", "ok", "refused")
        assert [{key: row.get(key) for key in same} for row in made] == [
            {key: row.get(key) for key in same} for row in stored
        ]

    def test_stored_table_is_whole_and_right(self, root: Path) -> None:
        report = json.loads(max((root / "benchmarks" / "export").glob("*.json")).read_text())
        tried = [row for row in report["rows"] if row["table"] == "opsets"]
        made = {(row["exporter"], row["found"]) for row in tried if "refused" not in row}
        assert made == {(exporter, opset) for exporter in exporters.EXPORTERS for opset in exporters.opsets(exporter)}
        right = [
            row["ok"] and row["same_peaks"] and row["found"] == row["opset"] for row in report["rows"] if "ok" in row
        ]
        assert all(right) and len(right) > len(tried)

    @staticmethod
    def _holds(folder: Path, exporter: str, opset: int) -> None:
        model = tiny_model()
        path = export_onnx(model, folder / "m.onnx", (64, 32), exporter=exporter, opset=opset)
        assert signature(path).opset == opset
        proved(check_parity(model, path))

    @pytest.mark.parametrize(
        ("exporter", "opset"),
        [
            *(("dynamo", 17), ("dynamo", 26), ("torchscript", 10), ("torchscript", 21)),
            *((exporter, odd) for exporter in exporters.EXPORTERS for odd in (True, 18.5, 18.0, "18", np.float64(18))),
        ],
    )
    def test_others_are_refused_with_the_possible_ones(self, tmp_path: Path, exporter: str, opset: object) -> None:
        with pytest.raises(ValueError, match=r"18 to 25.*11 to 20|11 to 20.*18 to 25"):
            export_onnx(tiny_model(), tmp_path / "m.onnx", exporter=exporter, opset=opset)

    def test_opset_that_was_not_kept_is_an_error(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        kept = exporters.run_exporter
        monkeypatch.setattr(export, "run_exporter", lambda *args: kept(*args[:4], 17, args[5]))
        with pytest.raises(ValueError, match=r"opset 18 was asked for.*wrote 17"):
            export_onnx(tiny_model(), tmp_path / "m.onnx", (64, 32), exporter="torchscript")
        assert list(tmp_path.iterdir()) == []


class TestRefusals:
    @pytest.mark.parametrize(
        ("pooling", "options", "words"),
        [
            ("computed", {"size": (480, 854)}, "829 to 832 and 861 to 864"),
            ("computed", {"size": (33, 33)}, "29 to 32 and 61 to 64"),
            ("computed", {"dynamic": "height"}, "'batch', 'size'"),
            ("computed", {"dynamic": True}, "None, 'batch', 'size'"),
            ("computed", {"exporter": "onnx"}, "'dynamo', 'torchscript'"),
            ("computed", {"size": (253, 189), "dynamic": "size"}, "256x192"),
            ("computed", {"weights": "half"}, "'float32', 'float16'"),
            ("exact", {"dynamic": "size"}, "set_pooling"),
            ("adaptive", {"dynamic": "size", "exporter": "torchscript"}, "constant kernel.*set_pooling.*dynamo"),
            ("adaptive", {"dynamic": "batch", "exporter": "torchscript"}, "constant kernel.*set_pooling.*dynamo"),
        ],
    )
    def test_before_any_work(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, pooling: str, options: dict, words: str
    ) -> None:
        monkeypatch.setattr(export, "run_exporter", lambda *_: pytest.fail("the exporter was run"))
        with pytest.raises(ValueError, match=words):
            export_onnx(tiny_model(pooling), tmp_path / "m.onnx", **options)
        assert list(tmp_path.iterdir()) == []

    @pytest.mark.numeric
    def test_naive_variants_have_no_pooling_to_refuse(self, exported: Exported) -> None:
        model, path = exported("naive_litehrnet18", pooling="adaptive", dynamic="size")
        proved(check_parity(model, path, [(32, 64)], [1]))

    def test_other_networks(self, tmp_path: Path) -> None:
        with pytest.raises(ValueError, match="make_exportable"):
            export_onnx(torch.nn.Conv2d(3, 17, 1), tmp_path / "m.onnx")

    @pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64])
    def test_other_weights_than_float32(self, tmp_path: Path, dtype: torch.dtype) -> None:
        with pytest.raises(ValueError, match=r"float32.*load them again.*weights='float16'"):
            export_onnx(tiny_model().to(dtype), tmp_path / "m.onnx", (64, 32))

    def test_missing_folder(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(export, "run_exporter", lambda *_: pytest.fail("the exporter was run"))
        with pytest.raises(FileNotFoundError, match="nowhere"):
            export_onnx(tiny_model(), tmp_path / "nowhere" / "m.onnx")


def shuffle_forms(model: torch.nn.Module) -> set[str]:
    return {part.form for part in model.modules() if isinstance(part, ChannelShuffle)}


class TestNothingLeftOver:
    @pytest.mark.parametrize("where", ["run_exporter", "write"])
    def test_a_failure_keeps_the_old_file(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str) -> None:
        def fail(*_: object) -> None:
            raise RuntimeError("in the middle")

        path = tmp_path / "m.onnx"
        path.write_text("the old one")
        monkeypatch.setattr(export, where, fail)
        with pytest.raises(RuntimeError, match="in the middle"):
            export_onnx(tiny_model(), path, (64, 32), exporter="torchscript")
        assert path.read_text() == "the old one" and list(tmp_path.iterdir()) == [path]

    def test_model_and_package_are_as_before(self, tmp_path: Path) -> None:
        model = tiny_model().train()
        model.head.eval()
        forms, modes = shuffle_forms(model), [part.training for part in model.modules()]
        before = {key: value.clone() for key, value in model.state_dict().items()}
        export_onnx(model, tmp_path / "m.onnx", (64, 32), "batch", "torchscript")
        assert shuffle_forms(model) == forms == {"reshape"} and model.pooling == "computed"
        assert [part.training for part in model.modules()] == modes
        assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


class TestHalf:
    def test_is_half_the_file(self, half: tuple, tmp_path: Path) -> None:
        whole = export_onnx(half[0], tmp_path / "m.onnx", (128, 96), exporter="torchscript")
        assert half[1].stat().st_size < 0.6 * whole.stat().st_size

    def test_takes_and_gives_float32(self, half: tuple) -> None:
        graph = onnx.load(half[1]).graph
        for value in (*graph.input, *graph.output):
            assert value.type.tensor_type.elem_type == onnx.TensorProto.FLOAT
        casts = [node for node in graph.node if node.op_type == "Cast"]
        assert len(casts) == sum(t.data_type == onnx.TensorProto.FLOAT16 for t in graph.initializer) > 100
        assert all(attribute.i == onnx.TensorProto.FLOAT for node in casts for attribute in node.attribute)

    @pytest.mark.numeric
    def test_parity_allows_for_it_and_no_more(self, half: tuple) -> None:
        rows = check_parity(*half)
        proved(rows)
        beyond(min(row.max_rel for row in rows), 1e-5, "rounded at all")
        assert not any(row.ok for row in check_parity(*half, tolerance=1e-5))

    def test_peaks_of_trained_weights_stay_within_one_pixel(self, shared: Path, tmp_path: Path) -> None:
        model = litehrnet.from_checkpoint(shared / "weights" / "wider_naive_litehrnet18_256x192.pth")
        run = load(export_onnx(model, tmp_path / "m.onnx", exporter="torchscript", weights="float16"))
        people = json.loads((shared / "photos" / "people.json").read_text())
        names = {image["id"]: image["file_name"] for image in people["images"]}
        for person in people["annotations"][:4]:
            photo = read_image(shared / "photos" / names[person["image_id"]])
            x = to_input(crop_person(photo, person["bbox"])[0])
            peaks = []
            with torch.inference_mode():
                for maps in (model(torch.from_numpy(x)).numpy(), run(x)):
                    peaks.append(np.unravel_index(maps.reshape(17, -1).argmax(1), maps.shape[-2:]))
            assert np.abs(np.subtract(*peaks)).max() <= 1

    @pytest.mark.parametrize(("scale", "halved"), [(1.0, True), (1e5, False), (1e-9, False)])
    def test_what_float16_cannot_hold_stays(self, scale: float, halved: bool) -> None:
        values = (scale * np.linspace(0.5, 1, 256)).astype(np.float32)
        make = onnx.helper
        x, y = (make.make_tensor_value_info(name, 1, [256]) for name in "xy")
        weight = onnx.numpy_helper.from_array(values, "w")
        graph = make.make_graph([make.make_node("Add", ["x", "w"], ["y"])], "g", [x], [y], [weight])
        result = onnx_clean.half_storage(make.make_model(graph))
        onnx.checker.check_model(result, full_check=True)
        assert (result.graph.initializer[0].data_type == onnx.TensorProto.FLOAT16) == halved


class TestQuiet:
    def test_dynamo_says_nothing(self, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture) -> None:
        with caplog.at_level(logging.WARNING), warnings.catch_warnings():
            warnings.simplefilter("error")
            exporters.run_exporter(torch.nn.Conv2d(3, 2, 1), (3, 8, 8), None, "dynamo", 18, "out")
        assert caplog.records == [] and capfd.readouterr() == ("", "")

    def test_torchscript_says_nothing(self, tmp_path: Path, capfd: pytest.CaptureFixture) -> None:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            export_pooling(11, 4, "exact", tmp_path / "p.onnx")
        assert capfd.readouterr() == ("", "")

    @pytest.mark.parametrize("log_is_on", [False, True])
    def test_error_comes_without_the_dump(self, tmp_path: Path, capfd: pytest.CaptureFixture, log_is_on: bool) -> None:
        """Any earlier export of the same process may have left the exporter's log on; it stays as it was."""
        before = torch._C._jit_is_onnx_log_enabled()
        torch._C._jit_set_onnx_log_enabled(log_is_on)
        try:
            with pytest.raises(torch.onnx.errors.SymbolicValueError, match="factor of input size"):
                export_pooling((64, 48), (7, 5), "adaptive", tmp_path / "p.onnx")
            assert torch._C._jit_is_onnx_log_enabled() is log_is_on
        finally:
            torch._C._jit_set_onnx_log_enabled(before)
        assert capfd.readouterr() == ("", "") and list(tmp_path.iterdir()) == []

    def test_other_warnings_still_come(self) -> None:
        with pytest.warns(UserWarning, match="mine"), exporters.quiet():
            warnings.warn("mine", stacklevel=1)
        with pytest.warns(FutureWarning, match="theirs"), exporters.quiet():
            warnings.warn("theirs", FutureWarning, stacklevel=1)


SIDES = st.integers(1, 24)


class TestPooling:
    @pytest.mark.numeric
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(before=st.tuples(SIDES, SIDES), after=st.tuples(SIDES, SIDES))
    def test_exact_is_two_products_for_any_pair(self, tmp_path: Path, before: tuple, after: tuple) -> None:
        path = export_pooling(before, after, "exact", tmp_path / "p.onnx")
        assert summary(path) == {"MatMul": 2}
        x = torch.rand(1, 1, *before, generator=torch.Generator().manual_seed(0))  # no mean of them is nearly 0
        wanted = torch.nn.functional.adaptive_avg_pool2d(x, after).numpy()
        same(self._run(path, x), wanted, 1e-5)

    @pytest.mark.numeric
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
    @given(data=st.data())
    def test_computed_is_one_pool_with_a_word_where_inexact(self, tmp_path: Path, data: st.DataObject) -> None:
        before = data.draw(st.tuples(SIDES, SIDES))
        after = tuple(data.draw(st.integers(1, n)) for n in before)
        with warnings.catch_warnings(record=True) as said:
            warnings.simplefilter("always")
            path = export_pooling(before, after, "computed", tmp_path / "p.onnx")
        exact = all(is_exact(n, m) for n, m in zip(before, after, strict=True))
        assert [str(word.message).split(" is ")[0] for word in said] == (
            [] if exact else [f"computed pooling of {before[0]}x{before[1]} to {after[0]}x{after[1]}"]
        )
        assert sum(summary(path).values()) <= 1
        x = torch.randn(1, 1, *before, generator=torch.Generator().manual_seed(0))
        wanted = torch.nn.functional.adaptive_avg_pool2d(x, after).numpy()
        bound = greatest_error(before, after) * float(x.max() - x.min())
        within(max(float(np.abs(self._run(path, x) - wanted).max()) - bound, 0), 1e-5, "beyond the greatest error")

    @pytest.mark.numeric
    @pytest.mark.parametrize(("before", "after"), [((11, 7), (4, 4)), ((5, 9), (3, 2)), ((54, 1), (14, 1))])
    def test_the_greatest_error_is_reached(self, before: tuple, after: tuple) -> None:
        # Slow spec: for every output, the map that is 1 exactly where computed pooling weighs more.
        def weights(windows: Callable, i: int, j: int) -> np.ndarray:
            result = np.zeros(before)
            (top, bottom), (left, right) = windows(before[0], after[0])[i], windows(before[1], after[1])[j]
            result[top:bottom, left:right] = 1 / ((bottom - top) * (right - left))
            return result

        places = [(i, j) for i in range(after[0]) for j in range(after[1])]
        reached = max(
            np.clip(weights(computed_windows, *place) - weights(adaptive_windows, *place), 0, None).sum()
            for place in places
        )
        same([greatest_error(before, after)], [reached], 1e-12)
        assert reached > 0.05

    def test_dynamo_writes_it_too(self, tmp_path: Path) -> None:
        path = export_pooling((64, 48), (8, 6), "computed", tmp_path / "p.onnx", exporter="dynamo")
        assert summary(path) == {"AveragePool": 1}

    @pytest.mark.parametrize(
        ("before", "after", "mode", "words"),
        [
            (3, 5, "computed", "cannot enlarge"),
            (3, 5, "average", "unknown pooling"),
            ((3, 4, 5), 1, "exact", "height, width"),
            (0, 1, "exact", "at least 1"),
        ],
    )
    def test_refusals(self, tmp_path: Path, before: object, after: object, mode: str, words: str) -> None:
        with pytest.raises(ValueError, match=words):
            export_pooling(before, after, mode, tmp_path / "p.onnx")
        assert list(tmp_path.iterdir()) == []

    @staticmethod
    def _run(path: Path, x: torch.Tensor) -> np.ndarray:
        return onnxruntime.InferenceSession(path).run(None, {"image": x.numpy()})[0]


class TestFindings:
    @pytest.mark.parametrize(
        ("kind", "attributes", "word"),
        [
            (
                "Resize",
                {"mode": "nearest", "coordinate_transformation_mode": "half_pixel", "nearest_mode": "ceil"},
                "ceil",
            ),
            ("Resize", {"mode": "linear", "coordinate_transformation_mode": "half_pixel"}, "align_corners"),
            ("AveragePool", {"kernel_shape": [2, 2], "pads": [0, 0, 1, 1]}, "padding"),
            ("AveragePool", {"kernel_shape": [2, 2], "ceil_mode": 1}, "ceil_mode"),
            ("BatchNormalization", {"training_mode": 1}, "training"),
            ("BatchNormalization", {}, "not folded"),
            ("Dropout", {}, "training"),
            ("Shape", {}, "fixed size"),
        ],
    )
    def test_names_what_should_not_be(self, kind: str, attributes: dict, word: str) -> None:
        assert word in " ".join(findings(self._graph(kind, attributes)))

    @pytest.mark.parametrize(
        ("kind", "attributes"),
        [
            ("Resize", {"mode": "nearest", "coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}),
            ("Resize", {}),  # ONNX's defaults, half_pixel and round_prefer_floor, are the same for whole factors
            ("AveragePool", {"kernel_shape": [2, 2], "pads": [0, 0, 0, 0]}),
        ],
    )
    def test_is_silent_otherwise(self, kind: str, attributes: dict) -> None:
        assert findings(self._graph(kind, attributes)) == []

    def test_defaults_of_resize_are_torchs_for_whole_factors(self) -> None:
        for factor in (2, 4, 8):
            scales = onnx.numpy_helper.from_array(np.array([1, 1, factor, factor], np.float32), "s")
            make = onnx.helper
            node = make.make_node("Resize", ["x", "", "s"], ["y"], mode="nearest")
            values = (make.make_tensor_value_info(name, 1, None) for name in "xy")
            graph = make.make_graph([node], "g", *([value] for value in values), [scales])
            model = make.make_model(graph, opset_imports=[make.make_opsetid("", 18)], ir_version=10)
            x = np.random.default_rng(0).random((1, 2, 5, 3), np.float32)
            session = onnxruntime.InferenceSession(model.SerializeToString())
            assert np.array_equal(session.run(None, {"x": x})[0], x.repeat(factor, 2).repeat(factor, 3))

    @staticmethod
    def _graph(kind: str, attributes: dict) -> onnx.ModelProto:
        make = onnx.helper
        x, y = (make.make_tensor_value_info(name, 1, [1, 3, 8, 8]) for name in "xy")
        return make.make_model(make.make_graph([make.make_node(kind, ["x"], ["y"], **attributes)], "g", [x], [y]))


@pytest.mark.parametrize("name", ["m.onnx", "m.lhr", "m.xml", "m.ncnn.param"])
def test_the_trained_size_is_the_default(tmp_path: Path, name: str) -> None:
    model = reference_model("litehrnet18") if name == "m.lhr" else tiny_model()
    options = {"exporter": "torchscript"} if name == "m.onnx" else {}
    model.trained_size = (96, 64)
    litehrnet.export.export(model, tmp_path / name, **options)
    assert signature(tmp_path / name).size == (96, 64)


class TestFused:
    def test_the_size_that_is_built_in_is_the_default(self, tmp_path: Path) -> None:
        model = tiny_model()
        model.trained_size = (96, 64)
        path = export_onnx(fuse(model, (64, 32)), tmp_path / "m.onnx", exporter="torchscript")
        assert signature(path).size == (64, 32)
        path = export_onnx(fuse(model, (64, 32), target="openvino"), tmp_path / "m.onnx", exporter="torchscript")
        assert signature(path).size == (96, 64)

    @pytest.mark.numeric
    def test_is_exported_alike(self, tmp_path: Path) -> None:
        model = tiny_model()
        path = export_onnx(fuse(model, (64, 32)), tmp_path / "m.onnx", (64, 32), "batch", "torchscript")
        proved(check_parity(model, path))
        assert signature(path).metadata["fused"] is True
        assert findings(onnx.load(path)) == []

    def test_size_that_is_built_in_is_refused(self, tmp_path: Path) -> None:
        fast = fuse(tiny_model(), (64, 32))
        with pytest.raises(ValueError, match=r"fused for 64x32.*96x64"):
            export_onnx(fast, tmp_path / "m.onnx", (96, 64))
        with pytest.raises(ValueError, match=r"openvino"):
            export_onnx(fast, tmp_path / "m.onnx", (64, 32), "size")

    @pytest.mark.numeric
    def test_other_targets_leave_it_free(self, tmp_path: Path) -> None:
        model = tiny_model()
        fast = fuse(model, (64, 32), target="openvino")
        path = export_onnx(fast, tmp_path / "m.onnx", (64, 32), "size", "torchscript")
        proved(check_parity(model, path, [(64, 32), (96, 160), (29, 61)], [1, 3]))


@pytest.mark.slow
class TestDynamoSlow:
    SIZES = ((64, 64), (96, 64), (64, 128), (160, 96), (256, 192), (192, 256), (32, 320), (384, 288), (253, 189))

    @pytest.mark.numeric
    @pytest.mark.parametrize("pooling", ["computed", "adaptive"])
    def test_dynamic_size_at_many_sizes(self, tmp_path: Path, pooling: str) -> None:
        model = reference_model("litehrnet18", pooling=pooling)
        path = export_onnx(model, tmp_path / "m.onnx", (96, 64), "size")
        rows = [row for batch in range(1, 5) for row in check_parity(model, path, self.SIZES, [batch])]
        proved(rows)
        assert len(rows) == 4 * len(self.SIZES)
        assert sum(summary(path).values()) == 972

    @pytest.mark.numeric
    @pytest.mark.parametrize("variant", sorted(litehrnet.VARIANTS))
    def test_variants_at_batch(self, tmp_path: Path, variant: str) -> None:
        model = reference_model(variant, pooling="exact")
        path = export_onnx(model, tmp_path / "m.onnx", (96, 64), "batch")
        proved(check_parity(model, path))

    @pytest.mark.numeric
    @pytest.mark.parametrize("size", [(64, 32), (32, 32), (32, 96)])
    def test_free_size_from_a_side_of_32(self, tmp_path: Path, size: tuple[int, int]) -> None:
        """torch.export takes a side of one time 32 for a constant."""
        model = tiny_model(num_joints=21)
        path = export_onnx(model, tmp_path / "m.onnx", size, "size")
        proved(check_parity(model, path))
        stored = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert json.loads(stored[METADATA_KEY])["joints"] == 21
        stored = {entry.key: entry.value for entry in onnx.load(path).metadata_props}
        assert json.loads(stored[METADATA_KEY])["joints"] == 21


def test_only_what_training_leaves_is_called_so() -> None:
    def said(*words: str, **attributes: int) -> list[str]:
        node = onnx.helper.make_node(*words[:1], list(words[1:]), ["y"], **attributes)
        x = [onnx.helper.make_tensor_value_info(name, 1, (1, 2, 4, 4)) for name in ("x", "y")]
        return findings(onnx.helper.make_model(onnx.helper.make_graph([node], "g", x[:1], x[1:])))

    norm = ("BatchNormalization", "x", "scale", "bias", "mean", "variance")
    assert said("Dropout", "x") == ["Dropout is left over from training"]
    assert said(*norm, training_mode=1) == ["BatchNormalization is left over from training"]
    assert "not folded" in said(*norm)[0] and "does nothing" in said("Identity", "x")[0]
