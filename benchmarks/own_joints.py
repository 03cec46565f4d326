"""Choose the recipe of lesson 10 without its test pictures, then measure what a number of pictures achieves.

python benchmarks/own_joints.py              # writes benchmarks/own_joints/DATE.json in about twenty minutes
python benchmarks/own_joints.py --to FOLDER  # elsewhere

1. Every recipe is tried in three folds of the 24 labelled people: trained on 16 of them, measured on the other 8.
2. The best recipe of those that train all weights, by mean OKS, is trained on 10 and on all 24 people, chosen and
   ordered by every seed of `SEEDS`, for as many steps. So is a head alone. Both are measured on the test people, once,
   at the end.
"""

from __future__ import annotations

import argparse
import json
import tempfile
import time
import warnings
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch

from litehrnet.checkpoints import CheckpointNote, from_checkpoint
from litehrnet.course.own_joints import crops_of, guess_without_looking, subset_file, train_head
from litehrnet.files import data_path, written_whole
from litehrnet.measure import machine
from litehrnet.measure.accuracy import Measured, measure
from litehrnet.model import LiteHRNet
from litehrnet.people import CocoPeople, read_people
from litehrnet.train import train
from litehrnet.train.loop import network_of
from litehrnet.train.start import start_model

SIZE = (256, 192)
FOLDS, SEEDS, COUNTS = 3, (1, 2, 3), (10, 24)
CROPS, BATCH, TIMES = 240, 4, 3
HEADS = {"head alone, mse": "mse", "head alone, softmax": "softmax"}
RECIPES = {
    "all, both, 1e-3, flat head": {"head": None, "loss": "both", "lr": 1e-3},
    "all, both, 1e-3": {"head": "mse", "loss": "both", "lr": 1e-3},
    "all, both, 3e-3": {"head": "mse", "loss": "both", "lr": 3e-3},
    "all, mse, 1e-3": {"head": "mse", "loss": "mse", "lr": 1e-3},
}
LABELS, PICTURES = data_path("own_joints/train.json"), data_path("heldout")
TEST, TEST_PICTURES = data_path("own_joints/test.json"), data_path("own_joints")


def scores(result: Measured, names: Sequence[str]) -> dict[str, object]:
    """What is stored of one pass over people."""
    known = np.isfinite(result.errors)
    return {
        "oks": round(float(np.nanmean(result.oks)), 4),
        "pck": round(result.pck(), 4),
        "joints": {
            name: round(float((result.errors[known[:, k], k] <= 0.05).mean()), 4) for k, name in enumerate(names)
        },
    }


def with_head(people: CocoPeople, loss: str | None, seed: int) -> LiteHRNet:
    """The bundled backbone with a head that was trained on its frozen features; without a loss, a flat one."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", CheckpointNote)  # the head is new: that is the subject
        model = start_model("litehrnet18", people.joint_set)
    model.joints, model.trained_size = people.joint_set, SIZE
    if loss:
        images, targets, weights = crops_of(people, SIZE, TIMES, seed)
        with torch.no_grad():
            features = model.features(images)
        train_head(model.head, features, targets, weights, loss)
    return model


def trained(people: Path, recipe: dict, seed: int) -> LiteHRNet:
    """All weights, trained for a fixed number of steps; nothing is chosen on the way, and the last weights count."""
    known = read_people(people, PICTURES)
    with tempfile.TemporaryDirectory() as folder:
        watched = subset_file(people, [0], Path(folder) / "watched.json")  # `train` wants somebody to measure on
        run = train(
            people,
            Path(folder) / "run",
            images=PICTURES,
            validate=watched,
            start=with_head(known, recipe["head"], seed),
            size=SIZE,
            epochs=round(CROPS / len(known)),
            batch=BATCH,
            loss=recipe["loss"],
            lr=recipe["lr"],
            seed=seed,
            milestones=1,
        )
        return from_checkpoint(run.last)


class Stored:
    """Results, written after every one of them; a run that was stopped goes on where it was on the same day."""

    def __init__(self, target: Path) -> None:
        self.target = target
        self.held: dict = {"machine": machine(), "folds": {}, "counts": []}
        if target.exists():
            self.held = json.loads(target.read_text(encoding="utf-8"))
        self.began = time.monotonic()

    def write(self) -> None:
        """Write what there is."""
        with written_whole(self.target) as temporary:
            temporary.write_text(json.dumps(self.held, indent=1) + "\n", encoding="utf-8")
        print(f"{time.monotonic() - self.began:.0f} s", flush=True)


def choose(stored: Stored) -> str:
    """Try the recipes in folds, and return the name of the best."""
    people = read_people(LABELS, PICTURES)
    names = people.joint_set.names
    order = np.random.default_rng(1).permutation(len(people))
    with tempfile.TemporaryDirectory() as folder:
        for fold in range(FOLDS):
            held_out = sorted(order[fold::FOLDS].tolist())
            rest = [index for index in range(len(people)) if index not in held_out]
            file = subset_file(LABELS, rest, Path(folder) / "rest.json")
            for name, recipe in {**HEADS, **RECIPES}.items():
                if len(stored.held["folds"].get(name, ())) > fold:
                    continue
                if isinstance(recipe, str):
                    model = with_head(people.taken(rest), recipe, 1)
                else:
                    model = trained(file, recipe, 1)
                result = scores(measure(network_of(model), people, people.joint_set, SIZE, indices=held_out), names)
                stored.held["folds"].setdefault(name, []).append(result)
                print(f"fold {fold + 1}, {name}: OKS {result['oks']:.3f}, PCK {result['pck']:.3f}", end="; ")
                stored.write()
    return max(RECIPES, key=lambda name: np.mean([result["oks"] for result in stored.held["folds"][name]]))


def count_pictures(stored: Stored, recipe: dict) -> None:
    """Train on several numbers of people, and measure each once on the test people."""
    people, test = read_people(LABELS, PICTURES), read_people(TEST, TEST_PICTURES)
    names = people.joint_set.names
    stored.held["guess"] = guess_without_looking(people, test, SIZE)
    with tempfile.TemporaryDirectory() as folder:
        for seed in SEEDS:
            order = np.random.default_rng(seed).permutation(len(people)).tolist()
            for count in COUNTS:
                if any((run["pictures"], run["seed"]) == (count, seed) for run in stored.held["counts"]):
                    continue
                chosen = sorted(order[:count])
                file = subset_file(LABELS, chosen, Path(folder) / f"{count}.json")
                models = {
                    "head": with_head(people.taken(chosen), recipe["head"] or "mse", seed),
                    "all": trained(file, recipe, seed),
                }
                for what, model in models.items():
                    result = scores(measure(network_of(model), test, test.joint_set, SIZE), names)
                    stored.held["counts"].append({"what": what, "pictures": count, "seed": seed, **result})
                    print(f"{what}, {count}, seed {seed}: OKS {result['oks']:.3f}, PCK {result['pck']:.3f}", end="; ")
                stored.write()


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    own = Path(__file__).resolve().parent / "own_joints"
    parser.add_argument("--to", type=Path, default=own, metavar="FOLDER", help="where to write")
    folder = parser.parse_args().to
    folder.mkdir(parents=True, exist_ok=True)
    torch.set_num_threads(1)
    stored = Stored(folder / f"{machine()['date']}.json")
    best = choose(stored)
    stored.held |= {"recipes": RECIPES, "chosen": best, "crops": CROPS, "batch": BATCH, "head_crops": TIMES}
    stored.write()
    count_pictures(stored, RECIPES[best])
    print(stored.target)


if __name__ == "__main__":
    main()
