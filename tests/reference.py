"""Weights that follow from their names, and what the public implementation computes with them."""

from __future__ import annotations

import functools
import gzip
import zlib
from pathlib import Path

import numpy as np
import torch

import litehrnet

FOLDER = Path(__file__).parent / "reference"
SIZES = {(256, 192): 13, (64, 96): 5}  # size: every how many values of the heatmaps are stored


def reference_value(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The float32 value of one state-dict entry; batch norm gets statistics that look used."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.zeros(shape, np.float32)
    if key.endswith("running_var"):
        value = 0.5 + rng.random(shape)
    elif key.endswith(("running_mean", ".bias")):
        value = 0.1 * rng.standard_normal(shape)
    elif len(shape) == 4:
        value = rng.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
    else:
        value = 0.5 + 0.5 * rng.random(shape)  # the weight of a batch norm
    return np.asarray(value, np.float32)


def reference_state(model: torch.nn.Module) -> dict[str, torch.Tensor]:
    """Reference values for every entry of a model."""
    return {key: torch.from_numpy(reference_value(key, tuple(v.shape))) for key, v in model.state_dict().items()}


def reference_model(name: str, num_joints: int = 17, pooling: str = "adaptive") -> litehrnet.LiteHRNet:
    """A model with the reference weights, in eval mode; a new one each time."""
    model = litehrnet.create_model(name, num_joints, pooling)
    model.load_state_dict(reference_state(model))
    return model


def reference_input(size: tuple[int, int], batch: int = 1, seed: int = 0) -> torch.Tensor:
    """The input of the stored heatmaps (at batch 1 and seed 0), (batch, 3, H, W)."""
    values = np.random.default_rng(seed).standard_normal((batch, 3, *size))
    return torch.from_numpy(values.astype(np.float32))


@functools.cache
def reference_keys(name: str) -> list[tuple[str, tuple[int, ...]]]:
    """Every state-dict entry of the public implementation, in order, with its shape."""
    lines = gzip.decompress((FOLDER / f"{name}.keys.txt.gz").read_bytes()).decode().splitlines()
    pairs = (line.split() for line in lines)
    return [(key, tuple(map(int, rest[0].split("x"))) if rest and rest[0][0].isdigit() else ()) for key, *rest in pairs]


def reference_error(name: str, size: tuple[int, int], heatmaps: torch.Tensor) -> float:
    """Largest difference to the public implementation, relative to its largest value."""
    label = "x".join(map(str, size))
    with np.load(FOLDER / f"{name}.heatmaps.npz") as stored:
        wanted, largest = stored[label], float(stored[f"{label}_largest"])
    got = heatmaps.numpy().reshape(-1)[:: SIZES[size]]
    return float(np.abs(got - wanted).max()) / largest
