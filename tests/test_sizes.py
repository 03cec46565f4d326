"""Sizes: which the network can run, what is said of the others, and how they are read from text."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import litehrnet
from litehrnet import sizes
from litehrnet.sizes import LARGEST_AREA, check_side, check_size, is_legal_side, parse_size


@pytest.mark.parametrize("text", ["256x192", "256X192", "256×192", "256*192", "256,192", " 256 x 192 ", "0256x0192"])
def test_sizes_are_read_from_text(text: str) -> None:
    assert parse_size(text) == (256, 192)


@pytest.mark.parametrize("text", ["", "256", "256x", "x192", "256x192x3", "25.6x192", "-256x192", "axb", "²x3"])
def test_text_that_is_no_size_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=f"^{re.escape(repr(text))} is not height x width in pixels"):
        parse_size(text)


@given(side=st.integers(1, 4000))
def test_the_ranges_named_are_legal_and_nearest(side: int) -> None:
    if is_legal_side(side):
        assert check_size((side, 32)) == (side, 32)
        return
    with pytest.raises(ValueError) as caught:
        check_size((side, 32))
    ranges = [tuple(map(int, pair)) for pair in re.findall(r"(\d+) to (\d+)", str(caught.value))]
    named = {value for low, high in ranges for value in range(low, high + 1)}
    assert named and all(map(is_legal_side, named)) and f"{side}x32" in str(caught.value)
    for step in (-1, 1):
        value = side
        while value > 0 and not is_legal_side(value):
            value += step
        assert value <= 0 or value in named


@pytest.mark.parametrize("size", [(100_000, 100_000), (10**18, 32), (4128, 4096), (32, LARGEST_AREA // 32 + 32)])
def test_sizes_that_no_machine_holds_are_refused_with_the_limit(size: tuple[int, int]) -> None:
    with pytest.raises(ValueError, match=r"too large: .*GB of memory; the limit is 16,777,216 pixels, .*4096"):
        check_size(size)


def test_the_largest_sizes_are_legal() -> None:
    assert check_size((4096, 4096)) == (4096, 4096)
    assert check_size((np.int64(32), LARGEST_AREA // 32)) == (32, LARGEST_AREA // 32)


def test_a_large_image_is_refused_before_any_work() -> None:
    model = litehrnet.create_model("litehrnet18")
    with pytest.raises(ValueError, match="too large"):
        model(torch.zeros(1).expand(1, 3, 8192, 8192))


@settings(max_examples=40)
@given(value=st.one_of(st.floats(), st.text(), st.booleans(), st.none(), st.integers(max_value=0)))
def test_sides_are_whole_numbers_of_at_least_one(value: object) -> None:
    with pytest.raises(ValueError, match="input_size must be"):
        check_side(value, "input_size")


@pytest.mark.parametrize("free", [None, 10**9])
def test_free_memory_is_asked_for_where_the_system_says_it(
    free: int | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    table = tmp_path / "meminfo"
    if free is not None:
        table.write_text(f"MemTotal:       16303428 kB\nMemFree:  1 kB\nMemAvailable:   {free // 1024} kB\n")
    monkeypatch.setattr(sizes, "_free_memory", lambda read=sizes._free_memory: read(table))
    sizes.check_memory((256, 192), 64)
    if free is None:
        sizes.check_memory((4096, 4096), 10**9)
        return
    with pytest.raises(ValueError, match=r"1000 images of 256x192 .* about 9 GB of memory, and 1 GB are free"):
        sizes.check_memory((256, 192), 1000)
