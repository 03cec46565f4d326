"""Checks for the exercises of `03_watch_the_export_fail`."""

from __future__ import annotations

__all__: list[str] = []
