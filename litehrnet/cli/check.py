"""`litehrnet check`: which inputs a file takes, anything unusual in it, and whether it computes what torch computes."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from . import parser as types

if TYPE_CHECKING:
    from torch import nn

    from ..runtimes import Signature

HELP = "inspect an exported file and prove that it is right"
EXAMPLES = """
    litehrnet check my.onnx                                      # its inputs, and anything unusual
    litehrnet check my.onnx --checkpoint my.pth                  # the same values as in torch?
    litehrnet check my.onnx --checkpoint my.pth --size 384x288   # ... and at this size?
    litehrnet check my.onnx --checkpoint my.pth --device cuda    # ... and on the GPU?
    litehrnet check my.ncnn.param --checkpoint my.pth            # any format
    litehrnet check my.mlpackage --checkpoint my.pth             # Core ML's, whose graph is computed in torch
    litehrnet check my.onnx --for rknn                           # what would this compiler refuse?
    litehrnet check theirs.onnx --checkpoint my.pth              # if it differs: BGR? 0..255? another variant?
"""


# The same as in `litehrnet.export.wishes.TARGETS`, which would import onnx.
COMPILERS = ("rknn", "tflite", "armnn", "coreml", "qnn", "tensorrt")


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("file", type=types.file, metavar="MODEL", help=types.CHECKED)
    add("--checkpoint", metavar="CHECKPOINT", help=f"compare the file with {types.CHECKPOINT}")
    add("--size", type=types.size, action="append", metavar="HxW", help="compare at this size; can be repeated")
    add("--batch", type=types.count, action="append", metavar="N", help="compare with this batch; can be repeated")
    add("--tolerance", type=types.tolerance, metavar="T", help="largest relative difference to accept (default: "
        "1e-4, or 2e-2 for float16 weights)")  # fmt: skip
    add("--joints", metavar="JOINTS", help="names of the joints, to say which ones differ: a JSON file, or the name of "
        "a public set (default: those that the checkpoint describes)")  # fmt: skip
    types.add_device(parser)
    add("--for", choices=COMPILERS, dest="compiler", help="name what this compiler refuses in an ONNX file, and a "
        "way round it")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Inspect an exported file, from this tool or any other, and compare it with the checkpoint it was made from.

    Where the two differ, it tries the common causes, such as BGR or another scale, and says which one explains it.
    """
    from ..files import existing_file
    from ..runtimes import signature
    from ..sizes import check_size
    from .text import facts, takes

    given = [f"--{name}" for name in ("size", "batch", "tolerance", "joints") if getattr(args, name) is not None]
    given += ["--device"] if args.device != "cpu" else []
    if given and args.checkpoint is None:
        raise ValueError(f"{', '.join(given)} is for a comparison; add --checkpoint")
    file = existing_file(args.file)
    about = signature(file)
    _check_taken(args, about)
    args.size = [check_size(size) for size in args.size or ()]
    print(f"{file}: {facts(file, about)}")
    made = about.metadata
    ours = {"version", "variant"} <= made.keys()
    print(f"made by litehrnet {made['version']}: {made['variant']}" if ours else "made by another tool")
    print(f"{takes(about)}; input {about.input!r}, output {about.output!r}")
    if args.compiler and about.kind != "onnx":
        raise ValueError(f"--for reads ONNX files, and {file} is another format")
    ok = _look_at_graph(file) if about.kind == "onnx" else True
    if args.compiler:
        ok = _grants(file, args.compiler) and ok
    if args.checkpoint is None:
        print("not compared: add --checkpoint to compare the file with the weights it was made from")
        return 0 if ok else 1
    ok = _compare(args, file, about) and ok
    print("ok" if ok else "not ok")
    return 0 if ok else 1


def _check_taken(args: argparse.Namespace, about: Signature) -> None:
    """Refuse sizes and batches that the file does not take: a wrong call does not mean that the file is wrong."""
    for size in args.size or ():
        for name, side, own in zip(("height", "width"), size, (about.height, about.width), strict=True):
            if own is not None and side != own:
                raise ValueError(f"{about.name} takes {name} {own} only, and --size asks for {size[0]}x{size[1]}")
    for batch in args.batch or ():
        if about.batch not in (None, batch):
            raise ValueError(f"{about.name} takes batch {about.batch} only, and --batch asks for {batch}")


def _look_at_graph(file: Path) -> bool:
    """Print what onnx's checker and our own find in an ONNX graph, and return whether it is valid."""
    import onnx

    from ..export.findings import findings
    from ..files import plainly_named
    from ..runtimes.graph import read_graph

    valid = True
    try:
        with plainly_named(file) as (name,):  # by its path: weights may be in another file
            onnx.checker.check_model(str(name), full_check=True)
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        valid = False
        print(f"onnx's checker: {str(error).strip().splitlines()[0]}")
    for note in findings(read_graph(file)):
        print(f"note: {note}")
    return valid


def _grants(file: Path, compiler: str) -> bool:
    """Print what a compiler refuses in an ONNX file, and return whether the table knows of nothing."""
    from ..export.wishes import TARGETS, wishes_of
    from ..runtimes.graph import read_graph

    found = wishes_of(read_graph(file), compiler)
    verdict = "nothing known that it refuses" if not found else "refused, or left to the CPU:"
    print(f"{TARGETS[compiler].what}: {verdict}")
    for finding in found:
        print(f"  {finding}")
    print(f"  source: {TARGETS[compiler].source}")
    return not found


def _compare(args: argparse.Namespace, file: Path, about: Signature) -> bool:
    """Print one line for each size and batch, and return whether all are right."""
    from ..runtimes import load
    from ..runtimes.parity import check_parity, default_batches, default_sizes, explain, weights_of
    from ..sizes import check_memory
    from .models import given_joints, joints_of, load_model
    from .terminal import spinner
    from .text import NOT_RUN, channels_last

    if args.joints is not None:  # before torch is loaded, which takes seconds
        given_joints(args.joints)
    model = load_model(args.checkpoint)
    names = joints_of(model.joints, model.num_joints, args.joints).names
    if args.device != "cpu":  # refused at once, and not as a difference
        load(file, device=args.device)
    all_ok, differs, fails = True, None, None
    try:
        sizes = default_sizes(about)
    except ValueError as error:
        if not channels_last(about):
            print(error)
        _diagnose(model, file, None, args.tolerance)
        return False
    inputs = list(_inputs(args, sizes, default_batches(about)))
    for size, batch in inputs:
        check_memory(size, batch)
    for size, batch in inputs:
        where = f"{size[0]}x{size[1]}, batch {batch}"
        try:
            with spinner(f"comparing at {where}"):
                (row,) = check_parity(model, file, [size], [batch], args.tolerance, device=args.device)
        except ValueError as error:
            all_ok, fails = False, fails or size
            print(f"{where}: {error}")
            continue
        all_ok = all_ok and row.ok
        peaks = "same peaks" if row.same_peaks else "peaks differ"
        print(f"{where}: relative difference {row.max_rel:.1e}, {peaks}: {'ok' if row.ok else 'not ok'}")
        if not row.ok:
            differs = differs or size
            print(f"  {explain(row, names)}")
        if row.rounding is not None:
            print(
                f"  torch's own float32 differs from float64 by {row.rounding:.1e}, so {row.tolerance:.1e} is accepted"
            )
    if about.kind == "coreml":
        print(NOT_RUN)
    if not all_ok and weights_of(file) == "int8":
        print(
            "note: the file is in int8, which rounds more than this tolerance; litehrnet evaluate measures its joints"
        )
    if not all_ok:
        _diagnose(model, file, differs or fails, args.tolerance)
    return all_ok


def _diagnose(model: nn.Module, file: Path, size: tuple[int, int] | None, tolerance: float | None) -> None:
    """Print what makes the file agree with torch, or how far the nearest is."""
    from ..runtimes.diagnosis import diagnose
    from .terminal import spinner

    try:
        with spinner("looking for the cause"):
            found = diagnose(model, file, size, tolerance)
    except ValueError as error:
        print(f"diagnosis: none, because nothing could be compared: {error}")
    else:
        print(f"diagnosis: {found}")


def _inputs(
    args: argparse.Namespace, sizes: list[tuple[int, int]], batches: list[int]
) -> Iterator[tuple[tuple[int, int], int]]:
    for size in args.size or sizes:
        for batch in args.batch or batches:
            yield size, batch
