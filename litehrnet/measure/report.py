"""The results of comparing models: rows, their table, and the file that stores them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from ..files import written_whole
from .statistics import interval_name

__all__ = ["Report", "Row", "stored_report", "stored_reports"]


@dataclass(frozen=True)
class Row:
    """One model in one runtime.

    Attributes:
        name: name of the model.
        runtime: the runtime that it ran in.
        threads: threads within an operator.
        size: (height, width) of the input.
        milliseconds: median over all rounds of all sessions.
        ratio: how many times as fast as the first model (`litehrnet.measure.statistics.ratios`).
        low: lower end of the ratio's interval.
        high: upper end of the ratio's interval.
        max_rel: largest difference from the expected heatmaps, relative to their largest value.
        same_peaks: whether every heatmap has its peak at the same pixel.
        megabytes: size of the model's files, if it has any.
        precision: what the runtime was asked to compute in.
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
    precision: str = "float32"


@dataclass
class Report:
    """The results of one run.

    Attributes:
        machine: processor, versions and date (`litehrnet.measure.machine`).
        rows: one per model; within one runtime, thread count and size, the first is the baseline.
        notes: anything else that belongs to the run, such as a roofline.
        sessions: how many times every model was loaded; None in a report from a version that did not store it.
    """

    machine: dict[str, str]
    rows: list[Row] = field(default_factory=list)
    notes: dict[str, object] = field(default_factory=dict)
    sessions: int | None = None

    def table(self) -> str:
        """The rows as a Markdown table, with a sentence that explains the numbers in parentheses."""
        lines = [
            "| runtime | threads | input | model | precision | ms | times as fast | relative difference | same peaks "
            "| MB |",
            "|---|---|---|---|---|---|---|---|---|---|",
            *(_line(row) for row in self.rows),
        ]
        if self.sessions is not None and len(self.rows) > 1:
            sessions = "1 session" if self.sessions == 1 else f"{self.sessions} sessions"
            name = "spread over the rounds of one session" if self.sessions == 1 else interval_name(self.sessions)
            lines += ["", f"Times as fast as the first: median over {sessions}, and in parentheses its {name}."]
        return "\n".join(lines)

    def save(self, path: str | Path) -> Path:
        """Write everything as JSON; the file appears only when it is complete."""
        with written_whole(path) as temporary:
            temporary.write_text(json.dumps(asdict(self), indent=1) + "\n")
        return Path(path)

    @classmethod
    def load(cls, path: str | Path) -> Report:
        """Read a file that `save` wrote, in this version or an earlier one."""
        stored = json.loads(Path(path).read_text())
        rows = [Row(**{**row, "size": tuple(row["size"])}) for row in stored["rows"]]
        return cls(stored["machine"], rows, stored["notes"], stored.get("sessions"))


def _line(row: Row) -> str:
    first = row.ratio == row.low == row.high == 1
    ratio = "1" if first else f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
    cells = [
        row.runtime, row.threads, f"{row.size[0]}x{row.size[1]}", row.name, row.precision, f"{row.milliseconds:.2f}",
        ratio, f"{row.max_rel:.0e}", "yes" if row.same_peaks else "no",
        "" if row.megabytes is None else f"{row.megabytes:.1f}",
    ]  # fmt: skip
    return f"| {' | '.join(map(str, cells))} |"


def stored_reports() -> list[Report]:
    """All reports in the checkout's benchmarks/ folder, the oldest first: other days, and often other machines.

    Raises:
        FileNotFoundError: there is none, as in an installation without the checkout.
    """
    return [Report.load(path) for path in _dated(Path(__file__).resolve().parents[2] / "benchmarks", ".json")]


def stored_report() -> Report:
    """The newest of `stored_reports`."""
    return stored_reports()[-1]


def newest_run(folder: Path, suffix: str = ".json") -> Path:
    """The newest file in a folder that is named after the day of its run, such as 2026-11-25.json.

    Raises:
        FileNotFoundError: there is none.
    """
    return _dated(folder, suffix)[-1]


def _dated(folder: Path, suffix: str) -> list[Path]:
    dated = sorted(folder.glob(f"[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]{suffix}"))
    if not dated:
        raise FileNotFoundError(f"no dated report in {folder}; `make bench` writes one")
    return dated
