"""`litehrnet export`: write a checkpoint as a file for a runtime, and compare it with torch before keeping it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import parser as types

if TYPE_CHECKING:
    from .outputs import Output

HELP = "write a checkpoint as a file for a runtime"
EXAMPLES = """
    litehrnet export my.pth                                  # my.onnx, for one size
    litehrnet export my.pth --dynamic size -o free.onnx      # any batch, any size
    litehrnet export my.pth --fused --weights float16        # faster, half the file
    litehrnet export my.pth -o my.xml                        # for OpenVINO
    litehrnet export litehrnet18 --to c                      # litehrnet18.lhr, for the C file
"""
# The same as in `litehrnet.export.FORMATS`, which would import torch.
SUFFIXES = {"onnx": ".onnx", "ncnn": ".ncnn.param", "openvino": ".xml", "c": ".lhr"}
ONNX_ONLY = ("dynamic", "exporter", "opset", "inputs", "decode")


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help=types.CHECKPOINT)
    add("-o", "--output", type=types.file, metavar="FILE", help="the file to write; its ending selects the format "
        "(default: the checkpoint's name, with the format's ending)")  # fmt: skip
    add("--to", choices=tuple(SUFFIXES), help="the format (default: inferred from the ending of -o, else onnx); ncnn "
        "and openvino write two files, NAME.ncnn.param or NAME.xml and a .bin file")  # fmt: skip
    add("--model", metavar="NAME", help="the variant that the checkpoint must hold (default: any)")
    add("--size", type=types.size, metavar="HxW", help="height x width of the input (default: the size that the "
        "weights were trained at, or 256x192 if that is unknown)")  # fmt: skip
    add("--dynamic", choices=("batch", "size"), help="accept any batch, or any batch and size (ONNX only)")
    add("--exporter", choices=("dynamo", "torchscript"), help="which of torch's exporters to use (default: dynamo); "
        "torchscript writes the same operators in a tenth of the time (ONNX only)")  # fmt: skip
    add("--opset", type=types.count, metavar="N", help="version of ONNX's operators (default: 18; ONNX only)")
    add("--input", dest="inputs", choices=("float32", "uint8"), help="what the file takes: normalised images (default), or RGB "
        "pixels with channels last, which the graph normalises (ONNX only)")  # fmt: skip
    add("--decode", action="store_true", default=None, help="give joints and scores beside the heatmaps (ONNX only)")
    add("--pooling", choices=("computed", "adaptive", "exact"), default="computed", help="pooling of the "
        "cross-resolution weighting; all three give the same values (default: computed)")  # fmt: skip
    add("--weights", choices=("float32", "float16"), default="float32", help="type of the stored weights; float16 "
        "halves the file (default: float32)")  # fmt: skip
    add("--fp16", action=types.Deprecated, dest="weights", new="--weights", value="float16")
    add("--fused", action="store_true", help="write the fast graph (litehrnet.fusion)")
    add("--overwrite", action="store_true", help="replace an existing file even if it is of another kind")


def settle(args: argparse.Namespace) -> None:
    """Fill in the format and the file's name, and refuse options that do not go together."""
    if args.to is None:
        args.to = _format_of(args.output) if args.output else "onnx"
    suffix = SUFFIXES[args.to]
    if args.output is None:
        args.output = Path(f"{Path(args.checkpoint).stem}{suffix}")
    name = args.output.name.lower()
    if not name.endswith(suffix) or name == suffix:
        raise ValueError(
            f"cannot write {args.output}: a file for {args.to} must end in {suffix}, such as model{suffix}"
        )
    given = [f"--{name}".replace("inputs", "input") for name in ONNX_ONLY if getattr(args, name) is not None]
    if args.to != "onnx" and given:
        raise ValueError(f"{', '.join(given)} belong to ONNX files, not to --to {args.to}")


def _format_of(output: Path) -> str:
    for name, suffix in SUFFIXES.items():
        if output.name.lower().endswith(suffix):
            return name
    if output.is_dir():
        raise IsADirectoryError(f"cannot write {output}: it is a folder; give the name of a file in it")
    endings = ", ".join(f"{suffix} ({name})" for name, suffix in SUFFIXES.items())
    raise ValueError(f"cannot write {output}: its name has none of the endings {endings}")


def run(args: argparse.Namespace) -> int:
    """Write a checkpoint as a file for a runtime, compare the two, and keep the file only if both compute the same."""
    from ..sizes import check_size
    from .outputs import Output, check_outputs

    settle(args)
    if args.size is not None:
        check_size(args.size)
    outputs = [Output(args.output, args.to)]
    if args.to in ("ncnn", "openvino"):
        outputs.append(Output(args.output.with_suffix(".bin"), args.to, beside=args.output))
    check_outputs(outputs, [args.checkpoint], args.overwrite)
    return _write(args, outputs)


def _write(args: argparse.Namespace, outputs: Sequence[Output]) -> int:
    from ..export import check_parity, export
    from ..export.onnx import export_size
    from ..model import set_pooling
    from ..runtimes import signature
    from .models import load_model
    from .outputs import writing
    from .terminal import spinner
    from .text import facts, takes, worst

    exporter = (args.exporter or "dynamo") if args.to == "onnx" else None
    model = set_pooling(load_model(args.checkpoint, args.model), args.pooling)
    size = export_size(model, args.size)
    with writing(outputs) as (temporary, *_):
        started = time.perf_counter()
        with spinner(f"{exporter or args.to} is exporting"):
            export(
                model,
                temporary,
                to=args.to,
                size=size,
                dynamic=args.dynamic,
                weights=args.weights,
                exporter=exporter,
                opset=args.opset,
                inputs=args.inputs,
                decode=args.decode,
                fused=args.fused,
            )
        seconds = time.perf_counter() - started
        with spinner("comparing with torch"):
            rows = check_parity(model, temporary)
        if not all(row.ok for row in rows):
            raise ValueError(f"the file does not compute what torch computes, so none was kept: {worst(rows)}")
        about = signature(temporary)
    kind = ", fused" if args.fused else ""
    chosen = ", as trained" if args.size is None and model.trained_size is not None else ""
    print(f"{model.variant.name}{kind}, {model.num_joints} joints, {size[0]}x{size[1]} (height x width{chosen})")
    made = "" if exporter is None else f", {exporter}"
    print(f"{facts(args.output, about)}, {args.weights} weights{made}, {seconds:.1f} s")
    print(takes(about))
    print(f"parity: {worst(rows)}")
    if args.fused and args.dynamic == "size":
        print("note: in ONNX Runtime a fused file of free size is no faster than a plain one; fuse for one size")
    print(*(output.path for output in outputs), sep="\n")
    return 0
