"""Profiles, ratios and the roofline."""

from __future__ import annotations

__all__: list[str] = []
