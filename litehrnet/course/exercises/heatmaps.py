"""Checks for the exercises of `06_see_the_heatmaps`, and the training loop that one of them calls."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from .core import Verdict, check_cases

__all__ = ["check_flip_back", "check_joint_loss", "fine_tune_head"]


def check_flip_back(answer: Callable[[np.ndarray, Sequence[tuple[int, int]]], np.ndarray]) -> Verdict:
    """Check `flip_back(heatmaps, pairs)`: from the heatmaps of a mirrored image to those of the image itself.

    Args:
        answer: takes heatmaps, (N, K, h, w), and the pairs of left and right joints; it mirrors the maps in x and
            exchanges those of every pair.
    """

    def spec(heatmaps: np.ndarray, pairs: Sequence[tuple[int, int]]) -> np.ndarray:
        partner = {a: b for pair in pairs for a, b in (pair, pair[::-1])}
        joints, w = heatmaps.shape[1], heatmaps.shape[3]
        back = np.zeros_like(heatmaps)
        for k in range(joints):
            for x in range(w):
                back[:, k, :, x] = heatmaps[:, partner.get(k, k), :, w - 1 - x]
        return back

    def hint(case: tuple, expected: np.ndarray, got: Any) -> str | None:
        heatmaps, _ = case
        if np.shape(got) != expected.shape:
            return f"Return an array of shape {expected.shape}."
        got = np.asarray(got)
        if np.array_equal(got, heatmaps[..., ::-1]):
            return "Mirrored, but a mirrored person's left shoulder is their right one: exchange the pairs, too."
        if np.array_equal(got[..., ::-1], expected):
            return "The pairs are exchanged, but the maps are not mirrored."
        if np.array_equal(got[..., ::-1, ::-1], expected):
            return "Mirrored upside down: x is the last axis."
        return None

    rng = np.random.default_rng(0)
    cases = [
        (rng.integers(0, 9, shape).astype(np.float32), pairs)
        for shape, pairs in (
            ((1, 3, 2, 3), ((1, 2),)),
            ((2, 5, 3, 4), ((1, 2), (3, 4))),
            ((1, 4, 2, 2), ()),
            ((1, 4, 3, 2), ((0, 3),)),
        )
    ]
    return check_cases(answer, spec, cases, hints=hint)


def check_joint_loss(answer: Callable[[Tensor, Tensor, Tensor], Tensor]) -> Verdict:
    """Check `joint_loss(heatmaps, targets, visible)`: the mean squared error over the maps of the annotated joints.

    Args:
        answer: takes heatmaps and targets, (N, K, h, w), and visible, (N, K), 1 where the joint is annotated and 0
            where it is not; it returns a tensor with one number.
    """

    def spec(heatmaps: Tensor, targets: Tensor, visible: Tensor) -> float:
        total, count = 0.0, 0
        for n in range(len(heatmaps)):
            for k in range(heatmaps.shape[1]):
                if visible[n, k]:
                    squares = (heatmaps[n, k] - targets[n, k]) ** 2
                    total, count = total + float(squares.sum()), count + squares.numel()
        return total / count

    def hint(case: tuple, expected: float, got: Any) -> str | None:
        heatmaps, targets, visible = case
        squares = (heatmaps - targets) ** 2
        masked = squares * visible[..., None, None]
        mistakes = {
            "That counts the joints without annotation as well.": squares.mean(),
            "The sum is right, but divide it by the pixels of the annotated joints only.": masked.mean(),
            "That is the sum; divide it by the number of pixels.": masked.sum(),
        }
        value = float(got) if isinstance(got, Tensor) and got.numel() == 1 else np.nan
        return next((text for text, wrong in mistakes.items() if np.isclose(value, float(wrong))), None)

    generator = torch.Generator().manual_seed(0)
    cases = []
    for shape, visible in (
        ((1, 2, 2, 2), [[1.0, 0.0]]),
        ((2, 3, 4, 3), [[1.0, 1.0, 0.0], [0.0, 1.0, 1.0]]),
        ((2, 1, 3, 5), [[0.0], [1.0]]),
    ):
        first, second = torch.rand(2, *shape, generator=generator)
        cases.append((first, second, torch.tensor(visible)))
    return check_cases(answer, spec, cases, hints=hint)


def fine_tune_head(
    head: nn.Module,
    features: Tensor,
    targets: Tensor,
    visible: Tensor,
    loss: Callable[[Tensor, Tensor, Tensor], Tensor],
    *,
    train: int = 10,
    steps: int = 150,
    learning_rate: float = 0.01,
) -> dict[str, list[float]]:
    """Train a head, in place, on the features of the first images, and watch the loss on the others.

    The backbone does not change, so its features are computed once and a step takes milliseconds.

    Args:
        head: from features to heatmaps.
        features: (N, C, h, w), of the frozen backbone.
        targets: (N, K, h, w), the heatmaps that are wanted.
        visible: (N, K), 1 where a joint is annotated, else 0.
        loss: what `check_joint_loss` checks.
        train: how many images to learn from; the others only show the loss.
        steps: steps of Adam, each on all the training images.
        learning_rate: of Adam.

    Returns:
        Two curves by name, each with one loss per step.

    Raises:
        ValueError: no image is left to learn from, or none to watch.
    """
    if not 0 < train < len(features):
        raise ValueError(f"train must leave images on both sides: 1 to {len(features) - 1}, got {train}")
    optimizer = torch.optim.Adam(head.parameters(), lr=learning_rate)
    parts = {f"{train} images it learns from": slice(train), f"{len(features) - train} others": slice(train, None)}
    curves: dict[str, list[float]] = {name: [] for name in parts}
    for _ in range(steps):
        values = {name: loss(head(features[part]), targets[part], visible[part]) for name, part in parts.items()}
        for name, value in values.items():
            curves[name].append(value.item())
        optimizer.zero_grad()
        next(iter(values.values())).backward()
        optimizer.step()
    return curves
