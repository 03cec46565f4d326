"""The building blocks of Lite-HRNet, in reading order.

Sources: Yu et al., *Lite-HRNet: A Lightweight High-Resolution Network*, CVPR 2021, sections 3.1 to 3.3, and the
public implementation (HRNet/Lite-HRNet), whose parameter names are kept so that its checkpoints load.

Feature maps are (N, C, H, W). A *branch* is one resolution: branch 0 is the largest map, a quarter of the image;
branch i has half the height and width of branch i - 1.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from .checks import check_choice
from .pooling import constant_int, has_ratio, make_pool

if TYPE_CHECKING:
    from typing_extensions import Self

CROSS_RESOLUTION_REDUCTION = 8
SPATIAL_REDUCTION = 4


def channel_shuffle(x: Tensor, groups: int) -> Tensor:
    """Interleave channel groups, so the next block sees both halves (ShuffleNet, section 3.1).

    Args:
        x: feature map, (N, C, H, W); C is a multiple of `groups`.
        groups: number of channel groups.

    Returns:
        Same shape as `x`; channel c moves to (c % k) * groups + c // k, with k = C // groups.

    Raises:
        ValueError: the channels do not split into `groups` equal groups.

    >>> channel_shuffle(torch.arange(6.0).reshape(1, 6, 1, 1), groups=2).flatten().tolist()
    [0.0, 3.0, 1.0, 4.0, 2.0, 5.0]
    """
    c, (h, w) = constant_int(x.shape[1]), x.shape[2:]
    if c % groups:
        raise ValueError(f"{c} channels do not split into {groups} groups")
    x = x.reshape(-1, groups, c // groups, h, w)  # (N, g, k, H, W); -1: an exported graph need not query N
    return x.transpose(1, 2).reshape(-1, c, h, w)  # (N, C, H, W)


def _shuffle_by_index(x: Tensor, groups: int) -> Tensor:
    channels = constant_int(x.shape[1])
    index = torch.arange(channels, device=x.device).reshape(groups, channels // groups).T.reshape(-1)
    return x.index_select(1, index)  # (N, C, H, W)


def _shuffle_channels_last(x: Tensor, groups: int) -> Tensor:
    n, c, h, w = x.shape
    x = x.permute(0, 2, 3, 1).reshape(n, h, w, groups, c // groups)  # (N, H, W, g, k)
    return x.transpose(3, 4).reshape(n, h, w, c).permute(0, 3, 1, 2)  # (N, C, H, W), channels innermost in memory


_SHUFFLES = {"reshape": channel_shuffle, "index": _shuffle_by_index, "channels_last": _shuffle_channels_last}
SHUFFLE_FORMS = tuple(_SHUFFLES)


class ChannelShuffle(nn.Module):
    """`channel_shuffle` as a module without weights, in one of three forms that compute the same.

    The form is a property of the module, so `litehrnet.model.set_shuffle` can switch a whole network without affecting
    any other network in the process.

    Args:
        groups: number of channel groups.
        form: "reshape", the plain form; "index", one gather with a constant index, which needs neither height nor width
            and so suits graphs of free size; or "channels_last", which preserves the memory order of maps whose
            channels are innermost (the plain form copies them to the other order, and a training step becomes a
            quarter slower).

    Raises:
        ValueError: the form is unknown.
    """

    def __init__(self, groups: int = 2, form: str = "reshape") -> None:
        super().__init__()
        check_choice("form", form, SHUFFLE_FORMS)
        self.groups, self.form = groups, form

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return _SHUFFLES[self.form](x, self.groups)

    def extra_repr(self) -> str:
        """What `print` shows in the parentheses."""
        return f"groups={self.groups}, form={self.form!r}"


class ConvNormAct(nn.Module):
    """Convolution, then optionally batch normalisation, then optionally an activation.

    Args:
        in_channels, out_channels: channels before and after.
        kernel: side of the square kernel, odd; the padding keeps the size at stride 1.
        stride: step of the kernel, in pixels.
        depthwise: one filter per channel (then `in_channels == out_channels`).
        norm: with batch normalisation (the convolution then has no bias), or without (it then has one).
        act: the activation, or None.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int = 1,
        stride: int = 1,
        *,
        depthwise: bool = False,
        norm: bool = True,
        act: type[nn.Module] | None = nn.ReLU,
    ) -> None:
        super().__init__()
        groups = in_channels if depthwise else 1
        self.conv = nn.Conv2d(
            in_channels, out_channels, kernel, stride, padding=kernel // 2, groups=groups, bias=not norm
        )
        if norm:
            self.bn: nn.Module = nn.BatchNorm2d(out_channels)
        self.act = nn.Identity() if act is None else act()

    def forward(self, x: Tensor) -> Tensor:
        """(N, in, H, W) to (N, out, ceil(H / stride), ceil(W / stride))."""
        x = self.conv(x)
        return self.act(self.bn(x) if hasattr(self, "bn") else x)


class SpatialWeighting(nn.Module):
    """One weight per channel from the average of the whole map, as in a squeeze-and-excitation block (section 3.3).

    Args:
        channels: channels of the map.
        reduction: the hidden layer has ``int(channels / reduction)`` channels.
    """

    def __init__(self, channels: int, reduction: int = SPATIAL_REDUCTION) -> None:
        super().__init__()
        hidden = int(channels / reduction)
        self.conv1 = ConvNormAct(channels, hidden, norm=False)
        self.conv2 = ConvNormAct(hidden, channels, norm=False, act=nn.Sigmoid)

    def weights(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to weights in 0..1, (N, C, 1, 1)."""
        return self.conv2(self.conv1(F.adaptive_avg_pool2d(x, 1)))

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the weighted map, same shape."""
        return x * self.weights(x)


class CrossResolutionWeighting(nn.Module):
    """Weights for every position and channel, computed at the smallest resolution from all branches (section 3.3).

    Every branch is average-pooled to the size of the smallest map. The results are concatenated, pass through two 1x1
    convolutions and are split again. Each part is upsampled (nearest neighbour) and multiplied with its branch.

    Args:
        channels: channels of each branch, largest map first.
        reduction: the hidden layer has ``int(sum(channels) / reduction)`` channels.
        pooling: "adaptive", "computed" or "exact"; see `litehrnet.pooling`.
    """

    def __init__(
        self,
        channels: Sequence[int],
        reduction: int = CROSS_RESOLUTION_REDUCTION,
        pooling: str = "adaptive",
    ) -> None:
        super().__init__()
        self.channels = list(channels)
        # Each branch has half the side of the one before, so these ratios hold at every image size.
        self.ratios = [2 ** (len(self.channels) - 1 - i) for i in range(len(self.channels))]
        total = sum(self.channels)
        hidden = int(total / reduction)
        self.conv1 = ConvNormAct(total, hidden)
        self.conv2 = ConvNormAct(hidden, total, act=nn.Sigmoid)
        self.set_pooling(pooling)

    divides = False  # see `litehrnet.model.declare_multiples`

    def set_pooling(self, pooling: str) -> None:
        """Choose the pooling; the weights do not change, because pooling has none."""
        # The smallest map itself is not pooled.
        self.pools = nn.ModuleList(make_pool(pooling, ratio) for ratio in self.ratios[:-1])

    def weights(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to weights in 0..1 at the smallest size: one (N, C_i, H_s, W_s) per branch."""
        size = xs[-1].shape[-2:]
        pooled = [pool(x, size) for pool, x in zip(self.pools, xs[:-1], strict=True)]
        joined = torch.cat([*pooled, xs[-1]], dim=1)  # (N, sum C_i, H_s, W_s)
        return list(torch.split(self.conv2(self.conv1(joined)), self.channels, dim=1))

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i), largest first, to the weighted branches, same shapes."""
        return [
            x * upsample_like(weight, x, ratio, divides=self.divides)
            for x, weight, ratio in zip(xs, self.weights(xs), self.ratios, strict=True)
        ]


class ConditionalChannelWeighting(nn.Module):
    """Lite-HRNet's block: a shuffle block whose 1x1 convolutions are replaced by the two weightings (figure 2b).

    One half of every branch stays as it is; the other half goes through cross-resolution weighting, a depthwise 3x3
    convolution and spatial weighting. Then both halves are concatenated and shuffled.

    Args:
        channels: channels of each branch, largest map first, all even.
        pooling: passed to `CrossResolutionWeighting`.
    """

    def __init__(self, channels: Sequence[int], pooling: str = "adaptive") -> None:
        super().__init__()
        self.halves = [c // 2 for c in channels]
        self.cross_resolution_weighting = CrossResolutionWeighting(self.halves, pooling=pooling)
        self.depthwise_convs = nn.ModuleList(ConvNormAct(c, c, 3, depthwise=True, act=None) for c in self.halves)
        self.spatial_weighting = nn.ModuleList(SpatialWeighting(c) for c in self.halves)
        self.shuffle = ChannelShuffle()

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        # Split by a known number: `chunk` would make an exported graph query the shape of its input.
        halves = [x.split(c, dim=1) for c, x in zip(self.halves, xs, strict=True)]  # two of (N, C_i / 2, H_i, W_i)
        second = self.cross_resolution_weighting([half[1] for half in halves])
        second = [conv(x) for conv, x in zip(self.depthwise_convs, second, strict=True)]
        second = [weight(x) for weight, x in zip(self.spatial_weighting, second, strict=True)]
        return [
            self.shuffle(torch.cat([first, x], dim=1))  # (N, C_i, H_i, W_i)
            for (first, _), x in zip(halves, second, strict=True)
        ]


class ShuffleUnit(nn.Module):
    """The shuffle block: ShuffleNetV2's unit at stride 1, the block of the naive variants (figure 2a).

    Args:
        channels: channels of the map, even.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.half_channels = half = channels // 2
        self.branch2 = nn.Sequential(
            ConvNormAct(half, half),
            ConvNormAct(half, half, 3, depthwise=True, act=None),
            ConvNormAct(half, half),
        )
        self.shuffle = ChannelShuffle()

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        first, second = x.split(self.half_channels, dim=1)  # two of (N, C / 2, H, W)
        return self.shuffle(torch.cat([first, self.branch2(second)], dim=1))


class Stem(nn.Module):
    """From the image to a quarter of its size: a convolution and one shuffle block with stride 2 (section 3.1).

    Args:
        channels: channels after the stem (32).
    """

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.half_channels = half = channels // 2
        self.conv1 = ConvNormAct(3, channels, 3, stride=2)
        self.branch1 = nn.Sequential(
            ConvNormAct(half, half, 3, stride=2, depthwise=True, act=None),
            ConvNormAct(half, half),
        )
        self.expand_conv = ConvNormAct(half, channels)
        self.depthwise_conv = ConvNormAct(channels, channels, 3, stride=2, depthwise=True, act=None)
        self.linear_conv = ConvNormAct(channels, half)
        self.shuffle = ChannelShuffle()

    def forward(self, x: Tensor) -> Tensor:
        """(N, 3, H, W) to (N, channels, ceil(H / 4), ceil(W / 4))."""
        # two of (N, channels / 2, ceil(H / 2), ceil(W / 2))
        first, second = self.conv1(x).split(self.half_channels, dim=1)
        first = self.branch1(first)
        second = self.linear_conv(self.depthwise_conv(self.expand_conv(second)))
        return self.shuffle(torch.cat([first, second], dim=1))


def upsample_nearest(x: Tensor, ratio: int) -> Tensor:
    """Repeat every pixel `ratio` times in both directions: (N, C, H, W) to (N, C, ratio * H, ratio * W).

    >>> upsample_nearest(torch.tensor([[[[1.0, 2.0]]]]), 2)[0, 0].tolist()
    [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    return x if ratio == 1 else F.interpolate(x, scale_factor=float(ratio), mode="nearest")


class RepeatedBatchNorm(nn.BatchNorm2d):
    """A batch norm whose running statistics move, in train mode, as if it had seen the same batch several times.

    The public code runs some paths twice per step on the same input. The second run gives the same output, but it
    updates the running statistics once more. With momentum m, r updates towards the batch's statistics s are one
    update with a larger momentum::

        keep = (1 - m) ** r
        running = keep * running + (1 - keep) * s

    so one pass is enough. Without momentum (a cumulative average) the momenta are 1 / (n + 1), 1 / (n + 2), ... and
    `keep` is their product of ``1 - momentum``. Parameters, buffers and eval mode are those of `nn.BatchNorm2d`.
    (`nn.SyncBatchNorm.convert_sync_batchnorm` replaces it by one that updates once.)

    Args:
        channels: as `nn.BatchNorm2d`.

    Attributes:
        repeats: how many updates a pass in train mode makes; with 1 it is a plain batch norm.
    """

    repeats = 2

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        if not self.training or self.running_mean is None or self.num_batches_tracked is None or self.repeats == 1:
            return super().forward(x)
        keep = 1.0
        if self.momentum is None:
            seen = int(self.num_batches_tracked)
            for update in range(seen + 1, seen + self.repeats + 1):
                keep *= 1 - 1 / update
        else:
            keep = (1 - self.momentum) ** self.repeats
        self.num_batches_tracked.add_(self.repeats)
        return F.batch_norm(x, self.running_mean, self.running_var, self.weight, self.bias, True, 1 - keep, self.eps)

    def extra_repr(self) -> str:
        """What `print` shows in the parentheses."""
        return f"{super().extra_repr()}, repeats={self.repeats}"


def upsample_like(x: Tensor, like: Tensor, ratio: int, *, divides: bool = False) -> Tensor:
    """`upsample_nearest` to the size of a map that is `ratio` times as large: (N, C, h, w) to (N, C, H, W).

    The graph asks for the size only while ``torch.export`` runs with free sizes that were not declared to divide.
    """
    if ratio != 1 and not divides and torch.compiler.is_exporting() and not has_ratio(like, x.shape[-2:], ratio):
        return F.interpolate(x, size=like.shape[-2:], mode="nearest")
    return upsample_nearest(x, ratio)


def separable_conv(
    in_channels: int, out_channels: int, *, stride: int, act: bool, norm: type[nn.BatchNorm2d] = nn.BatchNorm2d
) -> list[nn.Module]:
    """Depthwise 3x3 and pointwise 1x1 convolution, each with batch norm, as the list a `nn.Sequential` takes.

    They are bare layers rather than `ConvNormAct`, because public checkpoints number them instead of naming them.
    """
    layers: list[nn.Module] = [
        nn.Conv2d(in_channels, in_channels, 3, stride, padding=1, groups=in_channels, bias=False),
        norm(in_channels),
        nn.Conv2d(in_channels, out_channels, 1, bias=False),
        norm(out_channels),
    ]
    return [*layers, nn.ReLU()] if act else layers


class FuseStep(nn.ModuleList):
    """Exchange between the resolutions at the end of a module (section 3.1), exactly as the public code computes it.

    Row i makes the new branch i from all branches j. A smaller map (j > i) passes through a 1x1 convolution and is
    upsampled; a larger one (j < i) passes through i - j strided separable convolutions. You would expect
    ``y[i] = sum of f[i][j](x[j])``. But the public code starts row 0 from ``x[0]`` *and* adds ``x[0]`` again, in place.
    So branch 0 counts twice, and the rows below read the fused map ``y[0]``, before its ReLU, where they should read
    ``x[0]``. Those rows also count their first term twice::

        y[0] = 2 * x[0]          + up(f[0][1](x[1])) + up(f[0][2](x[2])) + ...
        y[i] = 2 * f[i][0](y[0]) + f[i][1](x[1]) + ... + x[i] + up(f[i][i+1](x[i+1])) + ...
        out  = relu(y)

    Trained weights depend on this: in a tidy implementation every key loads and every pose is wrong (HRNet/Lite-HRNet
    issues 53 and 64). The public code runs ``f[i][0](y[0])`` twice, with the same result; here it runs once and is
    doubled. In train mode, the second run also updates the running statistics of that path's batch norms a second time.
    A momentum of 0.1 therefore acts as 0.19 there, which matters for fine-tuning; those norms are `RepeatedBatchNorm`,
    which makes both updates in one pass.

    `FUSE_STEPS` lists three ways to run the same layers; `litehrnet.model.with_fuse_step` switches a network.

    Args:
        channels: channels of each branch, largest map first.
    """

    repeats = 2  # updates per step of the running statistics in f[i][0]

    if TYPE_CHECKING:  # what the list holds

        def __iter__(self) -> Iterator[nn.ModuleList]: ...

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        for i, row_channels in enumerate(channels):
            self.append(nn.ModuleList(self._path(channels, i, j, row_channels) for j in range(len(channels))))
        self._count_updates()

    @classmethod
    def of(cls, step: FuseStep) -> Self:
        """A fuse step of this kind that shares the layers of another one."""
        new = cls.__new__(cls)
        nn.ModuleList.__init__(new, step)
        new.training = step.training
        new._count_updates()
        return new

    def _count_updates(self) -> None:
        for row in list(self)[1:]:
            for module in row[0].modules():
                if isinstance(module, RepeatedBatchNorm):
                    module.repeats = self.repeats

    @staticmethod
    def _path(channels: Sequence[int], i: int, j: int, out_channels: int) -> nn.Module:
        if j == i:
            return nn.Identity()
        if j > i:
            return nn.Sequential(
                nn.Conv2d(channels[j], out_channels, 1, bias=False),
                nn.BatchNorm2d(out_channels),
                nn.Upsample(scale_factor=float(2 ** (j - i)), mode="nearest"),
            )
        norm = RepeatedBatchNorm if j == 0 else nn.BatchNorm2d
        steps = [separable_conv(channels[j], channels[j], stride=2, act=True, norm=norm) for _ in range(i - j - 1)]
        steps.append(separable_conv(channels[j], out_channels, stride=2, act=False, norm=norm))
        return nn.Sequential(*(nn.Sequential(*step) for step in steps))

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        xs = list(xs)
        fused = []
        for i, row in enumerate(self):
            y = self._first(row[0], xs[0])
            for path, x in zip(row[1:], xs[1:], strict=True):
                y = y + path(x)
            if i == 0:
                xs[0] = y  # the rows below read the fused map: see the class's docstring
            fused.append(F.relu(y))
        return fused

    @staticmethod
    def _first(path: nn.Module, x: Tensor) -> Tensor:
        """The first term of a row, which counts twice."""
        return 2 * path(x)


class PublicFuseStep(FuseStep):
    """The fuse step as the public code runs it: the first path of each row runs twice, with the same result.

    It computes the same as `FuseStep`, in train mode too; for `litehrnet18` the graph has 52 more convolutions.
    """

    repeats = 1  # each path really runs as often as it updates

    @staticmethod
    def _first(path: nn.Module, x: Tensor) -> Tensor:
        return path(x) + path(x)


class TidyFuseStep(FuseStep):
    """The fuse step that one expects from the paper: every branch counts once, from the unchanged inputs.

    Trained weights load into it and give wrong poses. It is here for comparison with the real one.
    """

    repeats = 1

    def forward(self, xs: Sequence[Tensor]) -> list[Tensor]:
        """Branches (N, C_i, H_i, W_i) to branches of the same shapes."""
        fused = []
        for row in self:
            y = row[0](xs[0])
            for path, x in zip(row[1:], xs[1:], strict=True):
                y = y + path(x)
            fused.append(F.relu(y))
        return fused


FUSE_STEPS: dict[str, type[FuseStep]] = {"lean": FuseStep, "public": PublicFuseStep, "tidy": TidyFuseStep}


class IterativeHead(nn.Module):
    """From the smallest map up: upsample, add, separable convolution; the result is the largest map alone.

    Args:
        channels: channels of each branch, largest map first.
    """

    def __init__(self, channels: Sequence[int]) -> None:
        super().__init__()
        ascending = list(channels)[::-1]  # smallest map first
        targets = [*ascending[1:], ascending[-1]]
        projects = nn.ModuleList(
            nn.ModuleDict(
                {
                    "depthwise_conv": ConvNormAct(c, c, 3, depthwise=True, act=None),
                    "pointwise_conv": ConvNormAct(c, target),
                }
            )
            for c, target in zip(ascending, targets, strict=True)
        )
        self.projects = cast("Sequence[nn.ModuleDict]", projects)

    def forward(self, xs: Sequence[Tensor]) -> Tensor:
        """Branches (N, C_i, H_i, W_i), largest first, to one map (N, C_0, H_0, W_0)."""
        below = xs[-1]
        for i, (x, project) in enumerate(zip(xs[::-1], self.projects, strict=True)):
            if i:
                x = x + F.interpolate(below, scale_factor=2.0, mode="bilinear", align_corners=True)
            below = project["pointwise_conv"](project["depthwise_conv"](x))
        return below
