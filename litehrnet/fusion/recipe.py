"""Which rewrites a fused network uses: one after the other for a reader, the best set for each runtime."""

from __future__ import annotations

from dataclasses import dataclass, replace

__all__ = ["REWRITES", "TARGETS", "Recipe", "recipe_for"]

REWRITES = ("whole", "follow", "delay", "pool_once", "sum_low", "pad")
TARGETS = ("onnxruntime", "openvino", "ncnn", "torch")


@dataclass(frozen=True)
class Recipe:
    """The rewrites that can be switched. Folding, and working on the whole tensor, are always on.

    Attributes:
        follow: follow the channels in a layout, where the public network shuffles them.
        delay: multiply spatial weights into small maps, and into the large ones once a module.
        pool_once: one pooling serves both weightings.
        sum_low: sum the fuse step where it is small, and upsample step by step.
        block: every width is a multiple of it, with dead channels; 1 adds none.
        equal_shapes: repeat a weight to the full map before a product, where broadcasting would do.
        by_rows: multiply and add upsampled maps row by row (`litehrnet.fusion.rewrites.with_upsampled`).
        channels_last: keep maps with their channels side by side in memory, as PyTorch's CPU kernels like them.
    """

    follow: bool = True
    delay: bool = True
    pool_once: bool = True
    sum_low: bool = True
    block: int = 1
    equal_shapes: bool = False
    by_rows: bool = False
    channels_last: bool = False


def recipe_for(target: str, block: int, until: str | None = None) -> Recipe:
    """The rewrites that serve a runtime best, or the first of them.

    Args:
        target: one of `TARGETS`.
        block: channels in a block of ONNX Runtime's fast layout; the other runtimes are best off without dead channels.
        until: one of `REWRITES`, the last one to apply; all of them by default.

    Raises:
        ValueError: one of them is not known.

    >>> recipe = recipe_for("onnxruntime", 16, until="follow")
    >>> recipe.follow, recipe.delay, recipe.pool_once, recipe.sum_low, recipe.block, recipe.equal_shapes
    (True, False, False, False, 1, False)
    """
    if target not in TARGETS:
        raise ValueError(f"unknown target {target!r}; choose one of {', '.join(map(repr, TARGETS))}")
    if isinstance(block, bool) or not isinstance(block, int) or block < 1:
        raise ValueError(f"block must be an integer of at least 1 (16 for AVX-512, 8 for AVX2), got {block!r}")
    if until is not None and until not in REWRITES:
        raise ValueError(f"unknown rewrite {until!r}; choose one of {', '.join(map(repr, REWRITES))}")
    best = {
        "onnxruntime": Recipe(block=block, equal_shapes=True),
        "openvino": Recipe(),
        "ncnn": Recipe(by_rows=True),
        "torch": Recipe(channels_last=True),
    }
    off = REWRITES[REWRITES.index(until) + 1 :] if until else ()
    switches = {name: False for name in off if name != "pad"}
    return replace(best[target], **switches, **({"block": 1, "equal_shapes": False} if "pad" in off else {}))
