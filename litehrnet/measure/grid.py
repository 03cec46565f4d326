"""Files x runtimes x precisions x sizes in one table: how fast, how large and how exact each is, how well it finds
joints, and whether it meets a goal.
"""

from __future__ import annotations

import contextlib
import itertools
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..checks import check_choice, first_line
from ..files import data_path
from ..heatmaps import crop_person, decode, to_input
from ..people import CocoPeople, read_people, with_sigmas
from ..runtimes import DEVICES, PRECISIONS, RUNTIMES, Signature, load, megabytes, runtime_of, signature
from ..runtimes.loading import DEFAULT_SIZE
from ..runtimes.signature import kind_of
from ..sizes import check_size
from .accuracy import Network, measure
from .alone import Task, measure_alone, open_task
from .elsewhere import Elsewhere, export_elsewhere
from .machine import machine
from .statistics import interval_name
from .timing import SESSIONS

if TYPE_CHECKING:
    from ..checkpoints import JointSet

__all__ = ["Answers", "Candidate", "Goal", "Grid", "GridRow", "candidates", "compare_grid"]

PEOPLE = 8  # of the bundled rendered people, to compare joints on if no others are given
FAR = 2.0  # input pixels, half a pixel of a heatmap


@dataclass(frozen=True)
class Candidate:
    """One way to run one file.

    Attributes:
        model: its name in the table.
        path: the file.
        runtime, precision, threads: as for `litehrnet.runtimes.load`.
        size: height and width of the input.
        device: as for `load`.
        python: the interpreter to run it with, where its runtime has an environment of its own; None: this one.
    """

    model: str
    path: Path
    runtime: str
    precision: str
    size: tuple[int, int]
    threads: int = 1
    device: str | None = None
    python: str | None = None

    @property
    def task(self) -> Task:
        """What `measure_alone` takes."""
        return Task(str(self.path), self.runtime, self.precision, self.threads, self.size, self.device)

    @contextlib.contextmanager
    def opened(self) -> Iterator[Network]:
        """The network as a function of images, in this process or in one of its own Python."""
        if self.python is None:
            yield open_task(self.task)
        else:
            with Elsewhere(self.task, self.python) as run:
                yield run


@dataclass(frozen=True)
class Goal:
    """What a candidate must reach to fit.

    Attributes:
        fps: images per second, at least.
        within: the most OKS that it may lose against the reference, as a fraction; 0.01 is one point.
    """

    fps: float | None = None
    within: float | None = None


@dataclass(frozen=True)
class GridRow:
    """What was measured for one candidate.

    Attributes:
        model, runtime, precision, size, threads: of the `Candidate`.
        milliseconds: median for one image.
        ratio, low, high: times as fast as the first candidate, and the ends of the interval.
        megabytes: of the file, and of those with its weights.
        peak_megabytes: memory at its peak, above what the imports take.
        max_rel: greatest difference of heatmaps from the reference's at the same size, relative to the largest value;
            None where the reference does not run at this size.
        shift: mean distance of joints from the reference's, in input pixels; None as for `max_rel`.
        moved: the share of joints further away than 2 input pixels.
        oks: mean over the labelled people; None without labels.
        fits: whether it meets the goal; None without one.
        two_threads: times as fast with a second thread; None if that was not measured.
        device: what it ran on.
    """

    model: str
    runtime: str
    precision: str
    size: tuple[int, int]
    threads: int
    milliseconds: float
    ratio: float
    low: float
    high: float
    megabytes: float
    peak_megabytes: float | None
    max_rel: float | None
    shift: float | None
    moved: float | None
    oks: float | None = None
    fits: bool | None = None
    two_threads: float | None = None
    device: str = "cpu"

    @property
    def fps(self) -> float:
        """Images per second."""
        return 1e3 / self.milliseconds

    @property
    def label(self) -> str:
        """Everything that distinguishes it from the others."""
        return f"{self.model}, {self.runtime}, {self.precision}, {self.size[0]}x{self.size[1]}"


@dataclass(frozen=True)
class Grid:
    """The result of `compare_grid`.

    Attributes:
        machine: processor, versions and date.
        rows: one per candidate, the baseline first.
        sessions: how many times every file was loaded.
        people: how many people the joints were compared on.
        reference: what heatmaps and joints are compared with.
        goal: what was asked for.
        notes: combinations that do not run, and why.
    """

    machine: Mapping[str, str]
    rows: Sequence[GridRow]
    sessions: int
    people: int
    reference: str
    goal: Goal = field(default_factory=Goal)
    notes: Sequence[str] = ()

    def to_dict(self) -> dict[str, Any]:
        """Everything, for JSON."""
        held = asdict(self)
        held["rows"] = [asdict(row) | {"size": list(row.size), "fps": row.fps} for row in self.rows]
        return held

    def table(self) -> str:
        """The rows as a Markdown table, with sentences on how they were measured."""
        judged, goal = any(row.oks is not None for row in self.rows), any(row.fits is not None for row in self.rows)
        head = ["model", "runtime", "precision", "input", "ms", "fps", "times as fast", "MB", "peak MB",
                "relative difference", "shift, px", "moved"]  # fmt: skip
        head += ["OKS"] * judged + ["fits"] * goal
        lines = [f"| {' | '.join(head)} |", f"|{'---|' * len(head)}"]
        for row in self.rows:
            ratio = (
                "1" if row.ratio == row.low == row.high == 1 else f"{row.ratio:.2f} ({row.low:.2f} to {row.high:.2f})"
            )
            cells = [
                row.model, row.runtime, row.precision, f"{row.size[0]}x{row.size[1]}", f"{row.milliseconds:.2f}",
                f"{row.fps:.1f}", ratio, f"{row.megabytes:.1f}", _shown(row.peak_megabytes, ".0f"),
                _shown(row.max_rel, ".0e"), _shown(row.shift, ".2f"), _shown(row.moved, ".0%"),
            ]  # fmt: skip
            cells += [_shown(row.oks, ".3f")] * judged + [{True: "yes", False: "no", None: ""}[row.fits]] * goal
            lines.append(f"| {' | '.join(cells)} |")
        sessions = "1 session" if self.sessions == 1 else f"{self.sessions} sessions"
        spread = "spread over its rounds" if self.sessions == 1 else interval_name(self.sessions)
        lines += [
            "",
            f"One image at a time on {self.rows[0].device}, {self.rows[0].threads} "
            f"thread{'s' if self.rows[0].threads > 1 else ''}. Each row was measured in a process of its own, in turn "
            f"with the first row; *times as fast* is the median over {sessions}, and in parentheses its {spread}. "
            f"Differences, *shift* and *moved* (by more than {FAR:g} input pixels) are from {self.reference}, over "
            f"{self.people} people.",
        ]
        return "\n".join(lines)

    def fitting(self) -> GridRow | None:
        """Of the rows that meet the goal, the one to take.

        Where the goal says how much OKS may be lost, that is the fastest: to lose less is no aim then, and over few
        people often chance. Where it asks for speed alone, it is the one that finds joints best; without labels, the
        fastest.
        """
        rows = [row for row in self.rows if row.fits]
        if self.goal.within is not None:
            return max(rows, key=lambda row: row.ratio, default=None)
        return max(rows, key=lambda row: (row.oks or 0.0, row.ratio), default=None)


def _shown(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)


# ----------------------------------------------------------------------------------------------------- what to compare


def candidates(
    models: Mapping[str, str | Path],
    runtimes: Sequence[str] | None = None,
    precisions: Sequence[str] = ("float32",),
    sizes: Sequence[Sequence[int]] | None = None,
    threads: int = 1,
    *,
    folder: Path | None = None,
    fused: bool = True,
    device: str | None = None,
    pythons: Mapping[str, str] | None = None,
    tell: Callable[[str], None] | None = None,
) -> tuple[list[Candidate], list[str]]:
    """Every combination that exists, in the order of the arguments, and a sentence about each that does not.

    Args:
        models: from each name to its file.
        runtimes: keys of `RUNTIMES`; None: for each file, the one that it is made for.
        precisions: what runtimes may compute in.
        sizes: (height, width) of the input; None: each file's own.
        threads: threads within an operator.
        folder: where to export checkpoints to, for runtimes other than torch; None: these combinations do not exist.
        fused: whether checkpoints are exported as fast graphs.
        device: what to compute on, as for `load`; None: the CPU.
        pythons: from a runtime to the interpreter that has it, where that is not this one.
        tell: called with what is being written, as a file can take a minute.

    Raises:
        ValueError: an unknown runtime or precision, an illegal size, or nothing that can be run.
    """
    for runtime in runtimes or ():
        check_choice("runtime", runtime, RUNTIMES)
    for precision in precisions:
        check_choice("precision", precision, PRECISIONS)
    for runtime in pythons or ():
        check_choice("runtime", runtime, RUNTIMES)
    if device is not None:
        check_choice("device", device, DEVICES)
    wanted = None if sizes is None else [check_size(size) for size in sizes]
    found, notes = [], []
    for name, model in models.items():
        path, kind = Path(model), kind_of(model)
        try:
            about = None if kind is None else _signature(path, pythons or {})
        except ImportError as error:
            notes.append(f"{name}: {error}")
            continue
        exported = _Exports(path, folder, fused) if kind is None and folder is not None else None
        own = about.size if about else _trained_size(path) if kind is None else DEFAULT_SIZE
        for runtime, precision, size in itertools.product(runtimes or [runtime_of(path)], precisions, wanted or [own]):
            row, python = RUNTIMES[runtime], (pythons or {}).get(runtime)
            what = f"{name} in {runtime}, {precision}, {size[0]}x{size[1]}"
            called, file = name, path
            if precision not in row.precisions:
                notes.append(
                    f"{name} in {runtime}, {precision}: {runtime} computes in {' or '.join(row.precisions)} here"
                )
                continue
            if device is not None and device not in row.devices:
                notes.append(
                    f"{name} in {runtime}: {runtime} computes on {' or '.join(row.devices)} here, not on {device}"
                )
                continue
            if (kind or "torch") not in (row.kinds or ("torch",)) and (exported is None or not row.kinds):
                notes.append(f"{what}: {runtime} does not read this file")
                continue
            if about and any(o not in (None, s) for o, s in zip((about.height, about.width), size, strict=True)):
                notes.append(f"{what}: the file takes {about.size[0]}x{about.size[1]} only")
                continue
            if exported is not None and row.kinds:
                called = f"{name}, {'fused' if fused else 'plain'}"
                if tell is not None:
                    tell(f"writing {name} for {runtime}, {size[0]}x{size[1]}")
                try:
                    file = exported(row.kinds[0], size, python)
                except (ImportError, ValueError, RuntimeError) as error:
                    notes.append(f"{what}: {first_line(error)}")
                    continue
            found.append(Candidate(called, file, runtime, precision, size, threads, device, python))
    if not found:
        raise ValueError(f"there is nothing to compare: {'; '.join(dict.fromkeys(notes)) or 'no models'}")
    return found, list(dict.fromkeys(notes))


class _Exports:
    """The files of one checkpoint, each written when it is first asked for."""

    def __init__(self, checkpoint: Path, folder: Path, fused: bool) -> None:
        self.checkpoint, self.folder, self.fused = checkpoint, folder, fused
        self.made: dict[tuple[str, tuple[int, int]], Path] = {}

    def __call__(self, kind: str, size: tuple[int, int], python: str | None = None) -> Path:
        """The file of a format, a key of `litehrnet.export.FORMATS`, for one size; written by another Python if asked.

        Raises:
            ImportError, ValueError, RuntimeError: it cannot be written.
        """
        from ..checkpoints import from_checkpoint
        from ..export import FORMATS, export
        from ..model import set_pooling

        if (kind, size) not in self.made:
            number = len(list(self.folder.iterdir()))
            path = self.folder / f"{number}-{self.checkpoint.stem}-{size[0]}x{size[1]}{FORMATS[kind].suffix}"
            if python is not None:
                options = ["--fused"] if self.fused else []
                self.made[kind, size] = export_elsewhere(python, self.checkpoint, path, size, options)
                return path
            exporter = "torchscript" if kind == "onnx" else None
            model = set_pooling(from_checkpoint(self.checkpoint), "computed")
            self.made[kind, size] = export(model, path, to=kind, size=size, exporter=exporter, fused=self.fused)[0]
        return self.made[kind, size]


def _signature(path: Path, pythons: Mapping[str, str]) -> Signature | None:
    """What a file takes; None where only another Python can read it."""
    try:
        return signature(path)
    except ImportError:
        if runtime_of(path) not in pythons:
            raise
        return None


def _trained_size(path: Path) -> tuple[int, int]:
    """The size that a checkpoint was trained at, or the usual one."""
    from ..checkpoints import from_checkpoint

    return from_checkpoint(path).trained_size or DEFAULT_SIZE


# --------------------------------------------------------------------------------------------------------- measuring


def compare_grid(
    chosen: Sequence[Candidate],
    reference: str | Path | None = None,
    *,
    people: CocoPeople | None = None,
    joints: JointSet | None = None,
    goal: Goal | None = None,
    sessions: int = SESSIONS,
    rounds: int = 10,
    notes: Sequence[str] = (),
    two_threads: bool = False,
    progress: Callable[[Sequence[Candidate]], Iterator[Candidate]] = iter,
) -> Grid:
    """Measure candidates one after the other.

    Args:
        chosen: from `candidates`; the first is the baseline of the ratios.
        reference: the model whose heatmaps, joints and OKS are the reference, run in its own runtime; by default the
            first candidate. A checkpoint runs in torch at every size.
        people: labelled people; without them, joints are compared on the rendered people that come with the package.
        joints: which joints are labelled, with their sigmas; by default those that the people's file names.
        goal: what to mark.
        sessions, rounds: as for `litehrnet.measure.time_sessions`.
        notes: for the result.
        two_threads: also measure what a second thread gains.
        progress: wraps the candidates, to show progress.

    Raises:
        ValueError: nothing to compare; a goal of OKS without labelled people; or none of the candidates runs.
    """
    goal = goal or Goal()
    if not chosen:
        raise ValueError("there is nothing to compare")
    if goal.within is not None and people is None:
        raise ValueError("a goal of OKS needs labelled people")
    judged = people is not None
    shown: CocoPeople = people or read_people(data_path("heldout/people.json"), data_path("heldout"))
    persons = range(len(shown)) if judged else range(min(PEOPLE, len(shown)))
    joint_set = with_sigmas(joints or shown.joint_set)
    reference = Path(reference) if reference is not None else None
    first = chosen[0]
    named = first.model if reference is None else reference.name
    answers = Answers(reference or first.path, None if reference else first.runtime, shown, persons)
    rows, skipped = [], list(notes)
    for candidate in progress(chosen):
        try:
            with candidate.opened() as run:
                apart = answers.compare(run, candidate.size)
                oks = float(np.nanmean(measure(run, shown, joint_set, candidate.size).oks)) if judged else None
            alone = measure_alone(candidate.task, first.task, sessions, rounds, two_threads, candidate.python)
        except (ValueError, ImportError, RuntimeError) as error:
            if candidate is first:
                raise
            size = "x".join(map(str, candidate.size))
            skipped.append(
                f"{candidate.model} in {candidate.runtime}, {candidate.precision}, {size}: {first_line(error)}"
            )
            continue
        rows.append(
            GridRow(
                candidate.model,
                candidate.runtime,
                candidate.precision,
                candidate.size,
                candidate.threads,
                alone.milliseconds,
                *alone.ratio,
                megabytes(candidate.path),
                alone.peak_megabytes,
                *apart,
                oks,
                two_threads=alone.two_threads,
                device=candidate.device or "cpu",
            )
        )
    best = max((row.oks for row in rows if row.oks is not None), default=None)
    if judged and reference is not None:
        best = answers.oks(joint_set) or best
    elif judged:
        best = rows[0].oks
    rows = [replace(row, fits=_fits(row, goal, best)) for row in rows]
    return Grid(machine(), rows, sessions, len(persons), named, goal, skipped)


def _fits(row: GridRow, goal: Goal, best: float | None) -> bool | None:
    if goal.fps is None and goal.within is None:
        return None
    fast = goal.fps is None or row.fps >= goal.fps
    good = goal.within is None or (row.oks is not None and best is not None and row.oks >= best - goal.within)
    return fast and good


class Answers:
    """The reference's answer for each person, at every size that is asked for."""

    def __init__(self, path: Path, runtime: str | None, people: CocoPeople, persons: Sequence[int]) -> None:
        self.people, self.persons = people, persons
        self.size = signature(path).size if kind_of(path) else _trained_size(path)
        self.free = kind_of(path) is None or signature(path).dynamic == "size"
        self.run = load(path, runtime)
        self.maps: dict[tuple[int, int], list[np.ndarray]] = {}

    def compare(self, run: Network, size: tuple[int, int]) -> tuple[float | None, float | None, float | None]:
        """Greatest relative difference, mean shift of joints in input pixels, and the share that moved."""
        if not self.free and size != self.size:
            return None, None, None
        images = [to_input(crop) for crop in self._crops(size)]
        if size not in self.maps:
            self.maps[size] = [self.run(image) for image in images]
        worst, shifts = 0.0, []
        for image, expected in zip(images, self.maps[size], strict=True):
            maps = run(image)
            if maps.shape != expected.shape:
                raise ValueError(f"it gives {maps.shape[1]} joints, and the reference {expected.shape[1]}")
            worst = max(worst, float(np.abs(maps - expected).max() / np.abs(expected).max()))
            shifts.append(np.linalg.norm(decode(maps)[0] - decode(expected)[0], axis=-1))
        shift = np.concatenate(shifts)
        return worst, float(shift.mean()), float((shift > FAR).mean())

    def oks(self, joint_set: JointSet) -> float | None:
        """The reference's own mean OKS, at its own size."""
        return float(np.nanmean(measure(self.run, self.people, joint_set, self.size).oks))

    def _crops(self, size: tuple[int, int]) -> Iterator[np.ndarray]:
        for index in self.persons:
            photo = np.asarray(self.people.image(index)[0])
            yield crop_person(photo, self.people.person(index).box, size)[0]


def save(grid: Grid, path: Path) -> None:
    """Write a grid as JSON."""
    path.write_text(json.dumps(grid.to_dict(), indent=1) + "\n", encoding="utf-8")
