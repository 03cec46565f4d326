"""Checks for the exercises of `08_take_it_to_devices`."""

from __future__ import annotations

__all__: list[str] = []
