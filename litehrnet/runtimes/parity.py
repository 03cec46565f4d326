"""Proof that an exported file computes what torch computes, at batches and sizes that were not traced."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import nn

from ..model import eval_mode
from ..sizes import check_size
from .onnx_files import Signature, signature

__all__ = ["TOLERANCES", "Parity", "check_parity", "compare"]

# Relative. Float32 in another order of additions gives about 1e-6, weights rounded to float16 1e-3 to 6e-3.
TOLERANCES = {"float32": 1e-4, "float16": 2e-2}
TOLERANCE = TOLERANCES["float32"]
OTHER_SIZES = ((96, 160), (256, 192), (64, 224))  # wide and tall; beside the traced size, where the file is free
SEED = 0


@dataclass(frozen=True)
class Parity:
    """How far apart ONNX Runtime and torch are on one input.

    Attributes:
        size: (height, width) of the input.
        batch: images in the input.
        max_abs: largest absolute difference of the heatmaps.
        max_rel: the same over the largest absolute value of torch's heatmaps.
        same_peaks: every heatmap has its peak at the same pixel.
        ok: `max_rel` is within the tolerance, and at ONNX's peak torch's value equals its own peak within it.
    """

    size: tuple[int, int]
    batch: int
    max_abs: float
    max_rel: float
    same_peaks: bool
    ok: bool


def check_parity(
    model: nn.Module,
    path: str | Path,
    sizes: Sequence[Sequence[int]] | None = None,
    batches: Sequence[int] | None = None,
    tolerance: float | None = None,
) -> list[Parity]:
    """Run a file in ONNX Runtime and the model in torch on the same random images, and compare.

    Args:
        model: the network that the file was made from; it is not changed.
        path: the ONNX file; input and output may have any names.
        sizes: (height, width) pairs to try; None: the file's own size, or the traced size and others if it is free.
        batches: batch sizes to try; None: the file's own, or 1 and 3 if it is free.
        tolerance: greatest relative difference that is still equal; None: 1e-4, or 2e-2 where the file says that its
            weights were rounded to float16.

    Returns:
        One `Parity` for every size and batch.

    Raises:
        ValueError: a size or batch that the file does not take, or no file of this kind.
        FileNotFoundError: there is no such file.
    """
    from .loading import load

    told = signature(path)
    sizes = default_sizes(told) if sizes is None else [check_size(size) for size in sizes]
    batches = default_batches(told) if batches is None else list(batches)
    if tolerance is None:
        tolerance = TOLERANCES.get(told.metadata.get("weights", "float32"), TOLERANCE)
    run = load(path)
    generator = np.random.default_rng(SEED)
    results = []
    for size in sizes:
        for batch in batches:
            images = generator.standard_normal((batch, 3, *size), dtype=np.float32)
            results.append(compare(heatmaps_of(model, images), run(images), size, tolerance))
    return results


def compare(ours: np.ndarray, theirs: np.ndarray, size: tuple[int, int], tolerance: float = TOLERANCE) -> Parity:
    """Compare two stacks of heatmaps, (N, K, h, w) each; `ours` is the one that is right.

    Raises:
        ValueError: the shapes differ.
    """
    if ours.shape != theirs.shape:
        raise ValueError(f"the file gives heatmaps of shape {theirs.shape} where torch gives {ours.shape}")
    ours, theirs = ours.astype(np.float64), theirs.astype(np.float64)
    scale = max(float(np.abs(ours).max()), np.finfo(np.float32).tiny)
    with np.errstate(invalid="ignore"):  # infinity less infinity is NaN, which is not ok either
        max_abs = float(np.abs(ours - theirs).max())
    flat = ours.reshape(-1, ours.shape[-2] * ours.shape[-1])  # (N * K, h * w)
    peaks, other = flat.argmax(1), theirs.reshape(flat.shape).argmax(1)
    rows = np.arange(len(flat))
    with np.errstate(invalid="ignore"):
        fallen = float((flat[rows, peaks] - flat[rows, other]).max())
    # Infinite heatmaps would excuse every difference.
    ok = np.isfinite(scale) and max_abs <= tolerance * scale and fallen <= tolerance * scale
    max_rel = max_abs / scale if np.isfinite(scale) else float("nan")
    return Parity(tuple(size), len(ours), max_abs, max_rel, bool((peaks == other).all()), bool(ok))


def heatmaps_of(model: nn.Module, images: np.ndarray) -> np.ndarray:
    """What torch computes, in eval mode; the model's own modes are restored."""
    first = next(model.parameters())
    with eval_mode(model), torch.inference_mode():
        return model(torch.from_numpy(images).to(first)).float().cpu().numpy()


def default_sizes(told: Signature) -> list[tuple[int, int]]:
    """The file's own size, or the traced one and others, wide and tall, where the file is free."""
    if told.dynamic != "size":
        return [check_size((told.height, told.width))]
    traced = [tuple(told.metadata["size"])] if "size" in told.metadata else []
    tried = [(told.height or h, told.width or w) for h, w in (*traced, *OTHER_SIZES)]
    return [check_size(size) for size in dict.fromkeys(tried)]


def default_batches(told: Signature) -> list[int]:
    """The file's own batch, or 1 and 3 (exporters are run at 2) where the file is free."""
    return [1, 3] if told.batch is None else [told.batch]
