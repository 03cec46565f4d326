"""`litehrnet check`: what an exported file takes, what is odd in it, and whether it computes what torch computes."""

from __future__ import annotations

import argparse

from . import parser as types

HELP = "prove an exported file"
EXAMPLES = """
    litehrnet check my.onnx                                      # what it takes, what is odd in it
    litehrnet check my.onnx --checkpoint my.pth                  # the same values as in torch?
    litehrnet check my.onnx --checkpoint my.pth --size 384x288   # ... at this size, too?
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("file", type=types.file, metavar="MODEL.onnx")
    add("--checkpoint", metavar="CHECKPOINT", help=f"compare the file with {types.CHECKPOINT}")
    add("--size", type=types.size, action="append", metavar="HxW", help="compare at this size; may be repeated")
    add("--batch", type=types.count, action="append", metavar="N", help="compare with this batch; may be repeated")
    add("--tolerance", type=types.positive, metavar="T", help="greatest relative difference (default: 1e-4, or 2e-2 "
        "for float16 weights)")  # fmt: skip


def run(args: argparse.Namespace) -> int:
    """Prove an exported file, from other tools too: what it takes, what is odd in it, and parity with a checkpoint."""
    import onnx

    from ..export.findings import findings
    from ..files import existing_file
    from ..runtimes.graph import read_graph
    from ..runtimes.parity import check_parity, default_batches, default_sizes
    from ..runtimes.signature import signature
    from ..sizes import check_size
    from .models import load_model
    from .terminal import spinner
    from .text import facts, takes

    given = [f"--{name}" for name in ("size", "batch", "tolerance") if getattr(args, name) is not None]
    if given and args.checkpoint is None:
        raise ValueError(f"{', '.join(given)} is for a comparison; add --checkpoint")
    file = existing_file(args.file)
    told = signature(file)
    graph = read_graph(file)
    for size in args.size or ():
        for name, side, own in zip(("height", "width"), size, (told.height, told.width), strict=True):
            if own is not None and side != own:
                raise ValueError(f"{file} takes {name} {own} only, and --size asks for {size[0]}x{size[1]}")
    for batch in args.batch or ():
        if told.batch not in (None, batch):
            raise ValueError(f"{file} takes batch {told.batch} only, and --batch asks for {batch}")
    sizes = [check_size(size) for size in args.size or ()]
    print(f"{file}: {facts(file, told)}")
    made = told.metadata
    ours = {"version", "variant"} <= made.keys()
    print(f"made by litehrnet {made['version']}: {made['variant']}" if ours else "made by another tool")
    print(f"{takes(told)}; input {told.input!r}, output {told.output!r}")
    ok = True
    try:
        onnx.checker.check_model(str(file), full_check=True)  # by its path: weights may be in another file
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        ok = False
        print(f"onnx's checker: {str(error).strip().splitlines()[0]}")
    for note in findings(graph):
        print(f"note: {note}")
    if args.checkpoint is None:
        print("not compared: add --checkpoint to compare the file with the weights it was made from")
        return 0 if ok else 1
    model = load_model(args.checkpoint)
    for size in sizes or default_sizes(told):
        for batch in args.batch or default_batches(told):
            where = f"{size[0]}x{size[1]}, batch {batch}"
            try:
                with spinner(f"comparing at {where}"):
                    row = check_parity(model, file, [size], [batch], args.tolerance)[0]
            except ValueError as error:
                ok = False
                print(f"{where}: {error}")
                continue
            ok = ok and row.ok
            peaks = "same peaks" if row.same_peaks else "peaks differ"
            print(f"{where}: relative difference {row.max_rel:.1e}, {peaks}: {'ok' if row.ok else 'not ok'}")
    print("ok" if ok else "not ok")
    return 0 if ok else 1
