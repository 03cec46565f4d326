"""The training loop: one step after another, an average of the weights (EMA), milestones, and exact resumption."""

from __future__ import annotations

import gc
import json
import math
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.utils.data import DataLoader, Dataset

from ..checkpoints import save_weights
from ..checkpoints.joints import JointSet
from ..files import written_whole
from ..measure.accuracy import Network, measure
from ..model import LiteHRNet, set_shuffle
from ..people import People
from .crops import gaussian_targets, training_crop
from .folder import BEST, LOG, STATE
from .losses import heatmap_loss
from .norms import freeze_norms, share_norms
from .recipe import Recipe

__all__ = ["Trainer", "batches", "network_of"]

MEASURED_BATCH = 32  # people at once, on a GPU


def batches(
    people: int, batch: int, seed: int, step: int = 0, rank: int = 0, world: int = 1
) -> Iterator[list[tuple[int, int]]]:
    """Who is in which step: endless lists of (epoch, person) for one process, beginning with step `step`.

    Every epoch has an order of its own, which follows from the seed; what does not fill a batch is left out.

    >>> each = batches(people=5, batch=2, seed=1)
    >>> [sorted(index for _, index in next(each)) for _ in range(2)] == [
    ...     sorted(index for _, index in next(batches(5, 2, 1, step))) for step in range(2)
    ... ]
    True
    """
    per_epoch = people // batch
    while True:
        epoch, at = divmod(step, per_epoch)
        order = np.random.default_rng([seed, epoch]).permutation(people)
        for first in range(at * batch, per_epoch * batch, batch):
            yield [(epoch, int(index)) for index in order[first : first + batch][rank::world]]
            step += 1


class _Crops(Dataset):
    """Training crops by (epoch, person); all randomness follows from these two and the seed."""

    def __init__(self, people: People, joint_set: JointSet, recipe: Recipe) -> None:
        self.people, self.joint_set, self.recipe = people, joint_set, recipe

    def __getitem__(self, key: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
        epoch, index = key
        rng = np.random.default_rng([self.recipe.seed, epoch, index])
        return training_crop(self.people, index, self.joint_set, self.recipe.size, rng, self.recipe.augmentation)


def _stacked(pairs: list[tuple[np.ndarray, np.ndarray]]) -> tuple[Tensor, Tensor]:
    crops, joints = zip(*pairs, strict=True)
    return torch.from_numpy(np.stack(crops)), torch.from_numpy(np.stack(joints))


class Trainer:
    """One process's part of a run.

    Args:
        recipe: what to compute.
        model: the network to start with, which is trained in place.
        folder: the folder for `last.pt` (state), `best.safetensors` and `log.jsonl`.
        people: the people to train on.
        joint_set: names, mirror pairs and sigmas.
        device: "cpu" or "cuda", also with a number.
        rank, world: this process's number, and how many processes share every batch.
        workers: processes that cut crops for this one; what they cut does not depend on their number.

    Raises:
        ValueError: the batch does not split over the processes, or there are fewer people than a batch.
    """

    def __init__(
        self,
        recipe: Recipe,
        model: LiteHRNet,
        folder: Path,
        people: People,
        joint_set: JointSet,
        *,
        device: str = "cpu",
        rank: int = 0,
        world: int = 1,
        workers: int = 0,
    ) -> None:
        if recipe.batch % world:
            raise ValueError(f"a batch of {recipe.batch} does not split over {world} processes")
        if len(people) < recipe.batch:
            raise ValueError(f"{len(people)} people are fewer than a batch of {recipe.batch}")
        self.recipe, self.folder, self.people, self.joint_set = recipe, Path(folder), people, joint_set
        self.device, self.rank, self.world, self.workers = torch.device(device), rank, world, workers
        model.joints, model.trained_size = joint_set, recipe.size  # saved with the weights
        self.model = model.train().to(self.device)
        self.average = _copy_of(self.model)
        # Channels innermost in memory, and kept so by the shuffles: a step takes 0.54 s of one core instead of 0.70
        # (16 crops of 128x96).
        self.model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # not in torch's stubs
        set_shuffle(self.model, "channels_last")
        self._parallel: nn.Module = self.model
        if world > 1:
            if not recipe.freeze_norm:
                share_norms(self.model)
            self._parallel = nn.parallel.DistributedDataParallel(self.model)
        elif self.device.type == "cuda":
            self._parallel = self._recorded()
        matrices = [p for p in self.model.parameters() if p.ndim > 1]
        others = [p for p in self.model.parameters() if p.ndim <= 1]
        self.optimizer = torch.optim.AdamW(
            [{"params": matrices, "weight_decay": recipe.weight_decay}, {"params": others, "weight_decay": 0.0}],
            lr=recipe.lr,
            betas=(0.9, 0.99),  # short runs: the second moment must forget its first steps
            fused=True,
        )
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=recipe.precision == "float16")
        self.step = 0
        self.best = -math.inf
        self.seconds = 0.0
        self.history: list[dict[str, Any]] = []
        self._loss_sum, self._loss_count = 0.0, 0
        self._loader: Iterator[tuple[Tensor, Tensor]] | None = None

    @property
    def seen(self) -> int:
        """How many crops the run has trained on."""
        return self.step * self.recipe.batch

    @property
    def epoch(self) -> int:
        """How often every person has been seen."""
        return self.step // (len(self.people) // self.recipe.batch)

    def part(self) -> None:
        """Let go of what joins this process to the others; needed before their process group is destroyed.

        Freed after it, DistributedDataParallel would be the last to hold the group. It would then wait for the group's
        threads, which may wait for Python's lock, which it holds (https://github.com/pytorch/pytorch/issues/75097).
        """
        self._parallel = self.model
        gc.collect()

    # ------------------------------------------------------------------------------------------------------- state

    def save(self) -> None:
        """Write the state from which `resume` continues exactly."""
        if self.rank:
            return
        numbers = ("step", "best", "seconds", "history", "_loss_sum", "_loss_count")
        state = {
            "model": self.model.state_dict(),
            "ema": self.average.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "scaler": self._scaler.state_dict(),
            "progress": {name: getattr(self, name) for name in numbers},
            "people": len(self.people),
            "recipe": asdict(self.recipe),
        }
        with written_whole(self.folder / STATE) as temporary:
            torch.save(state, temporary)

    def resume(self) -> bool:
        """Continue from the state in the folder; False if there is none yet.

        Raises:
            ValueError: it was made with another recipe or other people; only `crops` may change, for a longer run.
        """
        path = self.folder / STATE
        if not path.exists():
            return False
        state = torch.load(path, map_location=self.device, weights_only=True)
        old, new = state["recipe"], asdict(self.recipe)
        changed = [name for name in new if name != "crops" and old.get(name) != new[name]]
        if changed:
            listed = ", ".join(f"{name} {old.get(name)} -> {new[name]}" for name in changed)
            raise ValueError(f"{path} was made with another recipe ({listed}); give another folder to start again")
        if state["people"] != len(self.people):
            raise ValueError(
                f"{path} was made with {state['people']} people to train on, and now there are {len(self.people)}; "
                "give another folder to start again"
            )
        self.model.load_state_dict(state["model"])
        self.average.load_state_dict(state["ema"])
        self.optimizer.load_state_dict(state["optimizer"])
        self._scaler.load_state_dict(state["scaler"])
        for name, value in state["progress"].items():
            setattr(self, name, value)
        self._loader = None
        return True

    # ---------------------------------------------------------------------------------------------------- training

    def next_batch(self) -> tuple[Tensor, Tensor, Tensor]:
        """This process's crops (n, 3, H, W), targets (n, K, h, w) and weights (n, K) for the next step."""
        if self._loader is None:
            order = batches(len(self.people), self.recipe.batch, self.recipe.seed, self.step, self.rank, self.world)
            self._loader = iter(
                DataLoader(
                    _Crops(self.people, self.joint_set, self.recipe),
                    batch_sampler=order,  # endless
                    collate_fn=_stacked,
                    num_workers=self.workers,
                    pin_memory=self.device.type == "cuda",
                )
            )
        crops, joints = next(self._loader)
        images = crops.to(self.device, memory_format=torch.channels_last, non_blocking=True)
        return images, *gaussian_targets(joints.to(self.device), self.recipe.size, self.recipe.sigma)

    def train_step(self, stop: bool = False) -> tuple[float, bool]:
        """Take one step of the optimiser.

        Args:
            stop: whether this process has been asked to stop.

        Returns:
            The loss over the whole batch, and whether any process has been asked to stop.

        Raises:
            FloatingPointError: the loss is not finite.
        """
        began = time.perf_counter()
        images, targets, weights = self.next_batch()
        for group in self.optimizer.param_groups:
            group["lr"] = self.recipe.lr_at(self.seen)
        if self.recipe.freeze_norm:
            freeze_norms(self.model)
        shared = torch.stack([weights.sum(), weights.new_tensor(float(stop))])
        if self.world > 1:
            distributed.all_reduce(shared)
            shared[0] /= self.world
        with self._autocast():
            heatmaps = self._parallel(images)
        loss = heatmap_loss(heatmaps.float(), targets, weights, self.recipe.loss, shared[0])
        self.optimizer.zero_grad()
        self._scaler.scale(loss).backward()
        self._scaler.step(self.optimizer)
        self._scaler.update()
        mean = loss.detach()
        if self.world > 1:
            distributed.all_reduce(mean)
            mean /= self.world
        value = float(mean)
        if not math.isfinite(value):
            raise FloatingPointError(
                f"the loss is {value} after {self.seen} crops; use a learning rate below {self.recipe.lr:g}"
            )
        self.step += 1
        self._average()
        self._loss_sum, self._loss_count = self._loss_sum + value, self._loss_count + 1
        self.seconds += time.perf_counter() - began
        return value, bool(shared[1] > 0)

    def _autocast(self, cache_enabled: bool | None = None) -> torch.autocast:
        dtype = getattr(torch, self.recipe.precision)
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32, cache_enabled=cache_enabled)

    def _recorded(self) -> nn.Module:
        """The network with its passes recorded once, as CUDA graphs that every step replays.

        The network is thousands of small kernels. A GPU computes them faster than Python can start them one by one.
        """
        before = {name: value.clone() for name, value in self.model.state_dict().items()}
        if self.recipe.freeze_norm:
            freeze_norms(self.model)
        example = torch.zeros(self.recipe.batch, 3, *self.recipe.size, device=self.device)
        with self._autocast(cache_enabled=False):
            recorded = torch.cuda.make_graphed_callables(
                nn.Sequential(self.model), (example.to(memory_format=torch.channels_last),)
            )
        self.model.load_state_dict(before)  # recording has moved the statistics of the batch norms
        assert isinstance(recorded, nn.Module)
        return recorded

    @torch.no_grad()
    def _average(self) -> None:
        keep = min(self.recipe.ema, (1 + self.step) / (10 + self.step))
        held, new = self.average.state_dict(), self.model.state_dict()
        floats = [key for key, value in held.items() if value.is_floating_point()]
        torch._foreach_lerp_([held[key] for key in floats], [new[key] for key in floats], 1 - keep)

    # -------------------------------------------------------------------------------------------------- milestones

    def measured(self, people: People, count: int | None = None) -> tuple[float, float]:
        """The mean OKS of the averaged weights, and their PCK at a twentieth of the crop's height."""
        result = measure(
            network_of(self.average, self.device),
            people,
            self.joint_set,
            self.recipe.size,
            indices=range(min(count or len(people), len(people))),
            batch=1 if self.device.type == "cpu" else MEASURED_BATCH,
        )
        return float(np.nanmean(result.oks)), result.pck()

    def milestone(self, people: People, count: int | None = None) -> dict[str, Any]:
        """Measure the averaged weights, keep the best, write the state and the log; returns the log's new line."""
        oks, pck = self.measured(people, count)
        better = oks > self.best
        if better:
            self.best = oks
            save_weights(self.average, self.folder / BEST, trained="yes", crops=str(self.seen), oks=f"{oks:.4f}")
        line = {
            "crops": self.seen,
            "epoch": self.epoch,
            "loss": self._loss_sum / self._loss_count if self._loss_count else None,
            "oks": oks,
            "pck": pck,
            "best": better,
            "lr": self.recipe.lr_at(self.seen),
            "seconds": round(self.seconds, 1),
        }
        self._loss_sum, self._loss_count = 0.0, 0
        self.history.append(line)
        self.save()
        self.write_log()
        return line

    def write_log(self) -> None:
        """One JSON object per milestone."""
        with written_whole(self.folder / LOG) as temporary:
            temporary.write_text("".join(f"{json.dumps(line)}\n" for line in self.history), encoding="utf-8")


def _copy_of(model: LiteHRNet) -> LiteHRNet:
    copy = LiteHRNet(model.variant, model.num_joints, "computed").to(next(model.parameters()).device)
    copy.load_state_dict(model.state_dict())
    copy.joints, copy.trained_size = model.joints, model.trained_size
    return copy.eval()


def network_of(model: LiteHRNet, device: torch.device | str = "cpu") -> Network:
    """A model as a function of arrays."""
    model.eval()

    def run(images: np.ndarray) -> np.ndarray:
        with torch.inference_mode():
            maps: np.ndarray = model(torch.from_numpy(images).to(device)).float().cpu().numpy()
            return maps

    return run
