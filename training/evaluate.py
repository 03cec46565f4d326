"""Measure weights or an exported file on annotated people: PCK, OKS and COCO's average precision.

    python training/evaluate.py data/litehrnet18_256x192.safetensors --shards build/people/val
    python training/evaluate.py model.onnx --annotations people.json --images photos --flip
    python training/evaluate.py litehrnet18.pth --annotations person_keypoints_val2017.json --images val2017 \\
        --boxes COCO_val2017_detections_AP_H_56_person.json --flip --save results.json

A `.onnx`, `.xml` or `.param` file runs in its own runtime, everything else in torch. With `--boxes` (a COCO list of
detections) there is no one to compare a pose with but COCO's own matching, so only the average precision is given; it
needs the extra `evaluate`.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from litehrnet.heatmaps import crop_person, decode, read_image, to_image, to_input
from litehrnet.runtimes import load, runtime_of
from litehrnet.sizes import check_size, parse_size
from litehrnet.train.data import COCO, CocoPeople, JointSet, People, open_people, read_joint_set
from litehrnet.train.evaluation import Measured, flip_test, measure

SHARE = 0.05  # of the crop's height: 12.8 pixels of 256
TRUSTED = 0.2  # joints below this score do not count for a pose's score, as in the public code


def parse(arguments: list[str] | None = None) -> argparse.Namespace:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    add = parser.add_argument
    add("model", type=Path, help="weights (.safetensors, .pth, .pt) or an exported file")
    add("--shards", type=Path, help="folder of rendered people")
    add("--annotations", type=Path, help="annotation file in COCO's form")
    add("--images", type=Path, help="the annotation file's images")
    add("--boxes", type=Path, help="COCO list of detections to use instead of the annotated boxes")
    add("--box-score", type=float, default=0.0, help="leave out detections below this")
    add("--joints", type=Path, help="JSON with names, flip_pairs and sigmas of another joint set; default COCO's 17")
    add("--size", default="256x192", help="height x width of the crops")
    add("--flip", action="store_true", help="average with the mirror image, shifted by one heatmap pixel")
    add("--count", type=int, help="only the first so many people")
    add("--threads", type=int, default=1)
    add("--save", type=Path, help="write the poses in COCO's results form")
    args = parser.parse_args(arguments)
    if (args.shards is None) == (args.annotations is None):
        parser.error("give --shards, or --annotations and --images")
    if args.annotations and args.images is None:
        parser.error("--annotations needs --images, the folder of its photographs")
    if args.boxes and args.annotations is None:
        parser.error("--boxes goes with --annotations")
    return args


def pose(joints: np.ndarray, scores: np.ndarray, image: int, box_score: float = 1.0) -> dict:
    """One entry of a COCO results file; the score is the box's times the mean of the trusted joints'."""
    trusted = scores[scores > TRUSTED]
    score = box_score * float(trusted.mean() if len(trusted) else 0.0)
    keypoints = np.column_stack([joints, scores]).ravel().round(3).tolist()
    return {"image_id": image, "category_id": 1, "keypoints": keypoints, "score": score}


def poses_of_people(result: Measured, people: People) -> list[dict]:
    """COCO results of a pass over annotated boxes."""
    image_ids = (people.person(index).key[0] for index in range(len(result.joints)))
    return [pose(j, s, image) for j, s, image in zip(result.joints, result.scores, image_ids, strict=True)]


def poses_of_boxes(
    network: Callable[[np.ndarray], np.ndarray], args: argparse.Namespace, joint_set: JointSet, size: tuple[int, int]
) -> list[dict]:
    """COCO results of a pass over detected boxes."""
    names = {image["id"]: image["file_name"] for image in json.loads(args.annotations.read_text())["images"]}
    detections = [
        found
        for found in json.loads(args.boxes.read_text())
        if found.get("category_id", 1) == 1 and found["score"] >= args.box_score and found["image_id"] in names
    ]
    detections.sort(key=lambda found: found["image_id"])  # each photograph is read once
    poses, at, photo = [], None, None
    for found in tqdm(detections[: args.count], unit="box"):
        if found["image_id"] != at:
            at = found["image_id"]
            photo = read_image(args.images / names[at])
        crop, to_crop = crop_person(photo, found["bbox"], size)
        maps = flip_test(network, to_input(crop), joint_set) if args.flip else network(to_input(crop))
        joints, scores = decode(maps)
        poses.append(pose(to_image(joints[0], to_crop), scores[0], at, found["score"]))
    return poses


def average_precision(annotations: Path, poses: Sequence[dict], joint_set: JointSet) -> dict[str, float]:
    """COCO's ten numbers by name, over the photographs that `poses` speaks of.

    Raises:
        ImportError: pycocotools is not installed.
    """
    from pycocotools.coco import COCO as Annotations
    from pycocotools.cocoeval import COCOeval

    held = json.loads(annotations.read_text())
    truth = Annotations()
    for entry in held["annotations"]:  # what COCO's own files always have, and others may leave out
        keypoints = entry.setdefault("keypoints", [0] * 3 * len(joint_set.names))
        entry.setdefault("num_keypoints", sum(v > 0 for v in keypoints[2::3]))
        entry.setdefault("area", entry["bbox"][2] * entry["bbox"][3])
        entry.setdefault("iscrowd", 0)
    truth.dataset = {"info": {}, "categories": [{"id": 1, "name": "person"}], **held}
    truth.createIndex()
    evaluation = COCOeval(truth, truth.loadRes(list(poses)), "keypoints")
    evaluation.params.kpt_oks_sigmas = np.array(joint_set.sigmas)
    evaluation.params.catIds = [1]
    evaluation.params.imgIds = sorted({found["image_id"] for found in poses})
    evaluation.evaluate()
    evaluation.accumulate()
    evaluation.summarize()
    names = ("AP", "AP50", "AP75", "AP medium", "AP large", "AR", "AR50", "AR75", "AR medium", "AR large")
    return dict(zip(names, map(float, evaluation.stats), strict=True))


def main(arguments: list[str] | None = None) -> dict[str, float]:
    """Measure, print, and return the numbers."""
    args = parse(arguments)
    joint_set = read_joint_set(args.joints) if args.joints else COCO
    size = check_size(parse_size(args.size))
    network = load(args.model, runtime_of(args.model), threads=args.threads)
    numbers: dict[str, float] = {}
    poses: list[dict] = []
    if args.boxes:
        poses = poses_of_boxes(network, args, joint_set, size)
    else:
        people = open_people(args.shards or args.annotations, args.images, len(joint_set.names))
        count = min(args.count or len(people), len(people))
        result = measure(
            network,
            people,
            joint_set,
            size,
            indices=range(count),
            flip=args.flip,
            progress=lambda i: tqdm(i, unit="person"),
        )
        numbers = {"people": count, "PCK@0.05": result.pck(SHARE), "OKS": float(np.nanmean(result.oks))}
        print(f"{count} people: PCK@0.05 {numbers['PCK@0.05']:.4f}, mean OKS {numbers['OKS']:.4f}")
        if count <= 24:
            print("OKS, one by one:", " ".join(f"{value:.2f}" for value in result.oks))
        by_joint = np.nanmean(np.where(np.isnan(result.errors), np.nan, result.errors <= SHARE), axis=0)
        print("PCK by joint:", ", ".join(f"{n} {v:.2f}" for n, v in zip(joint_set.names, by_joint, strict=True)))
        if isinstance(people, CocoPeople):
            poses = poses_of_people(result, people)
    if poses:
        try:
            numbers |= average_precision(args.annotations, poses, joint_set)
        except ImportError:
            print("COCO's average precision needs pycocotools: pip install pycocotools", file=sys.stderr)
    if args.save:
        args.save.write_text(json.dumps(poses))
    return numbers


if __name__ == "__main__":
    main()
