"""`make_exportable` on a look-alike of the public networks: found by name, changed in place, same values."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from bounds import same
from reference import reference_model
from tiny import tiny_model
from torch import Tensor, nn
from torch.nn import functional as F

import litehrnet
from litehrnet import blocks
from litehrnet.export import check_parity, export_onnx
from litehrnet.export.public_models import ExportableWeighting
from litehrnet.export.torch_exporters import quiet


def looks_public(convolutions: nn.Module) -> nn.Module:
    """A cross-resolution weighting as public code has it: sizes asked for at run time, our convolutions inside."""

    class CrossResolutionWeighting(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.channels = convolutions.channels
            self.conv1, self.conv2 = convolutions.conv1, convolutions.conv2

        def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
            smallest = xs[-1].size()[-2:]
            pooled = [F.adaptive_avg_pool2d(x, smallest) for x in xs[:-1]]
            weights = self.conv2(self.conv1(torch.cat([*pooled, xs[-1]], dim=1)))
            parts = torch.split(weights, self.channels, dim=1)
            return [x * F.interpolate(w, size=x.size()[-2:], mode="nearest") for x, w in zip(xs, parts, strict=True)]

    return CrossResolutionWeighting()


class Estimator(nn.Module):
    """The network inside something larger, as mmpose holds it."""

    def __init__(self, model: litehrnet.LiteHRNet) -> None:
        super().__init__()
        self.backbone, self.keypoint_head = model.backbone, model.head
        for part in list(model.backbone.modules()):
            if isinstance(part, blocks.ConditionalChannelWeighting):
                part.cross_resolution_weighting = looks_public(part.cross_resolution_weighting)

    def forward(self, image: Tensor) -> Tensor:
        return self.keypoint_head(self.backbone(image))


def free_size(module: nn.Module, path: Path) -> Path:
    axes = {"image": {0: "n", 2: "h", 3: "w"}}
    with quiet():
        torch.onnx.export(
            module, (torch.zeros(1, 3, 64, 32),), path, dynamo=False, input_names=["image"], dynamic_axes=axes
        )
    return path


def test_the_failure_and_the_three_lines_that_mend_it(tmp_path: Path) -> None:
    theirs = Estimator(tiny_model())
    with pytest.raises(torch.onnx.errors.SymbolicValueError, match="output_size is not constant"):
        free_size(theirs, tmp_path / "m.onnx")
    litehrnet.make_exportable(theirs)
    session = onnxruntime.InferenceSession(free_size(theirs, tmp_path / "m.onnx"))
    for size in ((64, 32), (96, 128), (253, 189)):
        x = torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(0))
        with torch.inference_mode():
            wanted = tiny_model()(x)
        got = torch.from_numpy(session.run(None, {"image": x.numpy()})[0])
        assert float((got - wanted).abs().max()) <= 2e-5 * float(wanted.abs().max())


@pytest.mark.numeric
@pytest.mark.parametrize("size", [(64, 32), (93, 128)])
def test_weights_keys_and_values_stay(size: tuple[int, int]) -> None:
    theirs = Estimator(reference_model("litehrnet18"))
    changed = copy.deepcopy(theirs)
    names = litehrnet.make_exportable(changed)
    assert len(names) == 2 * (2 + 4 + 2) and names[0] == "backbone.stage0.0.layers.0.cross_resolution_weighting"
    assert [type(changed.get_submodule(name)) for name in names] == [ExportableWeighting] * len(names)
    before, after = theirs.state_dict(), changed.state_dict()
    assert list(before) == list(after) and all(torch.equal(before[key], after[key]) for key in before)
    x = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        same(changed(x), theirs(x), 1e-4)


def test_again_finds_nothing_left() -> None:
    theirs = Estimator(tiny_model())
    assert len(litehrnet.make_exportable(theirs)) == 3 and litehrnet.make_exportable(theirs) == []


def test_every_mode_stays() -> None:
    theirs = Estimator(tiny_model()).train()
    frozen = theirs.backbone.stage0[0].layers[0].cross_resolution_weighting.conv1
    frozen.eval()
    before = {name: part.training for name, part in theirs.named_modules()}
    litehrnet.make_exportable(theirs)
    after = {name: part.training for name, part in theirs.named_modules()}
    assert {name: after[name] for name in before} == before and not frozen.training


def test_our_own_model() -> None:
    model = tiny_model("adaptive")
    assert len(litehrnet.make_exportable(model)) == 3 and model.pooling == "computed"
    assert litehrnet.make_exportable(model) == []
    assert litehrnet.make_exportable(litehrnet.create_model("naive_litehrnet18")) == []


def test_our_own_model_inside_another(tmp_path: Path) -> None:
    inner = tiny_model("adaptive")
    changed = litehrnet.make_exportable(nn.Sequential(nn.Identity(), inner))
    assert len(changed) == 3 and all(name.startswith("1.backbone.stage") for name in changed)
    assert inner.pooling == "computed"
    path = export_onnx(inner, tmp_path / "m.onnx", (32, 32), dynamic="batch", exporter="torchscript")
    assert all(row.ok for row in check_parity(inner, path))


def test_fixed_size_file_asks_for_no_pooling_size(tmp_path: Path) -> None:
    theirs = Estimator(tiny_model())
    litehrnet.make_exportable(theirs)
    kinds = {node.op_type for node in onnx.load(free_size(theirs, tmp_path / "m.onnx")).graph.node}
    assert "AveragePool" in kinds


@pytest.mark.parametrize(
    ("module", "words"),
    [(nn.Conv2d(3, 3, 1), "Conv2d holds no CrossResolutionWeighting"), (nn.Identity(), "naive variants")],
)
def test_nothing_to_change_is_said(module: nn.Module, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        litehrnet.make_exportable(module)


def test_a_lone_weighting_cannot_be_replaced() -> None:
    lone = looks_public(blocks.CrossResolutionWeighting([4, 8]))
    with pytest.raises(ValueError, match="network that holds it"):
        litehrnet.make_exportable(lone)


def test_a_namesake_with_other_attributes_is_left_alone() -> None:
    class CrossResolutionWeighting(nn.Module):
        pass

    holder = nn.Sequential(CrossResolutionWeighting())
    with pytest.raises(ValueError, match="holds no"):
        litehrnet.make_exportable(holder)
