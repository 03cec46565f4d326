"""Speed as paired ratios, with the parity of each file. `litehrnet.measure.timing` explains how time is measured."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from ..runtimes import Run, load, megabytes, runtime_of
from ..runtimes.session import example_images
from ..sizes import check_size
from .machine import machine
from .report import Report, Row
from .statistics import ratios
from .timing import SESSIONS, SPIN_SECONDS, time_sessions

__all__ = ["bench", "compare"]

Network = Callable[[np.ndarray], np.ndarray]


def compare(
    loaders: Mapping[str, Callable[[], Network]],
    images: np.ndarray,
    expected: np.ndarray | None = None,
    *,
    runtime: str,
    threads: int = 1,
    precision: str = "float32",
    sessions: int = SESSIONS,
    rounds: int = 10,
    files: Mapping[str, Path] | None = None,
) -> list[Row]:
    """Time functions of one input in turn, and compare their results.

    Args:
        loaders: from each name to a function that loads the model and returns it; the first is the baseline.
        images: (N, 3, H, W) float32.
        expected: the heatmaps that they should return; by default those of the first.
        runtime, precision: for the rows.
        threads: for the rows; with more than one, a pause before each call lets the others go to sleep.
        sessions: how many times every model is loaded.
        rounds: how many times it runs after each load.
        files: from each name to its file, for the size in megabytes.
    """
    answers = {name: load_one()(images) for name, load_one in loaders.items()}
    if expected is None:
        expected = next(iter(answers.values()))
    calls = [lambda load_one=load_one: partial(load_one(), images) for load_one in loaders.values()]
    times = time_sessions(calls, sessions, rounds, pause=0.0 if threads == 1 else SPIN_SECONDS)
    rows = []
    for k, ((name, answer), (ratio, low, high)) in enumerate(zip(answers.items(), ratios(times), strict=True)):
        file = (files or {}).get(name)
        rows.append(
            Row(
                name=name,
                runtime=runtime,
                threads=threads,
                size=(images.shape[2], images.shape[3]),
                milliseconds=float(np.median(times[..., k])) * 1e3,
                ratio=ratio,
                low=low,
                high=high,
                max_rel=float(np.abs(answer - expected).max() / np.abs(expected).max()),
                same_peaks=bool((peaks(answer) == peaks(expected)).all()),
                megabytes=None if file is None else megabytes(file),
                precision=precision,
            )
        )
    return rows


def peaks(heatmaps: np.ndarray) -> np.ndarray:
    """(N, K, h, w) to the index of each heatmap's peak, (N, K)."""
    return heatmaps.reshape(*heatmaps.shape[:2], -1).argmax(-1)


def bench(
    models: Sequence[str | Path],
    runtime: str | None = None,
    precision: str = "float32",
    *,
    threads: int = 1,
    sessions: int = SESSIONS,
    rounds: int = 10,
    size: Sequence[int] | None = None,
    device: str | None = None,
) -> Report:
    """Compare files; the first is the baseline for both the speed and the heatmaps.

    Args:
        models: files for `litehrnet.runtimes.load`, all with the same input.
        runtime: one runtime for all files; by default, each file runs in the runtime it was made for.
        precision: what the runtimes may compute in.
        threads: threads within an operator.
        sessions: how many times every file is loaded; fewer than six give no 95 % interval.
        rounds: how many times it runs after each load.
        size: (height, width) to run at; by default that of the first file.
        device: what to compute on, as for `litehrnet.runtimes.load`.

    Raises:
        ValueError: no model, two of the same name, a file that does not take this size, heatmaps of another shape, or a
            device that a runtime does not have.
        FileNotFoundError: there is no such file.
    """
    paths = {
        Path(model).name if len({Path(m).name for m in models}) == len(models) else str(model): Path(model)
        for model in models
    }
    if not paths or len(paths) != len(models):
        raise ValueError(f"give at least one model, and none twice; got {[str(model) for model in models]}")
    chosen = {name: runtime or runtime_of(path) for name, path in paths.items()}
    loaders = {name: _loader(path, chosen[name], threads, precision, size, device) for name, path in paths.items()}
    runs = {name: load_one() for name, load_one in loaders.items()}
    height, width = check_size(next(iter(runs.values())).size if size is None else size)
    images = _images(runs, (height, width))
    shapes = {name: run_one(images).shape for name, run_one in runs.items()}
    if len(set(shapes.values())) > 1:
        raise ValueError(f"these models give heatmaps of different shapes: {shapes}")
    del runs
    rows = compare(
        loaders, images, runtime="", threads=threads, precision=precision, sessions=sessions, rounds=rounds, files=paths
    )
    return Report(machine(), [replace(row, runtime=chosen[row.name]) for row in rows], sessions=sessions)


def _images(runs: Mapping[str, Run], size: tuple[int, int]) -> np.ndarray:
    """One image (1, 3, H, W) that all of these take: of pixels, if one of them takes pixels."""
    signatures = [getattr(run, "signature", None) for run in runs.values()]
    picky = next((each for each in signatures if each is not None and each.metadata.get("input") == "uint8"), None)
    return example_images(picky, 1, size, np.random.default_rng(0))


def _loader(
    path: Path, runtime: str, threads: int, precision: str, size: Sequence[int] | None, device: str | None
) -> Callable[[], Run]:
    options: dict[str, Any] = {} if precision == "float32" else {"precision": precision}
    if runtime == "ncnn" and size is not None:  # some ncnn files do not give their size
        options["size"] = size
    if device is not None:
        options["device"] = device
    return partial(load, path, runtime, threads, **options)
