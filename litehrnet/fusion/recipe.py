"""Which rewrites a fused network uses: one after the other for a reader, or the best set for a runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ..checks import check_choice
from .rewrites import Combination, with_upsampled, with_upsampled_by_blocks, with_upsampled_by_rows

__all__ = ["REWRITES", "TARGETS", "Recipe", "recipe_for"]

REWRITES = ("whole", "follow", "delay", "pool_once", "sum_low", "pad")
TARGETS = ("onnxruntime", "openvino", "ncnn", "torch", "executorch")


@dataclass(frozen=True)
class Recipe:
    """The rewrites that can be switched; "fold" and "whole" are always on. `litehrnet.fusion` has the table.

    Attributes:
        follow: follow the channels in a layout, where the public network shuffles them.
        delay: multiply spatial weights into small maps, and into the large ones once per module.
        pool_once: one pooling serves both weightings.
        sum_low: sum the fuse step at the small size, and upsample step by step.
        block: every number of channels is filled up to a multiple of this with dead channels; 1 adds none.
        equal_shapes: repeat a weight to the full map before a product, where broadcasting would do.
        by_rows: multiply and add upsampled maps row by row.
        by_blocks: write upsampled maps as products that broadcast, where the runtime has no nearest upsampling.
        channels_last: keep the channels of a map side by side in memory, the order that PyTorch's CPU kernels prefer.
    """

    follow: bool = True
    delay: bool = True
    pool_once: bool = True
    sum_low: bool = True
    block: int = 1
    equal_shapes: bool = False
    by_rows: bool = False
    by_blocks: bool = False
    channels_last: bool = False

    @property
    def combine(self) -> Combination:
        """How a large map meets an upsampled one."""
        if self.by_blocks:
            return with_upsampled_by_blocks
        return with_upsampled_by_rows if self.by_rows else with_upsampled


def recipe_for(target: str, block: int, until: str | None = None) -> Recipe:
    """The rewrites that suit a runtime best, or the first few of them.

    Args:
        target: one of `TARGETS`.
        block: channels in a block of ONNX Runtime's fast layout; the other runtimes are best off without dead channels.
        until: one of `REWRITES`, the last one to apply; all of them by default.

    Raises:
        ValueError: the target, the block or the rewrite is unknown.

    >>> recipe = recipe_for("onnxruntime", 16, until="follow")
    >>> recipe.follow, recipe.delay, recipe.pool_once, recipe.sum_low, recipe.block, recipe.equal_shapes
    (True, False, False, False, 1, False)
    """
    check_choice("target", target, TARGETS)
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise ValueError(f"block must be an integer of at least 1 (16 for AVX-512, 8 for AVX2), got {block!r}")
    if until is not None:
        check_choice("rewrite", until, REWRITES)
    best = {
        "onnxruntime": Recipe(block=block, equal_shapes=True),
        "openvino": Recipe(),
        "ncnn": Recipe(by_rows=True),
        "torch": Recipe(channels_last=True),
        "executorch": Recipe(by_blocks=True),
    }
    recipe = best[target]
    off = REWRITES[REWRITES.index(until) + 1 :] if until else ()
    if "pad" in off:
        recipe = replace(recipe, block=1, equal_shapes=False)
    return replace(recipe, **{name: False for name in off if name != "pad"})
