"""Timing in turn, ratios with intervals, parity of each file, and what a profile says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from litehrnet.measure import (
    Report,
    bench,
    compare,
    median_interval,
    peak_memory,
    ratios,
    stored_report,
    stored_reports,
    time_in_turn,
    time_sessions,
)
from litehrnet.measure import profile as profiling
from litehrnet.measure.statistics import coverage, interval_name

SIZE = (64, 32)


def test_models_run_in_turn_and_take_turns_at_being_first():
    calls = []
    times = time_in_turn([lambda: calls.append("a"), lambda: calls.append("b")], rounds=3, warmup=1)
    assert times.shape == (3, 2)
    assert (times > 0).all()
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"


def test_nothing_to_time_is_refused():
    with pytest.raises(ValueError, match="got 0 and 5"):
        time_in_turn([], rounds=5)
    with pytest.raises(ValueError, match="got 1 and 0"):
        time_in_turn([int], rounds=0)


def test_every_session_loads_again_in_another_order():
    loaded, alive = [], []

    def loader(name):
        def load_one():
            loaded.append(name)
            return lambda: alive.append(name)

        return load_one

    times = time_sessions([loader("a"), loader("b"), loader("c")], sessions=6, rounds=2)
    assert times.shape == (6, 2, 3)
    assert (times > 0).all()
    orders = {"".join(loaded[k : k + 3]) for k in range(0, 18, 3)}
    assert all(sorted(order) == list("abc") for order in orders) and len(orders) > 1
    assert "".join(alive) == ("aaaaabbbbbccccc" + "abccba") * 6  # five calls each before the first that counts
    with pytest.raises(ValueError, match="at least one session, got 0"):
        time_sessions([loader("a")], sessions=0)
    with pytest.raises(ValueError, match="got 0 and 10"):
        time_sessions([])


def test_the_interval_holds_what_differs_from_session_to_session():
    """Rounds agree within a session that memory has made slow; an interval over the rounds would not know of it."""
    rng = np.random.default_rng(0)
    luck = np.ones((9, 1, 2))
    luck[:, 0, 1] = rng.permutation([0.95] * 4 + [1.05] * 5)
    times = luck * rng.normal(1.0, 0.001, (9, 50, 2))
    (_, (ratio, low, high)) = ratios(times)
    assert low < 0.96 and high > 1.04 and low <= ratio <= high
    (_, (_, low, high)) = ratios(times[:1])
    assert high - low < 0.002


def test_the_interval_covers_the_true_median_nineteen_times_out_of_twenty():
    rng = np.random.default_rng(0)
    for draw in (rng.standard_normal, rng.standard_exponential):
        true = 0.0 if draw == rng.standard_normal else math.log(2)
        covered = 0
        for _ in range(1000):
            median, low, high = median_interval(draw(60))
            assert low <= median <= high
            covered += low <= true <= high
        assert 930 <= covered <= 990


@pytest.mark.parametrize("n", [1, 2, 3, 5, 6, 7, 8])
def test_the_interval_of_few_values_is_their_range(n):
    values = np.arange(float(n))
    assert median_interval(values)[1:] == (0, n - 1)


@pytest.mark.parametrize("n", [1, 2, 3, 4, 5, 6, 7, 9, 12, 25, 60, 101])
def test_the_stated_coverage_is_what_is_covered(n):
    """By counting: uniform values, whose true median is known."""
    draws = np.random.default_rng(n).random((20_000, n))
    low, high = np.array([median_interval(values)[1:] for values in draws]).T
    covered = float(((low <= 0.5) & (high >= 0.5)).mean())
    assert abs(covered - coverage(n)) < 0.01
    assert (coverage(n) >= 0.95) == (n >= 6)
    assert interval_name(n).startswith("95 % interval" if n >= 6 else "range")


def test_a_ratio_says_how_many_times_faster():
    def wait(seconds):
        import time

        def run_one(images):
            end = time.perf_counter() + seconds
            while time.perf_counter() < end:
                pass
            return images

        return run_one

    images = np.ones((1, 1, 2, 2), np.float32)
    loaders = {"slow": lambda: wait(0.01), "fast": lambda: wait(0.002)}
    slow, fast = compare(loaders, images, runtime="torch", sessions=3, rounds=3)
    assert slow.ratio == slow.low == slow.high == 1
    assert 2 < fast.ratio < 8
    assert fast.milliseconds < slow.milliseconds


def test_parity_stands_beside_each_model():
    images = np.random.default_rng(0).standard_normal((1, 2, 3, 3)).astype(np.float32)
    largest = np.abs(images).max()
    rows = compare(
        {"right": lambda: lambda x: x, "off": lambda: lambda x: x + 0.01 * largest, "wrong": lambda: lambda x: -x},
        images,
        runtime="torch",
        rounds=2,
    )
    assert [row.same_peaks for row in rows] == [True, True, False]
    assert [round(row.max_rel, 3) for row in rows] == [0, 0.01, 2]


def test_files_are_compared_with_the_first(exported, tmp_path):
    _, path = exported(size=SIZE)
    other = tmp_path / "other.onnx"
    other.write_bytes(path.read_bytes())
    report = bench([path, other], rounds=3)
    assert [row.name for row in report.rows] == ["model.onnx", "other.onnx"]
    assert report.rows[1].max_rel == 0
    assert report.rows[0].size == SIZE
    assert report.rows[0].megabytes == path.stat().st_size / 1e6
    assert {"processor", "onnxruntime", "torch", "date"} <= set(report.machine)
    with pytest.raises(ValueError, match="none twice"):
        bench([path, path])
    with pytest.raises(ValueError, match="at least one"):
        bench([])
    with pytest.raises(FileNotFoundError):
        bench([path, tmp_path / "missing.onnx"])
    with pytest.raises(ValueError, match="height 64"):
        bench([path], size=(96, 32))


def test_a_report_comes_back_as_it_was_saved(tmp_path):
    images = np.ones((1, 1, 2, 2), np.float32)
    rows = compare(dict.fromkeys("ab", lambda: lambda x: x), images, runtime="torch", rounds=3)
    report = Report({"processor": "p"}, rows, {"roofline": {"gmacs": 1.5}})
    assert Report.load(report.save(tmp_path / "report.json")) == report
    assert json.loads((tmp_path / "report.json").read_text())["rows"][0]["size"] == [2, 2]


def test_a_report_of_the_first_edition_can_be_read(tmp_path):
    """Its rows say no precision, and it does not say how many sessions there were."""
    row = {"name": "m", "runtime": "ncnn", "threads": 2, "size": [64, 32], "milliseconds": 1.5, "ratio": 1.25}
    row |= {"low": 1.0, "high": 2.0, "max_rel": 1e-6, "same_peaks": True, "megabytes": None}
    (tmp_path / "old.json").write_text(json.dumps({"machine": {"date": "d"}, "rows": [row], "notes": {}}))
    report = Report.load(tmp_path / "old.json")
    assert report.rows[0].precision == "float32" and report.rows[0].size == (64, 32) and report.sessions is None
    assert "1.25 (1.00 to 2.00)" in report.table() and "interval" not in report.table()
    assert len(stored_report().rows) > 10
    dates = [report.machine["date"] for report in stored_reports()]
    assert dates == sorted(set(dates)) and dates[-1] == stored_report().machine["date"]


@pytest.mark.parametrize(
    ("sessions", "words"),
    [(9, "95 % interval."), (6, "95 % interval."), (5, "93 times out of 100"), (3, "75 times"), (1, "one session")],
)
def test_the_table_does_not_claim_more_than_its_sessions_give(sessions, words):
    images = np.ones((1, 1, 2, 2), np.float32)
    rows = compare(dict.fromkeys("ab", lambda: lambda x: x), images, runtime="torch", rounds=2, sessions=sessions)
    table = Report({}, rows, sessions=sessions).table()
    assert words in table and ("95 %" in table) == (sessions >= 6)


def test_the_table_has_a_line_per_row_and_a_cell_per_column():
    images = np.ones((1, 1, 2, 2), np.float32)
    report = Report({}, compare(dict.fromkeys("ab", lambda: lambda x: x), images, runtime="torch", rounds=3))
    lines = report.table().splitlines()
    assert len(lines) == 4
    assert len({line.count("|") for line in lines}) == 1
    assert "| 2x2 | a |" in lines[2]


def test_a_profile_names_every_kernel(exported):
    model, path = exported(size=SIZE)
    kernels = profiling.profile(path, runs=5)
    assert sum(count for count, _ in profiling.by_operator(kernels).values()) == len(kernels)
    assert sum(count for count, _ in profiling.by_kind(kernels).values()) == len(kernels)
    kinds = profiling.by_kind(kernels)
    assert "convolution" in kinds
    assert kinds.get("other", (0, 0))[0] == 0
    assert all(kernel.bytes > 0 for kernel in kernels)
    from litehrnet.complexity import count

    macs = sum(kernel.macs for kernel in kernels)
    # Blocks may be padded, so ONNX Runtime does at least the network's own arithmetic.
    assert count(model, SIZE).macs <= macs <= 2 * count(model, SIZE).macs
    assert any(kernel.depthwise for kernel in kernels)
    assert profiling.reorders(path)["nodes"] == len(kernels)


def test_a_file_of_free_size_cannot_be_profiled(exported):
    _, path = exported(size=SIZE, dynamic="size")
    with pytest.raises(ValueError, match="free size"):
        profiling.profile(path)


def test_no_kernel_beats_the_peaks_by_much(exported):
    _, path = exported(size=SIZE)
    peaks = profiling.measure_peaks(seconds=0.3)
    assert peaks.gmacs > 0.1
    assert peaks.copy > 0.1
    kernels = profiling.profile(path, runs=10)
    assert sum(peaks.least(kernel) for kernel in kernels) < sum(kernel.microseconds for kernel in kernels)


def test_peak_memory_rises_with_what_is_held_and_stays() -> None:
    before = peak_memory()
    if before is None:
        pytest.skip("this system does not say how much memory a process took")
    held = np.ones(int(before) * 2**17 + 2**23)  # eight bytes each: as much as the peak, and 64 MB more
    after = peak_memory()
    assert after is not None and after > before + 30
    del held
    assert peak_memory() > after - 16  # the system counts pages lazily
