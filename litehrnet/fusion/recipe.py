"""Which rewrites a fused network uses: one at a time for a reader, the best set for each runtime."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["TARGETS", "Recipe"]


@dataclass(frozen=True)
class Recipe:
    """The rewrites, in the order in which they build on each other.

    Attributes:
        permute: follow the channels in a layout, where the public network shuffles them.
        delay: multiply spatial weights into the small maps, and into the large ones once a module.
        one_pooling: take the global average from the pooled map.
        low_resolution: sum the fuse step where it is small, and upsample step by step.
        block: every width is a multiple of it, with dead channels; 1 adds none.
        equal_shapes: repeat a weight to the full map before a product, where broadcasting would do.
    """

    permute: bool = True
    delay: bool = True
    one_pooling: bool = True
    low_resolution: bool = True
    block: int = 1
    equal_shapes: bool = False


TARGETS = ("onnxruntime", "openvino", "ncnn")
