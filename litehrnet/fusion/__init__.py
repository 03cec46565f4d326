"""The fast graph: a new network that computes the same numbers, by one exact rewrite after another.

| number | name | identity | function | test |
|---|---|---|---|---|
| 1 | fold | `norm(conv(x)) = conv'(x)` | `fold.folded_conv` | `a_batch_norm_disappears_into_its_convolution` |
| 2 | whole | the identity kernel and a weight of 1 change nothing | `layout.depthwise` | \
`a_depthwise_convolution_keeps_what_it_should_not_touch` |
| 3 | follow | `shuffle(x)` is x, its channels numbered in another way | `layout.Layout.shuffled` | \
`following_is_shuffling_without_moving` |
| 4 | delay | `pool(t * c) = pool(t) * c`, `(t * c) * up(a) = t * up(a * c)` | `rewrites.delayed_product` | \
`a_weight_a_channel_passes_through_pooling_and_products` |
| 5 | pool_once | `mean(t) = mean(pool(t))` | `rewrites.average_of_averages` | \
`the_average_of_equal_windows_is_the_average` |
| 6 | sum_low | `up4(a) + up2(b) = up2(up2(a) + b)` | `rewrites.sum_small` | `small_sums_are_large_sums` |
| 7 | pad | dead channels stay 0: zero rows, zero columns | `layout.pointwise` | \
`a_pointwise_convolution_in_every_layout` |
| 8 | by_rows | `up(a)[r * i + k] = widen(a)[i]` for k < r | `rewrites.with_upsampled_by_rows` | \
`an_upsampled_map_is_met_row_by_row` |
| 9 | by_blocks | `up(a)[r * i + k, r * j + l] = a[i, j] * 1` | `rewrites.with_upsampled_by_blocks` | \
`an_upsampled_map_is_a_product_with_ones` |

Folding comes first, and works on any network. `REWRITES` holds the names of 2 to 7, in the order in which
``fuse(until=...)`` adds them. The last three depend on the runtime: "pad" is for ONNX Runtime, "by_rows" for ncnn,
"by_blocks" for ExecuTorch (`recipe.recipe_for`). The tests are those of tests/test_fusion.py, without their ``test_``.

`fold` folds the batch norms, `layout` follows the channels, `rewrites` has the identities on tensors, `blocks` and
`exchange` the parts of the network that use them, `recipe` the rewrites that are on, and `network` the whole.
"""

from .fold import fold_batch_norms
from .network import FusedLiteHRNet, fuse
from .recipe import REWRITES, TARGETS

__all__ = ["REWRITES", "TARGETS", "FusedLiteHRNet", "fold_batch_norms", "fuse"]
