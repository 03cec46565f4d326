"""One number per name, as horizontal bars: the plainest figure, for whatever needs no other."""

from __future__ import annotations

from collections.abc import Mapping

from .style import BLUE, INK, ORANGE, CourseFigure, caption, new_figure

__all__ = ["bars"]


def bars(
    values: Mapping[str, float], label: str, text: str, *, right: str | None = None, digits: int = 2, unit: str = ""
) -> CourseFigure:
    """One horizontal bar per name, the first on top, each with its number at its end.

    Args:
        values: from name to amount, none of them negative.
        label: what the axis shows, with its unit.
        text: the sentence under the figure.
        right: the name of a bar that is blue while the others are orange; without it all are blue.
        digits: decimals of the numbers.
        unit: written after each number.

    Raises:
        ValueError: there is nothing to draw, an amount is negative, or no bar has the name `right`.
    """
    if not values or min(values.values()) < 0:
        raise ValueError(f"bars show one amount or more, none of them negative; got {dict(values)}")
    if right is not None and right not in values:
        raise ValueError(f"no bar is called {right!r}; there are {', '.join(values)}")
    longest = max(values.values()) or 1.0
    figure, axes = new_figure(size=(8.0, 1.1 + 0.42 * len(values)))
    colours = [BLUE if right in (None, name) else ORANGE for name in values]
    axes.barh(range(len(values)), list(values.values()), color=colours, height=0.66)
    for y, value in enumerate(values.values()):
        axes.text(value + 0.012 * longest, y, f"{value:.{digits}f}{unit}", va="center", fontsize=9.5, color=INK)
    axes.set_yticks(range(len(values)), list(values))
    axes.set(xlabel=label, xlim=(0, 1.15 * longest))
    axes.invert_yaxis()
    axes.tick_params(axis="y", length=0, labelsize=10)
    caption(figure, text)
    return figure
