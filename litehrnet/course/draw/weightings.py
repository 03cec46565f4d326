"""What the weightings of a block do with different pictures, and what their absence costs."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from ...heatmaps import HEATMAP_STRIDE
from .style import CourseFigure, caption, enliven, new_figure, packed, packed_photo

__all__ = ["weight_maps"]


def weight_maps(crops: Sequence[np.ndarray], weights: Tensor, channels: Sequence[int] | None = None) -> CourseFigure:
    """The cross-resolution weights of some channels, one column per picture.

    Args:
        crops: the pictures, (height, width, 3) each.
        weights: one block's weights for one branch, (number of pictures, channels, h, w), in 0..1.
        channels: which ones to show; the three that differ most from picture to picture if None.
    """
    values = weights.detach().numpy()
    if channels is None:
        channels = np.sort(values.std(axis=0).mean(axis=(1, 2)).argsort()[::-1][:3]).tolist()
    rows, columns = 1 + len(channels), len(crops)
    figure, grid = new_figure(rows, columns, size=(1.45 * columns + 1.2, 1.75 * rows))
    for column, crop in enumerate(crops):
        grid[0, column].imshow(crop)
        for row, channel in enumerate(channels, 1):
            shown = grid[row, column].imshow(values[column, channel], vmin=0, vmax=1, cmap="cividis")
    for axes in grid.flat:
        axes.set(xticks=[], yticks=[])
        axes.spines[:].set_visible(False)
    for row, channel in enumerate(channels, 1):
        grid[row, 0].set_ylabel(f"channel {channel}", fontsize=9)
    figure.colorbar(shown, ax=grid, shrink=0.5, label="weight", pad=0.02)
    enliven(
        figure, "weights", photos=[packed_photo(crop) for crop in crops], channels=list(channels),
        branch=[side // HEATMAP_STRIDE for side in crops[0].shape[:2]], weights=packed(values[:, list(channels)]),
    )  # fmt: skip
    caption(figure, "The same channels of the same block, for four pictures: the weights follow the person.")
    return figure
