"""Pictures, folders, animations and videos; boxes from files and detectors; people followed from frame to frame."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from bounds import within
from onnx import TensorProto, helper, numpy_helper
from PIL import Image

from litehrnet import cli
from litehrnet.cli.boxes import read_boxes
from litehrnet.detectors import KINDS, kind_of_outputs, load_detector, suppress
from litehrnet.files import data_path
from litehrnet.heatmaps import crop_person
from litehrnet.images import draw_heatmaps, read_image
from litehrnet.tracking import OneEuro, Tracker, box_of_joints, overlap
from litehrnet.videos import open_film, writer

PHOTO = data_path("astronaut.jpg")
SIDE = 96  # of the synthetic detectors
CELLS = 144 + 36 + 9  # at strides 8, 16, 32


@pytest.fixture
def run(capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable:
    """`run(...)` of `litehrnet predict` in an empty folder: (exit code, standard output, standard error)."""
    monkeypatch.chdir(tmp_path)

    def call(*arguments: object) -> tuple[int, str, str]:
        try:
            code = cli.main(["predict", *map(str, arguments)])
        except SystemExit as error:
            code = error.code
        return code, *capsys.readouterr()

    return call


@pytest.fixture(scope="session")
def model(exported: Callable) -> Path:
    return exported()[1]


def moving(path: Path, frames: int = 6, rate: float = 5.0, size: tuple[int, int] = (60, 81)) -> Path:
    """A film of the photograph, which moves to the right."""
    photo = np.asarray(Image.open(PHOTO).convert("RGB").resize((size[1], size[0])))
    with writer(path, rate) as add:
        for number in range(frames):
            add(np.roll(photo, 4 * number, axis=1))
    return path


# ------------------------------------------------------------------------------------------------------------- films


@pytest.mark.parametrize("name", ["film.gif", "film.webp", "film.png", "film.mp4", "film.mkv", "film.avi"])
def test_a_film_is_read_as_it_was_written(tmp_path: Path, name: str) -> None:
    if name.endswith((".mp4", ".mkv", ".avi")):
        pytest.importorskip("av")
    film = open_film(moving(tmp_path / name))
    frames = list(film.frames())
    video = name.endswith((".mp4", ".mkv", ".avi"))
    assert film.moves and film.rate == pytest.approx(5) and film.count == len(frames) == 6
    assert film.size == frames[0].image.shape[:2] == ((60, 82) if video else (60, 81))  # a video's sides are even
    assert [frame.number for frame in frames] == list(range(6)) and frames[3].seconds == pytest.approx(0.6)
    assert (frames[0].image != frames[5].image).any()
    assert [frame.number for frame in open_film(tmp_path / name, 2.5).frames()] == [0, 2, 4]
    assert open_film(tmp_path / name, 2.5).count == 3 and open_film(tmp_path / name, 50).count == 6


def test_a_picture_is_one_frame(tmp_path: Path) -> None:
    film = open_film(PHOTO)
    assert not film.moves and film.count == 1 and (next(film.frames()).image == read_image(PHOTO)).all()
    with pytest.raises(ValueError, match="is not a photograph"):
        (tmp_path / "text.jpg").write_text("nothing")
        open_film(tmp_path / "text.jpg")


def test_a_damaged_video_is_one_sentence(tmp_path: Path) -> None:
    pytest.importorskip("av")
    whole = moving(tmp_path / "film.mp4").read_bytes()
    (tmp_path / "cut.mp4").write_bytes(whole[:40])
    with pytest.raises(ValueError, match=r"cut\.mp4 is not a video that can be read"):
        open_film(tmp_path / "cut.mp4")


def test_without_pyav_the_command_to_install_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("av")
    path = moving(tmp_path / "film.mp4")
    monkeypatch.setitem(__import__("sys").modules, "av", None)
    with pytest.raises(ImportError, match="av"):
        open_film(path)


# ---------------------------------------------------------------------------------------------------------- following


def test_smoothing_removes_jitter_and_follows_movement() -> None:
    random = np.random.default_rng(0)
    still = OneEuro(beta=0.05)
    noisy = 100 + random.standard_normal((90, 4, 2))
    smooth = np.stack([still(value, 1 / 30) for value in noisy])
    assert smooth[30:].std() < 0.5 * noisy[30:].std()
    moving_fast = OneEuro(beta=0.05)
    path = np.arange(60.0) * 20
    followed = np.array([float(moving_fast(np.array(x), 1 / 30)) for x in path])
    assert np.all(path - followed < 3 * 20) and np.all(np.diff(followed) >= 0)


def test_what_is_fresh_is_not_mixed_with_the_past() -> None:
    smooth = OneEuro()
    smooth(np.zeros((2, 2)), 0.1)
    value = smooth(np.full((2, 2), 50.0), 0.1, np.array([[True], [False]]))
    assert value[0].tolist() == [50, 50] and (value[1] < 50).all()


def test_boxes_follow_joints_and_stay_sensible() -> None:
    places, scores = np.array([[10.0, 20.0], [30.0, 60.0], [500.0, 500.0]]), np.array([0.9, 0.8, 0.1])
    assert box_of_joints(places, scores, (0, 0, 50, 50)) == pytest.approx((8, 16, 24, 48))
    line = np.array([[10.0, 20.0], [10.0, 60.0]])
    assert box_of_joints(line, np.ones(2), (0, 0, 50, 100))[2] == pytest.approx(20)
    assert box_of_joints(places, np.zeros(3), (1, 2, 3, 4)) == (1, 2, 3, 4)
    assert overlap((0, 0, 1, 1), (5, 5, 1, 1)) == 0 and overlap((0, 0, 2, 3), (0, 0, 2, 3)) == 1


class Scene:
    """Joints as a network would find them: somebody walks to the right, and is hidden for a while."""

    def __init__(self, hidden: Sequence[int] = ()) -> None:
        self.hidden, self.frame, self.boxes = hidden, -1, []

    def find(self, image: np.ndarray, box: Sequence[float]) -> tuple[np.ndarray, np.ndarray]:
        self.boxes.append(tuple(box))
        centre = np.array([100.0 + 10 * self.frame, 200.0])
        inside = box[0] - box[2] <= centre[0] <= box[0] + 2 * box[2]  # the crop shows more than the box
        score = 0.1 if self.frame in self.hidden or not inside else 0.9
        return centre + np.array([[-20, -60], [20, -60], [-20, 60], [20, 60]]), np.full(4, score)


def walk(scene: Scene, frames: int, **options: bool) -> tuple[Tracker, list[str], list]:
    tracker, events, seen = Tracker(scene.find, **options), [], []
    tracker.add([(60.0, 100.0, 80.0, 200.0)])
    for number in range(frames):
        scene.frame = number
        people = tracker.step(np.zeros((400, 900, 3), np.uint8), 0.04 if number else 0.0)
        events += [f"{number}: {event}" for event in tracker.events]
        seen.append([(person.number, person.lost) for person in people])
    return tracker, events, seen


def test_somebody_who_walks_is_followed() -> None:
    scene = Scene()
    tracker, events, seen = walk(scene, 20)
    assert events == [] and seen[-1] == [(1, False)]
    assert scene.boxes[-1][0] > 200 and tracker.people[0].box[3] == pytest.approx(144)


@pytest.mark.parametrize("hidden", [(5,), (5, 6), (0, 1, 2)])
def test_somebody_who_is_lost_is_noticed_and_found_again(hidden: tuple[int, ...]) -> None:
    _, events, seen = walk(Scene(hidden=hidden), 12)
    assert events == [f"{hidden[0]}: person 1 is lost", f"{hidden[-1] + 1}: person 1 is found again"]
    assert [person[0][1] for person in seen] == [number in hidden for number in range(12)]


def test_somebody_who_stays_lost() -> None:
    scene = Scene(hidden=range(3, 30))
    tracker, _, _ = walk(scene, 15)
    assert scene.boxes[-1] == (60.0, 100.0, 80.0, 200.0) and tracker.people[0].lost  # where it began
    gone, _, seen = walk(Scene(hidden=range(3, 30)), 15, keep=False)
    assert gone.people == [] and seen[-1] == []


def test_two_boxes_of_one_person_become_one() -> None:
    scene = Scene()
    tracker = Tracker(scene.find)
    tracker.add([(60.0, 100.0, 80.0, 200.0), (20.0, 40.0, 300.0, 300.0)])
    scene.frame = 0
    tracker.step(np.zeros((400, 900, 3), np.uint8), 0.0)
    assert tracker.events == ["person 2 is person 1"] and [person.number for person in tracker.people] == [1]
    tracker.add([(62.0, 102.0, 80.0, 200.0)])  # a detector that sees the same person
    assert len(tracker.people) == 1


# ---------------------------------------------------------------------------------------------------------- detectors


def constant_network(path: Path, outputs: Sequence[np.ndarray], side: int | str = SIDE) -> Path:
    """A detector that finds the same in every picture: constants, and nothing times the picture."""
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, side, side))
    zero, nodes, tensors, named = "zero", [], [numpy_helper.from_array(np.zeros((), np.float32), "nothing")], []
    nodes.append(helper.make_node("ReduceMean", ["images"], ["mean"], keepdims=0))
    nodes.append(helper.make_node("Mul", ["mean", "nothing"], [zero]))
    for number, output in enumerate(outputs):
        integer = output.dtype.kind == "i"
        tensors.append(numpy_helper.from_array(output.astype(np.float32), f"constant{number}"))
        nodes.append(
            helper.make_node("Add", [f"constant{number}", zero], [f"sum{number}" if integer else f"out{number}"])
        )
        if integer:
            nodes.append(helper.make_node("Cast", [f"sum{number}"], [f"out{number}"], to=TensorProto.INT64))
        kind = TensorProto.INT64 if integer else TensorProto.FLOAT
        named.append(helper.make_tensor_value_info(f"out{number}", kind, output.shape))
    graph = helper.make_graph(nodes, "detector", [given], named, tensors)
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    return path


# Two people and a dog, as corners in the detector's input of 96x96, with scores and classes.
PEOPLE = np.array([[4, 8, 20, 40], [30, 10, 50, 60]], np.float32)
CORNERS = np.array([*PEOPLE, [5, 9, 21, 41], [40, 40, 60, 60]], np.float32)  # the third is the first once more
SCORES, CLASSES = np.array([0.9, 0.8, 0.6, 0.95], np.float32), np.array([0, 0, 0, 16])


def centred() -> np.ndarray:
    return np.column_stack([(CORNERS[:, :2] + CORNERS[:, 2:]) / 2, CORNERS[:, 2:] - CORNERS[:, :2]])


def rows(count: int, objectness: bool) -> np.ndarray:
    """(count, 4 [+ 1] + 80) as YOLO has them."""
    found = np.zeros((count, (5 if objectness else 4) + 80), np.float32)
    found[: len(CORNERS), :4] = centred()
    for k, (score, label) in enumerate(zip(SCORES, CLASSES, strict=True)):
        found[k, -80 + label] = 1.0 if objectness else score
        if objectness:
            found[k, 4] = score
    return found


def raw_yolox() -> np.ndarray:
    """Offsets in cells and logarithms of sides, in the cells that hold the centres."""
    found = np.zeros((CELLS, 85), np.float32)
    for k, (x, y, width, height) in enumerate(centred()):
        stride = 8
        column, row = int(x // stride), int(y // stride)
        place = row * (SIDE // stride) + column
        found[place, :4] = x / stride - column, y / stride - row, np.log(width / stride), np.log(height / stride)
        found[place, 4], found[place, 5 + CLASSES[k]] = SCORES[k], 1.0
    return found


OUTPUTS: dict[str, list[np.ndarray]] = {
    "columns": [rows(CELLS, False).T[None]],
    "rows": [rows(3 * CELLS, True)[None]],
    "yolox": [rows(CELLS, True)[None]],
    "six": [np.column_stack([CORNERS, SCORES, CLASSES.astype(np.float32)])[None]],
    "labels": [np.column_stack([CORNERS, SCORES])[None], CLASSES[None].astype(np.int64)],
}


@pytest.mark.parametrize("kind", [*OUTPUTS, "raw yolox"])
def test_detectors_are_known_by_their_shapes(tmp_path: Path, kind: str) -> None:
    outputs = [raw_yolox()[None]] if kind == "raw yolox" else OUTPUTS[kind]
    detector = load_detector(constant_network(tmp_path / "detector.onnx", outputs))
    found = detector(np.zeros((192, 144, 3), np.uint8))  # scaled by a half
    assert detector.kind == kind.split()[-1] and detector.preparing in KINDS[detector.kind].preparing
    wanted = PEOPLE * 2
    kept = sorted(found, key=lambda person: person.box[0])
    if kind == "raw yolox":  # two boxes in one cell are one
        assert len(kept) == 2
    assert [person.score for person in kept] == pytest.approx(
        [0.9, 0.8] if kind != "raw yolox" else [0.6, 0.8], abs=0.31
    )
    for person, corners in zip(kept, wanted, strict=True):
        x, y, width, height = person.box
        assert (x, y, x + width, y + height) == pytest.approx(tuple(corners), abs=2.1)


def test_how_the_picture_is_prepared_is_found_out(tmp_path: Path) -> None:
    """A detector whose score is what its first channel holds: BGR on the scale 0..255 of a blue picture."""
    given = helper.make_tensor_value_info("images", TensorProto.FLOAT, (1, 3, SIDE, SIDE))
    boxes = helper.make_tensor_value_info("dets", TensorProto.FLOAT, (1, 1, 5))
    labels = helper.make_tensor_value_info("labels", TensorProto.INT64, (1, 1))
    tensors = [
        numpy_helper.from_array(np.array([[[4, 8, 20, 40, 0]]], np.float32), "base"),
        numpy_helper.from_array(np.array([[[0, 0, 0, 0, 1 / 300]]], np.float32), "mask"),
        numpy_helper.from_array(np.zeros((1, 1), np.int64), "zeros"),
        numpy_helper.from_array(np.array(0), "first"),
    ]
    nodes = [
        helper.make_node("Gather", ["images", "first"], ["channel"], axis=1),
        helper.make_node("ReduceMax", ["channel"], ["most"], keepdims=0),
        helper.make_node("Mul", ["mask", "most"], ["score"]),
        helper.make_node("Add", ["base", "score"], ["dets"]),
        helper.make_node("Identity", ["zeros"], ["labels"]),
    ]
    graph = helper.make_graph(nodes, "detector", [given], [boxes, labels], tensors)
    path = tmp_path / "blue.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9), path)
    detector = load_detector(path)
    blue = np.zeros((SIDE, SIDE, 3), np.uint8)
    blue[..., 2] = 255
    assert [person.box for person in detector(blue)] == [(4.0, 8.0, 16.0, 32.0)]
    assert detector.preparing == "BGR 0..255"


@pytest.mark.parametrize("shape", [(1, 7), (1, 3, 64, 64), (2, 84, CELLS), (1, 84, 77)])
def test_what_is_no_detector_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(ValueError, match="none of the detectors that are known"):
        kind_of_outputs([np.zeros(shape)], (SIDE, SIDE), "other.onnx")


def test_suppression_keeps_the_surest_of_each() -> None:
    corners = np.array([[0, 0, 10, 10], [1, 1, 11, 11], [20, 20, 30, 30], [0, 0, 10, 10.0]])
    assert suppress(corners, np.array([0.5, 0.9, 0.1, 0.4])).tolist() == [1, 2]
    assert suppress(np.zeros((0, 4)), np.zeros(0)).tolist() == []


# -------------------------------------------------------------------------------------------------------------- boxes


@pytest.mark.parametrize(
    ("held", "found"),
    [
        ([[1, 2, 3, 4]], {None: [(1, 2, 3, 4)]}),
        ({"a.jpg": [[1, 2, 3, 4]], "in/b.jpg": []}, {"a.jpg": [(1, 2, 3, 4)]}),
        (
            {"images": [{"id": 7, "file_name": "x/a.jpg"}], "annotations": [{"image_id": 7, "bbox": [1, 2, 3, 4]}]},
            {"a.jpg": [(1, 2, 3, 4)]},
        ),
        ({"photo": "x/a.jpg", "people": [{"box": [1, 2, 3, 4], "joints": []}]}, {"a.jpg": [(1, 2, 3, 4)]}),
    ],
)
def test_boxes_in_every_form(tmp_path: Path, held: object, found: dict) -> None:
    path = tmp_path / "boxes.json"
    path.write_text(json.dumps(held))
    assert read_boxes(path) == found


def test_boxes_from_lines(tmp_path: Path) -> None:
    lines = [{"photo": "a.mp4", "frame": frame, "people": [{"box": [frame, 2, 3, 4]}]} for frame in range(3)]
    (tmp_path / "boxes.json").write_text("\n".join(map(json.dumps, lines)))
    assert read_boxes(tmp_path / "boxes.json") == {"a.mp4": [(0, 2, 3, 4)]}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("no", "is not JSON"),
        ("[]", "holds no boxes"),
        ("[[1, 2, 3]]", "is not x, y, width, height"),
        ("[[1, 2, 3, 0]]", "a width and a height above 0"),
        ("[1, 2, 3, 4]", "holds no boxes in a known form"),
        ('{"annotations": [{"bbox": [1, 2, 3, 4]}]}', "holds no boxes in a known form"),
        ('{"a.jpg": 5}', "holds no boxes in a known form"),
    ],
)
def test_boxes_that_are_none(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "boxes.json").write_text(text)
    with pytest.raises(ValueError, match=words):
        read_boxes(tmp_path / "boxes.json")


# ------------------------------------------------------------------------------------------------------------ heatmaps


@pytest.mark.numeric
def test_heatmaps_are_drawn_where_they_belong() -> None:
    image = np.zeros((120, 90, 3), np.uint8)
    _, to_crop = crop_person(image, (10, 20, 60, 80), (64, 48))
    maps = np.zeros((2, 16, 12), np.float32)
    maps[1, 9, 4] = 1.0
    drawn = draw_heatmaps(image, maps, to_crop)
    brightest = np.argwhere(drawn.sum(-1) == drawn.sum(-1).max()).mean(0)[::-1]  # x, y
    wanted = np.linalg.inv(to_crop[:, :2]) @ (np.array([16.0, 36.0]) - to_crop[:, 2])
    within(float(np.abs(brightest - wanted).max()), 3.0, "pixels")  # a heatmap pixel is 6 wide
    assert (image == 0).all() and drawn.shape == image.shape and (drawn[:5] == 0).all()


# --------------------------------------------------------------------------------------------------------- the command


class TestCommand:
    def test_a_folder(self, run: Callable, model: Path) -> None:
        Path("photos").mkdir()
        for name in ("b.jpg", "a.png"):
            Image.open(PHOTO).resize((80, 60)).save(f"photos/{name}")
        Path("photos/notes.txt").write_text("nothing")
        Path("photos/broken.jpg").write_text("nothing")
        code, out, err = run("photos", "--model", model, "--json", "-o", "drawn")
        lines = [json.loads(line) for line in out.splitlines()]
        assert code == 1 and "broken.jpg is left out: " in err and "Traceback" not in err
        assert [line["photo"] for line in lines] == ["photos/a.png", "photos/b.jpg"]
        assert sorted(path.name for path in Path("drawn").iterdir()) == ["a.png", "b.jpg"]
        code, out, _ = run("photos/a.png", "photos/b.jpg", "--model", model)
        assert code == 0 and "photos/a.png" in out.splitlines() and out.count("nose") == 2

    def test_boxes_of_each_picture(self, run: Callable, model: Path) -> None:
        Image.open(PHOTO).resize((80, 60)).save("a.png")
        Image.open(PHOTO).resize((80, 60)).save("b.png")
        Path("boxes.json").write_text(json.dumps({"a.png": [[1, 2, 30, 40], [5, 5, 20, 20]], "b.png": [[0, 0, 9, 9]]}))
        code, out, _ = run("a.png", "b.png", "--model", model, "--boxes", "boxes.json", "--json")
        people = [[person["box"] for person in json.loads(line)["people"]] for line in out.splitlines()]
        assert code == 0 and people == [[[1, 2, 30, 40], [5, 5, 20, 20]], [[0, 0, 9, 9]]]
        Path("more.json").write_text(json.dumps({"c.png": [[1, 2, 3, 4]]}))
        code, _, err = run("a.png", "--model", model, "--boxes", "more.json")
        assert code == 1 and "more.json has no boxes for a.png" in err

    @pytest.mark.parametrize("name", ["film.gif", "film.mp4"])
    def test_a_video(self, run: Callable, model: Path, name: str) -> None:
        if name.endswith("mp4"):
            pytest.importorskip("av")
        moving(Path(name))
        target = Path(name).with_stem("drawn")
        code, out, err = run(name, "--model", model, "--json", "-o", target, "--heatmaps", "--least-score", -9)
        lines = [json.loads(line) for line in out.splitlines()]
        assert code == 0 and [line["frame"] for line in lines] == list(range(6))
        assert all(line["people"][0]["track"] == 1 for line in lines) and str(target) in err
        drawn, source = open_film(target), open_film(name)
        assert drawn.count == 6 and drawn.size == source.size and drawn.rate == pytest.approx(5)
        assert (next(drawn.frames()).image != next(source.frames()).image).any()
        code, out, err = run(name, "--model", model, "--fps", 2.5)
        assert code == 0 and f"{name}: 3 frames, 2.5 per second, 1 person" in out

    def test_a_detector_finds_the_people(self, run: Callable, model: Path) -> None:
        Image.open(PHOTO).resize((SIDE, SIDE)).save("a.png")
        constant_network(Path("detector.onnx"), OUTPUTS["columns"])
        code, out, err = run("a.png", "--model", model, "--detector", "detector.onnx", "--json")
        assert code == 0, err
        boxes = [person["box"] for person in json.loads(out)["people"]]
        assert boxes == [[4, 8, 16, 32], [30, 10, 20, 50]]
        moving(Path("film.gif"), size=(SIDE, SIDE))
        code, out, _ = run("film.gif", "--model", model, "--detector", "detector.onnx", "--json")
        assert code == 0 and {p["track"] for p in json.loads(out.splitlines()[0])["people"]} == {1, 2}

    def test_nobody(self, run: Callable, model: Path) -> None:
        Image.open(PHOTO).resize((64, 64)).save("a.png")
        constant_network(Path("detector.onnx"), [0 * OUTPUTS["columns"][0]])
        code, out, _ = run("a.png", "--model", model, "--detector", "detector.onnx", "-o", "b.png")
        assert code == 0 and out.splitlines() == ["nobody was found", "b.png"]

    @pytest.mark.parametrize(
        ("arguments", "words"),
        [
            (("--box", "1,2,3,4", "--boxes", "b.json"), "--box and --boxes all say where people are"),
            (("--heatmaps",), "add -o FILE"),
            (("--fps", 3), "is a single picture"),
            (("-o", "out.mp4"), "is a single picture; use an image extension"),
            (("--boxes", "nowhere.json"), "no such file: nowhere.json"),
            (("--detector", "nowhere.onnx"), "no such file: nowhere.onnx"),
        ],
    )
    def test_wrong_calls(self, run: Callable, model: Path, arguments: tuple, words: str) -> None:
        code, out, err = run(PHOTO, "--model", model, *arguments)
        assert (code, out) == (1, "") and words in err and len(err.splitlines()) == 1 and not list(Path().iterdir())

    def test_frames_do_not_go_into_a_picture(self, run: Callable, model: Path) -> None:
        moving(Path("film.gif"))
        code, out, err = run("film.gif", "--model", model, "-o", "out.jpg")
        assert (code, out) == (1, "") and "has many frames; use one of .gif" in err

    def test_an_empty_folder_and_a_file_in_its_place(self, run: Callable, model: Path) -> None:
        Path("empty").mkdir()
        assert "empty holds no pictures" in run("empty", "--model", model)[2]
        Image.open(PHOTO).resize((64, 64)).save("a.png")
        Path("taken").write_text("x")
        code, _, err = run("a.png", PHOTO, "--model", model, "-o", "taken")
        assert code == 1 and "for several pictures, -o names a folder" in err


@pytest.mark.parametrize(
    ("names", "output", "words"),
    [
        (("a/x.jpg", "b/x.jpg"), "drawn", "two of the files are called x.jpg"),
        (("a/x.jpg", "a"), "drawn", "two of the files are called x.jpg"),
        (("a/x.jpg", "y.jpg"), "drawn.png", "-o names a folder, not a picture"),
        (("a",), "drawn.mp4", "-o names a folder, not a picture"),
        (("a/x.jpg", "y.jpg"), "no/drawn", "the folder no does not exist"),
        (("a",), "y.jpg", "-o names a folder, and it is a file"),
    ],
)
def test_a_folder_for_drawings_is_checked_before_any_work(
    run: Callable, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...], output: str, words: str
) -> None:
    monkeypatch.setattr("litehrnet.cli.models.runner", None)  # nothing is loaded
    for name in ("a/x.jpg", "b/x.jpg", "y.jpg"):
        Path(name).parent.mkdir(exist_ok=True)
        Path(name).write_bytes(PHOTO.read_bytes())
    before = sorted(Path().rglob("*"))
    code, out, err = run(*names, "--model", "litehrnet18", "-o", output)
    assert (code, out) == (1, "") and words in err and len(err.splitlines()) == 1
    assert sorted(Path().rglob("*")) == before


def test_an_animation_and_a_picture_that_would_share_a_drawing(run: Callable, model: Path) -> None:
    """Frames of an animated PNG are drawn into a GIF, which may be the name of another file's drawing."""
    Path("films").mkdir()
    moving(Path("films/x.gif"), frames=2), moving(Path("films/x.png"), frames=2)
    code, _, err = run("films", "--model", model, "-o", "drawn")
    assert code == 1 and "x.png is left out: its drawing would replace drawn/x.gif" in err.replace("\n", " ")
    assert [path.name for path in Path("drawn").iterdir()] == ["x.gif"]


@pytest.mark.parametrize("options", [("--least-score", "0.1"), ("--no-smoothing",), ("--fps", "2"), ("--heatmaps",)])
def test_an_option_that_changes_nothing_is_refused(run: Callable, model: Path, options: tuple[str, ...]) -> None:
    code, out, err = run(PHOTO, "--model", model, *options)
    assert (code, out) == (1, "") and options[0] in err and len(err.splitlines()) == 1


@pytest.mark.parametrize("kept", [0.3, 0.6, 0.9])
def test_a_video_that_is_cut_is_one_sentence_without_numbers_of_the_library(
    run: Callable, model: Path, kept: float
) -> None:
    pytest.importorskip("av")
    whole = moving(Path("film.mp4")).read_bytes()
    Path("film.mp4").write_bytes(whole[: int(kept * len(whole))])
    code, _, err = run("film.mp4", "--model", model)
    assert code == 1 and re.search(r"film\.mp4 is (not a video|damaged|not a photo)", err) and "Errno" not in err, err
