"""Training and measuring on tiny data: crops, targets, losses, exact resume, PCK, OKS, average precision."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import evaluate
import numpy as np
import pytest
import torch
import train
from bounds import same, within
from PIL import Image

import litehrnet
from litehrnet import blocks
from litehrnet.checkpoints import CheckpointNote, read_metadata, save_weights
from litehrnet.heatmaps import COCO_SIGMAS, MEAN, STD, crop_person, decode, to_input
from litehrnet.train.crops import Augmentation, _close_up, gaussian_targets, training_crop
from litehrnet.train.data import COCO, CocoPeople, JointSet, ShardPeople, open_people, read_joint_set
from litehrnet.train.evaluation import flip_test, measure
from litehrnet.train.loop import Recipe, Trainer
from litehrnet.train.losses import LOSSES, heatmap_loss

STILL = Augmentation(**dict.fromkeys(Augmentation.__dataclass_fields__, 0.0))
GEOMETRY = Augmentation(**{**STILL.__dict__, "flip": 0.5, "scale": 0.3, "rotate": 1.0, "rotation": 25.0, "shift": 0.04})
FIVE = JointSet(
    ("head", "left hand", "right hand", "left foot", "right foot"), flip_pairs=((1, 2), (3, 4)), sigmas=(0.05,) * 5
)


@pytest.fixture(autouse=True)
def process_as_before() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.set_flush_denormal(False)


def drawn_person(rng: np.random.Generator, joints: int = 17) -> tuple[Image.Image, np.ndarray]:
    """Grey noise with a disc of its own colour around every joint."""
    pixels = rng.integers(90, 110, (320, 256, 3), dtype=np.uint8)
    places = np.column_stack([rng.uniform(60, 190, joints), rng.uniform(70, 250, joints), np.full(joints, 2)])
    rows, columns = np.mgrid[:320, :256]
    for k, (x, y, _) in enumerate(places):
        pixels[(columns - x) ** 2 + (rows - y) ** 2 < 40] = (255 * k // joints, 255, 255 - 255 * k // joints)
    return Image.fromarray(pixels), places.astype(np.float32)


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
def photos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three people of five joints on two photographs, in COCO's form."""
    folder = tmp_path_factory.mktemp("photos")
    rng = np.random.default_rng(1)
    people: dict = {"images": [], "annotations": []}
    for number in (1, 2):
        image, places = drawn_person(rng, 5)
        image.save(folder / f"{number}.jpg")
        people["images"].append({"id": number, "file_name": f"{number}.jpg", "height": 320, "width": 256})
        for copy in range(number):
            entry = {"id": 10 * number + copy, "image_id": number, "category_id": 1, "bbox": [50, 60, 150, 200]}
            entry |= {"area": 15_000, "keypoints": places.ravel().tolist(), "num_keypoints": 5, "iscrowd": 0}
            people["annotations"].append(entry)
    people["annotations"].append({"id": 99, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1})
    (folder / "people.json").write_text(json.dumps(people))
    names = {"names": FIVE.names, "flip_pairs": FIVE.flip_pairs, "sigmas": FIVE.sigmas}
    (folder / "joints.json").write_text(json.dumps(names))
    return folder


# ---------------------------------------------------------------------------------------------------------- people


def test_shards_are_read_in_order(shards: Path) -> None:
    people = open_people(shards)
    assert isinstance(people, ShardPeople)
    assert len(people) == 16
    assert people.person(8).key == ("shard_00001.npz", 0)
    image, size = people.image(3)
    assert (image.size, size) == ((256, 320), (320, 256))
    half, size = people.image(3, scale=0.4)
    assert (half.size, size) == ((128, 160), (320, 256))


def test_coco_people_leave_out_crowds(photos: Path) -> None:
    people = open_people(photos / "people.json", photos, joints=5)
    assert [people.person(i).key for i in range(len(people))] == [(1, 10), (2, 20), (2, 21)]
    with pytest.raises(ValueError, match="5 joints, not 17"):
        CocoPeople(photos / "people.json", photos)
    with pytest.raises(ValueError, match="folder"):
        open_people(photos / "people.json")
    with pytest.raises(ValueError, match="no shard"):
        open_people(photos)


def test_joint_sets(photos: Path, tmp_path: Path) -> None:
    assert read_joint_set(photos / "joints.json") == FIVE
    assert FIVE.mirrored.tolist() == [0, 2, 1, 4, 3]
    (tmp_path / "bad.json").write_text('{"names": ["a"]}')
    with pytest.raises(ValueError, match=r"bad\.json has no sigmas"):
        read_joint_set(tmp_path / "bad.json")


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
    recipe = Recipe(**{"size": (64, 32), "images": 48, "batch": 8, "warmup": 16, "sigma": 1.0, **changes})
    folder.mkdir(exist_ok=True)
    return Trainer(recipe, folder, lambda names: (open_people(shards), ["all"]), COCO)


def test_resume_is_exact(shards: Path, tmp_path: Path) -> None:
    torch.set_num_threads(1)
    whole = trainer(tmp_path / "whole", shards)
    losses = [whole.train_step() for _ in range(5)]
    first = trainer(tmp_path / "cut", shards)
    assert not first.resume()
    cut = [first.train_step() for _ in range(3)]  # stops in the middle of an epoch
    first.save()
    second = trainer(tmp_path / "cut", shards)
    assert second.resume()
    cut += [second.train_step() for _ in range(2)]
    assert cut == losses
    for one, other in ((whole.model, second.model), (whole.average, second.average)):
        for (key, value), again in zip(one.state_dict().items(), other.state_dict().values(), strict=True):
            assert torch.equal(value, again), key
    assert (second.seen, second.epoch, second.position) == (whole.seen, whole.epoch, whole.position) == (40, 2, 8)


def test_another_recipe_is_refused_and_a_longer_one_taken(shards: Path, tmp_path: Path) -> None:
    trainer(tmp_path / "run", shards).save()
    with pytest.raises(ValueError, match=r"lr 0\.0025 -> 0\.1"):
        trainer(tmp_path / "run", shards, lr=0.1).resume()
    assert trainer(tmp_path / "run", shards, images=96).resume()


def test_it_learns(shards: Path, tmp_path: Path) -> None:
    learner = trainer(tmp_path / "run", shards, images=400, augmentation=STILL)
    losses = [learner.train_step() for _ in range(16)]
    assert np.mean(losses[-3:]) < 0.9 * np.mean(losses[:3])
    learner.keep_best(0.5, note="tiny")
    assert not learner.keep_best(0.4)
    path = tmp_path / "run" / "best.safetensors"
    assert read_metadata(path)["trained"] == "yes"
    assert litehrnet.from_checkpoint(path).num_joints == 17


def test_training_shuffles_in_channels_last(shards: Path, tmp_path: Path) -> None:
    made = trainer(tmp_path / "run", shards)
    forms = {module.form for module in made.model.modules() if isinstance(module, blocks.ChannelShuffle)}
    assert forms == {"channels_last"}


def test_train_from_the_command_line_stops_and_goes_on(shards: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    line = ["--train", str(shards), "--val", str(shards), "--val-count", "2", "--size", "32x32", "--sigma", "1"]
    line += ["--images", "32", "--batch", "8", "--every", "16", "--out", str(out), "--device", "cpu"]
    train.main([*line, "--stop-at", "16"])
    train.main(line)
    with (out / "log.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [int(row["images"]) for row in rows] == [16, 32]
    assert 0 <= float(rows[-1]["pck"]) <= 1
    assert json.loads((out / "recipe.json").read_text())["size"] == [32, 32]
    assert {"last.pt", "best.safetensors", "log.png"} <= {path.name for path in out.iterdir()}


def test_train_on_coco_form_with_other_joints_from_weights(photos: Path, tmp_path: Path) -> None:
    start = save_weights(litehrnet.create_model("naive_litehrnet18", 5), tmp_path / "start.safetensors")
    line = ["--train", str(photos / "people.json"), "--train-images", str(photos), "--joints"]
    line += [str(photos / "joints.json"), "--model", "naive_litehrnet18", "--start", str(start), "--size", "32x32"]
    train.main([*line, "--images", "6", "--batch", "3", "--out", str(tmp_path / "run"), "--device", "cpu"])
    trained = litehrnet.from_checkpoint(tmp_path / "run" / "best.safetensors")
    assert (trained.variant.name, trained.joints, trained.trained_size) == ("naive_litehrnet18", FIVE, (32, 32))


def test_train_other_joints_from_an_old_backbone(shards: Path, tmp_path: Path) -> None:
    start = litehrnet.create_model("naive_litehrnet18", 5)
    path = save_weights(start, tmp_path / "start.safetensors")
    run = trainer(tmp_path / "run", shards, model="naive_litehrnet18")
    with pytest.warns(CheckpointNote, match="holds 5 joints: the head for 17 joints is new"):
        run.start_from(path)
    kept = litehrnet.load_checkpoint(start, path).backbone.state_dict()
    for model in (run.model, run.average):
        assert all(torch.equal(value, kept[key]) for key, value in model.backbone.state_dict().items())
        assert (model.num_joints, model.head.final_layer.bias.count_nonzero()) == (17, 0)
    sentence = "holds naive_litehrnet18, and the recipe asks for litehrnet18"
    with pytest.warns(CheckpointNote), pytest.raises(ValueError, match=sentence):
        trainer(tmp_path / "other", shards, model="litehrnet18").start_from(path)


@pytest.mark.slow
def test_two_processes_share_a_batch(shards: Path, tmp_path: Path) -> None:
    line = ["--train", str(shards), "--size", "32x32", "--images", "16", "--batch", "8", "--device", "cpu"]
    train.main([*line, "--processes", "2", "--out", str(tmp_path / "two")])
    assert litehrnet.from_checkpoint(tmp_path / "two" / "best.safetensors").num_joints == 17


# -------------------------------------------------------------------------------------------------------- measuring


def perfect_network(people: CocoPeople | ShardPeople, size: tuple[int, int]):
    """Gives the targets of one person after another."""
    numbers = iter(range(len(people)))

    def network(images: np.ndarray) -> np.ndarray:
        index = next(numbers)
        _, to_crop = crop_person(np.asarray(people.image(index)[0]), people.person(index).box, size)
        joints = people.person(index).joints.copy()
        joints[:, :2] = joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
        return gaussian_targets(joints, size, 2.0)[0][None]

    return network


def test_perfect_heatmaps_score_perfectly(shards: Path) -> None:
    people = open_people(shards)
    result = measure(perfect_network(people, (256, 192)), people, COCO, (256, 192))
    assert result.pck() == 1
    assert result.oks.shape == (16,)
    assert result.oks.min() > 0.95
    empty = measure(lambda x: np.zeros((1, 17, 64, 48), np.float32), people, COCO, (256, 192))
    assert empty.pck() < 0.1


def test_pck_counts_labelled_joints_within_a_twentieth(shards: Path) -> None:
    people = open_people(shards)
    result = measure(perfect_network(people, (256, 192)), people, COCO, (256, 192), indices=[0])
    errors = np.full((1, 17), np.nan)
    errors[0, :4] = [0, 12.7 / 256, 12.9 / 256, 1]
    assert type(result)(result.oks, errors, result.joints, result.scores).pck() == 0.5


@pytest.mark.numeric
def test_flip_test_shifts_the_mirror_by_one_heatmap_pixel() -> None:
    """A network that samples every fourth pixel, on a ramp: the mirrored maps come from one pixel beside, not from
    three pixels beside, as without the shift."""
    pair = JointSet(("left", "right"), flip_pairs=((0, 1),), sigmas=(0.1, 0.1))
    ramp = np.broadcast_to(np.arange(32, dtype=np.float32), (1, 3, 8, 32))

    def network(images: np.ndarray) -> np.ndarray:
        sampled = images[:, :1, ::4, ::4]
        return np.concatenate([sampled, sampled + 100], axis=1)

    maps = flip_test(network, ramp, pair)
    columns = 4.0 * np.arange(8)
    for channel in range(2):
        same(maps[0, channel, 0, 1:], (columns + columns - 1 + 100)[1:] / 2, 1e-5)


@pytest.mark.parametrize("flip", [False, True])
def test_evaluate_from_the_command_line(photos: Path, tmp_path: Path, capsys, flip: bool) -> None:
    weights = save_weights(litehrnet.create_model("litehrnet18", 5), tmp_path / "weights.safetensors")
    line = [str(weights), "--annotations", str(photos / "people.json"), "--images", str(photos), "--size", "64x64"]
    line += ["--joints", str(photos / "joints.json"), "--save", str(tmp_path / "poses.json")]
    numbers = evaluate.main([*line, "--flip"] if flip else line)
    assert numbers["people"] == 3
    assert 0 <= numbers["OKS"] <= 1
    assert "3 people: PCK@0.05" in capsys.readouterr().out
    poses = json.loads((tmp_path / "poses.json").read_text())
    assert [(found["image_id"], len(found["keypoints"])) for found in poses] == [(1, 15), (2, 15), (2, 15)]


def test_evaluate_refuses_what_does_not_go_together(capsys) -> None:
    for line in (["m.onnx"], ["m.onnx", "--annotations", "a.json"], ["m.onnx", "--shards", "s", "--boxes", "b.json"]):
        with pytest.raises(SystemExit):
            evaluate.main(line)
        assert "error" in capsys.readouterr().err


def test_average_precision_of_perfect_and_of_shifted_poses(photos: Path) -> None:
    held = json.loads((photos / "people.json").read_text())["annotations"][:3]
    perfect, far = [], []
    for entry in held:
        joints = np.reshape(entry["keypoints"], (-1, 3))[:, :2]
        perfect.append(evaluate.pose(joints, np.full(5, 0.9), entry["image_id"]))
        far.append(evaluate.pose(joints + 100, np.full(5, 0.9), entry["image_id"]))
    assert evaluate.average_precision(photos / "people.json", perfect, FIVE)["AP"] == pytest.approx(1)
    assert evaluate.average_precision(photos / "people.json", far, FIVE)["AP"] == 0


def test_evaluate_with_detected_boxes(photos: Path, tmp_path: Path) -> None:
    weights = save_weights(litehrnet.create_model("litehrnet18", 5), tmp_path / "weights.safetensors")
    boxes = [
        {"image_id": 2, "category_id": 1, "bbox": [50, 60, 150, 200], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [45, 60, 150, 200], "score": 0.8},
        {"image_id": 1, "category_id": 3, "bbox": [45, 60, 150, 200], "score": 0.8},
    ]
    (tmp_path / "boxes.json").write_text(json.dumps(boxes))
    line = [str(weights), "--annotations", str(photos / "people.json"), "--images", str(photos), "--size", "64x64"]
    line += ["--joints", str(photos / "joints.json"), "--boxes", str(tmp_path / "boxes.json")]
    assert set(evaluate.main(line)) >= {"AP", "AR"}


def test_sigmas_are_cocos() -> None:
    assert COCO.sigmas == COCO_SIGMAS
    assert len(COCO.names) == 17
