"""The network and its blocks, drawn from a live model."""

from __future__ import annotations

__all__: list[str] = []
