"""The fast graph: a new network that computes the same numbers, one exact rewrite after the other.

`fold` folds the batch norms, `layout` follows the channels, `rewrites` holds the identities on tensors, `blocks` and
`exchange` the network's parts that use them, `recipe` says which rewrites are on, and `network` puts all together.
"""

from .fold import fold_batch_norms
from .network import FusedLiteHRNet, fuse
from .recipe import REWRITES, TARGETS

__all__ = ["REWRITES", "TARGETS", "FusedLiteHRNet", "fold_batch_norms", "fuse"]
