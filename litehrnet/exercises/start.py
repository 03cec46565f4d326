"""Checks for the exercises of `00_start_here`."""

from __future__ import annotations

__all__: list[str] = []
