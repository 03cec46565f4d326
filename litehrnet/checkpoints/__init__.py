"""Reading everybody's weights: bundled ones, public ones, and whatever file a reader brings."""

from .public import PUBLIC
from .reading import BUNDLED, from_checkpoint, load_checkpoint, load_pretrained, read_metadata, save_weights

__all__ = [
    "BUNDLED",
    "PUBLIC",
    "from_checkpoint",
    "load_checkpoint",
    "load_pretrained",
    "read_metadata",
    "save_weights",
]
