"""Train Lite-HRNet on rendered people, or on any annotation file in COCO's form.

The weights in data/ were made at three sizes, since a step at 96x64 takes a tenth of the time of one at 256x192 and
teaches nearly as much; data/litehrnet18_256x192.md has the numbers. In short:

    python training/train.py --train people/train --val people/val --size 96x64 --sigma 1.0 --out runs/tiny
    python training/train.py --train people/train --val people/val --size 128x96 --sigma 1.25 --lr 2e-3 \\
        --start runs/tiny/best.safetensors --out runs/mid
    python training/train.py --train people/train --val people/val --size 256x192 --batch 8 --lr 1e-3 \\
        --start runs/mid/best.safetensors --out runs/full

Run the same line again to go on where it was stopped, to the bit; with more `--images` it becomes longer. On two
cores `--processes 2` takes both. The paper's own recipe, on COCO:

    python training/train.py --train person_keypoints_train2017.json --train-images train2017 --loss mse \\
        --val person_keypoints_val2017.json --val-images val2017 --device cuda --batch 256 --lr 2e-3 \\
        --images 30000000 --out runs/coco
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import tempfile
import time
from pathlib import Path

import torch
from torch import distributed, multiprocessing
from tqdm import tqdm

from litehrnet import VARIANTS
from litehrnet.sizes import check_size, parse_size
from litehrnet.train.crops import Augmentation
from litehrnet.train.data import (
    COCO,
    CocoPeople,
    JointSet,
    People,
    ShardPeople,
    open_people,
    read_joint_set,
    shard_paths,
)
from litehrnet.train.loop import Recipe, Trainer
from litehrnet.train.losses import LOSSES


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    recipe = Recipe()
    add = parser.add_argument
    add("--train", type=Path, nargs="+", required=True, help="folders of shards, or one COCO-form annotation file")
    add("--train-images", type=Path, help="the annotation file's images")
    add("--val", type=Path, help="folder of shards or annotation file to measure on")
    add("--val-images", type=Path)
    add("--val-count", type=int, default=200, help="measure on this many people")
    add(
        "--also",
        type=Path,
        help="a second annotation file that is only measured and logged, never trained or chosen on",
    )
    add("--also-images", type=Path)
    add("--joints", type=Path, help="JSON with names, flip_pairs and sigmas of another joint set; default COCO's 17")
    add("--out", type=Path, required=True, help="folder for state, weights and log")
    add("--start", type=Path, help="begin with these weights")
    add("--model", default=recipe.model, choices=list(VARIANTS))
    add("--size", default="256x192", help="height x width")
    add("--sigma", type=float, default=recipe.sigma, help="of the targets, in heatmap pixels")
    add("--images", type=int, default=recipe.images, help="crops to see in all")
    add("--batch", type=int, default=recipe.batch)
    add("--lr", type=float, default=recipe.lr)
    add("--final-lr", type=float, default=recipe.final_lr)
    add("--warmup", type=int, default=recipe.warmup, help="crops")
    add("--weight-decay", type=float, default=recipe.weight_decay)
    add("--ema", type=float, default=recipe.ema)
    add("--loss", default=recipe.loss, choices=LOSSES)
    add("--seed", type=int, default=recipe.seed)
    add("--plain", action="store_true", help="crops do not vary: for a look at the loop, not for training")
    add("--every", type=int, default=5_000, help="measure and save after this many crops")
    add("--stop-at", type=int, help="stop after this many crops, to go on later")
    add("--device", default="cuda" if torch.cuda.is_available() else "cpu")
    add("--processes", type=int, default=1, help="CPU processes, one thread each, which share every batch")
    return parser.parse_args(arguments)


def recipe_of(args: argparse.Namespace) -> Recipe:
    """The part of the command line that decides what is computed."""
    size = check_size(parse_size(args.size))
    names = ("model", "sigma", "images", "batch", "lr", "final_lr", "warmup", "weight_decay", "ema", "loss", "seed")
    still = dict.fromkeys(Augmentation.__dataclass_fields__, 0.0)
    augmentation = Augmentation(**still) if args.plain else Augmentation()
    return Recipe(size=size, augmentation=augmentation, **{name: getattr(args, name) for name in names})


def train_people(args: argparse.Namespace, joint_set: JointSet, names: list[str] | None) -> tuple[People, list[str]]:
    """The people of one epoch and where they come from; `names` asks for those of an interrupted one."""
    if args.train[0].is_dir():
        paths = [Path(name) for name in names] if names else shard_paths(args.train)
        return ShardPeople(paths), [str(path) for path in paths]
    if len(args.train) > 1 or args.train_images is None:
        raise ValueError("give folders of shards, or one annotation file and --train-images")
    people = CocoPeople(args.train[0], args.train_images, len(joint_set.names))
    return people, [str(args.train[0])]


def run(rank: int, args: argparse.Namespace, meeting: str) -> None:
    """One process of a run."""
    torch.set_flush_denormal(True)  # without it a step on the CPU slows to seconds
    if args.device == "cpu":
        torch.set_num_threads(1)  # threads wait for each other at every layer, processes once per step
    if args.processes > 1:
        distributed.init_process_group("gloo", init_method=meeting, rank=rank, world_size=args.processes)
    joint_set = read_joint_set(args.joints) if args.joints else COCO
    trainer = Trainer(
        recipe_of(args),
        args.out,
        lambda names: train_people(args, joint_set, names),
        joint_set,
        device=args.device,
        rank=rank,
        world=args.processes,
    )
    if not trainer.resume() and args.start:
        trainer.start_from(args.start)
    if rank == 0:
        trainer.write_recipe()
    loop(trainer, args, rank)
    if args.processes > 1:
        distributed.destroy_process_group()


def loop(trainer: Trainer, args: argparse.Namespace, rank: int) -> None:
    """Train, measure, save and log until all images are seen."""
    joints = len(trainer.joint_set.names)
    val = open_people(args.val, args.val_images, joints) if args.val and rank == 0 else None
    also = open_people(args.also, args.also_images, joints) if args.also and rank == 0 else None
    end = min(args.stop_at or args.images, args.images)
    losses: list[float] = []
    bar = tqdm(total=args.images, initial=trainer.seen, unit="image", disable=rank > 0, mininterval=10)
    mark, mark_seen = time.perf_counter(), trainer.seen
    while trainer.seen < end:
        losses.append(trainer.train_step())
        bar.update(trainer.recipe.batch)
        due = trainer.seen // args.every > (trainer.seen - trainer.recipe.batch) // args.every
        if not (due or trainer.seen >= end):
            continue
        if rank == 0:
            speed = (trainer.seen - mark_seen) / (time.perf_counter() - mark)
            report(trainer, args, losses, speed, val, also)
        losses, mark, mark_seen = [], time.perf_counter(), trainer.seen
    bar.close()


def report(
    trainer: Trainer,
    args: argparse.Namespace,
    losses: list[float],
    speed: float,
    val: People | None,
    also: People | None,
) -> None:
    """Measure the averaged weights, keep the best, write the state and a line of the log."""
    values = {"loss": f"{sum(losses) / len(losses):.4f}", "images_per_second": f"{speed:.1f}"}
    score = -sum(losses) / len(losses)
    if val is not None:
        score, similarity = trainer.measured(val, args.val_count)
        values |= {"pck": f"{score:.4f}", "oks": f"{similarity:.4f}"}
    trainer.keep_best(score, pck=values.get("pck", ""))
    if also is not None:
        _, similarity = trainer.measured(also)
        values |= {"also_oks": f"{similarity:.4f}"}
    trainer.save()
    trainer.log(**values, minutes=f"{trainer.seconds / 60:.1f}")
    tqdm.write(f"{trainer.seen} images: " + ", ".join(f"{name} {value}" for name, value in values.items()))
    plot_log(args.out / "log.csv", args.out / "log.png")


def plot_log(log: Path, picture: Path) -> None:
    """Loss and measures over the images seen, as a PNG; left out where matplotlib is not installed."""
    try:
        import matplotlib
    except ImportError:
        return
    matplotlib.use("Agg")
    import csv

    from matplotlib.figure import Figure

    with log.open() as file:
        rows = list(csv.DictReader(file))
    figure = Figure(figsize=(8, 3.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    seen = [int(row["images"]) for row in rows]
    left.plot(seen, [float(row["loss"]) for row in rows], "o-")
    left.set(xlabel="images seen", ylabel="loss")
    for name in ("pck", "oks", "also_oks"):
        if name in rows[0]:
            right.plot(seen, [float(row[name]) for row in rows], "o-", label=name)
    right.set(xlabel="images seen", ylim=(0, 1))
    if right.lines:
        right.legend()
    figure.savefig(picture, dpi=100)


def main(arguments: list[str] | None = None) -> None:
    """Start the processes of a run."""
    args = parse(arguments)
    args.out.mkdir(parents=True, exist_ok=True)
    if args.processes == 1:
        run(0, args, "")
        return
    if args.device != "cpu":
        sys.exit("--processes is for the CPU; on a GPU one process is enough")
    os.environ["OMP_NUM_THREADS"] = "1"
    with tempfile.TemporaryDirectory() as folder:
        # Whoever ends this process ends the others too, which would otherwise train on unseen.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit("stopped; the same command goes on from the last state"))
        multiprocessing.spawn(run, (args, f"file://{folder}/meet"), nprocs=args.processes, daemon=True)


if __name__ == "__main__":
    main()
