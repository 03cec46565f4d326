"""The curve of a run: loss and measures over the crops seen, as a PNG."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..checks import require
from ..files import written_whole

__all__ = ["plot_curve"]


def plot_curve(history: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the milestones of a run.

    Args:
        history: the lines of `log.jsonl`.
        path: the PNG to write.

    Raises:
        ImportError: matplotlib is not installed.
    """
    require("matplotlib")
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    figure = Figure(figsize=(8, 3.2), layout="constrained")
    left, right = figure.subplots(1, 2)
    losses = [(line["crops"], line["loss"]) for line in history if line["loss"] is not None]
    left.plot([seen for seen, _ in losses], [loss for _, loss in losses], "o-", color="#0072B2", markersize=3)
    left.set(xlabel="crops seen", ylabel="loss")
    seen = [line["crops"] for line in history]
    for name, label, colour in (("oks", "mean OKS", "#0072B2"), ("pck", "PCK", "#D55E00")):
        right.plot(seen, [line[name] for line in history], "o-", color=colour, markersize=3, label=label)
    best = max(history, key=lambda line: line["oks"])
    right.axhline(history[0]["oks"], color="#767676", linewidth=1, linestyle="--", label="OKS at the start")
    right.plot([best["crops"]], [best["oks"]], "o", color="#0072B2", markersize=9, fillstyle="none", label="best")
    right.set(xlabel="crops seen", ylabel="on the validation people", ylim=(0, 1))
    right.legend(fontsize=8)
    for axes in (left, right):
        axes.xaxis.set_major_locator(MaxNLocator(5, integer=True))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    with written_whole(path) as temporary:
        figure.savefig(temporary, dpi=110, format="png")
