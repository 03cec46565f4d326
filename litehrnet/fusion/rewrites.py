"""The rewrites of operations on tensors, each a small function whose docstring gives the identity behind it.

The rewrites of weights are in `litehrnet.fusion.fold` and `litehrnet.fusion.layout`.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence

import torch
from torch import Tensor
from torch.nn import functional as F

from ..blocks import upsample_nearest

__all__ = [
    "Combination",
    "average_of_averages",
    "delayed_product",
    "spread",
    "sum_large",
    "sum_small",
    "with_upsampled",
    "with_upsampled_by_blocks",
    "with_upsampled_by_rows",
]

Operation = Callable[[Tensor, Tensor], Tensor]
Combination = Callable[[Operation, Tensor, Tensor, int], Tensor]  # of `with_upsampled` and `with_upsampled_by_rows`


def delayed_product(small: Tensor, pending: Tensor | None) -> Tensor:
    """Multiply a weight per channel into a small map, so that the large one need not be multiplied.

    With t a map, c one weight per channel and a weights at the small size::

        pool(t * c) = pool(t) * c
        (t * c) * up(a) = t * up(a * c)

    Args:
        small: ``pool(t)`` or ``a``, (N, C, h, w).
        pending: ``c``, (N, C, 1, 1) or as large as `small`; None for 1.
    """
    return small if pending is None else small * pending


def average_of_averages(pooled: Tensor) -> Tensor:
    """The average of the whole map from its pooled map, (N, C, h, w) to (N, C, 1, 1).

    Pooling windows of equal size that cover the map once share one denominator, so ``mean(t) = mean(pool(t))``. For a
    map that was not pooled, it is the average itself.
    """
    return F.adaptive_avg_pool2d(pooled, 1)


def sum_large(terms: Sequence[Tensor]) -> Tensor:
    """``U1(terms[0]) + U2(terms[1]) + ...``, with Uk upsampling by 2^k, as the public fuse step does.

    Args:
        terms: maps with the same channels, each with half the side of the one before.

    Returns:
        Their sum, at twice the side of the first.
    """
    return sum(upsample_nearest(x, 2 ** (k + 2)) for k, x in enumerate(terms[1:])) + upsample_nearest(terms[0], 2)


def with_upsampled(operation: Operation, x: Tensor, small: Tensor, ratio: int) -> Tensor:
    """``operation(x, up(small))`` of a product or a sum, with `up` nearest upsampling.

    Args:
        operation: of two tensors, value by value.
        x: (N, C, H, W).
        small: (N, C, H / ratio, W / ratio).
        ratio: whole.
    """
    return operation(x, upsample_nearest(small, ratio))


def with_upsampled_by_rows(operation: Operation, x: Tensor, small: Tensor, ratio: int) -> Tensor:
    """`with_upsampled`, for a runtime that broadcasts faster than it upsamples.

    ``up(small)`` is never written out whole. Its rows come in groups of `ratio` equal ones, so `small` is only widened,
    and each of its rows is broadcast to the group of rows of x that it covers::

        up(small)[r * i + k] = widened(small)[i]        for k = 0 .. r - 1

    The size is then a constant of a traced graph.
    """
    if ratio == 1:
        return operation(x, small)
    channels, height, width = (int(side) for side in x.shape[1:])
    rows = F.interpolate(small, scale_factor=(1.0, float(ratio)), mode="nearest")
    groups = x.reshape(-1, channels, height // ratio, ratio, width)
    combined = operation(groups, rows.reshape(-1, channels, height // ratio, 1, width))
    return combined.reshape(-1, channels, height, width)


def with_upsampled_by_blocks(operation: Operation, x: Tensor, small: Tensor, ratio: int) -> Tensor:
    """`with_upsampled`, for a runtime that has products that broadcast, but no nearest upsampling.

    Every value is multiplied with a block of ones, which is exact::

        up(small)[r * i + k, r * j + l] = small[i, j] * 1        for k, l = 0 .. r - 1

    Channels and rows share a dimension, so that no tensor has more than four. The size is then a constant of an
    exported graph.
    """
    if ratio == 1:
        return operation(x, small)
    channels, height, width = (int(side) for side in x.shape[1:])
    blocks = small.reshape(-1, 1, width // ratio, 1) * torch.ones(1, ratio, 1, ratio, dtype=x.dtype, device=x.device)
    return operation(x, blocks.reshape(-1, channels, height, width))


def sum_small(terms: Sequence[Tensor], combine: Combination = with_upsampled) -> Tensor:
    """``s = terms[0] + U(terms[1] + U(terms[2]))``, with U upsampling by 2: `sum_large` is ``U(s)``.

    Nearest upsampling composes, ``U2 = U U``, and is linear, ``U(a) + U(b) = U(a + b)``.

    Args:
        terms: as for `sum_large`.
        combine: `with_upsampled` or `with_upsampled_by_rows`.
    """
    total = terms[-1]
    for term in reversed(terms[:-1]):
        total = combine(operator.add, term, total, 2)
    return total


def spread(weights: Tensor, like: Tensor, equal_shapes: bool) -> Tensor:
    """A weight per channel, (N, C, 1, 1), ready to be multiplied with `like`, (N, C, H, W): ``t * c = t * up(c)``.

    Broadcasting does this by itself. But ONNX Runtime's blocked layout cannot broadcast, so the weight is repeated to
    the full shape for it, by whole factors.
    """
    if not equal_shapes:
        return weights
    height, width = (float(int(side)) for side in like.shape[-2:])
    return F.interpolate(weights, scale_factor=(height, width), mode="nearest")
