"""From an exported file back to its network, so that it can be exported again: at another size, for another runtime.

An exported graph calls its convolutions in the order in which the network calls them, so their weights can be put back
one by one. The result is trusted only after a comparison has shown that the network computes what the file computes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import torch
from torch import nn

from ..blocks import TidyFuseStep
from ..checkpoints.joints import JointSet
from ..files import existing_file
from ..fusion.fold import fold_batch_norms
from ..model import VARIANTS, LiteHRNet, with_fuse_step
from ..runtimes.graph import read_graph, weights_of
from ..runtimes.parity import check_parity
from ..runtimes.signature import signature

if TYPE_CHECKING:
    import onnx

__all__ = ["network_of"]

_FUSE_STEPS = ("lean", "public", "tidy")
_SMALL = 32  # pixels: the side of the image that shows in which order the convolutions run


class _Filter(NamedTuple):
    """The weights of one convolution.

    Attributes:
        weight: (outputs, inputs / groups, kernel height, kernel width).
        bias: (outputs,).
    """

    weight: np.ndarray
    bias: np.ndarray


def network_of(path: str | Path) -> LiteHRNet:
    """Rebuild the network of an ONNX file, from this package or from another tool, in torch.

    Args:
        path: a file with float32 or float16 weights, not fused. Batch norms may be folded or not.

    Returns:
        The network in eval mode, its batch norms folded into the convolutions, with the file's joints. It has been
        compared with the file at the file's own sizes, and computes the same.

    Raises:
        ValueError: the file is int8 or fused, holds none of the variants, or computes something other than the network
            that was rebuilt from it.
        FileNotFoundError, ImportError: as `litehrnet.runtimes.signature`.
    """
    path = existing_file(path)
    about = signature(path)
    if about.kind != "onnx":
        raise ValueError(f"{path.name} is not an ONNX file, and a network can only be rebuilt from one of those")
    about.check_image_network()
    if weights_of(path) == "int8":
        raise ValueError(f"{path.name} holds int8 weights; give the float32 file that it was made from")
    if about.metadata.get("fused"):
        raise ValueError(
            f"{path.name} is fused, so its convolutions are no longer those of the network; give the plain file, "
            "or the checkpoint that it was made from"
        )
    filters = list(_filters(read_graph(path), path.parent))
    last = None
    for network in _candidates(filters):
        described = about.metadata.get("joint_set")
        network.joints = None if described is None else JointSet.from_dict(described)
        last = check_parity(network, path)
        if all(row.ok for row in last):
            return network if _is_tidy(network) else with_fuse_step(network, "lean")
    if last is None:
        raise ValueError(
            f"{path.name} has {len(filters)} convolutions, and their shapes are not those of {', '.join(VARIANTS)}: it "
            "is another network, or a fused one"
        )
    worst = max(row.max_rel for row in last)
    raise ValueError(
        f"{path.name} has the convolutions of a Lite-HRNet, but does not compute what one computes from them (relative "
        f"difference {worst:.1e}); does it take RGB with the usual mean and deviation? `litehrnet check` looks for the "
        "cause"
    )


def _is_tidy(network: LiteHRNet) -> bool:
    return any(isinstance(module, TidyFuseStep) for module in network.modules())


def _filters(graph: onnx.ModelProto, folder: Path) -> Iterator[_Filter]:
    """The convolutions of a graph in the order in which they run, with a following batch norm folded in."""
    from onnx import helper, numpy_helper

    values = {tensor.name: tensor for tensor in graph.graph.initializer}
    makers = {name: node for node in graph.graph.node for name in node.output}
    norms = {node.input[0]: node for node in graph.graph.node if node.op_type == "BatchNormalization"}

    def value(name: str) -> np.ndarray:
        tensor, maker = values.get(name), makers.get(name)
        while tensor is None and maker is not None and maker.op_type in ("Cast", "Identity"):  # widened from float16
            name = maker.input[0]
            tensor, maker = values.get(name), makers.get(name)
        if tensor is None and maker is not None and maker.op_type == "Constant":
            tensor = next((attribute.t for attribute in maker.attribute if attribute.name == "value"), None)
        if tensor is None:
            raise ValueError(f"the weights {name!r} are computed in the file, not stored")
        return numpy_helper.to_array(tensor, str(folder)).astype(np.float64)

    for node in graph.graph.node:
        if node.op_type != "Conv":
            continue
        weight = value(node.input[1])
        bias = value(node.input[2]) if len(node.input) > 2 and node.input[2] else np.zeros(len(weight))
        norm = norms.get(node.output[0])
        if norm is not None:
            scale, shift, mean, variance = (value(name) for name in norm.input[1:5])
            attributes = {attribute.name: helper.get_attribute_value(attribute) for attribute in norm.attribute}
            slope = scale / np.sqrt(variance + attributes.get("epsilon", 1e-5))
            weight, bias = weight * slope[:, None, None, None], (bias - mean) * slope + shift
        yield _Filter(weight.astype(np.float32), bias.astype(np.float32))


def _candidates(filters: Sequence[_Filter]) -> Iterator[LiteHRNet]:
    """The networks whose convolutions have these shapes in this order, with these weights."""
    if not filters:
        return
    shapes = [part.weight.shape for part in filters]
    joints = shapes[-1][0]
    for variant in VARIANTS.values():
        plain = LiteHRNet(variant, joints, "computed").eval()
        for kind in _FUSE_STEPS:
            network = with_fuse_step(plain, kind)
            if [tuple(conv.weight.shape) for conv in _in_order(network)] == shapes:
                network = fold_batch_norms(network)
                _fill(_in_order(network), filters)
                yield network


def _in_order(network: LiteHRNet) -> list[nn.Conv2d]:
    """The convolutions of a network in the order in which they run; one that runs twice is there twice."""
    order: list[nn.Conv2d] = []

    def note(module: nn.Module, *_: Any) -> None:
        assert isinstance(module, nn.Conv2d)
        order.append(module)

    hooks = [m.register_forward_pre_hook(note) for m in network.modules() if isinstance(m, nn.Conv2d)]
    with torch.inference_mode():
        network(torch.zeros(1, 3, _SMALL, _SMALL))
    for hook in hooks:
        hook.remove()
    return order


def _fill(convs: Sequence[nn.Conv2d], filters: Sequence[_Filter]) -> None:
    for conv, part in zip(convs, filters, strict=True):
        conv.weight = nn.Parameter(torch.from_numpy(part.weight), requires_grad=False)
        conv.bias = nn.Parameter(torch.from_numpy(part.bias), requires_grad=False)
