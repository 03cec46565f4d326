"""Make weights like the bundled ones, from nothing: render people, train in three sizes, measure.

    python training/make_weights.py --out build/weights                           # two cores: some hours
    python training/make_weights.py --out build/weights --batch 128 --minutes 9      # one GPU and 16 cores
    torchrun --nproc-per-node 2 training/make_weights.py --out build/weights         # several, once it is rendered

Every finished part is kept, so after a stop the same command continues. The pictures come from
`render_people.py`, the training is `litehrnet.train.train`: a step at 96x64 takes a tenth of the time of one at 256x192
and teaches nearly as much, so the network grows up on small crops. On a GPU it trains in mixed precision. Needs the
extras `render`, `train` and `evaluate`.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import render_people
import torch

from litehrnet.files import data_path
from litehrnet.measure import evaluate
from litehrnet.train import Augmentation, Interrupted, Trained, train
from litehrnet.train.fit import Plan
from litehrnet.train.folder import STATE

TRAIN_SEED, VALIDATION_SEED, HARD_SEED = 1, 2, 5  # seed 3 makes data/heldout, seed 4 data/own_joints
# Colours, grain and covers vary more than in `litehrnet train`, because all pictures come from one renderer.
AUGMENTATION = Augmentation(colour=0.4, noise=0.4, blur=0.3, occlude=0.35, close_up=0.3)
TRIAL = 160  # steps that tell how many crops fit into --minutes
MEASURING = 4  # seconds that a milestone takes, at most, on a GPU


@dataclass(frozen=True)
class Stage:
    """One part of the training.

    Attributes:
        name: of its folder.
        size: height and width of the crops.
        sigma: of the targets, in heatmap pixels.
        share: of all crops.
        lr: after the warm-up.
    """

    name: str
    size: tuple[int, int]
    sigma: float
    share: float
    lr: float


STAGES = (
    Stage("small", (96, 64), 1.0, 0.3, 2.5e-3),
    Stage("middle", (128, 96), 1.25, 0.4, 2e-3),
    Stage("full", (256, 192), 2.0, 0.3, 1.5e-3),
)


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("--out", type=Path, required=True, help="folder for the pictures and the runs")
    add("--people", type=int, default=15_500, help="how many to render to train on (default: 15500)")
    add("--hard", type=int, default=6_000, help="how many of them are hard to find: crowds, darkness (default: 6000)")
    add("--validation", type=int, default=500, help="how many to render to choose the best milestone (default: 500)")
    add("--crops", type=int, default=180_000, help="how many crops to train on, in all stages (default: 180000)")
    add("--minutes", type=float, help="train on as many crops as fit into this time, rendering included")
    add("--batch", type=int, default=16, help="crops per step (default: 16; on a GPU, use 128)")
    add("--start", default=None, help="weights to start from instead of random ones: trains at the full size only")
    add("--device", default=None, help="cpu or cuda (default: cuda if there is a GPU)")
    add("--workers", type=int, default=max(1, (os.cpu_count() or 2) - 1), help="processes that render")
    add("--milestones", type=int, default=10, help="how often every stage measures (default: 10)")
    add("--picture-size", default="320x256", help="height x width of the renderings (default: 320x256)")
    return parser.parse_args(arguments)


def run(
    args: argparse.Namespace, stage: Stage, start: Path | str | None, folder: Path, *, crops: int, **options: Any
) -> Trained:
    """Train one stage."""
    return train(
        args.out / "train",
        folder,
        validate=args.out / "validation",
        start=start,
        size=stage.size,
        device=args.device,
        milestones=args.milestones,
        sigma=stage.sigma,
        crops=crops,
        batch=args.batch,
        lr=stage.lr * (args.batch / 16) ** 0.5,
        warmup=min(1_000 * max(1, args.batch // 16), crops // 10),
        ema=min(0.998, 1 - 1 / max(10.0, crops / args.batch / 20)),
        freeze_norm=False,
        augmentation=AUGMENTATION,
        **options,
    )


class _Clock:
    """Notes when a run has seen how many crops."""

    def __init__(self) -> None:
        self.at: list[tuple[float, int]] = []

    def planned(self, plan: Plan) -> None:
        """Nothing to note."""

    def stepped(self, seen: int, loss: float) -> None:
        """Note the time."""
        self.at.append((time.perf_counter(), seen))

    def measured(self, line: dict[str, Any]) -> None:
        """Nothing to note."""

    def rate(self) -> float:
        """Crops per second, without the start, when crops that were cut in advance are used up."""
        (begin, few), (end, many) = self.at[len(self.at) // 2], self.at[-1]
        return (many - few) / (end - begin)


def main(arguments: list[str] | None = None) -> int:
    """Render, train and measure; returns the exit code."""
    args = parse(arguments)
    first, began = os.environ.get("RANK", "0") == "0", time.perf_counter()
    folders = (
        ("train/plain", TRAIN_SEED, args.people - args.hard, False),
        ("train/hard", HARD_SEED, args.hard, True),
        ("validation", VALIDATION_SEED, args.validation, False),
    )
    for name, seed, count, hard in folders:
        if first and count and "WORLD_SIZE" not in os.environ:
            words = ["--out", args.out / name, "--seed", seed, "--count", count, "--workers", args.workers]
            words += ["--size", args.picture_size, "--shard-size", min(500, -(-count // args.workers // 4))]
            render_people.main([str(word) for word in words] + ["--hard"] * hard)
    rendered = time.perf_counter()
    start: Path | str | None = args.start
    stages = STAGES if start is None else STAGES[-1:]
    whole = sum(stage.share for stage in stages)
    for number, stage in enumerate(stages):
        folder = args.out / stage.name
        share = stage.share / whole
        crops = max(args.batch, round(args.crops * share))
        begun = folder / STATE
        if args.minutes and begun.is_file():  # it keeps its length, whatever time is left now
            crops = torch.load(begun, map_location="cpu", weights_only=True)["recipe"]["crops"]
        elif args.minutes:
            share = stage.share / sum(later.share for later in stages[number:])
            left = (60 * args.minutes - (time.perf_counter() - began)) * share
            trial = time.perf_counter()
            with tempfile.TemporaryDirectory() as temporary:
                clock = _Clock()
                run(args, stage, start, Path(temporary), crops=10**6, stop_at=TRIAL * args.batch, events=clock)
            left -= time.perf_counter() - trial + MEASURING * args.milestones
            crops = max(args.batch, round(left * clock.rate()))
        try:
            done = run(args, stage, start, folder, crops=crops, resume=begun.is_file())
        except Interrupted as stopped:
            sys.exit(f"{stopped}; the same command continues")
        start = done.best
        if first:
            print(json.dumps({"stage": stage.name, "crops": crops, **done.score}), flush=True)
    if first and start is not None:
        shutil.copyfile(start, args.out / "litehrnet18_256x192.safetensors")
        heldout = data_path("heldout")
        result = evaluate(args.out / "litehrnet18_256x192.safetensors", heldout / "people.json", heldout)
        seconds = {"rendering": rendered - began, "training": time.perf_counter() - rendered}
        measured = {"heldout_oks": result.oks, "heldout_pck": result.pck} | {
            f"{name}_seconds": round(value) for name, value in seconds.items()
        }
        (args.out / "result.json").write_text(json.dumps(measured, indent=1) + "\n")
        print(json.dumps(measured))
    return 0


if __name__ == "__main__":
    sys.exit(main())
