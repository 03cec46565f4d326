"""Lite-HRNet itself: the table of variants, the sizes it runs at, and the network.

The network keeps the parameter names of the public implementation, so that its checkpoints load key by key. It knows
nothing of export; that lives in `litehrnet.export`.

Sizes are given height before width.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .blocks import (
    ConditionalChannelWeighting,
    CrossResolutionWeighting,
    FuseStep,
    IterativeHead,
    ShuffleUnit,
    Stem,
    separable_conv,
)
from .pooling import check_pooling
from .sizes import check_size

if TYPE_CHECKING:
    from .checkpoints.joints import JointSet

__all__ = ["VARIANTS", "LiteHRNet", "Variant", "check_size", "create_model", "set_pooling"]


@dataclass(frozen=True)
class Variant:
    """One row of the table of variants (paper, table 1).

    Attributes:
        name: the name that `create_model` takes.
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

    Values are not looked at: that would tie an exported graph to the traced image. `to_input` refuses NaN.

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
    """The 1x1 convolution from features to one heatmap a joint."""

    def __init__(self, channels: int, num_joints: int) -> None:
        super().__init__()
        self.final_layer = nn.Conv2d(channels, num_joints, 1)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, h, w) to (N, num_joints, h, w)."""
        return self.final_layer(x)


class LiteHRNet(nn.Module):
    """Images to heatmaps.

    Args:
        variant: a row of `VARIANTS`.
        num_joints: heatmaps to give, 17 for COCO.
        pooling: "adaptive", "computed" or "exact"; see `litehrnet.pooling`. All three share one state dict.

    Attributes:
        joints: what the heatmaps show (`litehrnet.checkpoints.JointSet`), or None if unknown; loading a checkpoint
            that describes its joints sets it.
        trained_size: the height and width that the weights were trained at, or None if unknown.
    """

    trained_size: tuple[int, int] | None = None
    _joints: JointSet | None = None

    def __init__(self, variant: Variant, num_joints: int = 17, pooling: str = "adaptive") -> None:
        super().__init__()
        if isinstance(num_joints, bool) or not isinstance(num_joints, int) or num_joints < 1:
            raise ValueError(f"num_joints must be an integer of at least 1, got {num_joints!r}")
        self.variant = variant
        self.num_joints = num_joints
        self.pooling = check_pooling(pooling)
        self.backbone = Backbone(variant, pooling)
        self.head = HeatmapHead(variant.channels[0], num_joints)

    @property
    def joints(self) -> JointSet | None:
        """What the heatmaps show, in their order.

        Raises:
            ValueError: a set of another number of joints than the model has heatmaps is assigned.
        """
        return self._joints

    @joints.setter
    def joints(self, joints: JointSet | None) -> None:
        if joints is not None and len(joints) != self.num_joints:
            raise ValueError(f"{len(joints)} joints do not name the {self.num_joints} heatmaps of this model")
        self._joints = joints

    def heatmaps(self, images: Tensor) -> Tensor:
        """The network without the check of its input, which is what gets exported; shapes as `forward`."""
        return self.head(self.backbone(images))

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), float, normalised, to heatmaps (N, num_joints, ceil(H / 4), ceil(W / 4)).

        Raises:
            ValueError: the rank, the channels, the dtype or the size is not one that the network can run.
        """
        check_images(images, self.head.final_layer.weight.dtype)
        return self.heatmaps(images)


def create_model(name: str, num_joints: int = 17, pooling: str = "adaptive") -> LiteHRNet:
    """An untrained network in eval mode.

    Args:
        name: a key of `VARIANTS`.
        num_joints: heatmaps to give, 17 for COCO.
        pooling: "adaptive" (the paper's code), "computed" (plain average pooling, kernel and stride computed) or
            "exact" (averaging matrices).

    Raises:
        ValueError: the name, the number of joints or the pooling is not known.

    >>> model = create_model("litehrnet18")
    >>> model(torch.zeros(1, 3, 64, 32)).shape
    torch.Size([1, 17, 16, 8])
    """
    if name not in VARIANTS:
        raise ValueError(f"unknown variant {name!r}; choose one of {', '.join(VARIANTS)}")
    return LiteHRNet(VARIANTS[name], num_joints, pooling).eval()


def set_pooling(model: LiteHRNet, pooling: str) -> LiteHRNet:
    """Switch a model's pooling in place and return it; the weights stay as they are.

    The naive variants have no cross-resolution weighting; there it changes nothing but the model's label.

    Raises:
        ValueError: the pooling is unknown.
    """
    check_pooling(pooling)
    for module in model.modules():
        if isinstance(module, CrossResolutionWeighting):
            module.set_pooling(pooling)
    model.pooling = pooling
    return model


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


def count_parameters(model: nn.Module) -> int:
    """Trainable numbers of a module.

    >>> count_parameters(create_model("litehrnet18"))
    1130769
    """
    return sum(parameter.numel() for parameter in model.parameters())


def zeros_like_input(size: Sequence[int], batch: int = 1) -> Tensor:
    """An all-zero input of a legal size, (batch, 3, height, width), for counting and tracing."""
    return torch.zeros(batch, 3, *check_size(size))
