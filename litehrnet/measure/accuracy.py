"""How well a network finds joints: OKS, PCK, and COCO's average precision and recall, for every file and runtime.

OKS is COCO's similarity of two poses, averaged over people. PCK is the share of labelled joints that are found within
a twentieth of the crop's height. AP and AR come from pycocotools, COCO's own evaluation. Torch-free.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checkpoints.joints import JointSet
from ..checks import check_whole, require
from ..files import read_json
from ..heatmaps import crop_person, decode, oks, to_image, to_input
from ..people import CocoPeople, People, Person, Problem, read_people, with_sigmas
from ..sizes import check_size

if TYPE_CHECKING:
    from torch import nn

    from ..runtimes import Run

__all__ = [
    "Accuracy",
    "JointAccuracy",
    "Measured",
    "average_precision",
    "evaluate",
    "flip_test",
    "measure",
    "summarised",
]

Network = Callable[[np.ndarray], np.ndarray]
Progress = Callable[[Sequence[int]], Iterator[int]]

PCK_SHARE = 0.05  # of the crop's height: 12.8 pixels of 256
TRUSTED = 0.2  # joints below this score do not count for a pose's score, as in the public code
AP_NAMES = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR", "AR50", "AR75", "AR medium", "AR large")


@dataclass(frozen=True)
class Measured:
    """The joints that were found in one pass over annotated people, and how far off they are.

    Attributes:
        oks: one value per person; NaN where no joint has a label.
        similarity: (people, K) OKS of each joint; NaN where it has no label.
        errors: (people, K) distance in units of the crop's height; NaN where it has no label.
        joints: (people, K, 2) in the pictures' pixels.
        scores: (people, K) the peaks' values.
    """

    oks: np.ndarray
    similarity: np.ndarray
    errors: np.ndarray
    joints: np.ndarray
    scores: np.ndarray

    def pck(self, share: float = PCK_SHARE) -> float:
        """The share of labelled joints that are found within `share` of the crop's height."""
        errors = self.errors[np.isfinite(self.errors)]
        return float((errors <= share).mean())


@dataclass(frozen=True)
class JointAccuracy:
    """One joint's row.

    Attributes:
        name: the joint.
        labelled: how many people have it labelled.
        oks: its mean similarity; None if no person has it labelled.
        pck: the share of them that is found within a twentieth of the crop's height.
        median_error: in pixels of the network's input.
    """

    name: str
    labelled: int
    oks: float | None
    pck: float | None
    median_error: float | None


@dataclass(frozen=True)
class Accuracy:
    """The result of `evaluate`.

    Attributes:
        people, pictures: how many were measured.
        size: height and width of the crops.
        flip: whether the mirror image was averaged in.
        oks: mean over the people; None with detected boxes, which belong to no labelled person.
        pck: share of joints within a twentieth of the crop's height; None with detected boxes.
        coco: COCO's ten numbers by name ("AP", "AP50", ... "AR large"; -1 where no person has such a size); empty
            without pycocotools.
        joints: one row per joint; empty with detected boxes.
        each_oks: the OKS of every person, in the file's order.
        problems: what is wrong with the data.
        poses: what was found, in the form of COCO's result files.
    """

    people: int
    pictures: int
    size: tuple[int, int]
    flip: bool
    oks: float | None
    pck: float | None
    coco: Mapping[str, float]
    joints: Sequence[JointAccuracy] = ()
    each_oks: Sequence[float] = ()
    problems: Sequence[Problem] = ()
    poses: Sequence[Mapping[str, Any]] = field(default=(), repr=False)

    def to_dict(self) -> dict[str, Any]:
        """Everything but the poses, for JSON."""
        held = asdict(self)
        del held["poses"]
        return held | {"problems": [asdict(problem) for problem in self.problems]}

    def table(self) -> str:
        """The numbers as text, for people to read."""
        flip = ", with the mirror image" if self.flip else ""
        lines = [f"{self.people} people on {self.pictures} pictures at {self.size[0]}x{self.size[1]}{flip}"]
        if self.oks is not None:
            lines.append(f"mean OKS {self.oks:.4f}")
        if self.pck is not None:
            lines.append(f"PCK {self.pck:.4f} (joints within {PCK_SHARE * self.size[0]:.1f} pixels of the input)")
        lines += [f"{name} {value:.4f}" for name, value in self.coco.items() if value >= 0]
        if self.joints:
            width = max(len(row.name) for row in self.joints)
            lines += ["", f"{'joint':{width}}  labelled     OKS     PCK  median error (pixels of the input)"]
            lines += [
                f"{row.name:{width}}  {row.labelled:>8}"
                + (f"{row.oks:>8.3f}{row.pck:>8.3f}{row.median_error:>14.1f}" if row.oks is not None else "")
                for row in self.joints
            ]
        return "\n".join(lines)


def evaluate(
    model: str | Path | nn.Module | Run,
    data: str | Path | CocoPeople,
    images: str | Path | None = None,
    *,
    runtime: str | None = None,
    precision: str = "float32",
    threads: int = 1,
    size: Sequence[int] | None = None,
    joints: JointSet | None = None,
    flip: bool = False,
    boxes: str | Path | Sequence[Mapping[str, Any]] | None = None,
    count: int | None = None,
    progress: Progress = iter,
) -> Accuracy:
    """Find the joints of labelled people, and measure how near they are.

    Args:
        model: a file for `litehrnet.runtimes.load`, a torch module, or what `load` returned.
        data: a keypoint file in COCO's form, or people that `litehrnet.people.read_people` read.
        images: the folder with its pictures.
        runtime, precision, threads: as for `load`; ignored if `model` is what `load` returned.
        size: height and width of the crops; by default the file's own, or the size that the weights were trained at.
        joints: which joints are labelled, with their sigmas; by default the file's own.
        flip: average the heatmaps with those of the mirror image.
        boxes: detected people in the form of COCO's result files (`image_id`, `bbox`, `score`), used instead of the
            labelled boxes. Only AP and AR are measured then.
        count: measure only this many people, the first of the file.
        progress: wraps the indices, to show progress.

    Raises:
        FileNotFoundError, NotADirectoryError, ValueError: as `read_people` and `load`; or the network gives another
            number of joints than the file labels.
    """
    if isinstance(data, CocoPeople):
        people = data
    elif images is None:
        raise ValueError(f"{data} names pictures; give the folder that holds them as images=...")
    else:
        people = read_people(data, images, joints)
    joint_set = with_sigmas(joints or people.joint_set)
    network, usual = _network(model, runtime, precision, threads, size)
    chosen = check_size(usual if size is None else size)
    if boxes is not None:
        return _evaluate_boxes(network, people, joint_set, chosen, _detections(boxes), flip, count, progress)
    number = len(people) if count is None else min(check_whole("count", count), len(people))
    result = measure(network, people, joint_set, chosen, indices=range(number), flip=flip, progress=progress)
    persons = [people.person(index) for index in range(number)]
    poses = [
        _pose(places, scores, person.key[0])
        for places, scores, person in zip(result.joints, result.scores, persons, strict=True)
    ]
    pictures = len({person.picture for person in persons})
    coco = _average_precision_if_possible(people, persons, poses, joint_set)
    return summarised(result, joint_set, chosen, flip, pictures, coco, people.problems, poses)


def _network(
    model: str | Path | nn.Module | Run, runtime: str | None, precision: str, threads: int, size: Sequence[int] | None
) -> tuple[Network, tuple[int, int]]:
    """The network as a function, and the size to run it at."""
    from ..runtimes import Run, load, runtime_of

    if isinstance(model, Run):
        return model, model.size
    runtime = runtime or (runtime_of(model) if isinstance(model, str | Path) else "torch")
    if runtime == "torch" and isinstance(model, str | Path):
        from ..checkpoints import from_checkpoint

        model = from_checkpoint(model)
    run = load(model, runtime, threads, precision, size if runtime == "ncnn" else None)
    return run, getattr(model, "trained_size", None) or run.size


def summarised(
    result: Measured,
    joint_set: JointSet,
    size: tuple[int, int],
    flip: bool,
    pictures: int,
    coco: Mapping[str, float],
    problems: Sequence[Problem] = (),
    poses: Sequence[Mapping[str, Any]] = (),
) -> Accuracy:
    """The means of a pass over people, overall and per joint."""
    rows = []
    for k, name in enumerate(joint_set.names):
        errors = result.errors[:, k]
        known = np.isfinite(errors)
        if known.any():
            similarity = float(result.similarity[known, k].mean())
            pck, median = float((errors[known] <= PCK_SHARE).mean()), float(np.median(errors[known])) * size[0]
            rows.append(JointAccuracy(name, int(known.sum()), similarity, pck, median))
        else:
            rows.append(JointAccuracy(name, 0, None, None, None))
    known = np.isfinite(result.oks)
    return Accuracy(
        people=len(result.oks),
        pictures=pictures,
        size=size,
        flip=flip,
        oks=float(result.oks[known].mean()) if known.any() else None,
        pck=result.pck() if known.any() else None,
        coco=coco,
        joints=rows,
        each_oks=[float(value) for value in result.oks],
        problems=problems,
        poses=poses,
    )


def flip_test(network: Network, images: np.ndarray, joint_set: JointSet) -> np.ndarray:
    """Average the heatmaps of an image and of its mirror image.

    The mirrored heatmaps are shifted by about one pixel, because heatmap pixel h is at input pixel 4 h and not at the
    centre of its four pixels. The public code moves them back by one pixel, and so does this.

    Args:
        network: (N, 3, H, W) to (N, K, h, w).
        images: (N, 3, H, W).
        joint_set: says which joints change places.
    """
    maps = network(images)
    if maps.shape[1] != len(joint_set):
        raise _other_number(maps.shape[1], joint_set)
    mirrored = network(np.ascontiguousarray(images[..., ::-1]))[:, joint_set.mirrored, :, ::-1]
    shifted = mirrored.copy()
    shifted[..., 1:] = mirrored[..., :-1]
    return (maps + shifted) / 2


def measure(
    network: Network,
    people: People,
    joint_set: JointSet,
    size: tuple[int, int],
    *,
    indices: Sequence[int] | None = None,
    flip: bool = False,
    batch: int = 1,
    progress: Progress = iter,
) -> Measured:
    """Find the joints of annotated people, and measure how near they are.

    Args:
        network: (batch, 3, H, W) float32 to (batch, K, h, w).
        people: the annotated people.
        joint_set: sigmas and mirror pairs.
        size: height and width of the crops.
        indices: which of the people to use; None for all.
        flip: average with the mirror image.
        batch: how many people the network gets at once; the last batch may be smaller.
        progress: wraps the indices, to show progress.

    Raises:
        ValueError: the joints have no sigmas, or the network gives another number of them.
    """
    if joint_set.sigmas is None:
        raise ValueError("OKS needs a sigma for every joint, and these joints have none")
    indices = range(len(people)) if indices is None else indices
    found, values, errors, similarity, overall = [], [], [], [], []
    waiting: list[tuple[Person, np.ndarray, np.ndarray]] = []

    def run_waiting() -> None:
        if not waiting:
            return
        places, scores = _joints(network, np.concatenate([crop for _, crop, _ in waiting]), joint_set, flip)
        for (person, _, to_crop), joints, peaks in zip(waiting, places, scores, strict=True):
            placed = person.joints[:, :2] @ to_crop[:, :2].T + to_crop[:, 2]
            labelled = person.joints[:, 2] > 0
            errors.append(np.where(labelled, np.linalg.norm(joints - placed, axis=1) / size[0], np.nan))
            found.append(to_image(joints, to_crop))
            values.append(peaks)
            one_by_one, mean = _similarity(found[-1], person, joint_set.sigmas or ())
            similarity.append(one_by_one)
            overall.append(mean)
        waiting.clear()

    photo, of_picture = np.zeros((1, 1, 3), np.uint8), None
    for index in progress(indices):
        person = people.person(index)
        if of_picture != (person.picture, person.key[0]):  # people of one picture follow each other
            photo, of_picture = np.asarray(people.image(index)[0]), (person.picture, person.key[0])
        crop, to_crop = crop_person(photo, person.box, size)
        waiting.append((person, to_input(crop), to_crop))
        if len(waiting) == batch:
            run_waiting()
    run_waiting()
    return Measured(np.array(overall), np.array(similarity), np.array(errors), np.array(found), np.array(values))


def _joints(network: Network, x: np.ndarray, joint_set: JointSet, flip: bool) -> tuple[np.ndarray, np.ndarray]:
    """Joints (N, K, 2) in input pixels and their scores (N, K), from crops (N, 3, H, W)."""
    if flip:
        return decode(flip_test(network, x, joint_set))
    maps = network(x)
    if maps.shape[1] != len(joint_set):
        raise _other_number(maps.shape[1], joint_set)
    return decode(maps)


def _other_number(count: int, joint_set: JointSet) -> ValueError:
    return ValueError(
        f"the network gives {count} joints, and the data labels {len(joint_set)} ({joint_set.names[0]}, ...); they "
        "must be the same joints"
    )


def _similarity(joints: np.ndarray, person: Person, sigmas: Sequence[float]) -> tuple[np.ndarray, float]:
    """OKS of every joint (K,), NaN without a label, and of the person."""
    labelled = person.joints[:, 2] > 0
    each = np.full(len(labelled), np.nan)
    for k in np.flatnonzero(labelled).tolist():
        each[k] = oks(joints[k : k + 1], person.joints[k : k + 1], person.area, sigmas[k : k + 1])
    return each, float(each[labelled].mean()) if labelled.any() else np.nan


# -------------------------------------------------------------------------------------------------- COCO's evaluation


def _pose(joints: np.ndarray, scores: np.ndarray, image: object, box_score: float = 1.0) -> dict[str, Any]:
    """One entry of a COCO results file; the score is the box's times the mean of the trusted joints'."""
    trusted = scores[scores > TRUSTED]
    score = box_score * float(trusted.mean() if len(trusted) else 0.0)
    keypoints = np.column_stack([joints, scores]).ravel().round(3).tolist()
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score}


def _average_precision_if_possible(
    people: CocoPeople, persons: Sequence[Person], poses: Sequence[dict[str, Any]], joint_set: JointSet
) -> dict[str, float]:
    try:
        return average_precision(people, persons, poses, joint_set)
    except ImportError:
        return {}


def average_precision(
    people: CocoPeople, persons: Sequence[Person], poses: Sequence[Mapping[str, Any]], joint_set: JointSet
) -> dict[str, float]:
    """COCO's ten numbers by name, over the pictures of `persons`.

    Crowds and people without a labelled joint on these pictures count as COCO prescribes: poses that match them count
    neither for nor against the network.

    Args:
        people: where the persons come from.
        persons: those who should be found.
        poses: what was found, as in COCO's result files.
        joint_set: the sigmas.

    Raises:
        ImportError: pycocotools is not installed.
    """
    require("pycocotools")
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    numbers: dict[object, int] = {}  # pycocotools wants ids that can be sorted
    for person in persons:
        numbers.setdefault(person.key[0], len(numbers) + 1)
    truth = [
        {"bbox": list(person.box), "area": person.area, "keypoints": person.joints.ravel().tolist(), "iscrowd": 0}
        | {"num_keypoints": int((person.joints[:, 2] > 0).sum()), "image_id": numbers[person.key[0]]}
        for person in persons
    ]
    truth += [
        entry | {"image_id": numbers[image]} for image, entry in _ignored(people, len(joint_set)) if image in numbers
    ]
    dataset = {
        "info": {},
        "images": [{"id": number} for number in numbers.values()],
        "categories": [{"id": 1, "name": "person"}],
        "annotations": [{"id": number, "category_id": 1, **entry} for number, entry in enumerate(truth, 1)],
    }
    found = [{**pose, "image_id": numbers[pose["image_id"]]} for pose in poses if pose["image_id"] in numbers]
    if not found:
        return dict.fromkeys(AP_NAMES, 0.0)
    with contextlib.redirect_stdout(io.StringIO()):  # it prints its progress
        annotations = COCO()
        annotations.dataset = dataset
        annotations.createIndex()
        evaluation = COCOeval(annotations, annotations.loadRes(found), "keypoints")
        evaluation.params.kpt_oks_sigmas = np.array(joint_set.sigmas)
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return dict(zip(AP_NAMES, map(float, evaluation.stats), strict=True))


def _ignored(people: CocoPeople, count: int) -> Iterator[tuple[object, dict[str, Any]]]:
    """Crowds and people without a labelled joint: the picture's id, and the annotation."""
    for entry in people.held.get("annotations", ()):
        keypoints = entry.get("keypoints") or [0] * 3 * count if isinstance(entry, Mapping) else ()
        box = entry.get("bbox") if isinstance(entry, Mapping) else None
        if len(keypoints) != 3 * count or not isinstance(box, list) or len(box) != 4:
            continue
        crowd = int(bool(entry.get("iscrowd")))
        if crowd or not any(keypoints[2::3]):
            area = float(entry.get("area") or box[2] * box[3])
            yield (
                entry.get("image_id"),
                {"bbox": box, "area": area, "keypoints": keypoints, "iscrowd": crowd, "num_keypoints": 0},
            )


def _detections(boxes: str | Path | Sequence[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """Detected people, sorted by picture so that each is read once."""
    held: object = read_json(boxes) if isinstance(boxes, str | Path) else boxes
    name = str(boxes) if isinstance(boxes, str | Path) else "boxes"
    wanted = {"image_id", "bbox", "score"}
    if not isinstance(held, Sequence) or not all(isinstance(one, Mapping) and wanted <= one.keys() for one in held):
        raise ValueError(f"{name} must be a list of detections, each with an image_id, a bbox and a score")
    return sorted((one for one in held if one.get("category_id", 1) == 1), key=lambda one: str(one["image_id"]))


def _evaluate_boxes(
    network: Network,
    people: CocoPeople,
    joint_set: JointSet,
    size: tuple[int, int],
    detections: Sequence[Mapping[str, Any]],
    flip: bool,
    count: int | None,
    progress: Progress,
) -> Accuracy:
    persons = [people.person(index) for index in range(len(people))]
    first = {person.key[0]: index for index, person in reversed(list(enumerate(persons)))}
    known = [one for one in detections if one["image_id"] in first][:count]
    if not known:
        raise ValueError("none of the detected boxes is on a picture with a labelled person")
    poses, photo, of_picture = [], np.zeros((1, 1, 3), np.uint8), None
    for number in progress(range(len(known))):
        one = known[number]
        if of_picture != one["image_id"]:
            photo, of_picture = np.asarray(people.image(first[one["image_id"]])[0]), one["image_id"]
        crop, to_crop = crop_person(photo, one["bbox"], size)
        places, scores = _joints(network, to_input(crop), joint_set, flip)
        poses.append(_pose(to_image(places[0], to_crop), scores[0], one["image_id"], float(one["score"])))
    seen = {one["image_id"] for one in known}
    if count is not None:
        persons = [person for person in persons if person.key[0] in seen]
    coco = average_precision(people, persons, poses, joint_set)  # there is nothing else to measure
    return Accuracy(len(known), len(seen), size, flip, None, None, coco, problems=people.problems, poses=poses)
