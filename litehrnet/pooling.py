"""Average pooling to a given size: the integer arithmetic, three modules that apply it, and other people's networks.

It is enough to think about one axis, because windows along the height and along the width are independent.
Suppose an axis of `n` pixels is averaged down to `m` values.

* *Adaptive* pooling (``torch.nn.functional.adaptive_avg_pool2d``) computes output i from the window
  ``[floor(i * n / m), ceil((i + 1) * n / m))``. Windows may overlap and may differ in length.
* *Computed* pooling is plain average pooling with one kernel and one stride for the whole axis,
  ``stride = n // m`` and ``kernel = n - (m - 1) * stride``. The number of outputs is always right.
* Both give the same values exactly when ``n % m`` is 0 or 1 (`is_exact`).
* *Exact* pooling multiplies by a matrix that holds the adaptive windows (`averaging_matrix`). It works for any pair.

Sizes are given height before width.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.fx.experimental.symbolic_shapes import statically_known_true
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode

from .checks import check_choice
from .sizes import check_side

__all__ = [
    "POOLING_MODES",
    "AdaptiveAvgPool",
    "AvgPool",
    "ComputedAvgPool",
    "ExactAvgPool",
    "Replaced",
    "Replacements",
    "adaptive_windows",
    "averaging_matrix",
    "check_pooling",
    "computed_windows",
    "greatest_error",
    "is_exact",
    "make_pool",
    "pool_params",
    "replace_adaptive_pooling",
]

POOLING_MODES = ("adaptive", "computed", "exact")
OutputSize = int | Sequence[int | None] | None
PUBLIC_WEIGHTING = "CrossResolutionWeighting"  # the class's name in HRNet/Lite-HRNet and in mmpose


def pool_params(input_size: int, output_size: int) -> tuple[int, int]:
    """Kernel and stride of the plain average pooling that turns `input_size` pixels into `output_size`, on one axis.

    ``stride = input_size // output_size`` and ``kernel = input_size - (output_size - 1) * stride``, without padding.
    The last window then ends on the last pixel, so the number of outputs is right for every pair that is accepted;
    `is_exact` says whether the values also equal adaptive pooling's.

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

    To see why, write n = m * s + r. Adaptive window i starts at floor(i * n / m) = i * s + floor(i * r / m), and the
    computed one at i * s. If r <= 1, the extra term is 0 for every i < m, and the ends agree in the same way. If
    r >= 2, the last adaptive window starts floor((m - 1) * r / m) >= 1 pixels after the computed one.

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
        One (start, end) per value, `end` excluded: start = floor(i * n / m), end = ceil((i + 1) * n / m).

    Raises:
        ValueError: a size is not an integer or is below 1.

    >>> adaptive_windows(11, 4)
    [(0, 3), (2, 6), (5, 9), (8, 11)]
    """
    n, m = check_side(input_size, "input_size"), check_side(output_size, "output_size")
    return [(i * n // m, -(-(i + 1) * n // m)) for i in range(m)]


def computed_windows(input_size: int, output_size: int) -> list[tuple[int, int]]:
    """The windows of computed pooling on one axis, in the form of `adaptive_windows`; they follow from `pool_params`.

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


def is_captured() -> bool:
    """Whether torch is tracing, compiling or exporting the code, not just running it."""
    return torch.compiler.is_compiling() or torch.compiler.is_exporting() or torch.jit.is_tracing()


def constant_int(side: int | Tensor) -> int:
    """One entry of a shape as a Python integer.

    Under ``torch.jit.trace`` the entry is a tensor, and the result becomes a constant of the graph. That is intended,
    so the warning about it is suppressed.
    """
    if not torch.jit.is_tracing():
        return int(side)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", torch.jit.TracerWarning)
        return int(side)


def has_ratio(x: Tensor, size: Sequence[int], ratio: int) -> bool:
    """Whether a map (..., H, W) is known to be exactly `ratio` times as large as `size`, on both axes.

    Under ``torch.export`` with free sizes the answer is False, because torch does not reveal what was declared about
    them.
    """
    pairs = list(zip(x.shape[-2:], size, strict=True))
    if not torch.compiler.is_exporting():
        return all(constant_int(n) == ratio * constant_int(m) for n, m in pairs)
    # Both directions: upsampling needs the first, and the second is the size that plain pooling gives.
    return all(statically_known_true(n == ratio * m) and statically_known_true(n // ratio == m) for n, m in pairs)


class AvgPool(nn.Module):
    """The base class of the three poolings. Use one of them, or `make_pool`.

    Each replaces a `torch.nn.AdaptiveAvgPool2d`, or takes the size at every call:

        ExactAvgPool((4, 4))(x)        # as nn.AdaptiveAvgPool2d((4, 4))
        ExactAvgPool()(x, (4, 4))

    Args:
        output_size: pixels after pooling, as `torch.nn.AdaptiveAvgPool2d` takes it: (height, width), or one number for
            a square; None for a side keeps that side. Without it, every call must give the size.

    Raises:
        ValueError: a side is not an integer of at least 1.
    """

    def __init__(self, output_size: OutputSize = None) -> None:
        super().__init__()
        self.output_size = None if output_size is None else _sides(output_size)

    def wanted(self, x: Tensor, output_size: OutputSize) -> tuple[int, int]:
        """The (height, width) that a call asks for, with None filled in from the map."""
        if x.dim() not in (3, 4):
            raise ValueError(f"a map has 3 or 4 dimensions, (C, H, W) or (N, C, H, W); got shape {tuple(x.shape)}")
        if output_size is None:
            output_size = self.output_size
        if output_size is None:
            raise ValueError(f"{type(self).__name__} was made without an output_size, so each call must give one")
        height, width = output_size if isinstance(output_size, Sequence) else (output_size, output_size)
        return x.shape[-2] if height is None else height, x.shape[-1] if width is None else width

    def extra_repr(self) -> str:
        """What `print` shows in the parentheses."""
        return "" if self.output_size is None else f"output_size={self.output_size}"


class AdaptiveAvgPool(AvgPool):
    """Pooling as in the paper's code: ``adaptive_avg_pool2d``, whose windows torch computes at run time."""

    def forward(self, x: Tensor, output_size: OutputSize = None) -> Tensor:
        """(N, C, H, W) or (C, H, W) to the same with the last two sides as asked for."""
        return F.adaptive_avg_pool2d(x, self.wanted(x, output_size))


class ComputedAvgPool(AvgPool):
    """Plain average pooling with computed kernel and stride (`pool_params`).

    The first call of a module whose result differs from adaptive pooling (`is_exact`) warns, with the greatest error.

    Under ``torch.export`` with free sizes, a pooling with a ratio follows the sizes as adaptive pooling does, so they
    may be declared in any way. If `divides` is set (`litehrnet.model.declare_multiples`), it needs no size at all.

    Args:
        output_size: as in `AvgPool`.
        ratio: input side divided by output side, if it is a constant whole number, as everywhere in Lite-HRNet. Kernel
            and stride then both equal the ratio for every image, and an exported graph need not query a shape. Without
            it, they are computed from the sizes at each call.
    """

    def __init__(self, output_size: OutputSize = None, *, ratio: int | None = None) -> None:
        super().__init__(output_size)
        self.ratio = ratio if ratio is None else check_side(ratio, "ratio")
        self.divides = False
        self._warned = False

    def forward(self, x: Tensor, output_size: OutputSize = None) -> Tensor:
        """(N, C, H, W) or (C, H, W) to the same with the last two sides as asked for.

        Raises:
            ValueError: pooling would enlarge.
        """
        size = self.wanted(x, output_size)
        if self.ratio is not None:
            if torch.compiler.is_exporting() and not (self.divides or has_ratio(x, size, self.ratio)):
                # Sizes are free, and nothing guarantees that they divide. Adaptive pooling gives the same values, and
                # torch.export can follow its sizes.
                return F.adaptive_avg_pool2d(x, size)
            return F.avg_pool2d(x, self.ratio)
        pairs = [(constant_int(n), constant_int(m)) for n, m in zip(x.shape[-2:], size, strict=True)]
        if not self._warned and not is_captured() and not all(is_exact(n, m) for n, m in pairs):
            self._warned = True
            warnings.warn(inexact_sentence(*zip(*pairs, strict=True)), stacklevel=4)  # 4: the caller of the module
        (kernel_h, stride_h), (kernel_w, stride_w) = (pool_params(n, m) for n, m in pairs)
        return F.avg_pool2d(x, (kernel_h, kernel_w), (stride_h, stride_w))

    def extra_repr(self) -> str:
        """What `print` shows in the parentheses."""
        ratio = "" if self.ratio is None else f"ratio={self.ratio}"
        return ", ".join(filter(None, (super().extra_repr(), ratio)))


class ExactAvgPool(AvgPool):
    """Adaptive pooling as two matrix products (`averaging_matrix`): exact for any pair of sizes, even to a larger one.

    >>> ExactAvgPool((2, None))(torch.arange(6.0).reshape(1, 3, 2))
    tensor([[[1., 2.],
             [3., 4.]]])
    """

    def forward(self, x: Tensor, output_size: OutputSize = None) -> Tensor:
        """(N, C, H, W) or (C, H, W), floating point, to the same with the last two sides as asked for.

        Raises:
            ValueError: the map holds integers.
        """
        size = self.wanted(x, output_size)
        if not x.is_floating_point():
            raise ValueError(f"ExactAvgPool needs a floating-point tensor, got {x.dtype}")
        rows, columns = (
            averaging_constant(constant_int(n), constant_int(m), x) for n, m in zip(x.shape[-2:], size, strict=True)
        )
        return rows @ x @ columns.T  # (oh, H) @ (..., C, H, W) @ (W, ow) -> (..., C, oh, ow)


def averaging_constant(input_size: int, output_size: int, like: Tensor) -> Tensor:
    """`averaging_matrix` as a tensor of the dtype and device of `like`; a constant of a traced graph.

    Returns:
        (output_size, input_size).
    """
    matrix = averaging_matrix(input_size, output_size)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.from_numpy results are registered", torch.jit.TracerWarning)
        return torch.from_numpy(matrix).to(like)


def _sides(output_size: int | Sequence[int | None]) -> tuple[int | None, int | None]:
    sides = tuple(output_size) if isinstance(output_size, Sequence) else (output_size, output_size)
    if len(sides) != 2:
        raise ValueError(f"output_size is one number or (height, width), got {output_size!r}")
    height, width = (side if side is None else check_side(side, "output_size") for side in sides)
    return height, width


def greatest_error(input_size: Sequence[int], output_size: Sequence[int]) -> float:
    """The largest possible difference between computed and adaptive pooling, as a fraction of the map's range.

    Both are weighted averages, so the weights of their difference sum to 0. It is largest if the map has its highest
    value under all positive weights and its lowest under all negative ones.

    Args:
        input_size, output_size: (height, width) in pixels.

    Raises:
        ValueError: as `pool_params`.

    >>> greatest_error((64, 48), (8, 6)), round(greatest_error((11, 1), (4, 1)), 3)
    (0.0, 0.4)
    """
    if all(is_exact(n, m) for n, m in zip(input_size, output_size, strict=True)):
        return 0.0
    adaptive, computed = [], []
    for n, m in zip(input_size, output_size, strict=True):
        adaptive.append(averaging_matrix(n, m))  # (m, n)
        computed.append(np.zeros((m, n)))
        for row, (start, end) in zip(computed[-1], computed_windows(n, m), strict=True):
            row[start:end] = 1 / (end - start)
    worst = 0.0
    for rows, rows_c in zip(adaptive[0], computed[0], strict=True):  # one row of outputs at a time, to bound memory
        difference = np.einsum("h,ow->ohw", rows, adaptive[1]) - np.einsum("h,ow->ohw", rows_c, computed[1])
        worst = max(worst, float(np.abs(difference).sum(axis=(1, 2)).max() / 2))
    return worst


def inexact_sentence(input_size: Sequence[int], output_size: Sequence[int]) -> str:
    """The warning for sizes at which computed pooling is not adaptive pooling."""
    (height, width), (out_height, out_width) = input_size, output_size
    return (
        f"computed pooling of {height}x{width} to {out_height}x{out_width} is not adaptive pooling: values can differ "
        f"by up to {greatest_error(input_size, output_size):.0%} of the map's range (highest minus lowest value)"
    )


_POOLS: dict[str, type[AvgPool]] = dict(
    zip(POOLING_MODES, (AdaptiveAvgPool, ComputedAvgPool, ExactAvgPool), strict=True)
)


def check_pooling(mode: str) -> str:
    """Return `mode` if it is one of `POOLING_MODES`.

    Raises:
        ValueError: it is not.
    """
    check_choice("pooling", mode, POOLING_MODES)
    return mode


def make_pool(mode: str, ratio: int | None = None) -> AvgPool:
    """A pooling module of the given mode, called with (map, output size).

    Args:
        mode: "adaptive", "computed" or "exact".
        ratio: the constant ratio of the sides, if known; only `ComputedAvgPool` uses it.

    Raises:
        ValueError: the mode is unknown.

    >>> make_pool("computed")(torch.arange(4.0).reshape(1, 1, 1, 4), (1, 2))
    tensor([[[[0.5000, 2.5000]]]])
    """
    pool = _POOLS[check_pooling(mode)]
    return ComputedAvgPool(ratio=ratio) if pool is ComputedAvgPool else pool()


def pool_mode(module: nn.Module) -> str | None:
    """The mode of one of this file's pooling modules, or of a public weighting module; None for all others."""
    for mode, kind in _POOLS.items():
        if isinstance(module, kind):
            return mode
    # Public code calls a pooling function in the weighting's forward; ours holds modules, as does a converted one.
    public = type(module).__name__ == PUBLIC_WEIGHTING and not hasattr(module, "pools")
    return "adaptive" if public else getattr(module, "fixed_pooling", None)


# ------------------------------------------------------------------------------------------- other people's networks


class GlobalAvgPool(nn.Module):
    """The average of the whole map, which is adaptive pooling to one pixel at any input size."""

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C, 1, 1), or the same without N."""
        return x.mean((-2, -1), keepdim=True)


class OneAxis(nn.Module):
    """A pooling of maps applied to sequences; it replaces a `torch.nn.AdaptiveAvgPool1d`."""

    def __init__(self, pool: nn.Module) -> None:
        super().__init__()
        self.pool = pool

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, L) to (N, C, m), or the same without N."""
        return self.pool(x.unsqueeze(-2)).squeeze(-2)  # a map of height 1


@dataclass(frozen=True)
class Replaced:
    """One adaptive pooling in a network, and its replacement by `replace_adaptive_pooling`.

    Attributes:
        name: its dotted name.
        input_size: the sides before pooling, as seen with the example; () if it did not run.
        output_size: the sides after pooling.
        mode: "global", "computed" or "exact"; "unchanged" if it was not replaced.
        reason: why this mode was chosen.
    """

    name: str
    input_size: tuple[int, ...]
    output_size: tuple[int, ...]
    mode: str
    reason: str


class Replacements(list[Replaced]):
    """The rows that `replace_adaptive_pooling` returns; `print` shows them as a table."""

    def __str__(self) -> str:
        if not self:
            return "no adaptive average pooling ran"
        rows = [("module", "from", "to", "now", "reason")]
        for row in self:
            before, after = ("x".join(map(str, size)) or "?" for size in (row.input_size, row.output_size))
            rows.append((row.name, before, after, row.mode, row.reason))
        widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
        lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) for row in rows)
        return "\n".join(line.rstrip() for line in lines)


_REPLACEABLE = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)
_ADAPTIVE_CALLS = {
    torch.adaptive_avg_pool1d: "adaptive_avg_pool1d",
    F.adaptive_avg_pool1d: "adaptive_avg_pool1d",
    F.adaptive_avg_pool2d: "adaptive_avg_pool2d",
    F.adaptive_avg_pool3d: "adaptive_avg_pool3d",
}


def replace_adaptive_pooling(module: nn.Module, example: Tensor | Sequence[Any]) -> Replacements:
    """Replace every adaptive average pooling in a network, in place, by the cheapest form with the same values.

    The example runs through the network once to find the sizes. A pooling to one pixel becomes a mean. If all windows
    have the same length (`is_exact`), the pooling becomes plain average pooling, whose kernel and stride follow from
    the sizes at each call. All others become two products with constant matrices. None of these has weights, so the
    state dict does not change. At other sizes than the example's the plain form may not be exact; it then warns
    (`ComputedAvgPool`).

    `torch.nn.AdaptiveAvgPool2d` and `AdaptiveAvgPool1d` are replaced. Adaptive pooling that runs in any other way
    (calls of the function, three-dimensional pooling, modules of other classes) is listed as "unchanged", with the
    module that it runs in. The Lite-HRNet of the public repositories calls the function; for that one, use
    `litehrnet.make_exportable`.

    Args:
        module: any network.
        example: an input, or the inputs as a tuple or a list.

    Returns:
        One row per pooling; `print` shows a table.

    Raises:
        ValueError: `module` is itself an adaptive pooling, which cannot be replaced in place.

    >>> network = nn.Sequential(nn.AdaptiveAvgPool2d((4, 3)), nn.AdaptiveAvgPool2d((3, 2)), nn.AdaptiveAvgPool2d(1))
    >>> print(replace_adaptive_pooling(network, torch.zeros(1, 2, 8, 6)))
    module  from  to   now       reason
    0       8x6   4x3  computed  kernel 2x2, stride 2x2
    1       4x3   3x2  computed  kernel 2x2, stride 1x1
    2       3x2   1x1  global    the mean of the whole map
    """
    if isinstance(module, _REPLACEABLE):
        raise ValueError(f"a lone {type(module).__name__} cannot be replaced in place; pass the network that holds it")
    inputs = (example,) if isinstance(example, Tensor) else tuple(example)
    pools = {name: part for name, part in module.named_modules() if type(part) in _REPLACEABLE}
    seen: dict[str, list[tuple[tuple[int, ...], tuple[int, ...]]]] = {name: [] for name in pools}

    def note(name: str, axes: int) -> Callable[..., None]:
        def hook(_: nn.Module, args: tuple[Tensor, ...], output: Tensor) -> None:
            seen[name].append((tuple(args[0].shape[-axes:]), tuple(output.shape[-axes:])))

        return hook

    hooks = [
        part.register_forward_hook(note(name, 1 if isinstance(part, nn.AdaptiveAvgPool1d) else 2))
        for name, part in pools.items()
    ]
    try:
        _run_quietly(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    rows = Replacements()
    for name, part in pools.items():
        row, made = _replacement(name, part, seen[name])
        rows.append(row)
        if made is not None:
            for parent in module.modules():
                for child, its in list(parent.named_children()):
                    if its is part:
                        setattr(parent, child, made)
    rows += _left_calls(module, inputs)
    return rows


def _replacement(
    name: str, part: nn.Module, seen: Sequence[tuple[tuple[int, ...], tuple[int, ...]]]
) -> tuple[Replaced, nn.Module | None]:
    """The row for one pooling module, and the module that replaces it."""
    flat = isinstance(part, nn.AdaptiveAvgPool1d)
    asked: Any = part.output_size
    if flat:
        asked = (None, asked[0] if isinstance(asked, Sequence) else asked)
    if not seen:
        return Replaced(name, (), (), "unchanged", "the example did not reach it"), None
    before, after = seen[0]
    pairs = [list(zip(*sizes, strict=True)) for sizes in seen]
    made: nn.Module
    if asked == 1 or asked in ((1, 1), [1, 1]) or (flat and asked[1] == 1):
        mode, reason, made = "global", "the mean of the whole map", GlobalAvgPool()
    elif all(m <= n and is_exact(n, m) for sizes in pairs for n, m in sizes):
        kernels, strides = zip(*(pool_params(n, m) for n, m in pairs[0]), strict=True)
        reason = f"kernel {'x'.join(map(str, kernels))}, stride {'x'.join(map(str, strides))}"
        mode, made = "computed", ComputedAvgPool(asked)
    else:
        mode, reason, made = "exact", "windows of unequal size: two constant matrices", ExactAvgPool(asked)
    return Replaced(name, before, after, mode, reason), OneAxis(made) if flat else made


def _run_quietly(module: nn.Module, inputs: Sequence[Any]) -> None:
    """Run a network once in eval mode, without gradients, and restore the mode of every part."""
    modes = {part: part.training for part in module.modules()}
    try:
        module.eval()
        with torch.no_grad():
            module(*inputs)
    finally:
        for part, training in modes.items():
            part.training = training


def _left_calls(module: nn.Module, inputs: Sequence[Any]) -> list[Replaced]:
    """The adaptive average pooling that still runs, with the names of the modules that call it."""
    rows: dict[tuple[str, str], Replaced] = {}
    inside = [""]

    class Watch(TorchFunctionMode):
        def __torch_function__(
            self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
        ) -> Any:
            output = func(*args, **(kwargs or {}))
            if (called := _ADAPTIVE_CALLS.get(func)) and (inside[-1], called) not in rows:
                axes, x = int(called[-2]), args[0] if args else (kwargs or {})["input"]
                sizes = tuple(x.shape[-axes:]), tuple(output.shape[-axes:])
                reason = f"a call of {called} in the code of this {type(module.get_submodule(inside[-1])).__name__}"
                rows[inside[-1], called] = Replaced(inside[-1] or "(the network)", *sizes, "unchanged", reason)
            return output

    hooks = []
    for name, part in module.named_modules():
        hooks.append(part.register_forward_pre_hook(lambda *_, name=name: inside.append(name)))
        hooks.append(part.register_forward_hook(lambda *_: inside.__delitem__(-1)))
    try:
        with Watch():
            _run_quietly(module, inputs)
    finally:
        for hook in hooks:
            hook.remove()
    return list(rows.values())
