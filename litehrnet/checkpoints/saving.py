"""The small weights files that this package writes, and what they say about themselves."""

from __future__ import annotations

import json
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor, nn

__all__ = ["read_metadata", "save_weights"]


def save_weights(model: nn.Module, path: str | Path, **metadata: str) -> Path:
    """Write a small `.safetensors` file: convolution weights as float16, all else (batch norm, biases) as float32.

    Args:
        model: whose weights to write: a `LiteHRNet`, which may be compiled or wrapped in DataParallel.
        path: the file, which appears only when it is complete.
        metadata: text to store in the file, which `read_metadata` returns. The variant and the number of joints are
            added, and so are the model's `joints` and `trained_size` if it has them; loading restores these.

    Returns:
        The path.

    Raises:
        ValueError: `model` is not a `LiteHRNet`; a weight is NaN, infinite or too large for its type in the file
            (float16 ends at 65504); or a piece of metadata is not text.
    """
    from safetensors.torch import save

    from ..files import written_whole
    from .matching import plain_model

    network = plain_model(model, "save_weights writes")
    for name, value in metadata.items():
        if not isinstance(value, str):
            raise ValueError(f"metadata is text: {name} is {value!r}, of type {type(value).__name__}")
    tensors = {key: _as_stored(key, value) for key, value in network.state_dict().items()}
    described = {"variant": network.variant.name, "joints": str(network.num_joints)}
    if network.joints is not None:
        described["joint_set"] = json.dumps(network.joints.to_dict())
    if network.trained_size is not None:
        described["size"] = "x".join(map(str, network.trained_size))
    content = save(tensors, metadata={**described, **metadata})
    with written_whole(path) as temporary:
        temporary.write_bytes(content)
    return Path(path)


def _as_stored(key: str, value: Tensor) -> Tensor:
    if not value.isfinite().all():
        raise ValueError(
            f"{key} holds NaN or infinity, which .half() makes of running variances above 65504; load the weights again"
        )
    stored = value.half() if value.ndim == 4 else value.float() if value.is_floating_point() else value
    if not stored.isfinite().all():
        end = "float16 ends at 65504" if value.ndim == 4 else "float32 ends at 3.4e38"
        raise ValueError(f"{key} reaches {float(value.abs().max()):.3g}, and {end}")
    return stored.detach().cpu().contiguous()


def read_metadata(path: str | Path) -> dict[str, str]:
    """What a `.safetensors` file says about itself, as text by name; empty if it says nothing.

    Raises:
        FileNotFoundError: no such file.
        ValueError: not a complete safetensors file.

    >>> from litehrnet.files import data_path
    >>> read_metadata(data_path("litehrnet18_256x192.safetensors"))["joints"]
    '17'
    """
    path = Path(path)
    with path.open("rb") as file:
        head = file.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else 0
        header = file.read(min(length, path.stat().st_size))
    try:
        metadata = dict(json.loads(header).get("__metadata__") or {})
    except (AttributeError, TypeError, ValueError, RecursionError) as error:  # no JSON, or JSON of another form
        raise ValueError(f"{path} is not a whole safetensors file: {error}") from error
    if not all(isinstance(value, str) for value in metadata.values()):
        raise ValueError(f"{path} is not a whole safetensors file: its metadata is not text")
    return metadata
