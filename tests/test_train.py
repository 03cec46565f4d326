"""Training on tiny data: crops, targets, losses, exact resume, shared batches, the split, and the command."""

from __future__ import annotations

import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from bounds import same, within
from labelled import FIVE, drawn_person, labelled_folder
from tiny import tiny_model

import litehrnet
from litehrnet import blocks
from litehrnet.checkpoints import CheckpointNote, read_metadata, save_weights
from litehrnet.checkpoints.joints import JOINT_SETS, JointSet
from litehrnet.cli import main
from litehrnet.heatmaps import MEAN, STD, crop_person, decode, to_input
from litehrnet.model import LiteHRNet
from litehrnet.people import CocoPeople, read_people
from litehrnet.train import Augmentation, Interrupted, Recipe, Trainer, train
from litehrnet.train.crops import _close_up, gaussian_targets, training_crop
from litehrnet.train.fit import split
from litehrnet.train.loop import batches
from litehrnet.train.losses import LOSSES, heatmap_loss
from litehrnet.train.recipe import suited
from litehrnet.train.shards import ShardPeople, open_people
from litehrnet.train.start import start_model

COCO = JOINT_SETS["coco"]
STILL = Augmentation(**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0))
GEOMETRY = Augmentation(**{**STILL.__dict__, "flip": 0.5, "scale": 0.3, "rotate": 1.0, "rotation": 25.0, "shift": 0.04})
SIZE = (64, 32)


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_flush_denormal(True)
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


@pytest.fixture(scope="module")
def shards(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("shards")
    rng = np.random.default_rng(0)
    for shard in range(2):
        files, joints = [], []
        for _ in range(8):
            image, places = drawn_person(rng)
            files.append(io.BytesIO())
            image.save(files[-1], "JPEG", quality=95)
            joints.append(places)
        sizes = [len(file.getvalue()) for file in files]
        np.savez(
            folder / f"shard_{shard:05d}.npz",
            jpegs=np.frombuffer(b"".join(file.getvalue() for file in files), np.uint8),
            offsets=np.cumsum([0, *sizes]),
            joints=np.array(joints, np.float32),
            boxes=np.tile(np.float32([50, 60, 150, 200]), (8, 1)),
            areas=np.full(8, 15_000, np.float32),
            seeds=np.arange(8),
        )
    return folder


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Ten pictures of one person each, with five joints."""
    return labelled_folder(tmp_path_factory.mktemp("photos"), people=10)


def tiny_start(joints: int = 5) -> LiteHRNet:
    """A tiny network that knows no joints by name."""
    return tiny_model(num_joints=joints)


# ---------------------------------------------------------------------------------------------------------- people


def test_shards_are_read_in_order(shards: Path) -> None:
    people = open_people(shards)
    assert isinstance(people, ShardPeople)
    assert len(people) == 16
    assert people.person(8).key[1] == 0
    assert people.person(8).key[0].endswith("/shard_00001.npz")
    image, size = people.image(3)
    assert (image.size, size) == ((256, 320), (320, 256))
    half, size = people.image(3, scale=0.4)
    assert (half.size, size) == ((128, 160), (320, 256))


def test_one_of_the_two_sources(shards: Path, data: Path, tmp_path: Path) -> None:
    assert isinstance(open_people(data, data.parent), CocoPeople)
    for wrong, sentence in (
        ((data,), "give the folder that holds them"),
        ((shards, data.parent), "leave out images"),
        ((shards, None, FIVE), "COCO's 17 joints, not 5 others"),
        ((tmp_path,), "no shard"),
    ):
        with pytest.raises(ValueError, match=sentence):
            open_people(*wrong)


def test_the_split_follows_from_the_pictures_names(data: Path) -> None:
    people = read_people(data, data.parent)
    chosen, held_out = split(people)
    assert (len(chosen), len(held_out)) == (8, 2)
    assert sorted(chosen + held_out) == list(range(10))
    names = {people.person(index).picture for index in held_out}
    turned = people.taken([*range(9, -1, -1), 3])  # in another order, with two people on one picture
    parts = [{turned.person(index).picture for index in part} for part in split(turned)]
    assert parts[1] == names and not parts[0] & parts[1]
    assert len({tuple(split(people, seed=seed)[1]) for seed in range(6)}) > 1
    with pytest.raises(ValueError, match="one picture only"):
        split(people.taken([0]))


# --------------------------------------------------------------------------------------------------- crops, targets


@pytest.mark.numeric
def test_a_crop_that_does_not_vary_is_the_predictors(shards: Path) -> None:
    people = open_people(shards)
    crop, joints = training_crop(people, 2, COCO, (256, 192), np.random.default_rng(0), STILL)
    wanted, to_crop = crop_person(np.asarray(people.image(2)[0]), people.person(2).box)
    np.testing.assert_array_equal(crop, to_input(wanted)[0])
    placed = people.person(2).joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
    within(np.abs(joints[:, :2] - placed).max(), 1e-3, "pixels")


@pytest.mark.parametrize("size", [(256, 192), (128, 96)])  # the second decodes JPEG at a half
def test_joints_stay_on_their_pixels(shards: Path, size: tuple[int, int]) -> None:
    """Under flips, rotation, scale and shift, each joint's colour is where the joint is said to be."""
    people, seen, flips = open_people(shards), 0, 0
    for seed in range(30):
        crop, joints = training_crop(people, seed % 16, COCO, size, np.random.default_rng(seed), GEOMETRY)
        pixels = crop.transpose(1, 2, 0) * np.float32(STD) + np.float32(MEAN)
        apart = np.linalg.norm(joints[:, None, :2] - joints[None, :, :2], axis=2) + 1e9 * np.eye(17)
        for k, (x, y, _) in enumerate(joints):
            if not (3 < x < size[1] - 4 and 3 < y < size[0] - 4) or apart[k].min() < size[0] / 12:
                continue
            # The disc carries the number of the joint that it was drawn for; a mirror image carries its partner's.
            drawn = round(float(pixels[round(float(y)), round(float(x)), 0]) * 17 / 255)
            assert drawn in (k, int(COCO.mirrored[k])), (seed, k, drawn)
            flips += drawn != k
            seen += 1
    assert seen > 40
    assert 0 < flips < seen


@pytest.mark.parametrize("labelled", range(18))
def test_close_ups_with_any_number_of_labelled_joints(shards: Path, labelled: int) -> None:
    """A close-up needs joints to choose from; where too few are labelled, the whole box stays."""
    people = open_people(shards)
    whole = people.person(0)
    joints = whole.joints.copy()
    joints[:, 2] = 0
    joints[:labelled, 2] = 2
    for seed in range(40):
        box = _close_up(replace(whole, joints=joints), np.random.default_rng(seed))
        if labelled <= 8:
            assert box == whole.box
        x, y, width, height = box
        assert min(width, height) >= 24
        inside = (joints[:labelled, :2] >= [x - 1, y - 1]) & (joints[:labelled, :2] <= [x + width + 1, y + height + 1])
        assert inside.all(axis=1).sum() >= min(labelled, 5)


def test_crops_follow_from_the_generator(shards: Path) -> None:
    people = open_people(shards)
    one, two, three = (
        training_crop(people, 0, COCO, (64, 64), np.random.default_rng([1, 0, seed]), Augmentation())
        for seed in (5, 5, 6)
    )
    np.testing.assert_array_equal(one[0], two[0])
    assert not np.array_equal(one[0], three[0])
    assert one[0].dtype == np.float32
    assert np.isfinite(one[0]).all()


@pytest.mark.numeric
@pytest.mark.parametrize("size", [(256, 192), (128, 96)])
def test_targets_decode_to_their_joints(size: tuple[int, int]) -> None:
    rng = np.random.default_rng(0)
    joints = np.column_stack([rng.uniform(12, side - 16, 17) for side in size[::-1]] + [np.full(17, 2)])
    targets, weights = gaussian_targets(joints, size, sigma=2.0)
    assert targets.shape == (17, size[0] // 4, size[1] // 4)
    assert weights.tolist() == [1] * 17
    found, scores = decode(targets[None])
    within(max(np.abs(found[0] - joints[:, :2]).max() - 1, 0), 1e-3, "input pixels beyond one")
    assert scores.min() > 0.9


def test_joints_outside_or_unlabelled_do_not_count() -> None:
    joints = np.array([[50.0, 50, 2], [-10, 50, 2], [50, 300, 2], [50, 50, 0], [50, 50, 1]])
    assert gaussian_targets(joints, (256, 192), 2.0)[1].tolist() == [1, 0, 0, 0, 1]


def test_targets_of_a_tensor_are_those_of_an_array() -> None:
    joints = np.random.default_rng(0).uniform(-20, 280, (3, 17, 3)).astype(np.float32)
    arrays = gaussian_targets(joints, (256, 192), 2.0)
    tensors = gaussian_targets(torch.from_numpy(joints), (256, 192), 2.0)
    for array, tensor in zip(arrays, tensors, strict=True):
        assert isinstance(array, np.ndarray) and isinstance(tensor, torch.Tensor)
        assert array.dtype == np.float32 and tensor.dtype == torch.float32
        np.testing.assert_array_equal(array, tensor.numpy())


def test_shards_may_be_in_folders_of_their_own(shards: Path, tmp_path: Path) -> None:
    for kind in ("plain", "hard"):
        shutil.copytree(shards, tmp_path / kind)
    people = open_people(tmp_path)
    assert len(people) == 2 * len(open_people(shards))
    assert len({people.person(index).picture for index in range(len(people))}) == len(people)


@pytest.mark.parametrize("kind", LOSSES)
def test_losses_are_least_at_the_target(kind: str) -> None:
    targets, weights = gaussian_targets(np.array([[[40.0, 60, 2], [90, 30, 0]]]), (128, 96), 2.0)
    targets, weights = torch.from_numpy(targets), torch.from_numpy(weights)
    least = heatmap_loss(targets, targets, weights, kind)
    generator = torch.Generator().manual_seed(0)
    for _ in range(5):
        other = targets + 0.05 * torch.randn(targets.shape, generator=generator)
        assert heatmap_loss(other, targets, weights, kind) > least
    wrong = targets.clone()
    wrong[:, 1] += torch.randn(wrong.shape[2:], generator=generator)  # a joint without a label
    assert torch.equal(heatmap_loss(wrong, targets, weights, kind), least)
    with pytest.raises(ValueError, match="softmax"):
        heatmap_loss(targets, targets, weights, "l1")


# --------------------------------------------------------------------------------------------------------- the loop


def trainer(folder: Path, shards: Path, **changes: object) -> Trainer:
    recipe = Recipe(**{"size": SIZE, "crops": 48, "batch": 8, "warmup": 16, "sigma": 1.0, **changes})
    folder.mkdir(exist_ok=True)
    return Trainer(recipe, start_model(tiny_start(17), COCO), folder, open_people(shards), COCO)


def test_who_is_in_which_step() -> None:
    """Everybody once per epoch, whatever the step to begin with and the number of processes."""
    whole = batches(10, 4, seed=3)
    steps = [next(whole) for _ in range(6)]
    assert [{epoch for epoch, _ in step} for step in steps] == [{0}, {0}, {1}, {1}, {2}, {2}]
    assert len({index for _, index in steps[0] + steps[1]}) == 8
    assert steps[:2] != steps[2:4]
    for first in range(5):
        later = batches(10, 4, 3, first)
        assert [next(later) for _ in range(6 - first)] == steps[first:]
    shared = [batches(10, 4, 3, 0, rank, 2) for rank in range(2)]
    for step in steps:
        assert sorted(next(shared[0]) + next(shared[1])) == sorted(step)


def test_resume_is_exact(shards: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = trainer(tmp_path / "whole", shards)
    losses = [whole.train_step()[0] for _ in range(5)]
    first = trainer(tmp_path / "cut", shards)
    assert not first.resume()
    cut = [first.train_step()[0] for _ in range(3)]  # stops in the middle of an epoch
    first.save()
    second = trainer(tmp_path / "cut", shards)
    assert second.resume()
    cut += [second.train_step()[0] for _ in range(2)]
    assert cut == losses
    for one, other in ((whole.model, second.model), (whole.average, second.average)):
        for (key, value), again in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(value, again), key
    assert (second.seen, second.epoch) == (whole.seen, whole.epoch) == (40, 2)


def test_another_recipe_is_refused_and_a_longer_one_taken(shards: Path, tmp_path: Path) -> None:
    trainer(tmp_path / "run", shards).save()
    with pytest.raises(ValueError, match=r"lr 0\.0025 -> 0\.1"):
        trainer(tmp_path / "run", shards, lr=0.1).resume()
    assert trainer(tmp_path / "run", shards, crops=96).resume()


def test_it_learns(shards: Path, tmp_path: Path) -> None:
    learner = trainer(tmp_path / "run", shards, crops=400, augmentation=STILL)
    losses = [learner.train_step()[0] for _ in range(20)]
    assert np.mean(losses[-3:]) < 0.95 * np.mean(losses[:3])


def test_a_loss_that_is_not_finite_ends_the_run(shards: Path, tmp_path: Path) -> None:
    learner = trainer(tmp_path / "run", shards)
    with torch.no_grad():
        learner.model.head.final_layer.weight[0] = torch.inf
    with pytest.raises(FloatingPointError, match="after 0 crops; use a learning rate below"):
        learner.train_step()


def test_frozen_norms_keep_their_statistics(shards: Path, tmp_path: Path) -> None:
    for frozen in (True, False):
        one = trainer(tmp_path / str(frozen), shards, freeze_norm=frozen)
        before = {key: value.clone() for key, value in one.model.state_dict().items()}
        one.train_step()
        after = one.model.state_dict()
        moved = {key for key in before if "running" in key and not torch.equal(before[key], after[key])}
        assert bool(moved) != frozen
        assert not torch.equal(before["head.final_layer.weight"], after["head.final_layer.weight"])


def test_training_shuffles_in_channels_last(shards: Path, tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", shards)
    forms = {module.form for module in made.model.modules() if isinstance(module, blocks.ChannelShuffle)}
    assert forms <= {"channels_last"}


@pytest.mark.numeric
def test_mixed_precision_is_near(shards: Path, tmp_path: Path) -> None:
    """bfloat16 has 8 binary digits; the loss itself is computed in float32."""
    exact = trainer(tmp_path / "exact", shards).train_step()[0]
    mixed = trainer(tmp_path / "mixed", shards, precision="bfloat16").train_step()[0]
    within(abs(mixed - exact) / exact, 0.03, "the loss")
    assert mixed != exact


def test_values_suit_the_number_of_people() -> None:
    for people in (1, 2, 7, 24, 300, 5_000, 60_000, 150_000):
        made = suited(people, (256, 192))
        steps = made["crops"] / made["batch"]
        assert 1 <= made["batch"] <= people
        assert made["warmup"] <= made["crops"] / 10
        assert 1 / (1 - made["ema"]) <= 1.01 * max(10, steps / 10)  # the average forgets the start before the end
    assert suited(24, (256, 192))["freeze_norm"] and not suited(24, (256, 192), from_scratch=True)["freeze_norm"]
    assert suited(24, (256, 192), epochs=3)["crops"] == 72


# -------------------------------------------------------------------------------------------------------- the start


def test_rows_of_the_head_follow_the_names() -> None:
    old = tiny_start(5)
    old.joints = FIVE
    other = JointSet(("tail", "Right_Hand", "head"))
    with pytest.warns(CheckpointNote, match="does not know tail: that part of the head is new"):
        new = start_model(old, other)
    rows, before = new.head.final_layer.weight, old.head.final_layer.weight
    assert torch.equal(rows[1], before[2]) and torch.equal(rows[2], before[0])
    assert 0 < 100 * rows[0].abs().max() < 1  # as new weights are drawn
    kept = old.backbone.state_dict()
    assert all(torch.equal(value, kept[key]) for key, value in new.backbone.state_dict().items())
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert torch.equal(start_model(old, FIVE).head.final_layer.weight, before)
        # Five joints without names: nothing says that they are others.
        assert torch.equal(start_model(tiny_start(5), FIVE).head.final_layer.weight, before)
    with pytest.warns(CheckpointNote, match="^the start knows none of these joints: the whole head is new$"):
        start_model(old, JointSet(("tail", "wing")))


def test_starts_from_files_and_names(tmp_path: Path) -> None:
    path = save_weights(litehrnet.create_model("naive_litehrnet18", 5), tmp_path / "start.safetensors")
    assert start_model(path, FIVE).variant.name == "naive_litehrnet18"
    assert start_model("litehrnet18", COCO).trained_size == (256, 192)
    assert 100 * start_model(None, FIVE, "naive_litehrnet18").head.final_layer.weight.abs().max() < 1
    with pytest.raises(FileNotFoundError):
        start_model("litehrnet81", FIVE)


# ---------------------------------------------------------------------------------------------------------- all of it


def run(data: Path, folder: Path, **options: object):
    given = {"images": data.parent, "start": tiny_start(), "size": SIZE, "epochs": 4, "milestones": 2, "batch": 4}
    return train(data, folder, **{**given, **options})


def test_what_a_run_leaves(data: Path, tmp_path: Path) -> None:
    done = run(data, tmp_path / "run")
    files = {path.name for path in (tmp_path / "run").iterdir()}
    assert files >= {"best.safetensors", "last.safetensors", "last.pt", "log.jsonl", "curve.png", "run.json"}
    lines = [json.loads(line) for line in (tmp_path / "run" / "log.jsonl").read_text().splitlines()]
    assert lines == done.history
    assert [line["crops"] for line in lines] == [0, 16, 32]
    assert done.score["oks"] >= done.start["oks"] and lines[0]["loss"] is None
    assert done.score["oks"] == max(line["oks"] for line in lines)
    metadata = read_metadata(done.best)
    assert (metadata["trained"], metadata["size"], metadata["crops"]) == ("yes", "64x32", str(done.score["crops"]))
    assert (read_metadata(done.last)["crops"], read_metadata(done.last)["oks"]) == ("32", f"{lines[-1]['oks']:.4f}")
    assert json.loads(metadata["joint_set"])["names"] == list(FIVE.names)
    assert json.loads((tmp_path / "run" / "run.json").read_text())["crops"] == 32


def test_the_best_is_never_worse_than_the_start(data: Path, tmp_path: Path) -> None:
    """A learning rate that destroys the network leaves the start's weights as the best."""
    good = run(data, tmp_path / "good", epochs=10)
    start = tiny_start()
    start.load_state_dict(torch.load(tmp_path / "good" / "last.pt", weights_only=True)["ema"])
    done = run(data, tmp_path / "bad", start=start, lr=0.03, warmup=0)
    assert done.start["oks"] > 0 and good.history
    if done.score is not done.start:
        assert done.score["oks"] > done.start["oks"]
    assert read_metadata(done.best)["oks"] == f"{max(line['oks'] for line in done.history):.4f}"


def test_stopped_and_resumed_is_the_same_run(data: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = run(data, tmp_path / "whole")

    class Stops:
        def planned(self, plan: object) -> None: ...
        def measured(self, line: dict) -> None: ...
        def stepped(self, seen: int, loss: float) -> None:
            if seen == 20:
                os.kill(os.getpid(), signal.SIGINT)

    with pytest.raises(Interrupted, match="after 24 of 32 crops") as stopped:
        run(data, tmp_path / "cut", events=Stops())
    assert stopped.value.number == signal.SIGINT
    with pytest.raises(ValueError, match="already holds a run"):
        run(data, tmp_path / "cut")
    cut = run(data, tmp_path / "cut", resume=True)
    times = {"seconds": 0}
    assert [line | times for line in cut.history] == [line | times for line in whole.history]
    states = [torch.load(tmp_path / name / "last.pt", weights_only=True) for name in ("whole", "cut")]
    for part in ("model", "ema"):
        assert all(torch.equal(states[0][part][key], states[1][part][key]) for key in states[0][part])
    with pytest.raises(ValueError, match="no run to resume"):
        run(data, tmp_path / "nothing", resume=True)


def test_wrong_arguments(data: Path, tmp_path: Path) -> None:
    for options, sentence in (
        ({"size": (33, 32)}, "the nearest heights"),
        ({"batch": 9}, "a batch of 9 is more than the 8 people"),
        ({"device": "cuda:99"}, "there is no cuda:99 here"),
        ({"device": "tpu"}, "choose cpu or cuda"),
        ({"precision": "float16", "device": "cpu"}, "not in float16"),
        ({"milestones": 0}, "milestones must be"),
    ):
        with pytest.raises(ValueError, match=sentence):
            run(data, tmp_path / "run", **options)
    assert not (tmp_path / "run" / "last.pt").exists()


def test_other_people_to_measure_on(data: Path, tmp_path: Path) -> None:
    other = labelled_folder(tmp_path / "other", people=3, seed=5)
    done = run(data, tmp_path / "run", validate=other, validate_images=other.parent, epochs=1)
    assert len(done.history) >= 2

    class Problems:
        def planned(self, plan) -> None:
            self.problems = plan.problems

        def measured(self, line: dict) -> None: ...
        def stepped(self, seen: int, loss: float) -> None: ...

    run(data, tmp_path / "same", validate=data, epochs=1, events=(events := Problems()))
    assert [(problem.count, problem.first) for problem in events.problems] == [(10, "0.jpg")]


def test_shards_train_as_files_do(shards: Path, tmp_path: Path) -> None:
    done = train(shards, tmp_path / "run", start=tiny_start(17), size=SIZE, epochs=1, milestones=1)
    assert [line["crops"] for line in done.history] == [0, 16]


PROGRAM = """
import sys
import faulthandler
faulthandler.dump_traceback_later(500)  # where it waits, if it does
sys.path[:0] = {paths!r}
import gc, torch
from torch import distributed, nn
torch.set_num_threads(1)
from test_train import tiny_start, train
leave = distributed.destroy_process_group
def alone():
    kept = [one for one in gc.get_objects() if isinstance(one, nn.parallel.DistributedDataParallel)]
    assert not kept, "freed after its process group, it may wait for ever"
    leave()
distributed.destroy_process_group = alone
class Tells:
    def planned(self, plan): pass
    def measured(self, line): pass
    def stepped(self, seen, loss): print(seen, repr(loss), flush=True)
train({data!r}, sys.argv[1], images={images!r}, start=tiny_start(), size=(64, 32), epochs=3, milestones=1, batch=8,
      freeze_norm={frozen}, device="cpu", events=Tells())
"""


@pytest.mark.numeric
@pytest.mark.parametrize("frozen", [False, pytest.param(True, marks=pytest.mark.slow)])
def test_two_processes_give_the_losses_of_one(data: Path, tmp_path: Path, frozen: bool) -> None:
    """Under torchrun's variables, two gloo processes share every batch and every norm's statistics."""
    root = Path(__file__).resolve().parents[1]
    paths = [str(root / "tests"), str(root)]
    program = PROGRAM.format(paths=paths, data=str(data), images=str(data.parent), frozen=frozen)
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    meeting = {"MASTER_ADDR": "localhost", "MASTER_PORT": str(port), "WORLD_SIZE": "2", "OMP_NUM_THREADS": "1"}

    def start(folder: str, **variables: str) -> subprocess.Popen:
        command = [sys.executable, "-c", program, str(tmp_path / folder)]
        return subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env={**os.environ, **variables}
        )

    started = [start("two", **meeting, RANK=str(rank), LOCAL_RANK=str(rank)) for rank in range(2)]
    try:
        until = time.monotonic() + 600  # on busy cores, each of some thousand exchanges waits for both processes
        while any(process.poll() is None for process in started) and time.monotonic() < until:
            if any(process.poll() for process in started):  # the other would wait for the one that failed
                break
            time.sleep(0.1)
    finally:
        for process in started:
            process.kill()
    said = [process.communicate() for process in started]
    assert [process.returncode for process in started] == [0, 0], said[0][1] + said[1][1]
    alone, errors = start("one").communicate(timeout=600)
    losses = [np.array([float(line.split()[1]) for line in out.splitlines()]) for out in (alone, said[0][0])]
    assert len(losses[0]) == len(losses[1]) == 3, errors
    assert said[1][0] == ""  # the second process prints nothing
    same(losses[1], losses[0], 1e-3)


# ------------------------------------------------------------------------------------------------------ the command


def test_the_command_stops_and_goes_on(data: Path, tmp_path: Path, capsys) -> None:
    start = save_weights(litehrnet.create_model("naive_litehrnet18", 5), tmp_path / "start.safetensors")
    words = ["train", data, "--images", data.parent, "-o", tmp_path / "run", "--start", start, "--size", "32x32"]
    words += ["--epochs", 2, "--batch", 4, "--milestones", 2, "--device", "cpu"]
    words = [str(word) for word in words]
    assert main([*words, "--stop-at", "8"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["crops"] for line in out.splitlines()] == [0, 8]
    assert "training on 8 people in 8 pictures, measuring on 2 in 2; 16 crops of 32x32 in steps of 4" in err
    assert main(words) == 1
    assert "add --resume" in capsys.readouterr().err
    assert main([*words, "--resume"]) == 0
    out, err = capsys.readouterr()
    assert [json.loads(line)["crops"] for line in out.splitlines()] == [16]
    assert err.splitlines()[-1] == str(tmp_path / "run" / "best.safetensors")
    trained = litehrnet.from_checkpoint(tmp_path / "run" / "best.safetensors")
    assert (trained.variant.name, trained.joints, trained.trained_size) == ("naive_litehrnet18", FIVE, (32, 32))


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("measured", "few"),
    [((0.1, 0.3, 0.2), 3), ((0.1, 0.3, 0.2), 2), ((0.1, 0.2, 0.3), 3)],
    ids=["few", "enough", "the last is the best"],
)
def test_a_best_that_few_people_chose_is_called_so(
    data: Path, tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch, measured: tuple, few: int
) -> None:
    """Where another milestone than the last is the best, and few people were held out: the last one is kept, too."""
    torch.manual_seed(0)
    scores, earlier = iter(measured), measured[1] > measured[2]
    monkeypatch.setattr(Trainer, "measured", lambda *_: (next(scores), 0.0))
    monkeypatch.setattr("litehrnet.cli.train.FEW", few)
    start = save_weights(litehrnet.create_model("naive_litehrnet18", 5), tmp_path / "start.safetensors")
    words = ["train", data, "--images", data.parent, "-o", tmp_path / "run", "--start", start, "--size", "32x32"]
    words += ["--epochs", 2, "--batch", 4, "--milestones", 2, "--device", "cpu", "--lr", "0.01"]
    assert main([str(word) for word in words]) == 0
    shown = capsys.readouterr().err
    notes = [line for line in shown.splitlines() if "too few to choose by" in line]
    last = tmp_path / "run" / "last.safetensors"
    assert len(notes) == (earlier and few == 3), shown  # 2 of the 10 people are held out
    assert all("2 people are" in note and "OKS 0.2000" in note and note.endswith(str(last)) for note in notes)
    average = torch.load(tmp_path / "run" / "last.pt", weights_only=True)["ema"]
    kept = litehrnet.from_checkpoint(last)
    for key, value in kept.state_dict().items():
        if value.is_floating_point():
            same(value, average[key], 1e-2)
    best = litehrnet.from_checkpoint(tmp_path / "run" / "best.safetensors")
    assert torch.equal(best.head.final_layer.weight, kept.head.final_layer.weight) is not earlier


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--start", "litehrnet81"), "did you mean litehrnet18?"),
        (("--model", "litehrnet30"), "--model is for random weights"),
        (("--start", "none", "--model", "resnet"), "unknown variant 'resnet'"),
        (("--validate", "nowhere.json"), "no such file: nowhere.json"),
        (("--resume",), "holds no run to resume"),
        (("--validate-images", "."), "add --validate FILE"),
        (("--device", "cuda:x"), "unknown device 'cuda:x'"),
        (("--device", "cuda1"), "unknown device 'cuda1'"),
        (("--device", "cuda:-1"), "unknown device 'cuda:-1'"),
    ],
)
def test_wrong_calls_are_one_sentence(data: Path, tmp_path: Path, capsys, words: tuple, sentence: str) -> None:
    given = ["train", data, "--images", data.parent, "-o", tmp_path / "run", "--device", "cpu", *words]
    assert main([str(word) for word in given]) == 1
    out, err = capsys.readouterr()
    assert out == "" and sentence in err.strip().splitlines()[-1]


@pytest.mark.parametrize(
    ("output", "options", "sentence"),
    [
        ("a_file", (), "a_file is not a folder; give a folder for the results"),
        ("a_file/below/run", (), "a_file is not a folder"),
        ("a_link", (), "a_link is not a folder"),
        ("a_run", (), "already holds a run; add --resume"),
        ("a_folder", ("--resume",), "holds no run to resume"),
        ("not/there", ("--resume",), "holds no run to resume"),
    ],
)
def test_the_folder_is_refused_before_the_data_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys, output: str, options: tuple, sentence: str
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("a_file").touch()
    Path("a_link").symlink_to("nowhere")
    for folder in ("a_run", "a_folder"):
        Path(folder).mkdir()
    Path("a_run/last.pt").touch()
    before = sorted(tmp_path.rglob("*"))
    assert main(["train", "nowhere.json", "--images", ".", "-o", output, *options]) == 1
    out, err = capsys.readouterr()
    assert out == "" and sentence in err and len(err.splitlines()) == 1
    with pytest.raises((ValueError, OSError), match=sentence.replace("--resume", "resume=True")):
        train("nowhere.json", output, images=".", resume=bool(options))
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes anywhere")
def test_a_folder_that_may_not_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kept").mkdir(mode=0o500)
    for folder in ("kept", "kept/run"):
        with pytest.raises(PermissionError, match=r"cannot write into .*kept: permission denied"):
            train("nowhere.json", tmp_path / folder, images=".")


def test_bad_data_is_named_before_the_first_step(data: Path, tmp_path: Path, capsys) -> None:
    held = json.loads(data.read_text())
    held["images"][3]["file_name"] = "nowhere.jpg"
    held["annotations"][5]["bbox"] = [1000, 0, 10, 10]
    (tmp_path / "bad.json").write_text(json.dumps(held))
    start = save_weights(litehrnet.create_model("naive_litehrnet18", 5), tmp_path / "start.safetensors")
    words = ["train", tmp_path / "bad.json", "--images", data.parent, "-o", tmp_path / "run", "--start", start]
    assert main([str(word) for word in [*words, "--size", "32x32", "--stop-at", 1, "--device", "cpu"]]) == 0
    err = capsys.readouterr().err
    assert "pictures that are missing (left out)" in err and "nowhere.jpg" in err
    assert "boxes outside their picture (left out)" in err and "annotation 5" in err
    assert "training on 6 people in 6 pictures, measuring on 2 in 2" in err


def test_a_plan_says_that_no_curve_is_drawn_and_milestones_are_short(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    from litehrnet.cli import train

    recipe = SimpleNamespace(size=(64, 32), crops=80, batch=8, lr=1e-3, precision="float32")
    plan = SimpleNamespace(
        recipe=recipe, problems=[], people=9, pictures=3, validation=2, validation_pictures=1, device="cpu", seen=0
    )
    for installed in (True, False):
        if not installed:
            monkeypatch.setitem(sys.modules, "matplotlib", None)
        train._Reporter(first=False).planned(plan)
        assert ("no curve will be drawn" in capsys.readouterr().err) is not installed
    reporter = train._Reporter(first=False)
    reporter.planned(plan)
    line = {"crops": 40, "loss": 6.282551527023315, "oks": None, "lr": 0.00033941125496954284, "seconds": 1234.5}
    reporter.measured(line)
    line = json.loads(capsys.readouterr().out)
    assert line.pop("seconds_left") >= 0
    assert line == {"crops": 40, "loss": 6.283, "oks": None, "lr": 0.0003394, "seconds": 1234.5}


def test_the_seconds_left_are_those_of_this_process_and_never_negative(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    """A resumed run has its own pace, measuring takes time too, and the last step may go beyond what was asked for."""
    from litehrnet.cli import train

    clock = iter((100.0, 101.0, 130.0, 160.0))
    monkeypatch.setattr(train, "time", SimpleNamespace(monotonic=lambda: next(clock)))
    recipe = SimpleNamespace(size=(64, 32), crops=78, batch=8, lr=1e-3, precision="float32")
    plan = SimpleNamespace(
        recipe=recipe, problems=[], people=9, pictures=3, validation=2, validation_pictures=1, device="cpu", seen=40
    )
    reporter = train._Reporter(first=False)
    reporter.planned(plan)
    for crops in (48, 64, 80):
        reporter.measured({"crops": crops, "seconds": 1000.0})
    told = [json.loads(line)["seconds_left"] for line in capsys.readouterr().out.splitlines()]
    assert told == [3.8, 17.5, 0]


# ------------------------------------------------------------------------------------------------- the bundled weights
@pytest.mark.slow
def test_weights_are_made_in_the_time_that_is_given(
    shards: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Without the renderer: the pictures are those of the other tests."""
    import make_weights

    def render(words: list[str]) -> int:
        shutil.copytree(shards, words[words.index("--out") + 1], dirs_exist_ok=True)
        return 0

    monkeypatch.setattr(make_weights.render_people, "main", render)
    monkeypatch.setattr(make_weights, "TRIAL", 4)
    monkeypatch.setattr(make_weights, "MEASURING", 0)
    began = time.perf_counter()
    words = ["--out", tmp_path / "w", "--batch", 4, "--start", "litehrnet18", "--milestones", 1, "--device", "cpu"]
    assert make_weights.main([*map(str, words), "--minutes", "0.4"]) == 0
    taken = time.perf_counter() - began
    done, result = map(json.loads, capsys.readouterr().out.splitlines())
    assert done["stage"] == "full" and done["crops"] >= 4
    assert result == json.loads((tmp_path / "w" / "result.json").read_text())
    assert result["heldout_oks"] > 0.3 and (tmp_path / "w" / "litehrnet18_256x192.safetensors").is_file()
    assert taken < 240, "ten times what was given"
    monkeypatch.setattr(make_weights, "_Clock", None)  # no second trial
    assert make_weights.main([*map(str, words), "--minutes", "0.4"]) == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0]) == done, "the same command continues, to the same end"


def test_a_rate_is_that_of_the_second_half_of_a_trial() -> None:
    import make_weights

    clock = make_weights._Clock()
    clock.at = [(float(time), seen) for time, seen in ((0, 8), (1, 800), (10, 808), (11, 816), (12, 824), (13, 832))]
    assert clock.rate() == 8.0
