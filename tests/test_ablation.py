"""Networks whose weightings are fixed: the copy ignores the picture there, and the network itself stays as it is."""

from __future__ import annotations

import pytest
import torch
from tiny import tiny_model

import litehrnet
from litehrnet.blocks import CrossResolutionWeighting, SpatialWeighting
from litehrnet.course.ablation import KINDS, blind


def weightings(model: torch.nn.Module) -> int:
    return sum(isinstance(part, (CrossResolutionWeighting, SpatialWeighting)) for part in model.modules())


@pytest.fixture
def images() -> torch.Tensor:
    return torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))


def test_one_picture_keeps_its_own_weights(images):
    """The mean over a single image, place by place, is what the network computes for it: nothing changes."""
    model, one = tiny_model(), images[:1]
    with torch.no_grad():
        assert torch.equal(blind(model, one, keep_place=True)(one), model(one))


@pytest.mark.parametrize("kinds", [(), KINDS[:1], KINDS[1:], KINDS])
@pytest.mark.parametrize("keep_place", [False, True])
def test_only_the_named_weightings_are_fixed(images, kinds, keep_place):
    model = tiny_model()
    before = weightings(model)
    fixed = blind(model, images, kinds, keep_place=keep_place)
    types = {"cross-resolution": CrossResolutionWeighting, "spatial": SpatialWeighting}
    assert weightings(model) == before
    for kind, kept in types.items():
        assert any(isinstance(part, kept) for part in fixed.modules()) == (kind not in kinds)
    with torch.no_grad():
        assert torch.equal(fixed(images), model(images)) == (not kinds)


def test_what_cannot_be_fixed_is_refused(images):
    with pytest.raises(ValueError, match="kind"):
        blind(tiny_model(), images, ["temporal"])
    with pytest.raises(ValueError, match="naive_litehrnet18 has no channel weighting"):
        blind(litehrnet.create_model("naive_litehrnet18"), images)
