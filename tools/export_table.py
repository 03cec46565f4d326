"""Try every way to export, and write the results: benchmarks/export/DATE.json and DATE.md.

    python tools/export_table.py                                  # all tables; half an hour on two cores
    python tools/export_table.py --tables opsets --size 64x32     # one table, at a small size

Each export runs in a process of its own, so neither its memory nor its time includes what another one left behind.
Seconds are processor time in one thread, for `export_onnx` alone, without starting Python and without the proof that
follows. A table that is made again on the same day replaces the old one; the other tables stay.
"""

from __future__ import annotations

import argparse
import itertools
import json
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import nn

import litehrnet
from litehrnet.export import DYNAMIC, EXPORTERS, check_parity, export_onnx, opsets
from litehrnet.files import written_whole
from litehrnet.measure import machine
from litehrnet.runtimes import signature, summary
from litehrnet.sizes import parse_size

ROOT = Path(__file__).resolve().parents[1]
KINDS = {None: "fixed", "batch": "free batch", "size": "free size"}
TITLES = {
    "opsets": "Opsets: `litehrnet18`, computed pooling, fixed size",
    "kinds": "Poolings and kinds of file: `litehrnet18`, opset 18",
    "variants": "Variants: computed pooling, opset 18",
}
BESIDE = {"dynamo": (17, 26), "torchscript": (10, 21)}  # opsets next to the possible ones, to show the refusal


def plans(tables: list[str]) -> Iterator[dict[str, object]]:
    """Every export to try, table by table."""
    base = {"variant": "litehrnet18", "pooling": "computed", "dynamic": False, "opset": 18}
    for table in tables:
        if table == "opsets":
            for exporter in EXPORTERS:
                below, above = BESIDE[exporter]
                for opset in (below, *opsets(exporter), above):
                    yield {**base, "table": table, "exporter": exporter, "opset": opset}
        elif table == "kinds":
            for pooling, exporter, dynamic in itertools.product(litehrnet.pooling.POOLING_MODES, EXPORTERS, DYNAMIC):
                yield {**base, "table": table, "pooling": pooling, "exporter": exporter, "dynamic": dynamic}
        else:
            for variant, exporter, dynamic in itertools.product(litehrnet.VARIANTS, EXPORTERS, DYNAMIC):
                yield {**base, "table": table, "variant": variant, "exporter": exporter, "dynamic": dynamic}


def used_model(variant: str, pooling: str) -> litehrnet.LiteHRNet:
    """Untrained, but with batch-norm statistics that look used: folding them wrongly would show."""
    torch.manual_seed(0)
    model = litehrnet.create_model(variant, pooling=pooling)
    with torch.no_grad():
        for norm in (part for part in model.modules() if isinstance(part, nn.BatchNorm2d)):
            norm.running_mean.normal_(0, 0.1)
            norm.bias.normal_(0, 0.1)
            norm.running_var.uniform_(0.5, 1.5)
            norm.weight.uniform_(0.5, 1.5)
    return model


def try_one(plan: dict[str, object], size: tuple[int, int]) -> dict[str, object]:
    """Export, inspect and prove in this process; if the export is refused, note the message instead."""
    torch.set_num_threads(1)
    model = used_model(plan["variant"], plan["pooling"])
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    with tempfile.TemporaryDirectory() as folder:
        started = time.process_time()
        try:
            path = export_onnx(model, Path(folder) / "m.onnx", size, plan["dynamic"], plan["exporter"], plan["opset"])
        except ValueError as error:
            return {**plan, "refused": str(error)}
        seconds = time.process_time() - started
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        rows = check_parity(model, path)
        return {
            **plan,
            "found": signature(path).opset,
            "nodes": sum(summary(path).values()),
            "operators": summary(path),
            "seconds": round(seconds, 1),
            "memory_mb": round(memory / 1024),
            "megabytes": round(path.stat().st_size / 1e6, 2),
            "inputs": len(rows),
            "max_rel": max(row.max_rel for row in rows),
            "same_peaks": all(row.same_peaks for row in rows),
            "ok": all(row.ok for row in rows),
        }


def in_a_process(plan: dict[str, object], size: str) -> dict[str, object]:
    """As `try_one`, in a new process."""
    command = [sys.executable, __file__, "--size", size, "--one", json.dumps(plan)]
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"{plan} ended with {done.returncode}:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


def markdown(report: dict) -> str:
    """The report as a page."""
    host = report["machine"]
    lines = [
        "# Every way to export",
        "",
        f"{host['date']}, {host['processor']}, torch {host['torch']}, ONNX Runtime {host['onnxruntime']}; one thread, "
        f"{report['size']} (height x width). Made by `tools/export_table.py`.",
        "",
        "Seconds (of the processor, one thread) and memory (beyond torch and the model) are one run's. Parity is the "
        "greatest relative difference from torch over all inputs that `check_parity` tries: batches and sizes that "
        "were not traced, where the file allows any.",
    ]
    for table, title in TITLES.items():
        rows = [row for row in report["rows"] if row["table"] == table]
        if not rows:
            continue
        lines += ["", f"## {title}", ""]
        lines += [
            "| variant | pooling | exporter | file | opset | nodes | seconds | memory | MB | parity | same peaks |"
        ]
        lines += ["|---|---|---|---|---|---|---|---|---|---|---|"]
        refusals: dict[str, int] = {}
        for row in rows:
            head = (
                f"| {row['variant']} | {row['pooling']} | {row['exporter']} | {KINDS[row['dynamic']]} | {row['opset']} "
            )
            if "refused" in row:
                mark = refusals.setdefault(row["refused"], len(refusals) + 1)
                lines.append(f"{head}| refused ({mark}) | | | | | |")
                continue
            lines.append(
                f"{head}| {row['nodes']:,} | {row['seconds']} | {row['memory_mb']} MB | {row['megabytes']:.1f} "
                f"| {row['max_rel']:.0e} ({row['inputs']}) | {'yes' if row['same_peaks'] else 'no'} |"
            )
        lines += ["" for _ in refusals][:1]
        lines += [f"{mark}. {sentence}" for sentence, mark in refusals.items()]
    return "\n".join(lines) + "\n"


def main() -> int:
    """Make the tables that were asked for; 1 if an export does not compute what torch computes."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tables", nargs="+", choices=tuple(TITLES), default=list(TITLES))
    parser.add_argument("--size", default="256x192", help="height x width (default: 256x192)")
    parser.add_argument("--output", type=Path, default=ROOT / "benchmarks" / "export", help="the folder to write to")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.one:
        print(json.dumps(try_one(json.loads(args.one), parse_size(args.size))))
        return 0
    rows = []
    for plan in plans(args.tables):
        rows.append(in_a_process(plan, args.size))
        result = rows[-1].get("refused") or f"{rows[-1]['nodes']} nodes, {rows[-1]['seconds']} s, ok: {rows[-1]['ok']}"
        print(*(plan[key] for key in ("variant", "pooling", "exporter", "dynamic", "opset")), result[:80], flush=True)
    report = {"machine": machine(), "size": args.size, "rows": rows}
    args.output.mkdir(parents=True, exist_ok=True)
    stored = args.output / f"{report['machine']['date']}.json"
    if stored.exists():
        old = json.loads(stored.read_text())["rows"]
        report["rows"] = [row for row in old if row["table"] not in args.tables] + rows
    for suffix, text in (("json", json.dumps(report, indent=1) + "\n"), ("md", markdown(report))):
        with written_whole(args.output / f"{report['machine']['date']}.{suffix}") as temporary:
            temporary.write_text(text)
    print(args.output)
    return 0 if all(row.get("ok", True) for row in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
