"""Timing in turn, ratios with intervals, parity beside each, and what a profile says."""

from __future__ import annotations

import json
import math

import numpy as np
import pytest

from litehrnet.measure import bench
from litehrnet.measure import profile as profiling
from litehrnet.measure.bench import (
    Report,
    compare,
    median_interval,
    ratios,
    time_in_turn,
    time_loaded_anew,
)

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


def test_every_session_loads_anew_in_another_order():
    loaded, alive = [], []

    def loader(name):
        def load_one():
            loaded.append(name)
            return lambda: alive.append(name)

        return load_one

    times = time_loaded_anew([loader("a"), loader("b"), loader("c")], sessions=6, rounds=2, warmup=0)
    assert times.shape == (6, 2, 3)
    assert (times > 0).all()
    orders = {"".join(loaded[k : k + 3]) for k in range(0, 18, 3)}
    assert all(sorted(order) == list("abc") for order in orders) and len(orders) > 1
    assert "".join(alive) == "abccba" * 6
    with pytest.raises(ValueError, match="at least one session, got 0"):
        time_loaded_anew([loader("a")], sessions=0)
    with pytest.raises(ValueError, match="got 0 and 10"):
        time_loaded_anew([])


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


@pytest.mark.parametrize("n", [1, 2, 3, 10])
def test_the_interval_of_few_values_is_their_range(n):
    values = np.arange(float(n))
    assert median_interval(values)[1:] == (0, n - 1)


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
    slow, fast = compare(loaders, images, runtime="torch", sessions=3, rounds=3, warmup=0)
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
    report = bench.run([path, other], rounds=3, warmup=1)
    assert [row.name for row in report.rows] == ["model.onnx", "other.onnx"]
    assert report.rows[1].max_rel == 0
    assert report.rows[0].size == SIZE
    assert report.rows[0].megabytes == path.stat().st_size / 1e6
    assert {"processor", "onnxruntime", "torch", "date"} <= set(report.machine)
    with pytest.raises(ValueError, match="none twice"):
        bench.run([path, path])
    with pytest.raises(ValueError, match="at least one"):
        bench.run([])
    with pytest.raises(FileNotFoundError):
        bench.run([path, tmp_path / "missing.onnx"])
    with pytest.raises(ValueError, match="height 64"):
        bench.run([path], size=(96, 32))


def test_a_report_comes_back_as_it_was_saved(tmp_path):
    images = np.ones((1, 1, 2, 2), np.float32)
    rows = compare(dict.fromkeys("ab", lambda: lambda x: x), images, runtime="torch", rounds=3)
    report = Report({"processor": "p"}, rows, {"roofline": {"gmacs": 1.5}})
    assert Report.load(report.save(tmp_path / "report.json")) == report
    assert json.loads((tmp_path / "report.json").read_text())["rows"][0]["size"] == [2, 2]


def test_the_table_has_a_line_a_row_and_a_cell_a_column():
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
    # Blocks may be filled up, so ONNX Runtime does at least the network's own arithmetic.
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
