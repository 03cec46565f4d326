"""The measurements that the checkout stores."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from ..measure.report import newest_run

__all__ = ["stored_run"]

BENCHMARKS = Path(__file__).resolve().parents[2] / "benchmarks"


def stored_run(kind: str) -> dict[str, Any]:
    """What the newest run of one kind wrote.

    Args:
        kind: a folder of `benchmarks/`: "devices" or "export".

    Raises:
        FileNotFoundError: no run of this kind is stored, as in an installation without the checkout.
    """
    return json.loads(newest_run(BENCHMARKS / kind).read_text())
