"""One candidate measured in a process of its own: speed against a baseline, run in turn, and memory at its peak.

Runtimes in one process evict each other's caches, and their idle threads spin. So each pair gets a fresh process, which
reads its task as JSON from standard input and prints its result (`main`).
"""

from __future__ import annotations

import contextlib
import importlib
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..checks import first_line, last_line
from ..runtimes import RUNTIMES, Run, load
from .machine import peak_memory
from .statistics import ratios
from .timing import SESSIONS, SPIN_SECONDS, time_sessions

__all__ = ["Alone", "Task", "measure_alone", "open_task", "started_by"]


@dataclass(frozen=True)
class Task:
    """What to run.

    Attributes:
        path: a file for `litehrnet.runtimes.load`.
        runtime, precision, threads: as for `load`.
        size: height and width to run at.
        device: as for `load`.
    """

    path: str
    runtime: str
    precision: str
    threads: int
    size: tuple[int, int]
    device: str | None = None


@dataclass(frozen=True)
class Alone:
    """What was measured.

    Attributes:
        milliseconds: median over all rounds of all sessions.
        ratio: how many times as fast as the baseline, with the ends of its interval.
        peak_megabytes: memory that loading and running take at their peak, above what is in use once everything is
            imported; None where the system does not say.
        two_threads: times as fast with a second thread, without the baseline beside it; None if that was not asked for.
    """

    milliseconds: float
    ratio: tuple[float, float, float]
    peak_megabytes: float | None
    two_threads: float | None = None


def measure_alone(
    task: Task,
    baseline: Task,
    sessions: int = SESSIONS,
    rounds: int = 10,
    two_threads: bool = False,
    python: str | Path | None = None,
) -> Alone:
    """Measure one candidate, in turn with the baseline, in a new process.

    Args:
        task: what is measured.
        baseline: what it is compared with; the same task gives a ratio of 1.
        sessions: how many times both are loaded.
        rounds: how many times both run after each load.
        two_threads: also measure what a second thread gains.
        python: the interpreter of the process, where the runtime has an environment of its own; it must be able to run
            the baseline, too. None: this one.

    Raises:
        ValueError: it does not run; the message is that of the process.
    """
    asked = {"task": asdict(task), "baseline": asdict(baseline), "sessions": sessions, "rounds": rounds}
    python = python or sys.executable
    with started_by(python):
        done = subprocess.run(
            [str(python), "-c", f"from {__name__} import main; main()"],
            input=json.dumps(asked | {"two_threads": two_threads}),
            capture_output=True,
            text=True,
            check=False,
        )
    lines = done.stdout.splitlines()
    if done.returncode or not lines:
        reason = last_line(done.stderr, "no reason")
        raise ValueError(f"{Path(task.path).name} does not run in {task.runtime}: {reason}")
    found = json.loads(lines[-1])
    if "error" in found:
        raise ValueError(found["error"])
    return Alone(**found | {"ratio": tuple(found["ratio"])})


@contextlib.contextmanager
def started_by(python: str | Path) -> Iterator[None]:
    """Around the start of a process: name the interpreter if it cannot be run.

    Raises:
        ValueError: there is no such interpreter, or it is not a program.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(f"cannot run {python}: {error.strerror or error}") from error


def _measure(asked: dict[str, Any]) -> Alone:
    """What the process does."""
    task, baseline = Task(**asked["task"]), Task(**asked["baseline"])
    for library in RUNTIMES[task.runtime].libraries:
        importlib.import_module(library)
    before = peak_memory()
    _load(task)()
    after = peak_memory()
    pause = 0.0 if task.threads == 1 else SPIN_SECONDS
    same = task == baseline
    tasks: Sequence[Task] = (task,) if same else (baseline, task)
    times = time_sessions([partial(_load, one) for one in tasks], asked["sessions"], asked["rounds"], pause)
    two = None
    if asked["two_threads"]:
        # Both without the baseline, which would leave its own data in the caches; one thread first, before there are
        # others. A runtime's threads start before the clock does.
        single, doubled = (
            time_sessions([partial(_load, replace(task, threads=threads))], asked["sessions"], asked["rounds"])
            for threads in (1, 2)
        )
        two = float(np.median(single) / np.median(doubled))
    return Alone(
        milliseconds=float(np.median(times[..., -1])) * 1e3,
        ratio=(1.0, 1.0, 1.0) if same else ratios(times)[1],
        peak_megabytes=None if before is None or after is None else after - before,
        two_threads=two,
    )


def open_task(task: Task) -> Run:
    """The candidate as a function of images."""
    size = task.size if task.runtime == "ncnn" else None
    return load(task.path, task.runtime, task.threads, task.precision, size, task.device)


def _load(task: Task) -> Any:
    """A task as a function without arguments, which runs one image of the task's size."""
    return partial(open_task(task), np.zeros((1, 3, *task.size), np.float32))


def main() -> None:
    """What the process runs."""
    asked = json.loads(sys.stdin.read())
    try:
        found = asdict(_measure(asked))
    except (ValueError, OSError, ImportError, RuntimeError) as error:
        found = {"error": first_line(error)}
    sys.stdout.write(json.dumps(found) + "\n")
