"""Lite-HRNet itself: the table of variants, the sizes it runs at, and the network.

The network keeps the parameter names of the public implementation, so that its checkpoints load key by key. It knows
nothing of export, which is in `litehrnet.export`.

Sizes are given height before width.
"""

from __future__ import annotations

import contextlib
import copy
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import torch
from torch import Tensor, nn

from .blocks import (
    FUSE_STEPS,
    SHUFFLE_FORMS,
    ChannelShuffle,
    ConditionalChannelWeighting,
    CrossResolutionWeighting,
    FuseStep,
    IterativeHead,
    ShuffleUnit,
    Stem,
    separable_conv,
)
from .checks import check_choice, check_whole
from .pooling import ComputedAvgPool, check_pooling, is_captured, pool_mode
from .sizes import check_size

if TYPE_CHECKING:
    from .checkpoints.joints import JointSet

__all__ = [
    "FUSE_STEPS",
    "VARIANTS",
    "LiteHRNet",
    "Variant",
    "check_finite",
    "check_images",
    "check_size",
    "count_parameters",
    "declare_multiples",
    "eval_mode",
    "pooling_of",
    "set_pooling",
    "set_shuffle",
    "shared_copy",
    "with_fuse_step",
    "zeros_like_input",
]

AnyModule = TypeVar("AnyModule", bound=nn.Module)


@dataclass(frozen=True)
class Variant:
    """One row of the table of variants (paper, table 1).

    Attributes:
        name: the name that `litehrnet.create_model` takes.
        modules: modules in each of the three stages.
        channels: channels of the four branches, largest map first.
        channel_weighting: conditional channel weighting, or the naive variants' shuffle blocks.
        blocks: blocks in a module.
        stem_channels: channels after the stem.
    """

    name: str
    modules: tuple[int, int, int]
    channels: tuple[int, int, int, int]
    channel_weighting: bool
    blocks: int = 2
    stem_channels: int = 32


VARIANTS: dict[str, Variant] = {
    variant.name: variant
    for variant in (
        Variant("litehrnet18", (2, 4, 2), (40, 80, 160, 320), True),
        Variant("litehrnet30", (3, 8, 3), (40, 80, 160, 320), True),
        Variant("naive_litehrnet18", (2, 4, 2), (30, 60, 120, 240), False),
        Variant("wider_naive_litehrnet18", (2, 4, 2), (40, 80, 160, 320), False),
    )
}


def check_images(images: Tensor, dtype: torch.dtype) -> None:
    """Refuse, before any work, a tensor that a network with weights of this dtype cannot run on.

    The values are not checked, which would tie an exported graph to the traced image. `to_input` refuses NaN.

    Raises:
        ValueError: not (N, 3, H, W), not floating point or (but under autocast) not of the weights' dtype, or a size
            that `check_size` refuses.
    """
    shape = tuple(images.shape)
    if len(shape) != 4:
        raise ValueError(f"images must have 4 dimensions, (N, 3, H, W); got {len(shape)} with shape {shape}")
    if shape[1] != 3:
        raise ValueError(f"images must have 3 channels, (N, 3, H, W); got {shape[1]} with shape {shape}")
    if not images.is_floating_point():
        raise ValueError(
            f"images must be floating point and normalised (litehrnet.heatmaps.to_input), got {images.dtype}"
        )
    if images.dtype != dtype and not torch.is_autocast_enabled(images.device.type):
        raise ValueError(f"images are {images.dtype} and the weights {dtype}; call images.to({dtype})")
    check_size(shape[2:])


class StageModule(nn.Module):
    """One module of a stage: blocks on all branches, then the fuse step.

    Args:
        variant: which blocks, and how many.
        branches: how many branches this stage has.
        pooling: passed to the channel weighting.
    """

    def __init__(self, variant: Variant, branches: int, pooling: str) -> None:
        super().__init__()
        channels = variant.channels[:branches]
        self.channel_weighting = variant.channel_weighting
        self.layers: nn.Sequential | nn.ModuleList
        if self.channel_weighting:
            self.layers = nn.Sequential(
                *(ConditionalChannelWeighting(channels, pooling) for _ in range(variant.blocks))
            )
        else:
            self.layers = nn.ModuleList(
                nn.Sequential(*(ShuffleUnit(c) for _ in range(variant.blocks))) for c in channels
            )
        self.fuse_layers = FuseStep(channels)

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        if self.channel_weighting:
            xs = self.layers(xs)
        else:
            xs = [layers(x) for layers, x in zip(self.layers, xs, strict=True)]
        return self.fuse_layers(xs)


class Transition(nn.ModuleList):
    """From one stage to the next: adapt the branches whose width changes, and start one new branch.

    Args:
        before: channels of each branch before.
        after: channels of each branch after; one more branch than before.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        for c, target in zip(before, after[:-1], strict=True):
            same = c == target
            self.append(nn.Identity() if same else nn.Sequential(*separable_conv(c, target, stride=1, act=True)))
        # Two levels of Sequential, as public checkpoints name it.
        self.append(nn.Sequential(nn.Sequential(*separable_conv(before[-1], after[-1], stride=2, act=True))))

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """n branches (N, C_i, H_i, W_i) to n + 1."""
        return [layer(x) for layer, x in zip(self, [*xs, xs[-1]], strict=True)]


class Backbone(nn.Module):
    """Stem, then three stages with 2, 3 and 4 branches, then the iterative head on the largest map."""

    def __init__(self, variant: Variant, pooling: str) -> None:
        super().__init__()
        self.stem = Stem(variant.stem_channels)
        before: tuple[int, ...] = (variant.stem_channels,)
        for i, modules in enumerate(variant.modules):
            branches = i + 2
            after = variant.channels[:branches]
            self.add_module(f"transition{i}", Transition(before, after))
            self.add_module(
                f"stage{i}", nn.Sequential(*(StageModule(variant, branches, pooling) for _ in range(modules)))
            )
            before = after
        self.head_layer = IterativeHead(variant.channels)

    def stages(self, images: Tensor) -> list[list[Tensor]]:
        """The branches after every stage: images (N, 3, H, W) to three lists of (N, C_i, H_i, W_i)."""
        xs = [self.stem(images)]
        results = []
        for i in range(3):
            xs = getattr(self, f"stage{i}")(getattr(self, f"transition{i}")(xs))
            results.append(xs)
        return results

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, C_0, ceil(H / 4), ceil(W / 4))."""
        return self.head_layer(self.stages(images)[-1])


class HeatmapHead(nn.Module):
    """The 1x1 convolution from features to one heatmap per joint."""

    def __init__(self, channels: int, num_joints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(channels, num_joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, num_joints, h, w)."""
        return self.final_layer(x)


class LiteHRNet(nn.Module):
    """Images to heatmaps. `litehrnet.create_model` builds one by name.

    Args:
        variant: a row of `VARIANTS`.
        num_joints: heatmaps to give, 17 for COCO; any integer type.
        pooling: "adaptive", "computed" or "exact"; see `litehrnet.pooling`. All three share one state dict.

    Attributes:
        joints: what the heatmaps show (`litehrnet.checkpoints.JointSet`), or None if unknown; loading a checkpoint
            that describes its joints sets it.
        trained_size: the height and width that the weights were trained at, or None if unknown.

    Raises:
        ValueError: the number of joints is not a whole number of at least 1, or the pooling is unknown.

    >>> model = LiteHRNet(VARIANTS["litehrnet18"]).eval()
    >>> model(torch.zeros(1, 3, 64, 32)).shape
    torch.Size([1, 17, 16, 8])
    """

    trained_size: tuple[int, int] | None = None
    _joints: JointSet | None = None

    def __init__(self, variant: Variant, num_joints: int = 17, pooling: str = "adaptive") -> None:
        super().__init__()
        self.variant = variant
        self.num_joints = check_whole("num_joints", num_joints)
        self.backbone = Backbone(variant, check_pooling(pooling))
        self.head = HeatmapHead(variant.channels[0], self.num_joints)

    @property
    def joints(self) -> JointSet | None:
        """What the heatmaps show, in their order.

        Raises:
            ValueError: the set that is assigned has not as many joints as the model has heatmaps.
        """
        return self._joints

    @joints.setter
    def joints(self, joints: JointSet | None) -> None:
        if joints is not None and len(joints) != self.num_joints:
            raise ValueError(f"{len(joints)} joints do not name the {self.num_joints} heatmaps of this model")
        self._joints = joints

    @property
    def pooling(self) -> str | None:
        """The mode of the pooling inside, as `pooling_of` finds it; change it with `set_pooling`."""
        return pooling_of(self)

    def features(self, images: Tensor) -> Tensor:
        """The backbone's result, for a head of your own; `model.backbone.stages(images)` gives the branches.

        Args:
            images: as for `forward`.

        Returns:
            (N, C, ceil(H / 4), ceil(W / 4)), with C the width of the variant's largest map (40 in Lite-HRNet-18).

        Raises:
            ValueError: as `forward`.
        """
        if not is_captured():
            check_images(images, self.head.final_layer.weight.dtype)
        return self.backbone(images)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), float, normalised, to heatmaps (N, num_joints, ceil(H / 4), ceil(W / 4)).

        The check of the input is left out while torch traces, compiles or exports: it would tie the graph to the
        traced size.

        Raises:
            ValueError: the network cannot run on images of this rank, number of channels, dtype or size.
        """
        return self.head(self.features(images))

    def __prepare_scriptable__(self) -> LiteHRNet:
        # torch.jit.script calls this first; without it the reader would meet a compiler's error about annotations.
        raise ValueError(
            "torch.jit.script cannot compile this network; use torch.jit.trace(model, images), torch.export.export "
            "or torch.compile, all of which can"
        )


def set_pooling(model: AnyModule, pooling: str) -> AnyModule:
    """Switch a model's pooling in place and return it; the weights stay as they are.

    The naive variants pool nothing but whole maps, so nothing changes there.

    Args:
        model: a `LiteHRNet`, or a module that holds one or parts of one.
        pooling: "adaptive", "computed" or "exact".

    Raises:
        ValueError: the pooling is unknown, or there is none in `model` that could be switched.
    """
    check_pooling(pooling)
    found = [module for module in model.modules() if isinstance(module, CrossResolutionWeighting)]
    if not found and not any(isinstance(module, LiteHRNet) for module in model.modules()):
        if pooling_of(model) == pooling:
            return model
        if getattr(model, "fused", False):
            raise ValueError(
                f"a fused network always computes its pooling, so it cannot be made {pooling!r}; set the pooling of "
                "the network that it was fused from, and use that one"
            )
        raise ValueError(
            f"{type(model).__name__} holds no Lite-HRNet whose pooling could be switched; for other networks there are "
            "litehrnet.make_exportable and litehrnet.pooling.replace_adaptive_pooling"
        )
    for module in found:
        module.set_pooling(pooling)
    return model


def pooling_of(model: nn.Module) -> str | None:
    """How a network pools its maps to the size of the smallest one, read from its modules.

    Returns:
        "adaptive", "computed" or "exact"; "mixed" where its modules differ; None where it pools nothing in this way,
        as the naive variants do.

    >>> [pooling_of(LiteHRNet(VARIANTS[name], pooling="exact")) for name in ("litehrnet18", "naive_litehrnet18")]
    ['exact', None]
    """
    modes = {mode for module in model.modules() if (mode := pool_mode(module))}
    return modes.pop() if len(modes) == 1 else ("mixed" if modes else None)


def set_shuffle(model: AnyModule, form: str) -> AnyModule:
    """Switch the form of every `ChannelShuffle` in a model, in place, and return the model; no value changes.

    Args:
        model: any module.
        form: "reshape", "index" or "channels_last"; see `litehrnet.blocks.ChannelShuffle`.

    Raises:
        ValueError: the form is unknown.
    """
    check_choice("form", form, SHUFFLE_FORMS)
    for module in model.modules():
        if isinstance(module, ChannelShuffle):
            module.form = form
    return model


def declare_multiples(model: AnyModule) -> AnyModule:
    """Note in a model, in place, that an export with free sizes declares them as multiples of 32; returns the model.

    ``torch.export`` does not tell a network what was declared about its sizes. Where they are ``32 * Dim("h")``, every
    ratio inside holds exactly, and the graph need not ask for a size. Nothing else changes.
    """
    for module in model.modules():
        if isinstance(module, (CrossResolutionWeighting, ComputedAvgPool)):
            module.divides = True
    return model


def with_fuse_step(model: AnyModule, kind: str) -> AnyModule:
    """A copy of a model whose fuse steps run in another way; same weights, same state-dict keys.

    Args:
        model: a `LiteHRNet` or a part of one that holds fuse steps; it is left as it is.
        kind: "lean", this package's (each path runs once); "public", the public code's order of work (the same values,
            and the first paths run twice); "tidy", what one expects a fuse step to be (other values).

    Raises:
        ValueError: the kind is unknown, or there is no fuse step in `model`.
    """
    check_choice("kind", kind, FUSE_STEPS)
    model = copy.deepcopy(model)
    places = [
        (parent, name)
        for parent in model.modules()
        for name, child in parent.named_children()
        if isinstance(child, FuseStep)
    ]
    if not places:
        raise ValueError(f"{type(model).__name__} holds no fuse step; pass a LiteHRNet that has not been fused")
    for parent, name in places:
        setattr(parent, name, FUSE_STEPS[kind].of(getattr(parent, name)))
    return model


def shared_copy(model: AnyModule) -> AnyModule:
    """A copy of a model's modules that shares its parameters and buffers, so that it costs no memory.

    For changing how a model is run (mode, pooling, shuffles) without touching the caller's own.
    """
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards every part is in its own mode again (a frozen batch norm, too)."""
    modes = {part: part.training for part in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def check_finite(model: nn.Module) -> None:
    """Refuse a model with a parameter or buffer that holds infinity or NaN: no comparison against it means anything.

    Raises:
        ValueError: the first such entry, by its name, and how many there are.
    """
    tensors = (*model.named_parameters(), *model.named_buffers())
    wrong = [
        name
        for name, tensor in tensors
        if tensor.is_floating_point() and not tensor.is_meta and not torch.isfinite(tensor).all()
    ]
    if wrong:
        more = f" and {len(wrong) - 1} other{'s' if len(wrong) > 2 else ''}" if len(wrong) > 1 else ""
        raise ValueError(
            f"{wrong[0]}{more} of the model's parameters and buffers hold values that are not finite (a model that "
            "went through float16 keeps such values for ever); load the weights again"
        )


def count_parameters(model: nn.Module) -> int:
    """All numbers in a module's parameters, frozen ones included; buffers such as running statistics are not counted.

    >>> count_parameters(LiteHRNet(VARIANTS["litehrnet18"]))
    1130769
    """
    return sum(parameter.numel() for parameter in model.parameters())


def zeros_like_input(size: Sequence[int]) -> Tensor:
    """An all-zero input of a legal size, (1, 3, height, width), for counting and tracing."""
    return torch.zeros(1, 3, *check_size(size))
