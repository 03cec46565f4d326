"""Runtimes, precision and what each costs."""

from __future__ import annotations

__all__: list[str] = []
