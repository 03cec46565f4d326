"""The network in C: its weights file, its numbers, its builds for other processors, and the example program.

Everything needs a C compiler and skips with a reason where there is none; builds for other machines need their
compilers and qemu-user.
"""

from __future__ import annotations

import copy
import os
import platform
import re
import shutil
import struct
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from bounds import beyond, same, within
from PIL import Image
from reference import reference_input, reference_model, reference_state

import litehrnet
from litehrnet.complexity import count
from litehrnet.export.c import branch_order, export_c
from litehrnet.files import data_path
from litehrnet.fusion import fuse
from litehrnet.heatmaps import crop_person, decode, read_image, to_image, to_input
from litehrnet.measure.profile import by_kernel, c_parts, c_peak
from litehrnet.measure.timing import time_in_turn
from litehrnet.model import LiteHRNet, Variant, with_fuse_step
from litehrnet.runtimes import RUNTIMES, load
from litehrnet.runtimes import c as engine_in_c
from litehrnet.runtimes.c import Engine
from litehrnet.runtimes.lhr import read_header

C = engine_in_c.sources()
SMALL = Variant("small", (1, 1, 1), (8, 12, 20, 24), True)
BOXES = ((100, 80, 60, 160), (-50, -80, 700, 900), (300.3, 200.7, 400, 500), (10, 10, 20, 30))
STRICT = ("-std=c11", "-ffp-contract=fast", "-fno-math-errno", "-Wall", "-Wextra", "-Wpedantic", "-Werror")


@pytest.fixture(scope="module")
def cc() -> list[str]:
    try:
        return engine_in_c.compiler()
    except ImportError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def made(cc: list[str], tmp_path_factory: pytest.TempPathFactory) -> Callable[..., tuple[LiteHRNet, Path]]:
    """`made("litehrnet18", weights="float16")`: (model, .lhr file), made once."""
    folder, known = tmp_path_factory.mktemp("lhr"), {}

    def make(variant: str = "litehrnet18", joints: int = 17, weights: str = "float32") -> tuple[LiteHRNet, Path]:
        key = (variant, joints, weights)
        if key not in known:
            model = reference_model(variant, joints)
            known[key] = model, export_c(model, folder / f"{len(known)}.lhr", weights=weights)
        return known[key]

    return make


@pytest.fixture(scope="module")
def pretrained(cc: list[str], tmp_path_factory: pytest.TempPathFactory) -> tuple[LiteHRNet, Path]:
    model = litehrnet.load_pretrained("litehrnet18")
    return model, export_c(model, tmp_path_factory.mktemp("pretrained") / "my.lhr")


@pytest.fixture(scope="module")
def photo() -> np.ndarray:
    return read_image(data_path("astronaut.jpg"))


def small_model(variant: Variant = SMALL, joints: int = 3) -> LiteHRNet:
    model = LiteHRNet(variant, joints).eval()
    model.load_state_dict(reference_state(model))
    return model


def exactly(model: LiteHRNet, images: torch.Tensor) -> np.ndarray:
    """The heatmaps in float64."""
    with torch.no_grad():
        return copy.deepcopy(model).double()(images.double()).numpy()


def peaks(maps: np.ndarray) -> np.ndarray:
    return maps.reshape(*maps.shape[:2], -1).argmax(-1)


# Numbers


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("variant", "joints", "size", "batch", "threads"),
    [
        ("litehrnet18", 17, (64, 96), 1, 1),
        ("litehrnet18", 21, (61, 94), 3, 1),
        ("litehrnet18", 1, (32, 32), 2, 2),
        ("litehrnet18", 17, (256, 192), 1, 3),
        ("litehrnet30", 133, (93, 64), 1, 1),
        ("naive_litehrnet18", 17, (96, 61), 2, 1),
        ("naive_litehrnet18", 16, (160, 128), 1, 2),
        ("wider_naive_litehrnet18", 17, (64, 93), 1, 1),
        ("wider_naive_litehrnet18", 17, (128, 96), 2, 4),
    ],
)
def test_it_computes_what_torch_computes(
    made: Callable, variant: str, joints: int, size: tuple[int, int], batch: int, threads: int
) -> None:
    model, path = made(variant, joints)
    images = reference_input(size, batch, seed=1)
    maps, expected = Engine(path, threads)(images.numpy()), exactly(model, images)
    same(maps, expected, 1.5e-5)
    assert maps.dtype == np.float32
    assert (peaks(maps) == peaks(expected)).all()


@pytest.mark.numeric
@pytest.mark.parametrize("channels", [(8, 8, 8, 8), (8, 12, 20, 24), (34, 38, 66, 130), (62, 94, 18, 14)])
@pytest.mark.parametrize("weighting", [True, False])
def test_any_even_number_of_channels(cc: list[str], tmp_path: Path, channels: tuple[int, ...], weighting: bool) -> None:
    """Channels of which halves and quarters are odd numbers, and vectors end in the middle of them."""
    model = small_model(Variant("odd", (2, 1, 1), channels, weighting))
    images = reference_input((61, 96), 2)
    maps = Engine(export_c(model, tmp_path / "odd.lhr"), threads=2)(images.numpy())
    same(maps, exactly(model, images), 2e-5)


@pytest.mark.numeric
def test_float16_weights_are_half_the_file_and_near(made: Callable) -> None:
    model, path = made()
    _, half = made(weights="float16")
    images = reference_input((64, 96))
    maps, expected = Engine(half)(images.numpy()), exactly(model, images)
    same(maps, expected, 2e-2)
    beyond(float(np.abs(maps - expected).max() / np.abs(expected).max()), 1e-6, "rounded at all")
    assert half.stat().st_size < 0.51 * path.stat().st_size


def test_batches_threads_and_calls_do_not_change_a_bit(made: Callable) -> None:
    """Every pixel is summed in the same order, whoever computes it."""
    images = reference_input((96, 64), 3).numpy()
    expected = Engine(made()[1])(images)
    for threads in (1, 2, 3, 5):
        engine = Engine(made()[1], threads)
        assert np.array_equal(engine(images), expected)
        assert np.array_equal(engine(images[1:2]), expected[1:2])
        engine(reference_input((32, 64)).numpy())  # another size in between
        assert np.array_equal(engine(images[::-1]), expected[::-1])


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_that_slept_compute_the_same(made: Callable, threads: int) -> None:
    """After a rest the threads are asleep. Waking must neither change a bit nor leave a thread tied to some cores."""
    images = reference_input((64, 96)).numpy()
    expected, before = Engine(made()[1])(images), {task.name for task in Path("/proc/self/task").glob("*")}
    engine = Engine(made()[1], threads)
    for _ in range(10):
        assert np.array_equal(engine(images), expected)
        time.sleep(0.01)
    if hasattr(os, "sched_getaffinity"):
        started = {task.name for task in Path("/proc/self/task").glob("*")} - before
        assert len(started) >= threads - 1
        assert all(os.sched_getaffinity(int(task)) == os.sched_getaffinity(0) for task in started)


def core_of(thread: int) -> int:
    """The core on which a thread of this process runs, or ran last (Linux; field 39 of its `stat`)."""
    return int(Path(f"/proc/self/task/{thread}/stat").read_text().rpartition(") ")[2].split()[36])


def test_a_thread_that_slept_is_not_left_on_the_core_of_its_caller(made: Callable) -> None:
    """Virtual machines' idle cores look occupied to Linux, so it wakes the second thread beside the first."""
    if not hasattr(os, "sched_getaffinity") or len(os.sched_getaffinity(0)) < 2:
        pytest.skip("needs Linux and two cores")
    images = reference_input((256, 192)).numpy()
    before = {task.name for task in Path("/proc/self/task").iterdir()}
    engine = Engine(made()[1], threads=2)
    engine(images)
    (second,) = {task.name for task in Path("/proc/self/task").iterdir()} - before
    together = 0
    for _ in range(20):
        time.sleep(0.02)
        engine(images)
        together += core_of(threading.get_native_id()) == core_of(int(second))
    assert together < 10


def test_two_threads_on_one_core_are_hardly_slower_than_one(made: Callable) -> None:
    """What a thread without a core has not begun, the other does. While each waited for the other after every stage,
    two threads took 3.7 times as long as one at this size; now they take 1.15 times as long."""
    if not hasattr(os, "sched_setaffinity"):
        pytest.skip("needs Linux")
    images, cores = reference_input((64, 64)).numpy(), os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(cores)})  # of this thread and of those that it starts
    try:
        engines = [Engine(made()[1], threads) for threads in (1, 2)]
        times = time_in_turn([partial(engine, images) for engine in engines], rounds=40)
    finally:
        os.sched_setaffinity(0, cores)
    one, two = np.median(times, axis=0)
    assert two < 2 * one


def test_many_sizes_in_turn(made: Callable) -> None:
    engine = Engine(made()[1])
    sizes = [(32 * h, 32 * w) for h in (1, 2, 3) for w in (1, 2, 3)]
    first = [engine(reference_input(size).numpy()) for size in sizes]
    assert all(np.array_equal(engine(reference_input(s).numpy()), maps) for s, maps in zip(sizes, first, strict=True))


def test_one_engine_for_each_of_several_threads(made: Callable) -> None:
    images = [reference_input((64, 64), seed=k).numpy() for k in range(4)]
    expected = [Engine(made()[1])(image) for image in images]
    shared, results = Engine(made()[1]), {}

    def run(k: int) -> None:
        own = Engine(made()[1]) if k % 2 else shared
        results[k] = [own(images[k]) for _ in range(5)]

    threads = [threading.Thread(target=run, args=(k,)) for k in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all(np.array_equal(maps, expected[k]) for k in range(4) for maps in results[k])


def test_nan_stays_nan(made: Callable) -> None:
    """A broken image must not come out as a pose."""
    images = reference_input((64, 64)).numpy()
    images[0, 1, 30, 30] = np.nan
    assert np.isnan(Engine(made()[1])(images)).any()


@pytest.mark.numeric
@pytest.mark.parametrize("weighting", [True, False])
@pytest.mark.parametrize("factor", [1e4, 1e12, 1e20])
def test_very_bright_images(cc: list[str], tmp_path: Path, weighting: bool, factor: float) -> None:
    """Sigmoids are exactly 0 or 1 there, not whatever bits come out beyond the powers that float holds."""
    model = small_model(Variant("small", (1, 1, 1), (8, 12, 20, 24), weighting))
    images = reference_input((64, 96)) * factor
    same(Engine(export_c(model, tmp_path / "my.lhr"))(images.numpy()), exactly(model, images), 2e-5)


def test_memory(made: Callable) -> None:
    assert Engine(made()[1]).context_bytes((256, 192)) < 8e6


@pytest.mark.parametrize("variant", ["litehrnet18", "naive_litehrnet18"])
def test_the_parts_of_a_run_are_the_whole_network(made: Callable, variant: str) -> None:
    """Every MAC that the model asks for is in one of them, and the clocks change no number."""
    model, path = made(variant)
    parts = c_parts(path, (64, 96), runs=3)
    assert sum(part.macs for part in parts) == count(model, (64, 96)).macs
    assert all(part.lane_macs >= part.macs and part.seconds >= 0 for part in parts)
    assert len({part.name for part in parts}) == len(parts)
    stages = {"litehrnet18": {"weights", "spatial_weights"}, "naive_litehrnet18": {"shuffle_first", "shuffle_last"}}
    assert {part.stage for part in parts if part.kernel == "product"} == stages[variant] | {
        "stem", "transition", "settle", "down", "head",
    }  # fmt: skip
    kernels = by_kernel(parts)
    assert kernels["product"].macs + kernels["depthwise"].macs == count(model, (64, 96)).macs
    seconds = [part.seconds for part in kernels.values()]
    assert seconds == sorted(seconds, reverse=True)
    assert sum(seconds) == pytest.approx(sum(part.seconds for part in parts))
    images = reference_input((64, 96)).numpy()
    assert np.array_equal(Engine(path, profile=True)(images), Engine(path)(images))
    done = kernels["product"].lane_macs / kernels["product"].seconds / 1e9
    assert 0 < done < 2 * c_peak(path)


# Pictures


@pytest.mark.numeric
def test_crops_are_normalised_as_in_python(pretrained: tuple[LiteHRNet, Path], photo: np.ndarray) -> None:
    crop, _ = crop_person(photo, BOXES[0], (93, 64))
    engine = Engine(pretrained[1])
    same(engine.run_rgb(crop[None]), engine(to_input(crop)), 1e-5)


@pytest.mark.numeric
def test_joints_are_those_of_python(pretrained: tuple[LiteHRNet, Path], photo: np.ndarray) -> None:
    model, path = pretrained
    engine = Engine(path)
    for box in BOXES:
        crop, to_crop = crop_person(photo, box)
        with torch.no_grad():
            joints, scores = decode(model(torch.from_numpy(to_input(crop))).numpy())
        found, found_scores = engine.pose(photo, box)
        # A peak is a whole pixel, and its neighbours decide a quarter; where those are equal to five digits, crops that
        # differ by one grey level may decide otherwise. None of these is such a case.
        within(np.abs(found - to_image(joints[0], to_crop)).max(), 0.5, "pixels")
        within(np.abs(found_scores - scores[0]).max(), 0.05, "scores")


@pytest.mark.numeric
@pytest.mark.parametrize("size", [(256, 192), (61, 93), (384, 288)])
def test_crops_are_those_of_python(
    pretrained: tuple[LiteHRNet, Path], photo: np.ndarray, size: tuple[int, int]
) -> None:
    functions = Engine(pretrained[1])._engine
    for box in (*BOXES, (0, 0, 512, 512), (511.5, 511.5, 1, 1)):
        for padding in (1.0, 1.25, 3.7):
            expected, matrix = crop_person(photo, box, size, padding)
            crop, found = np.empty_like(expected), np.empty((2, 3))
            functions.lhr_crop(photo, *photo.shape[:2], np.array(box, float), padding, *size, crop, found)
            within(np.abs(found - matrix).max(), 1e-9, "matrix")
            off = np.abs(crop.astype(int) - expected)
            assert off.max() <= 1
            within((off > 0).mean(), 0.01, "share of bytes that differ by one level")


@pytest.mark.numeric
def test_decoding_is_that_of_python(pretrained: tuple[LiteHRNet, Path]) -> None:
    functions, dice = Engine(pretrained[1])._engine, np.random.default_rng(0)
    for shape in ((2, 3, 16, 8), (1, 5, 1, 1), (1, 4, 3, 3), (1, 2, 64, 48)):
        maps = dice.standard_normal(shape).astype(np.float32)
        maps[..., 0, :] = maps.max()  # of equal peaks the first
        for each in (maps, -np.abs(maps), np.zeros_like(maps), np.round(maps)):
            joints, scores = np.empty((*shape[:2], 2), np.float32), np.empty(shape[:2], np.float32)
            functions.lhr_decode(each, shape[0] * shape[1], *shape[2:], joints, scores)
            expected = decode(each)
            assert np.array_equal(joints, expected[0]) and np.array_equal(scores, expected[1])
            matrix, back = np.array([[1.3, 0.2, -5.0], [-0.1, 0.9, 7.0]]), np.empty((*shape[:2], 2))
            functions.lhr_to_image(joints, shape[0] * shape[1], matrix, back)
            within(np.abs(back - to_image(joints, matrix)).max(), 1e-9, "pixels")
    with pytest.raises(ValueError, match="NaN or infinity"):
        functions.lhr_decode(np.full((1, 1, 4, 4), np.nan, np.float32), 1, 4, 4, joints, scores)


@pytest.mark.parametrize(
    ("box", "words"),
    [
        ((600, 0, 10, 10), "outside"),
        ((0, -20, 10, 20), "outside"),
        ((0, 0, 0, 10), "out of range"),
        ((0, 0, np.nan, 10), "out of range"),
        ((0, 0, 1e308, 1e308), "out of range"),
    ],
)
def test_boxes_are_refused(
    pretrained: tuple[LiteHRNet, Path], photo: np.ndarray, box: tuple[float, ...], words: str
) -> None:
    with pytest.raises(ValueError, match=words):
        Engine(pretrained[1]).pose(photo, box)


# Files


def test_the_header_says_what_it_holds(made: Callable) -> None:
    model, path = made("naive_litehrnet18", 16, "float16")
    header = read_header(path)
    assert (header.variant, header.joints, header.size) == ("naive_litehrnet18", 16, (256, 192))
    assert (header.weights, header.channels, header.names[3]) == ("float16", model.variant.channels, "joint 3")
    assert read_header(made()[1]).names == litehrnet.heatmaps.COCO_NAMES


def test_the_order_of_channels_follows_the_shuffles() -> None:
    """What the C code relies on: both blocks' channels are side by side."""
    for channels in range(8, 200, 2):
        half, order = channels // 2, branch_order(channels)
        first = np.arange(channels)[half:]
        shuffled = np.empty(channels, int)  # after the first shuffle, which channel was it?
        shuffled[::2], shuffled[1::2] = np.arange(half), first
        second = shuffled[half:]
        start = half - half // 2
        assert set(order[half:]) == set(first)
        assert set(order[start : start + half]) == set(second)


def test_load_treats_it_as_any_file(made: Callable) -> None:
    _, path = made()
    run = load(path, "c", threads=2)
    assert "c" in RUNTIMES and load(path).size == (256, 192)
    assert run(reference_input((64, 32), 2).numpy()).shape == (2, 17, 16, 8)
    for wrong, words in (
        (np.zeros((1, 3, 64, 40), np.float32), "40"),
        (np.zeros((1, 3, 64, 64)), "float32"),
        (np.zeros((1, 4, 64, 64), np.float32), "shape"),
    ):
        with pytest.raises(ValueError, match=words):
            run(wrong)


def test_what_cannot_be_written(tmp_path: Path) -> None:
    model = small_model()
    with pytest.raises(ValueError, match=r"\.lhr"):
        export_c(model, tmp_path / "my.bin")
    with pytest.raises(ValueError, match="float16"):
        export_c(model, tmp_path / "my.lhr", weights="half")
    for name in ("mean", "std"):
        with pytest.raises(ValueError, match=f"{name} must be three numbers, one per colour; got 2"):
            export_c(small_model(), tmp_path / "my.lhr", **{name: (1.0, 2.0)})
    with pytest.raises(ValueError, match="FusedLiteHRNet"):
        export_c(fuse(reference_model("litehrnet18"), (64, 64)), tmp_path / "my.lhr")
    with pytest.raises(ValueError, match="2 blocks"):
        export_c(small_model(Variant("one", (1, 1, 1), (8, 8, 8, 8), True, blocks=1)), tmp_path / "my.lhr")
    with pytest.raises(ValueError, match="tidy"):
        export_c(with_fuse_step(model, "tidy"), tmp_path / "my.lhr")
    with torch.no_grad():
        model.head.final_layer.weight[0] = 1e6
    with pytest.raises(ValueError, match="1e\\+06"):
        export_c(model, tmp_path / "my.lhr", weights="float16")
    with torch.no_grad():
        model.head.final_layer.weight[0] = np.nan
    with pytest.raises(ValueError, match="NaN"):
        export_c(model, tmp_path / "my.lhr")
    assert not list(tmp_path.iterdir())


def with_checksum(content: bytes) -> bytes:
    return content[:12] + struct.pack("<I", zlib.crc32(content[16:])) + content[16:]


def changed(content: bytes, at: int, value: bytes) -> bytes:
    return with_checksum(content[:at] + value + content[at + len(value) :])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda c: b"", "not a .lhr"),
        (lambda c: b"PK" + c, "not a .lhr"),
        (lambda c: c[:8] + b"\2" + c[9:], "version 2"),
        (lambda c: c[:100], "damaged"),
        (lambda c: with_checksum(c[:-4]), "damaged"),
        (lambda c: with_checksum(c + b"\0\0\0\0"), "damaged"),
        (lambda c: c[:5000] + b"\7" + c[5001:], "damaged"),
        (lambda c: changed(c, 16, b"\3"), "damaged"),
        (lambda c: changed(c, 24, struct.pack("<I", 2)), "damaged"),
        (lambda c: changed(c, 24, struct.pack("<I", 2**31)), "damaged"),
        (lambda c: changed(c, 36, struct.pack("<4I", *[2048] * 4)), "damaged"),
        (lambda c: changed(c, 56, struct.pack("<I", 0)), "damaged"),
        (lambda c: changed(c, 60, struct.pack("<I", 40)), "damaged"),
        (lambda c: changed(c, 80, struct.pack("<f", 0.0)), "damaged"),
        (lambda c: changed(c, 68, struct.pack("<f", np.inf)), "damaged"),
        (lambda c: changed(c, 92, b"x" * 32), "damaged"),
        (lambda c: changed(c, 124, struct.pack("<I", 2**32 - 1)), "damaged"),
        (lambda c: changed(c, 128, struct.pack("<I", 2**32 - 100)), "damaged"),
    ],
)  # fmt: skip
def test_damaged_files_are_refused(cc: list[str], tmp_path: Path, change: Callable, words: str) -> None:
    path = export_c(small_model(), tmp_path / "my.lhr")
    content = change(path.read_bytes())
    path.write_bytes(content)
    with pytest.raises(ValueError, match=words):
        Engine(path)
    # The engine itself refuses it, too, and not only Python.
    functions = engine_in_c._functions()
    with pytest.raises(ValueError, match=r"\.lhr file"):
        functions.lhr_load(struct.pack("P", 0), os.fsencode(path))


def test_a_file_that_is_not_there(cc: list[str], tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="no such file"):
        Engine(tmp_path / "my.lhr")
    with pytest.raises(IsADirectoryError, match="folder"):
        Engine(tmp_path)
    functions = engine_in_c._functions()
    for path in (tmp_path / "my.lhr", tmp_path):
        with pytest.raises(ValueError, match="opened or read"):
            functions.lhr_load(struct.pack("P", 0), os.fsencode(path))


# The compiler


def test_without_a_compiler_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.delenv("CC", raising=False)
    with pytest.raises(ImportError, match=r"none of cc, gcc, clang was found; install one.*apt install gcc"):
        engine_in_c.compiler()
    monkeypatch.setenv("CC", "tcc -O9")
    with pytest.raises(ImportError, match="CC names 'tcc'"):
        engine_in_c.compiler()


def test_a_compiler_that_fails(cc: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("CC", " ".join([*cc, "-DMAGIC=+"]))
    with pytest.raises(RuntimeError, match=r"cannot compile the C engine: .*error"):
        engine_in_c.library(tmp_path)
    assert not list(tmp_path.iterdir())


def test_the_library_is_kept_and_its_name_follows_what_made_it(
    cc: list[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    path = engine_in_c.library()
    assert path.parent == tmp_path / "cache" / "litehrnet"
    time = path.stat().st_mtime_ns
    assert engine_in_c.library() == path and path.stat().st_mtime_ns == time
    monkeypatch.setattr(engine_in_c, "_compile", lambda command, processor, target: target.write_bytes(b""))
    monkeypatch.setenv("CC", " ".join([*cc, "-O1"]))
    assert engine_in_c.library() != path
    monkeypatch.delenv("CC")
    monkeypatch.setattr(engine_in_c, "_processor", lambda: "another")
    assert engine_in_c.library() != path
    assert len({engine_in_c.library(None, name, profile) for name in ("native", "x") for profile in (True, False)}) == 4
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    assert engine_in_c.cache_folder() == Path.home() / ".cache" / "litehrnet"


# Other processors


def run_program(command: list[str | Path]) -> str:
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert not done.returncode, done.stderr[-2000:]
    return done.stdout


def places(printed: str) -> np.ndarray:
    """x, y and score of every line of the example program."""
    return np.array([[float(word) for word in line.rsplit("x", 1)[1].replace("y", "").replace("score", "").split()]
                     for line in printed.splitlines()])  # fmt: skip


@pytest.fixture(scope="module")
def expected_places(
    pretrained: tuple[LiteHRNet, Path], photo: np.ndarray, tmp_path_factory: pytest.TempPathFactory
) -> tuple[list[str | Path], np.ndarray]:
    """The example's arguments, and what it should print."""
    model, path = pretrained
    picture = tmp_path_factory.mktemp("ppm") / "photo.ppm"
    Image.fromarray(photo).save(picture)
    box = (100, 80, 260, 360)
    crop, to_crop = crop_person(photo, box)
    with torch.no_grad():
        joints, scores = decode(model(torch.from_numpy(to_input(crop))).numpy())
    return [path, picture, *map(str, box)], np.column_stack([to_image(joints[0], to_crop), scores[0]])


def check_places(printed: str, expected: np.ndarray) -> None:
    assert printed.startswith("nose ")
    within(np.abs(places(printed) - expected).max(), 0.1, "pixels and scores")


@pytest.mark.numeric
@pytest.mark.parametrize("target", ["pose", "portable"])
def test_the_example_is_built_and_agrees(
    cc: list[str], root: Path, tmp_path: Path, expected_places: tuple[list, np.ndarray], target: str
) -> None:
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    if target == "portable" and platform.machine() != "x86_64":
        pytest.skip("three builds are for x86")
    shutil.copytree(root / "examples" / "c", tmp_path / "examples" / "c")
    shutil.copytree(C, tmp_path / "litehrnet" / "c")
    run_program(["make", "-C", tmp_path / "examples" / "c", target, f"CC={' '.join(cc)}"])
    arguments, expected = expected_places
    program = tmp_path / "examples" / "c" / "pose"
    check_places(run_program([program, *arguments]), expected)
    for wrong, words in (
        ([], "usage"),
        ([*arguments[:1], arguments[0], *arguments[2:]], "not a binary PPM"),
        ([arguments[1], *arguments[1:]], "not a .lhr file"),
        ([*arguments[:2], "5000", *arguments[3:]], "outside"),
    ):
        done = subprocess.run([program, *wrong], capture_output=True, text=True, check=False)
        assert done.returncode == 1 and words in done.stderr


@pytest.mark.numeric
def test_two_commands_of_the_readme_lead_to_joints(
    cc: list[str], root: Path, tmp_path: Path, photo: np.ndarray, expected_places: tuple[list, np.ndarray]
) -> None:
    """The row of README.md's tasks, run as it is written, from another folder than the program's."""
    if shutil.which("make") is None:
        pytest.skip("there is no make")
    (row,) = (line for line in (root / "README.md").read_text().splitlines() if "make -C examples/c run" in line)
    commands = [command for command in re.findall("`(.+?)`", row) if " " in command]
    assert len(commands) == 2 and commands[0] == "litehrnet export my.pth -o my.lhr"
    for folder in ("examples/c", "litehrnet/c"):
        shutil.copytree(root / folder, tmp_path / folder)
    (model, _, *box), expected = expected_places
    assert f'BOX="{" ".join(box)}"' in commands[1]
    shutil.copy(model, tmp_path / "my.lhr")
    Image.fromarray(photo).save(tmp_path / "photo.jpg", format="png")  # every pixel as it is
    there = f"cd '{tmp_path}' && CC='{' '.join(cc)}' PYTHON='{sys.executable}'"

    def run(command: str) -> subprocess.CompletedProcess[str]:
        line = f"{there} {command.replace('make', 'make -e -s', 1)}"
        return subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)

    done = run(commands[1])
    assert not done.returncode, done.stderr[-2000:]
    check_places(done.stdout, expected)
    for wrong, words in (
        (commands[1].partition(" BOX")[0], "give the box of a person"),
        (commands[1].replace("photo.jpg", "nowhere.jpg"), f"there is no file nowhere.jpg in {tmp_path}"),
        (commands[1].replace("my.lhr", "nowhere.lhr"), f"there is no file nowhere.lhr in {tmp_path}"),
    ):
        done = run(wrong)
        assert done.returncode and words in done.stderr and "Traceback" not in done.stderr


@pytest.mark.numeric
def test_cmake_builds_the_example(root: Path, tmp_path: Path, expected_places: tuple[list, np.ndarray]) -> None:
    if shutil.which("cmake") is None:
        pytest.skip("there is no cmake")
    run_program(["cmake", "-S", root / "examples" / "c", "-B", tmp_path])
    run_program(["cmake", "--build", tmp_path])
    check_places(run_program([tmp_path / "pose", *expected_places[0]]), expected_places[1])


@pytest.mark.numeric
@pytest.mark.parametrize("level", ["x86-64-v2", "x86-64-v3", "x86-64-v4"])
def test_every_vector_width_of_x86(
    cc: list[str], tmp_path: Path, root: Path, expected_places: tuple[list, np.ndarray], level: str
) -> None:
    needs = {"x86-64-v2": "sse4_2", "x86-64-v3": "avx2", "x86-64-v4": "avx512vl"}[level]
    listing = Path("/proc/cpuinfo")
    if platform.machine() != "x86_64" or not listing.is_file() or needs not in listing.read_text():
        pytest.skip(f"this processor has no {needs}")
    build = [*cc, *STRICT, "-O2", f"-march={level}", f"-I{C}", root / "examples" / "c" / "pose.c", C / "litehrnet.c"]
    run_program([*build, "-o", tmp_path / "pose", "-lm", "-lpthread"])
    check_places(run_program([tmp_path / "pose", *expected_places[0]]), expected_places[1])


@pytest.mark.numeric
@pytest.mark.parametrize("options", [["-O0"], ["-O3", "-DLHR_NO_THREADS"]])
def test_clang_compiles_it_too(
    tmp_path: Path, root: Path, expected_places: tuple[list, np.ndarray], options: list[str]
) -> None:
    if shutil.which("clang") is None:
        pytest.skip("there is no clang")
    build = ["clang", *STRICT, *options, f"-I{C}", root / "examples" / "c" / "pose.c", C / "litehrnet.c"]
    run_program([*build, "-o", tmp_path / "pose", "-lm", "-lpthread"])
    check_places(run_program([tmp_path / "pose", *expected_places[0]]), expected_places[1])


@pytest.mark.numeric
@pytest.mark.parametrize(
    ("compiler", "emulator", "options"),
    [
        ("aarch64-linux-gnu-gcc", "qemu-aarch64", ()),
        ("arm-linux-gnueabihf-gcc", "qemu-arm", ("-march=armv7-a", "-mfpu=neon-vfpv4")),
        ("arm-linux-gnueabihf-gcc", "qemu-arm", ()),
    ],
)
def test_arm(
    tmp_path: Path, root: Path, made: Callable, expected_places: tuple[list, np.ndarray],
    compiler: str, emulator: str, options: tuple[str, ...],
) -> None:  # fmt: skip
    emulator = shutil.which(emulator) or shutil.which(f"{emulator}-static")
    if shutil.which(compiler) is None or emulator is None:
        pytest.skip(f"no {compiler} with qemu-user here")
    build = [compiler, *STRICT, "-O2", *options, "-static", f"-I{C}", C / "litehrnet.c"]
    run_program([*build, root / "examples" / "c" / "pose.c", "-o", tmp_path / "pose", "-lm", "-lpthread"])
    check_places(run_program([emulator, tmp_path / "pose", *expected_places[0]]), expected_places[1])
    run_program([*build, root / "tests" / "c_heatmaps.c", "-o", tmp_path / "maps", "-lm", "-lpthread"])
    for variant in ("litehrnet18", "naive_litehrnet18"):
        model, path = made(variant)
        images = reference_input((61, 96)).numpy()
        images.tofile(tmp_path / "images")
        run_program([emulator, tmp_path / "maps", path, 61, 96, tmp_path / "images", tmp_path / "heatmaps"])
        maps = np.fromfile(tmp_path / "heatmaps", np.float32).reshape(1, 17, 16, 24)
        expected = exactly(model, torch.from_numpy(images))
        same(maps, expected, 2e-5)


@pytest.mark.numeric
def test_webassembly(tmp_path: Path, root: Path, made: Callable) -> None:
    """A module that imports nothing, of less than 200 KB."""
    for program in ("clang", "node", "make"):
        if shutil.which(program) is None:
            pytest.skip(f"there is no {program}")
    if shutil.which("wasm-ld") is None and not list(Path("/usr/bin").glob("wasm-ld*")):
        pytest.skip("there is no wasm-ld (Debian's package lld)")
    module = tmp_path / "litehrnet.wasm"
    run_program(["make", "-C", root / "examples" / "c", f"{module}", f"WASM={module}"])
    assert module.stat().st_size < 200_000
    for variant, size in (("litehrnet18", (61, 96)), ("wider_naive_litehrnet18", (96, 64))):
        model, path = made(variant)
        images = reference_input(size)
        images.numpy().tofile(tmp_path / "images")
        program = ["node", root / "tests" / "c_wasm.cjs", module, path, *size]
        run_program([*program, tmp_path / "images", tmp_path / "heatmaps"])
        expected = exactly(model, images)
        maps = np.fromfile(tmp_path / "heatmaps", np.float32).reshape(expected.shape)
        same(maps, expected, 2e-5)
    done = subprocess.run([*map(str, program), tmp_path / "images", tmp_path], capture_output=True, check=False)
    assert done.returncode
    program[3] = tmp_path / "images"
    done = subprocess.run(
        [*map(str, program), tmp_path / "images", tmp_path / "maps"], capture_output=True, text=True, check=False
    )
    assert "not a .lhr file" in done.stderr


# Damage


@pytest.fixture(scope="module")
def fuzz(cc: list[str], root: Path, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], str]:
    """Build the fuzzer with sanitizers; `fuzz("headers", 1000)` runs it and returns what it printed."""
    folder = tmp_path_factory.mktemp("fuzz")
    options = ["-std=c11", "-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all", "-DLHR_NO_THREADS"]
    build = [*cc, *options, f"-I{C}", str(root / "tests" / "c_fuzz.c"), "-o", str(folder / "fuzz"), "-lm"]
    done = subprocess.run(build, capture_output=True, text=True, check=False)
    if done.returncode and "sanitize" in done.stderr + " asan ubsan":
        pytest.skip(f"{cc[0]} has no sanitizers here: {done.stderr.splitlines()[-1]}")
    files = []
    for weighting in (True, False):
        for weights in ("float32", "float16"):
            model = small_model(Variant("small", (1, 1, 1), (8, 12, 20, 24), weighting))
            files.append(export_c(model, folder / f"{len(files)}.lhr", weights=weights))

    def run(kind: str, count: int) -> str:
        printed = [run_program([folder / "fuzz", kind, file, count // len(files), k]) for k, file in enumerate(files)]
        return "".join(printed)

    return run


@pytest.mark.parametrize(("kind", "count"), [("headers", 4000), ("files", 800)])
def test_damaged_files_do_no_harm(fuzz: Callable[[str, int], str], kind: str, count: int) -> None:
    assert fuzz(kind, count).count("loaded") == 4


@pytest.mark.slow
@pytest.mark.parametrize(("kind", "count"), [("headers", 1_000_000), ("files", 10_000)])
def test_very_many_damaged_files_do_no_harm(fuzz: Callable[[str, int], str], kind: str, count: int) -> None:
    assert fuzz(kind, count).count("loaded") == 4


@pytest.mark.numeric
@pytest.mark.parametrize("sanitizer", ["address,undefined", "thread"])
@pytest.mark.parametrize("variant", [SMALL, Variant("naive", (1, 2, 1), (14, 8, 34, 20), False)])
def test_sanitizers_find_nothing_while_it_runs(
    cc: list[str], root: Path, tmp_path: Path, sanitizer: str, variant: Variant
) -> None:
    program = tmp_path / "maps"
    options = ["-std=c11", "-O1", "-g", f"-fsanitize={sanitizer}", "-fno-sanitize-recover=all", f"-I{C}"]
    build = [*cc, *options, root / "tests" / "c_heatmaps.c", C / "litehrnet.c", "-o", program, "-lm", "-lpthread"]
    done = subprocess.run([str(word) for word in build], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"no sanitizer {sanitizer} here")
    model = small_model(variant)
    path = export_c(model, tmp_path / "my.lhr")
    for height, width in ((93, 64), (32, 32)):
        images = reference_input((height, width)).numpy()
        for absurd in (images * np.float32(1e12), images * np.float32(1e37), images * np.float32(np.nan)):
            absurd.tofile(tmp_path / "images")
            run_program([program, path, height, width, tmp_path / "images", tmp_path / "heatmaps"])
        images.tofile(tmp_path / "images")
        run_program([program, path, height, width, tmp_path / "images", tmp_path / "heatmaps", 3])
        maps = np.fromfile(tmp_path / "heatmaps", np.float32)
        expected = exactly(model, torch.from_numpy(images)).ravel()
        same(maps, expected, 2e-5)
