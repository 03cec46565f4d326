"""A network with every kind of block and little of each: for what the exporter of torch.export would take a minute."""

from __future__ import annotations

import torch
from reference import reference_state

from litehrnet.model import LiteHRNet, Variant

TINY = Variant("tiny", modules=(1, 1, 1), channels=(40, 80, 160, 320), channel_weighting=True, blocks=1)


def tiny_model(pooling: str = "computed", num_joints: int = 17) -> LiteHRNet:
    """The tiny network with reference weights, in eval mode."""
    model = LiteHRNet(TINY, num_joints, pooling).eval()
    with torch.no_grad():
        model.load_state_dict(reference_state(model))
    return model
