"""The command line: `litehrnet export`, `check`, `predict`, `bench` and `view`.

Results go to standard output, progress and errors to standard error. An expected error is one sentence and exit code
1; a wrong call is argparse's usage and code 2.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from .._version import __version__
from .models import check_outputs, check_picture, fuse_for, load_model, runner, save_picture
from .text import Person, as_json, as_table, facts, spinner, takes, worst


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; `arguments` are those of the command line if None.

    Returns:
        The exit code: 0 done, 1 an expected error or a file that is not right, 130 interrupted.
    """
    arguments = _parser().parse_args(_with_boxes_joined(sys.argv[1:] if arguments is None else arguments))
    try:
        return arguments.run(arguments)
    # RuntimeError is what torch, pnnx and the runtimes raise for what is beyond the machine, or beyond them.
    except (ValueError, OSError, ImportError, MemoryError, RuntimeError) as error:
        print(f"litehrnet {arguments.command}: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"litehrnet {arguments.command}: interrupted", file=sys.stderr)
        return 130


def _with_boxes_joined(arguments: Sequence[str]) -> list[str]:
    """``--box -5,0,300,400`` as ``--box=-5,0,300,400``: argparse takes what begins with a minus for an option."""
    joined: list[str] = []
    for argument in map(str, arguments):
        if joined and joined[-1] == "--box":
            joined[-1] += f"={argument}"
        else:
            joined.append(argument)
    return joined


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="litehrnet", description="Lite-HRNet, from a checkpoint to the device.")
    parser.add_argument("--version", action="version", version=f"litehrnet {__version__}")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    weights = "a checkpoint (.pth, .pt, .safetensors; official and mmpose names), or the name of bundled weights"

    export = commands.add_parser("export", help="write an ONNX file and prove it", description=_export.__doc__)
    export.add_argument("weights", help=weights)
    export.add_argument("-o", "--output", type=Path, help="the file to write (default: the checkpoint's name, .onnx)")
    export.add_argument("--model", metavar="NAME", help="the variant it must hold (default: told from the checkpoint)")
    export.add_argument("--size", type=_size, metavar="HxW", help="default: 256x192")
    export.add_argument("--dynamic", choices=("batch", "size"), help="free batch, or free batch and size")
    export.add_argument("--exporter", choices=("dynamo", "torchscript"), default="dynamo", help="default: dynamo; "
                        "torchscript gives the same operators in a tenth of the time")  # fmt: skip
    export.add_argument("--opset", type=int, default=18, help="version of ONNX's operators (default: 18)")
    export.add_argument("--pooling", choices=("computed", "adaptive", "exact"), default="computed", help="of the "
                        "cross-resolution weighting; the same values (default: computed)")  # fmt: skip
    export.add_argument("--fp16", action="store_true", help="store weights as float16: half the file")
    export.add_argument("--fused", action="store_true", help="the fast graph (litehrnet.fusion)")
    export.add_argument("--to", choices=("onnx", "ncnn", "openvino"), default="onnx", help="the runtime's own files "
                        "(NAME.ncnn.param or NAME.xml, each with its .bin) instead of ONNX")  # fmt: skip
    export.set_defaults(run=_export)

    check = commands.add_parser("check", help="prove an exported file", description=_check.__doc__)
    check.add_argument("file", type=Path, metavar="MODEL.onnx")
    check.add_argument("--checkpoint", metavar="WEIGHTS", help=weights)
    check.add_argument("--size", type=_size, action="append", metavar="HxW", help="try this size; may be repeated")
    check.add_argument("--batch", type=int, action="append", metavar="N", help="try this batch; may be repeated")
    check.add_argument("--tolerance", type=float, help="greatest relative difference (default: 1e-4; float16 2e-2)")
    check.set_defaults(run=_check)

    predict = commands.add_parser("predict", help="joints of a photograph", description=_predict.__doc__)
    predict.add_argument("photo", type=Path)
    predict.add_argument("--model", default="litehrnet18", help=f"an exported file (.onnx, .xml, .param), or {weights} "
                         "(default: litehrnet18)")  # fmt: skip
    predict.add_argument("--box", type=_box, action="append", metavar="X,Y,W,H", help="a person, in pixels; may be "
                         "repeated (default: the whole photograph)")  # fmt: skip
    predict.add_argument("--size", type=_size, metavar="HxW", help="input size, where the model leaves it free")
    predict.add_argument("-o", "--output", type=Path, help="draw the joints into this picture")
    predict.add_argument("--json", action="store_true", help="print JSON rather than a table")
    predict.add_argument("--least-score", type=float, default=0.3, help="draw joints from this score on (default: 0.3)")
    predict.set_defaults(run=_predict)

    bench = commands.add_parser("bench", help="how fast files are, side by side", description=_bench.__doc__)
    bench.add_argument("models", nargs="+", metavar="MODEL", help="a file; the first is the baseline")
    bench.add_argument("--runtime", default="onnxruntime", help="torch, onnxruntime (default), openvino or ncnn")
    bench.add_argument("--threads", type=int, default=1, help="default: 1")
    bench.add_argument("--sessions", type=int, default=5, help="times that every file is loaded anew (default: 5)")
    bench.add_argument("--rounds", type=int, default=10, help="times that it is run each time (default: 10)")
    bench.add_argument("--size", type=_size, metavar="HxW", help="input size, where the files leave it free")
    bench.add_argument("--json", type=Path, metavar="FILE", help="keep everything as JSON, too")
    bench.set_defaults(run=_bench)

    view = commands.add_parser("view", help="open a file in Netron", description=_view.__doc__)
    view.add_argument("file", type=Path, metavar="MODEL.onnx")
    view.add_argument("--no-browser", action="store_true", help="only print the address")
    view.set_defaults(run=_view)
    return parser


def _size(text: str) -> tuple[int, int]:
    sides = text.lower().split("x")
    if len(sides) != 2 or not all(side.isdecimal() for side in sides):
        raise argparse.ArgumentTypeError(f"{text!r} is not height x width, such as 256x192")
    return int(sides[0]), int(sides[1])


def _box(text: str) -> tuple[float, ...]:
    try:
        values = tuple(float(value) for value in text.split(","))
    except ValueError:
        values = ()
    if len(values) != 4:
        raise argparse.ArgumentTypeError(f"{text!r} is not x,y,width,height in pixels, such as 80,20,200,400")
    return values


def _export(args: argparse.Namespace) -> int:
    """Write an ONNX file, compare it with the checkpoint, and keep it only when both compute the same."""
    from ..export.network import check_parity, export_onnx
    from ..files import written_whole
    from ..model import set_pooling
    from ..runtimes.loading import DEFAULT_SIZE
    from ..runtimes.onnx_files import signature
    from ..sizes import check_size

    if args.to != "onnx":
        return _convert(args)
    size = check_size(args.size or DEFAULT_SIZE)
    output = args.output or Path(f"{Path(args.weights).stem}.onnx")
    check_outputs(args.weights, output)
    model = set_pooling(load_model(args.weights, args.model), args.pooling)
    network = fuse_for(model, size, args.dynamic) if args.fused else model
    with written_whole(output) as temporary:
        started = time.perf_counter()
        with spinner(f"{args.exporter} is exporting"):
            export_onnx(network, temporary, size, args.dynamic or False, args.exporter, args.opset, args.fp16)
        seconds = time.perf_counter() - started
        with spinner("comparing with torch"):
            rows = check_parity(model, temporary)
        if not all(row.ok for row in rows):
            raise ValueError(f"the file does not compute what torch computes, so none was kept: {worst(rows)}")
        told = signature(temporary)
    kind = ", fused" if args.fused else ""
    print(f"{model.variant.name}{kind}, {model.num_joints} joints, {size[0]}x{size[1]} (height x width)")
    print(f"{facts(output, told)}, {'float16 weights, ' if args.fp16 else ''}{args.exporter}, {seconds:.1f} s")
    print(takes(told))
    print(f"parity: {worst(rows)}")
    if args.fused and args.dynamic == "size":
        print("note: in ONNX Runtime a fused file of free size is no faster than a plain one; fuse for one size")
    print(output)
    return 0


def _convert(args: argparse.Namespace) -> int:
    """As `_export`, for ncnn or OpenVINO: two files."""
    from ..export.convert import CONVERTERS, check_conversion
    from ..files import written_whole
    from ..fusion import fuse
    from ..model import set_pooling
    from ..runtimes.loading import DEFAULT_SIZE
    from ..sizes import check_size

    if args.dynamic or args.exporter != "dynamo" or args.opset != 18:
        raise ValueError(f"--dynamic, --exporter and --opset belong to ONNX files, not to --to {args.to}")
    size, storage = check_size(args.size or DEFAULT_SIZE), "fp16" if args.fp16 else "fp32"
    write, suffix = CONVERTERS[args.to]
    output = args.output or Path(f"{Path(args.weights).stem}{suffix}")
    check_outputs(args.weights, output, output.with_suffix(".bin"))
    model = set_pooling(load_model(args.weights, args.model), args.pooling)
    network = fuse(model, size, target=args.to) if args.fused else model
    with written_whole(output) as temporary:
        with spinner(f"converting for {args.to}"):
            weights = write(network, temporary, size, storage)[1]
        with spinner("comparing with torch"):
            row = check_conversion(model, temporary, args.to, size, storage)
        if not row.ok:
            raise ValueError(f"the files do not compute what torch computes, so none was kept: {worst([row])}")
        weights = weights.replace(output.with_suffix(".bin"))
    kind = ", fused" if args.fused else ""
    print(f"{model.variant.name}{kind}, {model.num_joints} joints, {size[0]}x{size[1]} (height x width)")
    print(f"{args.to}, {storage} weights, {weights.stat().st_size / 1e6:.1f} MB")
    print(f"parity: {worst([row])}")
    print(output, weights, sep="\n")
    return 0


def _check(args: argparse.Namespace) -> int:
    """Prove an exported file, also one made elsewhere: what it takes, what is odd, and parity with a checkpoint."""
    import onnx

    from ..export.network import check_parity
    from ..runtimes.onnx_files import findings, read_graph, signature
    from ..runtimes.parity import default_batches, default_sizes

    told = signature(args.file)
    graph = read_graph(args.file)
    print(f"{args.file}: {facts(args.file, told)}")
    made = told.metadata
    ours = {"version", "variant"} <= made.keys()
    print(f"made by litehrnet {made['version']}: {made['variant']}" if ours else "made elsewhere")
    print(f"{takes(told)}; input {told.input!r}, output {told.output!r}")
    ok = True
    try:
        onnx.checker.check_model(args.file, full_check=True)  # by its path: weights may lie in another file
    except (onnx.checker.ValidationError, onnx.shape_inference.InferenceError) as error:
        ok = False
        print(f"onnx's checker: {str(error).strip().splitlines()[0]}")
    for sentence in findings(graph):
        print(f"note: {sentence}")
    if args.checkpoint is None:
        print("not compared: give --checkpoint to compare it with the weights it was made from")
        return 0 if ok else 1
    model = load_model(args.checkpoint)
    for size in args.size or default_sizes(told):
        for batch in args.batch or default_batches(told):
            where = f"{size[0]}x{size[1]}, batch {batch}"
            try:
                with spinner(f"comparing at {where}"):
                    row = check_parity(model, args.file, [size], [batch], args.tolerance)[0]
            except ValueError as error:
                ok = False
                print(f"{where}: {error}")
                continue
            ok = ok and row.ok
            peaks = "same peaks" if row.same_peaks else "peaks differ"
            print(f"{where}: relative difference {row.max_rel:.1e}, {peaks}: {'ok' if row.ok else 'not ok'}")
    print("ok" if ok else "not ok")
    return 0 if ok else 1


def _predict(args: argparse.Namespace) -> int:
    """Find the joints of one person or several in a photograph; print them, and draw them."""
    from ..heatmaps import COCO_NAMES, COCO_SKELETON, crop_person, decode, to_image, to_input
    from ..images import draw_joints, read_image

    if args.output:
        check_picture(args.output)
        check_outputs(args.photo, args.output)
    photo = read_image(args.photo)
    run, size = runner(args.model, args.size)
    # A photograph has room around its person already.
    boxes = args.box or [(0.0, 0.0, float(photo.shape[1]), float(photo.shape[0]))]
    people, picture = [], photo
    for box in boxes:
        crop, to_crop = crop_person(photo, box, size, padding=1.25 if args.box else 1.0)
        joints, scores = decode(run(to_input(crop)))
        places, scores = to_image(joints[0], to_crop), scores[0]
        coco = len(scores) == len(COCO_NAMES)
        names = COCO_NAMES if coco else [f"joint {k}" for k in range(len(scores))]
        people.append(Person(box, names, places, scores))
        picture = draw_joints(picture, places, scores, COCO_SKELETON if coco else (), names, args.least_score)
    if args.output:
        save_picture(picture, args.output)
    print(as_json(args.photo, size, people) if args.json else as_table(people))
    if args.output:
        print(args.output, file=sys.stderr if args.json else sys.stdout)
    return 0


def _bench(args: argparse.Namespace) -> int:
    """Time files in turn, in one run, and give each one's speed against the first, with its parity beside it."""
    from ..measure import bench

    with spinner("running in turn"):
        report = bench.run(
            args.models,
            runtime=args.runtime,
            threads=args.threads,
            sessions=args.sessions,
            rounds=args.rounds,
            size=args.size,
        )
    if args.json:
        report.save(args.json)
    print("\n".join(f"{name}: {value}" for name, value in report.machine.items()))
    print(f"\n{report.table()}")
    return 0


def _view(args: argparse.Namespace) -> int:
    """Show a file in Netron, on this machine only, until Ctrl+C."""
    import webbrowser

    from ..course import netron

    host, port = netron.serve(args.file)
    address = f"http://{host}:{port}"
    print(f"{args.file} is shown at {address}; Ctrl+C ends it", flush=True)
    try:
        if not args.no_browser:
            webbrowser.open(address)
        _wait()
    except KeyboardInterrupt:
        return 0
    finally:
        netron.stop()


def _wait() -> None:
    """Until Ctrl+C."""
    while True:
        time.sleep(1)
