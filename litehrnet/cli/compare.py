"""`litehrnet compare`: files x runtimes x precisions x sizes in one table, and which rows meet a goal."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import parser as types

if TYPE_CHECKING:
    from ..checkpoints import JointSet
    from ..measure.grid import Grid
    from ..people import CocoPeople
    from .outputs import Output

HELP = "compare speed, size, memory, parity and OKS of files, runtimes, precisions and sizes"
EXAMPLES = """
    litehrnet compare plain.onnx fused.onnx                                   # the second against the first
    litehrnet compare my.onnx --runtimes onnxruntime openvino --precisions float32 bfloat16
    litehrnet compare my.pth --runtimes torch ncnn c --sizes 256x192 192x160 -o table.json --picture table.svg
    litehrnet compare my.pth --runtimes c mnn executorch --python mnn=m/bin/python --python executorch=e/bin/python
    litehrnet compare my.pth --runtimes openvino c --annotations p.json --images p --at-least 30fps --within 1oks
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help=f"an exported file, or {types.CHECKPOINT}; the first is the "
        "baseline. A checkpoint is exported, fused, for every runtime but torch")  # fmt: skip
    add("--runtimes", nargs="+", choices=types.RUNTIMES, metavar="RUNTIME", help="of "
        f"{', '.join(types.RUNTIMES)} (default: inferred from each file)")  # fmt: skip
    add("--python", action="append", type=types.interpreter, metavar="RUNTIME=PYTHON", help="run this runtime in "
        "another Python, which has it and this package; can be repeated")  # fmt: skip
    add("--precisions", nargs="+", choices=types.PRECISIONS, default=["float32"], metavar="P", help="what runtimes may "
        f"compute in, of {', '.join(types.PRECISIONS)} (default: float32)")  # fmt: skip
    add("--sizes", nargs="+", type=types.size, metavar="HxW", help="input sizes (default: each file's own)")
    add("--plain", action="store_true", help="export checkpoints as plain graphs, not fused ones")
    add("--reference", metavar="MODEL", help="what heatmaps, joints and OKS are compared with (default: the first "
        "model that is a checkpoint, else the first model)")  # fmt: skip
    add("--annotations", type=types.file, metavar="DATA", help="labelled people, to measure OKS: a JSON file in COCO's "
        "keypoint form (default: joints are compared on rendered people, without OKS)")  # fmt: skip
    add("--images", type=types.file, metavar="FOLDER", help="the pictures that DATA names")
    add("--joints", metavar="JOINTS", help="names and sigmas of the joints: a JSON file, or the name of a public set "
        "(default: those of DATA)")  # fmt: skip
    add("--at-least", type=types.fps, metavar="FPS", help="mark rows with this many images per second, such as 30fps")
    add("--within", type=types.points, metavar="OKS", help="mark rows that lose at most this many points of OKS "
        "against the reference, such as 1oks")  # fmt: skip
    types.add_device(parser)
    types.add_pairing(parser)
    add("-o", "--output", type=types.file, metavar="FILE", help="save everything as JSON in this file")
    add("--picture", type=types.file, metavar="FILE", help="draw speed against OKS, or against the shift of joints, "
        "into this .png, .svg or .pdf")  # fmt: skip
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--overwrite", action="store_true", help="replace existing files even if they are something else")


def run(args: argparse.Namespace) -> int:
    """Measure every combination in a fresh process, in turn with the first, and print one table.

    Speed is a ratio to the first, memory is the peak, and heatmaps and joints are compared with the reference's. With
    labelled people, OKS is measured too.
    """
    import tempfile

    from ..checkpoints.joints import find_joints
    from ..measure.grid import Goal, candidates, compare_grid
    from .models import model_file
    from .outputs import Output, check_outputs
    from .terminal import progress, spinner

    _check(args)
    outputs = [Output(args.output, "report")] if args.output else []
    outputs += [Output(args.picture, "drawing", "--picture")] if args.picture else []
    read = [*args.models, *(file for file in (args.annotations, args.reference, args.joints) if file)]
    check_outputs(outputs, read, args.overwrite)
    models = _named(args.models)
    checkpoint = _checkpoint(models)
    if args.plain:
        _check_plain(checkpoint, args.runtimes)
    joints = find_joints(args.joints) if args.joints else None
    people = None if args.annotations is None else _people(args.annotations, args.images, joints)
    reference = None if args.reference is None else model_file(args.reference)
    with tempfile.TemporaryDirectory() as folder:
        with spinner("reading the files") as tell:
            chosen, notes = candidates(
                models,
                args.runtimes,
                args.precisions,
                args.sizes,
                args.threads,
                folder=Path(folder),
                fused=not args.plain,
                device=args.device,
                pythons=dict(args.python or ()),
                tell=tell,
            )
        grid = compare_grid(
            chosen,
            reference or checkpoint,
            people=people,
            joints=joints,
            goal=Goal(args.at_least, args.within),
            sessions=args.sessions,
            rounds=args.rounds,
            notes=notes,
            progress=progress("candidate"),
        )
    _print(grid, args.json)
    _write(grid, outputs)
    for output in outputs:
        print(output.path, file=sys.stderr if args.json else sys.stdout)
    # A combination that does not run is a note; a model or a runtime of which nothing runs is a failure.
    shown = {row.model for row in grid.rows}
    idle = {name for name in models if not shown & {name, f"{name}, fused", f"{name}, plain"}}
    return int(bool(idle or set(args.runtimes or ()) - {row.runtime for row in grid.rows}))


def _check(args: argparse.Namespace) -> None:
    """Refuse options that do not go together, before anything is loaded."""
    from ..checks import require
    from ..measure.picture import ENDINGS

    if (args.annotations is None) != (args.images is None):
        raise ValueError("--annotations names labelled people and --images the folder with their pictures: give both")
    if args.joints is not None and args.annotations is None:
        raise ValueError("--joints says which joints are labelled: add --annotations and --images")
    if args.within is not None and args.annotations is None:
        raise ValueError("--within is a loss of OKS, which needs labelled people: add --annotations and --images")
    if args.picture is not None:
        if args.picture.suffix.lower() not in ENDINGS:
            raise ValueError(f"cannot write {args.picture}: a picture must end in {', '.join(ENDINGS)}")
        require("matplotlib")


def _check_plain(checkpoint: Path | None, runtimes: Sequence[str] | None) -> None:
    """Refuse --plain where nothing is exported, so that there is no graph to be plain."""
    if checkpoint is None:
        raise ValueError("--plain says how checkpoints are exported, and none is given: leave it out")
    if not set(runtimes or ()) - {"torch"}:
        raise ValueError(
            "--plain says how checkpoints are exported, which torch does not need: add --runtimes, or leave it out"
        )


def _people(annotations: Path, images: Path, joints: JointSet | None) -> CocoPeople:
    """Read the labelled people, and print what is wrong with them."""
    from ..people import problem_table, read_people
    from .terminal import spinner

    with spinner(f"reading {annotations}"):
        people = read_people(annotations, images, joints)
    if people.problems:
        print(problem_table(people.problems), file=sys.stderr)
    return people


def _print(grid: Grid, as_json: bool) -> None:
    """Print the table, which row fits best, and the notes."""
    import json

    from .terminal import flush

    if as_json:
        print(json.dumps(grid.to_dict(), indent=1))
    else:
        print("\n".join(f"{name}: {value}" for name, value in grid.machine.items()))
        print(f"\n{grid.table()}")
        if any(row.fits is not None for row in grid.rows):
            best = grid.fitting()
            print(f"\nfits best: {best.label}" if best else "\nnothing here meets the goal")
    flush()
    for note in grid.notes:
        print(f"note: {note}", file=sys.stderr)


def _write(grid: Grid, outputs: Sequence[Output]) -> None:
    """Save the report and draw the picture, if they were asked for."""
    from ..measure.grid import save
    from ..measure.picture import scatter
    from .outputs import writing

    with writing(outputs) as temporaries:
        for output, temporary in zip(outputs, temporaries, strict=True):
            (save if output.kind == "report" else scatter)(grid, temporary)


def _named(models: list[str]) -> dict[str, Path]:
    """From what each model is called in the table to its file."""
    from .models import model_file

    files = [model_file(model) for model in models]
    short = [model if model != str(file) else file.name for model, file in zip(models, files, strict=True)]
    names = short if len(set(short)) == len(short) else models
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise ValueError(f"{twice} is given twice")
    return dict(zip(names, files, strict=True))


def _checkpoint(models: dict[str, Path]) -> Path | None:
    """The first model that is a checkpoint."""
    from ..runtimes.signature import kind_of

    return next((path for path in models.values() if kind_of(path) is None), None)
