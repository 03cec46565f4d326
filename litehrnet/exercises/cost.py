"""Checks for the exercises of `02_count_the_cost`."""

from __future__ import annotations

__all__: list[str] = []
