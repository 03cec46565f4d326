"""`litehrnet evaluate`: how well a model finds the joints of labelled people."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from . import parser as types

HELP = "measure a model on labelled people: OKS, PCK, AP and AR"
EXAMPLES = """
    litehrnet evaluate my.onnx people.json --images photos           # an exported file on your own labels
    litehrnet evaluate my.pth people.json --images photos --flip     # a checkpoint, with the mirror image
    litehrnet evaluate my.onnx people.json --images photos --runtime openvino --precision bfloat16
    litehrnet evaluate my.pth val.json --images photos --boxes found.json --flip   # with detected boxes, as in papers
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("model", metavar="MODEL", help=f"{types.EXPORTED}, or {types.CHECKPOINT}")
    add("data", type=types.file, metavar="DATA", help="labelled people: a JSON file in COCO's keypoint form")
    add(
        "--images",
        type=types.file,
        required=True,
        metavar="FOLDER",
        help="the folder with the pictures that DATA names",
    )
    add("--runtime", choices=types.RUNTIMES,
        help="default: inferred from the file")  # fmt: skip
    add("--precision", choices=types.PRECISIONS, default="float32", help="what the runtime may "
        "compute in (default: float32)")  # fmt: skip
    types.add_device(parser)
    add("--threads", type=types.threads, default=1, metavar="N", help="default: 1")
    add("--size", type=types.size, metavar="HxW", help="input size, where the model leaves it free")
    add("--joints", metavar="JOINTS", help="names, mirror pairs and sigmas of the joints: a JSON file, or the "
        "name of a public set (default: those of DATA)")  # fmt: skip
    add("--flip", action="store_true", help="average the heatmaps with those of the mirror image")
    add("--boxes", type=types.file, metavar="FILE", help="use these detected boxes (a COCO result file) instead of the "
        "labelled ones; measures AP and AR only")  # fmt: skip
    add("--count", type=types.count, metavar="N", help="measure the first N people only")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("-o", "--output", type=types.file, metavar="FILE", help="save the numbers as JSON in this file")
    add("--save-poses", type=types.file, metavar="FILE", help="save the joints that were found, as a COCO result file")
    add("--overwrite", action="store_true", help="replace existing files even if they are something else")


def run(args: argparse.Namespace) -> int:
    """Find the joints of labelled people and measure them: mean OKS, PCK, COCO's AP and AR, and one row per joint."""
    import json

    from ..checkpoints.joints import find_joints
    from ..measure.accuracy import evaluate
    from ..people import problem_table, read_people
    from .models import runner
    from .outputs import Output, check_outputs, writing
    from .terminal import flush, progress, spinner

    outputs = [Output(args.output, "numbers")] if args.output else []
    outputs += [Output(args.save_poses, "poses", "--save-poses")] if args.save_poses else []
    read = [args.model, args.data, *(file for file in (args.joints, args.boxes) if file)]
    check_outputs(outputs, read, args.overwrite)
    with spinner(f"reading {args.data}"):
        people = read_people(args.data, args.images, find_joints(args.joints) if args.joints else None)
    if people.problems:
        print(problem_table(people.problems), file=sys.stderr)
    model = runner(args.model, args.size, args.precision, args.runtime, args.threads, args.device)
    if model.joints is not None:
        _check_names(model.joints.names, people.joint_set.names, args)
    accuracy = evaluate(
        model.run,
        people,
        size=model.size,
        flip=args.flip,
        boxes=args.boxes,
        count=args.count,
        progress=progress("person"),
    )
    numbers = {"model": args.model, "data": str(args.data), **accuracy.to_dict()}
    print(json.dumps(numbers, indent=1) if args.json else accuracy.table())
    flush()
    if not accuracy.coco:
        print("note: AP and AR need pycocotools; install it with: pip install pycocotools", file=sys.stderr)
    with writing(outputs) as temporaries:
        for output, temporary in zip(outputs, temporaries, strict=True):
            held = numbers if output.kind == "numbers" else accuracy.poses
            temporary.write_text(json.dumps(held, indent=1) + "\n", encoding="utf-8")
    return 0


def _check_names(model: Sequence[str], data: Sequence[str], args: argparse.Namespace) -> None:
    """Refuse the same joints in another order, and say where names differ: it is easy to measure the wrong joints."""
    from ..checkpoints.joints import plain_name

    ours, theirs = ([plain_name(name) for name in names] for names in (model, data))
    if ours == theirs or len(ours) != len(theirs):  # another number is refused where the network runs
        return
    at, (one, other) = next((k, pair) for k, pair in enumerate(zip(ours, theirs, strict=True)) if pair[0] != pair[1])
    if sorted(ours) == sorted(theirs):
        raise ValueError(f"{args.model} and {args.data} have the same joints in another order: joint {at} is {one!r} "
                         f"in the model and {other!r} in the data")  # fmt: skip
    print(f"note: joint {at} is {one!r} in the model and {other!r} in the data", file=sys.stderr)
