"""`litehrnet predict`: the joints of the people in a photograph."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from . import parser as types

if TYPE_CHECKING:
    from .text import Person

HELP = "find people's joints in a photograph"
EXAMPLES = """
    litehrnet predict photo.jpg -o out.png                          # the bundled weights, joints drawn
    litehrnet predict photo.jpg --model my.onnx --box 80,20,200,400 # one person, in pixels
    litehrnet predict photo.jpg --model my.onnx --json > out.json   # for programs
    litehrnet predict hand.jpg --model hand.onnx --joints hand.json # other joints than COCO's
"""
LEAST_SCORE = 0.3
PADDING, WHOLE_PADDING = 1.25, 1.0  # a whole photograph has room around its person already
LOW = 0.5  # on people the best joint reached 0.65 to 1; with the input normalised twice 0.13 to 0.41


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("photo", type=types.file, metavar="PHOTO", help="an image in any format that Pillow reads")
    add("--model", default="litehrnet18", help="an exported file (.onnx, .xml, .ncnn.param, .lhr), or "
        f"{types.CHECKPOINT} (default: litehrnet18)")  # fmt: skip
    add("--box", type=types.box, action="append", metavar="X,Y,W,H", help="a person's box in pixels; can be "
        "repeated (default: the whole photograph)")  # fmt: skip
    add("--size", type=types.size, metavar="HxW", help="input size, where the model leaves it free")
    add("--precision", choices=("float32", "float16", "bfloat16"), default="float32", help="what the runtime may "
        "compute in (default: float32)")  # fmt: skip
    add("--joints", metavar="JOINTS", help="names and bones of the joints: a JSON file (a COCO category or annotation "
        "file, mmpose's dataset_info), or coco, mpii, aic, coco_wholebody, coco_wholebody_hand, coco_wholebody_face "
        "(default: those that the model describes)")  # fmt: skip
    add("-o", "--output", type=types.file, metavar="FILE", help="draw the joints into this picture")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--least-score", type=types.finite, default=LEAST_SCORE, metavar="S", help="draw joints that score at least "
        f"this (default: {LEAST_SCORE})")  # fmt: skip
    add("--overwrite", action="store_true", help="replace an existing file even if it is not a picture")


def run(args: argparse.Namespace) -> int:
    """Find the joints of one or more people in a photograph, print them, and optionally draw them."""
    from ..heatmaps import crop_person, decode, to_image, to_input
    from ..images import draw_joints, read_image
    from .models import joints_of, runner
    from .outputs import Output, check_outputs, check_picture, save_picture, writing
    from .terminal import flush
    from .text import Person, as_json, as_table

    outputs = [Output(args.output, "picture")] if args.output else []
    check_outputs(outputs, [args.photo, args.model, *([args.joints] if args.joints else [])], args.overwrite)
    photo = read_image(args.photo)
    if args.output:
        check_picture(args.output, photo.shape[:2])
    model = runner(args.model, args.size, args.precision)
    boxes = args.box or [(0.0, 0.0, float(photo.shape[1]), float(photo.shape[0]))]
    padding = PADDING if args.box else WHOLE_PADDING
    people: list[Person] = []
    picture = photo
    for box in boxes:
        crop, to_crop = crop_person(photo, box, model.size, padding)
        places, scores = decode(model.run(to_input(crop)))
        joints = joints_of(model.joints, len(scores[0]), args.joints)
        person = Person(box, joints.names, to_image(places[0], to_crop), scores[0])
        people.append(person)
        picture = draw_joints(picture, person.places, person.scores, joints.skeleton, joints.names, args.least_score)
    # Printed first, so that the joints are not lost if the picture cannot be written.
    print(as_json(args.photo, model.size, people, joints.skeleton) if args.json else as_table(people))
    flush()
    for person in people:
        for note in notes(person, photo.shape[:2]):
            print(f"note: {note}", file=sys.stderr)
    if args.output:
        with writing(outputs) as (temporary,):
            save_picture(picture, temporary)
        print(args.output, file=sys.stderr if args.json else sys.stdout)
    return 0


def notes(person: Person, size: Sequence[int]) -> list[str]:
    """The reasons to doubt one person's joints, one sentence each."""
    found = []
    x, y, width, height = person.box
    inside = max(0.0, min(x + width, size[1]) - max(x, 0.0)) * max(0.0, min(y + height, size[0]) - max(y, 0.0))
    where = f"box {', '.join(f'{value:g}' for value in person.box)}"
    if inside < 0.5 * width * height:
        found.append(f"{where}: most of it is outside the photograph of {size[0]}x{size[1]} (height x width)")
    if max(person.scores) < LOW:
        found.append(
            f"{where}: no joint scores {LOW} or more; is there one person in the box, and does the model take RGB "
            "with the usual mean and standard deviation?"
        )
    return found
