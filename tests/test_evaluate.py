"""`litehrnet evaluate`, and reading labelled people: numbers worked out by hand, and every kind of bad data."""

from __future__ import annotations

import copy
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from bounds import same
from labelled import FIVE, annotation, drawn_person, labelled_folder
from PIL import Image
from reference import reference_state

from litehrnet.checkpoints.joints import JointSet
from litehrnet.cli import main
from litehrnet.export.formats import export
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person
from litehrnet.measure import evaluate
from litehrnet.measure.accuracy import average_precision, flip_test, measure
from litehrnet.model import LiteHRNet, Variant
from litehrnet.people import CocoPeople, problem_table, read_people, with_sigmas
from litehrnet.train.crops import gaussian_targets

SIZE = (64, 64)
SMALL = Variant("small", modules=(1, 1, 1), channels=(40, 80, 160, 320), channel_weighting=False, blocks=2)


def small_model(num_joints: int = 5) -> LiteHRNet:
    """A small network that every runtime takes, with reference weights."""
    model = LiteHRNet(SMALL, num_joints, "computed").eval()
    model.load_state_dict(reference_state(model))
    return model


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three pictures of one person each, another person and a crowd on the first of them."""
    path = labelled_folder(tmp_path_factory.mktemp("photos"))
    held = json.loads(path.read_text())
    _, places = drawn_person(np.random.default_rng(9), 5)
    held["annotations"].append(annotation(20, 0, places))
    held["annotations"].append({"id": 99, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "iscrowd": 1})
    path.write_text(json.dumps(held))
    return path


@pytest.fixture
def people(data: Path) -> CocoPeople:
    return read_people(data, data.parent)


def perfect(people: CocoPeople, size: tuple[int, int], order: list[int] | None = None) -> Callable:
    """A network that gives the targets of one person after another."""
    numbers = iter(range(len(people)) if order is None else order)

    def network(images: np.ndarray) -> np.ndarray:
        person = people.person(index := next(numbers))
        _, to_crop = crop_person(np.asarray(people.image(index)[0]), person.box, size)
        joints = person.joints.copy()
        joints[:, :2] = joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
        return gaussian_targets(joints, size, 2.0)[0][None]

    return network


# ---------------------------------------------------------------------------------------------------------- numbers


@pytest.mark.numeric
def test_what_is_perfect_scores_one(people: CocoPeople) -> None:
    result = measure(perfect(people, (256, 192)), people, FIVE, (256, 192))
    assert result.pck() == 1
    assert result.oks.shape == (4,)
    assert result.oks.min() > 0.95
    same(np.nanmean(result.similarity, axis=1), result.oks, 1e-6)
    empty = measure(lambda x: np.zeros((1, 5, 64, 48), np.float32), people, FIVE, (256, 192))
    assert empty.pck() < 0.1


def test_average_precision_of_perfect_and_of_shifted_poses(people: CocoPeople) -> None:
    persons = [people.person(index) for index in range(len(people))]

    def coco(shift: float) -> dict[str, float]:
        moved = [(p.key[0], (p.joints + np.float32([shift, 0, 0])).ravel().tolist()) for p in persons]
        poses = [{"image_id": at, "category_id": 1, "score": 0.9, "keypoints": found} for at, found in moved]
        return average_precision(people, persons, poses, FIVE)

    assert coco(0)["AP"] == coco(0)["AR"] == pytest.approx(1)
    assert coco(100)["AP"] == 0
    # At OKS 0.62 and an area of 15,000 with sigmas of 0.05, every pose counts at three of ten thresholds.
    shift = float(np.sqrt(-np.log(0.62) * 2 * 15_000 * (2 * 0.05) ** 2))
    assert coco(shift)["AP"] == pytest.approx(0.3)
    assert coco(shift)["AP50"] == pytest.approx(1)


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


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One network in every format, with the runtime's name."""
    folder = tmp_path_factory.mktemp("files")
    model = small_model()
    export(model, folder / "m.onnx", size=SIZE, exporter="torchscript")
    export(model, folder / "m.lhr", size=SIZE)
    return {"onnxruntime": folder / "m.onnx", "openvino": folder / "m.onnx", "c": folder / "m.lhr"}


@pytest.mark.numeric
@pytest.mark.parametrize("runtime", ["onnxruntime", "openvino", "c"])
@pytest.mark.parametrize("flip", [False, True])
def test_every_runtime_measures_the_same(files: dict[str, Path], data: Path, runtime: str, flip: bool) -> None:
    wanted = evaluate(small_model(), data, data.parent, size=SIZE, flip=flip)
    found = evaluate(files[runtime], data, data.parent, runtime=runtime, flip=flip)
    assert (found.size, found.flip, found.people, found.pictures) == (SIZE, flip, 4, 3)
    for one, other in zip(found.poses, wanted.poses, strict=True):
        scores, expected = (np.array(pose["keypoints"])[2::3] for pose in (one, other))
        same(scores, expected, 2e-2)  # they are written to three decimals
    assert [row.labelled for row in found.joints] == [4] * 5
    assert 0 <= found.coco["AP"] <= found.coco["AP50"] <= 1
    assert found.oks == pytest.approx(wanted.oks, abs=0.05)


def test_detected_boxes_of_another_order(people: CocoPeople, data: Path) -> None:
    """Boxes give AP and AR alone; those of another category, or on a picture nobody asks for, do not count."""
    boxes = [
        {"image_id": 2, "category_id": 1, "bbox": [50, 60, 150, 200], "score": 0.9},
        {"image_id": 1, "category_id": 1, "bbox": [45, 60, 150, 200], "score": 0.8},
        {"image_id": 1, "category_id": 3, "bbox": [45, 60, 150, 200], "score": 0.8},
        {"image_id": 77, "category_id": 1, "bbox": [45, 60, 150, 200], "score": 0.8},
    ]
    found = evaluate(small_model(), people, size=SIZE, boxes=boxes)
    assert (found.people, found.pictures, found.oks, found.joints) == (2, 2, None, ())
    assert [pose["image_id"] for pose in found.poses] == [1, 2]
    assert set(found.coco) >= {"AP", "AR large"}
    with pytest.raises(ValueError, match="none of the detected boxes"):
        evaluate(small_model(), people, size=SIZE, boxes=boxes[3:])
    with pytest.raises(ValueError, match="a list of detections"):
        evaluate(small_model(), people, size=SIZE, boxes=[{"bbox": [0, 0, 1, 1]}])


def test_another_number_of_joints_is_refused(people: CocoPeople) -> None:
    with pytest.raises(ValueError, match=r"gives 17 joints, and the data labels 5 \(head"):
        evaluate(small_model(17), people, size=SIZE)


# --------------------------------------------------------------------------------------------------------- bad data


def broken(data: Path, tmp_path: Path, change: Callable[[dict], None]) -> Path:
    held = json.loads(data.read_text())
    change(held)
    path = tmp_path / "broken.json"
    path.write_text(json.dumps(held))
    return path


def first(held: dict, **values: object) -> None:
    held["annotations"][0] |= values


KINDS: dict[str, tuple[Callable[[dict], None], str]] = {
    "missing": (lambda held: held["images"][0].update(file_name="nowhere.jpg"), "pictures that are missing"),
    "no picture": (lambda held: held["images"][0].update(file_name="people.json"), "pictures that cannot be read"),
    "other size": (lambda held: held["images"][0].update(height=31), "pictures of another size"),
    "id twice": (lambda held: held["images"][2].update(id=1), "an id that another one has"),
    "no file name": (lambda held: held["images"][0].pop("file_name"), "without an id or a file_name"),
    "not listed": (lambda held: first(held, image_id=55), "a picture that is not listed"),
    "no keypoints": (lambda held: first(held, keypoints=[]), "annotations without keypoints"),
    "no label": (lambda held: first(held, keypoints=[0, 0, 0] * 5), "without a labelled joint"),
    "words": (lambda held: first(held, keypoints=["a"] * 15), "keypoints that are not x, y and 0, 1 or 2"),
    "not thirds": (lambda held: first(held, keypoints=[1, 2] * 5), "keypoints that are not x, y and 0, 1 or 2"),
    "visibility": (lambda held: first(held, keypoints=[1, 2, 7] * 5), "keypoints that are not x, y and 0, 1 or 2"),
    "wrong K": (lambda held: first(held, keypoints=[9, 9, 2] * 4), "annotations of 4 joints, where 5 have names"),
    "empty box": (lambda held: first(held, bbox=[9, 9, 0, 4]), "boxes that are missing or empty"),
    "no box": (lambda held: held["annotations"][0].pop("bbox"), "boxes that are missing or empty"),
    "box outside": (lambda held: first(held, bbox=[256, 0, 20, 20]), "boxes outside their picture"),
    "same id": (lambda held: held["annotations"][1].update(id=0), "ids used twice"),
    "no object": (lambda held: held["annotations"].insert(0, 3), "annotations that are not objects"),
}


@pytest.mark.parametrize("kind", KINDS)
def test_bad_data_is_left_out_counted_and_named(data: Path, tmp_path: Path, kind: str) -> None:
    change, sentence = KINDS[kind]
    people = read_people(broken(data, tmp_path, change), data.parent)
    assert 1 <= len(people) <= 4
    found = [problem for problem in people.problems if sentence in problem.what]
    assert [(problem.count, problem.used) for problem in found] == [(1, False)]
    assert found[0].first in problem_table(people.problems)


def test_what_is_used_all_the_same(data: Path, tmp_path: Path) -> None:
    def change(held: dict) -> None:
        del held["annotations"][1]["area"]
        held["annotations"][2]["keypoints"][:3] = [-30, 10, 2]

    people = read_people(broken(data, tmp_path, change), data.parent)
    assert (len(people), people.person(1).area) == (4, 150 * 200)
    assert people.person(2).joints[0].tolist() == [0, 0, 0]
    used = {problem.what.split(" (")[0]: problem.first for problem in people.problems if problem.used}
    assert used == {
        "people without an area": "annotation 1",
        "people with a joint outside their picture": "annotation 2",
    }


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[]", "needs a list of images and a list of annotations"),
        ('{"images": []}', "has no list of annotations"),
        ("{", "is not JSON"),
        ('{"images": [], "annotations": [], "categories": [{"keypoints": ["a"]}]}', "it has no annotations"),
        ('{"images": [], "annotations": [{"id": 4, "keypoints": [1, 1, 2]}]}', "does not name its joints"),
        ('{"images": [], "annotations": [{"id": 4}], "categories": [{"keypoints": ["a"]}]}', "first annotation 4"),
    ],
)
def test_what_is_no_keypoint_file(tmp_path: Path, text: str, sentence: str) -> None:
    (tmp_path / "data.json").write_text(text)
    with pytest.raises(ValueError, match=sentence) as caught:
        read_people(tmp_path / "data.json", tmp_path)
    assert "\n" not in str(caught.value)
    with pytest.raises(NotADirectoryError, match="is not a folder"):
        read_people(tmp_path / "data.json", tmp_path / "nowhere")


def test_turned_pictures_are_upright(data: Path, tmp_path: Path) -> None:
    """A telephone's picture is stored on its side; the labels are those of what one sees."""
    turned = Image.open(data.parent / "0.jpg").transpose(Image.Transpose.ROTATE_90)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(tmp_path / "0.jpg", exif=exif, quality=95)
    held = json.loads(data.read_text())
    held["images"], held["annotations"] = held["images"][:1], held["annotations"][:1]
    (tmp_path / "people.json").write_text(json.dumps(held))
    people = read_people(tmp_path / "people.json", tmp_path)
    for scale, share in ((1.0, 1), (0.4, 2)):
        image, size = people.image(0, scale)
        assert (size, (image.height, image.width)) == ((320, 256), (320 // share, 256 // share))


def test_names_give_sigmas(data: Path) -> None:
    assert read_people(data, data.parent).joint_set == FIVE
    own = with_sigmas(JointSet(("Left_Wrist", "tip of the tail")))
    assert own.sigmas == (0.062, 0.05)
    assert read_people(data, data.parent, JointSet(tuple("abcde"))).joint_set.sigmas == (0.05,) * 5


# ------------------------------------------------------------------------------------------------------ the command


def evaluated(capsys: pytest.CaptureFixture, *words: object) -> tuple[int, str, str]:
    code = main([str(word) for word in ("evaluate", *words)])
    out, err = capsys.readouterr()
    return code, out, err


def test_the_command(files: dict[str, Path], data: Path, tmp_path: Path, capsys) -> None:
    options = ("--images", data.parent, "-o", tmp_path / "n.json", "--save-poses", tmp_path / "p.json", "--flip")
    code, out, err = evaluated(capsys, files["c"], data, *options)
    assert code == 0
    assert "4 people on 3 pictures at 64x64, with the mirror image" in out
    assert "right foot" in out and "AP50" in out
    assert "crowds (left out)" in err
    numbers = json.loads((tmp_path / "n.json").read_text())
    assert numbers["people"] == 4 and 0 <= numbers["coco"]["AR"] <= 1
    assert [len(pose["keypoints"]) for pose in json.loads((tmp_path / "p.json").read_text())] == [15] * 4
    again = evaluated(capsys, files["c"], data, *options, "--json", "--count", 2)
    assert again[0] == 0 and json.loads(again[1])["people"] == 2
    assert (
        evaluated(capsys, files["c"], data, "--images", data.parent, "-o", data)[0] == 1
    )  # it would replace the labels


def test_other_names_are_noticed(files: dict[str, Path], data: Path, tmp_path: Path, capsys) -> None:
    model = small_model()
    model.joints = FIVE
    export(model, tmp_path / "named.lhr", size=SIZE)
    names = list(FIVE.names)
    for changed, code, sentence in (
        ([*names[1:], names[0]], 1, "the same joints in another order: joint 0 is 'head' in the model"),
        (["nose", *names[1:]], 0, "note: joint 0 is 'head' in the model and 'nose' in the data"),
        ([name.replace(" ", "_").title() for name in names], 0, ""),
    ):
        (tmp_path / "names.json").write_text(json.dumps({"names": changed}))
        options = ("--images", data.parent, "--joints", tmp_path / "names.json", "--count", 1)
        found, _, err = evaluated(capsys, tmp_path / "named.lhr", data, *options)
        assert (found, sentence in err) == (code, True), err
        assert ("joint 0" in err) == bool(sentence)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("nowhere.onnx", "DATA", "--images", "FOLDER"), "no such file: nowhere.onnx"),
        (("MODEL", "nowhere.json", "--images", "FOLDER"), "no such file: nowhere.json"),
        (("MODEL", "DATA", "--images", "nowhere"), "nowhere is not a folder"),
        (("MODEL", "DATA", "--images", "FOLDER", "--size", "33x32"), "the nearest heights are"),
        (("MODEL", "DATA", "--images", "FOLDER", "--joints", "mpii"), "annotations of 5 joints, where 16 have names"),
        (("MODEL", "DATA", "--images", "FOLDER", "--precision", "float16"), "not in float16"),
    ],
)
def test_wrong_calls_are_one_sentence(files: dict[str, Path], data: Path, capsys, words: tuple, sentence: str) -> None:
    known = {"MODEL": files["c"], "DATA": data, "FOLDER": data.parent}
    code, out, err = evaluated(capsys, *(known.get(word, word) for word in words))
    last = err.strip().splitlines()[-1]
    assert (code, out) == (1, "")
    assert sentence in last and last.startswith("litehrnet evaluate: ")


def test_exported_files_need_no_torch(files: dict[str, Path], data: Path) -> None:
    words = ["evaluate", str(files["onnxruntime"]), str(data), "--images", str(data.parent)]
    program = f"import sys; sys.modules['torch'] = None; from litehrnet.cli import main; sys.exit(main({words!r}))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=120)
    assert (done.returncode, "mean OKS" in done.stdout) == (0, True), done.stderr


@pytest.mark.numeric
def test_the_bundled_weights_on_the_heldout_renderings() -> None:
    """The first four people, as the model card counts: well above the mean pose's 0.16."""
    folder = data_path("heldout")
    found = evaluate(data_path("litehrnet18_256x192.safetensors"), folder / "people.json", folder, count=4)
    assert found.size == (256, 192)
    assert found.oks is not None and found.oks > 0.5
    assert copy.copy(found).to_dict()["joints"][0]["name"] == "nose"
