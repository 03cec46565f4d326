"""The fused network computes what the plain one computes, and every rewrite keeps its identity."""

import copy

import pytest
import torch

import litehrnet
from litehrnet.fusion import fuse

SIZE = (64, 96)


@pytest.fixture(scope="module", params=litehrnet.VARIANTS)
def used(request):
    """A network whose batch norms have seen data: on a fresh one, a fusion that drops them would pass."""
    torch.manual_seed(0)
    model = litehrnet.create_model(request.param)
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.running_mean.normal_(std=0.1)
                module.running_var.uniform_(0.5, 1.5)
                module.weight.uniform_(0.5, 1.0)
                module.bias.normal_(std=0.1)
    return model


@pytest.mark.parametrize("target", ["onnxruntime", "openvino", "ncnn"])
def test_fused_network_computes_the_same(used, target):
    images = torch.randn(3, 3, *SIZE, generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        expected, got = used(images), fuse(used, SIZE, target=target)(images)
    assert (got - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert torch.equal(got.flatten(2).argmax(2), expected.flatten(2).argmax(2))


def test_the_algebra_is_exact_in_float64(used):
    images = torch.randn(1, 3, *SIZE, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    with torch.no_grad():
        double = copy.deepcopy(used).double()
        expected, got = double(images), fuse(double, SIZE)(images)
    assert (got - expected).abs().max() <= 1e-11 * expected.abs().max()
