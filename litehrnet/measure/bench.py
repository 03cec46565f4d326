"""Speed as paired ratios: every model timed in turn, in one run, with the parity of that very file beside it.

Milliseconds depend on the machine, on its load and on the minute. A ratio of two runs that followed each other hardly
does: whatever slowed one down slowed the other, too. So models are run in turn, once each a round, and the ratio is
taken within each round.

Where the memory of a loaded model happens to lie makes it faster or slower for as long as it lives, by up to some per
cent, and all its rounds agree on that. So models are loaded anew several times; each time gives the median of its
rounds' ratios; and the median of those is given with an interval.
"""

from __future__ import annotations

import importlib.metadata
import json
import platform
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime, timezone
from functools import partial
from pathlib import Path

import numpy as np

from ..files import written_whole
from ..sizes import check_size

__all__ = [
    "Report",
    "Row",
    "compare",
    "machine",
    "median_interval",
    "ratios",
    "run",
    "stored_report",
    "time_in_turn",
    "time_loaded_anew",
]

SPIN_SECONDS = 0.02  # runtimes' own threads look for work this long before they sleep, and take a core meanwhile

Run = Callable[[np.ndarray], np.ndarray]


@dataclass(frozen=True)
class Row:
    """One model in one runtime.

    Attributes:
        name: of the model.
        runtime, threads, size: what it ran in; size is (height, width).
        milliseconds: median over the rounds.
        ratio: how many times faster than the first model (`ratios`).
        low, high: 95 % interval of that median.
        max_rel: largest difference from the expected heatmaps, relative to their largest value.
        same_peaks: every heatmap has its peak at the same pixel.
        megabytes: of the file, if there is one.
    """

    name: str
    runtime: str
    threads: int
    size: tuple[int, int]
    milliseconds: float
    ratio: float
    low: float
    high: float
    max_rel: float
    same_peaks: bool
    megabytes: float | None = None


@dataclass
class Report:
    """What one run measured.

    Attributes:
        machine: processor, versions and date (`machine`).
        rows: one a model; within one runtime, thread count and size the first is the baseline.
        notes: whatever else belongs to the run, such as a roofline.
    """

    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)

    def table(self) -> str:
        """The rows as a Markdown table."""
        lines = [
            "| runtime | threads | input | model | ms | times as fast | relative difference | same peaks | MB |",
            "|---|---|---|---|---|---|---|---|---|",
        ]
        for row in self.rows:
            ratio = (
                "1" if row.ratio == row.low == row.high == 1 else f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
            )
            size, peaks = f"{row.size[0]}x{row.size[1]}", "yes" if row.same_peaks else "no"
            megabytes = "" if row.megabytes is None else f"{row.megabytes:.1f}"
            lines.append(
                f"| {row.runtime} | {row.threads} | {size} | {row.name} | {row.milliseconds:.2f} | {ratio} "
                f"| {row.max_rel:.0e} | {peaks} | {megabytes} |"
            )
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write everything as JSON; the file appears when it is whole."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read what `save` wrote."""
        told = json.loads(Path(path).read_text())
        rows = [Row(**{**row, "size": tuple(row["size"])}) for row in told["rows"]]
        return cls(told["machine"], rows, told["notes"])


def time_in_turn(
    runs: Sequence[Callable[[], object]], rounds: int = 50, warmup: int = 5, pause: float = 0.0
) -> np.ndarray:
    """Seconds of each call, (rounds, len(runs)); every round calls each once, odd rounds in the opposite order.

    Args:
        runs: what to time.
        rounds: how often.
        warmup: calls of each before the first that counts.
        pause: seconds before each call, for threads of the call before that still spin.

    Raises:
        ValueError: nothing to run, or no rounds.
    """
    if not runs or rounds < 1:
        raise ValueError(f"timing takes at least one model and one round, got {len(runs)} and {rounds}")
    for run_one in runs:
        for _ in range(warmup):
            run_one()
    times = np.empty((rounds, len(runs)))
    for i in range(rounds):
        order = range(len(runs)) if i % 2 == 0 else reversed(range(len(runs)))
        for k in order:
            time.sleep(pause)
            start = time.perf_counter()
            runs[k]()
            times[i, k] = time.perf_counter() - start
    return times


def time_loaded_anew(
    loaders: Sequence[Callable[[], Callable[[], object]]],
    sessions: int = 5,
    rounds: int = 10,
    warmup: int = 5,
    pause: float = 0.0,
) -> np.ndarray:
    """`time_in_turn` of models that are loaded anew each time: seconds of each call, (sessions, rounds, len(loaders)).

    Args:
        loaders: each loads a model and returns what is to be timed.
        sessions: how often all are loaded, every time in another order.
        rounds, warmup, pause: of each session, as in `time_in_turn`.

    Raises:
        ValueError: nothing to run, no sessions or no rounds.
    """
    if sessions < 1:
        raise ValueError(f"timing takes at least one session, got {sessions}")
    order, times = np.random.default_rng(0), []
    for _ in range(sessions):
        loaded = {k: loaders[k]() for k in order.permutation(len(loaders))}
        times.append(time_in_turn([loaded[k] for k in range(len(loaders))], rounds, warmup, pause))
        del loaded  # before the next ones are made: their memory, too, would lie elsewhere
    return np.stack(times)


def ratios(times: np.ndarray) -> list[tuple[float, float, float]]:
    """How many times faster than the first each model is: (median, low, high), with a 95 % interval.

    Each session counts once, with the median of its rounds' ratios, since its rounds share what is particular to it.
    A single session has no other to be compared with; its interval is that of its rounds.

    Args:
        times: seconds, (sessions, rounds, models), as `time_loaded_anew` gives them.

    >>> ratios(np.array([[[4.0, 2.0]], [[6.0, 2.0]], [[5.0, 2.0]]]))
    [(1.0, 1.0, 1.0), (2.5, 2.0, 3.0)]
    """
    each = times[:, :, :1] / times
    each = each[0] if len(each) == 1 else np.median(each, axis=1)
    return [median_interval(values) for values in each.T]


def median_interval(values: np.ndarray) -> tuple[float, float, float]:
    """Median and its 95 % interval from order statistics, which suppose nothing about how the values are spread.

    Half of all values lie below the true median, so the number of n that do is binomial: n / 2 give or take
    0.98 sqrt(n), nineteen times out of twenty.

    >>> median_interval(np.arange(1.0, 102.0))
    (51.0, 41.0, 61.0)
    """
    ordered = np.sort(values)
    n = len(ordered)
    reach = int(np.ceil(0.98 * np.sqrt(n)))
    middle = (n - 1) // 2
    return (
        float(np.median(ordered)),
        float(ordered[max(0, middle - reach)]),
        float(ordered[min(n - 1, n - 1 - middle + reach)]),
    )


def compare(
    loaders: Mapping[str, Callable[[], Run]],
    images: np.ndarray,
    expected: np.ndarray | None = None,
    *,
    runtime: str,
    threads: int = 1,
    sessions: int = 5,
    rounds: int = 10,
    warmup: int = 5,
    files: Mapping[str, Path] | None = None,
) -> list[Row]:
    """Time functions of one input in turn, and compare what they answer.

    Args:
        loaders: name to what loads a model and returns its function; the first is the baseline of the ratios.
        images: (N, 3, H, W) float32.
        expected: the heatmaps that they should give; the first one's answer by default.
        runtime, threads: for the rows.
        sessions, rounds, warmup: as in `time_loaded_anew`.
        files: name to file, for the size in megabytes.
    """
    answers = {name: load_one()(images) for name, load_one in loaders.items()}
    expected = next(iter(answers.values())) if expected is None else expected
    calls = [lambda load_one=load_one: partial(load_one(), images) for load_one in loaders.values()]
    pause = 0.0 if threads == 1 else SPIN_SECONDS
    times = time_loaded_anew(calls, sessions, rounds, warmup, pause)
    rows = []
    for k, ((name, answer), (ratio, low, high)) in enumerate(zip(answers.items(), ratios(times), strict=True)):
        file = (files or {}).get(name)
        rows.append(
            Row(
                name=name,
                runtime=runtime,
                threads=threads,
                size=tuple(images.shape[2:]),
                milliseconds=float(np.median(times[..., k])) * 1e3,
                ratio=ratio,
                low=low,
                high=high,
                max_rel=float(np.abs(answer - expected).max() / np.abs(expected).max()),
                same_peaks=bool((peaks(answer) == peaks(expected)).all()),
                megabytes=None if file is None else megabytes(file),
            )
        )
    return rows


def megabytes(file: Path) -> float:
    """The size of a model's file, and of the .bin file beside it that OpenVINO and ncnn keep the weights in."""
    files = [file, file.with_suffix(".bin")] if file.suffix in (".xml", ".param") else [file]
    return sum(each.stat().st_size for each in files) / 1e6


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """(N, K, h, w) to the index of each heatmap's peak, (N, K)."""
    return heatmaps.reshape(*heatmaps.shape[:2], -1).argmax(-1)


def run(
    models: Sequence[str | Path],
    *,
    runtime: str = "onnxruntime",
    threads: int = 1,
    sessions: int = 5,
    rounds: int = 10,
    warmup: int = 5,
    size: Sequence[int] | None = None,
) -> Report:
    """Compare files in one runtime; the first is the baseline, of the speed and of the heatmaps.

    Args:
        models: files that the runtime takes (`litehrnet.runtimes.load`), all for the same input.
        runtime, threads: as in `litehrnet.runtimes.load`.
        sessions, rounds, warmup: as in `time_loaded_anew`.
        size: (height, width) to run at; by default that of the first file (`litehrnet.runtimes.usual_size`).

    Raises:
        ValueError: no model, two of the same name, a file that does not take this size, or heatmaps of another shape.
        FileNotFoundError: there is no such file.
    """
    from ..runtimes.loading import load, usual_size

    paths = {
        Path(model).name if len({Path(m).name for m in models}) == len(models) else str(model): Path(model)
        for model in models
    }
    if not paths or len(paths) != len(models):
        raise ValueError(f"give at least one model, and none twice; got {[str(model) for model in models]}")
    given = {"size": size} if runtime == "ncnn" else {}  # for those that do not say theirs
    loaders = {name: partial(load, path, runtime, threads, **given) for name, path in paths.items()}
    runs = {name: load_one() for name, load_one in loaders.items()}
    height, width = check_size(usual_size(next(iter(paths.values()))) if size is None else size)
    images = np.random.default_rng(0).standard_normal((1, 3, height, width)).astype(np.float32)
    shapes = {name: run_one(images).shape for name, run_one in runs.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"these models give heatmaps of different shapes: {shapes}")
    del runs
    options = {"sessions": sessions, "rounds": rounds, "warmup": warmup}
    rows = compare(loaders, images, runtime=runtime, threads=threads, files=paths, **options)
    return Report(machine(), rows)


def machine() -> dict[str, str]:
    """Processor, system, versions and the date, for the head of a report."""
    names = ("torch", "onnxruntime", "openvino", "ncnn", "numpy")
    versions = {}
    for name in names:
        try:
            versions[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return {
        "processor": _processor(),
        "system": f"{platform.system()} {platform.machine()}",
        "python": platform.python_version(),
        **versions,
        "date": datetime.now(timezone.utc).date().isoformat(),
    }


def _processor() -> str:
    listing = Path("/proc/cpuinfo")
    if not listing.is_file():
        return platform.processor() or "unknown"
    lines = dict(line.split(":", 1) for line in listing.read_text().splitlines() if ":" in line)
    told = {key.strip(): value.strip() for key, value in lines.items()}
    widest = next(
        (name for name in ("avx512f", "avx2", "asimd") if name in told.get("flags", told.get("Features", ""))), ""
    )
    return f"{told.get('model name', platform.processor() or 'unknown')}{f' ({widest})' if widest else ''}"


def stored_report() -> Report:
    """The newest report that lies in the checkout's benchmarks/ folder.

    Raises:
        FileNotFoundError: there is none, as in an installation without the checkout.
    """
    folder = Path(__file__).resolve().parents[2] / "benchmarks"
    dated = sorted(folder.glob("[0-9]*.json"))
    if not dated:
        raise FileNotFoundError(f"no dated report in {folder}; `make bench` writes one")
    return Report.load(dated[-1])
