"""Checks for the exercises of `06_see_the_heatmaps`."""

from __future__ import annotations

__all__: list[str] = []
