"""Exported graphs and their failures, as pictures."""

from __future__ import annotations

__all__: list[str] = []
