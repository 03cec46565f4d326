"""Measure every graph of the course on this machine, in one run, and write benchmarks/DATE.json, .md and .png.

    python benchmarks/run.py             # some minutes; leave the machine alone meanwhile
    python benchmarks/run.py --quick     # one size, few rounds: a test of this program, not a result

The baseline is the graph that everybody has: the public network exported as it is, with its fuse step run twice.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch

import litehrnet
from litehrnet.course.draw import speed_bars
from litehrnet.export import export_onnx
from litehrnet.export.c import export_c
from litehrnet.export.ncnn import export_ncnn
from litehrnet.fusion import fuse
from litehrnet.fusion.network import FusedLiteHRNet
from litehrnet.measure import Report, compare, machine, ratios, time_sessions
from litehrnet.measure.compare import peaks as peaks_of
from litehrnet.measure.profile import (
    by_kernel,
    by_kind,
    c_parts,
    c_peak,
    make_session,
    measure_peaks,
    profile,
    random_input,
    reorders,
)
from litehrnet.measure.statistics import interval_name
from litehrnet.measure.timing import SPIN_SECONDS
from litehrnet.model import with_fuse_step
from litehrnet.runtimes import load
from litehrnet.runtimes.c import Engine

HERE = Path(__file__).resolve().parent
PUBLIC, PLAIN, FUSED, FUSED_8 = "public graph", "plain export", "fused", "fused, blocks of 8"
SMALL, USUAL, LARGE = (128, 96), (256, 192), (384, 288)
AVX2 = "x86-64-v3"


def used_model(name: str) -> litehrnet.LiteHRNet:
    """The bundled weights if there are any; otherwise untrained ones whose batch norms have seen data, because parity
    means little where activations explode."""
    try:
        return litehrnet.load_pretrained(name)
    except (ValueError, FileNotFoundError):
        pass
    torch.manual_seed(0)
    model = litehrnet.create_model(name, pooling="computed")
    model.train()
    with torch.no_grad():
        for _ in range(8):
            model(torch.randn(4, 3, 128, 96))
    return model.eval()


class Bench:
    """One run: a folder for the files, how often each is loaded and run each time, and the rows so far."""

    def __init__(self, folder: Path, sessions: int, rounds: int) -> None:
        self.folder, self.sessions, self.rounds = folder, sessions, rounds
        self.report = Report(machine(), sessions=sessions)
        self.models: dict[str, litehrnet.LiteHRNet] = {}

    def model(self, variant: str) -> litehrnet.LiteHRNet:
        if variant not in self.models:
            self.models[variant] = used_model(variant)
        return self.models[variant]

    def file(self, variant: str, size: tuple[int, int], graph: str, target: str = "onnxruntime") -> Path:
        """The ONNX file of one graph, exported on first use."""
        name = f"{variant}-{size[0]}-{graph}-{target if 'fused' in graph else ''}".replace(" ", "_").replace(",", "")
        path = self.folder / f"{name}.onnx"
        if not path.exists():
            model = self.model(variant)
            made = {
                PUBLIC: lambda: with_fuse_step(model, "public"),
                PLAIN: lambda: model,
                FUSED: lambda: fuse(model, size, target=target),
                FUSED_8: lambda: fuse(model, size, target=target, block=8),
            }[graph]()
            export_onnx(made, path, size, exporter="torchscript")
        return path

    def add(self, variant: str, size: tuple[int, int], runtime: str, graphs: tuple[str, ...], threads: int = 1) -> None:
        """Time some graphs of one variant in one runtime, in turn, and keep the rows."""
        images = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
        model = self.model(variant)
        with torch.no_grad():
            expected = model(torch.from_numpy(images)).numpy()
        if runtime == "torch":
            made = {PUBLIC: with_fuse_step(model, "public"), PLAIN: model, FUSED: fuse(model, size, target="torch")}
            sources = {graph: made[graph] for graph in graphs}
        elif runtime == "ncnn":
            sources = {graph: self.ncnn(variant, size, graph) for graph in graphs}
        else:
            sources = {graph: self.file(variant, size, graph, runtime) for graph in graphs}
        loaders = {graph: partial(load, source, runtime, threads) for graph, source in sources.items()}
        files = {graph: source for graph, source in sources.items() if isinstance(source, Path)}
        options = {"sessions": self.sessions, "rounds": self.rounds // 2 if runtime == "torch" else self.rounds}
        rows = compare(loaders, images, expected, runtime=runtime, threads=threads, files=files, **options)
        rows = [replace(row, name=f"{variant}: {row.name}") for row in rows]
        self.report.rows += rows
        print(Report({}, rows).table().split("\n", 2)[2], flush=True)

    def ncnn(self, variant: str, size: tuple[int, int], graph: str) -> Path:
        path = self.folder / f"{variant}-{size[0]}-{graph.replace(' ', '_')}.ncnn.param"
        if not path.exists():
            model = self.model(variant)
            made = {PUBLIC: with_fuse_step(model, "public"), PLAIN: model, FUSED: fuse(model, size, target="ncnn")}[
                graph
            ]
            export_ncnn(made, path, size)
        return path

    def timed(
        self, loaders: dict[str, Callable[[], Callable[[], object]]], pause: float = 0.0
    ) -> dict[str, list[float]]:
        """Name to (milliseconds, times as fast as the first, low, high)."""
        times = time_sessions(list(loaders.values()), self.sessions, self.rounds, pause=pause)
        return {
            name: [float(np.median(times[..., k])) * 1e3, *ratio]
            for k, (name, ratio) in enumerate(zip(loaders, ratios(times), strict=True))
        }

    def tried(self, variant: str, size: tuple[int, int]) -> dict[str, list[float]]:
        """What did not help in ONNX Runtime: the same algebra with one choice changed."""
        fused = fuse(self.model(variant), size)
        changes = {
            "fused": {},
            "no dead channels": {"block": 1},
            "blocks of 8": {"block": 8},
            "products by broadcasting": {"equal_shapes": False},
            "no dead channels, products by broadcasting": {"block": 1, "equal_shapes": False},
            "spatial weights at once": {"delay": False},
            "pooled twice": {"pool_once": False},
            "fuse step summed at full size": {"sum_low": False},
        }
        loaders = {}
        for k, (name, change) in enumerate(changes.items()):
            with torch.no_grad():
                other = FusedLiteHRNet(self.model(variant), size, replace(fused.recipe, **change)).eval()
            path = export_onnx(other, self.folder / f"tried{k}.onnx", size, exporter="torchscript")
            loaders[name] = partial(self.session_call, path)
        return self.timed(loaders)

    def tried_torch(self, variant: str, size: tuple[int, int]) -> dict[str, list[float]]:
        """What memory order and fusion bring to PyTorch, each without the other."""
        model = self.model(variant)
        last = torch.channels_last
        image = torch.randn(1, 3, *size, generator=torch.Generator().manual_seed(0))
        choices = {
            "public graph": (with_fuse_step(model, "public"), image),
            "public graph, channels last": (
                with_fuse_step(model, "public").to(memory_format=last),
                image.to(memory_format=last),
            ),
            "fused, channels first": (fuse(model, size, target="openvino"), image),
            "fused, channels last": (fuse(model, size, target="torch"), image),
        }

        def call(network: torch.nn.Module, images: torch.Tensor) -> torch.Tensor:
            with torch.inference_mode():
                return network(images)

        return self.timed({name: partial(partial, call, *choice) for name, choice in choices.items()})

    def options(self, variant: str, size: tuple[int, int]) -> dict[str, list[float]]:
        """ONNX Runtime's session options on the fused graph."""
        import onnxruntime

        path = self.file(variant, size, FUSED)
        levels = onnxruntime.GraphOptimizationLevel
        settings = {
            "defaults, one thread": {},
            "two threads": {"threads": 2},
            "without memory pattern": {"enable_mem_pattern": False},
            "without arena": {"enable_cpu_mem_arena": False},
            "optimisations: extended": {"graph_optimization_level": levels.ORT_ENABLE_EXTENDED},
            "optimisations: none": {"graph_optimization_level": levels.ORT_DISABLE_ALL},
        }
        loaders = {name: partial(self.session_call, path, **options) for name, options in settings.items()}
        return self.timed(loaders, pause=SPIN_SECONDS)

    @staticmethod
    def session_call(path: Path, **options: object) -> Callable[[], object]:
        session = make_session(path, **options)
        image = random_input(session)
        return lambda: session.run(None, image)

    def lhr(self, variant: str) -> Path:
        """The weights file of the C engine, which serves every size."""
        path = self.folder / f"{variant}.lhr"
        return path if path.exists() else export_c(self.model(variant), path)

    def in_c(
        self,
        variant: str,
        size: tuple[int, int],
        runtimes: tuple[str, ...],
        processor: str = "native",
        threads: int = 1,
    ) -> dict[str, object]:
        """The C engine against the public graph in ONNX Runtime and the fused graph in `runtimes`, all in turn.

        With several threads, also against itself with one.
        """
        images = np.random.default_rng(0).standard_normal((1, 3, *size)).astype(np.float32)
        with torch.no_grad():
            expected = self.model(variant)(torch.from_numpy(images)).numpy()
        files = {
            name: self.ncnn(variant, size, FUSED) if name == "ncnn" else self.file(variant, size, FUSED, name)
            for name in runtimes
        }
        public = partial(load, self.file(variant, size, PUBLIC), "onnxruntime", threads)
        others = {name: partial(load, file, name, threads) for name, file in files.items()}
        alone = {"alone": partial(Engine, self.lhr(variant), 1, processor)} if threads > 1 else {}
        engine = partial(Engine, self.lhr(variant), threads, processor)
        maps = engine()(images)
        loaders = {"public": public, **others, **alone, "c": engine}
        calls = [lambda load_one=load_one: partial(load_one(), images) for load_one in loaders.values()]
        times = time_sessions(calls, self.sessions, self.rounds, pause=0.0 if threads == 1 else SPIN_SECONDS)
        milliseconds = {name: float(np.median(times[..., k])) * 1e3 for k, name in enumerate(loaders)}
        against = {name: ratios(times[..., [k, -1]])[1] for k, name in enumerate(loaders)}
        fastest = min(others, key=lambda name: milliseconds[name])
        result = {
            "variant": variant,
            "size": size,
            "threads": threads,
            "processor": processor,
            "milliseconds": milliseconds,
            "against_public": against["public"],
            "fastest": fastest,
            "against_fastest": against[fastest],
            "against_alone": against.get("alone"),
            "max_rel": float(np.abs(maps - expected).max() / np.abs(expected).max()),
            "same_peaks": bool((peaks_of(maps) == peaks_of(expected)).all()),
        }
        print(f"| c | {variant} {size} {processor} {threads} | {milliseconds['c']:.2f} | {against} |", flush=True)
        return result

    def c_engine(self, usual: tuple[int, int], quick: bool) -> dict[str, object]:
        """Everything about the C engine: its speed, its memory, and where its time goes."""
        all_runtimes = ("onnxruntime", "openvino", "ncnn")
        rows = [self.in_c("litehrnet18", usual, all_runtimes)]
        if not quick:
            rows += [self.in_c("litehrnet18", size, all_runtimes) for size in (SMALL, LARGE)]
            rows += [
                self.in_c(variant, USUAL, all_runtimes)
                for variant in ("litehrnet30", "naive_litehrnet18", "wider_naive_litehrnet18")
            ]
        builds = ["native"]
        if platform.machine() == "x86_64" and Engine(self.lhr("litehrnet18")).vector_width > 8:
            builds.append(AVX2)
            rows.append(self.in_c("litehrnet18", usual, all_runtimes, AVX2))
        rows.append(self.in_c("litehrnet18", usual, ("onnxruntime", "openvino"), threads=2))
        path = self.lhr("litehrnet18")
        runs = max(10, 2 * self.sessions * self.rounds)
        memory = subprocess.run(
            [sys.executable, str(HERE / "memory.py"), str(path)], capture_output=True, text=True, check=True
        )
        found = {build: c_parts(path, usual, runs, build) for build in builds}
        return {
            "rows": rows,
            "peak_memory_mb": float(memory.stdout),
            "buffers_mb": Engine(path).context_bytes(USUAL) / 1e6,
            "parts": {
                build: {
                    "peak_gmacs": c_peak(path, build),
                    "parts": [asdict(part) for part in parts],
                    "kernels": [asdict(part) for part in by_kernel(parts).values()],
                }
                for build, parts in found.items()
            },
        }

    def inside(self, variant: str, size: tuple[int, int]) -> dict[str, object]:
        """Kernel times, layout reorders, memory and the roofline, of the public and the fused graph."""
        peaks = measure_peaks()
        found: dict[str, object] = {"peaks": vars(peaks)}
        for graph in (PUBLIC, PLAIN, FUSED):
            path = self.file(variant, size, graph)
            kernels = profile(path, runs=max(10, 2 * self.sessions * self.rounds))
            memory = subprocess.run(
                [sys.executable, str(HERE / "memory.py"), str(path)], capture_output=True, text=True, check=True
            )
            found[graph] = {
                **reorders(path),
                "kernel_ms": sum(kernel.microseconds for kernel in kernels) / 1000,
                "by_kind_ms": {kind: milliseconds for kind, (_, milliseconds) in by_kind(kernels).items()},
                "mega_macs": sum(kernel.macs for kernel in kernels) / 1e6,
                "megabytes_moved": sum(kernel.bytes for kernel in kernels) / 1e6,
                "least_ms": sum(peaks.least(kernel) for kernel in kernels) / 1000,
                "peak_memory_mb": float(memory.stdout),
            }
        return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="one size, few rounds: a test of this program")
    parser.add_argument("--sessions", type=int, default=9, help="times that every graph is loaded")
    parser.add_argument("--rounds", type=int, default=16, help="times that it is run each time")
    parser.add_argument("--output", type=Path, default=HERE, help="folder to write to")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    with tempfile.TemporaryDirectory() as folder:
        bench = Bench(Path(folder), *((2, 2) if arguments.quick else (arguments.sessions, arguments.rounds)))
        usual = SMALL if arguments.quick else USUAL
        bench.add("litehrnet18", usual, "onnxruntime", (PUBLIC, PLAIN, FUSED, FUSED_8))
        bench.add("litehrnet18", usual, "openvino", (PUBLIC, PLAIN, FUSED))
        bench.add("litehrnet18", usual, "ncnn", (PUBLIC, PLAIN, FUSED))
        bench.add("litehrnet18", usual, "torch", (PUBLIC, PLAIN, FUSED))
        if not arguments.quick:
            for variant, size in (("litehrnet18", SMALL), ("litehrnet18", LARGE), ("litehrnet30", USUAL)):
                bench.add(variant, size, "onnxruntime", (PUBLIC, PLAIN, FUSED))
                bench.add(variant, size, "openvino", (PUBLIC, PLAIN, FUSED))
            for variant in ("naive_litehrnet18", "wider_naive_litehrnet18"):
                bench.add(variant, USUAL, "onnxruntime", (PUBLIC, PLAIN, FUSED))
            bench.add("litehrnet18", USUAL, "onnxruntime", (PUBLIC, PLAIN, FUSED), threads=2)
            bench.add("litehrnet18", USUAL, "openvino", (PUBLIC, PLAIN, FUSED), threads=2)
        bench.report.notes = {
            "tried": bench.tried("litehrnet18", usual),
            "tried_torch": bench.tried_torch("litehrnet18", usual),
            "session_options": bench.options("litehrnet18", usual),
            "inside_onnxruntime": bench.inside("litehrnet18", usual),
            "c_engine": bench.c_engine(usual, arguments.quick),
        }
        write(bench.report, arguments.output, "quick" if arguments.quick else bench.report.machine["date"])


def write(report: Report, folder: Path, name: str) -> None:
    """The JSON file, the Markdown page and the bar chart."""
    folder.mkdir(parents=True, exist_ok=True)
    report.save(folder / f"{name}.json")
    (folder / f"{name}.md").write_text(page(report, name))
    speed_bars(report.rows).savefig(folder / f"{name}.png")
    print(folder / f"{name}.md")


def page(report: Report, name: str) -> str:
    """The report as Markdown."""
    host = report.machine
    inside = report.notes["inside_onnxruntime"]
    versions = ", ".join(f"{key} {value}" for key, value in host.items() if key not in ("processor", "system", "date"))
    lines = [
        f"# Speed, {host['date']}",
        "",
        f"{host['processor']}, {host['system']}; {versions}. One run of `make bench`: graphs run in turn, in",
        f"{report.sessions} sessions, because where a graph lands in memory changes its speed by a few per cent. A",
        "ratio is the median over the sessions, each with the median of its rounds' ratios; in parentheses is its",
        f"{interval_name(report.sessions)}. Each file's heatmaps are compared with PyTorch's. The baseline is the",
        "public network's graph, with its fuse step run twice.",
        "",
        f"![Times as fast as the public graph]({name}.png)",
        "",
        report.table(),
        "",
        "## Inside ONNX Runtime",
        "",
        "| graph | nodes run | reorders | kernel ms | MACs (M) | MB moved | least ms | peak memory (MB) |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for graph, row in inside.items():
        if graph != "peaks":
            lines.append(
                f"| {graph} | {row['nodes']:,} | {row['ReorderInput'] + row['ReorderOutput']} | {row['kernel_ms']:.2f} "
                f"| {row['mega_macs']:.0f} | {row['megabytes_moved']:.0f} | {row['least_ms']:.2f} "
                f"| {row['peak_memory_mb']:.0f} |"
            )
    peaks = inside["peaks"]
    lines += [
        "",
        f"Peaks of one thread: {peaks['gmacs']:.0f} GMAC/s in a matrix product, {peaks['copy']:.0f} GB/s copying "
        f"64 MB, {peaks['cached_copy']:.0f} GB/s copying branch 0's map. *Least* is the sum over the kernels of the "
        "larger of their arithmetic at that peak and their bytes at the speed of the cached copy.",
    ]
    lines += c_lines(report.notes["c_engine"])
    titles = {
        "tried": "What else was tried in ONNX Runtime",
        "session_options": "ONNX Runtime's session options",
        "tried_torch": "PyTorch",
    }
    for key, title in titles.items():
        lines += ["", f"## {title}", "", "| | ms | times as fast as the first |", "|---|---|---|"]
        lines += [
            f"| {label} | {ms:.2f} | {ratio:.2f} ({low:.2f} to {high:.2f}) |"
            for label, (ms, ratio, low, high) in report.notes[key].items()
        ]
    return "\n".join(lines) + "\n"


def c_lines(measured: dict) -> list[str]:
    """The C engine's part of the page."""

    def ratio(values: list[float]) -> str:
        return "{:.2f} ({:.2f} to {:.2f})".format(*values)

    lines = [
        "",
        "## The network in one C file",
        "",
        "The same weights, run in turn with the public graph in ONNX Runtime and with the fused graph in each of the",
        "other runtimes; *fastest fused* is the one that took least. `x86-64-v3` is the build without AVX-512, while",
        "the other runtimes use what the processor has.",
        "",
        "| network | input | threads | build | ms | public ms | times as fast | fastest fused | ms | times as fast "
        "| relative difference | same peaks |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for row in measured["rows"]:
        times = row["milliseconds"]
        lines.append(
            f"| {row['variant']} | {row['size'][0]}x{row['size'][1]} | {row['threads']} | {row['processor']} "
            f"| {times['c']:.2f} | {times['public']:.2f} | {ratio(row['against_public'])} | {row['fastest']} "
            f"| {times[row['fastest']]:.2f} | {ratio(row['against_fastest'])} | {row['max_rel']:.0e} "
            f"| {'yes' if row['same_peaks'] else 'no'} |"
        )
    for row in measured["rows"]:
        if row["against_alone"]:
            rest = f"each call after {SPIN_SECONDS * 1e3:.0f} ms of rest, as between the pictures of a video"
            lines += ["", f"{row['threads']} threads against one: {ratio(row['against_alone'])} times as fast; {rest}."]
    lines += [
        "",
        f"Peak memory beyond the weights at 256x192: {measured['peak_memory_mb']:.1f} MB, of which its buffers are "
        f"{measured['buffers_mb']:.1f} MB.",
    ]
    for build, found in measured["parts"].items():
        whole, peak = sum(part["seconds"] for part in found["parts"]), found["peak_gmacs"]
        lines += [
            "",
            f"Where its time goes, build `{build}`, whose multiply-adds reach {peak:.0f} GMAC/s in registers alone.",
            "*Of the peak* counts dead lanes of whole vectors as work; *useful* does not.",
            "",
            "| stage | kernel | us | share | calls | MACs (M) | GMAC/s | of the peak | useful | GB/s |",
            "|---|---|---|---|---|---|---|---|---|---|",
        ]
        for part in [*found["parts"], *found["kernels"]]:
            seconds = max(part["seconds"], 1e-9)
            done, useful = part["lane_macs"] / seconds / 1e9, part["macs"] / seconds / 1e9
            arithmetic = f"{part['macs'] / 1e6:.1f} | {done:.0f} | {done / peak:.0%} | {useful / peak:.0%}"
            lines.append(
                f"| {part['stage']} | {part['kernel']} | {seconds * 1e6:.0f} | {seconds / whole:.1%} | {part['calls']} "
                f"| {arithmetic if part['macs'] else ' | | | '} "
                f"| {format(part['bytes'] / seconds / 1e9, '.0f') if part['bytes'] else ''} |"
            )
    return lines


if __name__ == "__main__":
    main()
