"""What the network costs: multiply-accumulates (MACs) and parameters, by part.

A MAC is one multiplication and the addition that goes with it. Three conventions are in use, and they differ by a
fifth on the same network:

* `count`: convolutions only, each as often as it really runs. This is what the course means by MACs.
* The public code's own run: the same, but its fuse step computes ``f[i][0]`` twice (see `litehrnet.blocks.FuseStep`).
* `readme_count`: what the public repository's own counter adds up, which is where its README's numbers come from.

Sizes are given height before width.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from .blocks import FuseStep, SpatialWeighting
from .model import zeros_like_input

__all__ = ["PARTS", "Cost", "count", "count_module", "part_of", "readme_count"]

# By name, not by class, so that models from the public repositories can be counted too.
_PART_PATTERNS = {
    "stem": r"\bstem\b",
    "transitions": r"\btransition\d\b",
    "depthwise": r"\bdepthwise_convs\b|\blayers\.\d+\.\d+\.branch2\.1\b",
    "cross_resolution": r"\bcross_resolution_weighting\b",
    "spatial": r"\bspatial_weighting\b",
    "pointwise": r"\blayers\.\d+\.\d+\.branch2\.[02]\b",
    "fuse": r"\bfuse_layers\b",
    "head": r"\bhead_layer\b",
    "final": r"\bfinal_layer\b",
}
PARTS = tuple(_PART_PATTERNS)


@dataclass(frozen=True)
class Cost:
    """The cost of running one image once.

    Attributes:
        macs: multiply-accumulates of all convolutions.
        params: number of parameters.
        by_part: MACs of each of `PARTS`; they sum to `macs`. "depthwise" and "pointwise" are those of the blocks.
        params_by_part: parameters of each of `PARTS`, batch norms included; they sum to `params`.
    """

    macs: int
    params: int
    by_part: dict[str, int]
    params_by_part: dict[str, int]


def part_of(name: str) -> str:
    """The part of the network, one of `PARTS`, to which a module or parameter with this dotted name belongs.

    Raises:
        ValueError: the name does not belong to any part.

    >>> part_of("backbone.stage0.1.layers.0.cross_resolution_weighting.conv1.conv")
    'cross_resolution'
    """
    for part, pattern in _PART_PATTERNS.items():
        if re.search(pattern, name):
            return part
    raise ValueError(f"{name!r} belongs to none of Lite-HRNet's parts: {', '.join(PARTS)}")


def count(model: nn.Module, size: Sequence[int]) -> Cost:
    """MACs and parameters of a Lite-HRNet for one image; torch's own counter does the counting.

    The model itself is neither run nor changed; a copy of it runs on the CPU, on an image of zeros.

    Args:
        model: a network with Lite-HRNet's parameter names, in any mode and on any device.
        size: (height, width) of the image.

    Raises:
        ValueError: the network cannot run at this size, or has a convolution that belongs to no known part.

    >>> from litehrnet import create_model
    >>> cost = count(create_model("litehrnet18"), (256, 192))
    >>> cost.macs, cost.params
    (198626688, 1130769)
    """
    macs = count_module(model, zeros_like_input(size))
    by_part = dict.fromkeys(PARTS, 0)
    for name, number in macs.items():
        by_part[part_of(name)] += number
    params_by_part = dict.fromkeys(PARTS, 0)
    for name, parameter in model.named_parameters():
        params_by_part[part_of(name)] += parameter.numel()
    return Cost(sum(by_part.values()), sum(params_by_part.values()), by_part, params_by_part)


def count_module(module: nn.Module, *inputs: Tensor | Sequence[Tensor]) -> dict[str, int]:
    """MACs of every convolution that runs when `module` is called with `inputs`, by the convolution's dotted name.

    Args:
        module: any module; a copy of it runs, on the CPU.
        inputs: its inputs, float32 on the CPU.

    Raises:
        ValueError: a convolution runs outside a `torch.nn.Conv2d`, so it has no name.

    >>> from litehrnet.blocks import ShuffleUnit
    >>> count_module(ShuffleUnit(4), torch.zeros(1, 4, 8, 8))
    {'branch2.0.conv': 256, 'branch2.1.conv': 1152, 'branch2.2.conv': 256}
    """
    twin = _twin(module)
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        twin(*inputs)
    counts = {name: _convolution_macs(operations) for name, operations in counter.get_flop_counts().items()}
    root = type(twin).__name__
    named = {name: counts.get(f"{root}.{name}" if name else root, 0) for name in _convolution_names(twin)}
    if sum(named.values()) != counts["Global"]:
        raise ValueError(
            f"the named convolutions sum to {sum(named.values()):,} MACs, but {counts['Global']:,} run: "
            "a convolution outside nn.Conv2d belongs to no part"
        )
    return named


def _twin(model: nn.Module) -> nn.Module:
    return copy.deepcopy(model).to("cpu", torch.float32).eval()


def _convolution_names(module: nn.Module) -> list[str]:
    return [name for name, layer in module.named_modules() if isinstance(layer, nn.Conv2d)]


def _convolution_macs(operations: dict) -> int:
    # torch counts a multiplication and an addition as two; the matrix products of exact pooling are not convolutions.
    return operations.get(torch.ops.aten.convolution, 0) // 2


def readme_count(model: nn.Module, size: Sequence[int]) -> dict[str, int]:
    """Operations for one image as the public repository's counter adds them up, by kind.

    Derived from the numbers of its README, all six of which come out to the last digit given (tests/test_complexity).
    It differs from `count` in four ways. It looks at modules, each counted once, so that the convolutions which the
    public code runs twice count once. It adds cheap layers: a bias and a ReLU as one operation per element, a batch
    norm as two. Global pooling counts (H + 1) * (W + 1) per channel, an upsampling H * W for any number of channels.
    The ReLU after the fuse step is one module for all branches, and only its last call, on the smallest map, is kept.

    Functions that are not modules are not seen: the pooling and upsampling of cross-resolution weighting, products,
    sums, and the sigmoids.

    Args:
        model: a network made by `litehrnet.create_model`.
        size: (height, width) of the image.

    Returns:
        Operations by kind. The README divides their sum by 2 ** 20 and writes "M".

    Raises:
        ValueError: the network cannot run at this size.

    >>> from litehrnet import create_model
    >>> round(sum(readme_count(create_model("litehrnet18"), (256, 192)).values()) / 2**20, 2)
    205.23
    """
    kinds = ("convolution", "bias", "batch norm", "ReLU", "global pooling", "upsampling")
    tally = dict.fromkeys(kinds, 0)

    def add(module: nn.Module, inputs: tuple, output: Any) -> None:
        if isinstance(module, nn.Conv2d):
            tally["convolution"] += output.numel() * module.weight[0].numel()
            tally["bias"] += 0 if module.bias is None else output.numel()
        elif isinstance(module, nn.BatchNorm2d):
            tally["batch norm"] += 2 * output.numel()
        elif isinstance(module, nn.ReLU):
            tally["ReLU"] += output.numel()
        elif isinstance(module, FuseStep):
            tally["ReLU"] += output[-1].numel()
        elif isinstance(module, SpatialWeighting):
            _, channels, height, width = inputs[0].shape
            tally["global pooling"] += channels * (height + 1) * (width + 1)
        elif isinstance(module, nn.Upsample):
            tally["upsampling"] += output[0, 0].numel()

    images = zeros_like_input(size)
    twin = _twin(model)
    for module in twin.modules():
        module.register_forward_hook(add)
    with torch.no_grad():
        twin(images)
    return tally
