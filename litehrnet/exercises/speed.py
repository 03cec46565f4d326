"""Checks for the exercises of `07_make_it_fast`."""

from __future__ import annotations

__all__: list[str] = []
