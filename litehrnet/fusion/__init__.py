"""The fast graph: a new network that computes the same numbers, one exact rewrite after the other.

`fold` folds the batch norms, `layout` follows the channels, `blocks` and `exchange` hold the network's parts in memory
layouts, `recipe` says which rewrites are on, and `network` puts them together in `fuse`.
"""

from .fold import fold_batch_norms
from .network import FusedLiteHRNet, fuse
from .recipe import REWRITES, TARGETS

__all__ = ["REWRITES", "TARGETS", "FusedLiteHRNet", "fold_batch_norms", "fuse"]
