"""Average pooling to a given size: the mathematics on plain integers, then three modules that apply it.

One axis is enough to think about: a window on the height and a window on the width never influence each other.
An axis of `n` pixels is to be averaged down to `m` values.

* *Adaptive* pooling (``torch.nn.functional.adaptive_avg_pool2d``) gives output i the window
  ``[floor(i * n / m), ceil((i + 1) * n / m))``. Windows may overlap and may differ in length.
* *Computed* pooling is plain average pooling with one kernel and one stride for the whole axis,
  ``stride = n // m`` and ``kernel = n - (m - 1) * stride``. The number of outputs is always right.
* Both agree exactly where ``n % m`` is 0 or 1 (`is_exact`).
* *Exact* pooling multiplies with a matrix that holds the adaptive windows (`averaging_matrix`): right for any pair.

Sizes are given height before width.
"""

from __future__ import annotations

import warnings

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .sizes import check_side

__all__ = [
    "POOLING_MODES",
    "AdaptiveAvgPool",
    "ComputedAvgPool",
    "ExactAvgPool",
    "adaptive_windows",
    "averaging_matrix",
    "check_pooling",
    "is_exact",
    "make_pool",
    "pool_params",
]

POOLING_MODES = ("adaptive", "computed", "exact")
PUBLIC_WEIGHTING = "CrossResolutionWeighting"  # the name of the class, in HRNet/Lite-HRNet and in mmpose


def pool_params(input_size: int, output_size: int) -> tuple[int, int]:
    """Kernel and stride of the plain average pooling that turns `input_size` pixels into `output_size`, on one axis.

    ``stride = input_size // output_size`` and ``kernel = input_size - (output_size - 1) * stride``, without padding.
    The last window then ends on the last pixel, so the number of outputs is right for every pair that is accepted;
    `is_exact` tells where the values are adaptive pooling's too.

    Args:
        input_size: pixels on this axis before pooling, at least `output_size`.
        output_size: pixels on this axis after pooling, at least 1.

    Returns:
        (kernel, stride), both in pixels.

    Raises:
        ValueError: a size is not an integer or is below 1, or the output is larger than the input.

    >>> pool_params(64, 8)
    (8, 8)
    >>> pool_params(11, 4)
    (5, 2)
    """
    n, m = check_side(input_size, "input_size"), check_side(output_size, "output_size")
    if m > n:
        raise ValueError(
            f"pooling cannot enlarge: {n} pixels to {m} would need a stride of 0; the largest output_size is {n}"
        )
    stride = n // m
    return n - (m - 1) * stride, stride


def is_exact(input_size: int, output_size: int) -> bool:
    """Whether computed pooling gives adaptive pooling's values on this axis: ``input_size % output_size`` is 0 or 1.

    Why: write n = m * s + r. Adaptive window i starts at floor(i * n / m) = i * s + floor(i * r / m), the computed
    one at i * s. With r <= 1 the extra term is 0 for every i < m, and the ends agree likewise; with r >= 2 the last
    window starts too late by floor((m - 1) * r / m) >= 1.

    Args:
        input_size: pixels before pooling, at least `output_size`.
        output_size: pixels after pooling, at least 1.

    Raises:
        ValueError: as `pool_params`.

    >>> is_exact(10, 3), is_exact(11, 4)
    (True, False)
    """
    pool_params(input_size, output_size)
    return input_size % output_size <= 1


def adaptive_windows(input_size: int, output_size: int) -> list[tuple[int, int]]:
    """The windows over which adaptive average pooling averages, on one axis.

    Args:
        input_size: pixels before pooling, at least 1.
        output_size: pixels after pooling, at least 1; may be larger than `input_size`.

    Returns:
        One (start, end) a value, `end` excluded: start = floor(i * n / m), end = ceil((i + 1) * n / m).

    Raises:
        ValueError: a size is not an integer or is below 1.

    >>> adaptive_windows(11, 4)
    [(0, 3), (2, 6), (5, 9), (8, 11)]
    """
    n, m = check_side(input_size, "input_size"), check_side(output_size, "output_size")
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def computed_windows(input_size: int, output_size: int) -> list[tuple[int, int]]:
    """The windows of computed pooling on one axis: as `adaptive_windows`, from `pool_params`.

    Raises:
        ValueError: as `pool_params`.

    >>> computed_windows(11, 4)
    [(0, 5), (2, 7), (4, 9), (6, 11)]
    """
    kernel, stride = pool_params(input_size, output_size)
    return [(i * stride, i * stride + kernel) for i in range(output_size)]


def averaging_matrix(input_size: int, output_size: int) -> np.ndarray:
    """The matrix P with ``P @ x`` equal to adaptive average pooling of `x` along one axis.

    On a map X, adaptive pooling is ``P_h @ X @ P_w.T``: two small matrix products, for any pair of sizes.

    Args:
        input_size: pixels before pooling, at least 1.
        output_size: pixels after pooling, at least 1; may be larger than `input_size`.

    Returns:
        (output_size, input_size) float64; each row holds 1 / length over its window and sums to 1.

    Raises:
        ValueError: a size is not an integer or is below 1.

    >>> averaging_matrix(4, 2)
    array([[0.5, 0.5, 0. , 0. ],
           [0. , 0. , 0.5, 0.5]])
    """
    windows = adaptive_windows(input_size, output_size)
    matrix = np.zeros((len(windows), input_size))  # (out, in)
    for row, (start, end) in zip(matrix, windows, strict=True):
        row[start:end] = 1 / (end - start)
    return matrix


class AdaptiveAvgPool(nn.Module):
    """Pooling as the paper's code does it: ``adaptive_avg_pool2d`` to a size that is asked for at run time.

    `ratio` is accepted, so that the three modules are made alike, and is not used.
    """

    def __init__(self, ratio: int | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor, output_size: tuple[int, int]) -> Tensor:
        """(N, C, H, W) to (N, C, *output_size)."""
        return F.adaptive_avg_pool2d(x, output_size)


class ComputedAvgPool(nn.Module):
    """Plain average pooling with computed kernel and stride (`pool_params`).

    Args:
        ratio: input side over output side, where it is a constant whole number, as everywhere in Lite-HRNet. Kernel
            and stride are then known before any image is (both equal the ratio), and an exported graph need not ask
            for a shape. Without it they are computed from the sizes of each call.
    """

    def __init__(self, ratio: int | None = None) -> None:
        super().__init__()
        self.ratio = ratio if ratio is None else check_side(ratio, "ratio")

    def forward(self, x: Tensor, output_size: tuple[int, int]) -> Tensor:
        """(N, C, H, W) to (N, C, *output_size)."""
        if self.ratio is not None:
            return F.avg_pool2d(x, self.ratio)
        # int(): under torch.jit.trace a shape is a tensor, and AveragePool wants constants.
        pairs = [(int(n), int(m)) for n, m in zip(x.shape[-2:], output_size, strict=True)]
        (kernel_h, stride_h), (kernel_w, stride_w) = (pool_params(n, m) for n, m in pairs)
        return F.avg_pool2d(x, (kernel_h, kernel_w), (stride_h, stride_w))

    def extra_repr(self) -> str:
        return "" if self.ratio is None else f"ratio={self.ratio}"


class ExactAvgPool(nn.Module):
    """Adaptive pooling as two matrix products (`averaging_matrix`): exact for any pair of sizes, in < out too.

    `ratio` is accepted, so that the three modules are made alike, and is not used.
    """

    def __init__(self, ratio: int | None = None) -> None:
        super().__init__()

    def forward(self, x: Tensor, output_size: tuple[int, int]) -> Tensor:
        """(N, C, H, W), floating point, to (N, C, *output_size)."""
        if not x.is_floating_point():
            raise ValueError(f"an average of whole numbers is seldom one: pool a floating-point map, not {x.dtype}")
        rows, columns = (
            torch.from_numpy(averaging_matrix(int(n), int(m))).to(x)  # (out, in)
            for n, m in zip(x.shape[-2:], output_size, strict=True)
        )
        return rows @ x @ columns.T  # (oh, H) @ (N, C, H, W) @ (W, ow) -> (N, C, oh, ow)


def is_captured() -> bool:
    """Whether torch is tracing, compiling or exporting what runs, rather than just running it."""
    return torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing()


def constant_int(side: int | Tensor) -> int:
    """One entry of a shape as a Python integer.

    While ``torch.jit.trace`` runs, it is a tensor, and becomes a constant of the graph. That is meant, so the warning
    about it is suppressed.
    """
    if not torch.jit.is_tracing():
        return int(side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return int(side)


_POOLS = dict(zip(POOLING_MODES, (AdaptiveAvgPool, ComputedAvgPool, ExactAvgPool), strict=True))


def check_pooling(mode: str) -> str:
    """Return `mode` if it is one of `POOLING_MODES`.

    Raises:
        ValueError: it is not.
    """
    if mode not in POOLING_MODES:
        raise ValueError(f"unknown pooling {mode!r}; choose one of {', '.join(map(repr, POOLING_MODES))}")
    return mode


def make_pool(mode: str, ratio: int | None = None) -> nn.Module:
    """A pooling module of the given mode, called with (map, output size).

    Args:
        mode: "adaptive", "computed" or "exact".
        ratio: the constant ratio of the sides, where it is known (see `ComputedAvgPool`).

    Raises:
        ValueError: the mode is unknown.

    >>> make_pool("computed")(torch.arange(4.0).reshape(1, 1, 1, 4), (1, 2))
    tensor([[[[0.5000, 2.5000]]]])
    """
    return _POOLS[check_pooling(mode)](ratio)


def pool_mode(module: nn.Module) -> str | None:
    """The mode of a pooling module of this file, or of a public weighting that pools inside; None for all others."""
    for mode, kind in _POOLS.items():
        if isinstance(module, kind):
            return mode
    # Public code pools in the weighting's forward, by a function; ours holds modules, and so does a changed one.
    public = type(module).__name__ == PUBLIC_WEIGHTING and not hasattr(module, "pools")
    return "adaptive" if public else getattr(module, "fixed_pooling", None)
