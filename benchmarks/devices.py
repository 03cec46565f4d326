"""Measure one network on every road to a device, in one run, and write benchmarks/devices/DATE.json and .md.

    python benchmarks/devices.py                                       # about ten minutes; leave the machine alone
    python benchmarks/devices.py --python mnn=mnn-env/bin/python       # a runtime that has an environment of its own
    python benchmarks/devices.py --checkpoint my.pth --size 256x192    # your own
    python benchmarks/devices.py --people people.json --photos FOLDER  # judged on your own annotations as well
    python benchmarks/devices.py --quick                               # few rounds: a test of this program, no result

Each file is measured by `litehrnet.measure.compare_grid`: in a process of its own, in turn with the baseline, ONNX
Runtime's plain float32 file, with one thread. int8 is calibrated on eight rendered people and judged, like the rest, on
sixteen others. A runtime whose package is missing is named in the result, and so are the roads that only a device can
take.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import litehrnet
from litehrnet.checks import first_line
from litehrnet.cli.parser import interpreter
from litehrnet.export import FORMATS, export
from litehrnet.export.int8 import quantize_int8
from litehrnet.export.litert import quantize_litert
from litehrnet.export.ncnn import ncnn_layers
from litehrnet.files import data_path, written_whole
from litehrnet.fusion import fuse
from litehrnet.heatmaps import crop_person, to_input
from litehrnet.measure import Candidate, Grid, compare_grid, machine
from litehrnet.measure.accuracy import measure as measure_people
from litehrnet.measure.alone import measure_alone
from litehrnet.measure.elsewhere import export_elsewhere
from litehrnet.measure.grid import Answers, GridRow
from litehrnet.measure.statistics import interval_name
from litehrnet.people import CocoPeople, read_people
from litehrnet.runtimes import RUNTIMES
from litehrnet.sizes import check_size, parse_size

HERE = Path(__file__).resolve().parent
CALIBRATION = 8  # of the rendered people
PACKAGES = {"litert": "ai-edge-litert"}  # where the package has another name than the runtime
DENSE, EVERY = "int8, dense convolutions", "int8, everything"
WIDE = ", int16 activations"

# Each road: its runtime, the graph, the weights of the file, and what it is computed in.
ROADS = (
    ("torch", "plain", "float32", "float32"),
    ("onnxruntime", "plain", "float32", "float32"),
    ("onnxruntime", "plain", "float16", "float32"),
    ("onnxruntime", "plain", DENSE, "float32"),
    ("onnxruntime", "fused", "float32", "float32"),
    ("onnxruntime", "fused", "float16", "float32"),
    ("onnxruntime", "fused", DENSE, "float32"),
    ("onnxruntime", "fused", DENSE + WIDE, "float32"),
    ("onnxruntime", "fused", EVERY, "float32"),
    ("onnxruntime", "fused", EVERY + WIDE, "float32"),
    ("openvino", "plain", "float32", "float32"),
    ("openvino", "plain", "float16", "float32"),
    ("openvino", "fused", "float32", "float32"),
    ("openvino", "fused", "float16", "float32"),
    ("openvino", "fused", "bfloat16", "bfloat16"),
    ("openvino", "fused", DENSE, "float32"),
    ("ncnn", "plain", "float32", "float32"),
    ("ncnn", "plain", "float16", "float16"),
    ("ncnn", "fused", "float32", "float32"),
    ("ncnn", "fused", "float16", "float16"),
    ("c", "fused", "float32", "float32"),
    ("c", "fused", "float16", "float32"),
    ("executorch", "plain", "float32", "float32"),
    ("executorch", "fused", "float32", "float32"),
    ("litert", "plain", "float32", "float32"),
    ("litert", "fused", "float32", "float32"),
    ("litert", "fused", "float16", "float32"),
    ("litert", "fused", DENSE, "float32"),
    ("litert", "fused", EVERY, "float32"),
    ("mnn", "plain", "float32", "float32"),
    ("mnn", "fused", "float32", "float32"),
)
BASELINE = ROADS[1]

# Roads that need a device, and what was checked instead.
NOT_HERE = {
    "CUDA, TensorRT": "need an NVIDIA GPU. `--device cuda` and `--device tensorrt` are refused where there is none; "
    "no time was measured",
    "RKNN": "needs a Rockchip NPU. examples/rknn compares the heatmaps of the toolkit's simulator",
    "Core ML": "needs an Apple device. `litehrnet export --to coreml` reads the package back and computes its "
    "operators in PyTorch",
}


@dataclass
class Writer:
    """Writes the files of one checkpoint; what its folder holds already is not written again.

    Attributes:
        model: the network.
        checkpoint: its file, for other Pythons.
        size: height and width.
        images: the calibration images, (1, 3, H, W) each.
        pythons: from a runtime to the interpreter that has it.
        folder: where to write.
    """

    model: litehrnet.LiteHRNet
    checkpoint: Path
    size: tuple[int, int]
    images: Sequence[np.ndarray]
    pythons: Mapping[str, str]
    folder: Path

    def __call__(self, runtime: str, graph: str, weights: str) -> Path:
        """The file of a road, written if it is not there yet.

        Raises:
            ImportError, ValueError, RuntimeError: it cannot be written here.
        """
        if runtime == "torch":
            return self.checkpoint
        stored = "float32" if weights == "bfloat16" else weights
        int8, python = stored.startswith("int8"), self.pythons.get(runtime)
        operators = "all" if stored.startswith(EVERY) else "convolutions"
        activations = "int16" if stored.endswith(WIDE) else "int8"
        kind = "onnx" if int8 and runtime != "litert" else RUNTIMES[runtime].kinds[0]
        name = "-".join([runtime, graph, *re.findall(r"\w+", stored)])
        path = self.folder / f"{name}{FORMATS[kind].suffix}"
        if path.is_file():
            return path
        if python is not None:
            options = ["--weights", "int8" if int8 else stored, *(["--fused"] if graph == "fused" else [])]
            if int8:
                options += ["--calibrate", str(self.folder / "pictures")]
                options += ["--operators", operators, "--activations", activations]
            return export_elsewhere(python, self.checkpoint, path, self.size, options)
        if int8:
            source = self._source(runtime, graph)
            if runtime == "litert":
                return quantize_litert(source, path, self.images, operators, activations)
            method = "percentile" if stored == EVERY else "minmax"  # the better one for each (tried.md)
            return quantize_int8(source, path, self.images, operators, method=method, activations=activations)
        exporter = "torchscript" if kind == "onnx" else None
        fused = graph == "fused"
        return export(self.model, path, to=kind, size=self.size, exporter=exporter, weights=stored, fused=fused)[0]

    def _source(self, runtime: str, graph: str) -> Path:
        """What an int8 file is made of: the float32 file, for OpenVINO an ONNX file of the graph fused for it."""
        if runtime != "openvino":
            return self(runtime, graph, "float32")
        source = self.folder / "openvino-fused-float32.onnx"
        if not source.is_file():
            network = fuse(self.model, self.size, target="openvino")
            export(network, source, size=self.size, exporter="torchscript")
        return source


def candidates(write: Writer, only: Sequence[str]) -> tuple[list[Candidate], list[str]]:
    """The roads that can be run, the baseline first, and a sentence about each of the others."""
    chosen = [BASELINE, *(road for road in ROADS if road != BASELINE and (not only or road[0] in only))]
    found, notes = [], []
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        # What another Python has to write is written at the same time.
        elsewhere = {road: pool.submit(write, *road[:3]) for road in chosen if road[0] in write.pythons}
        for road in chosen:
            runtime, graph, weights, arithmetic = road
            name = f"{graph}, {weights}"
            try:
                path = elsewhere[road].result() if road in elsewhere else write(runtime, graph, weights)
            except (ImportError, ValueError, RuntimeError, OSError) as error:
                if road == BASELINE:
                    raise
                notes.append(f"{name} in {runtime}: {first_line(error)}")
                continue
            found.append(Candidate(name, path, runtime, arithmetic, write.size, python=write.pythons.get(runtime)))
    return found, notes


def in_order(row: GridRow) -> int:
    """The place of a measured road in `ROADS`."""
    names = [(runtime, f"{graph}, {weights}") for runtime, graph, weights, _ in ROADS]
    return names.index((row.runtime, row.model))


def row_of(row: GridRow) -> dict[str, object]:
    """A row of the result, JSON-ready."""
    graph, precision = row.model.split(", ", 1)
    return {
        "runtime": row.runtime,
        "graph": graph,
        "precision": precision,
        "mb": row.megabytes,
        "peak_mb": row.peak_megabytes,
        "ms_1": row.milliseconds,
        "ratio_1": [row.ratio, row.low, row.high],
        "two_threads": row.two_threads,
        "max_rel": row.max_rel,
        "renderings": {"shift": row.shift, "moved": row.moved, "oks": row.oks},
    }


def judged(chosen: Sequence[Candidate], checkpoint: Path, people: CocoPeople) -> dict[tuple[str, str], dict]:
    """What a second set of people says of each candidate, by runtime and name."""
    answers, found = Answers(checkpoint, "torch", people, range(len(people))), {}
    for candidate in chosen:
        with candidate.opened() as run:
            _, shift, moved = answers.compare(run, candidate.size)
            oks = float(np.nanmean(measure_people(run, people, people.joint_set, candidate.size).oks))
        found[candidate.runtime, candidate.model] = {"shift": shift, "moved": moved, "oks": oks}
    return found


def versions(pythons: Mapping[str, str]) -> dict[str, str]:
    """What other Pythons run with, by the name of the package."""
    look = "import importlib.metadata, sys; print(importlib.metadata.version(sys.argv[1]))"
    found = {}
    for runtime, python in pythons.items():
        package = PACKAGES.get(runtime, runtime)
        done = subprocess.run([python, "-c", look, package], capture_output=True, text=True, check=False)
        if done.returncode == 0:
            found[package] = done.stdout.strip()
    return found


def calibration(people: CocoPeople, size: tuple[int, int], folder: Path) -> list[np.ndarray]:
    """The first people as inputs, and as pictures in a folder, for programs that take those."""
    folder.mkdir(exist_ok=True)
    images = []
    for index in range(CALIBRATION):
        crop, _ = crop_person(np.asarray(people.image(index)[0]), people.person(index).box, size)
        Image.fromarray(crop).save(folder / f"{index}.png")
        images.append(to_input(crop))
    return images


def measure(args: argparse.Namespace, folder: Path, progress: Callable) -> dict[str, object]:
    """Everything, as one JSON-ready object."""
    given = args.checkpoint or data_path("litehrnet18_256x192.safetensors")
    digest = hashlib.sha256(given.read_bytes()).hexdigest()
    if args.files:  # of these weights at this size
        folder = args.files / f"{digest[:16]}-{args.size[0]}x{args.size[1]}"
        folder.mkdir(parents=True, exist_ok=True)
    checkpoint = Path(shutil.copy(given, folder))  # the same weights for every row, whatever happens to the file
    model = litehrnet.set_pooling(litehrnet.from_checkpoint(checkpoint), "computed")
    drawn = read_people(data_path("heldout/people.json"), data_path("heldout"))
    shown = drawn.taken(range(CALIBRATION, len(drawn)))
    images = calibration(drawn, args.size, folder / "pictures")
    write = Writer(model, checkpoint, args.size, images, dict(args.python or ()), folder)
    chosen, notes = candidates(write, args.only or ())
    grid: Grid = compare_grid(
        chosen,
        checkpoint,
        people=shown,
        sessions=args.sessions,
        rounds=args.rounds,
        notes=notes,
        two_threads=True,
        progress=progress,
    )
    rows = [row_of(row) for row in sorted(grid.rows, key=in_order)]
    people = {"renderings": len(shown)}
    if args.people:
        photographs = read_people(args.people, args.photos or args.people.parent)
        people["photographs"] = len(photographs)
        ran = [each for each in chosen if (each.runtime, each.model) in {(r.runtime, r.model) for r in grid.rows}]
        seen = judged(ran, checkpoint, photographs)
        for row in rows:
            row["photographs"] = seen[row["runtime"], f"{row['graph']}, {row['precision']}"]
    ncnn = {each.model: each for each in chosen if each.runtime == "ncnn"}
    plain, fused = (ncnn.get(f"{graph}, float32") for graph in ("plain", "fused"))
    both = plain is not None and fused is not None
    return {
        "machine": machine() | versions(write.pythons),
        "network": {
            "variant": model.variant.name,
            "size": args.size,
            "weights": checkpoint.name,
            "sha256": digest,
        },
        "people": people,
        "sessions": args.sessions,
        "rounds": args.rounds,
        "ncnn_layers": {name.split(",")[0]: ncnn_layers(ncnn[name].path) for name in ncnn if "float32" in name},
        "ncnn_fused_ratio": measure_alone(fused.task, plain.task, args.sessions, args.rounds).ratio if both else None,
        "rows": rows,
        "not_measured": {**dict(note.split(": ", 1) for note in grid.notes), **NOT_HERE},
    }


HEAD = (
    "runtime", "graph", "precision", "ms, 1 thread", "times as fast", "second thread", "file MB", "peak MB",
    "relative difference",
)  # fmt: skip


HOW = """\
Each file is run in a process of its own, in turn with ONNX Runtime's plain float32 file, one thread; both are loaded
{sessions} times and run {rounds} times each time. *Times as fast* is the median over these sessions, each with the
median of its rounds' ratios, and its {interval}. *Second thread* is the speed-up that it
brings, and *peak* the memory above everything imported. *Relative difference* (the greatest over the renderings),
*shift* (in input pixels, all joints) and *moved* are against PyTorch in float32; OKS is against the annotated joints of
{counts}. int8 was calibrated on {calibration} other renderings; *int16 activations* are weights in int8 with values of
16 bits between operators. Precision float16 means float16 weights in the file;
ncnn may then compute in float16, too; the others compute in float32. bfloat16 means the float32 file, computed in
bfloat16 where the processor can."""


def line(row: dict[str, object], sets: list[str]) -> str:
    """One row of the Markdown table."""
    ratio, low, high = row["ratio_1"]
    peak = "" if row["peak_mb"] is None else f"{row['peak_mb']:.0f}"
    cells = [
        row["runtime"], row["graph"], row["precision"], f"{row['ms_1']:.1f}", f"{ratio:.2f} ({low:.2f} to {high:.2f})",
        f"x {row['two_threads']:.2f}", f"{row['mb']:.2f}", peak, f"{row['max_rel']:.0e}",
    ]  # fmt: skip
    for name in sets:
        shown = row[name]
        cells += [f"{shown['shift']:.2f}", f"{shown['moved']:.0%}", f"{shown['oks']:.3f}"]
    return f"| {' | '.join(cells)} |"


def page(report: dict[str, object], name: str) -> str:
    """The report as Markdown."""
    host, network, sets = report["machine"], report["network"], list(report["people"])
    versions = ", ".join(f"{key} {value}" for key, value in host.items() if key not in ("processor", "system", "date"))
    head = [*HEAD, *(f"{what}, {each}" for each in sets for what in ("mean shift px", "moved over 2 px", "OKS"))]
    counts = " and ".join(f"{count} {each}" for each, count in report["people"].items())
    lines = [
        f"# What each runtime costs, {host['date']}",
        "",
        f"{network['variant']} at {network['size'][0]}x{network['size'][1]} (height x width), weights",
        f"{network['weights']} ({network['sha256'][:8]}). {host['processor']}, {host['system']}; {versions}.",
        "",
        HOW.format(
            sessions=report["sessions"],
            rounds=report["rounds"],
            interval=interval_name(report["sessions"]),
            counts=counts,
            calibration=CALIBRATION,
        ),
        "",
        f"| {' | '.join(head)} |",
        f"|{'---|' * len(head)}",
        *(line(row, sets) for row in report["rows"]),
        "",
        "Not measured here:",
        "",
        *(f"- **{what}**: {why}." for what, why in report["not_measured"].items()),
        "",
    ]
    if report["ncnn_fused_ratio"]:
        text = "In ncnn, in float32, the fused graph is {:.2f} ({:.2f} to {:.2f}) times as fast as the plain."
        lines += [text.format(*report["ncnn_fused_ratio"]), ""]
    return "\n".join([*lines, f"All numbers: [{name}.json]({name}.json).", ""])


def write(report: dict[str, object], folder: Path, name: str) -> Path:
    """The JSON file and the Markdown page."""
    folder.mkdir(parents=True, exist_ok=True)
    with written_whole(folder / f"{name}.json") as path:
        path.write_text(json.dumps(report, indent=1) + "\n")
    with written_whole(folder / f"{name}.md") as path:
        path.write_text(page(report, name))
    return folder / f"{name}.md"


def size_of(text: str) -> tuple[int, int]:
    """A legal size from the command line."""
    try:
        return check_size(parse_size(text))
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkpoint", type=Path, help="default: the bundled weights")
    parser.add_argument("--size", type=size_of, default=(256, 192), metavar="HxW")
    parser.add_argument("--people", type=Path, metavar="FILE", help="more annotations in COCO's form")
    parser.add_argument("--photos", type=Path, metavar="FOLDER", help="their photographs (default: beside the file)")
    parser.add_argument(
        "--python",
        action="append",
        type=interpreter,
        metavar="RUNTIME=PYTHON",
        help="run this runtime in another Python that has it; can be repeated",
    )
    parser.add_argument("--only", nargs="+", choices=tuple(RUNTIMES), help="measure these runtimes, and the baseline")
    parser.add_argument("--files", type=Path, metavar="FOLDER", help="keep the exported files here, and use those that "
                        "are there; empty it after a change of the package")  # fmt: skip
    parser.add_argument("--sessions", type=int, default=6, help="times that every file is loaded")
    parser.add_argument("--rounds", type=int, default=10, help="times that it is run each time")
    parser.add_argument("--quick", action="store_true", help="few rounds: a test of this program, no result")
    parser.add_argument("--output", type=Path, default=HERE / "devices", help="folder to write to")
    args = parser.parse_args()
    if args.quick:
        args.sessions, args.rounds = 2, 2
    torch.set_num_threads(1)
    # Other Pythons take the package from this checkout, too.
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)

    def progress(chosen: Sequence[Candidate]) -> Iterator[Candidate]:
        for number, candidate in enumerate(chosen, 1):
            print(f"{number}/{len(chosen)} {candidate.runtime}, {candidate.model}", flush=True)
            yield candidate

    with tempfile.TemporaryDirectory() as folder:
        report = measure(args, Path(folder), progress)
    print(write(report, args.output, "quick" if args.quick else report["machine"]["date"]))


if __name__ == "__main__":
    main()
