"""Lite-HRNet itself: the table of variants, the network, and the switches that change how it runs.

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
        channel_weighting: True for conditional channel weighting, False for the naive variants' shuffle blocks.
        blocks: blocks in each module.
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
        ValueError: not (N, 3, H, W), not floating point, not of the weights' dtype (except under autocast), or of a
            size that `check_size` refuses.
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
        variant: decides the blocks and their number.
        branches: number of branches in this stage.
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
    """From one stage to the next: adapt the branches whose number of channels changes, and start one new branch.

    Args:
        before: channels of each branch before the transition.
        after: channels of each branch after it; one more branch than before.
    """

    def __init__(self, before: Sequence[int], after: Sequence[int]) -> None:
        super().__init__()
        for c, target in zip(before, after[:-1], strict=True):
            same = c == target
            self.append(nn.Identity() if same else nn.Sequential(*separable_conv(c, target, stride=1, act=True)))
        # Two levels of Sequential, to match the names in public checkpoints.
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
        """Return the branches after every stage: images (N, 3, H, W) to three lists of (N, C_i, H_i, W_i)."""
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
        num_joints: number of heatmaps, 17 for COCO; any integer type.
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
            ValueError: the set that is assigned does not have one joint per heatmap of the model.
        """
        return self._joints

    @joints.setter
    def joints(self, joints: JointSet | None) -> None:
        if joints is not None and len(joints) != self.num_joints:
            raise ValueError(f"{len(joints)} joints do not name the {self.num_joints} heatmaps of this model")
        self._joints = joints

    @property
    def pooling(self) -> str | None:
        """The pooling mode, as `pooling_of` finds it; change it with `set_pooling`."""
        return pooling_of(self)

    def features(self, images: Tensor) -> Tensor:
        """The backbone's output, for your own head; `model.backbone.stages(images)` returns the branches.

        Args:
            images: as for `forward`.

        Returns:
            (N, C, ceil(H / 4), ceil(W / 4)), where C is the number of channels of the variant's largest map (40 in
            Lite-HRNet-18).

        Raises:
            ValueError: as in `forward`.
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
        # torch.jit.script calls this first; without it, the user would see a compiler error about annotations.
        raise ValueError(
            "torch.jit.script cannot compile this network; use torch.jit.trace(model, images), torch.export.export "
            "or torch.compile, all of which can"
        )


def set_pooling(model: AnyModule, pooling: str) -> AnyModule:
    """Switch a model's pooling in place and return the model; the weights do not change.

    The naive variants pool only whole maps, so nothing changes there.

    Args:
        model: a `LiteHRNet`, or a module that contains one or parts of one.
        pooling: "adaptive", "computed" or "exact".

    Raises:
        ValueError: the pooling is unknown, or `model` has none that could be switched.
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
        "adaptive", "computed" or "exact"; "mixed" if its modules differ; None if it does not pool in this way, like the
        naive variants.

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
    """A copy of a model whose fuse steps run in another way, with the same weights and state-dict keys.

    Args:
        model: a `LiteHRNet` or a part of one that contains fuse steps; it is not changed.
        kind: "lean", as in this package (each path runs once); "public", as in the public code (the same values, but
            the first paths run twice); "tidy", as the paper suggests (different values).

    Raises:
        ValueError: the kind is unknown, or `model` has no fuse step.
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
    """A copy of a model's modules that shares its parameters and buffers, so it takes no extra memory.

    Use it to change how a model runs (mode, pooling, shuffles) without changing the caller's model.
    """
    tensors = (*model.parameters(), *model.buffers())
    return copy.deepcopy(model, {id(tensor): tensor for tensor in tensors})


@contextlib.contextmanager
def eval_mode(model: nn.Module) -> Iterator[None]:
    """Eval mode inside the block; afterwards, every part returns to its own mode, frozen batch norms included."""
    modes = {part: part.training for part in model.modules()}
    try:
        model.eval()
        yield
    finally:
        for part, training in modes.items():
            part.training = training


def check_finite(model: nn.Module) -> None:
    """Refuse a model whose parameters or buffers hold infinity or NaN, since no comparison with it means anything.

    Raises:
        ValueError: there is such an entry; the message names the first and counts the others.
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
            "went through float16 keeps such values forever); load the weights again"
        )


def count_parameters(model: nn.Module) -> int:
    """The number of parameters in a module, frozen ones included; buffers such as running statistics do not count.

    >>> count_parameters(LiteHRNet(VARIANTS["litehrnet18"]))
    1130769
    """
    return sum(parameter.numel() for parameter in model.parameters())


def zeros_like_input(size: Sequence[int]) -> Tensor:
    """An all-zero input of a legal size, (1, 3, height, width), for counting and tracing."""
    return torch.zeros(1, 3, *check_size(size))
