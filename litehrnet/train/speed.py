"""What makes a training step on the CPU faster without changing what it computes."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from torch import Tensor

from .. import blocks

__all__ = ["stay_in_channels_last"]


def _shuffle(x: Tensor, groups: int) -> Tensor:
    """`litehrnet.blocks.channel_shuffle` for a map whose channels lie innermost in memory, and stay there."""
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, c // groups)
    return x.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)


@contextlib.contextmanager
def stay_in_channels_last() -> Iterator[None]:
    """Within it, models shuffle in channels_last memory, for which the package's own form, the one that exports well,
    falls back to the other layout: a step took 0.54 s of one core instead of 0.70 (16 crops of 128x96).
    """
    own = blocks.channel_shuffle
    blocks.channel_shuffle = _shuffle
    try:
        yield
    finally:
        blocks.channel_shuffle = own
