"""Checks for the exercises of `05_export_and_verify`."""

from __future__ import annotations

__all__: list[str] = []
