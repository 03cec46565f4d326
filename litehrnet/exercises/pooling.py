"""Checks for the exercises of `04_fix_the_pooling`."""

from __future__ import annotations

__all__: list[str] = []
