"""The rewrites that concern tensors, each a small function whose docstring is the identity behind it.

Those that concern weights are `litehrnet.fusion.fold.folded_conv` and `litehrnet.fusion.layout`.
"""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor
from torch.nn import functional as F

from ..blocks import upsample_nearest

__all__ = ["average_of_averages", "delayed_product", "spread", "sum_large", "sum_small"]


def delayed_product(small: Tensor, pending: Tensor | None) -> Tensor:
    """Multiply a weight a channel into a small map, so that the large one need not be multiplied.

    With t a map, c one weight a channel and a weights at the small size::

        pool(t * c) = pool(t) * c
        (t * c) * up(a) = t * up(a * c)

    Args:
        small: ``pool(t)`` or ``a``, (N, C, h, w).
        pending: ``c``, (N, C, 1, 1) or as large as `small`; None for 1.
    """
    return small if pending is None else small * pending


def average_of_averages(pooled: Tensor) -> Tensor:
    """The average of the whole map from its pooled map, (N, C, h, w) to (N, C, 1, 1).

    Pooling windows that are equally large and cover the map once share one denominator, so
    ``mean(t) = mean(pool(t))``; of a map that was not pooled it is the average itself.
    """
    return F.adaptive_avg_pool2d(pooled, 1)


def sum_large(terms: Sequence[Tensor]) -> Tensor:
    """``U1(terms[0]) + U2(terms[1]) + ...``, with Uk upsampling by 2^k: as the public fuse step is written.

    Args:
        terms: maps of the same channels, each of half the side of the one before.

    Returns:
        Their sum, at twice the side of the first.
    """
    return sum(upsample_nearest(x, 2 ** (k + 2)) for k, x in enumerate(terms[1:])) + upsample_nearest(terms[0], 2)


def sum_small(terms: Sequence[Tensor]) -> Tensor:
    """`sum_large`, where it is small: ``U(terms[0] + U(terms[1] + U(terms[2])))``, with U upsampling by 2.

    Nearest upsampling composes, ``U2 = U U``, and is linear, ``U(a) + U(b) = U(a + b)``.
    """
    total = terms[-1]
    for term in reversed(terms[:-1]):
        total = term + upsample_nearest(total, 2)
    return upsample_nearest(total, 2)


def spread(weights: Tensor, like: Tensor, equal_shapes: bool) -> Tensor:
    """A weight a channel, (N, C, 1, 1), made ready to be multiplied with `like`, (N, C, H, W): ``t * c = t * up(c)``.

    Broadcasting does it alone. But ONNX Runtime's blocked layout knows no broadcasting, so for it the weight is
    repeated to the full shape, by whole factors.
    """
    if not equal_shapes:
        return weights
    height, width = (float(int(side)) for side in like.shape[-2:])
    return F.interpolate(weights, scale_factor=(height, width), mode="nearest")
