"""Measure one network in every runtime and precision, in one run, and write benchmarks/devices/DATE.json and .md.

    python benchmarks/devices.py                                       # some minutes; leave the machine alone meanwhile
    python benchmarks/devices.py --checkpoint my.pth --size 256x192    # your own
    python benchmarks/devices.py --people people.json --photos FOLDER  # judged on your own annotations as well
    python benchmarks/devices.py --quick                               # few rounds: a test of this program, no result

Each file runs in a process of its own, because runtimes in one process evict each other's caches and their idle threads
spin. Measured are: milliseconds at one thread, in turn with the baseline, ONNX Runtime's plain float32 file; the
speed-up with a second thread; peak memory; megabytes of the file; how far joints move from PyTorch's in float32; and
object keypoint similarity. int8 is calibrated on eight rendered people and judged, like the rest, on sixteen others.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

import litehrnet
from litehrnet.export import export_onnx
from litehrnet.export.int8 import quantize_int8
from litehrnet.export.ncnn import export_ncnn, ncnn_layers
from litehrnet.export.openvino import export_openvino
from litehrnet.files import data_path, written_whole
from litehrnet.fusion import fuse
from litehrnet.heatmaps import crop_person, decode, oks, read_image, to_image, to_input
from litehrnet.measure import machine
from litehrnet.measure.alone import Task, measure_alone
from litehrnet.measure.statistics import interval_name
from litehrnet.runtimes import RUNTIMES, load
from litehrnet.sizes import check_size, parse_size

HERE = Path(__file__).resolve().parent
CALIBRATION = 8  # of the rendered people
DENSE = "int8, dense convolutions"
WEIGHTS = ("float32", "float16")  # what a file stores


@dataclass(frozen=True)
class Entry:
    """What is measured in one row.

    Attributes:
        runtime, graph, precision: for the table; the graph is "plain" or "fused".
        source: what `litehrnet.runtimes.load` takes.
        arithmetic: what the runtime may compute in.
        files: what would go to the device.
    """

    runtime: str
    graph: str
    precision: str
    source: Path
    arithmetic: str = "float32"
    files: tuple[Path, ...] = ()

    def run(self, threads: int = 1) -> litehrnet.runtimes.Run:
        return load(self.source, self.runtime, threads, self.arithmetic)


@dataclass(frozen=True)
class Person:
    """A person to judge with: the network's input, the way back, and the joints."""

    image: np.ndarray
    to_crop: np.ndarray
    joints: np.ndarray
    area: float


def people(annotations: Path, photos: Path, size: tuple[int, int]) -> Iterator[Person]:
    """The people of a COCO-form file who have annotated joints."""
    held = json.loads(annotations.read_text())
    names = {image["id"]: image["file_name"] for image in held["images"]}
    for person in held["annotations"]:
        joints = np.array(person["keypoints"], float).reshape(-1, 3)
        if (joints[:, 2] > 0).any():
            crop, to_crop = crop_person(read_image(photos / names[person["image_id"]]), person["bbox"], size)
            yield Person(to_input(crop), to_crop, joints, person["area"])


def make_entries(
    model: litehrnet.LiteHRNet, checkpoint: Path, size: tuple[int, int], images: list[np.ndarray], folder: Path
) -> list[Entry]:
    """Export, convert and quantise everything; the first entry is PyTorch, the second the baseline of the ratios."""
    entries = [Entry("torch", "plain", "float32", checkpoint, files=(checkpoint,))]
    graphs = {name: {"plain": model} for name in ("onnxruntime", "openvino", "ncnn")}
    for name, graph in graphs.items():
        graph["fused"] = fuse(model, size, target=name)
    for graph, network in graphs["onnxruntime"].items():
        for weights in WEIGHTS:
            path = folder / f"{graph}-{weights}.onnx"
            export_onnx(network, path, size, exporter="torchscript", weights=weights)
            entries.append(Entry("onnxruntime", graph, weights, path, files=(path,)))
        small = quantize_int8(folder / f"{graph}-float32.onnx", folder / f"{graph}-int8.onnx", images)
        entries.append(Entry("onnxruntime", graph, DENSE, small, files=(small,)))
    every = quantize_int8(folder / "fused-float32.onnx", folder / "int8-all.onnx", images, "all", method="percentile")
    entries.append(Entry("onnxruntime", "fused", "int8, everything", every, files=(every,)))
    for runtime, write, suffix in (("openvino", export_openvino, ".xml"), ("ncnn", export_ncnn, ".ncnn.param")):
        for graph, network in graphs[runtime].items():
            for weights in WEIGHTS:
                files = write(network, folder / f"{graph}-{weights}{suffix}", size, weights)
                # On processors without float16 arithmetic OpenVINO takes "float16" for bfloat16: that row comes below.
                arithmetic = "float16" if (runtime, weights) == ("ncnn", "float16") else "float32"
                entries.append(Entry(runtime, graph, weights, files[0], arithmetic, tuple(files)))
    whole = folder / "fused-float32.xml"
    entries.append(Entry("openvino", "fused", "bfloat16", whole, "bfloat16", (whole, whole.with_suffix(".bin"))))
    source = export_onnx(graphs["openvino"]["fused"], folder / "openvino.onnx", size, exporter="torchscript")
    small = quantize_int8(source, folder / "openvino-int8.onnx", images)
    entries.append(Entry("openvino", "fused", DENSE, small, files=(small,)))
    return sorted(entries, key=lambda entry: tuple(RUNTIMES).index(entry.runtime))


def judged(entry: Entry, persons: list[Person], reference: np.ndarray | None) -> tuple[np.ndarray, dict[str, float]]:
    """Joints (P, K, 2) in input pixels, and what they say of the entry."""
    run = entry.run()
    joints = np.stack([decode(run(person.image))[0][0] for person in persons])
    similarity = [
        oks(to_image(found, person.to_crop), person.joints, person.area)
        for found, person in zip(joints, persons, strict=True)
    ]
    shift = np.linalg.norm(joints - (joints if reference is None else reference), axis=-1)  # (P, K)
    return joints, {
        "shift": float(shift.mean()),
        "moved": float((shift > 2).mean()),
        "oks": float(np.mean(similarity)),
    }


def alone(entry: Entry, baseline: Entry, size: tuple[int, int], sessions: int, rounds: int) -> dict[str, object]:
    """What is measured in a process of its own (`litehrnet.measure.alone`).

    Returns:
        "peak_mb": memory that loading and running take at their peak, above everything imported; None where the system
        does not report it. "ms_1": median milliseconds at one thread. "ratio_1": times as fast as the baseline, and its
        interval, both run in turn. "two_threads": times as fast as with one thread.
    """
    tasks = [Task(str(one.source), one.runtime, one.arithmetic, 1, size) for one in (entry, baseline)]
    found = measure_alone(*tasks, sessions, rounds, two_threads=True)
    return {
        "peak_mb": found.peak_megabytes,
        "ms_1": found.milliseconds,
        "ratio_1": found.ratio,
        "two_threads": found.two_threads,
    }


def measure(args: argparse.Namespace, folder: Path) -> dict[str, object]:
    """Everything, as one JSON-ready object."""
    given = args.checkpoint or data_path("litehrnet18_256x192.safetensors")
    checkpoint = Path(shutil.copy(given, folder))  # the same weights for every row, whatever happens to the file
    model = litehrnet.set_pooling(litehrnet.from_checkpoint(checkpoint), "computed")
    size = args.size
    drawn = list(people(data_path("heldout/people.json"), data_path("heldout"), size))
    sets = {"renderings": drawn[CALIBRATION:]}
    if args.people:
        sets["photographs"] = list(people(args.people, args.photos or args.people.parent, size))
    entries = make_entries(model, checkpoint, size, [person.image for person in drawn[:CALIBRATION]], folder)
    image = drawn[-1].image
    expected = entries[0].run()(image)
    references: dict[str, np.ndarray] = {}
    rows = []
    for entry in entries:
        row = {"runtime": entry.runtime, "graph": entry.graph, "precision": entry.precision}
        row["mb"] = sum(file.stat().st_size for file in entry.files) / 1e6
        row |= alone(entry, entries[1], size, args.sessions, args.rounds)
        row["max_rel"] = float(np.abs(entry.run()(image) - expected).max() / np.abs(expected).max())
        for name, persons in sets.items():
            joints, row[name] = judged(entry, persons, references.get(name))
            references.setdefault(name, joints)
        rows.append(row)
        print(line(row, list(sets)), flush=True)
    ncnn = {entry.graph: entry for entry in entries if (entry.runtime, entry.precision) == ("ncnn", "float32")}
    return {
        "machine": machine(),
        "network": {
            "variant": model.variant.name,
            "size": size,
            "weights": checkpoint.name,
            "sha256": hashlib.sha256(checkpoint.read_bytes()).hexdigest(),
        },
        "people": {name: len(persons) for name, persons in sets.items()},
        "sessions": args.sessions,
        "rounds": args.rounds,
        "ncnn_layers": {graph: ncnn_layers(folder / f"{graph}-float32.ncnn.param") for graph in ncnn},
        "ncnn_fused_ratio": alone(ncnn["fused"], ncnn["plain"], size, args.sessions, args.rounds)["ratio_1"],
        "rows": rows,
    }


HEAD = (
    "runtime", "graph", "precision", "ms, 1 thread", "times as fast", "second thread", "file MB", "peak MB",
    "relative difference",
)  # fmt: skip


HOW = """\
Each file is run in a process of its own, in turn with ONNX Runtime's plain float32 file, one thread; both are loaded
{sessions} times and run {rounds} times each time. *Times as fast* is the median over these sessions, each with the
median of its rounds' ratios, and its {interval}. *Second thread* is the speed-up that it
brings, and *peak* the memory above everything imported. *Relative difference*, *shift* (in input pixels, all joints)
and *moved* are against PyTorch in float32; OKS is against the annotated joints of {counts}. int8 was calibrated on
{calibration} other renderings. Precision float16 means float16 weights in the file; ncnn may then compute
in float16, too; the others compute in float32. bfloat16 means the float32 file, computed in bfloat16 where the
processor can."""


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
    ncnn, low, high = report["ncnn_fused_ratio"]
    return "\n".join(
        [
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
            f"In ncnn, in float32, the fused graph is {ncnn:.2f} ({low:.2f} to {high:.2f}) times as fast as the plain.",
            "",
            f"All numbers: [{name}.json]({name}.json).",
            "",
        ]
    )  # fmt: skip


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
    parser.add_argument("--sessions", type=int, default=9, help="times that every file is loaded")
    parser.add_argument("--rounds", type=int, default=10, help="times that it is run each time")
    parser.add_argument("--quick", action="store_true", help="few rounds: a test of this program, no result")
    parser.add_argument("--output", type=Path, default=HERE / "devices", help="folder to write to")
    args = parser.parse_args()
    if args.quick:
        args.sessions, args.rounds = 2, 2
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        report = measure(args, Path(folder))
    print(write(report, args.output, "quick" if args.quick else report["machine"]["date"]))


if __name__ == "__main__":
    main()
