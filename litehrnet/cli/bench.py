"""`litehrnet bench`: how fast models are, side by side."""

from __future__ import annotations

import argparse

from . import parser as types

HELP = "compare the speed of files"
EXAMPLES = """
    litehrnet bench plain.onnx fused.onnx                       # the second compared with the first
    litehrnet bench my.onnx my.xml --runtime openvino --json    # in one runtime, for programs
    litehrnet bench my.onnx --threads 2 -o report.json          # keep the report
"""


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("models", nargs="+", metavar="MODEL", help="an exported file, a checkpoint or the name of bundled "
        "weights; the first is the baseline")  # fmt: skip
    add("--runtime", choices=types.RUNTIMES,
        help="default: inferred from each file")  # fmt: skip
    add("--precision", choices=types.PRECISIONS, default="float32", help="what the runtime may "
        "compute in (default: float32)")  # fmt: skip
    types.add_device(parser)
    types.add_pairing(parser)
    add("--size", type=types.size, metavar="HxW", help="input size, where the files leave it free")
    add("-o", "--output", type=types.file, metavar="FILE", help="save the report as JSON in this file")
    add("--json", action="store_true", help="print JSON instead of a table")
    add("--overwrite", action="store_true", help="replace an existing file even if it is not a report")


def run(args: argparse.Namespace) -> int:
    """Run files in turn, and print how fast each one is compared with the first, and whether it computes the same."""
    import json
    from dataclasses import asdict

    from ..measure import bench
    from ..sizes import check_size
    from .models import model_file
    from .outputs import Output, check_outputs, writing
    from .terminal import flush, spinner

    for model in args.models:
        if model.lower().endswith(".json"):
            raise ValueError(f"{model} is not a model; to save the report there, write -o {model} (--json prints it)")
    outputs = [Output(args.output, "report")] if args.output else []
    check_outputs(outputs, args.models, args.overwrite)
    with spinner("running the files in turn"):
        report = bench(
            [model_file(model) for model in args.models],
            runtime=args.runtime,
            precision=args.precision,
            threads=args.threads,
            sessions=args.sessions,
            rounds=args.rounds,
            size=None if args.size is None else check_size(args.size),
            device=args.device,
        )
    if args.json:
        print(json.dumps(asdict(report), indent=1))
    else:
        print("\n".join(f"{name}: {value}" for name, value in report.machine.items()))
        print(f"\n{report.table()}")
    flush()
    if args.output:
        with writing(outputs) as (temporary,):
            report.save(temporary)
    return 0
