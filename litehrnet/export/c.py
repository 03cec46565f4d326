"""From the model to one weights file for the network in C: NAME.lhr, which `litehrnet/c/litehrnet.c` reads.

The file holds the network with its batch norms folded, as one stream of numbers in the order in which the C code asks
for them (`read_network` there), after a header that `litehrnet.runtimes.lhr` describes. It serves every legal size.

The C code keeps the channels of a branch in four groups, so that both blocks of a module find the channels that they
work on side by side and nothing is shuffled in memory: channels that neither block touches, those of the second block
only, those of both, those of the first block only. The order is worked out here, and the weights are stored in it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

from .._version import __version__
from ..blocks import ConditionalChannelWeighting, ConvNormAct, FuseStep, ShuffleUnit, SpatialWeighting, TidyFuseStep
from ..checkpoints.joints import named_joints
from ..checks import check_choice
from ..files import written_whole
from ..fusion.fold import fold_batch_norms
from ..heatmaps import MEAN, STD
from ..model import LiteHRNet
from ..runtimes.lhr import WEIGHTS, Header, pack
from .onnx import export_size, on_cpu
from .writers import check_suffix

__all__ = ["branch_order", "export_c"]


def export_c(
    model: nn.Module,
    path: str | Path,
    size: Sequence[int] | None = None,
    weights: str = "float32",
    *,
    mean: Sequence[float] = MEAN,
    std: Sequence[float] = STD,
) -> Path:
    """Write a network for the C engine: one file for every legal size, any batch.

    Args:
        model: a `LiteHRNet`, any variant; its batch norms are folded in a copy.
        path: the file to write, ending in .lhr.
        size: (height, width) to record in the file, which still runs at every legal size; by default the size that
            the model was trained at, or 256x192.
        weights: "float32", or "float16" for half the file (the engine computes in float32 all the same).
        mean, std: RGB on the scale 0..255, for crops that the engine normalises itself.

    Returns:
        The path.

    Raises:
        ValueError: not a `LiteHRNet`, an illegal size, unknown weights, a path that does not end in .lhr, or a weight
            that is not there, not finite or too large for float16; or a mean or deviation that is not three numbers.
    """
    path = check_suffix(path, ".lhr")
    check_choice("weights", weights, tuple(WEIGHTS))
    if not isinstance(model, LiteHRNet):
        raise ValueError(f"the C engine takes a LiteHRNet (litehrnet.create_model), got {type(model).__name__}")
    if model.variant.blocks != 2:
        raise ValueError(f"the C engine takes modules of 2 blocks, and {model.variant.name} has {model.variant.blocks}")
    if any(isinstance(module, TidyFuseStep) for module in model.modules()):
        raise ValueError(
            "this network has the tidy fuse step, which is for comparison only; the C engine has the real one"
        )
    size = export_size(model, size)
    joints = named_joints(model.num_joints, model.joints)
    variant = model.variant
    header = Header(
        variant=variant.name,
        channel_weighting=variant.channel_weighting,
        modules=variant.modules,
        channels=variant.channels,
        stem_channels=variant.stem_channels,
        joints=model.num_joints,
        size=size,
        mean=_colours("mean", mean),
        std=_colours("std", std),
        weights=weights,
        names=joints.names,
        metadata={"version": __version__, "joint_set": joints.to_dict()},
    )
    with torch.no_grad():
        folded = fold_batch_norms(on_cpu(model))
        numbers = np.concatenate([part.ravel() for part in _network(folded)])
    content = pack(header, numbers)
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return path


def _colours(name: str, values: Sequence[float]) -> tuple[float, float, float]:
    if len(values) != 3:
        raise ValueError(f"{name} must be three numbers, one per colour; got {len(values)}")
    red, green, blue = values
    return float(red), float(green), float(blue)


def branch_order(channels: int) -> np.ndarray:
    """The channels of a branch in the order in which the engine stores them: groups A B D C.

    A block works on the upper half of its channels and then shuffles by 2: channel t of the lower half moves to 2t,
    channel half + u to 2u + 1. The upper half is what the first block works on (C and D); of the shuffled channels,
    the upper half (B and D) is what the second one works on.

    >>> branch_order(8).tolist()
    [0, 1, 2, 3, 6, 7, 4, 5]
    """
    half, _, b = _groups(channels)
    return np.r_[:half, half + b : channels, half : half + b]


def _groups(channels: int) -> tuple[int, int, int]:
    """Half of the channels, and the sizes of the groups A and D, and B and C."""
    half = channels // 2
    return half, half - half // 2, half // 2


def _half_order(channels: int, block: int) -> np.ndarray:
    """The channels of a block's half, numbered within the half, in the order in which the engine stores them."""
    half, a, b = _groups(channels)
    if block == 0:
        return np.r_[b:half, :b]  # D, C
    # After the first shuffle: B's channel t is 2t - half within the upper half, D's channel u is 2u + 1 - half.
    return np.r_[2 * np.arange(a, half) - half, 2 * np.arange(b, half) + 1 - half]


def _conv(module: nn.Module) -> nn.Conv2d:
    return cast(nn.Conv2d, module.conv if isinstance(module, ConvNormAct) else module)


def _bias(module: nn.Module) -> np.ndarray:
    """A convolution's bias; every one has one when its batch norm is folded."""
    bias = _conv(module).bias
    assert bias is not None
    return bias.double().numpy()


def _product(*convs: nn.Module, rows: Sequence[np.ndarray], columns: np.ndarray) -> Iterator[np.ndarray]:
    """1x1 convolutions that are summed, as one: weights [inputs][outputs], and the biases' sum.

    Args:
        convs: the convolutions.
        rows: for each, the order of its inputs.
        columns: the order of the outputs.
    """
    weights = [
        _conv(conv).weight[:, :, 0, 0].double().numpy()[columns][:, order].T
        for conv, order in zip(convs, rows, strict=True)
    ]
    yield np.concatenate(weights)  # (inputs of all, outputs)
    yield np.sum([_bias(conv) for conv in convs], axis=0)[columns]


def _depthwise(conv: nn.Module, order: np.ndarray) -> Iterator[np.ndarray]:
    """A depthwise 3x3 convolution: [9][channels], and the biases."""
    yield _conv(conv).weight.double().numpy()[order].reshape(len(order), 9).T
    yield _bias(conv)[order]


def _network(model: LiteHRNet) -> Iterator[np.ndarray]:
    """All numbers, in the order of `read_network` in litehrnet.c."""
    variant, backbone = model.variant, model.backbone
    stem, half = backbone.stem, variant.stem_channels // 2
    orders = [branch_order(c) for c in variant.channels]
    same = np.arange(max(variant.channels) * len(variant.channels))

    first = stem.conv1.conv
    yield first.weight.double().numpy().transpose(2, 3, 1, 0).reshape(27, -1)  # (3, 3, 3, 32): row, column, colour
    yield _bias(first)
    yield from _depthwise(stem.branch1[0], same[:half])
    yield from _product(stem.branch1[1], rows=[same[:half]], columns=same[:half])
    yield from _product(stem.expand_conv, rows=[same[:half]], columns=same[: 2 * half])
    yield from _depthwise(stem.depthwise_conv, same[: 2 * half])
    yield from _product(stem.linear_conv, rows=[same[: 2 * half]], columns=same[:half])

    # The engine leaves the stem's halves side by side; this order of the inputs makes up for the shuffle.
    before = np.r_[0 : 2 * half : 2, 1 : 2 * half : 2]
    for i, modules in enumerate(variant.modules):
        transition: Any = getattr(backbone, f"transition{i}")
        if i == 0:
            yield from _separable(transition[0], before, orders[0])
        yield from _separable(transition[-1][0], before, orders[i + 1])
        before = orders[i + 1]
        for module in getattr(backbone, f"stage{i}")[:modules]:
            layers = module.layers
            for k in range(variant.blocks):
                halves = [_half_order(c, k) for c in variant.channels[: i + 2]]
                if variant.channel_weighting:
                    yield from _weighting(layers[k], halves)
                else:
                    yield from _shuffle_units([branch[k] for branch in layers], halves)
            yield from _fuse(module.fuse_layers, orders[: i + 2])
    projects: Any = backbone.head_layer.projects  # torch declares no type for the parts of a part
    for i, project in zip(range(3, -1, -1), projects, strict=True):
        below = orders[i - 1] if i else same[: variant.channels[0]]
        yield from _depthwise(project["depthwise_conv"], orders[i])
        yield from _product(project["pointwise_conv"], rows=[orders[i]], columns=below)
    final = model.head.final_layer
    yield from _product(final, rows=[same[: final.in_channels]], columns=same[: final.out_channels])


def _separable(layers: nn.Sequential, order: np.ndarray, columns: np.ndarray) -> Iterator[np.ndarray]:
    yield from _depthwise(layers[0], order)
    yield from _product(layers[2], rows=[order], columns=columns)


def _weighting(block: ConditionalChannelWeighting, halves: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    cross = block.cross_resolution_weighting
    starts = np.cumsum([0, *map(len, halves)])
    joined = np.concatenate([start + order for start, order in zip(starts[:-1], halves, strict=True)])
    hidden = np.arange(cross.conv1.conv.out_channels)
    yield from _product(cross.conv1, rows=[joined], columns=hidden)
    for i, (start, order) in enumerate(zip(starts[:-1], halves, strict=True)):
        yield from _product(cross.conv2, rows=[hidden], columns=start + order)
        yield from _depthwise(block.depthwise_convs[i], order)
        spatial = cast(SpatialWeighting, block.spatial_weighting[i])
        few = np.arange(spatial.conv1.conv.out_channels)
        yield from _product(spatial.conv1, rows=[order], columns=few)
        yield from _product(spatial.conv2, rows=[few], columns=order)


def _shuffle_units(units: Sequence[ShuffleUnit], halves: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    for unit, order in zip(units, halves, strict=True):
        before, depthwise, after = unit.branch2
        between = np.arange(len(order))
        yield from _product(before, rows=[order], columns=between)
        yield from _depthwise(depthwise, between)
        yield from _product(after, rows=[between], columns=order)


def _fuse(step: FuseStep, orders: Sequence[np.ndarray]) -> Iterator[np.ndarray]:
    """One fuse step, row by row. The last products of all paths from larger maps are stored as one product.

    The first of them counts twice (see `FuseStep`).
    """
    for i, row in enumerate(cast("Sequence[Any]", step)):
        for j in range(i):
            for path in row[j]:
                yield from _depthwise(path[0], orders[j])
                if path is not row[j][-1]:
                    yield from _product(path[2], rows=[orders[j]], columns=orders[j])
        if i:
            last = [row[j][-1][2] for j in range(i)]
            weights, bias = _product(*last, rows=orders[:i], columns=orders[i])
            weights[: len(orders[0])] *= 2
            yield weights
            yield bias + _bias(last[0])[orders[i]]
        for j in range(i + 1, len(orders)):
            yield from _product(row[j][0], rows=[orders[j]], columns=orders[i])
