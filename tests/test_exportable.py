"""`make_exportable` on a look-alike of the public networks: found by name, changed in place, same values."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Sequence
from pathlib import Path

import onnx
import onnxruntime
import pytest
import torch
from bounds import proved, same
from reference import reference_model
from tiny import tiny_model
from torch import Tensor, nn
from torch.nn import functional as F

import litehrnet
from litehrnet import blocks
from litehrnet.export import check_parity, export_onnx
from litehrnet.export.public_models import ExportableWeighting
from litehrnet.export.torch_exporters import quiet
from litehrnet.fusion import fuse
from litehrnet.model import declare_multiples


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


@pytest.mark.numeric
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
        same(got, wanted, 1e-4)


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


@pytest.mark.numeric
def test_our_own_model_inside_another(tmp_path: Path) -> None:
    inner = tiny_model("adaptive")
    changed = litehrnet.make_exportable(nn.Sequential(nn.Identity(), inner))
    assert len(changed) == 3 and all(name.startswith("1.backbone.stage") for name in changed)
    assert inner.pooling == "computed"
    path = export_onnx(inner, tmp_path / "m.onnx", (32, 32), dynamic="batch", exporter="torchscript")
    proved(check_parity(inner, path))


def test_fixed_size_file_asks_for_no_pooling_size(tmp_path: Path) -> None:
    theirs = Estimator(tiny_model())
    litehrnet.make_exportable(theirs)
    kinds = {node.op_type for node in onnx.load(free_size(theirs, tmp_path / "m.onnx")).graph.node}
    assert "AveragePool" in kinds


@pytest.mark.parametrize(
    ("module", "words"),
    [
        (nn.Conv2d(3, 3, 1), "Conv2d is not a Lite-HRNet and holds none$"),
        (nn.Sequential(nn.Identity(), nn.AdaptiveAvgPool2d(6)), r"adaptive pooling \(1\) .*replace_adaptive_pooling"),
    ],
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
    with pytest.raises(ValueError, match="holds none"):
        litehrnet.make_exportable(holder)


def test_networks_that_need_no_change_are_left_alone() -> None:
    naive = Estimator(litehrnet.create_model("naive_litehrnet18"))
    fused = fuse(tiny_model(), (64, 32))
    for network in (naive, fused, nn.Sequential(fused), fuse(litehrnet.create_model("naive_litehrnet18"), (64, 32))):
        before = [type(part) for part in network.modules()]
        assert litehrnet.make_exportable(network) == []
        assert [type(part) for part in network.modules()] == before


# ---------------------------------------------------------------------------------- free sizes of the default exporter


class PublicStage(nn.Module):
    """One stage with two, three or four branches, with the public code's structure and names, but few channels."""

    def __init__(self, branches: int, pooling: str | None = None) -> None:
        super().__init__()
        channels = [8 * 2**i for i in range(branches)]
        self.stem = nn.Sequential(nn.Conv2d(3, 8, 3, 2, 1), nn.Conv2d(8, 8, 3, 2, 1))
        self.transition = nn.ModuleList(
            nn.Conv2d(before, after, 3, 2, 1) for before, after in itertools.pairwise(channels)
        )
        self.layers = nn.Sequential(blocks.ConditionalChannelWeighting(channels, pooling or "adaptive"))
        if pooling is None:
            block = self.layers[0]
            block.cross_resolution_weighting = looks_public(block.cross_resolution_weighting)
        self.fuse_layers = blocks.FuseStep(channels)

    def forward(self, image: Tensor) -> Tensor:
        xs = [self.stem(image)]
        for down in self.transition:
            xs.append(down(xs[-1]))
        return self.fuse_layers(self.layers(xs))[0]


def free(kind: str) -> dict[str, object]:
    """What a call of torch.onnx.export says to leave height and width free."""
    dim = torch.export.Dim
    return {
        "Dim": {"dynamic_shapes": ({2: dim("h"), 3: dim("w")},)},
        "AUTO": {"dynamic_shapes": ({2: dim.AUTO, 3: dim.AUTO},)},
        "DYNAMIC": {"dynamic_shapes": ({2: dim.DYNAMIC, 3: dim.DYNAMIC},)},
        "axes": {"input_names": ["image"], "dynamic_axes": {"image": {2: "h", 3: "w"}}},
        "32 * Dim": {"dynamic_shapes": ({2: 32 * dim("h", min=2), 3: 32 * dim("w", min=2)},)},
    }[kind]


@pytest.mark.numeric
@pytest.mark.filterwarnings("ignore")  # the exporter's own advice; what counts here is that it works
@pytest.mark.parametrize("kind", ["Dim", "AUTO", "DYNAMIC", "axes", "32 * Dim"])
@pytest.mark.parametrize(
    ("branches", "whose"),
    [
        (3, "public"),
        *(pytest.param(branches, "public", marks=pytest.mark.slow) for branches in (2, 4)),
        *(pytest.param(branches, "ours", marks=pytest.mark.slow) for branches in (2, 3, 4)),
    ],
)
def test_free_sizes_are_exported_in_every_way_of_asking(branches: int, whose: str, kind: str) -> None:
    torch.manual_seed(0)
    network = PublicStage(branches, None if whose == "public" else "computed").eval()
    if whose == "public":
        assert litehrnet.make_exportable(network) == ["layers.0.cross_resolution_weighting"]
    with quiet():
        program = torch.onnx.export(
            network, (torch.zeros(1, 3, 64, 96),), dynamo=True, external_data=False, verbose=False, **free(kind)
        )
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    (name,) = (value.name for value in session.get_inputs())
    for size in ((64, 96), (128, 96), (96, 160)):
        x = torch.randn(1, 3, *size)
        with torch.inference_mode():
            wanted = network(x)
        got = torch.from_numpy(session.run(None, {name: x.numpy()})[0])
        same(got, wanted, 1e-4)


def test_multiples_of_32_leave_no_size_to_ask_for() -> None:
    network, shapes = PublicStage(3, "computed").eval(), free("32 * Dim")["dynamic_shapes"]
    program = torch.export.export(declare_multiples(network), (torch.zeros(1, 3, 64, 96),), dynamic_shapes=shapes)
    called = [str(node.target) for node in program.graph.nodes]
    assert called.count("aten.avg_pool2d.default") == 2 and called.count("aten.adaptive_avg_pool2d.default") == 3


@pytest.mark.numeric
@pytest.mark.parametrize("sizes", [[(13, 9), (7, 5)], [(26, 19), (13, 10), (7, 5)], [(16, 8), (8, 4)]])
def test_a_network_whose_branches_are_no_exact_halves_keeps_its_values(sizes: list[tuple[int, int]]) -> None:
    torch.manual_seed(0)
    channels = [8 * 2**i for i in range(len(sizes))]
    theirs = nn.Sequential(looks_public(blocks.CrossResolutionWeighting(channels))).eval()
    xs = [torch.randn(2, c, *size) for c, size in zip(channels, sizes, strict=True)]
    with torch.inference_mode():
        expected = theirs(xs)
        assert litehrnet.make_exportable(theirs) == ["0"]
        for got, wanted in zip(theirs(xs), expected, strict=True):
            same(got, wanted, 1e-5)
