"""Everything that determines what a training run computes, and values that suit a number of people."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .crops import Augmentation

__all__ = ["Recipe", "suited"]


@dataclass(frozen=True)
class Recipe:
    """Everything that determines what a run computes.

    Attributes:
        model: a key of `litehrnet.VARIANTS`; it matters only for a run that starts from random weights.
        size: height and width of the crops.
        sigma: standard deviation of the targets' Gaussians, in heatmap pixels.
        crops: number of crops to train on, over all epochs.
        batch: crops per step, over all processes.
        lr, final_lr, warmup: learning rate after `warmup` crops, and at the end of the cosine.
        weight_decay: AdamW's weight decay, on matrices only.
        ema: the fraction of the average that each step keeps, after the first steps.
        loss: one of `losses.LOSSES`.
        freeze_norm: keep the statistics of the batch norms, which a few pictures would only disturb.
        precision: what the network computes in: "float32"; or for mixed precision "bfloat16", or "float16" on CUDA.
        seed: seed of the weights, the order and the crops.
        augmentation: how crops vary.
    """

    model: str = "litehrnet18"
    size: tuple[int, int] = (256, 192)
    sigma: float = 2.0
    crops: int = 100_000
    batch: int = 16
    lr: float = 2.5e-3
    final_lr: float = 0.0
    warmup: int = 1_000
    weight_decay: float = 0.01
    ema: float = 0.998
    loss: str = "both"
    freeze_norm: bool = False
    precision: str = "float32"
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def lr_at(self, seen: int) -> float:
        """Learning rate after `seen` crops: a straight line up, then half a cosine down to `final_lr`.

        >>> recipe = Recipe(crops=100, warmup=10, lr=1.0)
        >>> [round(recipe.lr_at(seen), 3) for seen in (0, 5, 10, 55, 100)]
        [0.1, 0.5, 1.0, 0.5, 0.0]
        """
        if seen < self.warmup:
            return self.lr * max(seen / self.warmup, 0.1)
        share = min(1.0, (seen - self.warmup) / max(1, self.crops - self.warmup))
        return self.final_lr + (self.lr - self.final_lr) * (1 + math.cos(math.pi * share)) / 2


def suited(people: int, size: tuple[int, int], *, from_scratch: bool = False, epochs: int | None = None) -> dict:
    """Values of `Recipe` that suit a number of people: how long, in which steps, and how the weights are averaged.

    Few people are seen more often, in smaller steps, and with frozen norms. The warm-up is a tenth of the run at most,
    and the average forgets over a twentieth of it, so that both end well before the run does.

    Args:
        people: how many there are to train on.
        size: height and width of the crops.
        from_scratch: whether there are no weights to start with.
        epochs: how many times each person is seen; the default depends on `people`.

    >>> [suited(people, (256, 192))["crops"] for people in (20, 1_000, 100_000)]
    [2000, 21000, 1000000]
    >>> [suited(people, (256, 192))["batch"] for people in (3, 20, 1_000, 100_000)]
    [3, 8, 16, 64]
    """
    usual = 200 if from_scratch else round(min(100.0, max(10.0, 100 * math.sqrt(45 / max(people, 1)))))
    by_number = ((128, 8), (5_000, 16), (50_000, 32), (math.inf, 64))
    batch = min(people, next(batch for most, batch in by_number if people <= most))
    crops = people * (usual if epochs is None else epochs)
    steps = max(1, crops // max(batch, 1))
    return {
        "size": size,
        "sigma": max(1.0, 2.0 * math.sqrt(size[0] * size[1] / (256 * 192))),
        "crops": crops,
        "batch": batch,
        "lr": (2.5e-3 if from_scratch else 1e-3) * math.sqrt(batch / 16),
        "warmup": min(crops // 10, 1_000 * max(1, batch // 16)),
        "ema": min(0.9998, 1 - 1 / max(10.0, steps / 20)),
        "freeze_norm": not from_scratch and people < 500,
    }
