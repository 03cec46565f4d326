"""Checks for the exercises of `01_meet_lite_hrnet`."""

from __future__ import annotations

__all__: list[str] = []
