"""What many tests share: one thread, reference weights, exports made once, and a browser where there is one."""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

import litehrnet

ROOT = Path(__file__).resolve().parents[1]
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")

torch.set_num_threads(1)  # tests run in several processes


def find_browser() -> str | None:
    """The path of the system's chromium, or None."""
    return next((path for name in BROWSERS if (path := shutil.which(name))), None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what needs a browser where there is none."""
    if find_browser():
        return
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(pytest.mark.skip(reason="no chromium on this machine"))


def reference_value(key: str, shape: tuple[int, ...]) -> np.ndarray:
    """The value of one state-dict entry, told from its name alone; the stored heatmaps were made with these weights."""
    rng = np.random.default_rng(zlib.crc32(key.encode()))
    if key.endswith("num_batches_tracked"):
        return np.array(0)
    if key.endswith("running_var"):
        return 0.5 + rng.random(shape)
    if key.endswith(("running_mean", ".bias")):
        return 0.1 * rng.standard_normal(shape)
    if len(shape) == 4:
        return rng.standard_normal(shape) * np.sqrt(1 / np.prod(shape[1:]))
    return 0.5 + 0.5 * rng.random(shape)


def load_reference_weights(model: torch.nn.Module) -> torch.nn.Module:
    """Fill a model with weights told from its keys (batch-norm statistics included), and return it."""
    state = model.state_dict()
    for key, value in state.items():
        state[key] = torch.as_tensor(reference_value(key, tuple(value.shape)), dtype=value.dtype)
    model.load_state_dict(state)
    return model.eval()


@pytest.fixture(scope="session")
def root() -> Path:
    """The checkout."""
    return ROOT


@pytest.fixture(scope="session")
def shared() -> Path:
    """A folder beside the checkout with weights and photographs that may not be copied; skips where it is absent."""
    folder = ROOT.parent / "shared"
    if not folder.is_dir():
        pytest.skip("the folder with weights and photographs for checking is not here")
    return folder


@pytest.fixture(scope="session")
def browser_path() -> str:
    """The system's chromium; skips where there is none. Use it with the marker `browser`."""
    path = find_browser()
    if path is None:
        pytest.skip("no chromium on this machine")
    return path


@pytest.fixture(scope="session")
def reference_model() -> Callable[..., litehrnet.LiteHRNet]:
    """`reference_model("litehrnet18", pooling="computed")`: a model of its own with the reference weights."""

    def make(variant: str = "litehrnet18", **options: object) -> litehrnet.LiteHRNet:
        return load_reference_weights(litehrnet.create_model(variant, **options))

    return make


@pytest.fixture(scope="session")
def exported(
    reference_model: Callable[..., litehrnet.LiteHRNet], tmp_path_factory: pytest.TempPathFactory
) -> Callable[..., tuple[litehrnet.LiteHRNet, Path]]:
    """`exported(size=(64, 32), dynamic="size")`: (model, ONNX file), made once a session; leave both as they are."""
    made: dict[tuple, tuple[litehrnet.LiteHRNet, Path]] = {}
    folder = tmp_path_factory.mktemp("exported")

    def make(
        variant: str = "litehrnet18",
        *,
        size: tuple[int, int] = (64, 32),
        pooling: str = "computed",
        dynamic: bool | str = False,
        exporter: str = "torchscript",
    ) -> tuple[litehrnet.LiteHRNet, Path]:
        from litehrnet.export import export_onnx

        key = (variant, size, pooling, dynamic, exporter)
        if key not in made:
            model = reference_model(variant, pooling=pooling)
            path = folder / f"{len(made)}" / "model.onnx"
            path.parent.mkdir()
            made[key] = model, export_onnx(model, path, size=size, dynamic=dynamic, exporter=exporter)
        return made[key]

    return make
