"""Photographs, crops, joints and heatmaps."""

from __future__ import annotations

__all__: list[str] = []
