"""The checks of notebook 03: wrong answers are explained, and the checks are true of the installed exporters."""

from __future__ import annotations

import io
import warnings

import numpy as np
import onnx
import pytest
import torch
from solved import assert_wrong
from torch import nn
from torch.nn import functional as F

from litehrnet.course.exercises import check_count_adds, check_find_wrong_sizes, check_old_exporter_says


class Pool(nn.Module):
    def __init__(self, size: tuple[int, int]) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.adaptive_avg_pool2d(x, self.size)


def only_shapes(right, file, sizes):
    return [n for n in sizes if right(np.ones((n, n))).shape != file(np.ones((n, n))).shape]


def flat_image(right, file, sizes):
    wrong = []
    for n in sizes:
        expected, got = right(np.ones((n, n))), file(np.ones((n, n)))
        if expected.shape != got.shape or not np.allclose(expected, got):
            wrong.append(n)
    return wrong


def positions(before, after):
    sides = [-(-n // m) + (n % m > 1) for n, m in zip(before, after, strict=True)]
    return sides[0] * sides[1]


@pytest.mark.parametrize(
    ("check", "answer", "reason"),
    [
        (check_old_exporter_says, lambda n, m, known: "AveragePool", "expected"),
        (check_old_exporter_says, lambda n, m, known: "AveragePool" if n % m == 0 else "not a factor", "expected"),
        (
            check_old_exporter_says,
            lambda n, m, known: "not accessible" if not known else "AveragePool" if n % m <= 1 else "not a factor",
            "remainder of 1",
        ),
        (
            check_old_exporter_says,
            lambda n, m, known: "not accessible" if not known else "AveragePool" if n % m == 0 else "not a factor",
            "GlobalAveragePool",
        ),
        (check_count_adds, lambda before, after: 0, "expected"),
        (check_count_adds, lambda before, after: 0 if before == (64, 48) and after == (8, 6) else 110, "k - 1"),
        (check_count_adds, lambda before, after: positions(before, after), "is enough"),
        (check_find_wrong_sizes, only_shapes, "the same everywhere"),
        (check_find_wrong_sizes, flat_image, "the same everywhere"),
        (check_find_wrong_sizes, lambda right, file, sizes: list(sizes), "expected []"),
        (check_find_wrong_sizes, lambda right, file, sizes: [], "expected [64, 33"),
    ],
)
def test_wrong_answers_are_told_why(check, answer, reason):
    assert_wrong(check, answer, reason)


@pytest.fixture
def old_exporter(monkeypatch):
    """What the TorchScript exporter really makes of n x n to m x m, in the exercise's words."""
    # It prints the whole graph when it fails.
    monkeypatch.setattr(torch._C, "_jit_onnx_log", lambda *words: None)

    def says(n: int, m: int, known: bool) -> str:
        axes = {} if known else {"input_names": ["x"], "dynamic_axes": {"x": {2: "height", 3: "width"}}}
        buffer = io.BytesIO()
        try:
            with warnings.catch_warnings():
                warnings.filterwarnings("ignore", message="You are using the legacy TorchScript")
                torch.onnx.export(Pool((m, m)).eval(), (torch.zeros(1, 1, n, n),), buffer, dynamo=False, **axes)
        except torch.onnx.errors.SymbolicValueError as error:
            return "not a factor" if "not factor of input size" in str(error) else "not accessible"
        (node,) = onnx.load_model_from_string(buffer.getvalue()).graph.node
        return node.op_type

    return says


def test_the_older_exporter_really_says_so(old_exporter):
    assert check_old_exporter_says(old_exporter).state == "right"


@pytest.mark.slow
def test_the_newer_exporter_really_writes_so_many_additions():
    def count(before: tuple[int, int], after: tuple[int, int]) -> int:
        program = torch.onnx.export(Pool(after).eval(), (torch.zeros(1, 4, *before),), dynamo=True, verbose=False)
        return sum(node.op_type == "Add" for node in program.model_proto.graph.node)

    assert check_count_adds(count).state == "right"
