"""`litehrnet export`: write a network as a file for a runtime, and compare it with torch before keeping it."""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from . import parser as types

if TYPE_CHECKING:
    import numpy as np

    from ..model import LiteHRNet
    from .outputs import Output

HELP = "write a checkpoint as a file for a runtime"
EXAMPLES = """
    litehrnet export my.pth                                  # my.onnx, for one size
    litehrnet export my.pth --dynamic size -o free.onnx      # any batch, any size
    litehrnet export my.pth --fused --weights float16        # faster, half the file
    litehrnet export my.pth -o my.xml                        # for OpenVINO
    litehrnet export litehrnet18 --to c                      # litehrnet18.lhr, for the C file
    litehrnet export my.pth --to coreml --weights float16    # my.mlpackage, for a phone or a Mac
    litehrnet export hand.pth --joints hand.json             # with the names of the joints
    litehrnet export my.onnx --size 320x256                  # my-320x256.onnx, from the file alone
    litehrnet export my.pth --weights int8 --calibrate photos/   # int8, with pictures of your own
"""
# The same as in `litehrnet.export.FORMATS`, which would import torch.
SUFFIXES = {"onnx": ".onnx", "ncnn": ".ncnn.param", "openvino": ".xml", "c": ".lhr", "executorch": ".pte",
            "litert": ".tflite", "mnn": ".mnn", "coreml": ".mlpackage"}  # fmt: skip
ONNX_ONLY = ("dynamic", "exporter", "opset", "inputs", "decode")
TAKEN = {"onnx": ONNX_ONLY, "coreml": ("dynamic",)}  # other formats take none of these
# What the other formats need besides this package: each module, and what pip installs for it.
NEEDS = {"ncnn": {"pnnx": "pnnx", "ncnn": "ncnn"}, "openvino": {"openvino": "openvino"},
         "executorch": {"executorch": "executorch"}, "litert": {"litert_torch": "litert-torch"}, "mnn": {"MNN": "MNN"},
         "coreml": {"coremltools": "coremltools"}}  # fmt: skip
INT8_ONLY = ("calibrate", "activations", "operators")
INT8 = ("onnx", "litert")  # formats that can be quantised
FAR = 2  # input pixels, half a pixel of a heatmap
MOST = 0.5  # of the joints
SLOW = "; this takes about a minute (--exporter torchscript writes the same operators in a tenth of that)"


def add_options(parser: types.Parser) -> None:
    """Declare what the command takes."""
    add = parser.add_argument
    add("checkpoint", metavar="CHECKPOINT", help=f"{types.CHECKPOINT}; or an ONNX file that is neither fused nor int8")
    add("-o", "--output", type=types.file, metavar="FILE", help="the file to write; its ending selects the format "
        "(default: the checkpoint's name, with the format's ending)")  # fmt: skip
    add("--to", choices=tuple(SUFFIXES), help="the format (default: inferred from the ending of -o, else onnx); ncnn "
        "and openvino write two files, NAME.ncnn.param or NAME.xml and a .bin file")  # fmt: skip
    add("--joints", metavar="JOINTS", help="names, bones, mirror pairs and sigmas of the joints, to store in the "
        "file: a JSON file, or the name of a public set (default: those that the checkpoint describes)")  # fmt: skip
    add("--model", metavar="NAME", help="the variant that the checkpoint must hold (default: any)")
    add("--size", type=types.size, metavar="HxW", help="height x width of the input (default: the size that the "
        "checkpoint was trained at, or 256x192)")  # fmt: skip
    add("--dynamic", choices=("batch", "size"), help="accept any batch, or any batch and size (ONNX and "
        "Core ML only)")  # fmt: skip
    add("--exporter", choices=("dynamo", "torchscript"), help="which of torch's exporters to use (default: dynamo); "
        "torchscript writes the same operators in a tenth of the time (ONNX only)")  # fmt: skip
    add("--opset", type=types.count, metavar="N", help="version of ONNX's operators (default: 18; ONNX only)")
    add("--input", dest="inputs", choices=("float32", "uint8"), help="what the file takes: normalised images "
        "(default), or RGB pixels with channels last, which the graph normalises (ONNX only)")  # fmt: skip
    add("--decode", action="store_true", default=None, help="output joints and scores as well as heatmaps (ONNX only)")
    add("--pooling", choices=("computed", "adaptive", "exact"), help="pooling of the cross-resolution weighting; all "
        "three give the same values (default: computed; not with --fused or --to c)")  # fmt: skip
    add("--weights", choices=("float32", "float16", "int8"), help="type of the stored weights; float16 halves the "
        "file, int8 needs --calibrate (default: float32, or what the ONNX file has)")  # fmt: skip
    add("--calibrate", type=types.file, metavar="FOLDER", help="pictures of one person each, like those that the file "
        "will see; int8 takes its ranges from them")  # fmt: skip
    add("--activations", choices=("int8", "int16"), help="bits of the values between operators of an int8 file "
        "(default: int8)")  # fmt: skip
    add("--operators", choices=("convolutions", "all"), help="what an int8 file quantises; all is for accelerators "
        "that require it, and moves joints unless the activations are int16 (default: convolutions)")  # fmt: skip
    add("--fp16", action=types.Deprecated, dest="weights", new="--weights", value="float16")
    add("--fused", action="store_true", help="write the fast graph (litehrnet.fusion)")
    add("--overwrite", action="store_true", help="replace an existing file even if it is of another kind")


def settle(args: argparse.Namespace) -> None:
    """Fill in the format and the file's name, and refuse options that do not go together."""
    if args.to is None:
        args.to = _format_of(args.output) if args.output else "onnx"
    suffix = SUFFIXES[args.to]
    if args.output is None:
        args.output = _usual_name(args, suffix)
    name = args.output.name.lower()
    if not name.endswith(suffix) or name == suffix:
        raise ValueError(
            f"cannot write {args.output}: a file for {args.to} must end in {suffix}, such as model{suffix}"
        )
    refused = [name for name in ONNX_ONLY if getattr(args, name) is not None and name not in TAKEN.get(args.to, ())]
    if refused:
        given = [f"--{name}".replace("inputs", "input") for name in refused]
        belong = "belongs" if len(given) == 1 else "belong"
        others = " and Core ML" if refused == ["dynamic"] else ""
        raise ValueError(f"{' and '.join(given)} {belong} to ONNX{others} files, not to --to {args.to}")
    if args.pooling is not None and (args.fused or args.to == "c"):
        what = "--fused writes a graph" if args.fused else "--to c writes a file"
        raise ValueError(f"{what} with pooling of its own, the same values, so leave out --pooling {args.pooling}")
    given = [f"--{name} {getattr(args, name)}" for name in INT8_ONLY if getattr(args, name) is not None]
    if args.weights != "int8" and given:
        raise ValueError(f"{' and '.join(given)} {'goes' if len(given) == 1 else 'go'} with --weights int8 only")
    if args.weights == "int8" and args.to not in INT8:
        raise ValueError(f"--weights int8 makes a file for ONNX Runtime, OpenVINO or LiteRT, not --to {args.to}")
    given = [f"--{name}".replace("inputs", "input") for name in ("inputs", "decode") if getattr(args, name)]
    if args.weights == "int8" and given:
        raise ValueError(f"{' and '.join(given)} and --weights int8 do not go together")
    if args.weights == "int8" and args.calibrate is None:
        raise ValueError("--weights int8 needs pictures to take the ranges of values from: add --calibrate FOLDER")


def _usual_name(args: argparse.Namespace, suffix: str) -> Path:
    """The checkpoint's name with the format's ending; if the source is an ONNX file, also what will be different."""
    stem = Path(args.checkpoint).stem
    if suffix == ".onnx" and _holds_graph(args.checkpoint):
        size = [] if args.size is None else ["x".join(map(str, args.size))]
        weights = [] if args.weights is None else [args.weights]
        dynamic = [] if args.dynamic is None else [f"any-{args.dynamic}"]
        stem = "-".join([stem, *size, *weights, *dynamic, *(["fused"] if args.fused else [])])
    return Path(f"{stem}{suffix}")


def _holds_graph(source: str) -> bool:
    """Whether this is an ONNX file, by name and content; people give checkpoints such names, too."""
    from ..runtimes.signature import KINDS, content_of, kind_of

    return Path(source).is_file() and kind_of(source) == "onnx" and content_of(Path(source)) == KINDS["onnx"].what


def _format_of(output: Path) -> str:
    for name, suffix in SUFFIXES.items():
        if output.name.lower().endswith(suffix):
            return name
    if output.is_dir():
        raise IsADirectoryError(f"cannot write {output}: it is a folder; give the name of a file in it")
    endings = ", ".join(f"{suffix} ({name})" for name, suffix in SUFFIXES.items())
    raise ValueError(f"cannot write {output}: its name has none of the endings {endings}")


def run(args: argparse.Namespace) -> int:
    """Write a network as a file for a runtime, compare the file with torch, and keep it only if both agree.

    The network comes from a checkpoint, or is rebuilt from an ONNX file: so it can be written at another size, or for
    another runtime, even if the checkpoint is gone.
    """
    from ..sizes import check_size
    from .models import given_joints
    from .outputs import Output, check_outputs

    settle(args)
    args.size = None if args.size is None else check_size(args.size)
    outputs = [Output(args.output, args.to)]
    if args.to in ("ncnn", "openvino"):
        outputs.append(Output(args.output.with_suffix(".bin"), args.to, beside=args.output))
    check_outputs(outputs, [args.checkpoint, *([args.joints] if args.joints else [])], args.overwrite)
    images = None if args.calibrate is None else pictures_in(args.calibrate)
    # Before torch is loaded, which takes seconds.
    if args.joints is not None:
        given_joints(args.joints)
    check_installed(args.to)
    return _write(args, outputs, images)


def check_installed(to: str) -> None:
    """Refuse a format whose packages are missing, and name all of them at once.

    Raises:
        ImportError: the message gives the command that installs them.
    """
    from importlib.util import find_spec

    missing = [package for module, package in NEEDS.get(to, {}).items() if find_spec(module) is None]
    if missing:
        verb, them = ("is", "it") if len(missing) == 1 else ("are", "them")
        raise ImportError(
            f"{' and '.join(missing)} {verb} not installed; install {them} with: pip install {' '.join(missing)}"
        )


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, by name.

    Raises:
        ValueError, OSError: it is not a folder, or holds no pictures.
    """
    from PIL import Image

    from ..files import existing_file

    if not folder.is_dir():
        existing_file(folder)  # a better error, if there is nothing
        raise ValueError(f"--calibrate {folder} is a file; give the folder that holds the pictures")
    endings = Image.registered_extensions()
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() in endings and path.is_file())
    if not found:
        raise ValueError(f"--calibrate {folder} holds no pictures")
    return found


def _source(args: argparse.Namespace) -> tuple[LiteHRNet, tuple[int, int], str]:
    """The network, the size to write it at, and the type of its weights."""
    from ..model import set_pooling
    from ..runtimes.loading import DEFAULT_SIZE
    from ..runtimes.parity import weights_of
    from ..runtimes.signature import signature
    from .models import load_model
    from .terminal import spinner

    if _holds_graph(args.checkpoint):
        from ..export.rebuild import network_of

        with spinner(f"rebuilding the network of {args.checkpoint}"):
            model = network_of(args.checkpoint)
        if args.model not in (None, model.variant.name):
            raise ValueError(f"{args.checkpoint} holds {model.variant.name}, not {args.model}")
        own, weights = signature(args.checkpoint).size, weights_of(args.checkpoint)
    else:
        model = load_model(args.checkpoint, args.model)
        own, weights = model.trained_size or DEFAULT_SIZE, "float32"
    return set_pooling(model, args.pooling or "computed"), args.size or own, args.weights or weights


def _write(args: argparse.Namespace, outputs: Sequence[Output], pictures: Sequence[Path] | None) -> int:
    from ..runtimes import signature
    from .models import joints_of
    from .outputs import writing
    from .terminal import spinner
    from .text import NOT_RUN, facts, takes, worst

    with spinner("loading torch"):
        from ..export import check_parity, export

    exporter = (args.exporter or "dynamo") if args.to == "onnx" else None
    model, size, weights = _source(args)
    if args.joints is not None:
        model.joints = joints_of(None, model.num_joints, args.joints)
    quantised = weights == "int8"
    images = [_image(path, size) for path in pictures or ()]  # before the slow part: one may be damaged
    replaced = args.output.exists()
    with writing(outputs) as (temporary, *_):
        written = temporary.with_name(f"float32-{temporary.name}") if quantised else temporary
        started = time.perf_counter()
        what = f"{exporter} is exporting" if exporter else f"writing a file for {args.to}"
        with spinner(what + (SLOW if exporter == "dynamo" else "")):
            export(
                model,
                written,
                to=args.to,
                size=size,
                dynamic=args.dynamic,
                weights="float32" if quantised else weights,
                exporter=exporter,
                opset=args.opset,
                inputs=args.inputs,
                decode=args.decode,
                fused=args.fused,
            )
        seconds = time.perf_counter() - started
        with spinner("comparing with torch"):
            rows = check_parity(model, written)
        if not all(row.ok for row in rows):
            raise ValueError(f"the file does not compute what torch computes, so none was kept: {worst(rows)}")
        moved = _quantise(args, written, temporary, images) if quantised else None
        about = signature(temporary)
    kind = ", fused" if args.fused else ""
    chosen = ", as trained" if args.size is None and model.trained_size == size else ""
    print(f"{model.variant.name}{kind}, {model.num_joints} joints, {size[0]}x{size[1]} (height x width{chosen})")
    made = "" if exporter is None else f", {exporter}"
    print(f"{facts(args.output, about)}, {weights} weights{made}, {seconds:.1f} s")
    print(takes(about))
    if _holds_graph(args.checkpoint):
        print(f"rebuilt from the weights in {args.checkpoint}: in torch, they compute what that file computes")
    print(f"parity{' before quantising' if quantised else ''}: {worst(rows)}")
    if args.to == "coreml":
        print(NOT_RUN)
    if moved is not None:
        print(moved)
    if args.fused and args.dynamic == "size":
        print("note: in ONNX Runtime a fused file of free size is no faster than a plain one; fuse for one size")
    if model.trained_size not in (None, size):
        trained = "x".join(map(str, model.trained_size or ()))
        print(f"note: the weights were trained at {trained}; at other sizes, joints are found less accurately")
    if replaced:
        print(f"note: this replaces the {args.output.name} that was here; -o writes under another name")
    print(*(output.path for output in outputs), sep="\n")
    return 0


def _image(path: Path, size: tuple[int, int]) -> np.ndarray:
    """A picture of one person as a network's input, (1, 3, H, W)."""
    from ..heatmaps import crop_person, read_image, to_input

    photo = read_image(path)
    return to_input(crop_person(photo, (0, 0, photo.shape[1], photo.shape[0]), size, 1.0)[0])


def _quantise(args: argparse.Namespace, source: Path, target: Path, images: Sequence[np.ndarray]) -> str:
    """Write the int8 file, and say how far the joints in the calibration pictures move."""
    import numpy as np

    from ..export.int8 import quantize_int8
    from ..export.litert import quantize_litert
    from ..heatmaps import decode
    from ..runtimes import load
    from .terminal import spinner

    with spinner(f"calibrating int8 on {len(images)} pictures"):
        quantize = quantize_litert if args.to == "litert" else quantize_int8
        quantize(
            source,
            target,
            images,
            args.operators or "convolutions",
            activations=args.activations or "int8",
        )
        before, after = (load(path) for path in (source, target))
        shifts = [np.linalg.norm(decode(before(x))[0] - decode(after(x))[0], axis=-1) for x in images]
    shift = np.concatenate(shifts)
    moved = float((shift > FAR).mean())
    told = (
        f"int8: on the {len(images)} calibration pictures joints move by {shift.mean():.2f} input pixels on average, "
        f"{moved:.0%} of them by more than {FAR}; measure it on other people with litehrnet evaluate"
    )
    if moved <= MOST:
        return told
    way = "--activations int16 keeps nearly all" if args.activations != "int16" else "quantise fewer, or take float16"
    return f"{told}\nwarning: most joints are lost in this file; {way}"
