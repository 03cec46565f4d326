"""What the network costs: our numbers, the public code's and the public README's, each by its own convention."""

from __future__ import annotations

import copy
from collections import OrderedDict

import pytest
import torch
from bounds import same
from torch import nn
from torch.nn import functional as F
from torch.utils.flop_counter import FlopCounterMode

from litehrnet import VARIANTS, create_model, with_fuse_step
from litehrnet.complexity import PARTS, count, part_of, readme_count

SIZE = (256, 192)
NAMES = tuple(VARIANTS)

# At 256x192, in millions: total, then stem, transitions, depthwise, cross_resolution, spatial, pointwise, fuse, head,
# final, as measured on the public implementation with every convolution counted once.
MILLIONS = {
    "litehrnet18": (198.63, 20.59, 12.13, 15.21, 14.15, 0.11, 0, 119.99, 14.36, 2.09),
    "litehrnet30": (309.45, 20.59, 12.13, 26.68, 24.89, 0.18, 0, 208.54, 14.36, 2.09),
    "naive_litehrnet18": (185.52, 20.59, 8.45, 11.40, 0, 0, 66.36, 68.68, 8.47, 1.57),
    "wider_naive_litehrnet18": (302.33, 20.59, 12.13, 15.21, 0, 0, 117.96, 119.99, 14.36, 2.09),
}
PARAMETERS = dict(zip(NAMES, (1_130_769, 1_763_717, 760_365, 1_318_625), strict=True))
# What the public code runs, in millions.
PUBLIC = {
    ("litehrnet18", (256, 192)): 242.35,
    ("litehrnet30", (256, 192)): 386.10,
    ("naive_litehrnet18", (256, 192)): 211.05,
    ("wider_naive_litehrnet18", (256, 192)): 346.05,
    ("litehrnet18", (384, 288)): 545.14,
    ("litehrnet30", (384, 288)): 868.51,
}
# What the public README says, with the digits of the repository's counter.
README = {
    ("litehrnet18", (256, 192)): "205.2",
    ("litehrnet18", (384, 288)): "461.56",
    ("litehrnet30", (256, 192)): "319.20",
    ("litehrnet30", (384, 288)): "717.84",
    ("naive_litehrnet18", (256, 192)): "194.76",
    ("wider_naive_litehrnet18", (256, 192)): "311.05",
}


@pytest.fixture(scope="module")
def models() -> dict[str, nn.Module]:
    return {name: create_model(name) for name in NAMES}


@pytest.mark.parametrize("name", NAMES)
def test_parts_and_totals(models, name):
    cost = count(models[name], SIZE)
    assert tuple(cost.by_part) == PARTS == tuple(cost.params_by_part)
    got = [round(macs / 1e6, 2) for macs in (cost.macs, *cost.by_part.values())]
    assert got == pytest.approx(MILLIONS[name], abs=1e-9)
    assert sum(cost.by_part.values()) == cost.macs
    assert cost.params == PARAMETERS[name] == sum(cost.params_by_part.values())
    assert all(isinstance(value, int) for value in (cost.macs, cost.params, *cost.by_part.values()))


@pytest.mark.parametrize("name", NAMES[1:3])
def test_macs_are_those_of_the_sizes_and_weights_alone(models, name):
    """A second way to the same number: for every convolution, output elements times weights per filter."""
    total = 0

    def add(module, _, output):
        nonlocal total
        total += output.numel() * module.in_channels // module.groups * module.kernel_size[0] * module.kernel_size[1]

    watched = copy.deepcopy(models[name])
    for module in watched.modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(add)
    watched(torch.zeros(1, 3, 96, 64))
    assert count(models[name], (96, 64)).macs == total


@pytest.mark.parametrize(("name", "size"), PUBLIC)
def test_the_public_code_runs_f_i0_twice(models, name, size):
    public = with_fuse_step(models[name], "public")
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        public(torch.zeros(1, 3, *size))
    assert round(counter.get_total_flops() / 2 / 1e6, 2) == PUBLIC[name, size]


def test_the_second_run_of_f_i0_shows_in_the_fuse_step_alone(models):
    ours, theirs = count(models["litehrnet18"], SIZE), count(with_fuse_step(models["litehrnet18"], "public"), SIZE)
    assert {part for part in PARTS if ours.by_part[part] != theirs.by_part[part]} == {"fuse"}
    assert round(theirs.macs / 1e6, 2) == PUBLIC["litehrnet18", SIZE]


def test_52_of_301_convolutions_run_twice(models):
    runs: dict[str, int] = {}
    public = with_fuse_step(models["litehrnet18"], "public")
    for name, module in public.named_modules():
        if isinstance(module, nn.Conv2d):
            module.register_forward_hook(lambda *_, name=name: runs.update({name: runs.get(name, 0) + 1}))
    public(torch.zeros(1, 3, 64, 64))
    assert (len(runs), sum(n == 2 for n in runs.values()), max(runs.values())) == (301, 52, 2)


@pytest.mark.numeric
def test_running_f_i0_once_changes_no_value(models):
    torch.manual_seed(0)
    images = torch.randn(1, 3, 64, 64)
    for model in models.values():
        with torch.no_grad():
            ours, theirs = model(images), with_fuse_step(model, "public")(images)
        same(ours, theirs, 1e-5)


@pytest.mark.parametrize(("name", "size"), README)
def test_readme_numbers_to_the_digit(models, name, size):
    millions = sum(readme_count(models[name], size).values()) / 2**20
    digits = len(README[name, size].split(".")[1])
    assert f"{millions:.{digits}f}" == README[name, size]


def test_readme_counts_the_same_convolutions(models):
    for model in (models["litehrnet18"], models["naive_litehrnet18"]):
        assert readme_count(model, (64, 64))["convolution"] == count(model, (64, 64)).macs


@pytest.mark.parametrize("pooling", ["computed", "exact"])
def test_pooling_costs_no_convolution(models, pooling):
    assert count(create_model("litehrnet18", pooling=pooling), (64, 64)) == count(models["litehrnet18"], (64, 64))


def test_channels_weighting_saved_and_the_fuse_step_is_left(models):
    ours, wide = count(models["litehrnet18"], SIZE), count(models["wider_naive_litehrnet18"], SIZE)
    assert ours.by_part["cross_resolution"] + ours.by_part["spatial"] < wide.by_part["pointwise"] / 8
    assert round(ours.by_part["fuse"] / ours.macs, 2) == 0.60


def test_the_model_is_left_as_it_was(models):
    model = copy.deepcopy(models["litehrnet18"]).train()
    before = {key: value.clone() for key, value in model.state_dict().items()}
    count(model, (64, 64))
    readme_count(model, (64, 64))
    assert model.training and not any(module._forward_hooks for module in model.modules())
    assert all(torch.equal(value, before[key]) for key, value in model.state_dict().items())


def test_other_joints_change_the_last_layer_only(models):
    hand, body = count(create_model("litehrnet18", num_joints=21), SIZE), count(models["litehrnet18"], SIZE)
    assert {part for part in PARTS if hand.by_part[part] != body.by_part[part]} == {"final"}
    assert hand.macs - body.macs == 4 * 40 * 64 * 48


def test_illegal_size_is_refused(models):
    with pytest.raises(ValueError, match="270x192"):
        count(models["litehrnet18"], (270, 192))
    with pytest.raises(ValueError, match="270x192"):
        readme_count(models["litehrnet18"], (270, 192))


def test_unknown_parts_are_refused(models):
    with pytest.raises(ValueError, match=r"neck\.conv"):
        part_of("neck.conv")
    with pytest.raises(ValueError, match="extra"):
        model = copy.deepcopy(models["litehrnet18"])
        model.extra = nn.Conv2d(3, 3, 1)
        count(model, SIZE)


def test_convolutions_without_a_module_are_noticed(models):
    class Blurred(nn.Sequential):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(F.conv2d(images, torch.ones(3, 3, 1, 1)))

    model = Blurred(OrderedDict(models["litehrnet18"].named_children()))
    with pytest.raises(ValueError, match=r"outside nn\.Conv2d"):
        count(model, SIZE)
