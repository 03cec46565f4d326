"""The training loop: warm-up and cosine, an average of the weights (EMA), a log, and exact resumption."""

from __future__ import annotations

import csv
import json
import math
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, distributed

from .. import LiteHRNet, create_model, from_checkpoint
from ..checkpoints import save_weights
from ..files import written_whole
from ..model import set_shuffle
from .crops import Augmentation, gaussian_targets, training_crop
from .data import JointSet, People
from .evaluation import measure
from .losses import heatmap_loss

__all__ = ["Recipe", "Trainer"]


@dataclass(frozen=True)
class Recipe:
    """Everything that determines what a run computes.

    Attributes:
        model: a key of `litehrnet.VARIANTS`.
        size: height and width of the crops.
        sigma: standard deviation of the targets' Gaussians, in heatmap pixels.
        images: number of crops to train on, over all epochs.
        batch: crops per step, over all processes.
        lr, final_lr, warmup: learning rate after `warmup` crops, and at the end of the cosine.
        weight_decay: AdamW's weight decay, on matrices only.
        ema: the fraction of the average that each step keeps, after the first steps.
        loss: one of `losses.LOSSES`.
        seed: seed of the weights, the order and the crops.
        augmentation: how crops vary.
    """

    model: str = "litehrnet18"
    size: tuple[int, int] = (256, 192)
    sigma: float = 2.0
    images: int = 100_000
    batch: int = 16
    lr: float = 2.5e-3
    final_lr: float = 0.0
    warmup: int = 1_000
    weight_decay: float = 0.01
    ema: float = 0.998
    loss: str = "both"
    seed: int = 1
    augmentation: Augmentation = field(default_factory=Augmentation)

    def lr_at(self, seen: int) -> float:
        """Learning rate after `seen` crops: a straight line up, then half a cosine down to `final_lr`.

        >>> recipe = Recipe(images=100, warmup=10, lr=1.0)
        >>> [round(recipe.lr_at(seen), 3) for seen in (0, 5, 10, 55, 100)]
        [0.1, 0.5, 1.0, 0.5, 0.0]
        """
        if seen < self.warmup:
            return self.lr * max(seen / self.warmup, 0.1)
        share = min(1.0, (seen - self.warmup) / max(1, self.images - self.warmup))
        return self.final_lr + (self.lr - self.final_lr) * (1 + math.cos(math.pi * share)) / 2


class Trainer:
    """One process's part of a run.

    Args:
        recipe: what to compute.
        folder: the folder for `last.pt` (state), `best.safetensors`, `log.csv` and `recipe.json`.
        open_people: returns the people to train on; called at the start of every epoch, to include new shards.
        joint_set: names, flip pairs, ...
        device: "cpu" or "cuda".
        rank, world: this process's number, and the number of processes.
    """

    def __init__(
        self,
        recipe: Recipe,
        folder: Path,
        open_people: Callable[[list[str] | None], tuple[People, list[str]]],
        joint_set: JointSet,
        *,
        device: str = "cpu",
        rank: int = 0,
        world: int = 1,
    ) -> None:
        if recipe.batch % world:
            raise ValueError(f"a batch of {recipe.batch} does not split over {world} processes")
        self.recipe, self.folder, self.joint_set = recipe, Path(folder), joint_set
        self.open_people, self.device, self.rank, self.world = open_people, torch.device(device), rank, world
        torch.manual_seed(recipe.seed)
        joints = len(joint_set.names)
        # Computed pooling gives the same values and is the fastest of the three to train.
        self.model = create_model(recipe.model, joints, "computed").train().to(self.device)
        torch.nn.init.normal_(self.model.head.final_layer.weight, std=0.001)  # start with flat heatmaps
        if self.model.head.final_layer.bias is not None:
            torch.nn.init.zeros_(self.model.head.final_layer.bias)
        # Channels innermost in memory, and kept so by the shuffles: a step takes 0.54 s of one core instead of 0.70
        # (16 crops of 128x96).
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        set_shuffle(self.model, "channels_last")
        self.average = create_model(recipe.model, joints, "computed").to(self.device)
        self.average.load_state_dict(self.model.state_dict())
        self.average.joints, self.average.trained_size = joint_set, recipe.size  # saved with its weights
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.lr,
            betas=(0.9, 0.99),  # short runs: the second moment must forget its first steps
            fused=True,
        )
        self.seen = self.step = self.epoch = self.position = 0
        self.sources: list[str] | None = None
        self.people: People | None = None
        self.best = -math.inf
        self.seconds = 0.0

    # ------------------------------------------------------------------------------------------------------- state

    def start_from(self, weights: Path) -> None:
        """Start with the weights from a file: from a run at a smaller size, or from a network for other joints.

        Raises:
            ValueError: the file holds another variant.

        Warns:
            CheckpointNote: the file has a different number of joints, so only its backbone is used.
        """
        start = from_checkpoint(weights, len(self.joint_set))
        if start.variant != self.model.variant:
            raise ValueError(f"{weights} holds {start.variant.name}, and the recipe asks for {self.recipe.model}")
        self.model.load_state_dict(start.state_dict())
        self.average.load_state_dict(self.model.state_dict())

    def save(self) -> None:
        """Write the state from which `resume` continues exactly."""
        if self.rank:
            return
        numbers = ("seen", "step", "epoch", "position", "sources", "best", "seconds")
        state = {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "progress": {name: getattr(self, name) for name in numbers},
            "recipe": asdict(self.recipe),
        }
        with written_whole(self.folder / "last.pt") as temporary:
            torch.save(state, temporary)

    def resume(self) -> bool:
        """Continue from the state in the folder; False if there is none yet.

        Raises:
            ValueError: it was made with another recipe; only `images` may change (to make a run longer).
        """
        path = self.folder / "last.pt"
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        old, new = state["recipe"], asdict(self.recipe)
        changed = [name for name in new if name != "images" and old.get(name) != new[name]]
        if changed:
            changes = ", ".join(f"{name} {old.get(name)} -> {new[name]}" for name in changed)
            raise ValueError(f"{path} was made with another recipe ({changes}); give another folder to start again")
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        for name, value in state["progress"].items():
            setattr(self, name, value)
        self.people, self.sources = self.open_people(self.sources)
        return True

    # ---------------------------------------------------------------------------------------------------- training

    def next_batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """This process's crops (n, 3, H, W), targets (n, K, h, w) and weights (n, K) for the next step."""
        batch = self.recipe.batch
        if self.people is None or self.position + batch > len(self.people):
            if self.people is not None:
                self.epoch, self.position = self.epoch + 1, 0
            self.people, self.sources = self.open_people(None)
            if len(self.people) < batch:
                raise ValueError(f"{len(self.people)} people are fewer than a batch of {batch}")
        order = np.random.default_rng([self.recipe.seed, self.epoch]).permutation(len(self.people))
        mine = order[self.position : self.position + batch][self.rank :: self.world]
        self.position += batch
        crops, joints = zip(*(self._crop(int(index)) for index in mine), strict=True)
        targets, weights = gaussian_targets(np.stack(joints), self.recipe.size, self.recipe.sigma)
        images = torch.from_numpy(np.stack(crops)).to(self.device, memory_format=torch.channels_last)
        return images, torch.from_numpy(targets).to(self.device), torch.from_numpy(weights).to(self.device)

    def _crop(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        rng = np.random.default_rng([self.recipe.seed, self.epoch, index])
        assert self.people is not None  # `next_batch` has opened them
        return training_crop(self.people, index, self.joint_set, self.recipe.size, rng, self.recipe.augmentation)

    def train_step(self) -> float:
        """Take one step of the optimiser and return the loss."""
        began = time.perf_counter()
        images, targets, weights = self.next_batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(self.seen)
        loss = heatmap_loss(self.model(images), targets, weights, self.recipe.loss)
        self.optimizer.zero_grad()
        loss.backward()
        if self.world > 1:
            self._share_gradients()
        self.optimizer.step()
        self.seen += self.recipe.batch
        self.step += 1
        self._average()
        self.seconds += time.perf_counter() - began
        return float(loss.detach())

    def _share_gradients(self) -> None:
        gradients = [p.grad for p in self.model.parameters() if p.grad is not None]
        flat = torch.cat([gradient.reshape(-1) for gradient in gradients])
        distributed.all_reduce(flat)
        flat /= self.world
        for gradient, part in zip(gradients, flat.split([g.numel() for g in gradients]), strict=True):
            gradient.copy_(part.view(gradient.shape))

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        held, new = self.average.state_dict(), self.model.state_dict()
        floats = [key for key, value in held.items() if value.is_floating_point()]
        torch._foreach_lerp_([held[key] for key in floats], [new[key] for key in floats], 1 - keep)

    # ---------------------------------------------------------------------------------------------------- measuring

    def measured(self, people: People, count: int | None = None) -> tuple[float, float]:
        """The PCK at a twentieth of the crop's height, and the mean OKS, of the averaged weights."""
        indices = range(min(count or len(people), len(people)))
        result = measure(
            network_of(self.average, self.device), people, self.joint_set, self.recipe.size, indices=indices
        )
        return result.pck(), float(np.nanmean(result.oks))

    def keep_best(self, score: float, **metadata: str) -> bool:
        """Write the averaged weights if `score` is the best so far."""
        if score <= self.best:
            return False
        self.best = score
        described = {"trained": "yes", "images": str(self.seen), **metadata}
        save_weights(self.average, self.folder / "best.safetensors", **described)
        return True

    def log(self, **values: float | str) -> None:
        """Append a line to `log.csv`."""
        row = {"images": self.seen, "epoch": self.epoch, "lr": f"{self.recipe.lr_at(self.seen):.3g}", **values}
        path = self.folder / "log.csv"
        new = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)

    def write_recipe(self) -> None:
        """The recipe as JSON beside the log."""
        (self.folder / "recipe.json").write_text(json.dumps(asdict(self.recipe), indent=1))


def network_of(model: LiteHRNet, device: torch.device | str = "cpu") -> Callable[[np.ndarray], np.ndarray]:
    """A model as a function of arrays."""
    model.eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            return model(torch.from_numpy(images).to(device)).cpu().numpy()

    return run
