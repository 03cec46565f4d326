"""A network with every kind of block and little of each: for what the exporter of torch.export would take a minute."""

from __future__ import annotations

import numpy as np
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


def switched_off(model: LiteHRNet) -> LiteHRNet:
    """The same network, with channels that batch norm has switched off, or nearly, but for their bias."""
    with torch.no_grad():
        for module in model.modules():
            if isinstance(module, torch.nn.BatchNorm2d):
                module.weight[::5] = 0
                module.weight[1::5] *= 1e-9
                module.bias[::5] = 0.7
    return model


def share_lost(found: np.ndarray, expected: np.ndarray) -> float:
    """The mean square of the error over the variance."""
    return float(np.square(found - expected).mean() / expected.var())
