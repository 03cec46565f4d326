"""The fused network, and `fuse`, which builds it from a trained one; `litehrnet.fusion` has the table of rewrites."""

from __future__ import annotations

from collections.abc import Sequence
from typing import cast

import torch
from torch import Tensor, nn

from ..blocks import ConditionalChannelWeighting, ShuffleUnit, TidyFuseStep
from ..model import LiteHRNet, StageModule, check_finite, check_images, pooling_of
from ..pooling import is_captured
from ..sizes import check_size
from .blocks import Branches, FusedShuffleUnit, FusedWeighting
from .exchange import FusedFuseStep, FusedHead, FusedStem, FusedTransition
from .fold import fold_batch_norms
from .layout import Layout, pointwise
from .recipe import Recipe, recipe_for

__all__ = ["FusedLiteHRNet", "fuse"]


class FusedModule(nn.Module):
    """One module of a stage: blocks, then the fuse step. `self.layouts` describes the result."""

    def __init__(self, module: StageModule, layouts: Sequence[Layout], recipe: Recipe) -> None:
        super().__init__()
        self.channel_weighting = module.channel_weighting
        self.blocks = nn.ModuleList()
        layouts = list(layouts)
        if self.channel_weighting:
            blocks = cast("Sequence[ConditionalChannelWeighting]", module.layers)
            for k, block in enumerate(blocks):
                weighting = FusedWeighting(block, layouts, recipe, last=k + 1 == len(blocks))
                self.blocks.append(weighting)
                layouts = weighting.layouts
        else:
            for i, units in enumerate(cast("Sequence[Sequence[ShuffleUnit]]", module.layers)):
                chain = nn.Sequential()
                for unit in units:
                    fused = FusedShuffleUnit(unit, layouts[i], recipe)
                    chain.append(fused)
                    layouts[i] = fused.layout
                self.blocks.append(chain)
        self.fuse = FusedFuseStep(module.fuse_layers, layouts, recipe)
        self.layouts = self.fuse.layouts

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        if self.channel_weighting:
            state = Branches(list(maps))
            for block in self.blocks:
                state = block(state)
        else:
            state = Branches([block(x) for block, x in zip(self.blocks, maps, strict=True)])
        return self.fuse(state)


class FusedLiteHRNet(nn.Module):
    """What a `LiteHRNet` computes, arranged for speed; build it with `fuse`.

    Attributes:
        variant, num_joints, joints, trained_size: those of the network it was built from.
        size: (height, width) that an exported file is tied to, or None where the recipe leaves every size open. In
            PyTorch every legal size runs.
        fused: True.
    """

    fused = True

    def __init__(self, model: LiteHRNet, size: tuple[int, int], recipe: Recipe) -> None:
        super().__init__()
        self.variant, self.num_joints = model.variant, model.num_joints
        self.joints, self.trained_size = model.joints, model.trained_size
        self.size = size if recipe.equal_shapes or recipe.by_rows or recipe.by_blocks else None
        self.recipe = recipe
        backbone = fold_batch_norms(model).backbone
        self.stem = FusedStem(backbone.stem, recipe)
        layouts = [self.stem.layout]
        self.stages = nn.ModuleList()
        for i in range(len(model.variant.modules)):
            transition = FusedTransition(getattr(backbone, f"transition{i}"), layouts, recipe)
            stage, layouts = nn.Sequential(transition), transition.layouts
            for module in getattr(backbone, f"stage{i}"):
                fused = FusedModule(module, layouts, recipe)
                stage.append(fused)
                layouts = fused.layouts
            self.stages.append(stage)
        self.head = FusedHead(backbone.head_layer, layouts, recipe)
        final = model.head.final_layer
        self.final = pointwise(final, self.head.layout, Layout.plain(final.out_channels))
        if recipe.channels_last:
            self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # missing in torch's stubs

    @property
    def any_size(self) -> bool:
        """Whether it can be exported with a dynamic size: nothing in it holds the size it was built for."""
        return self.size is None

    @property
    def pooling(self) -> str | None:
        """The pooling mode: "computed", or None in the naive variants, which have no such pooling."""
        return pooling_of(self)

    def forward(self, images: Tensor) -> Tensor:
        """(N, 3, H, W), float, normalised, to heatmaps (N, num_joints, ceil(H / 4), ceil(W / 4)).

        Raises:
            ValueError: as `litehrnet.LiteHRNet`.
        """
        if not is_captured():
            check_images(images, self.final.weight.dtype)
        if self.recipe.channels_last:
            images = images.contiguous(memory_format=torch.channels_last)
        maps = [self.stem(images)]
        for stage in self.stages:
            maps = stage(maps)
        return self.final(self.head(maps))


def fuse(
    model: LiteHRNet,
    size: Sequence[int],
    *,
    target: str = "onnxruntime",
    block: int = 16,
    until: str | None = None,
) -> FusedLiteHRNet:
    """A new network that computes the same heatmaps, arranged for speed; `model` is untouched.

    Args:
        model: a trained network, any variant.
        size: (height, width) that an exported file is meant for. In PyTorch the result takes every legal size.
        target: the runtime to suit. "onnxruntime" pads the channels to a multiple of `block` and only multiplies equal
            shapes, which ties an exported file to `size`. "ncnn" does neither, but combines large maps with upsampled
            ones row by row, which ties the file to `size` as well. "executorch" writes upsampled maps as products, with
            the same effect. "openvino" leaves the size open, and so does "torch", which runs in PyTorch with channels
            last in memory.
        block: channels in a block of ONNX Runtime's fast layout: 16 with AVX-512, 8 with AVX2; other targets ignore it.
        until: the last rewrite to apply, one of `REWRITES`, to look at one after the other.

    Raises:
        ValueError: the size is not legal, the target, the block or the rewrite is unknown, or the model is not a
            `LiteHRNet` with the real fuse step and finite weights.
    """
    size = check_size(size)
    recipe = recipe_for(target, block, until)
    if not isinstance(model, LiteHRNet):
        raise ValueError(f"fuse takes a LiteHRNet (litehrnet.create_model), got {type(model).__name__}")
    if any(isinstance(module, TidyFuseStep) for module in model.modules()):
        raise ValueError("fuse takes a network with the real fuse step, not the tidy one; give it the original model")
    check_finite(model)
    with torch.no_grad():
        return FusedLiteHRNet(model, size, recipe).eval()
