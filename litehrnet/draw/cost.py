"""What the network costs, as pictures."""

from __future__ import annotations

__all__: list[str] = []
